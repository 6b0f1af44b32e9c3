"""The power goes at any step of a channel's end, or at two: all goes on and ends as without.

The default run takes some moments of each story, spread over it; `LEYDEN_LONG` takes all of
them, and once more all with a second cut while the house recovers.
"""

import os
from collections.abc import Iterator, Sequence
from typing import Any, Final

import pytest

from tests.simulation import power_cuts
from tests.simulation.house import Violation
from tests.simulation.power_cuts import CAPACITY, HALF, PUSHED, STORIES, FusedDisk, Outcome, play
from tests.simulation.toy_curve import toy_curve
from wallet.machines.channel.ending import SpendKind
from wallet.machines.payments.records import PaymentStatus
from wallet.services.store.tables import Row, Table, Value, Write

LONG: Final = "LEYDEN_LONG" in os.environ
MOMENTS: Final = 18
RECOVERY: Final = 5
"""Steps within which the second cut comes."""
_PAID: Final = HALF.msat * 2
_ANNS: Final = CAPACITY.to_msat().msat - PUSHED.msat
_DONE, _BACK = PaymentStatus.COMPLETE, PaymentStatus.FAILED
_ANN_IS_PAID: Final = (_PAID, -_PAID), ((_BACK, _BACK), (_DONE, _BACK)), (_PAID, 0, 0, 0)
_BOB_IS_PAID: Final = (-_PAID, _PAID), ((_DONE, _BACK), (_BACK, _BACK)), (0, 0, _PAID, 0)

OUTCOMES: Final = {
    "mutual": Outcome((0, 0), ((_DONE,), (_DONE,)), (_PAID, 0, _PAID, 0), SpendKind.MUTUAL),
    "ann closes, ann is paid": Outcome(*_ANN_IS_PAID, SpendKind.THEIRS),
    "ann closes, bob is paid": Outcome(*_BOB_IS_PAID, SpendKind.THEIRS),
    "bob closes, ann is paid": Outcome(*_ANN_IS_PAID, SpendKind.OURS),
    "bob closes, bob is paid": Outcome(*_BOB_IS_PAID, SpendKind.OURS),
    # All that Ann had is Bob's: what she paid him in the second channel, she got back there.
    "penalty": Outcome((None, _ANNS), ((_DONE, _BACK),), (_PAID, 0), SpendKind.REVOKED),
}


@pytest.fixture(autouse=True, scope="module")
def _toy() -> Iterator[None]:
    with toy_curve():
        yield


@pytest.mark.parametrize("story", STORIES)
def test_it_ends_as_without_a_cut(story: str, record_property: Any) -> None:
    outcome, fuse = play(story)
    assert outcome == OUTCOMES[story]
    steps = fuse.steps
    assert steps > 100
    moments = range(1, steps + 1) if LONG else range(1, steps + 1, -(-steps // MOMENTS))
    played = 0
    for number, moment in enumerate(moments):
        second = moment + 1 + number % RECOVERY
        both = (moment,), (moment, second)
        for cuts in both if LONG else both[number % 2 :][:1]:
            outcome, fuse = play(story, *cuts)
            assert outcome == OUTCOMES[story], f"{story}, cut at {cuts}"
            assert fuse.blown == len([cut for cut in cuts if cut <= fuse.steps])
            played += 1
    record_property(
        "power", f"power cuts, {story}: {played} stories with a cut at one of {steps} steps"
    )


class LateDisk(FusedDisk):
    """A planted bug: the kernel acts before what explains it is on disk."""

    late: Sequence[Write] = ()

    async def _catch_up(self) -> None:
        writes, self.late = self.late, ()
        if writes:
            await super().commit(writes)

    async def commit(self, writes: Sequence[Write]) -> None:
        """The next time."""
        await self._catch_up()
        self.late = writes

    async def load(self, table: Table) -> list[Row]:
        """With what was late."""
        await self._catch_up()
        return await super().load(table)

    async def query(self, sql: str, parameters: Sequence[Value] = ()) -> list[Row]:
        """With what was late."""
        await self._catch_up()
        return await super().query(sql, parameters)

    def power_is_off(self) -> None:
        """What is late is lost."""
        self.late = ()


def test_a_kernel_that_acts_before_its_commit_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(power_cuts, "FusedDisk", LateDisk)
    assert play("mutual")[0] == OUTCOMES["mutual"], "as long as the power stays"
    found = 0
    for moment in range(4, 40, 4):
        try:
            found += play("mutual", moment)[0] != OUTCOMES["mutual"]
        except (Violation, AssertionError, KeyError):
            found += 1
    assert found > 3
