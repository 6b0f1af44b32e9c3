"""What becomes of the money on chain: closes by force, crashes in between, and the reserve."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from tests.interop.ldk.daemon import Daemon, wait_for
from tests.support import faucet
from tests.support.chain_server import ChainServer
from tests.support.cores import Cores, channel_of, height_of, ready, start, until
from tests.support.daemons import Duo
from wallet.base.bitcoin.block import Block
from wallet.base.bitcoin.transaction import TxOut
from wallet.base.channel_tx.format import ANCHORS
from wallet.base.errors import Refused
from wallet.base.values.amounts import MilliSatoshi, Satoshi
from wallet.faces.demo.money import Books, MoneyCheck, check_money
from wallet.machines.channel.sweeps import FUNDED_WEIGHT
from wallet.machines.channel.unilateral import CHILD_WEIGHT
from wallet.machines.coins.selection import EMERGENCY_RESERVE, RESERVE_FEERATE
from wallet.machines.coins.wallet import balance

CAPACITY_SAT = 1_000_000
PUSHED_SAT = 400_000
TO_SELF_DELAY = 6
ANCHOR_SAT = 330
FEES_SAT = 3_000
"""More than the commitment and the sweeps cost at regtest's fee rate."""


def money(duo: Duo) -> MoneyCheck:
    """Whose every coin of the chain is."""
    books = [
        Books(
            name,
            node.call("listfunds")["outputs"],
            node.call("listpeerchannels")["channels"],
            node.call("commitments")["commitments"],
        )
        for name, node in zip(("payer", "payee"), duo.nodes, strict=True)
    ]
    return check_money(duo.chain.call("listutxos"), faucet.SCRIPT.hex(), books, lambda _: ())


def state(node: Daemon) -> str:
    [channel] = node.call("listpeerchannels")["channels"]
    return str(channel["state"])


def confirmed_sat(node: Daemon) -> int:
    outputs = node.call("listfunds")["outputs"]
    return sum(int(o["amount_msat"]) for o in outputs if o["status"] == "confirmed") // 1000


def mempool(duo: Duo) -> list[str]:
    return list(duo.chain.call("getrawmempool"))


def everything_dies(duo: Duo, node: Daemon, home: Path) -> None:
    """SIGKILL for a daemon and the chain under it, whose mempool is lost; both start again."""
    node.kill()
    port = int(duo.chain.url.rpartition(":")[2])
    duo.chain.kill()
    duo.chain = ChainServer(home / "chain", port)
    assert mempool(duo) == []
    node.start()


def test_a_close_by_force_survives_crashes_and_brings_every_sat_home(tmp_path: Path) -> None:
    with Duo(tmp_path, CAPACITY_SAT, PUSHED_SAT * 1000) as duo:
        before = money(duo)
        assert before.ok, before.faults
        payers, payees = confirmed_sat(duo.payer), confirmed_sat(duo.payee)
        # Told of the failure, the payee would offer its own commitment, and either could win.
        duo.payee.kill()
        closed = duo.payer.call("close", id=duo.payee.node_id, unilateraltimeout=1)
        assert closed["type"] == "unilateral"
        assert mempool(duo) == closed["txids"]
        assert state(duo.payer) == "AWAITING_UNILATERAL"

        everything_dies(duo, duo.payer, tmp_path)
        wait_for(lambda: mempool(duo) == closed["txids"], "the commitment, offered again")
        duo.mine()
        duo.payee.start()
        duo.wait_synced()
        assert {state(node) for node in duo.nodes} == {"ONCHAIN"}

        # The other side's output is locked for one block, ours for as many as it asked for.
        wait_for(lambda: len(mempool(duo)) == 1, "the claim of to_remote")
        duo.mine()
        assert payees + PUSHED_SAT - FEES_SAT < confirmed_sat(duo.payee) < payees + PUSHED_SAT
        for _ in range(TO_SELF_DELAY - 2):
            assert mempool(duo) == [], "to_local cannot be spent yet"
            duo.mine()
        wait_for(lambda: len(mempool(duo)) == 1, "the claim of to_local")
        everything_dies(duo, duo.payer, tmp_path)
        wait_for(lambda: len(mempool(duo)) == 1, "the claim of to_local, offered again")
        duo.mine()
        share = CAPACITY_SAT - PUSHED_SAT
        assert payers + share - FEES_SAT < confirmed_sat(duo.payer) < payers + share

        after = money(duo)
        assert after.ok, after.faults
        assert after.mined_sat == sum(c["amount_sat"] for c in utxos(duo))
        # Anchors are left to whoever wants to sweep the chain; all else is in the wallets.
        waiting = {name: sat for name, sat in after.owners.items() if "claim that waits" in name}
        assert list(waiting.values()) == [2 * ANCHOR_SAT]


