"""README.md says what the house is like now."""

import re

import pytest

from tests.tools.readme import README, ROOT, with_block


@pytest.fixture(scope="module")
def page() -> str:
    """README.md."""
    return README.read_text(encoding="utf-8")


def test_rooms_are_as_their_folders_say(page: str) -> None:
    assert with_block(page, "rooms") == page, "run python -m tests.tools.readme"


def test_files_it_names_exist(page: str) -> None:
    names = set(re.findall(r"`((?:[a-z_0-9]+/)+[a-z_0-9]+\.[a-z]+)`", page))
    assert len(names) > 10
    missing = [n for n in names if not any((ROOT / home / n).is_file() for home in ("wallet", ""))]
    assert not missing


def test_its_pictures_exist(page: str) -> None:
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", page)
    assert pictures
    for picture in pictures:
        assert (ROOT / picture).stat().st_size < 300_000
