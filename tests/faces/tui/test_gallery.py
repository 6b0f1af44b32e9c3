"""Every scene of the gallery is drawn as it was, and `screenshots/` shows what is drawn now."""

from typing import Final

import pytest

from tests.faces.tui.fake_core import FakeCore
from tests.faces.tui.gallery import SCENES, core_replies
from tests.faces.tui.scenes import check
from tests.faces.tui.stage import Scene, Shot, Stage, cells, play
from tests.tools.cells import Grid, contrast, digest
from tests.tools.glyphs import lacking
from tests.tools.pictures import COMMAND, PICTURES, STORY, Drawn, file_digest, tools_digest

MOST_BYTES: Final = 1_500_000
"""Of all pictures: everybody who takes the project takes them."""

LEAST_CONTRAST: Final = 4.5
"""WCAG's AA for text."""

PLAYED: Final = [
    pytest.param(scene, size, id=f"{scene.id}-{size}") for scene in SCENES for size in scene.sizes
]


@pytest.mark.parametrize(("scene", "size"), PLAYED)
async def test_scene(
    core: FakeCore, monkeypatch: pytest.MonkeyPatch, scene: Scene, size: str
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    core.replies = core_replies()
    drawn = Drawn.read().shots

    async def at(stage: Stage, shot: Shot) -> None:
        if shot.alone:
            await check(stage.pilot, shot.name)
        if size == scene.sizes[0]:
            await _is_as_drawn(stage, scene, drawn.get(scene.picture(shot)), shot)

    await play(scene, size, core, at)


async def _is_as_drawn(stage: Stage, scene: Scene, drawn: str | None, shot: Shot) -> None:
    """Text and colours are, or soon become, those of the picture."""
    for _ in range(100):
        grid = cells(stage, scene.theme)
        if digest(grid) == drawn:
            _can_be_read(grid)
            return
        await stage.pilot.pause(0.02)
    pytest.fail(
        f"screenshots/{scene.picture(shot)} shows other text or colours than the app draws now."
        f" Draw it again and look at it: {COMMAND} {scene.id}"
    )


def _can_be_read(grid: Grid) -> None:
    lacks = lacking(cell.text for row in grid for cell in row)
    assert lacks == set(), "not in the font of the pictures: tests/tools/glyphs.py has to draw it"
    seen = {(cell.look.ink, cell.look.paper) for row in grid for cell in row if cell.text.strip()}
    assert [pair for pair in seen if contrast(*pair) < LEAST_CONTRAST] == []


def test_files__are_those_of_the_scenes_as_they_were_drawn() -> None:
    drawn = Drawn.read()
    wanted = {name for scene in SCENES for name in scene.pictures}
    there = {path.name for path in PICTURES.glob("*.png")}
    assert there - {f"{STORY}.png"} == wanted == set(drawn.files), f"draw them again: {COMMAND}"
    changed = [name for name in sorted(wanted) if file_digest(name) != drawn.files[name]]
    assert changed == [], f"not what {COMMAND} has drawn"
    assert drawn.tools == tools_digest(), f"the pictures are of another painter: {COMMAND}"
    assert sum(path.stat().st_size for path in PICTURES.iterdir()) < MOST_BYTES


def test_scenes__have_names_of_their_own() -> None:
    names = [scene.id for scene in SCENES]
    pictures = [scene.picture(shot) for scene in SCENES for shot in scene.shots]
    assert len(set(names)) == len(names)
    assert len(set(pictures)) == len(pictures)
