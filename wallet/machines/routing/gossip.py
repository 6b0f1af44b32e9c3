"""BOLT 7: whether a gossip message is worth checking, and what has to be checked.

Everything here costs no curve operation and no question to the chain; what passes becomes a
`Candidate`, which names both.  Nobody is believed: not even a peer that we share a channel with.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeAlias

from wallet.base.channel_tx.scripts import funding_output
from wallet.base.crypto.hashes import sha256d
from wallet.base.errors import PeerFault, Severity
from wallet.base.values.ids import ChainHash, NodeId, Point, ShortChannelId, Signature
from wallet.base.wire.gossip import (
    ChannelAnnouncement,
    ChannelUpdate,
    NodeAnnouncement,
    signed_bytes,
)
from wallet.base.wire.message import Message
from wallet.machines.routing.gossip_book import (
    DISABLE_BIT,
    FundingFound,
    Gossip,
    direction_of,
)

ANNOUNCE_DEPTH: Final = 6
"""BOLT 7: confirmations that a funding output needs."""
NEARLY: Final = 12
"""Blocks that we may be behind a peer: an announcement from further in the future is dropped."""
TWO_WEEKS: Final = 1_209_600
"""Seconds after which BOLT 7 lets a channel be forgotten."""
FAR_FUTURE: Final = 86_400
"""Seconds by which a timestamp may be ahead of our clock."""
DONT_FORWARD: Final = 2
"""BOLT 7 `message_flags`."""

GossipMessage: TypeAlias = ChannelAnnouncement | ChannelUpdate | NodeAnnouncement


@dataclass(frozen=True, slots=True)
class SignedBy:
    """One signature to verify."""

    key: Point
    digest: bytes
    signature: Signature


@dataclass(frozen=True, slots=True)
class FundingQuery:
    """An output that the chain should have: at this place, with this script."""

    scid: ShortChannelId
    script_pubkey: bytes


@dataclass(frozen=True, slots=True)
class Candidate:
    """A message that is new to us, and what proves it. `peer`: whom we have it from."""

    peer: NodeId
    message: GossipMessage
    signatures: tuple[SignedBy, ...]
    funding: FundingQuery | None = None


class Verdict(Enum):
    """What became of a candidate."""

    VALID = "valid"
    BAD_SIGNATURE = "bad signature"
    NO_FUNDING = "no such output"
    """Not there, spent, with another script, or too young."""
    UNKNOWN = "unknown"
    """The chain did not answer: nobody's fault."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A candidate after its check; `message` is one of `GossipMessage`."""

    peer: NodeId
    message: Message
    verdict: Verdict
    funding: FundingFound | None = None


@dataclass(frozen=True, slots=True)
class View:
    """What a check may know beside the book."""

    chain_hash: ChainHash
    our_id: NodeId
    height: int
    now: int


@dataclass(frozen=True, slots=True)
class AtHeight:
    """Look again when our tip is this high."""

    height: int


class NotYet(Enum):
    """Look again when its channel is known."""

    CHANNEL_FIRST = "the channel is not known"


Look: TypeAlias = Candidate | AtHeight | NotYet | None
_News: TypeAlias = AtHeight | NotYet | bool


def look(gossip: Gossip, peer: NodeId, message: GossipMessage, view: View) -> Look:
    """What to do about a message: check it, wait, or (None) nothing. Raises `PeerFault`."""
    news = _news(gossip, message, view)
    if isinstance(news, AtHeight | NotYet):
        return news
    return _candidate(gossip, peer, message) if news else None


def _news(gossip: Gossip, message: GossipMessage, view: View) -> _News:
    match message:
        case ChannelAnnouncement():
            return _channel(gossip, message, view)
        case ChannelUpdate():
            return _update(gossip, message, view)
        case NodeAnnouncement():
            return _node(gossip, message, view)


def _candidate(gossip: Gossip, peer: NodeId, message: GossipMessage) -> Candidate | None:
    match message:
        case ChannelAnnouncement():
            return channel_candidate(peer, message)
        case ChannelUpdate():
            owner = gossip.owner(message.short_channel_id.to_int(), direction_of(message))
            return None if owner is None else update_candidate(peer, message, owner)
        case NodeAnnouncement():
            digest = sha256d(signed_bytes(message))
            return Candidate(peer, message, (SignedBy(message.node_id, digest, message.signature),))


def _channel(gossip: Gossip, message: ChannelAnnouncement, view: View) -> _News:
    scid = message.short_channel_id
    if (
        message.chain_hash != view.chain_hash
        # BOLT 7: `node_id_1` is the lesser.  Equal ones would be a channel of a node with itself.
        or message.node_id_1 >= message.node_id_2
        or scid.to_int() in gossip.channels
        # We announce our own channels ourselves.
        or view.our_id in (message.node_id_1, message.node_id_2)
    ):
        return False
    deep_at = scid.block + ANNOUNCE_DEPTH - 1
    if view.height < deep_at:
        # BOLT 7: "MAY accept the message if the output is close to 6 confirmations, in case the
        # receiving node hasn't received the latest block(s) yet."
        return AtHeight(deep_at) if deep_at - view.height <= NEARLY else False
    return True


