"""What strangers write does nothing to a terminal but be read."""

import pytest

from wallet.base.values.text import cells, safe_text

KEPT = [
    "",
    "Desk lamp, order 3312",
    "Käse für 3 €",
    "naïve cafe\u0301",
    "日本語",
    "שלום",
    "ไม้",
    "🍺 beer",
    'quotes " and \\ backslashes',
]


@pytest.mark.parametrize("text", KEPT)
def test_safe_text__leaves_living_scripts_alone(text: str) -> None:
    assert safe_text(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[2Jb", "a\\u001b[2Jb"),
        ("one\ntwo\r\tthree", "one\\ntwo\\r\\tthree"),
        ("pay \u202e000,1 ot", "pay \\u202e000,1 ot"),
        ("\u2066isolated\u2069", "\\u2066isolated\\u2069"),
        ("zero\u200bwidth\ufeff", "zero\\u200bwidth\\ufeff"),
        ("no\u00a0break", "no\\u00a0break"),
        ("c1\x9b2J", "c1\\u009b2J"),
        ("half a pair \udc80", "half a pair \\udc80"),
        ("a\u3164b\u2800c\u034fd", "a\\u3164b\\u2800c\\u034fd"),
        ("heart\u2764\ufe0f", "heart\u2764\\ufe0f"),
        ("tag\U000e0041", "tag\\udb40\\udc41"),
        ("z" + "\u0301" * 4, "z\u0301\u0301\\u0301\\u0301"),
    ],
)
def test_safe_text__spells_out_what_is_not_seen(text: str, shown: str) -> None:
    assert safe_text(text) == shown


@pytest.mark.parametrize(
    ("text", "width", "shown"),
    [
        ("lamp", 4, "lamp"),
        ("lamps", 4, "lam…"),
        ("日本語", 6, "日本語"),
        ("日本語", 5, "日本…"),
        ("日本語", 4, "日…"),
        ("a\nb", 3, "a\\…"),
        ("cafe\u0301s", 5, "cafe\u0301s"),
        ("lamp", 1, "…"),
        ("lamp", 0, ""),
    ],
)
def test_safe_text__is_cut_to_cells(text: str, width: int, shown: str) -> None:
    assert safe_text(text, width) == shown
    assert cells(shown) <= width
