"""What is remembered of each transaction that moved this wallet's coins."""

from dataclasses import dataclass
from enum import StrEnum

from wallet.base.bitcoin.transaction import Transaction
from wallet.base.values.ids import ChannelId


class TxKind(StrEnum):
    """What a transaction is for us."""

    DEPOSIT = "deposit"
    WITHDRAWAL = "withdrawal"
    OPENING = "channel_open"
    """It funds a channel of ours."""
    CLOSING = "channel_close"
    """It spends a channel of ours, or an output of its last commitment."""


@dataclass(frozen=True, slots=True)
class TxRecord:
    """A transaction of ours. `number` counts them in the order in which they were seen."""

    tx: Transaction
    number: int
    at: int
    """Unix time at which it was first seen."""
    kind: TxKind
    delta_sat: int
    """What the wallet has more by it, less if negative; fees included."""
    fee_sat: int | None
    """Known when every input is ours."""
    channel_id: ChannelId | None = None
    height: int | None = None
    """None while it is in no block."""
    position: int = 0
    """Its place in the block."""
