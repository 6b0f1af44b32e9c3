"""wallet/base/onion/packet.py."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wallet.base.crypto.curve import ecdh, point_of
from wallet.base.crypto.hashes import hmac_sha256, sha256
from wallet.base.errors import DecodeError, Refused
from wallet.base.onion.packet import (
    PACKET_SIZE,
    OnionError,
    OnionPacket,
    Peeled,
    create_packet,
    derive_key,
    keystream,
    peel,
    xor,
)
from wallet.base.values.ids import Point, Secret
from wallet.base.wire.failures import (
    Failure,
    InvalidOnionHmac,
    InvalidOnionKey,
    InvalidOnionPayload,
    InvalidOnionVersion,
)

SESSION = Secret(b"\x41" * 32)
ASSOCIATED = b"\x42" * 32
KEYS = [bytes([i + 1]) * 32 for i in range(27)]


def _hops(payloads: list[bytes]) -> list[tuple[Point, bytes]]:
    return [(point_of(key), payload) for key, payload in zip(KEYS, payloads, strict=False)]


def _peel(packet: OnionPacket, key: bytes) -> Peeled:
    return peel(packet, ecdh(packet.public_key, key), ASSOCIATED)


def _rejected(data: bytes, key: bytes = KEYS[0]) -> Failure:
    with pytest.raises(OnionError) as caught:
        _peel(OnionPacket.decode(data), key)
    return caught.value.failure


@settings(max_examples=25, deadline=None)
@given(st.lists(st.binary(min_size=2, max_size=300), min_size=1, max_size=5))
def test_round_trip__any_payloads(payloads: list[bytes]) -> None:
    if sum(len(p) + 35 for p in payloads) > 1300:
        return
    packet, secrets = create_packet(SESSION, _hops(payloads), ASSOCIATED)
    data = packet.encode()
    for i, payload in enumerate(payloads):
        arrived = OnionPacket.decode(data)
        assert len(data) == PACKET_SIZE
        assert ecdh(arrived.public_key, KEYS[i]) == secrets[i]
        peeled = _peel(arrived, KEYS[i])
        assert peeled.payload == payload
        assert peeled.is_final == (i == len(payloads) - 1)
        if peeled.next_packet is not None:
            data = peeled.next_packet.encode()


@pytest.mark.parametrize("size", [2, 252, 253, 1300 - 32 - 3])
def test_payload_sizes(size: int) -> None:
    packet, _ = create_packet(SESSION, _hops([b"x" * size]), ASSOCIATED)
    assert _peel(packet, KEYS[0]) == Peeled(b"x" * size, None)


def test_a_full_route_of_27_hops() -> None:
    # BOLT 4: 27 hops is the longest route whose payloads (of 15 bytes and more) can fit.
    payloads = [bytes([i]) * 15 for i in range(27)]
    packet: OnionPacket | None = create_packet(SESSION, _hops(payloads), ASSOCIATED)[0]
    for key, payload in zip(KEYS, payloads, strict=True):
        assert packet is not None
        peeled = _peel(packet, key)
        assert peeled.payload == payload
        packet = peeled.next_packet
    assert packet is None


def test_trap_13__a_route_too_long_for_the_onion() -> None:
    payloads = [b"x" * 33] * 20
    with pytest.raises(Refused, match="20 hops need 1320 bytes and 1300 fit") as caught:
        create_packet(SESSION, _hops(payloads), ASSOCIATED)
    assert "shorter route" in caught.value.message
    create_packet(SESSION, _hops(payloads[:19]), ASSOCIATED)
    with pytest.raises(Refused, match="at least one hop"):
        create_packet(SESSION, [], ASSOCIATED)


def test_a_message_onion_may_have_another_size() -> None:
    packet, _ = create_packet(SESSION, _hops([b"a" * 40, b"b" * 1000]), b"", payloads_size=4000)
    assert len(packet.encode()) == 4066
    first = OnionPacket.decode(packet.encode())
    peeled = peel(first, ecdh(first.public_key, KEYS[0]), b"")
    assert peeled.next_packet is not None
    assert len(peeled.next_packet.hop_payloads) == 4000
    last = peel(peeled.next_packet, ecdh(peeled.next_packet.public_key, KEYS[1]), b"")
    assert last == Peeled(b"b" * 1000, None)


def test_rejected__version() -> None:
    data = b"\x01" + create_packet(SESSION, _hops([b"xx"]), ASSOCIATED)[0].encode()[1:]
    assert _rejected(data) == InvalidOnionVersion(sha256(data))


def test_rejected__key_off_the_curve() -> None:
    packet = create_packet(SESSION, _hops([b"xx"]), ASSOCIATED)[0].encode()
    data = packet[:1] + b"\x02" + bytes(31) + b"\x07" + packet[34:]
    assert _rejected(data) == InvalidOnionKey(sha256(data))


@pytest.mark.parametrize("place", [40, 1333, 1334, 1365])
def test_rejected__altered(place: int) -> None:
    data = bytearray(create_packet(SESSION, _hops([b"xx", b"yy"]), ASSOCIATED)[0].encode())
    data[place] ^= 1
    assert _rejected(bytes(data)) == InvalidOnionHmac(sha256(bytes(data)))


def test_rejected__another_payment_hash_or_node() -> None:
    packet = create_packet(SESSION, _hops([b"xx"]), ASSOCIATED)[0]
    assert isinstance(_rejected(packet.encode(), KEYS[1]), InvalidOnionHmac)
    with pytest.raises(OnionError):
        peel(packet, ecdh(packet.public_key, KEYS[0]), bytes(32))


@pytest.mark.parametrize("payload", [b"", b"x"])
def test_rejected__reserved_lengths(payload: bytes) -> None:
    packet = create_packet(SESSION, _hops([payload, b"yy"]), ASSOCIATED)[0]
    assert _rejected(packet.encode()) == InvalidOnionPayload(0, 0)


@pytest.mark.parametrize(
    "frame", ["fd0010", "fd04f2", "fdffff", "fe00000010", "ffffffffffffffffff"]
)
def test_rejected__impossible_lengths(frame: str) -> None:
    # The origin authenticates nonsense: a length that is not minimal, or runs past the packet.
    packet, secrets = create_packet(SESSION, _hops([b"x" * 40]), ASSOCIATED)
    plain = bytes.fromhex(frame).ljust(1300, b"\x01")
    mixed = xor(plain, keystream(derive_key(b"rho", secrets[0]), 1300))
    hmac = hmac_sha256(derive_key(b"mu", secrets[0]), mixed + ASSOCIATED)
    forged = OnionPacket(packet.public_key, mixed, hmac)
    assert _rejected(forged.encode()) == InvalidOnionPayload(0, 0)


@given(st.binary(max_size=1500))
def test_arbitrary_bytes__decode_or_raise(data: bytes) -> None:
    try:
        packet = OnionPacket.decode(data)
    except DecodeError:
        return
    assert packet.encode() == data
    with pytest.raises(OnionError):
        _peel(packet, KEYS[0])
