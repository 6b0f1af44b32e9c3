"""Nodes that sign gossip, and a book that heard some of it."""

from dataclasses import dataclass, replace
from typing import TypeVar

from wallet.base.bitcoin.chains import REGTEST
from wallet.base.crypto.curve import point_of, sign
from wallet.base.crypto.hashes import sha256, sha256d
from wallet.base.values.amounts import MilliSatoshi, Satoshi
from wallet.base.values.blocks import CltvDelta
from wallet.base.values.ids import NodeId, OutPoint, Point, ShortChannelId, Signature, Txid
from wallet.base.wire.gossip import (
    ChannelAnnouncement,
    ChannelUpdate,
    NodeAnnouncement,
    signed_bytes,
)
from wallet.machines.routing.gossip import View
from wallet.machines.routing.gossip_book import FundingFound, Gossip
from wallet.machines.routing.graph import Graph

NOW = 1_800_000_000
UNSIGNED = Signature(bytes(64))
CAPACITY = Satoshi(1_000_000)
_M = TypeVar("_M", ChannelUpdate, NodeAnnouncement)


@dataclass(frozen=True, slots=True)
class Signatory:
    """A node of somewhere else, with one funding key for all its channels."""

    name: str

    @property
    def secret(self) -> bytes:
        """Of the node key."""
        return sha256(b"node " + self.name.encode())

    @property
    def funding_secret(self) -> bytes:
        """Of the funding key."""
        return sha256(b"funding " + self.name.encode())

    @property
    def id(self) -> NodeId:
        """The node id."""
        return NodeId(point_of(self.secret))

    @property
    def funding_key(self) -> Point:
        """The key in funding outputs."""
        return point_of(self.funding_secret)

    def signs(self, message: _M) -> _M:
        """The message with this node's signature."""
        return replace(message, signature=sign(self.secret, sha256d(signed_bytes(message))))


ANN, BEN, CAT, DAN = (Signatory(name) for name in ("ann", "ben", "cat", "dan"))


def scid(block: int, index: int = 1, output: int = 0) -> ShortChannelId:
    """A place in the chain."""
    return ShortChannelId(block, index, output)


def outpoint_of(at: ShortChannelId) -> OutPoint:
    """The funding output that these tests put there."""
    return OutPoint(Txid(sha256(str(at).encode())), at.output)


def found(at: ShortChannelId) -> FundingFound:
    """What the chain says of it."""
    return FundingFound(outpoint_of(at), CAPACITY)


def announcement(
    one: Signatory, other: Signatory, at: ShortChannelId, features: bytes = b""
) -> ChannelAnnouncement:
    """A channel of two nodes, signed by both."""
    first, second = sorted((one, other), key=lambda s: s.id)
    message = ChannelAnnouncement(
        UNSIGNED,
        UNSIGNED,
        UNSIGNED,
        UNSIGNED,
        features,
        REGTEST.chain_hash,
        at,
        first.id,
        second.id,
        first.funding_key,
        second.funding_key,
    )
    return signed_by(message, first, second)


def signed_by(
    message: ChannelAnnouncement, first: Signatory, second: Signatory
) -> ChannelAnnouncement:
    """The announcement with four signatures."""
    digest = sha256d(signed_bytes(message))
    return replace(
        message,
        node_signature_1=sign(first.secret, digest),
        node_signature_2=sign(second.secret, digest),
        bitcoin_signature_1=sign(first.funding_secret, digest),
        bitcoin_signature_2=sign(second.funding_secret, digest),
    )


def update(
    owner: Signatory,
    other: Signatory,
    at: ShortChannelId,
    timestamp: int = NOW,
    *,
    disabled: bool = False,
    fee_base: int = 1_000,
    message_flags: int = 1,
) -> ChannelUpdate:
    """The owner's terms for its direction, signed."""
    direction = 0 if owner.id < other.id else 1
    return owner.signs(
        ChannelUpdate(
            UNSIGNED,
            REGTEST.chain_hash,
            at,
            timestamp,
            message_flags,
            direction | (2 if disabled else 0),
            CltvDelta(34),
            MilliSatoshi(1),
            MilliSatoshi(fee_base),
            100,
            MilliSatoshi(990_000_000),
        )
    )


def node(who: Signatory, timestamp: int = NOW, addresses: bytes = b"") -> NodeAnnouncement:
    """What a node says of itself, signed."""
    alias = who.name.encode().ljust(32, b"\0")
    return who.signs(
        NodeAnnouncement(UNSIGNED, b"", timestamp, who.id, b"\xff\x80\x00", alias, addresses)
    )


def view(height: int = 200, now: int = NOW) -> View:
    """Of a node that has none of these keys."""
    return View(REGTEST.chain_hash, Signatory("nobody").id, height, now)


def book(*channels: tuple[Signatory, Signatory, ShortChannelId]) -> Gossip:
    """A book with these channels, both directions, and all their nodes."""
    gossip = Gossip(Graph())
    for one, other, at in channels:
        gossip.add_channel(announcement(one, other, at), found(at))
        gossip.add_update(update(one, other, at))
        gossip.add_update(update(other, one, at))
        for who in (one, other):
            gossip.add_node(node(who))
    return gossip
