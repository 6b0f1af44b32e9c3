"""What every machine takes and gives: a context in, a new state and a list of wishes out."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from wallet.base.values.amounts import FeeratePerKw
from wallet.base.values.blocks import BlockHeight

S_co = TypeVar("S_co", covariant=True)
A_co = TypeVar("A_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Context:
    """The world as one step may know it: everything that is not in the state or the event."""

    height: BlockHeight
    feerate: FeeratePerKw
    """What a commitment or a close should pay now."""
    now: int
    """Unix time, whole seconds."""
    entropy: bytes
    """32 fresh random bytes of this step alone."""


@dataclass(frozen=True, slots=True)
class Step(Generic[S_co, A_co]):
    """The outcome of one step: the state after it, and what the world is asked to do."""

    state: S_co
    actions: tuple[A_co, ...] = ()
