"""The node's fee rate follows what its backend's mempool asks."""

import asyncio
from pathlib import Path

import pytest

from tests.support.chain_server import ChainServer
from tests.support.cores import start, until
from wallet.base.values.amounts import FEERATE_FLOOR, FeeratePerKw
from wallet.node import build


async def test_the_estimate_follows_the_mempools_minimum(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Above Core's own estimate, and back again: what pays it can enter."""
    monkeypatch.setattr(build, "FEERATE_SECONDS", 0.02)
    with ChainServer(tmp_path / "chain") as chain:
        alice = await start(tmp_path / "alice", chain)

        async def becomes(feerate: FeeratePerKw, method: str, knob: float | None) -> None:
            await asyncio.to_thread(chain.call, method, knob)
            memory = alice.core.kernel.board.memory
            await until(lambda: memory.feerate == feerate, f"{feerate} after {method}")

        try:
            await becomes(FeeratePerKw(500), "setestimatedfee", 0.00002)
            await becomes(FeeratePerKw(1_012), "setminrelayfee", 0.00004)
            await becomes(FeeratePerKw(2_530), "setmempoolminfee", 0.0001)
            await becomes(FeeratePerKw(5_000), "setestimatedfee", 0.0002)
            await becomes(FeeratePerKw(2_530), "setestimatedfee", None)
            await becomes(FeeratePerKw(1_012), "setmempoolminfee", None)
            await becomes(FEERATE_FLOOR, "setminrelayfee", None)
        finally:
            await alice.close()
