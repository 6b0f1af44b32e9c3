"""What the wire does: words arrive, late or never; links break; a few tell lies."""

from typing import TYPE_CHECKING, Final

from tests.simulation.house import House
from wallet.base.values.ids import ChannelId

if TYPE_CHECKING:
    from tests.simulation.link import Link
    from tests.simulation.world import World

_COMMITMENT_SIGNED: Final = 132


def speaking(world: "World") -> list[tuple["Link", House]]:
    """Links and ends of which words are under way."""
    return [
        (link, sender)
        for link in world.links
        for sender in link.ends
        if link.wire[sender.name] and sender.name not in link.silent
    ]


def deliver(world: "World") -> str | None:
    """Words arrive, and mostly are taken up at once."""
    waiting = speaking(world)
    if not waiting:
        return None
    link, sender = world.dice.choice(waiting)
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
    down = [link for link in world.links if world.can_meet(link)]
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
        return None
    link.silent.add(house.name)
    return f"{house.name} is not heard on {link}"


def swizzle_clog(world: "World") -> str | None:
    """Many wires stop at once; they come back one by one, in no order."""
    ends = [(link, house) for link in world.links if link.up for house in link.ends]
    stopped = [
        (link, h) for link, h in ends if h.name not in link.silent and world.dice.random() < 0.6
    ]
    if len(stopped) < 2:
        return None
    for link, house in stopped:
        link.silent.add(house.name)
    world.met["swizzle-clog"] += 1
    return f"{len(stopped)} wires stop"


def hear_again(world: "World") -> str | None:
    """A wire that had stopped works."""
    silent = [(link, name) for link in world.links for name in sorted(link.silent)]
    if not silent:
        return None
    link, name = world.dice.choice(silent)
    link.silent.discard(name)
    return f"{name} is heard again on {link}"


def lie(world: "World") -> str | None:
    """A commitment_signed with a wrong signature: of the commitment, or of its last HTLC."""
    for link, sender in speaking(world):
        words = link.wire[sender.name]
        for place, data in enumerate(words):
            if int.from_bytes(data[:2], "big") == _COMMITMENT_SIGNED:
                channel_id = ChannelId(data[2:34])
                htlcs = int.from_bytes(data[98:100], "big")
                last = 97 + (2 + 64 * htlcs if htlcs and world.dice.random() < 0.5 else 0)
                words[place] = data[:last] + bytes((data[last] ^ 1,)) + data[last + 1 :]
                world.forced.add(channel_id)
                world.met["wrong signature"] += 1
                return f"{sender.name} signs wrongly for {channel_id.hex()[:8]}"
    return None
