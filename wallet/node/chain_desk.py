"""Blocks: what they confirm, what they spend, and what a reorganisation takes back.

Every funding output is watched from its first day.  Reorganisations and restarts are ordinary
inputs: whatever a block told a channel, its disconnection takes back.
"""

from contextlib import suppress
from typing import Final

from wallet.base.bitcoin.transaction import Transaction
from wallet.base.errors import InvariantBroken, Refused
from wallet.base.values.ids import ChannelId, OutPoint, Txid
from wallet.machines.chain_events import (
    BlockConnected,
    BlockDisconnected,
    ChainStart,
)
from wallet.machines.channel import events, missing, shutdown
from wallet.machines.channel.ending import SpendKind
from wallet.machines.channel.state import Channel, Phase
from wallet.node import coin_desk, gossip_desk, ledger
from wallet.node.answers import ChannelClosed, ChannelOpened
from wallet.node.board import Board
from wallet.node.events import BroadcastDone, CloseChannel, FeerateChanged, FundingSought
from wallet.node.memory import CloseWaiter, genesis_ref
from wallet.node.work import Notice, SeekFunding

FEERATE_SLACK: Final = 1.25
"""With anchors a commitment's fee only has to enter a mempool: small changes are left alone."""


def chain_start(board: Board, event: ChainStart) -> None:
    """A new wallet's first block: no address of ours, and no channel, is older."""
    memory = board.memory
    if event.ref in memory.blocks:
        # A batch that failed may have been offered again.
        return
    if memory.blocks:
        raise InvariantBroken(f"{event.ref} cannot be a start: our tip is {memory.tip}")
    memory.push_block(event.ref)
    board.work.blocks = True
    _new_tip(board, latest=False)


def block_connected(board: Board, event: BlockConnected) -> None:
    """One more block: the wallet, then channels it confirms or ends, then everyone's clock."""
    memory = board.memory
    if event.ref in memory.blocks:
        # A batch that failed may have been offered again.
        return
    if event.prev != memory.tip.hash:
        raise InvariantBroken(f"{event.ref} does not build on our tip {memory.tip}")
    memory.push_block(event.ref)
    board.work.blocks = True
    coin_desk.connect(board, event)
    height = event.height.height
    # Several channels may name one transaction: a batch that funds them all, or a stranger who
    # names another output of somebody's funding.  Each looks at its own output.
    fundings: dict[Txid, list[ChannelId]] = {}
    coins: dict[OutPoint, list[ChannelId]] = {}
    for channel in memory.channels.values():
        if channel.funding.confirmed is None:
            fundings.setdefault(channel.funding.outpoint.txid, []).append(channel.id)
            for coin in _spent_by_funding(channel):
                coins.setdefault(coin, []).append(channel.id)
    for index, tx in enumerate(event.transactions):
        for channel_id in fundings.get(tx.txid, ()) if fundings else ():
            board.tell(channel_id, events.FundingConfirmed(height, index, tx))
        for spent in tx.inputs:
            watcher = memory.watched.get(spent.outpoint)
            if watcher is not None:
                _spent(board, watcher, spent.outpoint, tx, height)
            for channel_id in coins.get(spent.outpoint, ()):
                # The funding itself has been told as confirmed: that channel hears no more of it.
                board.tell(channel_id, events.FundingSought(height, found=False, rival=tx.txid))
    gossip_desk.block_connected(board, event)
    _new_tip(board, latest=event.latest)
    if event.latest:
        _seek(board)
    board.work.act(Notice("block_added", str(height)))


def _spent_by_funding(channel: Channel) -> list[OutPoint]:
    """What a rival of the funding would spend, where that matters and we know it."""
    transaction = channel.funding.transaction
    if transaction is None or not missing.is_sought(channel):
        return []
    return [coin.outpoint for coin in transaction.tx.inputs]


def _seek(board: Board) -> None:
    """Ask for the fundings that payments stand on without a block. Who knows its rival need not."""
    height = board.memory.height.height
    for channel in board.memory.channels.values():
        known = channel.missing
        if missing.is_sought(channel) and (known is None or known.rival is None):
            board.work.act(SeekFunding(channel.id, channel.funding.outpoint, height))


def funding_sought(board: Board, event: FundingSought) -> None:
    """What the backend knows of a funding."""
    if event.channel_id in board.memory.channels:
        board.tell(event.channel_id, events.FundingSought(event.height, event.found))


def _spent(
    board: Board, channel_id: ChannelId, outpoint: OutPoint, tx: Transaction, height: int
) -> None:
    channel = board.memory.channels[channel_id]
    if any(f.outpoint == outpoint for f in channel.fundings):
        recalled = board.recalled.pop((channel_id, tx.txid), None)
        board.tell(channel_id, events.FundingSpent(tx, height, recalled))
        _answer_closers(board, channel_id, tx)
    else:
        board.tell(channel_id, events.ClaimSpent(outpoint.txid, outpoint.index, tx, height))


def _answer_closers(board: Board, channel_id: ChannelId, tx: Transaction) -> None:
    """Whoever waits for a close has it, by whichever transaction, ours or the peer's."""
    end = board.memory.channels[channel_id].onchain
    mutual = end is not None and end.kind is SpendKind.MUTUAL
    for waiter in board.memory.awaiting_close.pop(channel_id, []):
        closed = ChannelClosed(channel_id, tx, "mutual" if mutual else "unilateral")
        board.work.reply(waiter.ticket, closed)


