"""Peers: who is there, what they say, and channels being opened with them."""

from dataclasses import replace

from wallet.base.errors import DecodeError, PeerFault, Refused, Severity
from wallet.base.values.features import Features
from wallet.base.values.ids import ALL_CHANNELS, ChannelId, KeysId, NodeId, ShortChannelId
from wallet.base.wire.channel import (
    AcceptChannel,
    ChannelReestablish,
    FundingCreated,
    FundingSigned,
    OpenChannel,
)
from wallet.base.wire.message import Message, UnknownMessage, decode
from wallet.base.wire.setup import Error, reason_of
from wallet.base.wire.setup import Warning as PeerWarning
from wallet.machines.channel import actions, events, opening, opening_rules
from wallet.machines.channel.state import Channel, Phase
from wallet.machines.signing import ChannelKeys, DeriveChannel
from wallet.node import coin_desk
from wallet.node.board import Board
from wallet.node.events import OpenChannelTo, PeerDown, PeerSaid, PeerUp
from wallet.node.memory import ConnectedPeer, KnownPeer, PendingOpening
from wallet.node.work import DropPeer, Notice, SendTo

MAX_OPENINGS_PER_PEER = 4
MAX_OPENINGS = 100
"""Unfunded channels cost a peer nothing, so we remember few of them: of one, and of all."""
PAYMENT_KEYS = 1_000
"""DESIGN §5: `payment_basepoint` is one of so many keys of the seed alone."""


def peer_up(board: Board, event: PeerUp) -> None:
    """A link is up: remember the peer, and let its channels speak first."""
    memory = board.memory
    features = Features.from_bytes(event.features)
    memory.peers[event.node_id] = ConnectedPeer(
        event.node_id, event.address, event.outbound, features
    )
    if event.outbound or memory.channels_with(event.node_id):
        _remember(board, event.node_id)
    for channel in memory.channels_with(event.node_id):
        board.tell(channel.id, events.PeerConnected())
    board.work.act(Notice("connect", event.node_id.hex()))


def _remember(board: Board, node_id: NodeId) -> None:
    """Keep a peer that we dialled or share a channel with; a stranger who says hello is not."""
    memory = board.memory
    peer, known = memory.peers[node_id], memory.known_peers.get(node_id)
    # Where an inbound connection comes from is not where the peer listens.
    address = peer.address if peer.outbound else (known.address if known else None)
    now_known = KnownPeer(node_id, address, peer.features.to_bytes())
    if known != now_known:
        memory.known_peers[node_id] = now_known
        board.work.peers.add(node_id)


def peer_down(board: Board, event: PeerDown) -> None:
    """A link is gone: openings end, channels wait."""
    memory = board.memory
    memory.peers.pop(event.node_id, None)
    # What this batch would have said on the old link must not be said on a new one: there
    # channel_reestablish comes first, and it finds out what was missed.
    board.work.actions = [
        a for a in board.work.actions if not (isinstance(a, SendTo) and a.peer == event.node_id)
    ]
    for key in [k for k in memory.openings if k[0] == event.node_id]:
        _give_up(board, key, f"the peer went away while the channel was opened: {event.reason}")
    for channel in memory.channels_with(event.node_id):
        board.tell(channel.id, events.PeerDisconnected())
    board.work.act(Notice("disconnect", event.node_id.hex()))


def peer_said(board: Board, event: PeerSaid) -> None:
    """One message; whatever it is, the worst that follows is a closed link or a failed channel."""
    if event.node_id not in board.memory.peers:
        return
    try:
        message = decode(event.data)
        if isinstance(message, UnknownMessage):
            return
        _route(board, event.node_id, message)
    except DecodeError as error:
        _warn_and_drop(board, event.node_id, ALL_CHANNELS, str(error))


def _warn_and_drop(board: Board, peer: NodeId, channel_id: ChannelId, reason: str) -> None:
    board.work.act(SendTo(peer, PeerWarning(channel_id, reason.encode())))
    board.work.act(DropPeer(peer, reason))


def _route(board: Board, peer: NodeId, message: Message) -> None:
    match message:
        case OpenChannel():
            _accept(board, peer, message)
        case AcceptChannel() | FundingCreated():
            _advance(board, peer, message.temporary_channel_id, message)
        case FundingSigned():
            _advance(board, peer, message.channel_id, message)
        case Error() | PeerWarning():
            _complaint(board, peer, message)
        case _:
            _to_channel(board, peer, message)


