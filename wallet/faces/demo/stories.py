"""The stories by name."""

from typing import Final

from wallet.faces.demo.cheat import Cheat
from wallet.faces.demo.first import FirstStory
from wallet.faces.demo.reorg import Reorganisation
from wallet.faces.demo.short_stories import DryChannel, HopByHop, Offline
from wallet.faces.demo.story import Story
from wallet.faces.demo.vanish import Vanish

STORIES: Final[dict[str, type[Story]]] = {
    "first": FirstStory,
    "hops": HopByHop,
    "offline": Offline,
    "dry": DryChannel,
    "cheat": Cheat,
    "vanish": Vanish,
    "reorg": Reorganisation,
}
