"""Amounts as people read and type them."""

import pytest

from wallet.faces.tui.units import HIDDEN, Money, Unit, read_sat

SAT, BTC = Money(), Money(Unit.BTC)


def test_shown__in_both_units() -> None:
    assert SAT.shown(1_234_567_000) == "1,234,567 sat"
    assert BTC.shown(1_234_567_000) == "0.01234567 BTC"
    assert SAT.other(1_234_567_000) == "0.01234567 BTC"
    assert BTC.shown(2_100_000_000_000_000_000) == "21000000.00000000 BTC"
    assert (SAT.signed(2_103_000, "-"), SAT.signed(5_000, "+")) == ("-2,103", "+5")
    assert Unit.SAT.next.next is Unit.SAT


def test_shown__rounds_balances_down_and_fees_up() -> None:
    assert (SAT.bare(1_999), SAT.bare(1_001, up=True)) == ("1", "2")
    assert (SAT.bare(999), SAT.bare(999, up=True), SAT.bare(0)) == ("<1", "1", "0")
    assert BTC.bare(1) == "<0.00000001"


def test_hidden__tells_nothing_of_the_size() -> None:
    hidden = Money(hidden=True)
    assert {hidden.bare(n) for n in (0, 1, 10**12)} == {HIDDEN}
    assert hidden.shown(5) == f"{HIDDEN} sat"


@pytest.mark.parametrize(
    ("text", "unit", "sat"),
    [
        ("250000", Unit.SAT, 250_000),
        ("250,000", Unit.SAT, 250_000),
        ("250_000 ", Unit.SAT, 250_000),
        ("0.0025", Unit.BTC, 250_000),
        (".00000001", Unit.BTC, 1),
        ("1", Unit.BTC, 100_000_000),
        ("", Unit.SAT, None),
        ("0.5", Unit.SAT, None),
        ("-1", Unit.SAT, None),
        ("١٢", Unit.SAT, None),
        ("1e3", Unit.SAT, None),
        ("0.123456789", Unit.BTC, None),
        ("1.", Unit.BTC, None),
        (".", Unit.BTC, None),
        ("9" * 17, Unit.SAT, None),
    ],
)
def test_read_sat(text: str, unit: Unit, sat: int | None) -> None:
    assert read_sat(text, unit) == sat
