"""Every failure message of BOLT 4, declared once in the BOLT's words.

A failure has a 2-byte code whose top bits say what failed, then its data.  The sender of a payment
ignores whatever follows the data.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Annotated, Any, ClassVar, Final, TypeVar, dataclass_transform, get_type_hints

from wallet.base.errors import DecodeError
from wallet.base.values.amounts import MilliSatoshi
from wallet.base.values.blocks import BlockHeight, CltvExpiry

BADONION: Final = 0x8000
"""The sending peer's onion was unparsable: travels in `update_fail_malformed_htlc`."""
PERM: Final = 0x4000
"""Permanent; otherwise it may work later."""
NODE: Final = 0x2000
"""The node failed; otherwise the channel."""
UPDATE: Final = 0x1000
"""A forwarding parameter of the channel was violated."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """How one field is written: reader `(data, at) -> (value, next)` and writer."""

    read: Callable[[bytes, int], tuple[Any, int]]
    write: Callable[[Any], bytes]


def _take(data: bytes, at: int, size: int) -> bytes:
    taken = data[at : at + size]
    if len(taken) != size:
        raise DecodeError("this failure message is too short for its code")
    return taken


def _number(size: int, wrap: Callable[[int], Any], unwrap: Callable[[Any], int]) -> _Kind:
    def read(data: bytes, at: int) -> tuple[Any, int]:
        return wrap(int.from_bytes(_take(data, at, size), "big")), at + size

    return _Kind(read, lambda value: unwrap(value).to_bytes(size, "big"))


def _read_update(data: bytes, at: int) -> tuple[bytes, int]:
    size = int.from_bytes(_take(data, at, 2), "big")
    return _take(data, at + 2, size), at + 2 + size


def _read_bigsize(data: bytes, at: int) -> tuple[int, int]:
    first = _take(data, at, 1)[0]
    if first < 0xFD:
        return first, at + 1
    size = 1 << (first - 0xFC)
    value = int.from_bytes(_take(data, at + 1, size), "big")
    if value < (0xFD if size == 2 else 1 << 4 * size):
        raise DecodeError("a BigSize is not written in its shortest form")
    return value, at + 1 + size


def _write_bigsize(value: int) -> bytes:
    if value < 0xFD:
        return bytes((value,))
    exponent = 1 if value < 1 << 16 else 2 if value < 1 << 32 else 3
    return bytes((0xFC + exponent,)) + value.to_bytes(1 << exponent, "big")


_U16 = Annotated[int, _number(2, int, int)]
_Msat = Annotated[MilliSatoshi, _number(8, MilliSatoshi, lambda amount: amount.msat)]
_Expiry = Annotated[CltvExpiry, _number(4, CltvExpiry, lambda expiry: expiry.height)]
_Height = Annotated[BlockHeight, _number(4, BlockHeight, lambda block: block.height)]
_Sha256 = Annotated[bytes, _Kind(lambda data, at: (_take(data, at, 32), at + 32), bytes)]
_Update = Annotated[
    bytes, _Kind(_read_update, lambda update: len(update).to_bytes(2, "big") + update)
]
_BigSize = Annotated[int, _Kind(_read_bigsize, _write_bigsize)]


@dataclass(frozen=True, slots=True)
class Failure:
    """Root of all failure messages. `NAME` is the BOLT's name, `CODE` its number with flags."""

    CODE: ClassVar[int] = 0
    NAME: ClassVar[str] = "unknown_failure"
    LAYOUT: ClassVar[tuple[tuple[str, _Kind], ...]] = ()

    @property
    def code(self) -> int:
        """The number that travels."""
        return self.CODE

    @property
    def is_bad_onion(self) -> bool:
        """BADONION: the peer that sent us the onion must be told, not the origin."""
        return bool(self.code & BADONION)

    @property
    def is_permanent(self) -> bool:
        """PERM: trying the same again is useless."""
        return bool(self.code & PERM)

    @property
    def is_node(self) -> bool:
        """NODE: the whole node failed, not one channel."""
        return bool(self.code & NODE)

    @property
    def is_update(self) -> bool:
        """UPDATE: a channel's forwarding parameters were violated."""
        return bool(self.code & UPDATE)


@dataclass(frozen=True, slots=True)
class UnknownFailure(Failure):
    """A code that BOLT 4 does not define, or one whose data does not parse. Kept as received."""

    number: int
    data: bytes

    @property
    def code(self) -> int:
        return self.number


_F = TypeVar("_F", bound=Failure)
_BY_CODE: Final[dict[int, type[Failure]]] = {}


@dataclass_transform(frozen_default=True)
def _failure(code: int, name: str) -> Callable[[type[_F]], type[_F]]:
    def declare(plain: type[_F]) -> type[_F]:
        made = dataclass(frozen=True, slots=True)(plain)
        hints = get_type_hints(made, include_extras=True)
        made.CODE = code
        made.NAME = name
        made.LAYOUT = tuple((f.name, hints[f.name].__metadata__[0]) for f in fields(made))
        _BY_CODE[code] = made
        return made

    return declare


@_failure(NODE | 2, "temporary_node_failure")
class TemporaryNodeFailure(Failure):
    """The node failed; it may work later."""


@_failure(PERM | NODE | 2, "permanent_node_failure")
class PermanentNodeFailure(Failure):
    """The node failed for good."""


