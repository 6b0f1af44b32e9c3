"""TLV streams of BOLT 1: records strictly ascend, unknown odd ones are kept, even ones refused."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from wallet.base.errors import DecodeError, InvariantBroken
from wallet.base.wire.codec import Codec, read_bigsize, write_bigsize

UnknownTlvs = tuple[tuple[int, bytes], ...]
"""Odd records that we do not understand, as (type, value), ascending."""


@dataclass(frozen=True, slots=True)
class Tlv:
    """Marks an attribute as a TLV record; an absent record is `None`.

    `record` is the spec's name of the record where the attribute bears another.
    """

    type: int
    codec: Codec[Any]
    record: str = ""


def read_records(data: bytes, at: int = 0) -> list[tuple[int, bytes]]:
    """All records from `at` to the end as (type, value).

    Raises `DecodeError` for a truncated stream, a number that is not minimal, and types that do
    not strictly ascend.
    """
    records = []
    last = -1
    while at < len(data):
        kind, at = read_bigsize(data, at)
        if kind <= last:
            raise DecodeError(f"TLV record {kind} comes after record {last}")
        last = kind
        size, at = read_bigsize(data, at)
        end = at + size
        if end > len(data):
            raise DecodeError(f"TLV record {kind} wants {size} bytes, {len(data) - at} are left")
        records.append((kind, data[at:end]))
        at = end
    return records


def write_records(records: Iterable[tuple[int, bytes]]) -> bytes:
    """A stream of records; they must come in strictly ascending order."""
    parts: list[bytes] = []
    last = -1
    for kind, value in records:
        if kind <= last:
            raise InvariantBroken(f"TLV record {kind} after record {last}")
        last = kind
        parts += (write_bigsize(kind), write_bigsize(len(value)), value)
    return b"".join(parts)


class Namespace:
    """The records that one stream may hold: attribute name → `Tlv`."""

    __slots__ = ("_ascending", "_by_type", "records")

    def __init__(self, records: Mapping[str, Tlv]) -> None:
        self.records = dict(records)
        self._by_type = {r.type: (name, r.codec.read_all) for name, r in records.items()}
        self._ascending = sorted((r.type, name, r.codec.write) for name, r in records.items())
        if len(self._by_type) != len(records):
            raise InvariantBroken("two records of one namespace have the same type")

    # `Any`: the records of one stream have many types; the dataclass they go into names them.
    def read(self, data: bytes, at: int = 0) -> tuple[dict[str, Any], UnknownTlvs]:
        """Known records by attribute name, and the unknown odd ones; raises `DecodeError`."""
        known: dict[str, Any] = {}
        unknown = []
        for kind, value in read_records(data, at):
            slot = self._by_type.get(kind)
            if slot is not None:
                name, read_all = slot
                known[name] = read_all(value)
            elif kind & 1:
                unknown.append((kind, value))
            else:
                # BOLT 1: if `type` is even and unknown, MUST fail to parse the `tlv_stream`.
                raise DecodeError(f"unknown even TLV record {kind}")
        return known, tuple(unknown)

    def write(self, holder: object, unknown: UnknownTlvs = ()) -> bytes:
        """The stream of `holder`'s attributes that are not `None`, and `unknown`, in order."""
        records = [
            (kind, write(value))
            for kind, name, write in self._ascending
            if (value := getattr(holder, name)) is not None
        ]
        if unknown:
            records = sorted([*records, *unknown])
        return write_records(records)
