"""The on-chain wallet's desk: addresses, coins for channels, blocks."""

from wallet.base.bitcoin.script import p2wsh
from wallet.base.bitcoin.transaction import TxOut
from wallet.base.errors import InvariantBroken
from wallet.base.values.amounts import FeeratePerKw, Satoshi
from wallet.base.values.ids import ChannelId, Point
from wallet.machines.chain_events import BlockConnected, BlockDisconnected
from wallet.machines.channel.opening import AwaitingFunding
from wallet.machines.channel.state import Channel
from wallet.machines.coins import wallet as coins
from wallet.machines.coins.blocks import connect_block, disconnect_block
from wallet.machines.coins.building import build
from wallet.machines.coins.selection import EMERGENCY_RESERVE, Selection, select, select_all
from wallet.machines.coins.spending import release as release_coins
from wallet.machines.coins.spending import reserve as reserve_coins
from wallet.machines.coins.spending import spent as spend_coins
from wallet.machines.signing import DerivePubkey, UnsignedTx
from wallet.node.answers import NewAddressGiven
from wallet.node.board import Board
from wallet.node.events import NewAddress
from wallet.node.memory import PendingOpening

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
    # DESIGN §5: while an anchor channel is open or opening, `all` leaves the emergency reserve;
    # this channel is opening, so it does from now on.
    if amount is None:
        plan = select_all(free, _ANY_P2WSH, feerate, change, EMERGENCY_RESERVE, balance=balance)
        return plan.outputs[0].amount, plan
    wanted = [TxOut(amount, _ANY_P2WSH)]
    plan = select(free, wanted, feerate, change, EMERGENCY_RESERVE, balance=balance)
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


# --- blocks -------------------------------------------------------------------------------------


def connect(board: Board, event: BlockConnected) -> None:
    """What a block pays and spends; again while it pays addresses that were just derived."""
    while True:
        after, changes = connect_block(board.memory.wallet, event.height.height, event.transactions)
        board.memory.wallet = after
        board.work.wallet = board.work.wallet or bool(changes)
        if not derive(board):
            return


def disconnect(board: Board, event: BlockDisconnected) -> None:
    """What the block had told is taken back."""
    after, changes = disconnect_block(board.memory.wallet, event.height.height)
    board.memory.wallet = after
    board.work.wallet = board.work.wallet or bool(changes)
