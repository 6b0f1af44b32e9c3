"""`python -m tests.tools.pictures [NAME …]`: draw what README.md shows, into `screenshots/`.

The pictures are of the scenes in `tests/faces/tui/gallery.py`: a fixed wallet at a fixed time, so
the same screen gives the same picture.  Without names all of them are drawn, and files of scenes
that are no more are removed.  `story` has to be named: it runs `leyden demo` in a pseudo-terminal
for some seconds, and its names, ids and times are its own.

`drawn.json` keeps what each picture was made from, and a test compares that with the app of today.
"""

import asyncio
import hashlib
import json
import os
import pty
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

import pyte

from tests.faces.tui.fake_core import FakeCore
from tests.faces.tui.gallery import SCENES, core_replies
from tests.faces.tui.stage import Scene, Shot, Stage, cells, play
from tests.tools.cells import Grid, digest, of_terminal
from tests.tools.painter import paint, save
from wallet.faces.tui.themes import DARK

HERE: Final = Path(__file__).parent
PICTURES: Final = HERE.parents[1] / "screenshots"
COMMAND: Final = "python -m tests.tools.pictures"
STORY: Final = "story"
COLUMNS: Final = 80
ROWS: Final = 120


@dataclass(slots=True)
class Drawn:
    """What lies in `screenshots/`, and what it was made from."""

    tools: str = ""
    """Of the painter's own files."""
    shots: dict[str, str] = field(default_factory=dict)
    """The digest of the cells of each shot, by the name that its picture has or would have."""
    files: dict[str, str] = field(default_factory=dict)
    """The digest of each file of a scene."""

    @classmethod
    def read(cls) -> "Drawn":
        """As it was written; empty if there is none."""
        path = PICTURES / "drawn.json"
        return cls(**json.loads(path.read_text())) if path.exists() else cls()

    def write(self) -> None:
        """Beside the pictures."""
        text = json.dumps(asdict(self), indent=1, sort_keys=True)
        (PICTURES / "drawn.json").write_text(text + "\n")


def tools_digest() -> str:
    """Of what turns cells into dots: with another one, every picture is drawn anew."""
    parts = [HERE / f"{name}.py" for name in ("painter", "glyphs")]
    return hashlib.sha256(b"".join(path.read_bytes() for path in parts)).hexdigest()


def file_digest(name: str) -> str:
    """Of a file in `screenshots/`."""
    return hashlib.sha256((PICTURES / name).read_bytes()).hexdigest()


async def draw(scene: Scene, drawn: Drawn) -> None:
    """Play a scene in the first of its sizes, and write its pictures."""
    seen: list[tuple[Shot, Grid]] = []

    async def at(stage: Stage, shot: Shot) -> None:
        await stage.pilot.pause(0.3)
        seen.append((shot, cells(stage, scene.theme)))

    with tempfile.TemporaryDirectory(prefix="leyden-") as home:
        core = FakeCore(Path(home) / "rpc", core_replies())
        await core.start()
        await play(scene, scene.sizes[0], core, at)
        await core.close()
    for shot, grid in seen:
        drawn.shots[scene.picture(shot)] = digest(grid)
        if shot.alone:
            save(paint([grid], scene.theme), PICTURES / scene.picture(shot))
    if scene.film:
        frames = paint([grid for _, grid in seen], scene.theme)
        save(frames, PICTURES / f"{scene.film}.png", [shot.milliseconds for shot, _ in seen])
    drawn.files |= {name: file_digest(name) for name in scene.pictures}


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


def draw_story() -> None:
    """The demo's story; the picture stays as it was if the demo failed."""
    with tempfile.TemporaryDirectory(prefix="leyden-") as home:
        words = [sys.executable, "-m", "wallet", "demo", "--headless", "--dir", home]
        screen, code = run_in_terminal(words)
    if code != 0:
        sys.exit("\n".join(screen.display) + f"\nthe demo ended with {code}")
    save(paint([of_terminal(screen, DARK)], DARK), PICTURES / f"{STORY}.png")


async def draw_all(scenes: Iterable[Scene], drawn: Drawn) -> None:
    """One after the other: each has a core of its own."""
    for scene in scenes:
        await draw(scene, drawn)
        print(*scene.pictures)


def main(names: list[str]) -> None:
    """Draw the named ones, or all."""
    # The pictures have colours whatever the terminal that asks for them.
    os.environ.pop("NO_COLOR", None)
    known = {scene.id for scene in SCENES} | {STORY}
    if not known.issuperset(names):
        sys.exit(f"There is no scene {', '.join(set(names) - known)}. There are: {sorted(known)}")
    PICTURES.mkdir(exist_ok=True)
    drawn = Drawn.read() if names else Drawn(tools=tools_digest())
    wanted = [scene for scene in SCENES if not names or scene.id in names]
    asyncio.run(draw_all(wanted, drawn))
    drawn.write()
    if STORY in names:
        draw_story()
    if not names:
        for path in PICTURES.glob("*.png"):
            if path.name not in drawn.files and path.stem != STORY:
                path.unlink()


if __name__ == "__main__":
    main(sys.argv[1:])
