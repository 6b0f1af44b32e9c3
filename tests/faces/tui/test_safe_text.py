"""Text of strangers on one line of a terminal."""

import sys
import unicodedata

import pytest
from rich.cells import cell_len

from tests.faces.tui.corpus import INJECTIONS
from wallet.faces.tui.safe_text import MOST, cut, left, middle_cut, right, safe, width

OBEYED = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}


@pytest.mark.parametrize("text", INJECTIONS, ids=range(len(INJECTIONS)))
def test_safe__nothing_that_a_terminal_obeys(text: str) -> None:
    shown = safe(text)
    assert not {c for c in shown if unicodedata.category(c) in OBEYED}
    assert len(shown) <= MOST
    assert safe(shown) == shown
    shown.encode()
    for char in shown:
        assert len(safe(char + "\u0301" * 20)) <= 4


def test_safe__every_character_is_harmless_or_replaced() -> None:
    for number in range(sys.maxunicode + 1):
        shown = safe(chr(number))
        assert all(unicodedata.category(c) not in OBEYED for c in shown), hex(number)


def test_safe__what_people_write_stays() -> None:
    for text in ("Coffee at Bob's", "Zoë Müller", "珈琲", "Việt Nam", "⚡ 50% [off]", "עברית", ""):
        assert safe(text) == unicodedata.normalize("NFC", text)
    assert safe("two\nlines") == "two lines"
    assert safe("wide\u00a0space") == "wide space"
    assert safe("x\u202ey") == "x\ufffdy"
    assert safe("e" + "\u0301" * 9) == "é\u0301\u0301\u0301"
    assert safe(None) == ""
    assert safe(12) == "12"
    assert safe("abcdef", 4) == "abc…"


def test_width__as_the_screen_counts() -> None:
    """A cell counted wrongly moves everything that stands to its right."""
    seen = {safe(chr(n)) for n in range(0x20, sys.maxunicode + 1)}
    differing = [c for c in seen if width(c) != cell_len(c)]
    assert not differing, f"{len(differing)}: {[hex(ord(c[0])) for c in differing[:20]]}"


def test_cut__never_wider_than_asked() -> None:
    for text in map(safe, INJECTIONS):
        for cells in range(12):
            assert width(cut(text, cells)) <= cells
            assert width(left(text, cells)) == width(right(text, cells)) == cells
    assert cut("漢字", 3) == "漢…"
    assert (left("ab", 4), right("ab", 4)) == ("ab  ", "  ab")
    assert middle_cut("02ab3cdddddddd77e1", 11) == "02ab3…d77e1"
    assert middle_cut("02ab", 11) == "02ab"
    assert width(middle_cut("02ab3cdddddddd77e1", 2)) == 2
