"""Both halves of the proof that a channel exists: BOLT 7 `announcement_signatures`.

Each side signs the `channel_announcement` with its node key and its funding key, once the funding
is too deep to move.  What the peer signed is kept with the scid that it signed for: a
reorganisation may give the funding another place, and then both sign anew.
"""

from dataclasses import replace
from typing import Final

from wallet.base.crypto.curve import verify
from wallet.base.crypto.hashes import sha256d
from wallet.base.errors import InvariantBroken, PeerFault, Severity
from wallet.base.values.features import Feature
from wallet.base.values.ids import NodeId, Point, ShortChannelId, Signature
from wallet.base.wire.gossip import AnnouncementSignatures, ChannelAnnouncement, signed_bytes
from wallet.machines.channel.actions import Action, Announced, Send
from wallet.machines.channel.state import Announcement, Channel, Link, Phase, Proof, ScidKind
from wallet.machines.signing import FundingKey, NodeKey, SignDigest
from wallet.machines.step import Context, Step

ChannelStep = Step[Channel, Action]

ANNOUNCE_DEPTH: Final = 6
"""BOLT 7: with less than 6 confirmations, MUST NOT send `channel_announcement`."""
_OPEN: Final = Signature(bytes(64))


def is_public(channel: Channel) -> bool:
    """Whether the network is to hear of this channel, now or once it is deep enough."""
    terms = channel.terms
    # BOLT 2: with `option_scid_alias` in its type, a channel is never announced.
    hidden = Feature.OPTION_SCID_ALIAS.value in terms.channel_type
    return terms.announce and not hidden and terms.our_id is not None


def is_announced(channel: Channel) -> bool:
    """Whether both halves of the proof exist for the place in which the funding is now."""
    kept = channel.announcement
    real = channel.scid(ScidKind.REAL)
    return (
        channel.phase is Phase.READY
        and channel.funding.confirmed is not None
        and kept.sent == real
        and kept.theirs is not None
        and kept.theirs.scid == real
    )


def progress(channel: Channel, ctx: Context) -> ChannelStep:
    """At the end of a batch: say our half once it may be said and the peer lacks it."""
    kept = channel.announcement
    scid = _deep_scid(channel, ctx)
    if scid is None or kept.said:
        return Step(channel)
    # BOLT 7: upon reconnection, if it has NOT previously received `announcement_signatures` for
    # the funding transaction: MUST send its own.
    if kept.sent == scid and kept.theirs is not None and kept.theirs.scid == scid:
        return Step(channel)
    return _say(channel, scid)


def receive(channel: Channel, message: AnnouncementSignatures, ctx: Context) -> ChannelStep:
    """BOLT 7 `announcement_signatures`; kept, even when our own view is not deep enough yet."""
    if not is_public(channel):
        raise PeerFault(Severity.WARN, "announcement_signatures for a private channel")
    named = message.short_channel_id
    deep = _deep_scid(channel, ctx)
    if deep is not None and named != deep:
        raise PeerFault(
            Severity.WARN, f"announcement_signatures for {named}, the funding is at {deep}"
        )
    proof = Proof(named, message.node_signature, message.bitcoin_signature)
    _check(channel, proof)
    before = channel.announcement
    after = replace(channel, announcement=replace(before, theirs=proof))
    # BOLT 7: upon reconnection, if it receives `announcement_signatures` for the funding
    # transaction: MUST respond with its own.
    if deep is not None and not before.said:
        return _say(after, deep)
    news = is_announced(after) and not is_announced(channel)
    return Step(after, (Announced(),) if news else ())


def again(channel: Channel) -> tuple[Action, ...]:
    """After a restart: the announcement, if the graph should have it."""
    return (Announced(),) if is_announced(channel) else ()


