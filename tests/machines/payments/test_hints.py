"""wallet/machines/payments/hints.py: which channels an invoice tells of, and what it warns of."""

import pytest

from tests.support.payment_ends import STRANGER
from wallet.base.errors import Refused
from wallet.base.invoices.tagged import HintHop
from wallet.base.values.amounts import MilliSatoshi
from wallet.base.values.blocks import CltvDelta
from wallet.base.values.ids import ShortChannelId
from wallet.machines.payments.hints import MAX_HINTS, Exposure, InboundChannel, Reach, reach

AMOUNT = MilliSatoshi(1_000)


def channel(
    number: int,
    receivable: int = 5_000,
    *,
    private: bool = True,
    connected: bool = True,
    dead_end: bool = False,
    terms: bool = True,
) -> InboundChannel:
    """Channel `number`; its hint bears the number as alias, in the chain it is 100 higher."""
    alias = ShortChannelId(number, 1, 0)
    hop = HintHop(STRANGER, alias, MilliSatoshi(1), 10, CltvDelta(34)) if terms else None
    names = frozenset({alias, ShortChannelId(number + 100, 1, 0)})
    return InboundChannel(names, hop, MilliSatoshi(receivable), private, connected, dead_end)


def numbers(found: Reach) -> list[int]:
    """Which channels are hints, in order; every hint is of one hop."""
    return [hop.short_channel_id.block for (hop,) in found.hints]


def warned(found: Reach) -> list[str]:
    """The names of the warnings."""
    return [name for name, _ in found.warnings]


ALL = Exposure(private=True)
NONE = Exposure(private=False)
DEFAULT = Exposure()


@pytest.mark.parametrize(
    ("exposure", "public", "expected"),
    [
        (DEFAULT, False, [1]),
        (DEFAULT, True, []),
        (ALL, False, [1]),
        (ALL, True, [1]),
        (NONE, False, []),
        (NONE, True, []),
    ],
)
def test_private_channels_are_told_when_there_is_no_other_way(
    exposure: Exposure, public: bool, expected: list[int]
) -> None:
    channels = [channel(1), *([channel(2, private=False)] if public else [])]
    found = reach(channels, AMOUNT, exposure)
    assert numbers(found) == expected
    assert warned(found) == ([] if public or expected else ["warning_private_unused"])


@pytest.mark.parametrize(
    ("amount", "expected"),
    [(None, [2]), (1, [2]), (5_000, [2]), (5_001, [2, 3]), (9_001, [2, 3, 1]), (20_000, [2, 3, 1])],
)
def test_as_few_hints_as_bring_the_amount(amount: int | None, expected: list[int]) -> None:
    channels = [channel(1, 3_000), channel(2, 5_000), channel(3, 4_000), channel(4, 0)]
    wanted = None if amount is None else MilliSatoshi(amount)
    assert numbers(reach(channels, wanted, DEFAULT)) == expected


def test_an_invoice_does_not_grow_without_end() -> None:
    channels = [channel(n, 1_000) for n in range(20)]
    found = reach(channels, MilliSatoshi(20_000), DEFAULT)
    assert len(found.hints) == MAX_HINTS
    assert warned(found) == ["warning_mpp"]


def test_no_hint_by_a_channel_that_is_away_or_whose_terms_nobody_knows() -> None:
    useless = [channel(1, connected=False), channel(2, terms=False), channel(4, dead_end=True)]
    assert numbers(reach([*useless, channel(3, 2_000)], AMOUNT, DEFAULT)) == [3]


# --- by name ------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", [2, 102])
def test_by_name__only_those_even_if_announced_or_a_dead_end(block: int) -> None:
    channels = [channel(1), channel(2, private=False, dead_end=True)]
    found = reach(channels, AMOUNT, Exposure(only=(ShortChannelId(block, 1, 0),)))
    assert numbers(found) == [2]
    assert warned(found) == []


@pytest.mark.parametrize("block", [3, 9])
def test_by_name__nothing_that_could_be_a_hint(block: int) -> None:
    channels = [channel(1), channel(3, terms=False)]
    with pytest.raises(Refused, match="suitable local channels") as refused:
        reach(channels, AMOUNT, Exposure(only=(ShortChannelId(block, 1, 0),)))
    assert refused.value.code == 902


def test_by_name__none_at_all_means_no_hint() -> None:
    assert numbers(reach([channel(1)], AMOUNT, Exposure(only=()))) == []


# --- warnings -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("channels", "exposure", "expected"),
    [
        ([], DEFAULT, ["warning_capacity"]),
        ([channel(1, 999)], DEFAULT, ["warning_capacity"]),
        ([channel(1, 999, connected=False)], DEFAULT, ["warning_capacity"]),
        ([channel(1, connected=False)], DEFAULT, ["warning_offline"]),
        ([channel(1, private=False, dead_end=True)], DEFAULT, ["warning_deadends"]),
        ([channel(1, dead_end=True)], DEFAULT, ["warning_deadends"]),
        ([channel(1)], NONE, ["warning_private_unused"]),
        ([channel(1), channel(2, 999, private=False)], DEFAULT, ["warning_private_unused"]),
        (
            [channel(1, connected=False), channel(2, dead_end=True), channel(3, 999)],
            DEFAULT,
            ["warning_offline", "warning_deadends"],
        ),
        ([channel(1, 600), channel(2, 600)], DEFAULT, ["warning_mpp"]),
        ([channel(1, 1_000), channel(2, 600, connected=False)], DEFAULT, []),
    ],
)
def test_warnings(channels: list[InboundChannel], exposure: Exposure, expected: list[str]) -> None:
    assert warned(reach(channels, AMOUNT, exposure)) == expected


def test_warnings__say_how_much_is_missing() -> None:
    ((_, words),) = reach([channel(1, 999)], AMOUNT, DEFAULT).warnings
    assert words == "Your channels can receive 999 msat now, which is too little."
    ((_, words),) = reach([channel(1, 5_000, connected=False)], AMOUNT, DEFAULT).warnings
    assert "5,000 msat" in words
