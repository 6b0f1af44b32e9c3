"""Every declared message: there and back, and whatever else may arrive."""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.gossip import ANN, BEN, announcement, node, scid, update
from wallet.base.crypto.curve import point_of
from wallet.base.errors import DecodeError, InvariantBroken
from wallet.base.values.amounts import MilliSatoshi
from wallet.base.values.blocks import CltvExpiry
from wallet.base.values.ids import ChannelId, PaymentHash, Preimage
from wallet.base.wire import LAYOUTS, MAX_MESSAGE, Message, UnknownMessage, decode, encode
from wallet.base.wire.channel import UpdateAddHtlc, UpdateFulfillHtlc
from wallet.base.wire.codec import bigsize, tu16, tu32, tu64, u16, u64

SIZES: Final = {
    "byte": 1,
    "u16": 2,
    "u32": 4,
    "u64": 8,
    "sha256": 32,
    "channel_id": 32,
    "chain_hash": 32,
    "signature": 64,
    "short_channel_id": 8,
    "sha256[..4]": 4,
}
POINTS: Final = [point_of(bytes([n]) * 32) for n in range(1, 6)]
small = settings(max_examples=25, deadline=None, database=None)
numbers = pytest.mark.parametrize("number", sorted(LAYOUTS), ids=lambda n: LAYOUTS[n].cls.name)


def wire_bytes(spec: str) -> st.SearchStrategy[bytes]:
    """Valid bytes of a type, from the BOLT's name of it."""
    if spec == "point":
        return st.sampled_from(POINTS)
    if spec == "bigsize":
        return st.integers(0, 2**64 - 1).map(bigsize.write)
    if spec in SIZES:
        size = SIZES[spec]
        return st.binary(min_size=size, max_size=size)
    if re.match(r"[^ *]+:", spec) or (" " in spec and not spec.startswith("...*")):
        parts = [wire_bytes(part.rpartition(":")[0]) for part in spec.split(" ")]
        return st.tuples(*parts).map(b"".join)
    count, _, item = spec.partition("*")
    items = st.binary if item == "byte" else None
    if count == "u16":
        body = st.binary(max_size=40).map(lambda b: (len(b), b)) if items else _many(item)
        return body.map(lambda pair: u16.write(pair[0]) + pair[1])
    if count == "...":
        return st.binary(max_size=40) if items else _many(item).map(lambda pair: pair[1])
    total = int(count) * SIZES.get(item, 1)
    return st.binary(min_size=total, max_size=total)


def _many(item: str) -> st.SearchStrategy[tuple[int, bytes]]:
    return st.lists(wire_bytes(item), max_size=4).map(lambda found: (len(found), b"".join(found)))


@st.composite
def messages(draw: st.DrawFn, number: int) -> Message:
    """A message with any set of its records, and perhaps unknown odd ones."""
    layout = LAYOUTS[number]
    # `Any`: fields of one message have many types.
    values: dict[str, Any] = {
        name: codec.read_all(draw(wire_bytes(codec.name))) for name, codec in layout.fields.items()
    }
    for name, tlv in layout.extension.records.items():
        if draw(st.booleans()):
            values[name] = tlv.codec.read_all(draw(wire_bytes(tlv.codec.name)))
    odd = st.integers(100, 2**62).map(lambda n: 2 * n + 1)
    unknown = draw(st.dictionaries(odd, st.binary(max_size=8), max_size=2))
    return layout.cls(**values, unknown=tuple(sorted(unknown.items())))


def assert_safe(data: bytes) -> bool:
    """`data` decodes to what encodes to it again, or `DecodeError`; gives whether it decoded."""
    try:
        message = decode(data)
    except DecodeError:
        return False
    assert encode(message) == data
    return True


@numbers
@small
@given(st.data())
def test_there_and_back(number: int, data: st.DataObject) -> None:
    message = data.draw(messages(number))
    assert decode(encode(message)) == message


@numbers
@small
@given(st.data())
def test_truncated(number: int, data: st.DataObject) -> None:
    whole = encode(data.draw(messages(number)))
    assert_safe(whole[: data.draw(st.integers(0, len(whole) - 1))])


@numbers
@small
@given(st.data())
def test_extended(number: int, data: st.DataObject) -> None:
    assert_safe(encode(data.draw(messages(number))) + data.draw(st.binary(min_size=1, max_size=40)))


