"""A bad partner over real sockets: two cores with all that belongs to them, one tells lies.

What kernels make of lies is in test_hostile_partner.py, with many more stories; here the links,
the dialler, the disk and the clock take part.
"""

import asyncio
import logging
import os
import random
from pathlib import Path

import pytest

from tests.support.bad_partner import Mallory
from tests.support.cores import Cores, channel_of, ready, start, two_cores, until
from tests.support.hostile import answering
from wallet.base.errors import Refused
from wallet.base.values.ids import NodeId
from wallet.machines.channel.state import LIVING, Channel, Phase
from wallet.node.api import Api
from wallet.node.kernel import Kernel

SEEDS = range(1, 60) if "LEYDEN_LONG" in os.environ else (2,)
PAYMENTS = 25


def corrupt(liar: Api, mallory: Mallory, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on `mallory` decides what this core's peer hears."""
    transport = liar.core.transport
    honest = transport.send

    def send(node_id: NodeId, data: bytes) -> bool:
        for said in mallory.tamper(data):
            honest(node_id, said)
        return True

    monkeypatch.setattr(transport, "send", send)


def channel_of_board(kernel: Kernel) -> Channel:
    """The newest channel of a core that may have stopped."""
    return list(kernel.board.memory.channels.values())[-1]


async def try_to_pay(cores: Cores, payer: Api, payee: Api, label: str) -> None:
    """A payment that may fail or never end."""
    try:
        async with asyncio.timeout(1.5):
            await cores.pay(payer, payee, 400_000, label)
    except (Refused, TimeoutError):
        return


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_core_whose_partner_lies(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    chance = random.Random(seed)
    mallory = Mallory(chance)
    async with two_cores(tmp_path) as cores:
        await cores.open()
        bob = cores.bob
        corrupt(cores.alice, mallory, monkeypatch)
        mallory.rate = chance.choice((0.02, 0.05, 0.2))
        async with answering(bob):
            await asyncio.gather(
                *(try_to_pay(cores, cores.alice, bob, f"to bob {n}") for n in range(PAYMENTS)),
                *(try_to_pay(cores, bob, cores.alice, f"to alice {n}") for n in range(PAYMENTS)),
            )
        mallory.rate = 0.0
        cores.alice.core.transport.disconnect(bob.node_id, "a new start")
        await until(lambda: not (ready(cores.alice) or ready(bob)), "the end of the link")
        await until(
            lambda: (
                channel_of(bob).phase is Phase.FAILED
                or (ready(cores.alice) and ready(bob))
                or channel_of(cores.alice).phase not in LIVING
            ),
            f"an end after {mallory.blows}",
        )
        kernel = bob.core.kernel
        if channel_of(bob).phase is Phase.READY:
            await cores.pay(cores.alice, bob, 1_000_000, "after")
            await until(lambda: not channel_of(bob).htlcs, "the last revocation")
        await bob.close()
        await cores.alice.close()
        assert kernel.board.memory.frozen == {}
        assert bob.failure is None
        # What it thought when it stopped is what another start finds.
        thought = channel_of_board(kernel)
        cores.bob = await start(tmp_path / "bob", cores.chain)
        found = channel_of(cores.bob)
        assert found.our_number == thought.our_number
        assert found.their_number == thought.their_number
        assert found.funding.to_us == thought.funding.to_us
    faults = [r for r in caplog.records if r.levelno >= logging.ERROR or r.exc_info]
    assert not faults, faults