def utxos(duo: Duo) -> list[dict[str, int]]:
    return list(duo.chain.call("listutxos")["utxos"])


# --- the emergency reserve ----------------------------------------------------------------------


async def cores_with(tmp_path: Path, chain: ChainServer, sat: int) -> Cores:
    """Alice has one coin of `sat` and a link to Bob."""
    alice, bob = await start(tmp_path / "alice", chain), await start(tmp_path / "bob", chain)
    cores = Cores(chain, alice, bob)
    await cores.mine(101)
    script = await alice.new_address(84)

    def give() -> None:
        block = chain.call("getblock", chain.call("getblockhash", 1), 0)
        coin = faucet.coinbase_of(Block.decode(bytes.fromhex(block)))
        tx = faucet.spend([coin], 1_000, outputs=[TxOut(Satoshi(sat), script)])
        chain.call("sendrawtransaction", tx.encode().hex())

    await asyncio.to_thread(give)
    await cores.mine()
    await cores.connect()
    return cores


async def open_all(cores: Cores) -> None:
    await cores.alice.open_channel(cores.bob.node_id, None, MilliSatoshi(0), None, announce=False)


async def test_all_leaves_25000_sat_on_chain(tmp_path: Path) -> None:
    with ChainServer(tmp_path / "chain") as chain:
        cores = await cores_with(tmp_path, chain, 1_000_000)
        try:
            await open_all(cores)
            await cores.mine()
            await until(lambda: ready(cores.alice), "the channel")
            memory = await cores.alice.memory()
            assert balance(memory.wallet, height_of(cores.alice)).confirmed.sat == 25_000
            assert 973_000 < channel_of(cores.alice).funding.amount.sat < 975_000
            with pytest.raises(Refused, match=r"25,?000") as refused:
                await open_all(cores)
            assert refused.value.code == 313
        finally:
            await cores.alice.close()
            await cores.bob.close()


@pytest.mark.parametrize(("sat", "amount"), [(40_000, Satoshi(20_000)), (25_100, None)])
async def test_a_wallet_that_cannot_keep_the_reserve_opens_nothing(
    tmp_path: Path, sat: int, amount: Satoshi | None
) -> None:
    with ChainServer(tmp_path / "chain") as chain:
        cores = await cores_with(tmp_path, chain, sat)
        try:
            with pytest.raises(Refused) as refused:
                await cores.alice.open_channel(
                    cores.bob.node_id, amount, MilliSatoshi(0), None, announce=False
                )
            assert refused.value.code == 313, refused.value.message
            assert await asyncio.to_thread(chain.call, "getrawmempool") == []
        finally:
            await cores.alice.close()
            await cores.bob.close()


async def test_each_channel_has_a_reserve_of_its_own(tmp_path: Path) -> None:
    with ChainServer(tmp_path / "chain") as chain:
        cores = await cores_with(tmp_path, chain, 1_000_000)
        try:
            first = cores.alice.open_channel(
                cores.bob.node_id, Satoshi(300_000), MilliSatoshi(0), None, announce=False
            )
            await first
            await cores.mine()
            await open_all(cores)
            await cores.mine()
            memory = await cores.alice.memory()
            assert memory.guarded == 2
            assert balance(memory.wallet, height_of(cores.alice)).confirmed.sat == 50_000
        finally:
            await cores.alice.close()
            await cores.bob.close()


async def test_where_coins_cost_something_no_channel_is_accepted_without_a_reserve(
    tmp_path: Path,
) -> None:
    with ChainServer(tmp_path / "chain") as chain:
        cores = await cores_with(tmp_path, chain, 1_000_000)
        try:
            board = cores.bob.core.kernel.board
            board.policy = replace(board.policy, keeps_reserve=True)
            with pytest.raises(Refused, match="too little on chain to close one more channel"):
                await open_all(cores)
            assert (await cores.bob.memory()).channels == {}
        finally:
            await cores.alice.close()
            await cores.bob.close()


def test_the_reserve_pays_for_a_commitment_and_six_htlcs_at_the_stated_feerate() -> None:
    commitment = ANCHORS.commitment_weight + 6 * ANCHORS.htlc_output_weight
    htlcs = 6 * (ANCHORS.htlc_success_weight + FUNDED_WEIGHT)
    assert RESERVE_FEERATE.fee_ceil(commitment + CHILD_WEIGHT + htlcs) <= EMERGENCY_RESERVE
