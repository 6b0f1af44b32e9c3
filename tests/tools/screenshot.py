"""`python -m tests.tools.screenshot`: run `leyden demo` in a pseudo-terminal and draw its screen.

Writes screenshots/demo.svg.  The picture is of a real run: names, ids and times are its own.
"""

import os
import pty
import sys
import tempfile
from html import escape
from pathlib import Path
from typing import Final

import pyte

COLUMNS: Final = 96
ROWS: Final = 120
PICTURES: Final = Path(__file__).resolve().parents[2] / "screenshots"

_CELL: Final = (8.4, 18)
_MARGIN: Final = 20
_PAPER, _INK, _STRONG = "#16191d", "#c9ced6", "#f2c14e"


def run_in_terminal(words: list[str]) -> tuple[pyte.Screen, int]:
    """Run a program on a terminal of `COLUMNS` by `ROWS`; its last screen and its exit code."""
    screen = pyte.Screen(COLUMNS, ROWS)
    stream = pyte.ByteStream(screen)
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "xterm"
        os.execv(words[0], words)
    while True:
        try:
            data = os.read(terminal, 65_536)
        except OSError:  # Linux says EIO when the program has left the terminal.
            break
        if not data:
            break
        stream.feed(data)
    os.close(terminal)
    return screen, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def draw(screen: pyte.Screen) -> str:
    """The screen as an SVG picture, without the empty lines below."""
    lines = [_line(screen, row) for row in range(ROWS)]
    while lines and not lines[-1]:
        lines.pop()
    wide = COLUMNS * _CELL[0] + 2 * _MARGIN
    high = len(lines) * _CELL[1] + 2 * _MARGIN
    texts = [
        f'<text x="{_MARGIN}" y="{_MARGIN + (row + 1) * _CELL[1] - 5}">{line}</text>'
        for row, line in enumerate(lines)
        if line
    ]
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide:.0f} {high}"'
            f' width="{wide:.0f}" height="{high}">',
            f'<rect width="100%" height="100%" rx="8" fill="{_PAPER}"/>',
            f'<g fill="{_INK}" font-family="ui-monospace, Menlo, Consolas, monospace"'
            ' font-size="14" xml:space="preserve">',
            *texts,
            "</g>\n</svg>\n",
        )
    )


def _line(screen: pyte.Screen, row: int) -> str:
    """One line's text; what is bold stands in another colour."""
    cells = [screen.buffer[row][column] for column in range(COLUMNS)]
    length = len("".join(cell.data for cell in cells).rstrip())
    parts: list[str] = []
    bold = False
    for cell in cells[:length]:
        if cell.bold != bold:
            parts.append(f'<tspan fill="{_STRONG}">' if cell.bold else "</tspan>")
            bold = cell.bold
        parts.append(escape(cell.data, quote=False))
    return "".join(parts) + ("</tspan>" if bold else "")


def main() -> None:
    """Draw the demo; the picture stays as it was if the demo failed."""
    with tempfile.TemporaryDirectory(prefix="leyden-") as home:
        words = [sys.executable, "-m", "wallet", "demo", "--dir", home]
        screen, code = run_in_terminal(words)
    if code != 0:
        sys.exit("\n".join(screen.display) + f"\nthe demo ended with {code}")
    PICTURES.mkdir(exist_ok=True)
    (PICTURES / "demo.svg").write_text(draw(screen), encoding="utf-8")


if __name__ == "__main__":
    main()
