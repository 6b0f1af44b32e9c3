"""What we say of ourselves: announced channels, our terms for each channel, our own node.

Nothing here is told what has happened.  At the end of each batch, what is true of a channel is
compared with what was last said of it; a difference is signed and said.  A crash, a new setting, a
close and a peer that comes back are thereby one case.
"""

from dataclasses import replace
from typing import Final

from wallet.base.crypto.hashes import sha256d
from wallet.base.errors import InvariantBroken
from wallet.base.values.ids import ChannelId, NodeId, Signature
from wallet.base.wire.gossip import ChannelUpdate, NodeAnnouncement, signed_bytes
from wallet.machines.channel import announce
from wallet.machines.channel.state import Channel, Link, Phase, ScidKind, is_lost
from wallet.machines.payments.forwarding import most_of, policy_of
from wallet.machines.routing.gossip import (
    DONT_FORWARD,
    FAR_FUTURE,
    Candidate,
    GossipMessage,
    update_candidate,
)
from wallet.machines.routing.gossip_book import DISABLE_BIT, FundingFound, Gossip
from wallet.machines.signing import NodeKey, SignDigest
from wallet.node import gossip_relay, gossip_rows
from wallet.node.board import Board
from wallet.node.gossip_traffic import GossipPeer
from wallet.node.work import SendTo

AWAY_SECONDS: Final = 600
"""A peer may restart; a channel whose peer is away for longer is of no use to anybody."""
LOOK_SECONDS: Final = 60
"""How often channels are looked at that nothing has happened to."""
REFRESH_SECONDS: Final = 1_123_200
"""13 days: after 14 the network may forget a channel (BOLT 7)."""
MUST_BE_ONE: Final = 1
_UNSIGNED: Final = Signature(bytes(64))


# --- at the end of a batch ----------------------------------------------------------------------


def batch_ended(board: Board) -> None:
    """Say what is new of the channels that the batch has touched."""
    for channel_id in sorted(board.work.touched):
        channel, traffic = board.memory.channels[channel_id], board.memory.traffic
        # A payment touches a channel and changes none of these: most batches end here.
        now = (
            channel.phase,
            channel.link,
            channel.ready_received,
            channel.scids,
            channel.relay,
            channel.announcement,
            channel.our_shutdown,
            channel.their_shutdown,
            channel_id in board.memory.frozen,
        )
        if traffic.looked_at.get(channel_id) != now:
            traffic.looked_at[channel_id] = now
            look(board, channel_id)


def tick(board: Board) -> None:
    """Peers that stay away, terms that grow old."""
    memory, now = board.memory, board.ctx.now
    for channel in memory.channels.values():
        if channel.link is Link.OFFLINE:
            memory.traffic.away_since.setdefault(channel.id, now)
    if now - memory.traffic.own_looked_at >= LOOK_SECONDS:
        memory.traffic.own_looked_at = now
        for channel_id in list(memory.channels):
            look(board, channel_id)
        look_at_node(board)


def peer_down(board: Board, peer: NodeId) -> None:
    """Whatever was on its way may be lost: the peer hears our terms again."""
    memory = board.memory
    for channel in memory.channels_with(peer):
        memory.traffic.told.discard(channel.id)


def look(board: Board, channel_id: ChannelId) -> None:
    """Compare what was said of a channel with what is true, and say what is new."""
    channel = board.memory.channels[channel_id]
    if channel.link is Link.LIVE:
        board.memory.traffic.away_since.pop(channel_id, None)
    announced = announce.is_announced(channel) and _announce(board, channel)
    _say_terms(board, channel, announced=announced)


# --- our channels -------------------------------------------------------------------------------


def _announce(board: Board, channel: Channel) -> bool:
    """Put a channel into the book whose proof is complete; False if it is there already."""
    gossip, real = board.memory.gossip, channel.scid(ScidKind.REAL)
    if real is None or real.to_int() in gossip.channels:
        return False
    answers = board.signer.answer(announce.our_requests(channel, real))
    node, bitcoin = (Signature(a) for a in answers if isinstance(a, bytes))
    message = announce.assemble(channel, node, bitcoin)
    gossip.add_channel(message, FundingFound(channel.funding.outpoint, channel.funding.amount))
    board.work.gossip.append(gossip_rows.message_row(gossip, message))
    return True


