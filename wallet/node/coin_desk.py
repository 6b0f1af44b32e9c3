"""The on-chain wallet's desk: addresses, coins for channels, blocks."""

from collections.abc import Sequence
from typing import Final

from wallet.base.bitcoin.script import dust_limit, p2wsh
from wallet.base.bitcoin.transaction import TxOut
from wallet.base.errors import InvariantBroken, PeerFault, Refused, Severity
from wallet.base.values.amounts import ZERO_SAT, FeeratePerKw, Satoshi, sum_sat
from wallet.base.values.ids import ChannelId, OutPoint, Point, Signature
from wallet.machines.chain_events import BlockConnected, BlockDisconnected
from wallet.machines.channel.opening import AwaitingFunding
from wallet.machines.channel.state import Channel
from wallet.machines.coins import wallet as coins
from wallet.machines.coins.blocks import connect_block, disconnect_block
from wallet.machines.coins.building import build
from wallet.machines.coins.records import TxKind
from wallet.machines.coins.selection import (
    Selection,
    reserve_for,
    select,
    select_all,
    select_these,
)
from wallet.machines.coins.spending import forget, leant_on, unconfirmed, vouched
from wallet.machines.coins.spending import release as release_coins
from wallet.machines.coins.spending import reserve as reserve_coins
from wallet.machines.coins.spending import spent as spend_coins
from wallet.machines.coins.wallet import Coin
from wallet.machines.signing import DerivePubkey, UnsignedTx
from wallet.node import ledger
from wallet.node.answers import NewAddressGiven, Withdrawn
from wallet.node.board import Board
from wallet.node.events import BroadcastDone, NewAddress, Withdraw
from wallet.node.memory import PendingOpening
from wallet.node.work import BroadcastTx

WITHDRAW: Final = "withdraw"
"""The kind of a broadcast that spends the wallet's coins for nobody but its owner."""
_ANY_P2WSH = p2wsh(b"")
"""Stands for the funding output until the peer's key is known: the same length, the same fee."""


def derive(board: Board) -> bool:
    """Watch the addresses that the wallet wants next; False when it wants none."""
    wanted = coins.wanted(board.memory.wallet)
    for key in wanted:
        pubkey = board.ask(DerivePubkey(key))
        if not isinstance(pubkey, bytes):
            raise InvariantBroken("the signer gave no public key")
        board.memory.wallet = coins.with_address(board.memory.wallet, key, Point(pubkey))
    return bool(wanted)


def new_address(board: Board, command: NewAddress) -> None:
    """Hand out an address that was never shown."""
    board.work.reply(command.ticket, NewAddressGiven(_fresh(board, command.purpose)))


def close_script(board: Board) -> bytes:
    """Where a channel's money goes when it closes: P2WPKH, which every peer accepts (BOLT 2).

    The same until it is paid: a peer that opens and hangs up must not use addresses up, or a
    restore from the phrase would one day not look far enough.
    """
    return coins.change_script(board.memory.wallet, coins.P2WPKH)


def _fresh(board: Board, purpose: int) -> bytes:
    board.memory.wallet, address = coins.new_address(board.memory.wallet, purpose)
    board.work.wallet = True
    derive(board)
    return address.script_pubkey


def check_reserve(board: Board) -> None:
    """Raise `PeerFault` unless one channel more could be closed by force.

    Only where coins cost something: on regtest anybody mines what is missing.
    """
    memory = board.memory
    keep = reserve_for(memory.guarded + 1)
    free = sum_sat([c.amount for c in coins.spendable(memory.wallet, memory.height.height, 1)])
    if board.policy.keeps_reserve and free < keep:
        raise PeerFault(
            Severity.FAIL_CHANNEL,
            f"this node has too little on chain to close one more channel by force ({keep})",
        )


# --- funding ------------------------------------------------------------------------------------


def select_for_channel(
    board: Board, amount: Satoshi | None, feerate: FeeratePerKw, min_confirmations: int = 0
) -> tuple[Satoshi, Selection]:
    """Coins for a channel of `amount` (None: all but the reserve). Raises `Refused` 301, 313."""
    memory = board.memory
    height = memory.height.height
    free = coins.spendable(memory.wallet, height, min_confirmations)
    change = coins.change_script(memory.wallet)
    balance = coins.balance(memory.wallet, height)
    # This channel is opening, so it has its reserve from now on.
    keep = reserve_for(memory.guarded + 1)
    if amount is None:
        plan = select_all(free, _ANY_P2WSH, feerate, change, keep, balance=balance)
        return plan.outputs[0].amount, plan
    wanted = [TxOut(amount, _ANY_P2WSH)]
    plan = select(free, wanted, feerate, change, keep, balance=balance)
    return amount, plan


def reserve(board: Board, selection: Selection, owner: ChannelId) -> None:
    """Nobody else spends these coins while the channel is being opened."""
    board.memory.wallet = reserve_coins(board.memory.wallet, selection, owner)


def release(board: Board, owner: ChannelId) -> None:
    """The opening came to nothing."""
    board.memory.wallet = release_coins(board.memory.wallet, owner)
    board.work.wallet = True