def block_disconnected(board: Board, event: BlockDisconnected) -> None:
    """The tip is gone, and with it whatever it had told us."""
    memory = board.memory
    if event.hash != memory.tip.hash:
        raise InvariantBroken(f"block {event.height.height} is not our tip")
    parent = memory.blocks[-2] if len(memory.blocks) > 1 else genesis_ref(board.chain.chain_hash)
    memory.pop_block(parent)
    board.work.blocks = True
    coin_desk.disconnect(board, event)
    height = event.height.height
    for channel in list(memory.channels.values()):
        _take_back(board, channel, height)
    gossip_desk.block_disconnected(board, event)
    # Others come in its place.
    _new_tip(board, latest=False)


def _take_back(board: Board, channel: Channel, height: int) -> None:
    end = channel.onchain
    if end is not None:
        for claim in end.claims:
            if claim.resolved_at == height:
                gone = events.ClaimUnspent(claim.outpoint.txid, claim.outpoint.index)
                board.tell(channel.id, gone)
        if end.height == height:
            board.tell(channel.id, events.FundingUnspent())
    confirmed = channel.funding.confirmed
    if confirmed is not None and confirmed.height == height:
        board.tell(channel.id, events.FundingUnconfirmed())


def _new_tip(board: Board, *, latest: bool) -> None:
    ctx = board.ctx
    board.ctx = type(ctx)(board.memory.height, ctx.feerate, ctx.now, ctx.entropy)
    for channel in list(board.memory.channels.values()):
        if channel.phase is not Phase.CLOSED:
            board.tell(channel.id, events.NewTip(channel.terms.close_to, latest))


def feerate_changed(board: Board, event: FeerateChanged) -> None:
    """The backend estimates another fee rate: commitments that we pay for follow it."""
    board.memory.feerate = event.feerate
    for channel in list(board.memory.channels.values()):
        now, wanted = channel.fees[-1].feerate.per_kw, event.feerate.per_kw
        near = now <= wanted * FEERATE_SLACK and wanted <= now * FEERATE_SLACK
        if channel.terms.we_opened and channel.phase is Phase.READY and not near:
            # One that cannot take it now (peer away, balance low) is asked at the next change.
            with suppress(Refused):
                board.run(channel.id, events.ChangeFeerate(event.feerate))


def tick(board: Board) -> None:
    """A peer that agrees on no closing fee has had its time."""
    for channel in list(board.memory.channels.values()):
        if shutdown.is_overdue(channel, board.ctx.now):
            board.tell(channel.id, events.Flush())


# --- what we gave to the chain ------------------------------------------------------------------


def broadcast_done(board: Board, event: BroadcastDone) -> None:
    """A transaction of ours was taken or refused: answer whoever waits for it."""
    if event.tx.txid in board.memory.transactions:
        ledger.seen(board, event.tx)
    if event.channel_id is None:
        coin_desk.broadcast_done(board, event)
        return
    memory, result = board.memory, event.result
    refused = result is not None and not result.is_known
    if result is not None and refused and not _is_replaced(board, event):
        board.log.append(f"{event.kind} {event.tx.txid} was refused: {result.reason}")
    if event.kind == "funding":
        ticket = memory.awaiting_open.pop(event.channel_id, 0)
        if result is not None and refused:
            board.work.refuse(ticket, Refused(_funding_refused(event.tx, result.reason), 303))
        else:
            channel = memory.channels[event.channel_id]
            board.work.reply(ticket, ChannelOpened(channel, event.tx))
    elif event.kind in ("mutual close", "commitment"):
        kind = "mutual" if event.kind == "mutual close" else "unilateral"
        waiting = memory.awaiting_close.pop(event.channel_id, [])
        for waiter in waiting:
            if event.tx.txid not in waiter.older:
                board.work.reply(waiter.ticket, ChannelClosed(event.channel_id, event.tx, kind))
        left = [waiter for waiter in waiting if event.tx.txid in waiter.older]
        if left:
            memory.awaiting_close[event.channel_id] = left


def _is_replaced(board: Board, event: BroadcastDone) -> bool:
    """Whether it is a close that another pays more than: no mempool takes it any more."""
    channel = board.memory.channels.get(event.channel_id) if event.channel_id else None
    return channel is not None and event.tx.txid in _closes(channel)[:-1]


def _closes(channel: Channel) -> list[Txid]:
    return [each.transaction.tx.txid for each in shutdown.broadcast_close(channel)]


def _funding_refused(tx: Transaction, reason: str) -> str:
    return (
        f"the chain backend refused the funding transaction {tx.txid}: {reason}. The channel waits"
        " and offers it again with every block; its coins stay reserved for it"
    )


def close_channel(board: Board, command: CloseChannel) -> None:
    """Ask a channel to close; the ticket is answered when its transaction is on its way."""
    memory = board.memory
    channel = memory.channel(command.channel_id)
    event: events.Event
    if command.unilateral:
        event = events.CloseUnilaterally("the user closed the channel")
    else:
        event = events.CloseMutually(command.script_pubkey, command.feerates)
    waiter = CloseWaiter(command.ticket, frozenset(_closes(channel)))
    memory.awaiting_close.setdefault(channel.id, []).append(waiter)
    try:
        board.run(channel.id, event)
    except Refused:
        memory.awaiting_close[channel.id].remove(waiter)
        raise
