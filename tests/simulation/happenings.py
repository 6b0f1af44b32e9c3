"""What befalls wires, nodes and the chain. A card that has no place now says None."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from tests.simulation.house import House
from tests.simulation.model_chain import START_HEIGHT
from wallet.node.events import (
    Tick,
)

if TYPE_CHECKING:
    from tests.simulation.world import Link, World

MOST_BLOCKS: Final = 16
"""Mined while there are faults: as many as a payment's expiry leaves room for."""
FEERATES: Final = (253, 300, 1_000, 1_200, 2_500, 5_000)


# --- the wire -----------------------------------------------------------------------------------


def _speaking(world: "World") -> list[tuple["Link", House]]:
    return [
        (link, sender)
        for link in world.links
        for sender in link.ends
        if link.wire[sender.name] and sender.name not in link.silent
    ]


def deliver(world: "World") -> str | None:
    """Words arrive, and mostly are taken up at once."""
    speaking = _speaking(world)
    if not speaking:
        return None
    link, sender = world.dice.choice(speaking)
    there = link.beyond(sender)
    names = world.deliver(link, sender, world.dice.choice((1, 1, 2, 5)))
    if world.dice.random() < 0.8:
        world.turn(there)
    return f"{sender.name}→{there.name} {names}"


def turn(world: "World") -> str | None:
    """A node takes up what waits."""
    busy = [house for house in world.houses if house.has_work]
    if not busy:
        return None
    house = world.dice.choice(busy)
    world.turn(house)
    return f"{house.name} works"


def cut(world: "World") -> str | None:
    """A link breaks."""
    up = [link for link in world.links if link.up]
    if not up:
        return None
    link = world.dice.choice(up)
    world.cut(link)
    return f"cut {link}"


def connect(world: "World") -> str | None:
    """Two find each other again."""
    down = [link for link in world.links if not link.up and all(h.is_up for h in link.ends)]
    if not down:
        return None
    link = world.dice.choice(down)
    world.connect(link)
    return f"connect {link}"


def fall_silent(world: "World") -> str | None:
    """What one end says does not arrive for a while: it lags, or withholds its answers."""
    up = [link for link in world.links if link.up]
    if not up:
        return None
    link = world.dice.choice(up)
    house = world.dice.choice(link.ends)
    if house.name in link.silent:
        link.silent.discard(house.name)
        return f"{house.name} is heard again on {link}"
    link.silent.add(house.name)
    return f"{house.name} is not heard on {link}"


# --- nodes --------------------------------------------------------------------------------------


def _crash(world: "World", prepare: Callable[[House], str]) -> str | None:
    up = [house for house in world.houses if house.is_up]
    house = world.dice.choice(up) if up else None
    if house is None or house.kernel is None:
        return None
    _give_work(world, house)
    how = prepare(house)
    if world.turn(house):
        # The batch had no such moment: then the process ends after it.
        world.kill(house)
        how = "after a batch"
    return f"{house.name} crashes {how}"


def _give_work(world: "World", house: House) -> None:
    """A crash in a batch that does nothing shows nothing."""
    for link, sender in _speaking(world):
        if link.beyond(sender) is house:
            world.deliver(link, sender, 2)
    if not house.has_work and house.kernel is not None:
        house.kernel.inbox.put(Tick())


def crash_before_commit(world: "World") -> str | None:
    """Everything was worked out and signed, and nothing is on disk."""

    def prepare(house: House) -> str:
        house.disk.cut_before = True
        return "before its commit"

    return _crash(world, prepare)


def crash_after_commit(world: "World") -> str | None:
    """All is on disk, and nobody has heard of it."""

    def prepare(house: House) -> str:
        house.disk.cut_after = True
        return "after its commit"

    return _crash(world, prepare)


def crash_while_acting(world: "World") -> str | None:
    """Some have heard of it."""

    def prepare(house: House) -> str:
        house.acts_left = world.dice.randrange(1, 5)
        return f"after {house.acts_left} actions"

    return _crash(world, prepare)


def restart(world: "World") -> str | None:
    """A node that is down comes back."""
    down = [house for house in world.houses if not house.is_up]
    if not down:
        return None
    house = world.dice.choice(down)
    house.start()
    world.watch.look(house)
    return f"{house.name} starts"


def disk_is_full(world: "World") -> str | None:
    """One commit is refused."""
    up = [house for house in world.houses if house.is_up]
    if not up:
        return None
    house = world.dice.choice(up)
    _give_work(world, house)
    house.disk.full = True
    world.turn(house)
    return f"{house.name} has a full disk"


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


# --- the chain ----------------------------------------------------------------------------------


def mine(world: "World") -> str | None:
    """A few blocks."""
    count = world.dice.choice((1, 1, 2, 3))
    if world.chain.height + count > START_HEIGHT + MOST_BLOCKS:
        return None
    for _ in range(count):
        world.chain.mine(world.fee_floor)
    return f"{count} blocks"


def hear_of_blocks(world: "World") -> str | None:
    """A node hears of some of them, or hears again of what it knows."""
    behind = [house for house in world.houses if house.is_behind and not house.has_work]
    if not behind:
        return None
    house = world.dice.choice(behind)
    count = house.hear_of_blocks(world.dice.choice((1, 2, 10)))
    if world.dice.random() < 0.2 and house.kernel is not None:
        known = house.memory.blocks[-1]
        if world.chain.has(known.height.height, known.hash):
            again = world.chain.after(known.height.height - 1)[0]
            house.kernel.inbox._urgent.appendleft(again)
    world.turn(house)
    return f"{house.name} hears of {count} blocks"


def reorganise(world: "World") -> str | None:
    """Some blocks go, and one more comes than went."""
    depth = world.dice.choice((1, 1, 1, 2, 3, 5))
    chain = world.chain
    if chain.height - depth < START_HEIGHT + 1:
        return None
    world.met.update(f"reorg of {what}" for what in world.watch.held_by(depth))
    chain.unmine(depth)
    # The new branch may leave out what the old one had.
    floor = world.dice.choice((0.0, 0.0, 1_000.0))
    for number in range(depth + 1):
        chain.mine(floor if number < depth else 0.0)
    return f"a reorganisation of {depth} blocks"


def blocks_are_full(world: "World") -> str | None:
    """Miners take nothing below the going rate, or anything again."""
    world.fee_floor = 0.0 if world.fee_floor else world.feerate.per_kw * 4 / 1000
    return f"blocks hold nothing below {world.fee_floor} sat/vB"


def change_feerate(world: "World") -> str | None:
    """All backends estimate another fee rate."""
    world.change_feerate(world.dice.choice(FEERATES))
    return f"fees are {world.feerate.per_kw} per kw"
