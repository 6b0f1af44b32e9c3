"""BOLT 11 invoices: text to `Invoice`, and `InvoiceFields` to text.

Signing happens elsewhere: `signing_digest` says what to sign and `attach_signature` writes the
text; `encode_invoice` does both with a callable.  Reading checks everything that BOLT 11 asks of a
reader except time, so what is decoded may be paid unless it has expired.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from wallet.base.bitcoin.chains import CHAINS, Chain
from wallet.base.crypto.curve import ORDER, recover, verify
from wallet.base.crypto.hashes import sha256
from wallet.base.errors import DecodeError, InvariantBroken, Refused
from wallet.base.invoices.checksum import read_digits, write_number
from wallet.base.invoices.tagged import (
    FieldWriter,
    HintHop,
    read_fallback,
    read_number,
    read_octets,
    read_point,
    read_route,
    read_short_number,
    read_text,
    write_fallback,
    write_route,
)
from wallet.base.values.amounts import MilliSatoshi
from wallet.base.values.blocks import CltvDelta
from wallet.base.values.features import Feature, Features, name_of
from wallet.base.values.ids import NodeId, PaymentHash, Signature

DEFAULT_EXPIRY: Final = 3600
"""BOLT 11: seconds an invoice lives when it does not say."""
DEFAULT_MIN_FINAL_CLTV: Final = CltvDelta(18)
"""BOLT 11: blocks the last HTLC must have left when the invoice does not say."""
MAX_AMOUNT: Final = MilliSatoshi(21_000_000 * 100_000_000 * 1000)

UNDERSTOOD: Final = Features.of(
    required=(Feature.VAR_ONION_OPTIN, Feature.PAYMENT_SECRET),
    optional=(Feature.BASIC_MPP, Feature.OPTION_PAYMENT_METADATA),
)
"""What an invoice may require of us as payer. A payment of one part satisfies `basic_mpp`."""

# BOLT 11's types by their value in base 32.
_P, _R, _9, _X, _F, _D, _S, _N, _H, _C, _M = 1, 3, 5, 6, 9, 13, 16, 19, 23, 24, 27
# `data_length` of the fields that have a fixed one.
_FIXED: Final = {_P: 52, _H: 52, _S: 52, _N: 53}

MAX_DESCRIPTION: Final = 639
"""Bytes of UTF-8 that a description may have (1023 base-32 digits)."""
NO_FEATURES: Final = Features()

_TIMESTAMP_DIGITS: Final = 7
_SIGNATURE_DIGITS: Final = 104
_PREFIXES: Final = tuple(sorted({chain.invoice_prefix for chain in CHAINS}, key=len, reverse=True))
_HRP: Final = re.compile(rf"ln({'|'.join(_PREFIXES)})([0-9].*)?", re.ASCII)
_AMOUNT: Final = re.compile(r"([0-9]{1,20})([munp]?)", re.ASCII)
# Tenths of a millisatoshi (pico-bitcoin) per unit of each multiplier, largest first.
_PICO: Final = {"": 10**12, "m": 10**9, "u": 10**6, "n": 10**3, "p": 1}


class InvoiceFeatureError(DecodeError):
    """The invoice is sound but asks for what we cannot do; `bits` are the features at fault."""

    def __init__(self, message: str, bits: tuple[int, ...]) -> None:
        super().__init__(message)
        self.bits = bits


class InvoiceNetworkError(DecodeError):
    """The invoice is for another network; `prefix` is its own."""

    def __init__(self, message: str, prefix: str) -> None:
        super().__init__(message)
        self.prefix = prefix


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceFields:
    """What an invoice says, before it is signed.

    `prefix` is BOLT 11's without `ln` (`bcrt` for regtest), `timestamp` seconds since 1970,
    `expiry` seconds, `fallbacks` output scripts, `named_payee` the `n` field, `unknown` the fields
    that we skip, as (type, base-32 digits).  Exactly one of the two descriptions is set.
    """

    prefix: str
    timestamp: int
    payment_hash: PaymentHash
    payment_secret: bytes
    amount: MilliSatoshi | None = None
    description: str | None = None
    description_hash: bytes | None = None
    expiry: int = DEFAULT_EXPIRY
    min_final_cltv: CltvDelta = DEFAULT_MIN_FINAL_CLTV
    metadata: bytes | None = None
    named_payee: NodeId | None = None
    fallbacks: tuple[bytes, ...] = ()
    route_hints: tuple[tuple[HintHop, ...], ...] = ()
    features: Features = NO_FEATURES
    unknown: tuple[tuple[int, bytes], ...] = ()

    @property
    def expires_at(self) -> int:
        """Seconds since 1970 from which on it SHOULD NOT be paid."""
        return self.timestamp + self.expiry


@dataclass(frozen=True, slots=True, kw_only=True)
class Invoice(InvoiceFields):
    """A signed invoice. `payee` made the signature: named by the invoice, or recovered from it."""

    payee: NodeId
    signature: Signature
    recovery_id: int


# --- reading ------------------------------------------------------------------------------------

_BOLT12: Final = {"lno1": "an offer", "lnr1": "an invoice request", "lni1": "an invoice"}
"""They have no checksum: read as BOLT 11 they would look mistyped."""


def decode_invoice(text: str, chain: Chain | None = None) -> Invoice:
    """Parse and verify an invoice, upper or lower case, without `lightning:` in front.

    Raises `InvoiceNetworkError` when `chain` is given and is not the invoice's,
    `InvoiceFeatureError` for features that we lack, and `DecodeError` for everything else.
    """
    if what := _BOLT12.get(text[:4].lower()):
        raise DecodeError(
            f"it is {what} of BOLT 12, and only BOLT 11 is understood here:"
            " ask the payee for an invoice of that kind"
        )
    hrp, digits = read_digits(text)
    prefix, amount = _read_hrp(hrp)
    if chain is not None and chain.invoice_prefix != prefix:
        names = " or ".join(c.name for c in CHAINS if c.invoice_prefix == prefix)
        raise InvoiceNetworkError(
            f"this invoice is for {names} (ln{prefix}), and this wallet is on {chain}", prefix
        )
    end = len(digits) - _SIGNATURE_DIGITS
    if end < _TIMESTAMP_DIGITS:
        raise DecodeError("it is too short to hold a time and a signature")
    fields = _read_fields(digits, end)
    _check_fields(fields)
    seal = int(digits[end:], 32)
    signature = Signature((seal >> 8).to_bytes(64, "big"))
    digest = _digest(hrp, int(digits[:end], 32), end)
    return Invoice(
        prefix=prefix,
        amount=amount,
        timestamp=int(digits[:_TIMESTAMP_DIGITS], 32),
        payee=_payee(fields.get("named_payee"), digest, signature, seal & 0xFF),
        signature=signature,
        recovery_id=seal & 0xFF,
        **fields,
    )


def _read_hrp(hrp: str) -> tuple[str, MilliSatoshi | None]:
    found = _HRP.fullmatch(hrp)
    if found is None:
        raise DecodeError(f"it does not begin like an invoice of a network we know: {hrp[:40]!r}")
    prefix, written = found.groups()
    if written is None:
        return prefix, None
    amount = _AMOUNT.fullmatch(written)
    if amount is None:
        raise DecodeError(f"the amount {written[:40]!r} is not a number with m, u, n or p behind")
    pico = int(amount[1]) * _PICO[amount[2]]
    if pico % 10:
        raise DecodeError("the amount has a fraction of a millisatoshi")
    if not 0 < pico // 10 <= MAX_AMOUNT.msat:
        raise DecodeError("the amount is zero, or more than all bitcoin")
    return prefix, MilliSatoshi(pico // 10)


# `Any`: the values go into `Invoice` by name; the readers beside each name are typed.
def _read_fields(digits: bytes, end: int) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    fallbacks: list[bytes] = []
    routes: list[tuple[HintHop, ...]] = []
    unknown: list[tuple[int, bytes]] = []
    at = _TIMESTAMP_DIGITS
    while at < end:
        start = at + 3
        kind = int(digits[at : at + 1], 32)
        at = start + int(digits[at + 1 : start], 32)
        if start > end or at > end:
            raise DecodeError("a field reaches into the signature")
        data = digits[start:at]
        reader = _READERS.get(kind)
        if reader is not None:
            name, read = reader
            # The examples of BOLT 11 skip `p`, `h`, `s` and `n` fields of a wrong length, where
            # its text says to fail. Skipping is safe: without a right `p` and `s` we fail anyway,
            # and without a right `n` the key comes from the signature.
            if _FIXED.get(kind, len(data)) != len(data):
                unknown.append((kind, data))
            elif name not in fields:  # BOLT 11: most preferred first
                fields[name] = read(data)
        elif kind == _R:
            routes.append(read_route(data))
        elif kind == _F and (script := read_fallback(data)) is not None:
            fallbacks.append(script)
        else:
            unknown.append((kind, data))
    fields["fallbacks"] = tuple(fallbacks)
    fields["route_hints"] = tuple(routes)
    fields["unknown"] = tuple(unknown)
    return fields


def _read_features(data: bytes) -> Features:
    number = read_number(data)
    return Features.from_bytes(number.to_bytes((number.bit_length() + 7) // 8, "big"))


_READERS: Final[dict[int, tuple[str, Callable[[bytes], Any]]]] = {
    _P: ("payment_hash", read_octets),
    _S: ("payment_secret", read_octets),
    _D: ("description", read_text),
    _H: ("description_hash", read_octets),
    _M: ("metadata", read_octets),
    _N: ("named_payee", read_point),
    _X: ("expiry", read_short_number),
    _C: ("min_final_cltv", lambda data: CltvDelta(read_short_number(data))),
    _9: ("features", _read_features),
}


def _check_fields(fields: dict[str, Any]) -> None:
    if "payment_hash" not in fields:
        raise DecodeError("it has no payment hash")
    if "payment_secret" not in fields:
        raise DecodeError("it has no payment secret")
    if ("description" in fields) == ("description_hash" in fields):
        raise DecodeError("it must have either a description or the hash of one")
    features: Features = fields.get("features", NO_FEATURES)
    if unknown := features.unknown_required(UNDERSTOOD):
        names = ", ".join(map(name_of, unknown[:8]))
        raise InvoiceFeatureError(
            f"this invoice requires {names}, which this wallet does not have", tuple(unknown)
        )
    for feature, missing in features.missing_dependencies():
        raise InvoiceFeatureError(
            f"this invoice sets {feature.word} without {missing.word}, on which it depends",
            (int(missing),),
        )


def _payee(named: NodeId | None, digest: bytes, signature: Signature, recovery_id: int) -> NodeId:
    if named is None:
        # BOLT 11: MUST perform public-key recovery and accept both high-S and low-S signatures.
        return NodeId(recover(signature, recovery_id, digest))
    # BOLT 11, with an `n` field: if the signature is not low-S, MUST fail the payment.
    if int.from_bytes(signature[32:], "big") > ORDER // 2:
        raise DecodeError("the signature has a high S, which is not allowed beside a payee field")
    if not verify(named, digest, signature):
        raise DecodeError("the signature is not by the payee that the invoice names")
    return named


def _digest(hrp: str, number: int, count: int) -> bytes:
    # BOLT 11: the human-readable part and the data, with 0 bits to a byte boundary.
    size = -(-5 * count // 8)
    return sha256(hrp.encode() + (number << 8 * size - 5 * count).to_bytes(size, "big"))


# --- writing ------------------------------------------------------------------------------------


def signing_digest(fields: InvoiceFields) -> bytes:
    """The 32 bytes that the payee signs."""
    return _digest(*_unsigned(fields))


def attach_signature(fields: InvoiceFields, signature: Signature, recovery_id: int) -> str:
    """The invoice's text, in lower case, with the payee's signature over `signing_digest`."""
    return _seal(*_unsigned(fields), signature, recovery_id)


def encode_invoice(fields: InvoiceFields, sign: Callable[[bytes], tuple[Signature, int]]) -> str:
    """The invoice's text; `sign` makes a recoverable signature over 32 bytes."""
    hrp, number, count = _unsigned(fields)
    return _seal(hrp, number, count, *sign(_digest(hrp, number, count)))


