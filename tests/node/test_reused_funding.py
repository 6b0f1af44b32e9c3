"""Trap 9: a funding outpoint, and with it a channel_id, belongs to one channel for ever."""

from dataclasses import replace
from pathlib import Path

from tests.support.pair import (
    CLOSE_SCRIPT,
    FEERATE,
    FUNDING,
    NO_PUSH,
    Side,
    context,
    make_side,
    policy,
)
from wallet.base.bitcoin.chains import REGTEST
from wallet.base.bitcoin.transaction import Transaction, TxIn, TxOut
from wallet.base.crypto.hashes import sha256
from wallet.base.values.blocks import BlockHeight
from wallet.base.values.features import OUR_INIT
from wallet.base.values.ids import BlockHash, ChannelId, OutPoint, ShortChannelId, Txid
from wallet.base.wire.channel import AcceptChannel, FundingSigned
from wallet.base.wire.message import Message
from wallet.base.wire.setup import Error, reason_of
from wallet.machines.chain_events import BlockConnected
from wallet.machines.channel import opening, opening_rules
from wallet.machines.channel.state import Channel
from wallet.machines.signing import UnsignedTx
from wallet.node import coin_desk
from wallet.node.board import Board
from wallet.node.build import make_board
from wallet.node.config import Config
from wallet.node.events import NodeEvent, PeerSaid, PeerUp
from wallet.node.opening_desk import MAX_OPENINGS_PER_PEER
from wallet.node.switchboard import absorb
from wallet.node.work import SendTo, Work


def bobs_board(tmp_path: Path) -> Board:
    config = Config(tmp_path, REGTEST, "http://127.0.0.1:1", tmp_path, "127.0.0.1:0", "bob")
    board = make_board(config, make_side("bob").signer)
    coin_desk.derive(board)
    return board


def tell(board: Board, event: NodeEvent, seed: int) -> list[Message]:
    """One event of its own batch; what Bob says then."""
    board.work = Work()
    board.ctx = context(seed=seed)
    absorb(board, event)
    board.flush()
    return [a.message for a in board.work.actions if isinstance(a, SendTo)]


def propose(board: Board, alice: Side, number: int) -> opening.AwaitingAccept:
    """Alice's `open_channel`, ready to be sent."""
    bob = board.signer.node_id
    request = opening_rules.OpenRequest(bob, FUNDING, NO_PUSH, FEERATE, announce=False)
    started = opening.open_channel(
        request,
        policy(),
        alice.keys_id,
        7,
        alice.keys(),
        CLOSE_SCRIPT["alice"],
        OUR_INIT,
        replace(context(), entropy=bytes(ChannelId(sha256(bytes([number]))))),
    )
    alice.perform(started.actions)
    return started.state


def open_on(
    board: Board,
    alice: Side,
    number: int,
    reused: tuple[Transaction, bytes] | None,
    index: int = 0,
) -> tuple[list[Message], tuple[Transaction, bytes]]:
    """Alice opens a channel to Bob's board, on a funding transaction of before if one is given."""
    us = alice.signer.node_id
    begun = propose(board, alice, number)
    [answer] = tell(board, PeerSaid(us, alice.sent.popleft()), 10 * number)
    assert isinstance(answer, AcceptChannel)
    waiting = opening.receive_accept(begun, answer)
    coin = TxIn(OutPoint(Txid(sha256(b"coin %d" % number)), 0))
    made = Transaction(2, (coin,), (TxOut(FUNDING, waiting.output_script),))
    tx, script = reused or (made, waiting.output_script)
    # With the keys of this channel and the outpoint of the other: every signature is valid.
    waiting = replace(waiting, output_script=script)
    alias = ShortChannelId(1, 2, number)
    created = opening.fund(waiting, UnsignedTx(tx, ()), index, alias, context())
    alice.perform(created.actions)
    said = tell(board, PeerSaid(us, alice.sent.popleft()), 10 * number + 1)
    return said, (tx, script)


def test_trap_9__a_funding_outpoint_is_used_once(tmp_path: Path) -> None:
    board, alice = bobs_board(tmp_path), make_side("alice")
    tell(
        board,
        PeerUp(alice.signer.node_id, "127.0.0.1:1", False, OUR_INIT.to_bytes()),
        1,
    )
    said, funding = open_on(board, alice, 1, None)
    assert isinstance(said[0], FundingSigned)
    [first] = board.memory.channels.values()

    said, _ = open_on(board, alice, 2, funding)
    assert isinstance(said[0], Error)
    assert "used by another channel" in reason_of(said[0])
    assert list(board.memory.channels.values()) == [first]
    assert board.memory.openings == {}


def test_a_stranger_on_the_same_transaction_hides_no_channel(tmp_path: Path) -> None:
    """Several channels may name one transaction: each looks at its own output."""
    board = bobs_board(tmp_path)
    alice, mallory = make_side("alice"), make_side("mallory")
    for at, side in enumerate((alice, mallory)):
        tell(board, PeerUp(side.signer.node_id, "127.0.0.1:1", False, OUR_INIT.to_bytes()), at)
    _, (tx, script) = open_on(board, alice, 1, None)
    [honest] = board.memory.channels
    elsewhere = Transaction(2, tx.inputs, (*tx.outputs, TxOut(FUNDING, script)))
    board.memory.channels[honest] = _moved(board.memory.channels[honest], elsewhere)
    open_on(board, mallory, 2, (elsewhere, script), index=1)
    assert len(board.memory.channels) == 2
    first = BlockHash(bytes([1]) * 32)
    block = BlockConnected(BlockHeight(1), first, board.memory.tip.hash, (elsewhere,))
    tell(board, block, 50)
    assert board.memory.channels[honest].funding.confirmed is not None


def _moved(channel: Channel, tx: Transaction) -> Channel:
    outpoint = OutPoint(tx.txid, 0)
    return channel.with_funding(replace(channel.funding, outpoint=outpoint))


def test_unfunded_channels_of_one_peer_are_few(tmp_path: Path) -> None:
    board, alice = bobs_board(tmp_path), make_side("alice")
    tell(board, PeerUp(alice.signer.node_id, "127.0.0.1:1", False, OUR_INIT.to_bytes()), 1)
    for number in range(1, 1 + MAX_OPENINGS_PER_PEER):
        open_on(board, alice, number, None)
    assert len(board.memory.channels) == MAX_OPENINGS_PER_PEER
    started = propose(board, alice, 99)
    [refusal] = tell(board, PeerSaid(alice.signer.node_id, alice.sent.popleft()), 990)
    assert isinstance(refusal, Error)
    assert "too many" in reason_of(refusal)
    assert started.temporary_id not in {k[1] for k in board.memory.openings}


def test_a_stranger_who_says_hello_is_not_remembered(tmp_path: Path) -> None:
    board, alice = bobs_board(tmp_path), make_side("alice")
    tell(board, PeerUp(alice.signer.node_id, "127.0.0.1:1", False, OUR_INIT.to_bytes()), 1)
    assert board.memory.known_peers == {}
    assert not board.work.peers
    open_on(board, alice, 1, None)
    assert list(board.memory.known_peers) == [alice.signer.node_id]