def _say_terms(board: Board, channel: Channel, *, announced: bool) -> None:
    memory, now = board.memory, board.ctx.now
    last = memory.channel_updates.get((channel.id, True))
    terms = _terms(board, channel, last)
    if terms is None:
        return
    old = last is None or now - last.timestamp >= REFRESH_SECONDS
    if last is None or old or terms != replace(last, signature=_UNSIGNED, timestamp=0):
        # BOLT 7: greater than 0 and than "any previously-sent `channel_update`".
        timestamp = max(now, 1 if last is None else last.timestamp + 1)
        unsigned = replace(terms, timestamp=timestamp)
        last = replace(unsigned, signature=_signed(board, signed_bytes(unsigned)))
        memory.channel_updates[channel.id, True] = last
        board.work.gossip.append(gossip_rows.terms_row(channel.id, last, ours=True))
        memory.traffic.told.discard(channel.id)
        if not _is_private(last):
            _publish_terms(board, channel, last, announced=announced)
    if channel.id not in memory.traffic.told and channel.link is Link.LIVE:
        memory.traffic.told.add(channel.id)
        board.work.act(SendTo(channel.terms.peer, last))


def _publish_terms(
    board: Board, channel: Channel, update: ChannelUpdate, *, announced: bool
) -> None:
    gossip, traffic = board.memory.gossip, board.memory.traffic
    scid = update.short_channel_id.to_int()
    _enter(board, update)
    news: list[GossipMessage] = [update]
    if announced:
        updates = (gossip.update(scid, direction) for direction in (0, 1))
        news = [gossip.announcement(scid), *(u for u in updates if u is not None)]
    gossip_relay.publish(board, news)
    if channel.terms.peer in traffic.peers:
        traffic.told.add(channel.id)
    look_at_node(board)


def _enter(board: Board, update: ChannelUpdate) -> None:
    board.memory.gossip.add_update(update)
    board.work.gossip.append(gossip_rows.message_row(board.memory.gossip, update))


def _terms(board: Board, channel: Channel, last: ChannelUpdate | None) -> ChannelUpdate | None:
    """What we would say of this channel now, unsigned and without a time; None: nothing.

    BOLT 7: "MUST NOT send a created `channel_update` before `channel_ready` has been received."
    """
    real = channel.scid(ScidKind.REAL)
    public = real is not None and real.to_int() in board.memory.gossip.channels
    # BOLT 7: of a private channel "either an `alias` it has received from the peer, or the real".
    scid = real if public else channel.scid(ScidKind.THEIRS) or real
    if scid is None or not channel.ready_received:
        return None
    if channel.phase is not Phase.READY and not public:
        return None
    policy = policy_of(channel)
    most = min(policy.htlc_maximum, most_of(channel))
    disabled = DISABLE_BIT if _is_disabled(board, channel, last) else 0
    return ChannelUpdate(
        signature=_UNSIGNED,
        chain_hash=channel.terms.chain_hash,
        short_channel_id=scid,
        timestamp=0,
        message_flags=MUST_BE_ONE if public else MUST_BE_ONE | DONT_FORWARD,
        channel_flags=_our_direction(board, channel) | disabled,
        cltv_expiry_delta=policy.cltv_expiry_delta,
        htlc_minimum_msat=min(policy.htlc_minimum, most),
        fee_base_msat=policy.fee_base,
        fee_proportional_millionths=policy.fee_proportional_millionths,
        htlc_maximum_msat=most,
    )


def _is_disabled(board: Board, channel: Channel, last: ChannelUpdate | None) -> bool:
    if (
        channel.phase is not Phase.READY
        or channel.our_shutdown is not None
        or channel.their_shutdown is not None
        or channel.id in board.memory.frozen
        or is_lost(channel)
    ):
        return True
    if channel.link is Link.LIVE:
        return False
    away = board.memory.traffic.away_since.get(channel.id)
    was_disabled = last is not None and bool(last.channel_flags & DISABLE_BIT)
    return was_disabled or (away is not None and board.ctx.now - away >= AWAY_SECONDS)


