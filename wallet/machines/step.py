"""What every machine takes and gives: a context in, a new state and a list of wishes out."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from wallet.base.values.amounts import FeeratePerKw
from wallet.base.values.blocks import BlockHeight

S = TypeVar("S", covariant=True)
A = TypeVar("A", covariant=True)


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
class Step(Generic[S, A]):
    """The outcome of one step: the state after it, and what the world is asked to do."""

    state: S
    actions: tuple[A, ...] = ()
