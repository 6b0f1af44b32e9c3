"""BOLT 4: bolt04/onion-test.json, bolt04/onion-error-test.json, and the trace of a failure."""

import json
from pathlib import Path
from typing import Any

from wallet.base.crypto.curve import ecdh, point_of
from wallet.base.onion.packet import (
    PACKET_SIZE,
    OnionPacket,
    create_packet,
    derive_key,
    peel,
)
from wallet.base.onion.payload import decode_payload
from wallet.base.onion.returns import seal_message, unwrap, wrap
from wallet.base.values.amounts import MilliSatoshi
from wallet.base.values.blocks import BlockHeight
from wallet.base.values.ids import Point, Secret
from wallet.base.wire.codec import read_bigsize
from wallet.base.wire.failures import (
    IncorrectOrUnknownPaymentDetails,
    TemporaryNodeFailure,
    decode_failure,
)

DATA: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "data" / "bolt04_onion.json").read_text()
)
ONION, ERROR, TRACE = DATA["onion"], DATA["error"], DATA["trace"]
SECRETS = [bytes.fromhex(hop["hop_shared_secret"]) for hop in ERROR["hops"]]


def _payload(framed: str) -> bytes:
    data = bytes.fromhex(framed)
    length, start = read_bigsize(data, 0)
    assert len(data) == start + length
    return data[start:]


def test_create() -> None:
    hops = [(Point(bytes.fromhex(h["pubkey"])), _payload(h["payload"])) for h in ONION["hops"]]
    packet, secrets = create_packet(
        Secret(bytes.fromhex(ONION["session_key"])), hops, bytes.fromhex(ONION["associated_data"])
    )
    assert packet.encode().hex() == ONION["onion"]
    assert len(packet.encode()) == PACKET_SIZE
    assert list(secrets) == SECRETS


def test_peel_at_every_hop() -> None:
    node_secrets = [bytes.fromhex(s) for s in ONION["node_secrets"]]
    assert len(node_secrets) == len(ONION["hops"]) == 5
    data = bytes.fromhex(ONION["onion"])
    for hop, secret in zip(ONION["hops"], node_secrets, strict=True):
        packet = OnionPacket.decode(data)
        assert point_of(secret).hex() == hop["pubkey"]
        peeled = peel(
            packet, ecdh(packet.public_key, secret), bytes.fromhex(ONION["associated_data"])
        )
        assert peeled.payload == _payload(hop["payload"])
        assert peeled.is_final == (hop is ONION["hops"][-1])
        if peeled.next_packet is not None:
            data = peeled.next_packet.encode()
    print(f"\nbolt04/onion-test.json: {len(node_secrets)}/{len(node_secrets)} hops")


def test_payloads_of_the_onion_reencode() -> None:
    for hop in ONION["hops"]:
        payload = _payload(hop["payload"])
        # One hop carries an odd record 253 and the last one record 301: kept, and written again.
        assert decode_payload(payload).encode() == payload


def test_error_packet() -> None:
    hops = ERROR["hops"]
    assert len(hops) == 5
    for hop, secret in zip(hops, SECRETS, strict=True):
        assert derive_key(b"ammag", secret).hex() == hop["ammag_key"]
    assert derive_key(b"um", SECRETS[4]).hex() == hops[4]["um_key"]
    packet = seal_message(SECRETS[4], bytes.fromhex(ERROR["failure_message"]))
    assert hops[4]["payload"] in wrap(SECRETS[4], packet).hex()
    for secret in reversed(SECRETS[:4]):
        packet = wrap(secret, packet)
    assert packet.hex() == ERROR["errorpacket"]
    returned = unwrap(SECRETS, packet)
    assert returned is not None
    assert (returned.hop, returned.failure) == (4, TemporaryNodeFailure())
    print(f"\nbolt04/onion-error-test.json: {len(hops)}/{len(hops)} hops")


def test_trace_of_a_failure() -> None:
    erring = 4
    packets = [bytes.fromhex(p) for p in TRACE["packets"]]
    assert len(packets) == 5
    message = bytes.fromhex(TRACE["failure_message"])
    packet = seal_message(SECRETS[erring], message, TRACE["padded_size"])
    assert wrap(SECRETS[erring], packet)[32:].hex() == TRACE["payload"]
    assert packet == packets[erring]
    for hop in range(erring - 1, -1, -1):
        packet = wrap(SECRETS[hop], packet)
        assert packet == packets[hop]
    returned = unwrap(SECRETS, packet)
    assert returned is not None
    # The trailing TLV record 34001 is ignored, as BOLT 4 asks of the origin.
    assert returned.failure == decode_failure(message)
    assert returned.failure == IncorrectOrUnknownPaymentDetails(
        MilliSatoshi(100), BlockHeight(800_000)
    )
    assert returned.hop == erring
    print(f"\nBOLT 4 failure trace: {len(packets)}/{len(packets)} packets")
