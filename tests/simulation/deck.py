"""The deck: everything that can happen, each with its weight; a seed draws its own mix (swarm)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tests.simulation import cheats, happenings, people

if TYPE_CHECKING:
    from tests.simulation.world import World


@dataclass(frozen=True)
class Card:
    """One thing that can happen. `is_fault`: its weight is the seed's."""

    weight: float
    play: Callable[["World"], str | None]
    is_fault: bool = False


class Deck:
    """The cards of one seed."""

    def __init__(self, world: "World") -> None:
        self._world = world
        dice = world.dice
        self._cards = [card.play for card in CARDS]
        self._weights = [
            card.weight * (dice.choice((0, 1, 1, 3)) if card.is_fault else 1) for card in CARDS
        ]

    def play(self) -> None:
        """One event."""
        world = self._world
        for _ in range(100):
            [play] = world.dice.choices(self._cards, self._weights)
            if (what := play(world)) is not None:
                world.met[play.__name__] += 1
                world.tell(what)
                return


CARDS: Final = (
    Card(60, happenings.deliver),
    Card(10, happenings.turn),
    Card(12, happenings.hear_of_blocks),
    Card(8, happenings.connect),
    Card(6, happenings.restart),
    Card(5, people.pay),
    Card(6, people.send_by_route),
    Card(1, people.keysend),
    Card(1.5, people.send_what_nobody_wants),
    Card(0.5, people.set_terms),
    Card(3, happenings.mine),
    Card(1, happenings.time_passes),
    Card(0.3, people.close_mutually),
    Card(0.2, people.close_by_force),
    Card(0.4, people.open_another),
    Card(2, cheats.keep_a_copy),
    Card(0.7, cheats.go_back),
    Card(1.0, happenings.cut, is_fault=True),
    Card(0.7, happenings.crash_before_commit, is_fault=True),
    Card(0.7, happenings.crash_after_commit, is_fault=True),
    Card(1.0, happenings.crash_while_acting, is_fault=True),
    Card(0.3, happenings.disk_is_full, is_fault=True),
    Card(0.7, happenings.reorganise, is_fault=True),
    Card(0.8, happenings.change_feerate, is_fault=True),
    Card(0.6, happenings.blocks_are_full, is_fault=True),
    Card(0.8, happenings.fall_silent, is_fault=True),
)
