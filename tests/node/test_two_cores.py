"""Two cores live together: payments, fees that follow, failures on chain, reorgs, tapes."""

import asyncio
from pathlib import Path

import pytest

from tests.support.cores import channel_of, height_of, ready, start, two_cores, until
from wallet.base.bitcoin.chains import REGTEST, SIGNET
from wallet.base.errors import Refused
from wallet.base.values.amounts import FeeratePerKw, MilliSatoshi
from wallet.base.wire.message import encode
from wallet.base.wire.setup import Error
from wallet.machines.channel.ending import SpendKind
from wallet.machines.channel.state import Phase, ScidKind
from wallet.machines.coins.wallet import balance
from wallet.node import coin_desk
from wallet.node.build import make_board
from wallet.node.events import FeerateChanged
from wallet.node.tap import Tap, replay, state_hash
from wallet.services.directory import DataDirectory
from wallet.services.vault.seed_file import open_seed_file
from wallet.services.vault.signer import LocalSigner


async def test_commitments_follow_the_fee_estimate(tmp_path: Path) -> None:
    async with two_cores(tmp_path) as cores:
        await cores.open()
        kernel = cores.alice.core.kernel
        kernel.inbox.put(FeerateChanged(FeeratePerKw(260)))
        kernel.inbox.put(FeerateChanged(FeeratePerKw(900)))
        await until(lambda: channel_of(cores.bob).feerate == FeeratePerKw(900), "the new fee rate")
        assert len(channel_of(cores.alice).fees) == 1
        await cores.pay(cores.bob, cores.alice, 5_000_000, "after")


async def test_a_restart_goes_on_where_it_was(tmp_path: Path) -> None:
    async with two_cores(tmp_path) as cores:
        await cores.open()
        await cores.pay(cores.alice, cores.bob, 7_000_000, "before")
        await until(lambda: not channel_of(cores.alice).htlcs, "the last revocation")
        before = channel_of(cores.alice).funding.to_us
        await cores.alice.close()
        cores.alice = await start(tmp_path / "alice", cores.chain)
        await until(lambda: ready(cores.alice) and ready(cores.bob), "the way back")
        assert channel_of(cores.alice).funding.to_us == before
        await cores.pay(cores.bob, cores.alice, 1_000_000, "after")
        await until(lambda: not channel_of(cores.alice).htlcs, "the last revocation")
        assert channel_of(cores.alice).funding.to_us == before + MilliSatoshi(1_000_000)


async def test_an_error_of_the_peer_puts_our_commitment_on_the_chain(tmp_path: Path) -> None:
    """BOLT 1: an `error` fails the channel. Both outputs come back, less fees."""
    async with two_cores(tmp_path) as cores:
        channel = await cores.open()
        error = encode(Error(channel.id, b"I have had enough"))
        cores.alice.core.transport.send(cores.bob.node_id, error)
        await until(lambda: channel_of(cores.bob).phase is Phase.FAILED, "the failure")
        assert "enough" in (channel_of(cores.bob).error or "")
        await asyncio.sleep(0.2)
        await cores.mine()
        await until(lambda: channel_of(cores.alice).phase is Phase.SPENT, "the commitment")
        end, theirs = channel_of(cores.bob).onchain, channel_of(cores.alice).onchain
        assert end is not None
        assert theirs is not None
        assert (end.kind, theirs.kind) == (SpendKind.OURS, SpendKind.THEIRS)
        for _ in range(8):
            await cores.mine()
            await asyncio.sleep(0.05)
        await until(lambda: _all_resolved(cores.bob), "bob's to_local")
        await until(lambda: _all_resolved(cores.alice), "alice's to_remote")
        memory = await cores.bob.memory()
        assert 298_000 < balance(memory.wallet, height_of(cores.bob)).confirmed.sat <= 300_000


def _all_resolved(api: object) -> bool:
    end = channel_of(api).onchain  # type: ignore[arg-type]
    return end is not None and all(c.resolved_at is not None for c in end.claims)


async def test_a_reorg_of_the_funding_block_gives_another_scid(tmp_path: Path) -> None:
    async with two_cores(tmp_path) as cores:
        await cores.open()
        old = channel_of(cores.alice).scid(ScidKind.REAL)
        from tests.support import faucet

        await asyncio.to_thread(cores.chain.call, "reorg", 1, faucet.ADDRESS)
        await until(lambda: channel_of(cores.alice).funding.confirmed is None, "the reorg")
        await cores.mine()
        await until(
            lambda: channel_of(cores.alice).scid(ScidKind.REAL) not in (None, old), "a new scid"
        )
        names = [s.scid for s in channel_of(cores.alice).scids if s.kind is ScidKind.REAL]
        assert old in names, "an old name keeps working"
        await cores.pay(cores.alice, cores.bob, 3_000_000, "after")


async def test_all_leaves_the_emergency_reserve(tmp_path: Path) -> None:
    async with two_cores(tmp_path) as cores:
        # Bob has what a first channel pushes and nothing on chain: enough for no channel.
        with pytest.raises(Refused) as poor:
            await cores.bob.open_channel(
                cores.alice.node_id, None, MilliSatoshi(0), None, announce=False
            )
        assert poor.value.code in (301, 313)
        # 50 BTC are above what a channel may hold; most of it goes to another wallet first.
        memory = await cores.alice.memory()
        board = cores.alice.core.kernel.board
        amount, plan = coin_desk.select_for_channel(board, None, memory.feerate)
        assert plan.change is not None
        assert plan.change.amount.sat == 25_000
        assert amount.sat + 25_000 + plan.fee.sat == 50 * 100_000_000


async def test_a_tape_replays_to_the_same_state(tmp_path: Path) -> None:
    async with two_cores(tmp_path, record=True) as cores:
        await cores.open()
        await asyncio.gather(
            *(cores.pay(cores.alice, cores.bob, 1_000_000 + n, f"a{n}") for n in range(12)),
            *(cores.pay(cores.bob, cores.alice, 2_000_000 + n, f"b{n}") for n in range(12)),
        )
        channel_id = channel_of(cores.alice).id
        await cores.alice.close_channel(channel_id, None, None, None)
        await cores.mine()
        hashes = {api: state_hash(await api.memory()) for api in (cores.alice, cores.bob)}
        apis = list(hashes)
        for api in apis:
            await api.close()
        for api in apis:
            place = DataDirectory(api.config.directory, REGTEST.name)
            seed = open_seed_file(place.seed_file, None, network=REGTEST.name).recovery.seed()
            board = make_board(api.config, LocalSigner(seed, REGTEST))
            coin_desk.derive(board)
            tape = place.path / "tape.ndjson"
            assert replay(tape, board) == hashes[api]
            assert tape.stat().st_mode & 0o777 == 0o600


def test_no_tape_on_another_chain(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="regtest"):
        Tap(tmp_path / "tape", SIGNET)