def _is_private(update: ChannelUpdate) -> bool:
    return bool(update.message_flags & DONT_FORWARD)


def _our_direction(board: Board, channel: Channel) -> int:
    return 0 if board.signer.node_id < channel.terms.peer else 1


def _signed(board: Board, data: bytes) -> Signature:
    answer = board.ask(SignDigest(NodeKey(), sha256d(data)))
    if not isinstance(answer, bytes):
        raise InvariantBroken("the signer answered a digest with something else")
    return Signature(answer)


# --- our node -----------------------------------------------------------------------------------


def look_at_node(board: Board) -> None:
    """Announce ourselves, once we have an announced channel, and again when something changes."""
    gossip, card, node_id = board.memory.gossip, board.card, board.signer.node_id
    if not gossip.knows_node(node_id):
        return
    last = gossip.node(node_id)
    wanted = NodeAnnouncement(
        _UNSIGNED, card.features, 0, node_id, card.rgb_color, card.alias, card.addresses
    )
    if last is not None and replace(last, signature=_UNSIGNED, timestamp=0) == wanted:
        return
    # BOLT 7: greater than that of any that we have created before.
    timestamp = max(board.ctx.now, 1 if last is None else last.timestamp + 1)
    unsigned = replace(wanted, timestamp=timestamp)
    message = replace(unsigned, signature=_signed(board, signed_bytes(unsigned)))
    gossip.add_node(message)
    board.work.gossip.append(gossip_rows.message_row(gossip, message))
    gossip_relay.publish(board, [message])


def greet(board: Board, peer: NodeId, there: GossipPeer) -> None:
    """A partner may have been away when we changed, and its filter may not bring it the news."""
    card = board.memory.gossip.node(board.signer.node_id)
    if card is None or not board.memory.channels_with(peer):
        return
    if there.wanted is None or card.timestamp not in there.wanted:
        board.work.act(SendTo(peer, card))


def knows_others(board: Board) -> bool:
    """Whether the book has channels that are not ours."""
    gossip = board.memory.gossip
    return len(gossip.channels) > _number_of_ours(gossip, board.signer.node_id)


def _number_of_ours(gossip: Gossip, node_id: NodeId) -> int:
    return sum(1 for _ in gossip.graph.channels_of(node_id))


# --- the other side's terms ---------------------------------------------------------------------


def candidate(board: Board, peer: NodeId, message: ChannelUpdate) -> Candidate | None:
    """An update by which a peer tells its own terms for a channel with us, if it is a new one.

    BOLT 7: "SHOULD accept `channel_update`s for its own channels (even if non-public)".
    """
    channel = channel_of(board, peer, message)
    if channel is None or not _is_news(board, channel, message):
        return None
    return update_candidate(peer, message, peer)


def learn(board: Board, peer: NodeId, message: ChannelUpdate) -> None:
    """A peer's signature on its terms is right: remember them if they are ours to know."""
    channel = channel_of(board, peer, message)
    if channel is not None and _is_news(board, channel, message):
        board.memory.channel_updates[channel.id, False] = message
        board.work.gossip.append(gossip_rows.terms_row(channel.id, message, ours=False))


def channel_of(board: Board, peer: NodeId, message: ChannelUpdate) -> Channel | None:
    """The channel with that peer, if the update is of the peer's direction. It may use any name."""
    channel_id = board.memory.names.get(message.short_channel_id)
    channel = None if channel_id is None else board.memory.channels.get(channel_id)
    if channel is None or channel.terms.peer != peer:
        return None
    theirs = 1 - _our_direction(board, channel)
    if message.chain_hash != channel.terms.chain_hash or message.channel_flags & 1 != theirs:
        return None
    return channel


def _is_news(board: Board, channel: Channel, message: ChannelUpdate) -> bool:
    last = board.memory.channel_updates.get((channel.id, False))
    newer = last is None or message.timestamp > last.timestamp
    return newer and message.timestamp <= board.ctx.now + FAR_FUTURE
