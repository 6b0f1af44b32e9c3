"""Heights and differences of heights; subtracting two expiries gives a difference."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class CltvDelta:
    """A number of blocks."""

    blocks: int

    def __add__(self, other: "CltvDelta") -> "CltvDelta":
        if not isinstance(other, CltvDelta):
            return NotImplemented
        return CltvDelta(self.blocks + other.blocks)


@dataclass(frozen=True, slots=True, order=True)
class BlockHeight:
    """Height of a block in the best chain."""

    height: int

    def __add__(self, delta: CltvDelta) -> "CltvExpiry":
        if not isinstance(delta, CltvDelta):
            return NotImplemented
        return CltvExpiry(self.height + delta.blocks)


@dataclass(frozen=True, slots=True, order=True)
class CltvExpiry:
    """An absolute height as in `cltv_expiry` (BOLT 2): from that height on, an HTLC is late."""

    height: int

    def __sub__(self, height: "BlockHeight | CltvExpiry") -> CltvDelta:
        if not isinstance(height, BlockHeight | CltvExpiry):
            return NotImplemented
        return CltvDelta(self.height - height.height)
