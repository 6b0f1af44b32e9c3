"""Setup and control messages of BOLT 1."""

from typing import Annotated, Final

from wallet.base.errors import PeerFault, Severity
from wallet.base.values.features import Features
from wallet.base.values.ids import ALL_CHANNELS, ChainHash, ChannelId
from wallet.base.wire.codec import U16, ChannelIdField, Var, fixed, repeated, rest
from wallet.base.wire.message import Message, message
from wallet.base.wire.tlv import Tlv

NO_PONG_FROM: Final = 65_532
"""BOLT 1: a ping that asks for this many bytes or more wants no answer."""


@message(16)
class Init(Message):
    """BOLT 1 `init`: the first message of a connection. Features are the OR of both fields."""

    globalfeatures: Var
    features: Var
    networks: Annotated[tuple[ChainHash, ...] | None, Tlv(1, repeated(fixed(32, "chain_hash")))] = (
        None
    )
    remote_addr: Annotated[bytes | None, Tlv(3, rest)] = None


@message(17)
class Error(Message):
    """BOLT 1 `error`: the channel (or, for `ALL_CHANNELS`, every channel) has failed."""

    channel_id: ChannelIdField
    data: Var


@message(1)
class Warning(Message):  # noqa: A001 - the BOLT's word
    """BOLT 1 `warning`: something is wrong, but nothing has failed."""

    channel_id: ChannelIdField
    data: Var


@message(18)
class Ping(Message):
    """BOLT 1 `ping`: keeps the connection alive and asks for `num_pong_bytes`."""

    num_pong_bytes: U16
    ignored: Var


@message(19)
class Pong(Message):
    """BOLT 1 `pong`."""

    ignored: Var


@message(7)
class PeerStorage(Message):
    """BOLT 1 `peer_storage`: a blob that the peer asks us to keep."""

    blob: Var


@message(9)
class PeerStorageRetrieval(Message):
    """BOLT 1 `peer_storage_retrieval`: the blob that we gave the peer to keep."""

    blob: Var


def pong_for(ping: Ping) -> Pong | None:
    """The answer that BOLT 1 prescribes; `None` when the ping wants none."""
    if ping.num_pong_bytes >= NO_PONG_FROM:
        return None
    return Pong(bytes(ping.num_pong_bytes))


def error_for(channel_id: ChannelId, reason: str) -> Error:
    """An `error` with a reason that is safe to print at the other end."""
    return Error(channel_id, _printable_ascii(reason))


def warning_for(channel_id: ChannelId, reason: str) -> Warning:
    """A `warning` with a reason that is safe to print at the other end."""
    return Warning(channel_id, _printable_ascii(reason))


def _printable_ascii(reason: str) -> bytes:
    return bytes(c if 32 <= c < 127 else 0x3F for c in reason.encode("ascii", "replace"))[:1000]


def reason_of(received: Error | Warning) -> str:
    """What the peer wrote, in printable ASCII only.

    BOLT 1: data that is not composed solely of printable ASCII SHOULD NOT be printed verbatim. A
    terminal would obey it: other bytes are shown as `\\xNN`, and an odd text cannot imitate that,
    because a backslash is doubled.
    """
    shown = "".join(
        chr(c) if 32 <= c < 127 and c != 0x5C else "\\\\" if c == 0x5C else f"\\x{c:02x}"
        for c in received.data[:1000]
    )
    left = len(received.data) - 1000
    if not shown:
        return "(no reason given)"
    return shown if left <= 0 else f"{shown}… ({left} bytes more)"


def concerns_all_channels(received: Error | Warning) -> bool:
    """BOLT 1: a `channel_id` of zeros refers to every channel with the sender."""
    return received.channel_id == ALL_CHANNELS


def features_of(init: Init) -> Features:
    """BOLT 1: MUST combine (bitwise OR) the two feature bitmaps into one logical `features` map."""
    return Features.from_bytes(init.globalfeatures) | Features.from_bytes(init.features)


def our_init(features: Features, networks: tuple[ChainHash, ...]) -> Init:
    """The `init` that we send. BOLT 1: no features greater than 13 in `globalfeatures`: none."""
    return Init(b"", features.to_bytes(), networks)


def check_networks(init: Init, chain: ChainHash) -> None:
    """Raise `PeerFault` (DISCONNECT) when the peer names its chains and ours is not among them."""
    if init.networks is not None and chain not in init.networks:
        named = ", ".join(n[::-1].hex() for n in init.networks[:3]) or "none"
        reason = f"the peer is on other chains ({named}), not on {chain[::-1].hex()}"
        raise PeerFault(Severity.DISCONNECT, reason)