def _to_channel(board: Board, peer: NodeId, message: Message) -> None:
    channel_id = getattr(message, "channel_id", None)
    if channel_id is None:
        return
    channel = board.memory.channels.get(channel_id)
    if channel is not None and channel.terms.peer == peer:
        board.tell(channel_id, events.MessageReceived(message))
        return
    if isinstance(message, ChannelReestablish):
        # BOLT 1: an `error` makes the peer close a channel that we know nothing of.
        board.work.act(SendTo(peer, Error(channel_id, b"we do not know this channel")))
    else:
        board.work.act(SendTo(peer, PeerWarning(channel_id, b"we do not know this channel")))


def _complaint(board: Board, peer: NodeId, message: Error | PeerWarning) -> None:
    reason = reason_of(message)
    everything = message.channel_id == ALL_CHANNELS
    openings = [
        k
        for k in board.memory.openings
        if k[0] == peer and (everything or message.channel_id in (k[1], _drafted_id(board, k)))
    ]
    channels = [
        c for c in board.memory.channels_with(peer) if everything or c.id == message.channel_id
    ]
    if openings or channels:
        # Words about channels that nobody has would let a stranger fill the log.
        board.log.append(f"{peer.hex()} says ({message.name}): {reason}")
    for key in openings:
        _give_up(board, key, f"the peer refused the channel: {reason}")
    for channel in channels:
        board.tell(channel.id, events.MessageReceived(message))


# --- opening ------------------------------------------------------------------------------------


def _keys(board: Board, keys_id: KeysId, payment_index: int) -> ChannelKeys:
    answer = board.ask(DeriveChannel(keys_id, payment_index))
    if not isinstance(answer, ChannelKeys):
        raise DecodeError("the signer gave no channel keys")
    return answer


def _draw(board: Board) -> tuple[KeysId, int]:
    keys_id = KeysId(board.entropy("keys_id")[:16])
    return keys_id, int.from_bytes(board.entropy("payment_index")[:8], "big") % PAYMENT_KEYS


def _alias(board: Board) -> ShortChannelId:
    """A name unrelated to any place in the chain: block heights of 2^23 and more never come."""
    taken = {s.scid for c in board.memory.channels.values() for s in c.scids}
    for attempt in range(8):
        raw = int.from_bytes(board.entropy(f"alias {attempt}")[:8], "big")
        scid = ShortChannelId.from_int(raw | 1 << 63)
        if scid not in taken:
            return scid
    raise Refused("could not draw a free alias")


def open_channel(board: Board, command: OpenChannelTo) -> None:
    """Begin an opening; the ticket is answered when the funding is on its way."""
    memory = board.memory
    peer = memory.peers.get(command.peer)
    if peer is None:
        raise Refused(
            f"{command.peer.hex()} is not connected: `leyden connect ID@HOST:PORT` first", 305
        )
    opening_rules.check_peer(peer.features)
    if command.amount is not None:
        opening_rules.check_amount(command.amount, peer.features)
    feerate = command.feerate or memory.feerate
    temporary = ChannelId(board.entropy("temporary_channel_id"))
    amount, selection = coin_desk.select_for_channel(
        board, command.amount, feerate, command.min_confirmations
    )
    # The commitment's own fee rate: anchors can raise it later, so it only has to enter a mempool.
    request = opening_rules.OpenRequest(
        command.peer, amount, command.push, memory.feerate, command.announce
    )
    keys_id, payment_index = _draw(board)
    started = opening.open_channel(
        request,
        board.policy,
        keys_id,
        payment_index,
        _keys(board, keys_id, payment_index),
        coin_desk.close_script(board),
        peer.features,
        replace(board.ctx, entropy=bytes(temporary)),
    )
    coin_desk.reserve(board, selection, temporary)
    memory.openings[command.peer, temporary] = PendingOpening(
        started.state, command.ticket, selection
    )
    _send(board, command.peer, started.actions)


def _accept(board: Board, peer: NodeId, message: OpenChannel) -> None:
    memory = board.memory
    key = (peer, message.temporary_channel_id)
    try:
        _check_room(board, key)
        keys_id, payment_index = _draw(board)
        accepted = opening.accept_channel(
            message,
            peer,
            board.policy,
            keys_id,
            payment_index,
            _keys(board, keys_id, payment_index),
            coin_desk.close_script(board),
            memory.peers[peer].features,
        )
    except PeerFault as fault:
        board.work.act(SendTo(peer, Error(message.temporary_channel_id, fault.reason.encode())))
        return
    memory.openings[key] = PendingOpening(accepted.state)
    _send(board, peer, accepted.actions)


