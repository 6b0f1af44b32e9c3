"""Rules of the house that no linter knows."""

import ast
import re
from pathlib import Path
from typing import Final

import pytest

from tests.tools import readme

ROOT: Final = Path(__file__).resolve().parents[2]
SOURCES: Final = sorted((ROOT / "wallet").rglob("*.py"))
MOST_LINES: Final = 450

# Larger than a room's file should be: they may shrink, and never grow.
TOO_LARGE: Final = {"faces/rpc/methods.py": 530, "machines/channel/opening.py": 620}

# Joined here, so that this file does not hold what it forbids.
FORBIDDEN: Final = re.compile(
    "|".join(
        ("/" + "work/", "/" + "farm/", r"\.\./" + "shared", "farm" + "-", "TO" + "DO", "FIX" + "ME")
    )
)


def _name(path: Path) -> str:
    return path.relative_to(ROOT / "wallet").as_posix()


def test_files_fit_in_a_head() -> None:
    sizes = {_name(path): len(path.read_bytes().splitlines()) for path in SOURCES}
    large = {name: n for name, n in sizes.items() if n > TOO_LARGE.get(name, MOST_LINES)}
    assert not large
    assert {name for name in TOO_LARGE if sizes.get(name, 0) <= MOST_LINES} == set()


def test_checks_are_not_asserts() -> None:
    """`python -O` removes those: `ensure` stays."""
    found = [
        f"{_name(path)}:{node.lineno}"
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.Assert)
    ]
    assert not found


def test_nothing_is_left_for_later() -> None:
    """No unfinished corners, and no path of the machine it was written on."""
    texts = [ROOT / "README.md", ROOT / "pyproject.toml", ROOT / ".ci" / "run", *SOURCES]
    kinds = {".py", ".mjs", ".json", ".svg"}
    for folder in (ROOT / "tests", ROOT / "screenshots"):
        texts += [
            path
            for path in folder.rglob("*")
            if path.suffix in kinds and "node_modules" not in path.parts
        ]
    found = {
        str(path.relative_to(ROOT)): match[0]
        for path in texts
        if (match := FORBIDDEN.search(path.read_text(encoding="utf-8")))
    }
    assert not found


def test_each_folder_says_what_it_is_for() -> None:
    """Four lines: purpose, who enters, what never happens, and which files to read first."""
    for path in SOURCES:
        if path.name != "__init__.py" or path.parent == ROOT / "wallet":
            continue
        lines = (ast.get_docstring(ast.parse(path.read_bytes())) or "").splitlines()
        assert len(lines) >= 5, path
        assert any(line.startswith("Never here: ") for line in lines), path
        [first] = [line for line in lines if line.startswith("Read first: ")]
        for name in first.removeprefix("Read first: ").rstrip(".").split(", "):
            assert (path.parent / name).is_file(), f"{path}: {name}"


def test_each_dependency_has_its_reason() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    block = text.split("\ndependencies = [\n", 1)[1].split("\n]\n", 1)[0]
    lines = [line.strip() for line in block.splitlines()]
    for above, line in zip(["", *lines], lines, strict=False):
        if not line.startswith("#"):
            assert above.startswith("# "), f"no reason for {line}"


@pytest.fixture(scope="module")
def page() -> str:
    """README.md."""
    return readme.README.read_text(encoding="utf-8")


def test_readme_shows_the_rooms_as_they_are(page: str) -> None:
    assert readme.with_block(page, "rooms") == page, "run python -m tests.tools.readme"


def test_readme_names_files_that_exist(page: str) -> None:
    names = set(re.findall(r"`((?:[a-z_0-9]+/)+[a-z_0-9]+\.[a-z]+)`", page))
    assert len(names) > 10
    missing = [n for n in names if not any((ROOT / home / n).is_file() for home in ("wallet", ""))]
    assert not missing
