"""The codec of states and events: every value comes back, nothing else comes in."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import Enum, StrEnum
from types import UnionType
from typing import Any, NewType, TypeAlias, Union, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.samples import CHANNEL, SAMPLE_TX, point
from wallet.base.bitcoin.transaction import Transaction, TxIn, TxOut
from wallet.base.channel_tx.format import ANCHORS, CommitmentFormat
from wallet.base.errors import DecodeError, InvariantBroken
from wallet.base.values.amounts import MilliSatoshi, Satoshi
from wallet.base.values.encode import VERSION, from_json, register_leaf, to_json
from wallet.base.values.features import Features
from wallet.base.values.ids import OutPoint, Point, Preimage, ShortChannelId, Signature, Txid
from wallet.base.wire.channel import UpdateFulfillHtlc
from wallet.base.wire.setup import Ping
from wallet.machines.channel import actions, events
from wallet.machines.channel.actions import Action, Send
from wallet.machines.channel.events import Event, MessageReceived
from wallet.machines.signing import (
    FundingKey,
    InputToSign,
    KeyAnswer,
    KeyRef,
    KeyRequest,
    RecoverableSignature,
    SignDigest,
    Slot,
    UnsignedTx,
    WalletKey,
)

Label = NewType("Label", str)


class Colour(StrEnum):
    RED = "the red one"
    BLUE = "the blue one"


class Plain(Enum):
    A = object()


@dataclass(frozen=True, slots=True)
class Leafy:
    txid: Txid
    outpoint: OutPoint
    scid: ShortChannelId
    preimage: Preimage
    format: CommitmentFormat
    features: Features


@dataclass(frozen=True, slots=True, order=True)
class Place:
    ours: bool
    number: int


@dataclass(frozen=True, slots=True)
class Circle:
    radius: int


@dataclass(frozen=True, slots=True)
class Nothing:
    pass


Shape: TypeAlias = Circle | Nothing


@dataclass(frozen=True, slots=True)
class Everything:
    number: int
    truth: bool
    label: Label
    data: bytes
    colour: Colour
    plain: Plain
    amount: MilliSatoshi | None
    shape: Shape
    maybe_shape: Shape | None
    shapes: tuple[Shape, ...]
    pair: tuple[Point, Satoshi]
    table: Mapping[Place, Circle | None]
    mixed: tuple[bytes | Colour | int, ...]
    late: int = 7


shapes = st.one_of(st.builds(Circle, st.integers()), st.just(Nothing()))
everything = st.builds(
    Everything,
    number=st.integers(),
    truth=st.booleans(),
    label=st.text(st.characters(exclude_categories=())).map(Label),
    data=st.binary(),
    colour=st.sampled_from(Colour),
    plain=st.just(Plain.A),
    amount=st.none() | st.builds(MilliSatoshi, st.integers(0, 1 << 64)),
    shape=shapes,
    maybe_shape=st.none() | shapes,
    shapes=st.lists(shapes).map(tuple),
    pair=st.tuples(st.binary().map(Point), st.builds(Satoshi, st.integers())),
    table=st.dictionaries(
        st.builds(Place, st.booleans(), st.integers()),
        st.none() | st.builds(Circle, st.integers()),
    ),
    mixed=st.lists(st.binary() | st.sampled_from(Colour) | st.integers()).map(tuple),
    late=st.integers(),
)

EXAMPLE = Everything(
    number=1 << 64,
    truth=True,
    label=Label("äö\x00\ud800"),
    data=b"\x00\xff",
    colour=Colour.RED,
    plain=Plain.A,
    amount=None,
    shape=Nothing(),
    maybe_shape=Circle(2),
    shapes=(Circle(1), Nothing()),
    pair=(Point(b"\x02"), Satoshi(5)),
    table={Place(True, 1): None, Place(False, 0): Circle(3)},
    mixed=(b"", Colour.BLUE, 3),
)
WRITTEN = (
    '{"v":1,"type":"Everything","number":18446744073709551616,"truth":true,'
    '"label":"\\u00e4\\u00f6\\u0000\\ud800","data":"00ff","colour":"RED","plain":"A","amount":null,'
    '"shape":{"type":"Nothing"},"maybe_shape":{"type":"Circle","radius":2},'
    '"shapes":[{"type":"Circle","radius":1},{"type":"Nothing"}],"pair":["02",{"sat":5}],'
    '"table":[[{"ours":true,"number":1},null],[{"ours":false,"number":0},{"radius":3}]],'
    '"mixed":[{"type":"bytes","value":""},{"type":"Colour","value":"BLUE"},'
    '{"type":"int","value":3}],"late":7}'
)


def test_the_written_form_is_for_ever() -> None:
    assert VERSION == 1
    assert to_json(EXAMPLE) == WRITTEN
    assert from_json(Everything, WRITTEN) == EXAMPLE


@given(everything)
def test_everything_comes_back(value: Everything) -> None:
    text = to_json(value)
    back = from_json(Everything, text)
    assert back == value
    assert to_json(back) == text
    assert list(back.table) == list(value.table)
    assert text.isascii()


def test_leaves_have_their_own_form() -> None:
    txid = Txid(bytes(range(32)))
    value = Leafy(
        txid,
        OutPoint(txid, 1),
        ShortChannelId(1, 2, 3),
        Preimage(bytes(32)),
        ANCHORS,
        Features(frozenset({12, 5, 23})),
    )
    text = to_json(value)
    written = json.loads(text)
    assert written["txid"] == str(txid) == written["outpoint"]["txid"]
    assert written["format"] == ANCHORS.name
    assert written["features"] == {"bits": [5, 12, 23]}
    assert from_json(Leafy, text) == value
    assert type(from_json(Leafy, text).txid) is Txid


def test_messages_and_transactions_are_their_encoding() -> None:
    fulfil = UpdateFulfillHtlc(CHANNEL.id, 3, Preimage(b"p" * 32))
    event = MessageReceived(fulfil)
    assert json.loads(to_json(event))["message"].startswith("0082")
    assert from_json(Event, to_json(event)) == event
    assert from_json(MessageReceived, to_json(event)) == event
    assert from_json(Transaction, to_json(SAMPLE_TX)) == SAMPLE_TX
    assert from_json(UpdateFulfillHtlc, to_json(fulfil)) == fulfil
    with pytest.raises(DecodeError, match="is not one of Ping"):
        from_json(Ping, to_json(fulfil))


def test_an_unsigned_transaction_keeps_its_slots() -> None:
    key = FundingKey(CHANNEL.terms.keys_id, 0)
    request = SignDigest(key, b"d" * 32)
    waiting = UnsignedTx(SAMPLE_TX, (InputToSign(0, request, (b"", Slot.DER_ALL, b"script")),))
    back = from_json(UnsignedTx, to_json(waiting))
    assert back == waiting
    assert back.inputs[0].witness[1] is Slot.DER_ALL
    assert from_json(KeyRef, to_json(key)) == key
    send = Send(Ping(3, b""), (request,))
    assert from_json(Action, to_json(send)) == send


def test_a_choice_of_equal_bytes_is_one() -> None:
    signature = RecoverableSignature(Signature(b"s" * 64), 1)
    assert from_json(KeyAnswer, to_json(signature)) == signature
    assert from_json(KeyAnswer, to_json(Signature(b"s" * 64))) == b"s" * 64


def _dataclasses(hint: Any, seen: set[type]) -> None:
    """Every dataclass that can be reached from a declaration."""
    for part in get_args(hint):
        _dataclasses(part, seen)
    if isinstance(hint, type) and hasattr(hint, "__dataclass_fields__") and hint not in seen:
        seen.add(hint)
        for inner in get_type_hints(hint).values():
            _dataclasses(inner, seen)


@pytest.mark.parametrize("union", [Event, Action, KeyRequest, KeyAnswer])
def test_every_event_action_and_request_has_a_form(union: object) -> None:
    assert get_origin(union) in (Union, UnionType)
    for member in get_args(union):
        # Compiling the codec reads every declaration below the member; a form that is missing
        # raises `InvariantBroken` before the wrong fields are noticed.
        with pytest.raises(DecodeError):
            from_json(member, '{"v":1,"type":"nobody"}')


def test_every_module_of_the_border_is_in_the_unions() -> None:
    for module, union in ((events, Event), (actions, Action)):
        declared = {
            value
            for value in vars(module).values()
            if isinstance(value, type)
            and value.__module__ == module.__name__
            and hasattr(value, "__dataclass_fields__")
        }
        assert declared == set(get_args(union))


def test_a_channel_comes_back_and_is_quick() -> None:
    text = to_json(CHANNEL)
    back = from_json(type(CHANNEL), text)
    assert back == CHANNEL
    assert to_json(back) == text
    reached: set[type] = set()
    _dataclasses(type(CHANNEL), reached)
    assert len(reached) > 15
    best = min(_timed(lambda: to_json(CHANNEL)) for _ in range(20))
    print(f"a channel of {len(text)} characters is written in {best * 1e6:.0f} µs")


def _timed(call: Any) -> float:
    start = time.perf_counter()
    for _ in range(20):
        call()
    return (time.perf_counter() - start) / 20


# --- older and newer rows -----------------------------------------------------------------------


def test_a_field_with_a_default_may_be_absent() -> None:
    older = json.loads(WRITTEN)
    del older["late"]
    assert from_json(Everything, json.dumps(older)) == EXAMPLE


def _changed(**changes: Any) -> str:
    return json.dumps({**json.loads(WRITTEN), **changes})


def _without(name: str) -> str:
    return json.dumps({k: v for k, v in json.loads(WRITTEN).items() if k != name})


BAD = [
    ("", "not JSON"),
    ("[" * 100_000, "not JSON"),
    ("1" * 5_000, "not JSON"),
    ("[]", "without its version"),
    ("null", "without its version"),
    (_without("v"), "without its version"),
    (_changed(v=True), "without its version"),
    (_changed(v=2), "this leyden knows 1"),
    (_changed(v=0), "version 0"),
    (_without("type"), "is not one of Everything"),
    (_changed(type="Leafy"), "is not one of Everything"),
    (_changed(type=["Everything"]), "is not one of Everything"),
    (_without("number"), "Everything without number"),
    (_changed(extra=1), "Everything with extra"),
    (_changed(number=1.0), "Everything.number: a float is not int"),
    (_changed(number=True), "Everything.number"),
    (_changed(number="1"), "Everything.number"),
    (_changed(truth=1), "Everything.truth"),
    (_changed(label=None), "Everything.label"),
    (_changed(data="0"), "not hexadecimal"),
    (_changed(data="00 ff"), "blanks"),
    (_changed(data="gg"), "not hexadecimal"),
    (_changed(data=3), "is not a text"),
    (_changed(colour="the red one"), "Colour has no"),
    (_changed(colour=[]), "is not a text"),
    (_changed(amount={"msat": None}), "Everything.amount: MilliSatoshi.msat"),
    (_changed(amount={"sat": 1}), "MilliSatoshi without msat"),
    (_changed(amount=5), "is not MilliSatoshi"),
    (_changed(shape=None), "Everything.shape"),
    (_changed(shape={"radius": 1}), "Everything.shape"),
    (_changed(shape={"type": "Circle"}), "Circle without radius"),
    (_changed(shape={"type": "Square"}), "Everything.shape"),
    (_changed(shapes={}), "is not a list"),
    (_changed(pair=["02"]), "1 values where 2 belong"),
    (_changed(pair="02"), "is not a list"),
    (_changed(table=[[{"ours": True, "number": 1}]]), "not a pair"),
    (_changed(table=[[{"ours": True, "number": 1}, None]] * 2), "a key twice"),
    (_changed(mixed=["00"]), "Everything.mixed"),
    (_changed(mixed=[{"type": "bytes"}]), "without a value"),
    (_changed(mixed=[{"type": "bytes", "value": "", "also": 1}]), "without a value"),
]


@pytest.mark.parametrize(("text", "complaint"), BAD)
def test_bad_values_are_decode_errors(text: str, complaint: str) -> None:
    with pytest.raises(DecodeError, match=complaint.replace("[", r"\[")):
        from_json(Everything, text)


def test_bad_leaves_are_decode_errors() -> None:
    for text, complaint in [
        ('{"v":1,"type":"Txid","value":"00"}', "a txid has 32 bytes"),
        ('{"v":1,"type":"Txid","value":"zz"}', "not a txid"),
        ('{"v":1,"type":"CommitmentFormat","value":"none"}', "no commitment format"),
        ('{"v":1,"type":"Message","value":"ff"}', "2 to 65535 bytes"),
        ('{"v":1,"type":"Message","value":"fffe00"}', "65534, which this leyden does not know"),
        ('{"v":1,"type":"Transaction","value":"02"}', "cut short"),
        ('{"v":1,"type":"Features","bits":[1,1]}', "a value twice"),
    ]:
        from wallet.base.wire.message import Message

        with pytest.raises(DecodeError, match=complaint):
            from_json(Txid | CommitmentFormat | Message | Transaction | Features, text)


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(
        [f.name for f in fields(Everything)] + ["v", "type", "value", "sat", "radius"]), inner),
))  # fmt: skip
def test_any_json_decodes_or_is_a_decode_error(value: object) -> None:
    head = {"v": 1, "type": "Everything"}
    text = json.dumps({**head, **value} if isinstance(value, dict) else value)
    try:
        from_json(Everything, text)
    except DecodeError as error:
        assert str(error)


@given(st.sampled_from([f.name for f in fields(Everything)]), st.text() | st.integers())
def test_one_wrong_field_is_a_decode_error_that_names_it(name: str, value: object) -> None:
    try:
        from_json(Everything, _changed(**{name: value}))
    except DecodeError as error:
        assert f"Everything.{name}" in str(error)


# --- mistakes of our own ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Floating:
    value: float


@dataclass(frozen=True, slots=True)
class Clashing:
    type: int


@dataclass(frozen=True, slots=True)
class Listed:
    values: list[int]


@dataclass(frozen=True, slots=True)
class Twofold:
    shape: Shape


def test_a_declaration_without_a_form_is_our_own_mistake() -> None:
    for value in (Floating(1.0), Clashing(1), Listed([1])):
        with pytest.raises(InvariantBroken):
            to_json(value)
    with pytest.raises(InvariantBroken):
        to_json(Twofold(Colour.RED))  # type: ignore[arg-type]
    with pytest.raises(InvariantBroken):
        register_leaf(Txid, str, Txid.from_display)


def test_a_transaction_input_is_a_plain_dataclass() -> None:
    txin = TxIn(OutPoint(Txid(bytes(32)), 0), witness=(b"", b"x"))
    out = TxOut(Satoshi(1), b"\x51")
    assert from_json(TxIn, to_json(txin)) == txin
    assert from_json(TxOut, to_json(out)) == out
    assert from_json(WalletKey, to_json(WalletKey(84, 0, 3))) == WalletKey(84, 0, 3)
    assert point(1) != point(2)
