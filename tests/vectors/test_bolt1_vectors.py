"""BOLT 1, appendices A (BigSize), B (TLV streams), C (message extension), D (signed integers)."""

import json
from dataclasses import dataclass, fields
from itertools import product
from pathlib import Path
from typing import Any, Final

import pytest

from wallet.base.errors import DecodeError
from wallet.base.values.ids import ShortChannelId
from wallet.base.wire import decode, encode
from wallet.base.wire.codec import (
    U64,
    Codec,
    PointField,
    bigsize,
    composite,
    s8,
    s16,
    s32,
    s64,
    scid,
    tu32,
    tu64,
    u16,
)
from wallet.base.wire.setup import Init
from wallet.base.wire.tlv import Namespace, Tlv

# `Any`: tables of published figures.
DATA: Final[dict[str, Any]] = json.loads(
    (Path(__file__).parent.parent / "data" / "bolt1.json").read_text()
)


@dataclass(frozen=True, slots=True)
class Tlv3:
    """Record 3 of namespace n1."""

    node_id: PointField
    amount_msat_1: U64
    amount_msat_2: U64


N1: Final = Namespace(
    {
        "tlv1": Tlv(1, tu64),
        "tlv2": Tlv(2, scid),
        "tlv3": Tlv(3, composite(Tlv3)),
        "tlv4": Tlv(254, u16),
    }
)
N2: Final = Namespace({"tlv1": Tlv(0, tu64), "tlv2": Tlv(11, tu32)})
NAMESPACES: Final = {"n1": N1, "n2": N2}


def _refused(namespace: Namespace, stream: str) -> bool:
    try:
        namespace.read(bytes.fromhex(stream))
    except DecodeError:
        return True
    return False


def _report(what: str, good: int, wanted: int) -> None:
    print(f"BOLT 1 {what} {good}/{wanted}")
    assert good == wanted


def test_appendix_a_decoding() -> None:
    good = 0
    for vector in DATA["bigsize_decoding"]:
        data = bytes.fromhex(vector["bytes"])
        if vector["value"] is None:
            with pytest.raises(DecodeError):
                bigsize.read(data, 0)
            good += 1
        else:
            good += bigsize.read(data, 0) == (vector["value"], len(data))
    _report("appendix A decoding", good, 18)


def test_appendix_a_encoding() -> None:
    good = sum(bigsize.write(v["value"]).hex() == v["bytes"] for v in DATA["bigsize_encoding"])
    _report("appendix A encoding", good, 8)


def test_appendix_b_failures() -> None:
    good = 0
    for stream in DATA["tlv_any_namespace_invalid"] + DATA["tlv_either_invalid"]:
        good += all(_refused(namespace, stream) for namespace in NAMESPACES.values())
    for stream in DATA["tlv_n1_invalid"] + DATA["tlv_n1_stream_invalid"]:
        good += _refused(N1, stream)
    for stream in DATA["tlv_n2_stream_invalid"]:
        good += _refused(N2, stream)
    _report("appendix B failures", good, 9 + 4 + 20 + 4 + 1)


def test_appendix_b_ignored() -> None:
    good = 0
    for stream in DATA["tlv_either_valid"]:
        for namespace in NAMESPACES.values():
            known, unknown = namespace.read(bytes.fromhex(stream))
            good += not known and len(unknown) == (1 if stream else 0)
    _report("appendix B ignored, both namespaces", good, 7 * 2)


def _as_published(value: object) -> object:
    if isinstance(value, Tlv3):
        return {
            f.name: v.hex() if isinstance(v := getattr(value, f.name), bytes) else str(v)
            for f in fields(value)
        }
    return str(value)


def test_appendix_b_values() -> None:
    good = 0
    for stream, record, values in DATA["tlv_n1_valid"]:
        known, unknown = N1.read(bytes.fromhex(stream))
        assert (list(known), unknown) == ([record], ())
        if record == "tlv2":
            assert isinstance(known[record], ShortChannelId)
        wanted = values if record == "tlv3" else next(iter(values.values()))
        good += _as_published(known[record]) == wanted
    _report("appendix B values", good, 12)


def test_appendix_b_appending() -> None:
    """An invalid stream after a valid one is refused; a higher valid one after a lower is not."""
    valid = [s for s, *_ in DATA["tlv_n1_valid"]] + [s for s in DATA["tlv_either_valid"] if s]
    invalid = DATA["tlv_any_namespace_invalid"] + DATA["tlv_n1_invalid"]
    assert all(_refused(N1, a + b) for a, b in product(valid, invalid))

    def first_type(stream: str) -> int:
        return bigsize.read(bytes.fromhex(stream), 0)[0]

    for a, b in product(valid, valid):
        assert _refused(N1, a + b) is (first_type(a) >= first_type(b))


def test_appendix_c() -> None:
    good = 0
    for data in DATA["init_valid"]:
        message = decode(bytes.fromhex(data))
        good += isinstance(message, Init) and encode(message).hex() == data
    for data in DATA["init_invalid"]:
        with pytest.raises(DecodeError):
            decode(bytes.fromhex(data))
        good += 1
    _report("appendix C", good, 5)


def test_appendix_d() -> None:
    codecs: dict[int, Codec[int]] = {1: s8, 2: s16, 4: s32, 8: s64}
    good = 0
    for vector in DATA["signed_integers"]:
        data = bytes.fromhex(vector["bytes"])
        codec = codecs[len(data)]
        good += codec.read_all(data) == vector["value"] and codec.write(vector["value"]) == data
    _report("appendix D", good, 23)
