"""The newest things by number: pages, what is gone, and another run's numbers."""

import pytest

from wallet.base.values.recent import Page, Recent


def filled(count: int, kept: int = 10, started: float = 2_000.0) -> Recent[int]:
    recent: Recent[int] = Recent(kept, started)
    for number in range(count):
        recent.append(number)
    return recent


def test_pages() -> None:
    recent = filled(5)
    end = recent.next_seq
    assert recent.page(0, 9) == Page([(end - 5 + n, n) for n in range(5)], end, missed=False)
    assert recent.page(end - 3, 2) == Page([(end - 3, 2), (end - 2, 3)], end - 1, missed=False)
    assert recent.page(end, 9) == Page([], end, missed=False)
    assert not recent.page(end, 9).worth_telling


def test_nothing_yet() -> None:
    recent = filled(0)
    assert recent.page(0, 9) == Page([], recent.next_seq, missed=False)
    assert filled(0, started=0.0).next_seq == 1


def test_the_oldest_go__and_that_is_said() -> None:
    recent = filled(13)
    oldest = recent.next_seq - 10
    assert recent.page(oldest, 1) == Page([(oldest, 3)], oldest + 1, missed=False)
    assert recent.page(oldest - 1, 1) == Page([(oldest, 3)], oldest + 1, missed=True)
    # From the beginning, whatever that is by now.
    assert recent.page(0, 1).missed is False


@pytest.mark.parametrize("seconds", [1.0, -1_000.0], ids=["as it goes", "clock set back"])
def test_another_run_is_noticed(seconds: float) -> None:
    before = filled(1_000)
    empty = filled(0, started=2_000.0 + seconds)
    assert empty.page(before.next_seq, 9) == Page([], empty.next_seq, missed=True)
    assert empty.page(before.next_seq, 9).worth_telling
    after = filled(2, started=2_000.0 + seconds)
    assert [item for _, item in after.page(before.next_seq, 9).items] == [0, 1]