@_failure(PERM | NODE | 3, "required_node_feature_missing")
class RequiredNodeFeatureMissing(Failure):
    """The node requires a feature that the onion lacks."""


@_failure(BADONION | PERM | 4, "invalid_onion_version")
class InvalidOnionVersion(Failure):
    """The onion's `version` was not understood."""

    sha256_of_onion: _Sha256


@_failure(BADONION | PERM | 5, "invalid_onion_hmac")
class InvalidOnionHmac(Failure):
    """The onion's HMAC was wrong when it arrived."""

    sha256_of_onion: _Sha256


@_failure(BADONION | PERM | 6, "invalid_onion_key")
class InvalidOnionKey(Failure):
    """The onion's ephemeral key is not a point."""

    sha256_of_onion: _Sha256


@_failure(UPDATE | 7, "temporary_channel_failure")
class TemporaryChannelFailure(Failure):
    """The channel could not take this HTLC now."""

    channel_update: _Update = b""


@_failure(PERM | 8, "permanent_channel_failure")
class PermanentChannelFailure(Failure):
    """The channel can take no HTLC at all."""


@_failure(PERM | 9, "required_channel_feature_missing")
class RequiredChannelFeatureMissing(Failure):
    """The channel requires a feature that the onion lacks."""


@_failure(PERM | 10, "unknown_next_peer")
class UnknownNextPeer(Failure):
    """No channel of the node has the onion's `short_channel_id`."""


@_failure(UPDATE | 11, "amount_below_minimum")
class AmountBelowMinimum(Failure):
    """The HTLC was below the channel's `htlc_minimum_msat`."""

    htlc_msat: _Msat
    channel_update: _Update = b""


@_failure(UPDATE | 12, "fee_insufficient")
class FeeInsufficient(Failure):
    """The fee was below what the channel asks."""

    htlc_msat: _Msat
    channel_update: _Update = b""


@_failure(UPDATE | 13, "incorrect_cltv_expiry")
class IncorrectCltvExpiry(Failure):
    """`cltv_expiry - cltv_expiry_delta >= outgoing_cltv_value` does not hold."""

    cltv_expiry: _Expiry
    channel_update: _Update = b""


@_failure(UPDATE | 14, "expiry_too_soon")
class ExpiryTooSoon(Failure):
    """The expiry is too near for safe handling."""

    channel_update: _Update = b""


@_failure(PERM | 15, "incorrect_or_unknown_payment_details")
class IncorrectOrUnknownPaymentDetails(Failure):
    """The final node does not take this payment: hash, secret, amount, expiry or metadata."""

    htlc_msat: _Msat
    height: _Height


@_failure(18, "final_incorrect_cltv_expiry")
class FinalIncorrectCltvExpiry(Failure):
    """The HTLC's expiry is below the onion's."""

    cltv_expiry: _Expiry


@_failure(19, "final_incorrect_htlc_amount")
class FinalIncorrectHtlcAmount(Failure):
    """The HTLC's amount is below the onion's."""

    incoming_htlc_amt: _Msat


@_failure(UPDATE | 20, "channel_disabled")
class ChannelDisabled(Failure):
    """The channel is disabled. `disabled_flags` is always 0 so far."""

    disabled_flags: _U16 = 0
    channel_update: _Update = b""


@_failure(21, "expiry_too_far")
class ExpiryTooFar(Failure):
    """The expiry is too far in the future."""


@_failure(PERM | 22, "invalid_onion_payload")
class InvalidOnionPayload(Failure):
    """The hop payload was not understood: TLV `type` at byte `offset` of the decrypted stream."""

    type: _BigSize
    offset: _U16


@_failure(23, "mpp_timeout")
class MppTimeout(Failure):
    """The other parts of the payment did not arrive in time."""


@_failure(BADONION | PERM | 24, "invalid_onion_blinding")
class InvalidOnionBlinding(Failure):
    """Something failed within a blinded path."""

    sha256_of_onion: _Sha256


FAILURES: Final = tuple(_BY_CODE.values())
"""Every failure of BOLT 4, in the BOLT's order."""


def encode_failure(failure: Failure) -> bytes:
    """`failuremsg`: the 2-byte code and the data."""
    if isinstance(failure, UnknownFailure):
        return failure.number.to_bytes(2, "big") + failure.data
    out = failure.code.to_bytes(2, "big")
    for name, kind in failure.LAYOUT:
        out += kind.write(getattr(failure, name))
    return out


def decode_failure(message: bytes) -> Failure:
    """Parse `failuremsg`, ignoring extra bytes; raises `DecodeError` when it is too short."""
    if len(message) < 2:
        raise DecodeError("a failure message has at least two bytes")
    code = int.from_bytes(message[:2], "big")
    declared = _BY_CODE.get(code)
    if declared is None:
        return UnknownFailure(code, message[2:])
    at = 2
    values: dict[str, Any] = {}
    for name, kind in declared.LAYOUT:
        values[name], at = kind.read(message, at)
    return declared(**values)


def bad_onion(code: int, sha256_of_onion: bytes) -> Failure:
    """The failure in `update_fail_malformed_htlc`: `failure_code` and `sha256_of_onion`."""
    return decode_failure(code.to_bytes(2, "big") + sha256_of_onion)
