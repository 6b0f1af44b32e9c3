"""The table: how a payment ends that at some stage of its life is struck by a fault.

P: paid. F: failed, and everybody has what they had. a, c: ann or cat is punished for a revoked
commitment, and bob has all that she had in the channel (P: the payment was paid, F: it was not).
A dash: at that stage bob has signed nothing that the peer has not answered, so it has no next.
"""

from collections.abc import Iterator
from itertools import count
from typing import Final

import pytest

from tests.simulation.line import Line
from tests.simulation.stage_faults import FAULTS, ON_CHAIN, Ending, Fault, figures_of
from tests.simulation.stages import STAGES, Side, Stage, Story, standing_at
from tests.simulation.toy_curve import toy_curve
from tests.support.kernel_engine import VERIFIED
from wallet.machines.channel.ending import SpendKind

_WORDS: Final = {
    "P": Ending.PAID,
    "F": Ending.FAILED,
    "aP": Ending.ANN_PUNISHED_PAID,
    "aF": Ending.ANN_PUNISHED_FAILED,
    "cP": Ending.CAT_PUNISHED_PAID,
    "cF": Ending.CAT_PUNISHED_FAILED,
    "-": Ending.NO_NEXT,
}
# Columns, as in `Fault`: cut; crash before, after commit, while acting; reorg of the fundings; then
# for both channels, in and out: reorg of bob's close, reorg to the peer's, bob's close, the peer's,
# its next, its revoked.
_TABLE: Final = {
    Story.FULFIL: """
        IN_ADD_HELD       P  P  P  P  F  F  F  F  F  F  F  F  F  -  -  aF cF
        IN_ADD_SIGNED     P  P  P  P  F  F  F  F  F  F  F  F  F  F  -  aF cF
        IN_ADD_SAID       P  P  P  P  F  F  F  F  F  F  F  F  F  F  -  aF cF
        IN_ADD_COMMITTED  P  P  P  P  F  F  F  F  F  F  F  F  F  F  -  aF cF
        IN_ADD_REVOKED    P  P  P  P  F  F  F  F  F  F  F  F  F  F  -  aF cF
        IN_ADD_ACKED      P  P  P  P  F  F  F  F  F  F  F  F  F  F  -  aF cF
        OUT_ADD_HELD      P  P  P  P  P  P  F  P  F  P  F  P  F  -  F  aP cF
        OUT_ADD_SIGNED    P  P  P  P  P  P  F  P  F  P  F  P  F  -  F  aP cF
        OUT_ADD_SAID      P  P  P  P  P  P  F  P  F  P  F  P  F  -  F  aP cF
        OUT_ADD_COMMITTED P  P  P  P  P  P  F  P  F  P  F  P  F  -  F  aP cF
        OUT_ADD_REVOKED   P  P  P  P  P  P  F  P  F  P  F  P  F  -  F  aP cF
        OUT_ADD_ACKED     P  P  P  P  P  P  F  P  F  P  F  P  F  -  -  aP cF
        OUT_END_SIGNED    P  P  P  P  P  P  P  P  P  P  P  P  P  -  -  aP cF
        OUT_END_SAID      P  P  P  P  P  P  P  P  P  P  P  P  P  P  -  aP cP
        OUT_END_COMMITTED P  P  P  P  P  P  P  P  P  P  P  P  P  P  P  aP cP
        OUT_END_REVOKED   P  P  P  P  P  P  P  P  P  P  P  P  P  P  P  aP cP
        OUT_END_ACKED     P  P  P  P  P  P  P  P  P  P  P  P  P  P  P  aP cP
        IN_END_HELD       P  P  P  P  P  P  P  P  P  P  P  P  P  P  -  aP cP
        IN_END_SIGNED     P  P  P  P  P  P  P  P  P  P  P  P  P  P  -  aP cP
        IN_END_SAID       P  P  P  P  P  P  P  P  P  P  P  P  P  P  -  aP cP
        IN_END_COMMITTED  P  P  P  P  P  P  P  P  P  P  P  P  P  P  -  aP cP
        IN_END_REVOKED    P  P  P  P  P  P  P  P  P  P  P  P  P  -  -  aP cP
        IN_END_ACKED      P  P  P  P  P  P  P  P  P  P  P  P  P  -  -  aP cP
        OVER              P  P  P  P  P  P  P  P  P  P  P  P  P  -  -  aP cP
    """,
    Story.FAIL: """
        IN_ADD_HELD       F  F  F  F  F  F  F  F  F  F  F  F  F  -  -  aF cF
        IN_ADD_SIGNED     F  F  F  F  F  F  F  F  F  F  F  F  F  F  -  aF cF
        IN_ADD_SAID       F  F  F  F  F  F  F  F  F  F  F  F  F  F  -  aF cF
        IN_ADD_COMMITTED  F  F  F  F  F  F  F  F  F  F  F  F  F  F  -  aF cF
        IN_ADD_REVOKED    F  F  F  F  F  F  F  F  F  F  F  F  F  F  -  aF cF
        IN_ADD_ACKED      F  F  F  F  F  F  F  F  F  F  F  F  F  F  -  aF cF
        OUT_ADD_HELD      F  F  F  F  F  F  F  F  F  F  F  F  F  -  F  aF cF
        OUT_ADD_SIGNED    F  F  F  F  F  F  F  F  F  F  F  F  F  -  F  aF cF
        OUT_ADD_SAID      F  F  F  F  F  F  F  F  F  F  F  F  F  -  F  aF cF
        OUT_ADD_COMMITTED F  F  F  F  F  F  F  F  F  F  F  F  F  -  F  aF cF
        OUT_ADD_REVOKED   F  F  F  F  F  F  F  F  F  F  F  F  F  -  F  aF cF
        OUT_ADD_ACKED     F  F  F  F  F  F  F  F  F  F  F  F  F  -  -  aF cF
        OUT_END_SIGNED    F  F  F  F  F  F  F  F  F  F  F  F  F  -  -  aF cF
        OUT_END_SAID      F  F  F  F  F  F  F  F  F  F  F  F  F  F  -  aF cF
        OUT_END_COMMITTED F  F  F  F  F  F  F  F  F  F  F  F  F  F  F  aF cF
        OUT_END_REVOKED   F  F  F  F  F  F  F  F  F  F  F  F  F  F  F  aF cF
        OUT_END_ACKED     F  F  F  F  F  F  F  F  F  F  F  F  F  F  F  aF cF
        IN_END_HELD       F  F  F  F  F  F  F  F  F  F  F  F  F  F  -  aF cF
        IN_END_SIGNED     F  F  F  F  F  F  F  F  F  F  F  F  F  F  -  aF cF
        IN_END_SAID       F  F  F  F  F  F  F  F  F  F  F  F  F  F  -  aF cF
        IN_END_COMMITTED  F  F  F  F  F  F  F  F  F  F  F  F  F  F  -  aF cF
        IN_END_REVOKED    F  F  F  F  F  F  F  F  F  F  F  F  F  -  -  aF cF
        IN_END_ACKED      F  F  F  F  F  F  F  F  F  F  F  F  F  -  -  aF cF
        OVER              F  F  F  F  F  F  F  F  F  F  F  F  F  -  -  aF cF
    """,
}
_HAS_HTLC_FROM: Final = {Side.IN: Stage.OUT_ADD_SIGNED, Side.OUT: Stage.OUT_ADD_ACKED}
"""From here on there is a revoked commitment of the peer that holds the HTLC."""

