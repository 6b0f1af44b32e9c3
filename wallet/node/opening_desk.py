"""Channels being opened, by us and by peers: coins, keys, patience, until there is a `Channel`."""

from dataclasses import replace
from typing import Final

from wallet.base.errors import DecodeError, PeerFault, Refused, Severity
from wallet.base.values.features import Feature
from wallet.base.values.ids import ChannelId, KeysId, NodeId, ShortChannelId
from wallet.base.wire.channel import AcceptChannel, FundingCreated, FundingSigned, OpenChannel
from wallet.base.wire.setup import Error
from wallet.machines.channel import actions, opening, opening_rules
from wallet.machines.channel.state import Channel, Phase
from wallet.machines.signing import ChannelKeys, DeriveChannel
from wallet.node import coin_desk
from wallet.node.answers import PeerTrusted
from wallet.node.board import Board
from wallet.node.events import ChannelWish, OpenChannelTo, TrustPeer
from wallet.node.memory import KnownPeer, PendingOpening
from wallet.node.work import Notice, SendTo

MAX_OPENINGS_PER_PEER: Final = 4
MAX_OPENINGS: Final = 100
"""Unfunded channels cost a peer nothing, so we remember few of them: of one, and of all."""
PAYMENT_KEYS: Final = 1_000
"""DESIGN §5: `payment_basepoint` is one of so many keys of the seed alone."""
OUR_PATIENCE: Final = 60
"""Seconds that a peer may take for its next word while our coins wait and somebody with them."""
THEIR_PATIENCE: Final = 600
"""Seconds for a peer that opens: a person may be putting its funding transaction together."""

Key = tuple[NodeId, ChannelId]
"""Peer and temporary id."""


def remember(board: Board, node_id: NodeId) -> None:
    """Keep a peer that we dialled or share a channel with; a stranger who says hello is not."""
    memory = board.memory
    peer, known = memory.peers[node_id], memory.known_peers.get(node_id)
    # Where an inbound connection comes from is not where the peer listens.
    address = peer.address if peer.outbound else (known.address if known else None)
    trusted = known.trusted if known else False
    now_known = KnownPeer(node_id, address, peer.features.to_bytes(), trusted)
    if known != now_known:
        memory.known_peers[node_id] = now_known
        board.work.peers.add(node_id)


def trust(board: Board, command: TrustPeer) -> None:
    """A person says whether this peer may open channels that are used before they are confirmed."""
    memory = board.memory
    known = memory.known_peers.get(command.peer) or KnownPeer(command.peer, None, b"")
    memory.known_peers[command.peer] = replace(known, trusted=command.trusted)
    board.work.peers.add(command.peer)
    board.work.reply(command.ticket, PeerTrusted(command.peer, command.trusted))


def _trusts(board: Board, peer: NodeId) -> bool:
    known = board.memory.known_peers.get(peer)
    return peer in board.trusted or (known is not None and known.trusted)


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
        command.peer,
        amount,
        command.push,
        memory.feerate,
        command.announce,
        _type_wanted(command.wish),
        command.wish.min_depth,
        command.wish.close_to,
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
        started.state, command.ticket, selection, since=board.ctx.now
    )
    _send(board, command.peer, started.actions)


def _type_wanted(wish: ChannelWish) -> tuple[int, ...]:
    """To use a channel at once, its type has to say so."""
    at_once = (Feature.OPTION_ZEROCONF.value,) if wish.min_depth == 0 else ()
    return tuple(sorted({*wish.channel_type, *at_once}))


def accept(board: Board, peer: NodeId, message: OpenChannel) -> None:
    """A peer wants to open a channel."""
    memory = board.memory
    key = (peer, message.temporary_channel_id)
    try:
        _check_room(board, key)
        coin_desk.check_reserve(board)
        keys_id, payment_index = _draw(board)
        accepted = opening.accept_channel(
            message,
            peer,
            replace(board.policy, takes_zeroconf=_trusts(board, peer)),
            keys_id,
            payment_index,
            _keys(board, keys_id, payment_index),
            coin_desk.close_script(board),
            memory.peers[peer].features,
        )
    except PeerFault as fault:
        board.work.act(SendTo(peer, Error(message.temporary_channel_id, fault.reason.encode())))
        return
    memory.openings[key] = PendingOpening(accepted.state, since=board.ctx.now)
    _send(board, peer, accepted.actions)


def _check_room(board: Board, key: Key) -> None:
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


def advance(
    board: Board,
    peer: NodeId,
    named: ChannelId,
    message: AcceptChannel | FundingCreated | FundingSigned,
) -> None:
    """A peer says the next word of an opening."""
    key = _find(board, peer, named)
    if key is None:
        board.work.act(SendTo(peer, Error(named, b"no such channel is being opened")))
        return
    pending = board.memory.openings[key]
    pending.since = board.ctx.now
    try:
        _opening_step(board, key, pending, message)
    except PeerFault as fault:
        board.work.act(SendTo(peer, Error(named, fault.reason.encode())))
        give_up(board, key, f"the peer broke a rule while opening: {fault.reason}")
    except Refused as refused:
        board.work.act(SendTo(peer, Error(named, b"the opener gave up")))
        give_up(board, key, refused.message, refused.code)


def _opening_step(
    board: Board,
    key: Key,
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
            remember(board, key[0])
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


def _find(board: Board, peer: NodeId, named: ChannelId) -> Key | None:
    for key in board.memory.openings:
        if key[0] == peer and named in (key[1], drafted_id(board, key)):
            return key
    return None


def drafted_id(board: Board, key: Key) -> ChannelId | None:
    """Of an opening whose funding transaction is known: the id that the channel will have."""
    state = board.memory.openings[key].state
    return state.draft.id if isinstance(state, opening.AwaitingFundingSigned) else None


def tick(board: Board) -> None:
    """Openings in which the peer has said nothing for too long come to an end."""
    for key, pending in list(board.memory.openings.items()):
        patience = THEIR_PATIENCE if pending.selection is None else OUR_PATIENCE
        if board.ctx.now - pending.since > patience:
            named = drafted_id(board, key) or key[1]
            board.work.act(SendTo(key[0], Error(named, b"the opening took too long")))
            give_up(board, key, f"the peer said nothing for {patience} seconds")


def give_up(board: Board, key: Key, reason: str, code: int = -1) -> None:
    """An opening came to nothing: the coins are free, whoever waits is told."""
    pending = board.memory.openings.pop(key)
    if pending.selection is not None:
        # Not for an opening of theirs: a peer may choose the temporary id of one of ours.
        coin_desk.release(board, key[1])
    sentence = f"{reason}. Nothing was sent on chain; the coins are free again"
    board.work.refuse(pending.ticket, Refused(sentence, code))


def _send(board: Board, peer: NodeId, wishes: tuple[actions.Action, ...]) -> None:
    for wish in wishes:
        if isinstance(wish, actions.Send):
            board.work.act(SendTo(peer, wish.message, wish.slots))