def _check_room(board: Board, key: tuple[NodeId, ChannelId]) -> None:
    """Raise `PeerFault` when a peer, or all of them, have too much open that is not funded."""
    memory = board.memory
    pending = memory.openings.get(key)
    if pending is not None and pending.selection is not None:
        raise PeerFault(Severity.FAIL_CHANNEL, "this temporary_channel_id is one of ours")
    # BOLT 2: a new `open_channel` for the same id replaces the one before.
    begun = [k[0] for k in memory.openings if k != key]
    begun += [
        c.terms.peer
        for c in memory.channels.values()
        if not c.terms.we_opened and c.funding.confirmed is None and c.phase is not Phase.CLOSED
    ]
    if begun.count(key[0]) >= MAX_OPENINGS_PER_PEER or len(begun) >= MAX_OPENINGS:
        raise PeerFault(Severity.FAIL_CHANNEL, "too many channels wait for their funding already")


def _advance(
    board: Board,
    peer: NodeId,
    named: ChannelId,
    message: AcceptChannel | FundingCreated | FundingSigned,
) -> None:
    key = _find(board, peer, named)
    if key is None:
        board.work.act(SendTo(peer, Error(named, b"no such channel is being opened")))
        return
    pending = board.memory.openings[key]
    try:
        _opening_step(board, key, pending, message)
    except PeerFault as fault:
        board.work.act(SendTo(peer, Error(named, fault.reason.encode())))
        _give_up(board, key, f"the peer broke a rule while opening: {fault.reason}")
    except Refused as refused:
        board.work.act(SendTo(peer, Error(named, b"the opener gave up")))
        _give_up(board, key, refused.message, refused.code)


def _opening_step(
    board: Board,
    key: tuple[NodeId, ChannelId],
    pending: PendingOpening,
    message: AcceptChannel | FundingCreated | FundingSigned,
) -> None:
    ctx = board.ctx
    match pending.state, message:
        case opening.AwaitingAccept() as state, AcceptChannel():
            waiting = opening.receive_accept(state, message)
            transaction, index = coin_desk.build_funding(board, pending, waiting)
            created = opening.fund(waiting, transaction, index, _alias(board), ctx)
            _check_unused(board, created.state.draft)
            pending.state = created.state
            _send(board, key[0], created.actions)
        case opening.AwaitingFundingCreated() as state, FundingCreated():
            made = opening.receive_funding_created(state, message, _alias(board), ctx)
            _check_unused(board, made.state)
            del board.memory.openings[key]
            _remember(board, key[0])
            board.add_channel(made.state, made.actions)
            board.work.act(Notice("channel_opened", made.state.id.hex()))
        case opening.AwaitingFundingSigned() as state, FundingSigned():
            signed = opening.receive_funding_signed(state, message)
            del board.memory.openings[key]
            board.memory.awaiting_open[signed.state.id] = pending.ticket
            coin_desk.spent(board, signed.state)
            board.add_channel(signed.state, signed.actions)
            board.work.act(Notice("channel_opened", signed.state.id.hex()))
        case _:
            raise PeerFault(Severity.FAIL_CHANNEL, f"{message.name} is out of turn")


def _check_unused(board: Board, channel: Channel) -> None:
    """Two channels on one funding output, or under one id, would share each other's money."""
    taken = {f.outpoint for c in board.memory.channels.values() for f in c.fundings}
    if channel.id in board.memory.channels or channel.funding.outpoint in taken:
        raise PeerFault(
            Severity.FAIL_CHANNEL,
            f"the funding output {channel.funding.outpoint} is used by another channel",
        )


def _find(board: Board, peer: NodeId, named: ChannelId) -> tuple[NodeId, ChannelId] | None:
    for key in board.memory.openings:
        if key[0] == peer and named in (key[1], _drafted_id(board, key)):
            return key
    return None


def _drafted_id(board: Board, key: tuple[NodeId, ChannelId]) -> ChannelId | None:
    state = board.memory.openings[key].state
    return state.draft.id if isinstance(state, opening.AwaitingFundingSigned) else None


def _give_up(board: Board, key: tuple[NodeId, ChannelId], reason: str, code: int = -1) -> None:
    pending = board.memory.openings.pop(key)
    coin_desk.release(board, key[1])
    sentence = f"{reason}. Nothing was sent on chain; the coins are free again"
    board.work.refuse(pending.ticket, Refused(sentence, code))


def _send(board: Board, peer: NodeId, wishes: tuple[actions.Action, ...]) -> None:
    for wish in wishes:
        if isinstance(wish, actions.Send):
            board.work.act(SendTo(peer, wish.message, wish.slots))
