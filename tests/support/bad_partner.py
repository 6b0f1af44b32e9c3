"""A channel partner gone bad: a real kernel of ours, whose words are changed on their way.

It does not know that it lies, so its later words make no sense either: two wrongs for the price of
one.  What it lies about is drawn from a seed, one `Blow` for a few of its messages.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from tests.support.kernels import House
from wallet.base.crypto.curve import point_of
from wallet.base.crypto.hashes import sha256
from wallet.base.errors import DecodeError, InvariantBroken
from wallet.base.values.amounts import FeeratePerKw, MilliSatoshi, Satoshi
from wallet.base.values.blocks import CltvExpiry
from wallet.base.values.ids import Secret, Signature
from wallet.base.wire.channel import ChannelReestablish
from wallet.base.wire.message import LAYOUTS, Message, decode, encode

EDGES = (0, 1, 2, 482, 483, 484, 500_000_000, 2**31, 2**32 - 1, 2**48 - 1, 2**63, 2**64 - 1)
"""Numbers at which something ends."""
POINT = point_of(Secret(sha256(b"a point of nobody")))


@dataclass
class Mallory:
    """Sits on one house's line out."""

    chance: random.Random
    rate: float = 0.0
    """Of its messages, how many are touched."""
    said: list[bytes] = field(default_factory=list)
    """As they were before anybody touched them, on all connections."""
    blows: list[str] = field(default_factory=list)
    """What was done, for whoever must find out why."""
    _held: list[bytes] = field(default_factory=list)

    def take(self, house: House) -> None:
        """From now on what `house` says comes through here."""
        house.transport.tamper = self.tamper

    def tamper(self, data: bytes) -> Sequence[bytes]:
        """What arrives in place of `data`."""
        arriving = [data]
        if self.chance.random() < self.rate:
            number = self.chance.randrange(len(BLOWS))
            arriving = list(BLOWS[number](self, data))
            message = decode(data)
            name = message.name if isinstance(message, Message) else "?"
            self.blows.append(f"{BLOWS[number].__name__[1:]} {name}")
        self.said.append(data)
        if self._held and arriving:
            # What was held back comes after something that was said later.
            arriving += self._held
            self._held.clear()
        return arriving

    def hold(self, data: bytes) -> None:
        """Say it later."""
        self._held.append(data)


def _drop(_: Mallory, __: bytes) -> Sequence[bytes]:
    return ()


def _duplicate(_: Mallory, data: bytes) -> Sequence[bytes]:
    return (data, data)


def _reorder(mallory: Mallory, data: bytes) -> Sequence[bytes]:
    mallory.hold(data)
    return ()


def _flip(mallory: Mallory, data: bytes) -> Sequence[bytes]:
    changed = bytearray(data)
    for _ in range(mallory.chance.choice((1, 1, 8))):
        changed[mallory.chance.randrange(2, len(data))] ^= 1 << mallory.chance.randrange(8)
    return (bytes(changed),)


def _truncate(mallory: Mallory, data: bytes) -> Sequence[bytes]:
    return (data[: mallory.chance.randrange(len(data))],)


def _extend(mallory: Mallory, data: bytes) -> Sequence[bytes]:
    more = mallory.chance.choice((b"\xfd\xff\xff\x01\0", b"\xfe\0\0", mallory.chance.randbytes(9)))
    return (data + more,)


def _replay(mallory: Mallory, data: bytes) -> Sequence[bytes]:
    old = mallory.chance.choice(mallory.said) if mallory.said else data
    return (data, old) if mallory.chance.random() < 0.5 else (old,)


def _rename(mallory: Mallory, data: bytes) -> Sequence[bytes]:
    number = mallory.chance.choice(sorted(LAYOUTS))
    return (number.to_bytes(2, "big") + data[2:],)


def _lie(mallory: Mallory, data: bytes) -> Sequence[bytes]:
    """One field of the message has another value of its kind."""
    message = decode(data)
    if not isinstance(message, Message):
        return (data,)
    honest: Any = message
    names = [f.name for f in fields(honest) if f.name not in ("unknown", "channel_id")]
    if isinstance(message, ChannelReestablish):
        names = ["next_commitment_number", "next_revocation_number", names[-1]]
    if not names:
        return (data,)
    name = mallory.chance.choice(names)
    value = _other_value(mallory, getattr(honest, name))
    try:
        return (encode(replace(honest, **{name: value})),)
    except (DecodeError, InvariantBroken, OverflowError, ValueError):
        # There are no bytes for such a value.
        return (data,)


def _other_value(mallory: Mallory, value: object) -> object:
    chance = mallory.chance
    match value:
        case int():
            return chance.choice((*EDGES, value + 1, max(0, value - 1)))
        case MilliSatoshi(msat=number):
            return MilliSatoshi(chance.choice((*EDGES, number + 1, max(0, number - 1))))
        case Satoshi(sat=number):
            return Satoshi(chance.choice((*EDGES, number + 1, max(0, number - 1))))
        case FeeratePerKw(per_kw=number):
            return FeeratePerKw(chance.choice((0, 252, 253, number * 2, 2**32 - 1)))
        case CltvExpiry(height=number):
            return CltvExpiry(chance.choice((0, 1, number - 1, 499_999_999, 500_000_000)))
        case bytes() if len(value) == len(POINT) and value[0] in (2, 3):
            return chance.choice((POINT, bytes(33), b"\x02" + bytes(32)))
        case bytes():
            return chance.choice((bytes(len(value)), chance.randbytes(len(value)), b""))
        case tuple():
            return chance.choice(((), (*value, Signature(bytes(64))), value[:-1], value[::-1]))
        case _:
            return value


BLOWS: tuple[Callable[[Mallory, bytes], Sequence[bytes]], ...] = (
    _drop,
    _duplicate,
    _reorder,
    _flip,
    _truncate,
    _extend,
    _replay,
    _rename,
    _lie,
    _lie,
    _lie,
)
