"""Gossip through whole cores: real sockets, a real chain behind the check, a disk, a tape."""

from pathlib import Path

from tests.support.cores import Cores, channel_of, height_of, start, two_cores, until
from wallet.base.values.amounts import MilliSatoshi, Satoshi
from wallet.base.values.ids import ShortChannelId
from wallet.machines.channel.state import ScidKind
from wallet.machines.routing.gossip_book import Gossip
from wallet.node import coin_desk
from wallet.node.api import Api
from wallet.node.build import make_board
from wallet.node.tap import replay, state_hash


def _book(api: Api) -> Gossip:
    return api.core.kernel.board.memory.gossip


def _policies(api: Api, scid: ShortChannelId) -> int:
    channel = api.core.kernel.board.memory.graph.channel(scid)
    return 0 if channel is None else sum(policy is not None for policy in channel.policies)


async def _announce(cores: Cores) -> ShortChannelId:
    """An announced channel between Alice and Bob that both know."""
    amount, push = Satoshi(1_000_000), MilliSatoshi(300_000_000)
    await cores.alice.open_channel(cores.bob.node_id, amount, push, None, announce=True)
    await cores.mine(6)
    both = (cores.alice, cores.bob)
    await until(lambda: all(len(_book(a).updates) == 2 for a in both), "both sides' terms")
    scid = channel_of(cores.alice).scid(ScidKind.REAL)
    assert scid is not None
    return scid


async def _connect(here: Api, there: Api) -> None:
    host, _, port = there.listening.rpartition(":")
    await here.connect(there.node_id, host, int(port))


async def test_a_third_core__checks_the_chain_and_finds_it_again_after_a_restart(
    tmp_path: Path,
) -> None:
    async with two_cores(tmp_path) as cores:
        scid = await _announce(cores)
        carol = await start(tmp_path / "carol", cores.chain)
        try:
            height = height_of(cores.bob)
            await until(lambda: height_of(carol) == height, "Carol's blocks")
            await _connect(carol, cores.bob)
            await until(lambda: _policies(carol, scid) == 2, "the channel at Carol's")
            await until(lambda: len(_book(carol).nodes) == 2, "both nodes at Carol's")
            known = list(_book(carol).everything())
            assert known == list(_book(cores.bob).everything())
            node = carol.core.kernel.board.memory.graph.node(cores.bob.node_id)
            assert node is not None
            port = int(cores.bob.listening.rpartition(":")[2])
            assert node.addresses == b"\x01\x7f\x00\x00\x01" + port.to_bytes(2, "big")
        finally:
            await carol.close()
        carol = await start(tmp_path / "carol", cores.chain)
        try:
            assert list(_book(carol).everything()) == known
        finally:
            await carol.close()


async def test_gossip__is_on_the_tape(tmp_path: Path) -> None:
    async with two_cores(tmp_path, record=True) as cores:
        await _announce(cores)
        await until(lambda: len(_book(cores.bob).nodes) == 2, "both nodes at Bob's")
        bob, ended = cores.bob, state_hash(await cores.bob.memory())
        config, signer = bob.config, bob.core.signer
    board = make_board(config, signer)
    coin_desk.derive(board)
    assert replay(bob.place.path / "tape.ndjson", board) == ended
