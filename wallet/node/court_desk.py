"""Channels on their way through the chain: their transactions, and the coins that pay for them.

Rule 1: what the wallet pays for is on disk, signed, in the batch that decided on it; from then on
the wallet offers it again with every block, as it does its own transactions.
Rule 2: the emergency reserve is for this: every confirmed coin may be spent here.
"""

from collections.abc import Callable

from wallet.base.errors import InvariantBroken, Refused
from wallet.base.values.amounts import FeeratePerKw
from wallet.base.values.ids import ChannelId, Signature, Txid
from wallet.machines.channel import actions, events
from wallet.machines.coins import wallet as coins
from wallet.machines.coins.bumping import Bumped, afforded, bump_commitment, bump_htlc
from wallet.machines.coins.records import TxKind
from wallet.machines.coins.selection import CANNOT_AFFORD
from wallet.machines.coins.spending import forget
from wallet.machines.coins.spending import spent as spend_coins
from wallet.machines.coins.wallet import Wallet
from wallet.machines.signing import UnsignedTx
from wallet.node import ledger
from wallet.node.board import Board, CourtWish
from wallet.node.work import BroadcastTx, Notice

BUMP = "anchor"
"""The kind of a broadcast that pays for a commitment."""


def see_to(board: Board, channel_id: ChannelId, wish: CourtWish) -> None:
    """What a channel wants of the chain."""
    match wish:
        case actions.Broadcast():
            _offer(board, channel_id, wish)
        case actions.FundHtlc():
            _fund_htlc(board, channel_id, wish)
        case actions.FundCommitment():
            _fund_commitment(board, channel_id, wish)
        case actions.ForgetBump(txid):
            board.memory.wallet = forget(board.memory.wallet, txid)
            board.work.wallet = True
            ledger.forgotten(board, txid)


def _offer(board: Board, channel_id: ChannelId, wish: actions.Broadcast) -> None:
    child = board.memory.wallet.sent.get(wish.child) if wish.child is not None else None
    if child is None:
        board.work.act(BroadcastTx(channel_id, wish.kind, wish.transaction))
    else:
        package = UnsignedTx(child.tx, ())
        board.work.act(BroadcastTx(channel_id, BUMP, package, (wish.transaction,)))


def _fund_htlc(board: Board, channel_id: ChannelId, wish: actions.FundHtlc) -> None:
    wallet = _without(board.memory.wallet, wish.replaces)
    change = coins.change_script(wallet)
    free = _confirmed(board, wallet)

    def bump(feerate: FeeratePerKw) -> Bumped:
        return bump_htlc(
            wish.htlc,
            wish.their_signature,
            wish.key,
            wish.preimage,
            free,
            change,
            feerate,
            wish.most,
        )

    made = _made(board, channel_id, bump, wish)
    if made is None:
        return
    bumped, feerate = made
    txid = _spend(board, channel_id, wallet, bumped)
    board.work.act(BroadcastTx(channel_id, wish.kind, _signed(board, txid)))
    height = board.ctx.height.height
    board.run(channel_id, events.ClaimFunded(wish.outpoint, change, feerate, txid, height))


def _fund_commitment(board: Board, channel_id: ChannelId, wish: actions.FundCommitment) -> None:
    wallet = _without(board.memory.wallet, wish.replaces)
    free, change = _confirmed(board, wallet), coins.change_script(wallet)

    def bump(feerate: FeeratePerKw) -> Bumped:
        return bump_commitment(wish.commitment, wish.key, free, change, feerate, wish.most)

    made = _made(board, channel_id, bump, wish)
    if made is None:
        return
    bumped, feerate = made
    txid = _spend(board, channel_id, wallet, bumped)
    board.run(channel_id, events.BumpMade(feerate, txid, board.ctx.height.height))


def _made(
    board: Board,
    channel_id: ChannelId,
    bump: Callable[[FeeratePerKw], Bumped],
    wish: actions.FundHtlc | actions.FundCommitment,
) -> tuple[Bumped, FeeratePerKw] | None:
    """What the coins pay for, and at which feerate; None, and said, when it is nothing."""
    try:
        if wish.replaces is not None:
            return bump(wish.feerate), wish.feerate
        bumped, feerate = afforded(bump, wish.feerate)
    except Refused as refused:
        _cannot_pay(board, channel_id, refused)
        return None
    if feerate < wish.feerate:
        board.log.append(
            f"channel {channel_id.hex()}: the coins pay {feerate} and not {wish.feerate}"
        )
    return bumped, feerate


def _without(wallet: Wallet, replaced: Txid | None) -> Wallet:
    """The wallet with the coins of what is to be replaced."""
    return forget(wallet, replaced) if replaced is not None else wallet


def _confirmed(board: Board, wallet: Wallet) -> tuple[coins.Coin, ...]:
    return coins.spendable(wallet, board.ctx.height.height, 1)


def _spend(board: Board, channel_id: ChannelId, wallet: Wallet, bumped: Bumped) -> Txid:
    answers = board.signer.answer(bumped.unsigned.requests())
    tx = bumped.unsigned.finish([Signature(a) for a in answers if isinstance(a, bytes)])
    before = board.memory.wallet
    ledger.seen(board, tx, (TxKind.CLOSING, channel_id))
    after = spend_coins(wallet, tx)
    if tx.txid not in after.sent:
        raise InvariantBroken(f"the wallet does not take {tx.txid} for its own")
    board.memory.wallet = after
    board.work.wallet = True
    for txid in before.sent:
        if txid not in after.sent:
            ledger.forgotten(board, txid)
    return tx.txid


def _signed(board: Board, txid: Txid) -> UnsignedTx:
    return UnsignedTx(board.memory.wallet.sent[txid].tx, ())


def _cannot_pay(board: Board, channel_id: ChannelId, refused: Refused) -> None:
    board.log.append(f"channel {channel_id.hex()}: {refused.message}")
    if refused.code != CANNOT_AFFORD:
        # What is at stake does not pay for more; the next block asks again.
        return
    board.work.act(Notice("court_needs_coins", channel_id.hex(), {"message": refused.message}))
