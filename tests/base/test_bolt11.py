"""wallet/base/invoices/bolt11.py: what each rule of BOLT 11's reader and writer does."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wallet.base.bitcoin.chains import REGTEST
from wallet.base.bitcoin.script import p2pkh, p2sh, p2tr, p2wsh
from wallet.base.crypto.curve import point_of, sign_recoverable
from wallet.base.crypto.hashes import sha256
from wallet.base.errors import DecodeError, InvariantBroken, Refused
from wallet.base.invoices.bolt11 import (
    InvoiceFeatureError,
    InvoiceFields,
    InvoiceNetworkError,
    attach_signature,
    decode_invoice,
    encode_invoice,
)
from wallet.base.invoices.checksum import write_number
from wallet.base.invoices.tagged import HintHop
from wallet.base.values.amounts import MilliSatoshi
from wallet.base.values.blocks import CltvDelta
from wallet.base.values.features import Feature, Features
from wallet.base.values.ids import NodeId, PaymentHash, ShortChannelId, Signature

KEY = b"\x31" * 32
PAYEE = NodeId(point_of(KEY))
OTHER = NodeId(point_of(b"\x32" * 32))
PLAIN = InvoiceFields(
    prefix="bcrt",
    timestamp=1_700_000_000,
    payment_hash=PaymentHash(b"\x01" * 32),
    payment_secret=b"\x11" * 32,
    description="coffee",
)

# Types by their value in base 32.
P, R, FEATURES, X, F, D, S, N, H, C = 1, 3, 5, 6, 9, 13, 16, 19, 23, 24


def _encode(fields: InvoiceFields) -> str:
    return encode_invoice(fields, lambda digest: sign_recoverable(KEY, digest))


def _with(*extra: tuple[int, str]) -> str:
    """PLAIN and fields of any content, as (type, base-32 digits)."""
    unknown = tuple((kind, digits.encode()) for kind, digits in extra)
    return _encode(replace(PLAIN, unknown=unknown))


hops = st.builds(
    HintHop,
    st.sampled_from([PAYEE, OTHER]),
    st.integers(0, (1 << 64) - 1).map(ShortChannelId.from_int),
    st.integers(0, (1 << 32) - 1).map(MilliSatoshi),
    st.integers(0, (1 << 32) - 1),
    st.integers(0, (1 << 16) - 1).map(CltvDelta),
)
binary32 = st.binary(min_size=32, max_size=32)
descriptions: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.builds(lambda text: {"description": text, "description_hash": None}, st.text(max_size=150)),
    st.builds(lambda digest: {"description": None, "description_hash": digest}, binary32),
)
scripts = st.sampled_from(
    [p2pkh(b"\x05" * 20), p2sh(b"\x06" * 20), p2wsh(b"x"), p2tr(b"\x07" * 32), b"\x60\x02ab"]
)
fields_of_any_kind = st.builds(
    lambda words, **rest: InvoiceFields(**words, **rest),
    words=descriptions,
    prefix=st.sampled_from(["bc", "tb", "tbs", "bcrt"]),
    timestamp=st.integers(0, (1 << 35) - 1),
    payment_hash=binary32,
    payment_secret=binary32,
    amount=st.none() | st.integers(1, 21 * 10**17).map(MilliSatoshi),
    expiry=st.integers(0, (1 << 32) - 1),
    min_final_cltv=st.integers(0, (1 << 32) - 1).map(CltvDelta),
    metadata=st.none() | st.binary(max_size=639),
    named_payee=st.sampled_from([None, PAYEE]),
    fallbacks=st.lists(scripts, max_size=3).map(tuple),
    route_hints=st.lists(st.lists(hops, min_size=1, max_size=12).map(tuple), max_size=2).map(tuple),
    features=st.sets(st.sampled_from([8, 9, 14, 15, 16, 17, 48, 49, 99, 1001])).map(
        lambda bits: Features(frozenset(bits))
    ),
)


@settings(max_examples=60, deadline=None)
@given(fields_of_any_kind)
def test_round_trip(fields: InvoiceFields) -> None:
    text = _encode(fields)
    invoice = decode_invoice(text)
    for name in InvoiceFields.__dataclass_fields__:
        assert getattr(invoice, name) == getattr(fields, name), name
    assert invoice.payee == PAYEE
    assert decode_invoice(text.upper()) == invoice
    assert attach_signature(fields, invoice.signature, invoice.recovery_id) == text


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["lnbcrt", "lnbc2500u", "lnbc", "lnxy", "lnbc1m1"]),
    st.lists(st.integers(0, 31), max_size=300),
)
def test_arbitrary_data__decode_or_raise(hrp: str, words: list[int]) -> None:
    number = 0
    for word in words:
        number = number << 5 | word
    with pytest.raises(DecodeError):
        decode_invoice(write_number(hrp, number, len(words)))


@given(st.text(max_size=60))
def test_arbitrary_text__decode_or_raise(text: str) -> None:
    with pytest.raises(DecodeError):
        decode_invoice(text)
    with pytest.raises(DecodeError):
        decode_invoice("lnbcrt1" + text)


@pytest.mark.parametrize(
    ("msat", "written"),
    [
        (1, "10p"),
        (12, "120p"),
        (100, "1n"),
        (1000, "10n"),
        (100_000, "1u"),
        (250_000_000, "2500u"),
        (2_000_000_000, "20m"),
        (100_000_000_000, "1"),
        (2_100_000 * 10**12, "21000000"),
    ],
)
def test_amount__shortest_form(msat: int, written: str) -> None:
    text = _encode(replace(PLAIN, amount=MilliSatoshi(msat)))
    assert text.startswith(f"lnbcrt{written}1")
    assert decode_invoice(text).amount == MilliSatoshi(msat)


@pytest.mark.parametrize(
    ("amount", "reason"),
    [
        ("0u", "zero"),
        ("11p", "fraction"),
        ("1k", "not a number"),
        ("1mm", "not a number"),
        ("99999999999999999999999", "not a number"),
        ("21000001", "more than all"),
    ],
)
def test_amount__refused(amount: str, reason: str) -> None:
    data = int.from_bytes(bytes(100), "big")
    with pytest.raises(DecodeError, match=reason):
        decode_invoice(write_number("lnbcrt" + amount, data, 160))


@pytest.mark.parametrize("hrp", ["lnxx", "lntc10u", "ln", "bcrt", "lnbcrtx", "lnq"])
def test_prefix__not_known(hrp: str) -> None:
    with pytest.raises(DecodeError, match="network we know"):
        decode_invoice(write_number(hrp, 0, 160))


def test_network__another_than_ours() -> None:
    assert decode_invoice(_encode(PLAIN), REGTEST).prefix == "bcrt"
    text = _encode(replace(PLAIN, prefix="bc"))
    with pytest.raises(InvoiceNetworkError, match=r"is for bitcoin .* wallet is on regtest") as c:
        decode_invoice(text, REGTEST)
    assert c.value.prefix == "bc"


def test_expiry() -> None:
    assert decode_invoice(_encode(PLAIN)).expires_at == 1_700_003_600
    assert decode_invoice(_with((X, "1s"))).expires_at == 1_700_000_060
    assert decode_invoice(_with((C, "15"))).min_final_cltv == CltvDelta(37)


@pytest.mark.parametrize(
    ("kind", "digits", "reason"),
    [
        (X, "0s", "begins with a zero"),
        (C, "00", "begins with a zero"),
        (FEATURES, "08", "begins with a zero"),
        (X, "v" * 7, "too large"),
        (C, "1" * 300, "too large"),
        (H, "0" * 52, "either a description or the hash"),
        (N, "0" * 53, "not a point"),
        (R, "0" * 80, "wrong length"),
        (R, "0" * 82, "not a point"),
        (R, "", "wrong length"),
    ],
)
def test_field__refused(kind: int, digits: str, reason: str) -> None:
    with pytest.raises(DecodeError, match=reason):
        decode_invoice(_with((kind, digits)))


def test_first_field_of_a_type_counts() -> None:
    invoice = decode_invoice(_with((P, "0" * 52), (S, "0" * 52), (D, "")))
    assert invoice.payment_hash == PLAIN.payment_hash
    assert invoice.payment_secret == PLAIN.payment_secret
    assert invoice.description == "coffee"


@pytest.mark.parametrize(("kind", "right"), [(P, 52), (S, 52), (H, 52), (N, 53)])
@pytest.mark.parametrize("off", [-1, 1])
def test_wrong_length__skipped(kind: int, right: int, off: int) -> None:
    digits = "0" * (right + off)
    assert decode_invoice(_with((kind, digits))).unknown == ((kind, digits.encode()),)


def _bare(*fields: tuple[int, str]) -> str:
    """An invoice of these fields only, signed."""
    number, count = 1_700_000_000, 7
    for kind, digits in fields:
        number = number << 15 | kind << 10 | len(digits)
        number = number << 5 * len(digits) | int(digits, 32)
        count += 3 + len(digits)
    size = -(-5 * count // 8)
    digest = sha256(b"lnbcrt" + (number << 8 * size - 5 * count).to_bytes(size, "big"))
    signature, recovery_id = sign_recoverable(KEY, digest)
    seal = int.from_bytes(signature, "big") << 8 | recovery_id
    return write_number("lnbcrt", number << 520 | seal, count + 104)


SECRET, HASH, TEXT = (S, "1" * 52), (P, "2" * 52), (D, "cc")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ((SECRET, TEXT), "no payment hash"),
        ((HASH, TEXT), "no payment secret"),
        ((HASH, SECRET), "either a description"),
        ((HASH, SECRET, TEXT, (H, "1" * 52)), "either a description"),
        ((HASH, (S, "1" * 51), TEXT), "no payment secret"),
        (((P, "1" * 53), SECRET, TEXT), "no payment hash"),
        ((HASH, SECRET, (D, "vvvv")), "not UTF-8"),
    ],
)
def test_missing(fields: tuple[tuple[int, str], ...], reason: str) -> None:
    assert decode_invoice(_bare(HASH, SECRET, TEXT)).payee == PAYEE
    with pytest.raises(DecodeError, match=reason):
        decode_invoice(_bare(*fields))


def test_a_field_longer_than_the_data() -> None:
    number = 1_700_000_000 << 15 | D << 10 | 9
    with pytest.raises(DecodeError, match="reaches into the signature"):
        decode_invoice(write_number("lnbcrt", number << 520, 10 + 104))


@pytest.mark.parametrize("cut", [1, 2])
def test_a_field_without_its_length(cut: int) -> None:
    number = 1_700_000_000 << 5 * cut
    with pytest.raises(DecodeError, match="reaches into the signature"):
        decode_invoice(write_number("lnbcrt", number << 520, 7 + cut + 104))


@pytest.mark.parametrize("bit", [10, 22, 24, 36, 100, 256])
def test_required_feature_that_we_lack(bit: int) -> None:
    text = _encode(replace(PLAIN, features=Features(frozenset({8, 14, bit}))))
    with pytest.raises(InvoiceFeatureError, match=str(bit)) as caught:
        decode_invoice(text)
    assert caught.value.bits == (bit,)


@pytest.mark.parametrize("bit", [9, 11, 25, 101, 257])
def test_optional_feature__ignored(bit: int) -> None:
    features = Features(frozenset({8, 14, bit}))
    assert decode_invoice(_encode(replace(PLAIN, features=features))).features == features


def test_feature_without_its_dependency() -> None:
    features = Features(frozenset({8, 14, Feature.OPTION_ZEROCONF + 1}))
    with pytest.raises(InvoiceFeatureError, match="option_zeroconf without option_scid_alias"):
        decode_invoice(_encode(replace(PLAIN, features=features)))


def test_named_payee__signed_by_somebody_else() -> None:
    text = _encode(replace(PLAIN, named_payee=OTHER))
    with pytest.raises(DecodeError, match="not by the payee"):
        decode_invoice(text)


@pytest.mark.parametrize("recovery_id", [4, 255])
def test_recovery_id__impossible(recovery_id: int) -> None:
    signature = sign_recoverable(KEY, bytes(32))[0]
    with pytest.raises(DecodeError, match="recoverable"):
        decode_invoice(attach_signature(PLAIN, signature, recovery_id))


def test_signature__of_zeros() -> None:
    for payee in (None, PAYEE):
        text = attach_signature(replace(PLAIN, named_payee=payee), Signature(bytes(64)), 0)
        with pytest.raises(DecodeError):
            decode_invoice(text)


@pytest.mark.parametrize("version", range(17, 32))
def test_fallback__unknown_versions_are_skipped(version: int) -> None:
    digit = "0123456789abcdefghijklmnopqrstuv"[version]
    invoice = decode_invoice(_with((F, digit + "0" * 30)))
    assert invoice.fallbacks == ()
    assert len(invoice.unknown) == 1


def test_fallback__that_no_script_can_be() -> None:
    for digits in ("", "0" + "0" * 20, "1" + "0" * 2, "2" + "0" * 70):
        assert decode_invoice(_with((F, digits))).fallbacks == ()
    with pytest.raises(InvariantBroken):
        _encode(replace(PLAIN, fallbacks=(b"\x6a",)))


def test_write__refused() -> None:
    with pytest.raises(Refused, match="640 bytes") as caught:
        _encode(replace(PLAIN, description="x" * 640))
    assert caught.value.code == -32602
    assert decode_invoice(_encode(replace(PLAIN, description="x" * 639))).description == "x" * 639
    with pytest.raises(InvariantBroken, match="either"):
        _encode(replace(PLAIN, description=None))
    with pytest.raises(InvariantBroken, match="over"):
        _encode(replace(PLAIN, amount=MilliSatoshi(0)))
    with pytest.raises(InvariantBroken, match="639"):
        _encode(replace(PLAIN, metadata=bytes(640)))
    with pytest.raises(InvariantBroken, match="does not fit"):
        _encode(replace(PLAIN, timestamp=1 << 35))


def test_sanity__another_signature_is_another_payee() -> None:
    digest_signer = sign_recoverable(b"\x33" * 32, bytes(32))
    other = decode_invoice(attach_signature(PLAIN, *digest_signer))
    assert other.payee != PAYEE


@pytest.mark.parametrize("text", ["lno1pgx9xet5v4hku", "LNR1QQGZ", "lni1qqg"])
def test_bolt_12_is_called_by_its_name(text: str) -> None:
    """It has no checksum; nobody should look for a mistyped character."""
    with pytest.raises(DecodeError, match="of BOLT 12, and only BOLT 11 is understood"):
        decode_invoice(text)
