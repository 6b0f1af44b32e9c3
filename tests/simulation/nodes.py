"""What happens to nodes: they crash at the worst moment, run out of disk, come back, or cheat."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.simulation.house import House
from tests.simulation.invariants import is_small
from tests.simulation.wires import speaking
from wallet.machines.channel.htlc_stages import ROWS
from wallet.machines.channel.identify import is_revoked
from wallet.machines.channel.state import LIVING, Channel
from wallet.node.events import CloseChannel, Tick

if TYPE_CHECKING:
    from tests.simulation.world import World


def _doom(world: "World", arm: Callable[[House], None], how: str) -> str | None:
    """The next batch that has such a moment is the last of its process."""
    able = [house for house in world.houses if house.is_up and not house.is_doomed]
    if not able:
        return None
    house = world.dice.choice(able)
    arm(house)
    if house.has_work:
        world.turn(house)
    return f"{house.name} will crash {how}"


def crash_before_commit(world: "World") -> str | None:
    """Everything was worked out and signed, and nothing is on disk."""

    def arm(house: House) -> None:
        house.disk.cut_before = True

    return _doom(world, arm, "before a commit")


def crash_after_commit(world: "World") -> str | None:
    """All is on disk, and nobody has heard of it."""

    def arm(house: House) -> None:
        house.disk.cut_after = True

    return _doom(world, arm, "after a commit")


def crash_while_acting(world: "World") -> str | None:
    """Some have heard of it."""

    def arm(house: House) -> None:
        house.acts_left = world.dice.randrange(1, 7)

    return _doom(world, arm, "while it acts")


def disk_is_full(world: "World") -> str | None:
    """One commit is refused."""

    def arm(house: House) -> None:
        house.disk.full = True

    return _doom(world, arm, "into a full disk")


def kill(world: "World") -> str | None:
    """Between two batches, with words of peers in memory only."""
    up = [house for house in world.houses if house.is_up]
    if not up:
        return None
    house = world.dice.choice(up)
    for link, sender in speaking(world):
        if link.beyond(sender) is house:
            world.deliver(link, sender, 2)
    world.kill(house)
    return f"{house.name} is killed"


def restart(world: "World") -> str | None:
    """A node that is down comes back; sometimes the power fails again at once."""
    down = [house for house in world.houses if not house.is_up]
    if not down:
        return None
    house = world.dice.choice(down)
    if world.dice.random() < 0.1:
        house.acts_left = world.dice.randrange(0, 3)
    world.start(house)
    return f"{house.name} starts"


def time_passes(world: "World") -> str | None:
    """The clock goes on; a node notices."""
    up = [house for house in world.houses if house.is_up]
    if not up:
        return None
    house = world.dice.choice(up)
    seconds = world.dice.choice((1, 5, 30, 70))
    world.now += seconds
    assert house.kernel is not None
    house.kernel.inbox.put(Tick())
    world.turn(house)
    return f"{seconds} seconds pass for {house.name}"


def _is_rich(channel: Channel) -> bool:
    return channel.phase in LIVING and any(
        ROWS[htlc.stage].in_ours and not is_small(htlc.amount) for htlc in channel.htlcs.values()
    )


def keep_a_copy(world: "World") -> str | None:
    """A node copies its disk, to cheat with it later."""
    if world.cheat is not None:
        return None
    able = [house for house in world.houses if house.is_up and house.memory.channels]
    if not able or any(house.copy is not None for house in world.houses):
        return None
    # What was worth something and is settled by then is what a cheat wants back.
    rich = [h for h in able if any(_is_rich(c) for c in h.memory.channels.values())]
    if not rich and world.dice.random() < 0.98:
        return None
    able = rich or able
    house = world.dice.choice(able)
    house.keep_a_copy()
    return f"{house.name} keeps a copy"


def _is_revoked(world: "World", house: House) -> bool:
    """Whether a peer holds the secret of a commitment in the copy."""
    return any(
        channel.phase in LIVING and is_revoked(channel, house.copied[channel.id])
        for _, channel in world.channels()
        if channel.terms.peer == house.id and channel.id in house.copied
    )


def cheat(world: "World") -> str | None:
    """It starts from that copy, away from its peers, and takes its channels to the chain."""
    able = [house for house in world.houses if house.is_up and _is_revoked(world, house)]
    if world.cheat is not None or not able:
        return None
    [house] = able
    world.forced |= set(house.memory.channels)
    world.begin_to_cheat(house)
    for channel in list(house.memory.channels.values()):
        world.forced.add(channel.id)
        if channel.phase in LIVING and channel.funding.confirmed:
            house.ask(lambda t, i=channel.id: CloseChannel(t, i, None, None, True))  # type: ignore[misc]
    if house.has_work:
        world.turn(house)
    return f"{house.name} cheats"
