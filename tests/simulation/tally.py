"""What a story has met, told from its end: closes, claims and payments of each kind, counted.

Whatever is named here has a least number in `test_seeds.py`: a seed that never goes where a bug
could be finds nothing.
"""

from collections import Counter
from typing import TYPE_CHECKING

from wallet.machines.channel.ending import ClaimKind, SpendKind
from wallet.machines.channel.state import Channel
from wallet.machines.payments.records import PaymentStatus

if TYPE_CHECKING:
    from tests.simulation.house import House
    from tests.simulation.world import World


def outcomes(world: "World") -> Counter[str]:
    """By kind; only what is in a block counts."""
    met: Counter[str] = Counter()
    for house in world.books.honest:
        met["forward settled"] += house.memory.forwards_settled
        for payment in house.memory.payments.values():
            met[f"payment {payment.status}"] += 1
            paid = sum(part.status is PaymentStatus.COMPLETE for part in payment.parts)
            met["payment in parts complete"] += paid > 1
        for channel in house.memory.channels.values():
            _add_end(met, world, house, channel)
    return met


def _add_end(met: Counter[str], world: "World", house: "House", channel: Channel) -> None:
    end = channel.onchain
    if end is None:
        return
    met[f"end: {end.kind}"] += 1
    if end.kind is SpendKind.MUTUAL:
        return
    held = world.watch.ended.get((house.name, channel.id), {})
    directions = {key.offered_by_us for key in held}
    met["end with HTLCs both ways"] += len(directions) == 2
    met["closed for a deadline"] += "expire" in (channel.error or "")
    for claim in end.claims:
        by = world.watch.sent_by.get(claim.resolved_by) if claim.resolved_by is not None else None
        if by == house.name:
            second = claim.htlc is not None and claim.outpoint.txid != end.txid
            penalty = claim.kind is ClaimKind.PENALTY
            met[f"claim: {claim.kind}" + (" of a second stage" if second and penalty else "")] += 1
        elif by is not None:
            met[f"claim by the peer first: {claim.kind}"] += 1