def build_funding(
    board: Board, pending: PendingOpening, waiting: AwaitingFunding
) -> tuple[UnsignedTx, int]:
    """The funding transaction and the place of the channel's output in it."""
    selection = pending.selection
    if selection is None:
        raise InvariantBroken("an opening of ours without coins")
    outputs = [TxOut(waiting.before.amount, waiting.output_script)]
    built = build(selection, outputs, board.memory.height.height)
    return built.unsigned, built.positions[0]


def spent(board: Board, channel: Channel) -> None:
    """The funding transaction is about to be broadcast: its coins are gone, its change is here."""
    transaction = channel.funding.transaction
    if transaction is not None:
        board.memory.wallet = spend_coins(board.memory.wallet, transaction.tx)
        board.work.wallet = True
        ledger.seen(board, transaction.tx, (TxKind.OPENING, channel.id))


# --- withdrawals --------------------------------------------------------------------------------


def withdraw(board: Board, command: Withdraw) -> None:
    """Send coins away. Raises `Refused`: 301 too little, 302 dust, 313 the emergency reserve.

    The signed transaction is on disk with the coins that it spends; it is offered to the chain
    until a block holds it.
    """
    memory, script = board.memory, command.script_pubkey
    height = memory.height.height
    least = dust_limit(script)
    if command.amount is not None and command.amount < least:
        raise Refused(f"{command.amount} is dust: send at least {least} to such an address", 302)
    everything = coins.spendable(memory.wallet, height, command.min_confirmations)
    chosen = everything if command.outpoints is None else _named(everything, command.outpoints)
    # What is not offered for spending stays anyway, and counts for the reserve.
    rest = sum_sat([c.amount for c in everything]) - sum_sat([c.amount for c in chosen])
    reserved = reserve_for(memory.guarded)
    keep = reserved - rest if reserved > rest else ZERO_SAT
    feerate = command.feerate or memory.feerate
    change = coins.change_script(memory.wallet)
    balance = coins.balance(memory.wallet, height)
    if command.amount is None:
        plan = select_all(chosen, script, feerate, change, keep, balance=balance)
    else:
        choose = select if command.outpoints is None else select_these
        outputs = [TxOut(command.amount, script)]
        plan = choose(chosen, outputs, feerate, change, keep, balance=balance)
    built = build(plan, plan.outputs, height)
    answers = board.signer.answer(built.unsigned.requests())
    tx = built.unsigned.finish([Signature(a) for a in answers if isinstance(a, bytes)])
    memory.wallet = spend_coins(memory.wallet, tx)
    board.work.wallet = True
    derive(board)
    ledger.seen(board, tx)
    memory.awaiting_withdraw[tx.txid] = command.ticket
    board.work.act(BroadcastTx(None, WITHDRAW, UnsignedTx(tx, ())))


def _named(free: Sequence[Coin], outpoints: tuple[OutPoint, ...]) -> tuple[Coin, ...]:
    by_outpoint = {coin.outpoint: coin for coin in free}
    for outpoint in outpoints:
        if outpoint not in by_outpoint:
            raise Refused(f"utxos: {outpoint} is no coin that can be spent now", -32602)
    return tuple(by_outpoint[outpoint] for outpoint in dict.fromkeys(outpoints))


def broadcast_done(board: Board, event: BroadcastDone) -> None:
    """What the chain made of a withdrawal. One that it refused at once has never been."""
    memory, result = board.memory, event.result
    ticket = memory.awaiting_withdraw.pop(event.tx.txid, 0)
    if result is not None and not result.is_known:
        board.log.append(f"{event.kind} {event.tx.txid} was refused: {result.reason}")
        if ticket:
            memory.wallet = forget(memory.wallet, event.tx.txid)
            board.work.wallet = True
            ledger.forgotten(board, event.tx.txid)
            sentence = f"the chain backend refused the transaction: {result.reason}"
            board.work.refuse(ticket, Refused(f"{sentence}. The coins are free again"))
        return
    spends = [memory.wallet.coins.get(txin.outpoint) for txin in event.tx.inputs]
    board.work.reply(ticket, Withdrawn(event.tx, tuple(c.output for c in spends if c is not None)))


def offer_again(board: Board) -> None:
    """Withdrawals that no block holds yet, to the chain once more: a start, or a block, is due."""
    for tx in unconfirmed(board.memory.wallet):
        # Fundings are noted unsigned: their channels offer them.
        if all(txin.witness for txin in tx.inputs):
            board.work.act(BroadcastTx(None, WITHDRAW, UnsignedTx(tx, ())))


# --- blocks -------------------------------------------------------------------------------------


def connect(board: Board, event: BlockConnected) -> None:
    """What a block pays and spends; again while it pays addresses that were just derived."""
    passes = []
    while True:
        after, changes = connect_block(board.memory.wallet, event.height.height, event.transactions)
        board.memory.wallet = after
        board.work.wallet = board.work.wallet or bool(changes)
        passes.append(changes)
        if not derive(board):
            break
    ledger.connected(board, event, passes)
    offer_again(board)


def disconnect(board: Board, event: BlockDisconnected) -> None:
    """What the block had told is taken back."""
    after, changes = disconnect_block(board.memory.wallet, event.height.height)
    leant = leant_on(after)
    for txid in leant:
        # The block that comes instead may hold a rival, such as a claim of ours at another fee.
        after = vouched(after, board.memory.transactions[txid].tx)
    board.memory.wallet = after
    board.work.wallet = board.work.wallet or bool(changes) or bool(leant)
    ledger.disconnected(board, event.height.height)
