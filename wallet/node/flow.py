"""What this node has told its peers about HTLCs: the newest messages, for `flow`.

Rule 1: noted when a message leaves, so after the commit that explains it; nothing here is stored.
Rule 2: no preimage and no onion is kept: whoever looks on may not learn how to claim an HTLC.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from wallet.base.values.amounts import MilliSatoshi
from wallet.base.values.blocks import CltvExpiry
from wallet.base.values.ids import ChannelId, NodeId, PaymentHash
from wallet.base.values.recent import Recent
from wallet.base.wire.channel import (
    UpdateAddHtlc,
    UpdateFailHtlc,
    UpdateFailMalformedHtlc,
    UpdateFulfillHtlc,
)
from wallet.base.wire.message import Message
from wallet.machines.channel.htlc import HtlcKey
from wallet.machines.channel.state import Channel
from wallet.services.ports import Clock

KEPT: Final = 10_000

_Update: TypeAlias = UpdateAddHtlc | UpdateFulfillHtlc | UpdateFailHtlc | UpdateFailMalformedHtlc

_TYPES: Final[Mapping[type[Message], str]] = {
    UpdateAddHtlc: "add",
    UpdateFulfillHtlc: "fulfill",
    UpdateFailHtlc: "fail",
    UpdateFailMalformedHtlc: "fail",
}


@dataclass(frozen=True, slots=True)
class Sent:
    """One message. `at` is Unix time in seconds, to the microsecond; `id` is the HTLC's."""

    at: float
    peer: NodeId
    channel_id: ChannelId
    type: str
    id: int
    payment_hash: PaymentHash | None
    amount: MilliSatoshi | None
    expiry: CltvExpiry | None
    """These three are of the HTLC; None for one that the channel has forgotten."""


class Flow:
    """Notes what leaves."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.sent: Recent[Sent] = Recent(KEPT, clock.now())

    def note(self, peer: NodeId, message: Message, channels: Mapping[ChannelId, Channel]) -> None:
        """This message has left for `peer`; any but those about HTLCs are passed over."""
        kind = _TYPES.get(type(message))
        if kind is not None and isinstance(message, _Update):
            at = round(self._clock.now(), 6)
            channel = channels.get(message.channel_id)
            htlc = _of_htlc(message, channel)
            self.sent.append(Sent(at, peer, message.channel_id, kind, message.id, *htlc))


def _of_htlc(
    message: _Update, channel: Channel | None
) -> tuple[PaymentHash | None, MilliSatoshi | None, CltvExpiry | None]:
    if isinstance(message, UpdateAddHtlc):
        return message.payment_hash, message.amount_msat, message.cltv_expiry
    # Only the side to which an HTLC was offered fulfils it or gives it back.
    htlc = channel.htlcs.get(HtlcKey(False, message.id)) if channel is not None else None
    if htlc is None:
        return None, None, None
    return htlc.payment_hash, htlc.amount, htlc.cltv_expiry
