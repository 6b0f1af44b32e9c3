"""The worker beside the loop: every candidate gets its verdict, in the order of asking."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from tests.support.gossip import ANN, BEN, CAT, announcement, book, found, node, scid, update, view
from wallet.machines.routing.gossip import Candidate, FundingQuery, Verdict, look
from wallet.node.events import GossipChecked
from wallet.node.gossip_worker import AT_ONCE, GossipChecker
from wallet.services.chain.fundings import Found

AT = scid(110)


class Everything:
    """Knows every output, except in blocks that it does not."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    async def look_up(self, queries: Sequence[FundingQuery]) -> list[Found]:
        """One answer for each query."""
        self.asked.append(len(queries))
        await asyncio.sleep(0)
        answers: dict[int, Found] = {120: Verdict.NO_FUNDING, 130: Verdict.UNKNOWN}
        return [answers.get(q.scid.block, found(q.scid)) for q in queries]


def _candidate(message: object) -> Candidate:
    known = book((ANN, BEN, AT))
    looked = look(known, CAT.id, message, view())  # type: ignore[arg-type]
    assert isinstance(looked, Candidate)
    return looked


async def _verdicts(candidates: list[Candidate], chain: Everything) -> list[GossipChecked]:
    events: list[GossipChecked] = []
    worker = GossipChecker(chain)
    task = asyncio.create_task(worker.run(events.append))
    for candidate in candidates:
        worker.check(candidate)
    async with asyncio.timeout(30):
        while sum(len(e.results) for e in events) < len(candidates):
            await asyncio.sleep(0.001)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    return events


async def test_each_gets_its_verdict() -> None:
    fine = [announcement(ANN, CAT, scid(block)) for block in (111, 120, 130)]
    forged = replace(fine[0], node_signature_1=fine[1].node_signature_1)
    newer = update(ANN, BEN, AT, 1_800_000_001)
    messages = [fine[0], forged, fine[1], fine[2], newer, replace(newer, timestamp=1_800_000_002)]
    chain = Everything()
    [event] = await _verdicts([_candidate(m) for m in messages], chain)
    assert [r.message for r in event.results] == messages
    assert [r.verdict for r in event.results] == [
        Verdict.VALID,
        Verdict.BAD_SIGNATURE,
        Verdict.NO_FUNDING,
        Verdict.UNKNOWN,
        Verdict.VALID,
        Verdict.BAD_SIGNATURE,
    ]
    assert event.results[0].funding == found(scid(111))
    # The chain is not asked about what nobody signed.
    assert chain.asked == [3]


async def test_many__in_batches_and_in_order() -> None:
    messages = [node(ANN, 1_800_000_001 + n) for n in range(AT_ONCE + 5)]
    events = await _verdicts([_candidate(m) for m in messages], Everything())
    assert [r.message for e in events for r in e.results] == messages
    assert max(len(e.results) for e in events) <= AT_ONCE
