"""Checks gossip beside the loop: signatures on a thread, funding outputs at the chain backend.

One batch at a time, in the order in which they came: an update is checked after the announcement
that it needs.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Protocol

from wallet.base.crypto.curve import verify
from wallet.base.errors import DecodeError
from wallet.machines.routing.gossip import Candidate, Checked, Verdict
from wallet.node.events import GossipChecked
from wallet.services.chain.fundings import Found, FundingSource

AT_ONCE: Final = 128
"""Candidates in one batch: some milliseconds of the loop when they come back."""


class GossipWorker(Protocol):
    """Who checks candidates and comes back with `GossipChecked`."""

    def check(self, candidate: Candidate) -> None:
        """Check this one as well. Must not block."""


class GossipChecker:
    """A worker with one thread. Those who hand over candidates see to it that they are few."""

    def __init__(self, fundings: FundingSource) -> None:
        self._fundings = fundings
        self._queue: deque[Candidate] = deque()
        self._arrived = asyncio.Event()

    def check(self, candidate: Candidate) -> None:
        """Into the queue."""
        self._queue.append(candidate)
        self._arrived.set()

    async def run(self, report: Callable[[GossipChecked], None]) -> None:
        """Until cancelled."""
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1, "gossip") as thread:
            while True:
                await self._arrived.wait()
                self._arrived.clear()
                while self._queue:
                    batch = [self._queue.popleft() for _ in range(min(AT_ONCE, len(self._queue)))]
                    signed = await loop.run_in_executor(thread, all_signed, batch)
                    report(GossipChecked(await judge(batch, signed, self._fundings)))


def all_signed(batch: Sequence[Candidate]) -> list[bool]:
    """Whether each candidate has all its signatures. libsecp256k1 lets go of Python's lock."""
    return [_signed(candidate) for candidate in batch]


def _signed(candidate: Candidate) -> bool:
    try:
        return all(verify(s.key, s.digest, s.signature) for s in candidate.signatures)
    except DecodeError:
        return False


async def judge(
    batch: Sequence[Candidate], signed: Sequence[bool], fundings: FundingSource
) -> tuple[Checked, ...]:
    """The verdict on each candidate; the chain is asked about those that are signed."""
    asked = [c.funding for c, good in zip(batch, signed, strict=True) if good and c.funding]
    answers = iter(await fundings.look_up(asked)) if asked else iter(())
    return tuple(
        _verdict(c, good, next(answers) if good and c.funding else None)
        for c, good in zip(batch, signed, strict=True)
    )


def _verdict(candidate: Candidate, good: bool, found: Found | None) -> Checked:
    peer, message = candidate.peer, candidate.message
    if not good:
        return Checked(peer, message, Verdict.BAD_SIGNATURE)
    if isinstance(found, Verdict):
        return Checked(peer, message, found)
    return Checked(peer, message, Verdict.VALID, found)
