"""Declaring a message once: a dataclass in spec order, its codecs beside its annotations.

    @message(133)
    class RevokeAndAck(Message):
        channel_id: ChannelIdField
        per_commitment_secret: SecretField
        next_per_commitment_point: PointField

`message` reads the annotations once, at import, and enters the class under its number.  TLV
records are flattened into attributes that default to `None`; unknown odd records are kept in
`unknown`, so that `encode(decode(data)) == data` for everything that decodes.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, TypeVar, dataclass_transform, get_type_hints

from wallet.base.errors import DecodeError, InvariantBroken
from wallet.base.values.encode import register_leaf, unhex
from wallet.base.wire.codec import Codec, codecs_of
from wallet.base.wire.tlv import Namespace, Tlv, UnknownTlvs

_AS_IT_CAME: Final = -1
"""In `unknown`: not the number of a record, but all bytes of an extension that cannot be read."""
MAX_MESSAGE: Final = 65_535
"""BOLT 1: the size of a message, its type included, fits in 2 bytes."""


@dataclass(frozen=True, slots=True)
class Message:
    """Base of all declared messages. `unknown` holds odd TLV records that we do not know."""

    unknown: UnknownTlvs = field(default=(), kw_only=True)

    type: ClassVar[int]
    name: ClassVar[str]


@dataclass(frozen=True, slots=True)
class UnknownMessage:
    """A message of undeclared type. BOLT 1: odd ones are ignored, an even one disconnects."""

    type: int
    payload: bytes


M = TypeVar("M", bound=Message)


class Layout:
    """How one message class lies on the wire."""

    __slots__ = ("_head", "_readers", "_writers", "cls", "extension", "fields", "relayed")

    def __init__(self, number: int, cls: type[Message], *, relayed: bool) -> None:
        self.cls = cls
        self.relayed = relayed
        self.fields: dict[str, Codec[Any]] = codecs_of(cls)
        self.extension = Namespace(dict(_records_of(cls)))
        self._head = number.to_bytes(2, "big")
        self._readers = tuple(codec.read for codec in self.fields.values())
        self._writers = tuple((name, codec.write) for name, codec in self.fields.items())

    def read(self, data: bytes) -> Message:
        """Decode a message, type included; raises `DecodeError`."""
        at = 2
        values: list[Any] = []
        try:
            for read in self._readers:
                value, at = read(data, at)
                values.append(value)
            if at == len(data):
                return self.cls(*values)
            known, unknown = self._read_extension(data, at)
        except DecodeError as error:
            names = [*self.fields, "extension"]
            raise DecodeError(f"{self.cls.name}, {names[len(values)]}: {error}") from None
        return self.cls(*values, **known, unknown=unknown)

    def _read_extension(self, data: bytes, at: int) -> tuple[dict[str, Any], UnknownTlvs]:
        try:
            return self.extension.read(data, at)
        except DecodeError:
            # BOLT 1: MAY ignore the `extension`.  Who signed gossip is somebody far away: peers
            # that pass it on as it came must not lose their links to us for its strange words.
            if not self.relayed:
                raise
            return {}, ((_AS_IT_CAME, data[at:]),)

    def write(self, message: Message) -> bytes:
        """Encode a message, type included."""
        parts = [self._head]
        for name, write in self._writers:
            parts.append(write(getattr(message, name)))
        if message.unknown and message.unknown[0][0] == _AS_IT_CAME:
            parts.append(message.unknown[0][1])
        elif self.extension.records or message.unknown:
            parts.append(self.extension.write(message, message.unknown))
        return b"".join(parts)


def _records_of(cls: type) -> Iterator[tuple[str, Tlv]]:
    for name, hint in get_type_hints(cls, include_extras=True).items():
        for mark in getattr(hint, "__metadata__", ()):
            if isinstance(mark, Tlv):
                yield name, mark


LAYOUTS: Final[dict[int, Layout]] = {}
"""Every declared message by its number; filled at import, constant afterwards."""


@dataclass_transform(frozen_default=True)
def message(number: int, *, relayed: bool = False) -> Callable[[type[M]], type[M]]:
    """Declare a message class under its BOLT number; it becomes a frozen slotted dataclass.

    `relayed`: peers pass it on as they got it, so its extension is kept whatever it is.
    """

    def declare(cls: type[M]) -> type[M]:
        built = dataclass(frozen=True, slots=True)(cls)
        built.type = number
        built.name = re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()
        if number in LAYOUTS:
            raise InvariantBroken(f"two messages have the number {number}")
        LAYOUTS[number] = Layout(number, built, relayed=relayed)
        return built

    return declare


def encode(message: Message | UnknownMessage) -> bytes:
    """The message with its 2-byte type, as the transport takes it."""
    if isinstance(message, UnknownMessage):
        data = message.type.to_bytes(2, "big") + message.payload
    else:
        data = LAYOUTS[message.type].write(message)
    if len(data) > MAX_MESSAGE:
        raise InvariantBroken(f"a message of {len(data)} bytes; {MAX_MESSAGE} is the most")
    return data


def decode(data: bytes) -> Message | UnknownMessage:
    """The message that `data`, type included, holds; raises `DecodeError` and nothing else."""
    if not 2 <= len(data) <= MAX_MESSAGE:
        raise DecodeError(f"a message has 2 to {MAX_MESSAGE} bytes, not {len(data)}")
    number = int.from_bytes(data[:2], "big")
    layout = LAYOUTS.get(number)
    if layout is None:
        return UnknownMessage(number, data[2:])
    return layout.read(data)


def _stored_message(text: str) -> Message:
    found = decode(unhex(text))
    if isinstance(found, UnknownMessage):
        raise DecodeError(f"a stored message of type {found.type}, which this leyden does not know")
    return found


register_leaf(Message, lambda message: encode(message).hex(), _stored_message)
