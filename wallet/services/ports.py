"""The sockets in the wall: what the kernel needs of the world, as protocols.

Tests and the real services implement the same ports, so a whole network can run inside one test.
"""

from collections.abc import Sequence
from typing import Protocol

from wallet.base.values.ids import NodeId
from wallet.machines.signing import KeyAnswer, KeyRequest


class Clock(Protocol):
    """Unix time."""

    def now(self) -> float:
        """Seconds since 1970."""


class Entropy(Protocol):
    """Fresh randomness."""

    def draw(self) -> bytes:
        """32 bytes nobody can guess (except `SeededEntropy`, on regtest)."""


class Signer(Protocol):
    """The holder of secrets."""

    @property
    def node_id(self) -> NodeId:
        """Our node's public key."""

    def answer(self, requests: Sequence[KeyRequest]) -> list[KeyAnswer]:
        """Answer each request, in order. Pure computation; may take tens of microseconds each."""
