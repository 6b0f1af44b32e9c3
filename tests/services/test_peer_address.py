"""Addresses of peers as people write them."""

import pytest

from wallet.base.crypto.curve import point_of
from wallet.base.errors import DecodeError
from wallet.base.values.ids import NodeId, Secret
from wallet.services.peers.address import HostPort, parse_peer

NODE = NodeId(point_of(Secret(bytes(31) + b"\1")))


@pytest.mark.parametrize(
    ("text", "place", "shown"),
    [
        ("localhost", HostPort("localhost", 9735), "localhost:9735"),
        ("127.0.0.1:0", HostPort("127.0.0.1", 0), "127.0.0.1:0"),
        ("::1", HostPort("::1", 9735), "[::1]:9735"),
        ("[::1]", HostPort("::1", 9735), "[::1]:9735"),
        ("[fe80::2]:65535", HostPort("fe80::2", 65535), "[fe80::2]:65535"),
    ],
)
def test_parse__and_show(text: str, place: HostPort, shown: str) -> None:
    assert HostPort.parse(text) == place
    assert str(place) == shown
    assert HostPort.parse(shown) == place
    assert parse_peer(f"{NODE.hex()}@{text}") == (NODE, place)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":9735",
        "host:",
        "host:x",
        "host:65536",
        "host:-1",
        "host:١",
        "a b",
        "[::1",
        "[::1]9",
        "@h",
    ],
)
def test_parse__refused(text: str) -> None:
    with pytest.raises(DecodeError):
        HostPort.parse(text)
    with pytest.raises(DecodeError):
        parse_peer(f"{NODE.hex()}@{text}")


def test_parse_peer__id_alone() -> None:
    assert parse_peer(NODE.hex()) == (NODE, None)


@pytest.mark.parametrize(
    "text", ["", "zz", NODE.hex()[:-2], "05" + NODE.hex()[2:], "02" + "ff" * 32]
)
def test_parse_peer__not_an_id(text: str) -> None:
    with pytest.raises(DecodeError):
        parse_peer(text)
