"""What the chain does: blocks come, are heard of late or twice, and go; fees rise; pools forget."""

from typing import TYPE_CHECKING, Final

from tests.simulation.model_chain import START_HEIGHT

if TYPE_CHECKING:
    from tests.simulation.world import World

FEERATES: Final = (253, 300, 1_000, 1_200, 2_500, 5_000)
_MOST_BEHIND: Final = 3
"""Blocks that a node may have missed before more are mined: its promises are in blocks."""
_DEPTHS: Final = (1, 1, 1, 2, 2, 3, 4, 5, 6)


def mine(world: "World") -> str | None:
    """A few blocks."""
    count = world.dice.choice((2, 5, 10) if world.is_siege else (1, 1, 2, 3))
    if world.chain.height + count > START_HEIGHT + world.most_blocks:
        return None
    for _ in range(count):
        world.wake(_MOST_BEHIND if world.cheat is None else 1)
        world.chain.mine(world.fee_floor)
    return f"{count} blocks"


def hear_of_blocks(world: "World") -> str | None:
    """A node hears of some of them, or hears again of what it knows."""
    behind = [house for house in world.houses if house.is_behind and not house.has_work]
    if not behind:
        return None
    house = world.dice.choice(behind)
    if world.chain.height - house.memory.height.height > 2:
        world.met["blocks heard of late"] += 1
    count = house.hear_of_blocks(world.dice.choice((1, 2, 10)))
    if world.dice.random() < 0.2 and house.kernel is not None:
        known = house.memory.blocks[-1]
        if world.chain.has(known.height.height, known.hash):
            again = world.chain.after(known.height.height - 1)[0]
            house.kernel.inbox._urgent.appendleft(again)
            world.met["blocks heard of twice"] += 1
    world.turn(house)
    return f"{house.name} hears of {count} blocks"


def reorganise(world: "World") -> str | None:
    """Some blocks go, and one more comes than went."""
    # Under a cheat no deeper than its delay leaves its victim time: the new branch may bury it.
    depth = min(world.dice.choice(_DEPTHS), 6 if world.cheat is None else 2)
    chain = world.chain
    if chain.height - depth < START_HEIGHT + 1:
        return None
    world.wake(_MOST_BEHIND)
    gone = {tx.txid for block in chain.blocks[-depth:] for tx in block.event.transactions}
    ends = [c.onchain for _, c in world.channels() if c.onchain is not None]
    if any(c.resolved_by in gone or end.txid in gone for end in ends for c in end.claims):
        world.met[f"reorganisation of {depth} under a claim"] += 1
    chain.unmine(depth)
    # The new branch may leave out what the old one had.
    floor = world.dice.choice((0.0, 0.0, 1_000.0))
    for number in range(depth + 1):
        chain.mine(floor if number < depth else world.fee_floor)
    return f"a reorganisation of {depth} blocks"


def change_feerate(world: "World") -> str | None:
    """All backends estimate another fee rate; miners may soon take nothing that pays much less."""
    world.change_feerate(world.dice.choice(FEERATES))
    strict = world.dice.random() < 0.3
    world.fee_floor = world.feerate.per_kw * 4 / 1000 * 0.8 if strict else 0.0
    if strict and world.feerate.per_kw >= 2_500:
        world.met["fee spike"] += 1
    return f"fees are {world.feerate.per_kw} per kw" + (", and miners insist" if strict else "")


def forget_unconfirmed(world: "World") -> str | None:
    """Mempools drop what waits: who wants it mined offers it again."""
    pool = list(world.chain.mempool)
    if not pool or world.cheat is not None:
        return None
    dropped = [txid for txid in pool if world.dice.random() < 0.7]
    world.chain.forget(dropped)
    return f"mempools drop {len(dropped)} transactions"
