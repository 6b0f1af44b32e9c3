"""Onion packets: building one for a route, and taking off one layer (BOLT 4).

Sphinx as the BOLT describes it.  The packet is a value; shared secrets arrive as arguments, because
only the signer holds the node key.  Nothing here knows what a payload means: see `payload.py`.
The size of `hop_payloads` is 1300 bytes for payments and free for onion messages.
"""

import hmac as _hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

from wallet.base.crypto.aead import chacha20, chacha20_stream
from wallet.base.crypto.curve import (
    check_point,
    check_secret,
    ecdh,
    multiply,
    multiply_secrets,
    point_of,
)
from wallet.base.crypto.hashes import hmac_sha256, sha256
from wallet.base.errors import DecodeError, Refused
from wallet.base.values.ids import Point, Secret
from wallet.base.wire.codec import read_bigsize, write_bigsize
from wallet.base.wire.failures import (
    Failure,
    InvalidOnionHmac,
    InvalidOnionKey,
    InvalidOnionPayload,
    InvalidOnionVersion,
)

PAYLOADS_SIZE: Final = 1300
"""Bytes of `hop_payloads` in a payment onion."""
PACKET_SIZE: Final = 1 + 33 + PAYLOADS_SIZE + 32
HMAC_SIZE: Final = 32
_FINAL_HMAC: Final = bytes(HMAC_SIZE)
_NONCE: Final = bytes(12)


class OnionError(DecodeError):
    """An onion that BOLT 4 tells us to refuse; `failure` is what to answer.

    With the BADONION flag it goes into `update_fail_malformed_htlc`, because the layer could not be
    authenticated; otherwise into an encrypted failure.
    """

    def __init__(self, reason: str, failure: Failure) -> None:
        super().__init__(reason)
        self.failure = failure


def derive_key(key_type: bytes, shared_secret: bytes) -> bytes:
    """BOLT 4 "Key Generation": the 32-byte key `rho`, `mu`, `um`, `pad`, `ammag` of a secret."""
    return hmac_sha256(key_type, shared_secret)


def keystream(key: bytes, length: int) -> bytes:
    """BOLT 4 "Pseudo Random Byte Stream". The zero nonce is safe: no key is used twice."""
    return chacha20_stream(key, _NONCE, length)


def apply_keystream(key: bytes, data: bytes) -> bytes:
    """`data` XOR `keystream(key)`."""
    return chacha20(key, _NONCE, data)


def xor(left: bytes, right: bytes) -> bytes:
    """Bytewise XOR of two strings of equal length."""
    mixed = int.from_bytes(left, "little") ^ int.from_bytes(right, "little")
    return mixed.to_bytes(len(left), "little")


