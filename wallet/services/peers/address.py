"""Addresses of peers as people write them: `id@host:port`, `host:port`."""

from dataclasses import dataclass

from wallet.base.crypto.curve import check_point
from wallet.base.errors import DecodeError
from wallet.base.values.ids import NodeId

DEFAULT_PORT = 9735


@dataclass(frozen=True, slots=True)
class HostPort:
    """Where to listen or to dial. An IPv6 host is held without its brackets."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str, default_port: int = DEFAULT_PORT) -> "HostPort":
        """`host`, `host:port`, `[v6]` or `[v6]:port`; raises `DecodeError`."""
        if text.startswith("["):
            host, bracket, rest = text[1:].partition("]")
            if not bracket or rest[:1] not in ("", ":"):
                raise DecodeError(f"not an address: {text[:60]!r}")
            port_text = rest[1:]
        elif text.count(":") > 1:
            host, rest, port_text = text, "", ""
        else:
            host, rest, port_text = text.partition(":")
        if not host or any(c.isspace() or c == "@" for c in host):
            raise DecodeError(f"not an address: {text[:60]!r}")
        if rest and not (port_text.isascii() and port_text.isdigit() and len(port_text) <= 5):
            raise DecodeError(f"the port of {text[:60]!r} is not a number")
        port = int(port_text) if rest else default_port
        if port > 65_535:
            raise DecodeError(f"the port of {text[:60]!r} is above 65535")
        return cls(host, port)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_node_id(text: str) -> NodeId:
    """66 hexadecimal characters that are a point of the curve; raises `DecodeError`."""
    try:
        raw = bytes.fromhex(text)
    except ValueError:
        raise DecodeError(f"a node id is hexadecimal, not {text[:70]!r}") from None
    if len(raw) != 33:
        raise DecodeError(f"a node id has 66 hexadecimal characters, not {len(text)}")
    return NodeId(check_point(raw))


def parse_peer(text: str) -> tuple[NodeId, HostPort | None]:
    """`id` or `id@host:port`; raises `DecodeError`."""
    id_text, at, place = text.partition("@")
    return parse_node_id(id_text), HostPort.parse(place) if at else None
