"""What the chain tells: blocks as they come and go, and what became of a broadcast.

Rule 1: a listener sees one line of blocks, from the genesis block or from `ChainStart`. Each
`BlockConnected` builds on the block before it, and each `BlockDisconnected` names the block that is
the tip at that moment.
Rule 2: a reorganisation is disconnects from the tip downwards, then connects upwards; nothing else
marks it.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from wallet.base.bitcoin.transaction import Transaction
from wallet.base.values.blocks import BlockHeight
from wallet.base.values.ids import BlockHash


@dataclass(frozen=True, slots=True)
class BlockRef:
    """A block by height and hash."""

    height: BlockHeight
    hash: BlockHash

    def __str__(self) -> str:
        return f"block {self.height.height} ({self.hash[::-1].hex()})"


@dataclass(frozen=True, slots=True)
class ChainStart:
    """The line begins after this block: up to here nothing can concern the listener.

    Only the first event of all may be this.
    """

    height: BlockHeight
    hash: BlockHash

    @property
    def ref(self) -> BlockRef:
        """The tip after this event."""
        return BlockRef(self.height, self.hash)


@dataclass(frozen=True, slots=True)
class BlockConnected:
    """The best chain has grown by this block. `prev` is the tip it was built on.

    `latest` is False when the backend is known to have a later one: we are catching up.
    """

    height: BlockHeight
    hash: BlockHash
    prev: BlockHash
    transactions: tuple[Transaction, ...]
    latest: bool = True

    @property
    def ref(self) -> BlockRef:
        """The tip after this event."""
        return BlockRef(self.height, self.hash)


@dataclass(frozen=True, slots=True)
class BlockDisconnected:
    """The tip was taken off the best chain; what it confirmed is unconfirmed again."""

    height: BlockHeight
    hash: BlockHash


ChainEvent: TypeAlias = ChainStart | BlockConnected | BlockDisconnected


class BroadcastKind(StrEnum):
    """What the chain backend made of a transaction."""

    ACCEPTED = "accepted"
    """New to the mempool."""
    IN_MEMPOOL = "already in the mempool"
    CONFIRMED = "already in a block"
    MISSING_INPUTS = "missing inputs"
    """An input is unknown or spent by a block: a parent is missing, or a rival has confirmed."""
    REJECTED = "rejected"
    """Policy or consensus says no; `reason` is Core's (`min relay fee not met`, …)."""


@dataclass(frozen=True, slots=True)
class BroadcastResult:
    """The answer to one broadcast. `reason` is Core's word, empty on success."""

    kind: BroadcastKind
    reason: str = ""

    @property
    def is_known(self) -> bool:
        """Whether the network has the transaction now."""
        return self.kind in _KNOWN


_KNOWN = frozenset({BroadcastKind.ACCEPTED, BroadcastKind.IN_MEMPOOL, BroadcastKind.CONFIRMED})


@dataclass(frozen=True, slots=True)
class ChainStatus:
    """How things stand between us and the chain backend.

    `problem` is a sentence for people, empty while the backend answers as it should.
    `backend_height` and `headers` are what it said last (`headers` above `backend_height`: it is
    itself catching up); `followed` is the last block handed to the listener.
    """

    followed: BlockRef
    backend_height: BlockHeight
    headers: BlockHeight
    problem: str = ""

    @property
    def reachable(self) -> bool:
        """Whether the backend answers."""
        return not self.problem

    @property
    def synced(self) -> bool:
        """Whether the listener has seen every block there is, as far as anybody knows."""
        return (
            self.reachable
            and self.followed.height >= self.backend_height
            and self.backend_height >= self.headers
        )