def announcement_of(channel: Channel, scid: ShortChannelId) -> ChannelAnnouncement:
    """BOLT 7 `channel_announcement` of the funding at `scid`, its four signatures open.

    `features` is empty: BOLT 9 puts no feature into this message yet.
    """
    (first, second), _ = _ordered(channel)
    return ChannelAnnouncement(
        node_signature_1=_OPEN,
        node_signature_2=_OPEN,
        bitcoin_signature_1=_OPEN,
        bitcoin_signature_2=_OPEN,
        features=b"",
        chain_hash=channel.terms.chain_hash,
        short_channel_id=scid,
        node_id_1=first[0],
        node_id_2=second[0],
        bitcoin_key_1=first[1],
        bitcoin_key_2=second[1],
    )


def our_requests(channel: Channel, scid: ShortChannelId) -> tuple[SignDigest, SignDigest]:
    """What the signer is asked for our half: the node's signature, then the funding key's."""
    digest = sha256d(signed_bytes(announcement_of(channel, scid)))
    funding_key = FundingKey(channel.terms.keys_id, channel.funding.number)
    return SignDigest(NodeKey(), digest), SignDigest(funding_key, digest)


def assemble(channel: Channel, node: Signature, bitcoin: Signature) -> ChannelAnnouncement:
    """The whole `channel_announcement`, from our half and theirs; the channel is announced."""
    proof = channel.announcement.theirs
    if not is_announced(channel) or proof is None:
        raise InvariantBroken("this channel has no proof of its announcement")
    ours, theirs = (node, bitcoin), (proof.node_signature, proof.bitcoin_signature)
    _, we_are_first = _ordered(channel)
    first, second = (ours, theirs) if we_are_first else (theirs, ours)
    return replace(
        announcement_of(channel, proof.scid),
        node_signature_1=first[0],
        node_signature_2=second[0],
        bitcoin_signature_1=first[1],
        bitcoin_signature_2=second[1],
    )


_Owner = tuple[NodeId, Point]


def _ordered(channel: Channel) -> tuple[tuple[_Owner, _Owner], bool]:
    """Both owners, the lesser node id first (BOLT 7), and whether that is us."""
    terms, funding = channel.terms, channel.funding
    if terms.our_id is None:
        raise InvariantBroken("this channel does not know our own node id")
    us: _Owner = (terms.our_id, funding.our_pubkey)
    them: _Owner = (terms.peer, funding.their_pubkey)
    we_are_first = terms.our_id < terms.peer
    return ((us, them) if we_are_first else (them, us)), we_are_first


def _deep_scid(channel: Channel, ctx: Context) -> ShortChannelId | None:
    """The real name, once our half may be said: ready, deep, nobody closing, the peer there."""
    confirmed = channel.funding.confirmed
    if (
        channel.phase is not Phase.READY
        or channel.link is not Link.LIVE
        or channel.shutdown_sent
        or confirmed is None
        or ctx.height.height - confirmed.height + 1 < ANNOUNCE_DEPTH
        or not is_public(channel)
    ):
        return None
    return channel.scid(ScidKind.REAL)


def _say(channel: Channel, scid: ShortChannelId) -> ChannelStep:
    kept = channel.announcement
    after = replace(channel, announcement=Announcement(scid, True, kept.theirs))
    message = AnnouncementSignatures(channel.id, scid, _OPEN, _OPEN)
    news = is_announced(after) and not is_announced(channel)
    said = Send(message, our_requests(channel, scid))
    return Step(after, (said, Announced()) if news else (said,))


def _check(channel: Channel, proof: Proof) -> None:
    digest = sha256d(signed_bytes(announcement_of(channel, proof.scid)))
    by_node = verify(channel.terms.peer, digest, proof.node_signature)
    by_key = verify(channel.funding.their_pubkey, digest, proof.bitcoin_signature)
    if not (by_node and by_key):
        # BOLT 7: MAY send a `warning` and close the connection.
        wrong = "bitcoin_signature" if by_node else "node_signature"
        raise PeerFault(Severity.DISCONNECT, f"bad {wrong} in announcement_signatures")
