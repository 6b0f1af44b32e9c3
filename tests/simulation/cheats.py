"""A node that goes back to a copy of itself and takes what it once had to the chain.

The crook runs the product too: what is old in it, it believes.  Nothing is asked of it but that it
harms nobody; of the others everything.
"""

from typing import TYPE_CHECKING

from tests.simulation.disk import Disk
from wallet.machines.channel.state import LIVING
from wallet.node.events import CloseChannel

if TYPE_CHECKING:
    from tests.simulation.world import World


def keep_a_copy(world: "World") -> str | None:
    """Of the crook's disk as it is now."""
    crook = world.crook
    if crook is None or world.went_back:
        return None
    world.copies.append(crook.disk.image())
    return f"{crook.name} copies its disk"


def go_back(world: "World") -> str | None:
    """To a copy, and at once to the chain with some of what stands in it."""
    crook = world.crook
    if crook is None or not world.copies or world.went_back:
        return None
    world.went_back = True
    if crook.is_up:
        world.kill(crook)
    crook.disk = Disk(world.dice.choice(world.copies))
    crook.expected = {}
    crook.start()
    sure = world.dice.random() < 0.7
    for channel in crook.memory.channels.values():
        if channel.phase in LIVING and channel.funding.confirmed is not None:
            world.forced.add(channel.id)
            if sure or world.dice.random() < 0.5:
                crook.ask(lambda t, i=channel.id: CloseChannel(t, i, None, None, True))  # type: ignore[misc]
    if crook.has_work:
        world.turn(crook)
    return f"{crook.name} goes back to a copy"
