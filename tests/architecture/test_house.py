"""The rules of the house that no linter knows.

Which room may import which is in `pyproject.toml` (import-linter); here is the rest: sizes, what a
room's front page says, where `assert` may stand, what each dependency is for, and words that would
tie the project to one machine.
"""

import ast
import re
import sys
import tomllib
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]
SOURCES: Final = sorted((ROOT / "wallet").rglob("*.py"))
TESTS: Final = sorted((ROOT / "tests").rglob("*.py"))
ROOMS: Final = sorted({path.parent for path in SOURCES} - {ROOT / "wallet"})

MOST_LINES: Final = {"wallet": 450, "tests": 700}

# Distributions whose module bears another name.
MODULE_OF: Final = {"py-bitcoinkernel": "pbk"}

TIED_TO_A_MACHINE: Final = re.compile(
    r"(?<![\w./{])/(?:home|root|Users|srv|work)/\w"  # somebody's directories
    r"|\.\./shared\b"
    r"|\b(?:py"
    r"pi\.org|pythonhosted\.org|registry\.npm"
    r"js)"
)
TEXT_SUFFIXES: Final = {".py", ".md", ".toml", ".mjs", ".json", ".svg", ".csv", ".tsv", ".txt", ""}
NOT_OURS: Final = {"node_modules", "__pycache__", "build", "dist"}


def _relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _imported(tree: ast.Module) -> set[str]:
    """Top-level packages that a file imports, inside functions too."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            found.add(node.module.partition(".")[0])
    return found


def _dependency_lines() -> list[tuple[str, str]]:
    """Run-time requirements, each with the line above it in pyproject.toml."""
    text = (ROOT / "pyproject.toml").read_text()
    declared = tomllib.loads(text)["project"]["dependencies"]
    lines = [line.strip() for line in text.splitlines()]
    return [(wanted, lines[lines.index(f'"{wanted}",') - 1]) for wanted in declared]


def _most(name: str) -> int:
    return MOST_LINES[name.partition("/")[0]]


def test_files_are_short() -> None:
    lengths = {_relative(p): len(p.read_text().splitlines()) for p in SOURCES + TESTS}
    too_long = {name: n for name, n in lengths.items() if n > _most(name)}
    assert not too_long, "look for the table, the type or the second idea inside"


@pytest.mark.parametrize("room", ROOMS, ids=_relative)
def test_front_page_of_a_room(room: Path) -> None:
    page = ast.get_docstring(ast.parse((room / "__init__.py").read_text())) or ""
    lines = page.splitlines()
    assert len(lines) >= 4
    assert any("enter" in line for line in lines), "who may enter"
    assert any(line.startswith("Never here: ") for line in lines)
    [first] = [line for line in lines if line.startswith("Read first: ")]
    for name in first.removeprefix("Read first: ").rstrip(".").split(", "):
        assert (room / name).is_file(), name


def test_checks_survive_python_o() -> None:
    """`python -O` drops `assert`; a check that guards money is raised."""
    asserting = [
        f"{_relative(path)}:{node.lineno}"
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Assert)
    ]
    assert not asserting


def test_dependencies_have_reasons_and_uses() -> None:
    rows = _dependency_lines()
    assert [wanted for wanted, above in rows if not above.startswith("# ")] == []
    names = {re.split(r"[=<>]", wanted)[0] for wanted, _ in rows}
    modules = {MODULE_OF.get(name, name) for name in names}
    used = set().union(*(_imported(ast.parse(path.read_text())) for path in SOURCES))
    assert used - sys.stdlib_module_names - {"wallet"} == modules


def test_the_kernel_stays_in_the_chains_process() -> None:
    users = [_relative(p) for p in SOURCES if "pbk" in _imported(ast.parse(p.read_text()))]
    assert users == ["wallet/services/regtest/engine.py"]


def test_nothing_ties_the_project_to_a_machine() -> None:
    places = []
    for path in sorted(ROOT.rglob("*")):
        parts = path.relative_to(ROOT).parts
        hidden = any(part.startswith(".") and part not in (".ci", ".gitignore") for part in parts)
        if hidden or NOT_OURS & set(parts) or path.suffix not in TEXT_SUFFIXES:
            continue
        if path.is_file() and (found := TIED_TO_A_MACHINE.search(path.read_text())):
            places.append(f"{_relative(path)}: {found[0]}")
    assert not places