Cell = tuple[Story, Stage, Fault]


def _cells(story: Story) -> dict[Cell, Ending]:
    """The text as cells; a line has one word for each fault."""
    cells = {}
    for line in _TABLE[story].strip().splitlines():
        name, *words = line.split()
        for fault, word in zip(Fault, words, strict=True):
            cells[story, Stage[name], fault] = _WORDS[word]
    return cells


CELLS: Final = {cell: ending for story in Story for cell, ending in _cells(story).items()}


REAL: Final = [
    (story, stage, fault)
    for story, stage in (
        (Story.FULFIL, Stage.OUT_END_SIGNED),
        (Story.FULFIL, Stage.IN_END_HELD),
        (Story.FAIL, Stage.OUT_END_COMMITTED),
    )
    for fault in ON_CHAIN
    if CELLS[story, stage, fault] is not Ending.NO_NEXT
]
"""Cells in which every kind of claim is made."""


def test_no_cell_is_empty() -> None:
    assert set(CELLS) == {(s, at, fault) for s in Story for at in Stage for fault in Fault}


@pytest.fixture
def toy() -> Iterator[None]:
    """Fast keys."""
    with toy_curve():
        yield


@pytest.mark.usefixtures("toy")
@pytest.mark.parametrize("cell", CELLS, ids="-".join)
def test_cell(cell: Cell) -> None:
    _play(cell, judge=False)


@pytest.mark.parametrize("cell", REAL, ids="-".join)
def test_cell__real_keys_and_scripts_judged_by_core(cell: Cell) -> None:
    before = VERIFIED["simulated"]
    _play(cell, judge=True)
    assert VERIFIED["simulated"] > before


def _play(cell: Cell, *, judge: bool) -> None:
    """In all its variations."""
    story, stage, fault = cell
    ending = CELLS[cell].value
    for variation in count(1):
        line = Line(story, judge)
        line.reach(stage)
        assert line.standing() == standing_at(story, stage)
        if ending is None:
            assert not line.of(line.bob, ON_CHAIN[fault][0]).awaiting_revocation
            return
        more = FAULTS[fault](line, variation)
        line.make_peace()
        _judge(line, fault)
        assert figures_of(line, ending) == ending
        if not more:
            return


def _judge(line: Line, fault: Fault) -> None:
    """Nothing is under way, and bob sees that end of a channel on chain which the fault means."""
    assert line.books.is_settled()
    struck, kind = ON_CHAIN.get(fault, (None, None))
    for side in Side:
        assert line.spend_kind(side) == (kind if side is struck else None)
    if kind is not SpendKind.REVOKED:
        line.books.settled()


@pytest.mark.usefixtures("toy")
@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("side", Side)
def test_what_is_revoked_holds_the_htlc(side: Side, stage: Stage) -> None:
    line = Line(Story.FULFIL)
    line.reach(stage)
    since = STAGES.index(_HAS_HTLC_FROM[side])
    assert line.revoked(side).has_htlc is (STAGES.index(stage) >= since)