@numbers
@small
@given(st.binary(max_size=600))
def test_arbitrary(number: int, payload: bytes) -> None:
    assert_safe(number.to_bytes(2, "big") + payload)


@numbers
def test_without_its_last_required_byte(number: int) -> None:
    layout = LAYOUTS[number]
    shortest = encode(layout.cls(**dict(_least(number))))
    assert assert_safe(shortest)
    assert not assert_safe(shortest[:-1])
    assert assert_safe(shortest + b"\x02\x00") is layout.relayed


def _least(number: int) -> Iterator[tuple[str, Any]]:
    for name, codec in LAYOUTS[number].fields.items():
        if codec.name.startswith("u16*"):
            yield name, codec.read_all(bytes(2))
        elif codec.name == "point":
            yield name, POINTS[0]
        else:
            size = SIZES.get(codec.name) or int(codec.name.partition("*")[0])
            yield name, codec.read_all(bytes(size))


@given(st.binary(max_size=100))
def test_anything(data: bytes) -> None:
    assert_safe(data)


def _add() -> UpdateAddHtlc:
    return UpdateAddHtlc(
        ChannelId(bytes(32)),
        7,
        MilliSatoshi(1000),
        PaymentHash(bytes(32)),
        CltvExpiry(500),
        bytes(1366),
    )


def test_decode__unknown_type() -> None:
    assert decode(b"\x80\x01abc") == UnknownMessage(0x8001, b"abc")
    assert encode(UnknownMessage(0x8001, b"abc")) == b"\x80\x01abc"


def test_decode__too_large() -> None:
    with pytest.raises(DecodeError, match="65536"):
        decode(bytes(MAX_MESSAGE + 1))


def test_decode__names_the_field() -> None:
    with pytest.raises(DecodeError, match="update_add_htlc, payment_hash: sha256 wants 32 bytes"):
        decode(encode(_add())[:60])
    with pytest.raises(DecodeError, match="extension: unknown even TLV record 2"):
        decode(encode(_add()) + b"\x02\x00")


@pytest.mark.parametrize(
    "fine", [announcement(ANN, BEN, scid(7)), update(ANN, BEN, scid(7)), node(ANN)]
)
@pytest.mark.parametrize("tail", ["020100", "00", "ff", "030500", "05000300"])
def test_decode__what_follows_gossip_is_passed_on_whatever_it_is(fine: Message, tail: str) -> None:
    # BOLT 1: MAY ignore the `extension`.  Somebody far away wrote it, and no peer that passes it
    # on is to blame; BOLT 7's signatures cover it.
    data = encode(fine) + bytes.fromhex(tail)
    message = decode(data)
    assert type(message) is type(fine)
    assert encode(message) == data
    assert message != fine


def test_decode__point_off_the_curve() -> None:
    with pytest.raises(DecodeError, match="not a point"):
        decode(encode(_add()) + b"\x00\x21\x02" + b"\xff" * 32)


def test_decode__onion_is_one_slice() -> None:
    message = decode(encode(_add()))
    assert isinstance(message, UpdateAddHtlc)
    assert len(message.onion_routing_packet) == 1366


def test_encode__value_of_wrong_size() -> None:
    wrong = UpdateFulfillHtlc(ChannelId(b"short"), 0, Preimage(bytes(32)))
    with pytest.raises(InvariantBroken, match="channel_id has 32 bytes, not 5"):
        encode(wrong)
    with pytest.raises(InvariantBroken, match="does not fit in u64"):
        encode(UpdateFulfillHtlc(ChannelId(bytes(32)), -1, Preimage(bytes(32))))


def test_encode__unknown_record_collides_with_a_known_one() -> None:
    with pytest.raises(InvariantBroken, match="record"):
        encode(replace(_add(), path_key=POINTS[0], unknown=((0, b""),)))


@given(st.integers(0, 2**64 - 1))
def test_truncated_integers(value: int) -> None:
    for codec, limit in ((tu16, 2**16), (tu32, 2**32), (tu64, 2**64)):
        if value < limit:
            assert codec.read_all(codec.write(value)) == value
        else:
            with pytest.raises(InvariantBroken):
                codec.write(value)


def test_integers__do_not_fit() -> None:
    for codec in (u64, bigsize, tu64):
        for value in (-1, 2**64):
            with pytest.raises(InvariantBroken):
                codec.write(value)
