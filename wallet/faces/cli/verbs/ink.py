"""Colours: a line knows where its tones stand, and only the paper decides whether they are seen.

A tone never says what the text does not say: each stands on a word, a sign or a shade.  The
sixteen colours are the terminal's own, so they suit its theme.
"""

import os
from collections.abc import Iterable
from typing import Any, Final

GOOD, WARN, BAD, MINE, DIM, HEAD = "32", "33", "31", "36", "2", "1"
"""Tones, as the terminal's own numbers for them."""

_WORDS: Final = {
    **dict.fromkeys(("arrived", "here", "open", "yes"), GOOD),
    **dict.fromkeys(("away", "peer away", "opening", "closing", "on its way", "on chain"), WARN),
    **dict.fromkeys(("force closing", "not sent", "no"), BAD),
}
"""Words of ours for how things are."""
_ASCII: Final = str.maketrans(
    {"█": "#", "▒": "=", "░": "-", "…": "~", "·": ".", "✓": "+", "✗": "x"}
)


class Line(str):
    """A text and its tones: (start, end, tone) in order. It is equal to the text alone."""

    __slots__ = ("tones",)
    tones: tuple[tuple[int, int, str], ...]


def toned(text: str, *tones: tuple[int, int, str]) -> Line:
    """A text with tones at places."""
    line = Line(text)
    line.tones = tones
    return line


def in_tone(text: str, tone: str) -> Line:
    """A text in one tone."""
    return toned(text, (0, len(text), tone))


def word(text: str) -> str:
    """A word of ours, in the tone that it has everywhere, or in none."""
    tone = _WORDS.get(text.partition(":")[0])
    return text if tone is None else in_tone(text, tone)


def tones_of(text: str) -> tuple[tuple[int, int, str], ...]:
    """Where its tones stand; a plain text has none."""
    return text.tones if isinstance(text, Line) else ()


def joined(parts: Iterable[str]) -> Line:
    """The parts as one line; each keeps its tones."""
    text, tones = "", []
    for part in parts:
        tones += [(len(text) + a, len(text) + b, tone) for a, b, tone in tones_of(part)]
        text += part
    return toned(text, *tones)


def plain(text: str) -> str:
    """The text in ASCII: for terminals and locales that have no more."""
    return text.translate(_ASCII).encode("ascii", "backslashreplace").decode()


def painted(line: str, *, in_colour: bool, in_ascii: bool) -> str:
    """What is written: with or without the tones, in ASCII or as it is."""
    spell = plain if in_ascii else str
    if not in_colour:
        return spell(line)
    done, parts = 0, []
    for start, end, tone in tones_of(line):
        parts += [spell(line[done:start]), f"\x1b[{tone}m{spell(line[start:end])}\x1b[0m"]
        done = end
    return "".join(parts) + spell(line[done:])


def is_wanted(choice: str, file: Any) -> bool:
    """Whether to colour what goes to `file`; `choice` is auto, always or never.

    `NO_COLOR` is that of no-color.org: set, and not empty.
    """
    if choice != "auto":
        return choice == "always"
    asked_not = os.environ.get("NO_COLOR") or os.environ.get("TERM", "dumb") == "dumb"
    return not asked_not and bool(file.isatty())
