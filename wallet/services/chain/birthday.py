"""Where a new wallet begins to read a chain: no block before its birthday can concern it.

A public chain holds hundreds of thousands of blocks; headers are asked for by halves, about twenty
of them.
"""

from typing import Final, Protocol

from wallet.base.errors import ServiceFault
from wallet.base.values.blocks import BlockHeight
from wallet.base.values.ids import BlockHash
from wallet.machines.chain_events import BlockRef
from wallet.services.chain.answers import BackendTip

MARGIN_SECONDS: Final = 2 * 24 * 3600
"""Read before the birthday. A header's time may be hours off, and so may a person's clock; a
reorganisation never reaches so far down."""


class Headers(Protocol):
    """What a backend knows of its blocks; every method may raise `ServiceFault`."""

    async def backend_tip(self) -> BackendTip:
        """The best block now."""

    async def block_hash(self, height: BlockHeight) -> BlockHash | None:
        """The best chain's block at `height`."""

    async def block_time(self, block: BlockHash) -> int:
        """Unix seconds, of its header."""


async def last_before(source: Headers, birthday: int) -> BlockRef | None:
    """The best chain's last block well before `birthday` (Unix seconds); None: read it all.

    While the backend still builds its chain that is its tip.  Raises `ServiceFault`.
    """
    low, high = 0, (await source.backend_tip()).tip.height.height
    found: BlockRef | None = None
    while low < high:
        middle = (low + high + 1) // 2
        block = await source.block_hash(BlockHeight(middle))
        if block is None:
            raise ServiceFault("the chain was reorganised while its headers were read")
        if await source.block_time(block) < birthday - MARGIN_SECONDS:
            low, found = middle, BlockRef(BlockHeight(middle), block)
        else:
            high = middle - 1
    return found
