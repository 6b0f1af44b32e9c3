"""The stories by name."""

from typing import Final

from wallet.faces.demo.first import FirstStory
from wallet.faces.demo.short_stories import DryChannel, HopByHop, Offline
from wallet.faces.demo.story import Story

STORIES: Final[dict[str, type[Story]]] = {
    "first": FirstStory,
    "hops": HopByHop,
    "offline": Offline,
    "dry": DryChannel,
}
