"""Every failure message of BOLT 4, declared once in the BOLT's words.

A failure has a 2-byte code whose top bits say what failed, then its data.  The sender of a payment
ignores whatever follows the data.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final, TypeVar, dataclass_transform

from wallet.base.errors import DecodeError
from wallet.base.wire.codec import U16, Codec, Expiry, Height, Msat, Sha256, Var, bigsize, codecs_of

BADONION: Final = 0x8000
"""The sending peer's onion was unparsable: travels in `update_fail_malformed_htlc`."""
PERM: Final = 0x4000
"""Permanent; otherwise it may work later."""
NODE: Final = 0x2000
"""The node failed; otherwise the channel."""
UPDATE: Final = 0x1000
"""A forwarding parameter of the channel was violated."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Root of all failure messages: `name` is the BOLT's word, `CODE` its number with flags."""

    CODE: ClassVar[int] = 0
    name: ClassVar[str] = "unknown_failure"
    # `Any`: each field's codec stands beside its annotation.
    fields: ClassVar[dict[str, Codec[Any]]] = {}

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
def _failure(code: int) -> Callable[[type[_F]], type[_F]]:
    def declare(cls: type[_F]) -> type[_F]:
        built = dataclass(frozen=True, slots=True)(cls)
        built.CODE = code
        built.name = re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()
        built.fields = codecs_of(built)
        _BY_CODE[code] = built
        return built

    return declare


@_failure(NODE | 2)
class TemporaryNodeFailure(Failure):
    """The node failed; it may work later."""


@_failure(PERM | NODE | 2)
class PermanentNodeFailure(Failure):
    """The node failed for good."""


@_failure(PERM | NODE | 3)
class RequiredNodeFeatureMissing(Failure):
    """The node requires a feature that the onion lacks."""


@_failure(BADONION | PERM | 4)
class InvalidOnionVersion(Failure):
    """The onion's `version` was not understood."""

    sha256_of_onion: Sha256


@_failure(BADONION | PERM | 5)
class InvalidOnionHmac(Failure):
    """The onion's HMAC was wrong when it arrived."""

    sha256_of_onion: Sha256


@_failure(BADONION | PERM | 6)
class InvalidOnionKey(Failure):
    """The onion's ephemeral key is not a point."""

    sha256_of_onion: Sha256


@_failure(UPDATE | 7)
class TemporaryChannelFailure(Failure):
    """The channel could not take this HTLC now."""

    channel_update: Var = b""


@_failure(PERM | 8)
class PermanentChannelFailure(Failure):
    """The channel can take no HTLC at all."""


@_failure(PERM | 9)
class RequiredChannelFeatureMissing(Failure):
    """The channel requires a feature that the onion lacks."""


@_failure(PERM | 10)
class UnknownNextPeer(Failure):
    """No channel of the node has the onion's `short_channel_id`."""


@_failure(UPDATE | 11)
class AmountBelowMinimum(Failure):
    """The HTLC was below the channel's `htlc_minimum_msat`."""

    htlc_msat: Msat
    channel_update: Var = b""


@_failure(UPDATE | 12)
class FeeInsufficient(Failure):
    """The fee was below what the channel asks."""

    htlc_msat: Msat
    channel_update: Var = b""


@_failure(UPDATE | 13)
class IncorrectCltvExpiry(Failure):
    """`cltv_expiry - cltv_expiry_delta >= outgoing_cltv_value` does not hold."""

    cltv_expiry: Expiry
    channel_update: Var = b""


@_failure(UPDATE | 14)
class ExpiryTooSoon(Failure):
    """The expiry is too near for safe handling."""

    channel_update: Var = b""


@_failure(PERM | 15)
class IncorrectOrUnknownPaymentDetails(Failure):
    """The final node does not take this payment: hash, secret, amount, expiry or metadata."""

    htlc_msat: Msat
    height: Height


@_failure(18)
class FinalIncorrectCltvExpiry(Failure):
    """The HTLC's expiry is below the onion's."""

    cltv_expiry: Expiry


@_failure(19)
class FinalIncorrectHtlcAmount(Failure):
    """The HTLC's amount is below the onion's."""

    incoming_htlc_amt: Msat


@_failure(UPDATE | 20)
class ChannelDisabled(Failure):
    """The channel is disabled. `disabled_flags` is always 0 so far."""

    disabled_flags: U16 = 0
    channel_update: Var = b""


@_failure(21)
class ExpiryTooFar(Failure):
    """The expiry is too far in the future."""


@_failure(PERM | 22)
class InvalidOnionPayload(Failure):
    """The hop payload was not understood: TLV `type` at byte `offset` of the decrypted stream."""

    type: Annotated[int, bigsize]
    offset: U16


@_failure(23)
class MppTimeout(Failure):
    """The other parts of the payment did not arrive in time."""


@_failure(BADONION | PERM | 24)
class InvalidOnionBlinding(Failure):
    """Something failed within a blinded path."""

    sha256_of_onion: Sha256


FAILURES: Final = tuple(_BY_CODE.values())
"""Every failure of BOLT 4, in the BOLT's order."""


def encode_failure(failure: Failure) -> bytes:
    """`failuremsg`: the 2-byte code and the data."""
    if isinstance(failure, UnknownFailure):
        return failure.number.to_bytes(2, "big") + failure.data
    out = failure.code.to_bytes(2, "big")
    for name, codec in failure.fields.items():
        out += codec.write(getattr(failure, name))
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
    for name, codec in declared.fields.items():
        values[name], at = codec.read(message, at)
    return declared(**values)


def bad_onion(code: int, sha256_of_onion: bytes) -> Failure:
    """The failure in `update_fail_malformed_htlc`: `failure_code` and `sha256_of_onion`."""
    return decode_failure(code.to_bytes(2, "big") + sha256_of_onion)
