"""The deck: everything that can happen, each with its weight; a seed draws its own mix (swarm).

A card that has no place in the present situation says None, and the next one is drawn.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from tests.simulation import nodes, people, weather, wires

if TYPE_CHECKING:
    from tests.simulation.world import World


class Suit(Enum):
    """What a seed may have more or less of."""

    LIFE = auto()
    FAULT = auto()
    FORCE = auto()
    LIE = auto()
    CHEAT = auto()


_SHARES: Final = {
    Suit.LIFE: (1,),
    Suit.FAULT: (0, 1, 1, 3),
    Suit.FORCE: (0, 1, 2, 4),
    Suit.LIE: (0, 0, 1),
    Suit.CHEAT: (0, 0, 1),
}
"""Factors of a card's weight, one of which a seed draws."""
_STERN: Final = _SHARES | {Suit.FORCE: (2, 4), Suit.CHEAT: (0, 1)}
"""Where scripts are judged: few seeds, and only what goes on chain shows any."""


@dataclass(frozen=True)
class Card:
    """One thing that can happen."""

    weight: float
    play: Callable[["World"], str | None]
    suit: Suit = Suit.LIFE


class Deck:
    """The cards of one seed."""

    def __init__(self, world: "World") -> None:
        self._world = world
        dice, shares = world.dice, _STERN if world.chain.judge is not None else _SHARES
        # All cheating together: a copy that is never used shows nothing.
        cheating = dice.choice(shares[Suit.CHEAT])
        self._cards = [card.play for card in CARDS]
        self._weights = [
            card.weight * (cheating if card.suit is Suit.CHEAT else dice.choice(shares[card.suit]))
            for card in CARDS
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
    Card(60, wires.deliver),
    Card(10, wires.turn),
    Card(8, wires.connect),
    Card(3, wires.hear_again),
    Card(12, weather.hear_of_blocks),
    Card(4, weather.mine),
    Card(6, nodes.restart),
    Card(1, nodes.time_passes),
    Card(5, people.pay),
    Card(8, people.send_by_route),
    Card(1, people.keysend),
    Card(1.5, people.send_what_nobody_wants),
    Card(0.5, people.set_terms),
    Card(0.2, people.close_mutually),
    Card(0.5, people.open_another),
    Card(0.8, people.close_by_force, Suit.FORCE),
    Card(1.0, wires.cut, Suit.FAULT),
    Card(0.8, wires.fall_silent, Suit.FAULT),
    Card(0.3, wires.swizzle_clog, Suit.FAULT),
    Card(0.6, nodes.crash_before_commit, Suit.FAULT),
    Card(0.6, nodes.crash_after_commit, Suit.FAULT),
    Card(0.8, nodes.crash_while_acting, Suit.FAULT),
    Card(0.3, nodes.kill, Suit.FAULT),
    Card(0.3, nodes.disk_is_full, Suit.FAULT),
    Card(0.8, weather.reorganise, Suit.FAULT),
    Card(0.8, weather.change_feerate, Suit.FAULT),
    Card(0.4, weather.forget_unconfirmed, Suit.FAULT),
    Card(0.6, wires.lie, Suit.LIE),
    Card(8, nodes.keep_a_copy, Suit.CHEAT),
    Card(3, nodes.cheat, Suit.CHEAT),
)
