"""`python -m tests.tools.readme`: write what the code says about itself into README.md.

The table of rooms comes from the folders' docstrings, the sizes from counting lines; a test checks
that README.md has the rooms right.
"""

import ast
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
README: Final = ROOT / "README.md"
FLOORS: Final = ("faces", "node", "services", "machines", "base")
"""From top to bottom."""


def rooms() -> str:
    """A table of all folders of the house: what each is for and who may enter."""
    rows = ["| Folder | What it is for | Who enters |", "|---|---|---|"]
    for floor in FLOORS:
        home = ROOT / "wallet" / floor
        inner = sorted(path.parent for path in home.glob("*/__init__.py"))
        for folder in (home, *inner):
            first, entry = _docstring(folder)
            name = f"**{floor}/**" if folder == home else f"{floor}/{folder.name}/"
            rows.append(f"| {name} | {first} | {entry} |")
    return "\n".join(rows)


def _docstring(folder: Path) -> tuple[str, str]:
    """A folder's first sentence, and the line that says who enters."""
    tree = ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))
    lines = (ast.get_docstring(tree) or "").splitlines()
    return lines[0], lines[2]


def size() -> str:
    """How much code there is, in hundreds of lines, so that it is not stale at each change."""
    counts = [f"{_lines(ROOT / 'wallet' / floor):,} in `{floor}`" for floor in FLOORS]
    whole, tests = _lines(ROOT / "wallet"), _lines(ROOT / "tests")
    return f"About {whole:,} lines ({', '.join(counts)}) and {tests:,} lines of tests."


def _lines(folder: Path) -> int:
    files = [path for path in folder.rglob("*.py") if "node_modules" not in path.parts]
    return round(sum(len(path.read_bytes().splitlines()) for path in files), -2)


BLOCKS: Final = {"rooms": rooms, "size": size}


def with_block(text: str, name: str) -> str:
    """README's text with the block `name` as it should be."""
    begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    before, opened, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if not (opened and closed):
        raise ValueError(f"README.md has no block {name!r}")
    return f"{before}{begin}{BLOCKS[name]()}\n{end}{after}"


def main() -> None:
    """Rewrite the blocks."""
    text = README.read_text(encoding="utf-8")
    for name in BLOCKS:
        text = with_block(text, name)
    README.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
