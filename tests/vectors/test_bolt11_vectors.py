"""BOLT 11, "Examples" and "Examples of Invalid Invoices": all sixteen and all ten."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from wallet.base.bitcoin.address import decode_address
from wallet.base.bitcoin.chains import MAINNET, TESTNET4
from wallet.base.crypto.curve import ORDER, sign_recoverable
from wallet.base.errors import DecodeError
from wallet.base.invoices.bolt11 import (
    Invoice,
    InvoiceFeatureError,
    InvoiceFields,
    attach_signature,
    decode_invoice,
    encode_invoice,
    signing_digest,
)
from wallet.base.invoices.tagged import HintHop
from wallet.base.values.amounts import MilliSatoshi
from wallet.base.values.blocks import CltvDelta
from wallet.base.values.features import Features
from wallet.base.values.ids import NodeId, PaymentHash, Point, ShortChannelId, Signature

DATA: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "data" / "bolt11_examples.json").read_text()
)
VALID: list[dict[str, Any]] = DATA["valid"]
INVALID: list[dict[str, Any]] = DATA["invalid"]

KEY = bytes.fromhex("e126f68f7eafcc8b74f54d269fe206be715000f94dac067d1c04a8ca3b2db734")
PAYEE = NodeId(
    Point(bytes.fromhex("03e7156ae33b0a208d0744199163177e909e80176e55d97a2f221ede0f934dd9ad"))
)
SOME_HASH = PaymentHash(
    bytes.fromhex("0001020304050607080900010203040506070809000102030405060708090102")
)
LIST_HASH = bytes.fromhex("3925b6f67e2c340036ed12093dd44e0368df1b6ea26c53dbe4811f58fd5db8c1")
NONSENSE = "ナンセンス 1杯"
STORE = (
    "Blockstream Store: 88.85 USD for Blockstream Ledger Nano S x 1, "
    '"Back In My Day" Sticker x 2, "I Got Lightning Working" Sticker x 2 and 1 more items'
)


def _hop(key: str, scid: str, base: int, rate: int, delta: int) -> HintHop:
    return HintHop(
        NodeId(Point(bytes.fromhex(key))),
        ShortChannelId.parse(scid),
        MilliSatoshi(base),
        rate,
        CltvDelta(delta),
    )


ROUTE = (
    _hop(
        "029e03a901b85534ff1e92c43c74431f7ce72046060fcf7a95c37e148f78c77255",
        "66051x263430x1800", 1, 20, 3,
    ),
    _hop(
        "039e03a901b85534ff1e92c43c74431f7ce72046060fcf7a95c37e148f78c77255",
        "197637x395016x2314", 2, 30, 4,
    ),
)  # fmt: skip
STORE_ROUTE = (
    _hop(
        "03d06758583bb5154774a6eb221b1276c9e82d65bbaceca806d90e20c108f4b1c7",
        "589390x3312x1", 1000, 2500, 40,
    ),
)  # fmt: skip


def _main(address: str) -> tuple[bytes, ...]:
    return (decode_address(address, MAINNET),)


BASE: dict[str, Any] = {
    "prefix": "bc", "timestamp": 1_496_314_658, "payment_hash": SOME_HASH,
    "payment_secret": b"\x11" * 32, "features": Features(frozenset({8, 14})), "payee": PAYEE,
    "amount": None, "description": None, "description_hash": None, "expiry": 3600,
    "min_final_cltv": CltvDelta(18), "metadata": None, "named_payee": None, "fallbacks": (),
    "route_hints": (),
}  # fmt: skip
LIST = {"amount": MilliSatoshi(2_000_000_000), "description_hash": LIST_HASH}
COFFEE = {
    "amount": MilliSatoshi(2_500_000_000),
    "description": "coffee beans",
    "features": Features(frozenset({8, 14, 99})),
}
DONATION = {"description": "Please consider supporting this project"}

# What differs from BASE in each valid example, in the BOLT's order.
EXPECTED: list[dict[str, Any]] = [
    DONATION,
    {"amount": MilliSatoshi(250_000_000), "description": "1 cup coffee", "expiry": 60},
    {"amount": MilliSatoshi(250_000_000), "description": NONSENSE, "expiry": 60},
    LIST,
    LIST
    | {
        "prefix": "tb",
        "fallbacks": (decode_address("mk2QpYatsKicvFVuTAQLBryyccRXMUaGHP", TESTNET4),),
    },
    LIST | {"fallbacks": _main("1RustyRX2oai4EYYDpQGWvEL62BBGqN9T"), "route_hints": (ROUTE,)},
    LIST | {"fallbacks": _main("3EktnHQD7RiAE6uzMj2ZifT9YgRrkSgzQX")},
    LIST | {"fallbacks": _main("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4")},
    LIST | {"fallbacks": _main("bc1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qccfmv3")},
    LIST | {"fallbacks": _main("bc1pptdvg0d2nj99568qn6ssdy4cygnwuxgw2ukmnwgwz7jpqjz2kszse2s3lm")},
    {
        "timestamp": 1_572_468_703,
        "payment_hash": bytes.fromhex(
            "462264ede7e14047e9b249da94fefc47f41f7d02ee9b091815a5506bc8abf75f"
        ),
        "amount": MilliSatoshi(967_878_534),
        "description": STORE,
        "expiry": 604_800,
        "min_final_cltv": CltvDelta(10),
        "route_hints": (STORE_ROUTE,),
    },
    COFFEE,
    COFFEE,
    COFFEE,
    {
        "amount": MilliSatoshi(1_000_000_000),
        "description": "payment metadata inside",
        "metadata": bytes.fromhex("01fafaf0"),
        "features": Features(frozenset({8, 14, 48})),
    },
    # A high S leads to another key: the example is the first one with S negated.
    DONATION
    | {
        "payee": bytes.fromhex("02d0139ce7427d6dfffd26a326c18be754ef1e64672b42694ba5b23ef6e6e7803d")
    },
]

# In the order of the BOLT: what the person is told.
REASONS = [
    "requires feature bit 100",
    "checksum does not match",
    "no 1 stands between",
    "upper and lower case are mixed",
    "no key can have made this signature",
    "too short to hold a time and a signature",
    "'2500x' is not a number",
    "fraction of a millisatoshi",
    "no payment secret",
    "high S",
]


def test_counts() -> None:
    assert len(VALID) == len(EXPECTED) == 16
    assert len(INVALID) == len(REASONS) == 10
    print(f"\nBOLT 11 examples: {len(VALID)}/16 valid, {len(INVALID)}/10 invalid")


@pytest.mark.parametrize("number", range(16))
def test_valid(number: int) -> None:
    example = VALID[number]
    invoice = decode_invoice(example["invoice"])
    for name, value in (BASE | EXPECTED[number]).items():
        assert getattr(invoice, name) == value, name
    if "signature" in example:
        assert invoice.signature.hex() == example["signature"]
        assert invoice.recovery_id == example["recovery_id"]


# The examples whose fields stand in the order in which we write them.
SAME_ORDER = (0, 1, 2, 3, 5, 9)


@pytest.mark.parametrize("number", SAME_ORDER)
def test_encode(number: int) -> None:
    example = VALID[number]
    fields = BASE | EXPECTED[number]
    del fields["payee"]
    plain = InvoiceFields(**fields)
    assert signing_digest(plain).hex() == example["digest"]
    text = encode_invoice(plain, lambda digest: sign_recoverable(KEY, digest))
    assert text == example["invoice"]


def _facts(invoice: Invoice) -> Invoice:
    # The order of fields is ours when we write, so only the signature may differ.
    return replace(invoice, signature=BASE["payment_secret"], recovery_id=0, payee=PAYEE)


@pytest.mark.parametrize("number", range(16))
def test_reencode(number: int) -> None:
    invoice = decode_invoice(VALID[number]["invoice"])
    again = decode_invoice(encode_invoice(invoice, lambda d: sign_recoverable(KEY, d)))
    assert again.payee == PAYEE
    assert _facts(again) == _facts(invoice)


def test_fields_to_be_ignored_are_kept() -> None:
    assert len(decode_invoice(VALID[13]["invoice"]).unknown) == 10


@pytest.mark.parametrize("number", range(10))
def test_invalid(number: int) -> None:
    with pytest.raises(DecodeError, match=REASONS[number]) as caught:
        decode_invoice(INVALID[number]["invoice"])
    assert isinstance(caught.value, InvoiceFeatureError) == (number == 0)
    if isinstance(caught.value, InvoiceFeatureError):
        assert caught.value.bits == (100,)


def _negated(signature: Signature) -> Signature:
    high = ORDER - int.from_bytes(signature[32:], "big")
    return Signature(signature[:32] + high.to_bytes(32, "big"))


def test_trap_4__high_s_with_and_without_a_named_payee() -> None:
    # bolts #1298: with `n` a high S MUST fail; without it both forms recover a key.
    fields = BASE | DONATION
    del fields["payee"]
    named = InvoiceFields(**(fields | {"named_payee": PAYEE}))
    signature, recovery_id = sign_recoverable(KEY, signing_digest(named))
    assert decode_invoice(attach_signature(named, signature, recovery_id)).payee == PAYEE
    with pytest.raises(DecodeError, match="high S"):
        decode_invoice(attach_signature(named, _negated(signature), recovery_id ^ 1))

    unnamed = InvoiceFields(**fields)
    signature, recovery_id = sign_recoverable(KEY, signing_digest(unnamed))
    text = attach_signature(unnamed, _negated(signature), recovery_id ^ 1)
    assert decode_invoice(text).payee == PAYEE
