"""Where a scene is played: the app, what is done to it, and the moments that are looked at."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from textual.pilot import Pilot
from textual.screen import Screen
from textual.theme import Theme
from textual.widgets import Input

from tests.faces.tui import money
from tests.faces.tui.fake_core import FakeCore, Reply
from tests.faces.tui.scenes import at, opened, settled, strips, until
from tests.faces.tui.setup_scene import FakePort, first_run
from tests.faces.tui.town_scene import in_town
from tests.tools.cells import Grid, of_strips
from wallet.faces.tui.app import Leyden
from wallet.faces.tui.sheets.sheet import Sheet
from wallet.faces.tui.state import State
from wallet.faces.tui.themes import DARK, LIGHT


@dataclass(frozen=True, slots=True)
class Shot:
    """A moment to look at; one that is not `alone` is a frame of the film only."""

    name: str
    milliseconds: int = 1_500
    """How long the film shows it."""
    alone: bool = True


@dataclass(slots=True)
class Stage:
    """A scene while it is played."""

    pilot: Pilot[Any]
    core: FakeCore
    clock: list[float]
    """The monotonic clock, its only number: it moves when a step moves it."""
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    """Open: what was held is answered."""

    @property
    def screen(self) -> Screen[Any]:
        """In front."""
        return self.pilot.app.screen


Step: TypeAlias = str | Shot | Callable[[Stage], Awaitable[None]]
"""A key, a moment, or something else that happens."""
House: TypeAlias = Callable[
    [FakeCore, tuple[int, int]], AbstractAsyncContextManager[tuple[Pilot[Any], list[float]]]
]
"""An app on a core and in a size, with its clock."""


@asynccontextmanager
async def at_home(
    core: FakeCore, size: tuple[int, int]
) -> AsyncIterator[tuple[Pilot[Any], list[float]]]:
    """The app on a wallet."""
    clock = [0.0]
    async with opened(core, size, lambda: clock[0]) as pilot:
        yield pilot, clock


@asynccontextmanager
async def in_the_town(
    core: FakeCore, size: tuple[int, int]
) -> AsyncIterator[tuple[Pilot[Any], list[float]]]:
    """The app on a wallet of a town, with the town's screen in front."""
    async with in_town(core, core.path.with_name("town-rpc"), size) as (pilot, _, clock):
        yield pilot, clock


@asynccontextmanager
async def at_first(
    _core: FakeCore, size: tuple[int, int]
) -> AsyncIterator[tuple[Pilot[Any], list[float]]]:
    """The wizard, before there is a wallet."""
    async with first_run(FakePort(), size) as pilot:
        yield pilot, [0.0]


SMALL: Final = ("80x24",)


@dataclass(frozen=True, slots=True)
class Scene:
    """What is done, and what the core says to it.

    The text is compared in each of the `sizes`, the picture has the first.  `answers` are added to
    those of the gallery; one that is `held` waits for `let_go`.  Without a `Shot` there is one, at
    the end, of the scene's name; with a `film`, all shots make one moving picture of that name.
    """

    name: str
    steps: tuple[Step, ...] = ()
    sizes: tuple[str, ...] = SMALL
    answers: Mapping[str, Reply] = field(default_factory=dict)
    held: tuple[str, ...] = ()
    where: House = at_home
    light: bool = False
    film: str = ""

    @property
    def id(self) -> str:
        """The name that is no other scene's: the text is the same in all colours."""
        return f"{self.name}-light" if self.light else self.name

    @property
    def theme(self) -> Theme:
        """Its colours."""
        return LIGHT if self.light else DARK

    @property
    def shots(self) -> tuple[Shot, ...]:
        """What is looked at."""
        found = tuple(step for step in self.steps if isinstance(step, Shot))
        return found or (Shot(self.name),)

    def picture(self, shot: Shot) -> str:
        """The name of a shot's picture."""
        return f"{self.id if shot.name == self.name else shot.name}.png"

    @property
    def pictures(self) -> tuple[str, ...]:
        """The names of all its pictures, the film last."""
        alone = tuple(self.picture(shot) for shot in self.shots if shot.alone)
        return (*alone, f"{self.film}.png") if self.film else alone


async def play(
    scene: Scene, size: str, core: FakeCore, at: Callable[[Stage, Shot], Awaitable[None]]
) -> None:
    """The scene, on a core that has been started; `at` is called for each shot."""
    core.replies.update(scene.answers)
    gate = asyncio.Event()
    core.replies.update({method: _held(core.replies[method], gate) for method in scene.held})
    columns, _, rows = size.partition("x")
    async with scene.where(core, (int(columns), int(rows))) as (pilot, clock):
        pilot.app.theme = scene.theme.name
        stage = Stage(pilot, core, clock, gate)
        shots = () if scene.shots[0] in scene.steps else scene.shots
        for step in (*scene.steps, *shots):
            if isinstance(step, Shot):
                await _be_still(stage)
                await at(stage, step)
            elif isinstance(step, str):
                await pilot.press(step)
                await pilot.pause()
            else:
                await step(stage)


def cells(stage: Stage, theme: Theme) -> Grid:
    """The screen in front, with its colours."""
    return of_strips(strips(stage.pilot), theme)


def _held(reply: Reply, gate: asyncio.Event) -> Reply:
    async def wait(_params: dict[str, Any]) -> Reply:
        await gate.wait()
        return reply

    return wait


async def _be_still(stage: Stage) -> None:
    """All is loaded, and no cursor blinks."""
    for line in stage.screen.query(Input):
        line.cursor_blink = False
    if isinstance(stage.pilot.app, Leyden):
        await settled(stage.pilot)


# --- steps ----------------------------------------------------------------------------------------


def paste(text: str) -> Step:
    """Into the field in front."""
    return lambda stage: money.paste(stage.pilot, text)


def shows(words: str) -> Step:
    """Wait until they stand there."""
    return lambda stage: money.until_shown(stage.pilot, words)


def opens(sheet: Callable[[State], Sheet]) -> Step:
    """A sheet that is not a key away."""

    async def push(stage: Stage) -> None:
        assert isinstance(stage.pilot.app, Leyden)
        await stage.pilot.app.push_screen(sheet(stage.pilot.app.state))

    return push


def clock(seconds: float) -> Step:
    """So long after the scene began."""

    async def move(stage: Stage) -> None:
        stage.clock[0] = seconds
        await stage.pilot.pause()

    return move


def answers(**changed: Reply) -> Step:
    """From now on the core answers this, and it says that something has changed."""

    async def change(stage: Stage) -> None:
        stage.core.replies.update(changed)
        await stage.core.tell("payment", payment_hash="")

    return change


def tells(day: list[tuple[str, str, dict[str, Any]]]) -> Step:
    """The core's journal grows by these: when, topic, and what the topic brings."""

    async def tell(stage: Stage) -> None:
        for when, topic, told in day:
            await stage.core.tell(topic, at=at(when), **told)

    return tell


def paid_to_us(sat: int) -> Step:
    """Somebody pays the invoice that was made last."""

    async def pay(stage: Stage) -> None:
        label = stage.core.asked("invoice")[-1]["label"]
        await stage.core.tell("invoice_payment", label=label, amount_msat=sat * 1000)

    return pay


async def learnt(stage: Stage) -> None:
    """The sheet in front knows what it shows."""
    await money.learnt(stage.pilot)


async def armed(stage: Stage) -> None:
    """The letter of the review in front acts."""
    await until(stage.pilot, lambda: getattr(stage.screen, "_armed", False), "the letter")


async def let_go(stage: Stage) -> None:
    """What was held is answered."""
    stage.gate.set()