@dataclass(frozen=True, slots=True)
class OnionPacket:
    """`onion_packet` of BOLT 4: 1366 bytes on the wire for a payment."""

    public_key: Point
    hop_payloads: bytes
    hmac: bytes

    def encode(self) -> bytes:
        """The packet as it travels, version 0."""
        return b"\x00" + self.public_key + self.hop_payloads + self.hmac

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Parse a packet of any payload size.

        Raises `OnionError` for an unknown version or an ephemeral key off the curve, and a plain
        `DecodeError` when there are too few bytes to be a packet.
        """
        if len(data) < 1 + 33 + HMAC_SIZE:
            raise DecodeError(f"an onion packet has at least 66 bytes, not {len(data)}")
        if data[0] != 0:
            raise OnionError(
                f"onion version {data[0]} is not known", InvalidOnionVersion(sha256(data))
            )
        try:
            public_key = check_point(data[1:34])
        except DecodeError as fault:
            raise OnionError(str(fault), InvalidOnionKey(sha256(data))) from None
        return cls(public_key, data[34:-HMAC_SIZE], data[-HMAC_SIZE:])


@dataclass(frozen=True, slots=True)
class Peeled:
    """One layer taken off: our payload, and the packet for the next hop (None: we are the last)."""

    payload: bytes
    next_packet: OnionPacket | None

    @property
    def is_final(self) -> bool:
        """Whether the route ends here."""
        return self.next_packet is None


def create_packet(
    session_key: Secret,
    hops: Sequence[tuple[Point, bytes]],
    associated_data: bytes,
    payloads_size: int = PAYLOADS_SIZE,
) -> tuple[OnionPacket, tuple[bytes, ...]]:
    """BOLT 4 "Packet Construction": the packet, and the shared secret of each hop.

    `hops` are node keys with their payloads, first hop first, payloads without their length;
    `session_key` is 32 fresh random bytes.  Raises `Refused` when the payloads do not fit.
    """
    framed = [write_bigsize(len(payload)) + payload for _, payload in hops]
    needed = sum(len(frame) + HMAC_SIZE for frame in framed)
    if not hops:
        raise Refused("An onion needs at least one hop.")
    if needed > payloads_size:
        raise Refused(
            f"This route is too long for an onion: its {len(hops)} hops need {needed} bytes and "
            f"{payloads_size} fit. A shorter route, or less metadata, would fit."
        )
    secrets = _shared_secrets(session_key, [node for node, _ in hops])
    streams = [
        keystream(derive_key(b"rho", secret), payloads_size + len(frame) + HMAC_SIZE)
        for secret, frame in zip(secrets, framed, strict=True)
    ]
    filler = _filler(streams[:-1], payloads_size)

    mixed = keystream(derive_key(b"pad", session_key), payloads_size)
    hmac = _FINAL_HMAC
    last = len(hops) - 1
    for i in range(last, -1, -1):
        layer = framed[i] + hmac
        mixed = xor(layer + mixed[: payloads_size - len(layer)], streams[i][:payloads_size])
        if i == last and filler:
            mixed = mixed[: -len(filler)] + filler
        hmac = hmac_sha256(derive_key(b"mu", secrets[i]), mixed + associated_data)
    return OnionPacket(point_of(session_key), mixed, hmac), secrets


def _shared_secrets(session_key: Secret, nodes: Sequence[Point]) -> tuple[bytes, ...]:
    ephemeral = check_secret(session_key)
    secrets = []
    for node in nodes:
        secret = ecdh(node, ephemeral)
        secrets.append(secret)
        blinding = sha256(point_of(ephemeral) + secret)
        ephemeral = multiply_secrets(ephemeral, blinding)
    return tuple(secrets)


def _filler(streams: Sequence[bytes], payloads_size: int) -> bytes:
    # BOLT 4 "Filler Generation": each hop but the last appends zeros for the bytes it removes and
    # obfuscates them; the origin repeats that so that the HMACs cover what every hop will see.
    filler = b""
    for stream in streams:
        shift = len(stream) - payloads_size
        filler = xor(filler + bytes(shift), stream[payloads_size - len(filler) :])
    return filler


def peel(packet: OnionPacket, shared_secret: bytes, associated_data: bytes) -> Peeled:
    """BOLT 4 "Onion Decryption" with `shared_secret` = ECDH(packet.public_key, our node key).

    Raises `OnionError`: `invalid_onion_hmac` when the packet was not made for us or was altered,
    `invalid_onion_payload` when the payload's length is impossible.
    """
    size = len(packet.hop_payloads)
    expected = hmac_sha256(derive_key(b"mu", shared_secret), packet.hop_payloads + associated_data)
    if not _hmac.compare_digest(expected, packet.hmac):
        raise OnionError(
            "the HMAC of this onion is wrong", InvalidOnionHmac(sha256(packet.encode()))
        )
    plain = apply_keystream(derive_key(b"rho", shared_secret), packet.hop_payloads + bytes(size))
    start, length = _read_length(plain)
    end = start + length + HMAC_SIZE
    # Lengths 0 and 1 are reserved.  A longer payload than the packet would eat its own padding.
    if length < 2 or end > size:
        raise OnionError(
            f"a hop payload of {length} bytes is not possible", InvalidOnionPayload(0, 0)
        )
    payload = plain[start : start + length]
    next_hmac = plain[start + length : end]
    if next_hmac == _FINAL_HMAC:
        return Peeled(payload, None)
    return Peeled(
        payload,
        OnionPacket(
            next_ephemeral(packet.public_key, shared_secret), plain[end : end + size], next_hmac
        ),
    )


def next_ephemeral(public_key: Point, shared_secret: bytes) -> Point:
    """BOLT 4 "Blinding Ephemeral Onion Keys": the key that the next hop sees."""
    return multiply(public_key, sha256(public_key + shared_secret))


def _read_length(plain: bytes) -> tuple[int, int]:
    # (place of the payload, its length); length 0 when it is not well written.
    try:
        length, start = read_bigsize(plain, 0)
    except DecodeError:
        return 0, 0
    return start, length