def channel_candidate(peer: NodeId, message: ChannelAnnouncement) -> Candidate:
    """Both nodes and both funding keys sign; the output pays both keys."""
    digest = sha256d(signed_bytes(message))
    signatures = (
        SignedBy(message.node_id_1, digest, message.node_signature_1),
        SignedBy(message.node_id_2, digest, message.node_signature_2),
        SignedBy(message.bitcoin_key_1, digest, message.bitcoin_signature_1),
        SignedBy(message.bitcoin_key_2, digest, message.bitcoin_signature_2),
    )
    script = funding_output(message.bitcoin_key_1, message.bitcoin_key_2)
    query = FundingQuery(message.short_channel_id, script)
    return Candidate(peer, message, signatures, query)


def _update(gossip: Gossip, message: ChannelUpdate, view: View) -> _News:
    if (
        message.chain_hash != view.chain_hash
        # BOLT 7: such an update is for the channel's peer alone.
        or message.message_flags & DONT_FORWARD
        or message.timestamp > view.now + FAR_FUTURE
        or message.timestamp < view.now - TWO_WEEKS
    ):
        return False
    scid, direction = message.short_channel_id.to_int(), direction_of(message)
    owner = gossip.owner(scid, direction)
    if owner is None:
        return NotYet.CHANNEL_FIRST
    if owner == view.our_id or message.timestamp <= gossip.update_time(scid, direction):
        return False
    # BOLT 7: "if the channel output has been spent: MUST ignore `channel_update`s, unless they
    # have the `disable` bit set to 1."
    return scid not in gossip.spent or bool(message.channel_flags & DISABLE_BIT)


def update_candidate(peer: NodeId, message: ChannelUpdate, owner: NodeId) -> Candidate:
    """The owner of the direction signs."""
    digest = sha256d(signed_bytes(message))
    return Candidate(peer, message, (SignedBy(owner, digest, message.signature),))


def _node(gossip: Gossip, message: NodeAnnouncement, view: View) -> _News:
    names = _hostnames(message.addresses)
    if (
        message.node_id == view.our_id
        or message.timestamp > view.now + FAR_FUTURE
        or message.timestamp <= gossip.node_time(message.node_id)
        # BOLT 7: "if more than one `type 5` address is announced: SHOULD ignore the additional
        # data. MUST not forward the `node_announcement`."
        or names > 1
    ):
        return False
    return gossip.knows_node(message.node_id) or NotYet.CHANNEL_FIRST


_ADDRESS_SIZES: Final = {1: 6, 2: 18, 3: 12, 4: 37}
_HOSTNAME: Final = 5


def _hostnames(addresses: bytes) -> int:
    """How many DNS names are among the known address types; raises `PeerFault`."""
    at = names = 0
    while at < len(addresses):
        kind = addresses[at]
        at += 1
        if kind == _HOSTNAME:
            names += 1
            size = 1 + addresses[at] + 2 if at < len(addresses) else 1
        elif kind in _ADDRESS_SIZES:
            size = _ADDRESS_SIZES[kind]
        else:
            # BOLT 7: descriptors are in ascending order, so what follows is unknown too.
            break
        if at + size > len(addresses):
            # BOLT 7: "if `addrlen` is insufficient to hold the address descriptors of the known
            # types: SHOULD send a `warning`. MAY close the connection."
            raise PeerFault(Severity.WARN, "node_announcement: an address is cut short")
        at += size
    return names


# --- after the check ----------------------------------------------------------------------------


def accept(gossip: Gossip, checked: Checked, view: View) -> bool:
    """Put a valid message into the book; False if something newer came first."""
    message, funding = checked.message, checked.funding
    if not isinstance(message, ChannelAnnouncement | ChannelUpdate | NodeAnnouncement):
        return False
    if _news(gossip, message, view) is not True:
        return False
    match message:
        case ChannelAnnouncement():
            if funding is None or gossip.channel_on(funding.outpoint) is not None:
                return False
            gossip.add_channel(message, funding)
        case ChannelUpdate():
            gossip.add_update(message)
        case NodeAnnouncement():
            gossip.add_node(message)
    return True


def is_to_blame(gossip: Gossip, message: Message) -> bool:
    """Whether a wrong signature is surely the peer's fault.

    An update was checked against the owner that we knew then.
    """
    if isinstance(message, ChannelUpdate):
        scid = message.short_channel_id.to_int()
        return gossip.owner(scid, direction_of(message)) is not None
    return True


def fault_of(message: Message) -> PeerFault:
    """BOLT 7: "SHOULD send a `warning` and close the connection"."""
    return PeerFault(Severity.DISCONNECT, f"a signature of this {message.name} is wrong")
