"""The table of HTLC stages: its symmetry, and what two peers that follow it agree on."""

import random

import pytest

from wallet.machines.channel.htlc_stages import (
    FINAL,
    ROWS,
    SETTLED,
    Beat,
    Stage,
    advance,
    mirror,
)

_SWAP = {
    Beat.WE_COMMIT: Beat.THEY_COMMIT,
    Beat.THEY_COMMIT: Beat.WE_COMMIT,
    Beat.WE_REVOKE: Beat.THEY_REVOKE,
    Beat.THEY_REVOKE: Beat.WE_REVOKE,
}


def test_twenty_stages_each_with_a_row() -> None:
    assert len(Stage) == 20
    assert set(ROWS) == set(Stage)


@pytest.mark.parametrize("stage", list(Stage))
def test_the_mirror_of_a_row_is_the_row_of_the_mirror(stage: Stage) -> None:
    row, other = ROWS[stage], ROWS[mirror(stage)]
    assert mirror(mirror(stage)) is stage
    assert (row.in_ours, row.in_theirs) == (other.in_theirs, other.in_ours)
    assert (row.in_our_previous, row.in_their_previous) == (
        other.in_their_previous,
        other.in_our_previous,
    )
    assert (row.beat and _SWAP[row.beat]) == other.beat
    assert (row.following and mirror(row.following)) == other.following


@pytest.mark.parametrize("first", [Stage.SENT_ADD_HTLC, Stage.RCVD_ADD_HTLC])
def test_a_life_is_four_beats_and_a_removal_and_four_beats(first: Stage) -> None:
    stage, seen = first, [first]
    while ROWS[stage].following is not None:
        stage = ROWS[stage].following or stage
        seen.append(stage)
    assert stage in SETTLED
    assert len(seen) == 5
    removal = {
        Stage.SENT_ADD_ACK_REVOCATION: Stage.RCVD_REMOVE_HTLC,
        Stage.RCVD_ADD_ACK_REVOCATION: Stage.SENT_REMOVE_HTLC,
    }[stage]
    stage = removal
    while ROWS[stage].following is not None:
        stage = ROWS[stage].following or stage
    assert stage in FINAL
    assert not ROWS[stage].in_ours
    assert not ROWS[stage].in_theirs


@pytest.mark.parametrize(
    ("stage", "ours", "theirs"),
    [
        # Our unrevoked previous commitment and theirs, where they differ from the latest one.
        (Stage.SENT_ADD_COMMIT, None, False),
        (Stage.SENT_REMOVE_ACK_COMMIT, None, True),
        (Stage.RCVD_ADD_ACK_COMMIT, False, None),
        (Stage.RCVD_REMOVE_COMMIT, True, None),
    ],
)
def test_the_previous_commitment_differs_where_a_beat_is_half_done(
    stage: Stage, ours: bool | None, theirs: bool | None
) -> None:
    row = ROWS[stage]
    if ours is not None:
        assert row.in_our_previous is ours is not row.in_ours
    if theirs is not None:
        assert row.in_their_previous is theirs is not row.in_theirs


def test_a_reconnect_forgets_only_what_they_had_not_committed() -> None:
    changed = {s: ROWS[s].after_reconnect for s in Stage if ROWS[s].after_reconnect is not s}
    assert changed == {
        Stage.RCVD_ADD_HTLC: None,
        Stage.RCVD_REMOVE_HTLC: Stage.SENT_ADD_ACK_REVOCATION,
    }


def test_a_beat_moves_only_the_rows_that_wait_for_it() -> None:
    for stage in Stage:
        for beat in Beat:
            moved = advance(stage, beat) is not stage
            assert moved is (ROWS[stage].beat is beat)


class _Peer:
    """A peer that follows the table and nothing else: stages by (offered by us, id)."""

    def __init__(self) -> None:
        self.stages: dict[tuple[bool, int], Stage] = {}
        self.awaiting = False
        self.wire: list[tuple[str, tuple[bool, int] | None, frozenset[tuple[bool, int]]]] = []

    def contents(self, *, ours: bool) -> frozenset[tuple[bool, int]]:
        rows = {k: ROWS[s] for k, s in self.stages.items()}
        return frozenset(k for k, row in rows.items() if (row.in_ours if ours else row.in_theirs))

    def beat(self, beat: Beat) -> None:
        self.stages = {k: advance(s, beat) for k, s in self.stages.items()}


def _flip(keys: frozenset[tuple[bool, int]]) -> frozenset[tuple[bool, int]]:
    return frozenset((not ours, number) for ours, number in keys)


@pytest.mark.parametrize("seed", range(20))
def test_two_peers_agree_on_every_commitment(seed: int) -> None:
    dice = random.Random(seed)
    peers = [_Peer(), _Peer()]
    next_id = [0, 0]
    agreed = 0
    for _ in range(1_200):
        who = dice.randrange(2)
        me, other = peers[who], peers[1 - who]
        match dice.randrange(5):
            case 0:
                key = (True, next_id[who])
                next_id[who] += 1
                me.stages[key] = Stage.SENT_ADD_HTLC
                me.wire.append(("add", key, frozenset()))
            case 1:
                settled = [k for k, s in me.stages.items() if s is Stage.RCVD_ADD_ACK_REVOCATION]
                if settled:
                    key = dice.choice(settled)
                    me.stages[key] = Stage.SENT_REMOVE_HTLC
                    me.wire.append(("remove", key, frozenset()))
            case 2:
                waiting = any(ROWS[s].beat is Beat.WE_COMMIT for s in me.stages.values())
                if waiting and not me.awaiting:
                    me.beat(Beat.WE_COMMIT)
                    me.awaiting = True
                    me.wire.append(("commit", None, me.contents(ours=False)))
            case _:
                if other.wire:
                    word, named, contents = other.wire.pop(0)
                    agreed += _hear(me, word, named, contents)
    assert agreed > 20


def _hear(
    me: _Peer,
    word: str,
    named: tuple[bool, int] | None,
    contents: frozenset[tuple[bool, int]],
) -> int:
    if word == "add" and named is not None:
        me.stages[False, named[1]] = Stage.RCVD_ADD_HTLC
    elif word == "remove" and named is not None:
        assert me.stages[True, named[1]] is Stage.SENT_ADD_ACK_REVOCATION
        me.stages[True, named[1]] = Stage.RCVD_REMOVE_HTLC
    elif word == "commit":
        me.beat(Beat.THEY_COMMIT)
        assert me.contents(ours=True) == _flip(contents)
        me.beat(Beat.WE_REVOKE)
        me.wire.append(("revoke", None, frozenset()))
        return 1
    elif word == "revoke":
        me.beat(Beat.THEY_REVOKE)
        me.awaiting = False
    return 0