def _seal(hrp: str, number: int, count: int, signature: Signature, recovery_id: int) -> str:
    seal = int.from_bytes(signature, "big") << 8 | recovery_id
    return write_number(hrp, number << 5 * _SIGNATURE_DIGITS | seal, count + _SIGNATURE_DIGITS)


def _write_hrp(fields: InvoiceFields) -> str:
    if fields.amount is None:
        return "ln" + fields.prefix
    pico = fields.amount.msat * 10
    if not 0 < fields.amount.msat <= MAX_AMOUNT.msat:
        raise InvariantBroken(f"an invoice over {fields.amount}")
    unit, size = next((u, size) for u, size in _PICO.items() if pico % size == 0)
    return f"ln{fields.prefix}{pico // size}{unit}"


def _unsigned(fields: InvoiceFields) -> tuple[str, int, int]:
    # (human-readable part, data as a number, its digits).
    if (fields.description is None) == (fields.description_hash is None):
        raise InvariantBroken("an invoice has either a description or the hash of one")
    out = FieldWriter()
    out.digits(fields.timestamp, _TIMESTAMP_DIGITS)
    out.octets(_S, fields.payment_secret)
    out.octets(_P, fields.payment_hash)
    if fields.description is not None:
        description = fields.description.encode()
        if len(description) > MAX_DESCRIPTION:
            raise Refused(
                f"The description has {len(description)} bytes and an invoice holds "
                f"{MAX_DESCRIPTION}. A shorter one, or only its hash, would fit.",
                -32602,
            )
        out.octets(_D, description)
    if fields.description_hash is not None:
        out.octets(_H, fields.description_hash)
    if fields.metadata is not None:
        out.octets(_M, fields.metadata)
    # An absent `x` or `c` says the same as its default, in fewer characters.
    if fields.expiry != DEFAULT_EXPIRY:
        out.number(_X, fields.expiry)
    if fields.min_final_cltv != DEFAULT_MIN_FINAL_CLTV:
        out.number(_C, fields.min_final_cltv.blocks)
    if fields.named_payee is not None:
        out.octets(_N, fields.named_payee)
    for script in fields.fallbacks:
        write_fallback(out, _F, script)
    for route in fields.route_hints:
        write_route(out, _R, route)
    if fields.features.bits:
        out.number(_9, int.from_bytes(fields.features.to_bytes(), "big"))
    for kind, digits in fields.unknown:
        out.field(kind, int(digits or b"0", 32), len(digits))
    return _write_hrp(fields), out.value, out.count
