"""What people do: they pay, in all ways, and open and close channels."""

from itertools import pairwise
from typing import TYPE_CHECKING, Final

from tests.simulation.house import House
from wallet.base.bitcoin.chains import REGTEST
from wallet.base.invoices.bolt11 import decode_invoice
from wallet.base.values.amounts import MilliSatoshi
from wallet.base.values.blocks import CltvDelta, CltvExpiry
from wallet.base.values.ids import PaymentHash
from wallet.machines.channel.state import LIVING, Channel, Phase
from wallet.machines.payments.forwarding import TermsChange, policy_of
from wallet.machines.payments.incoming import InvoiceRequest
from wallet.machines.payments.records import Hop, InvoiceRecord
from wallet.machines.payments.requests import KeysendRequest, PartRequest, PayRequest
from wallet.node.answers import InvoiceCreated
from wallet.node.events import (
    CloseChannel,
    CreateInvoice,
    Keysend,
    PayInvoice,
    SendPart,
    SetTerms,
)
from wallet.node.forward_desk import name_of

if TYPE_CHECKING:
    from tests.simulation.world import World

AMOUNTS: Final = (
    1,
    999,
    353_999,
    354_000,
    545_999,
    546_000,
    1_000_000,
    7_654_321,
    30_000_000,
    30_000_000,
    90_000_000,
)
"""Millisatoshi: around both dust limits, and what counts."""
MOST_FEE: Final = MilliSatoshi(1_000_000)


def _usable(house: House, peer: House) -> list[Channel]:
    return [c for c in house.memory.channels_with(peer.id) if c.phase is Phase.READY]


def _path(world: "World", most: int) -> list[House] | None:
    """A way along links whose ends run and have a channel."""
    dice = world.dice
    here = dice.choice(world.houses)
    path = [here]
    for _ in range(dice.randint(1, most)):
        if not here.is_up or here.cheats:
            return None
        ways = [
            there
            for link in world.links
            if here in link.ends
            for there in [link.beyond(here)]
            if there not in path and there.is_up and not there.cheats and _usable(here, there)
        ]
        if not ways:
            break
        here = dice.choice(ways)
        path.append(here)
    return path if len(path) > 1 else None


def _invoice(world: "World", payee: House, amount: MilliSatoshi) -> InvoiceRecord | None:
    world.labels += 1
    label = f"{world.labels}"
    request = InvoiceRequest(label=label, amount=amount, description=label)
    ticket = payee.ask(lambda t: CreateInvoice(t, request, None))
    world.turn(payee)
    made = payee.answers.pop(ticket, None)
    return made.invoice if isinstance(made, InvoiceCreated) else None


def pay(world: "World") -> str | None:
    """An invoice of a neighbour, or of one who tells how to reach it."""
    path = _path(world, 2)
    if path is None:
        return None
    amount = MilliSatoshi(world.dice.choice(AMOUNTS))
    record = _invoice(world, path[-1], amount)
    if record is None:
        return None
    invoice = decode_invoice(record.bolt11, REGTEST)
    request = PayRequest(invoice=invoice, bolt11=record.bolt11, max_fee=MOST_FEE)
    path[0].ask(lambda t: PayInvoice(t, request))
    world.turn(path[0])
    return f"{path[0].name} pays {path[-1].name} {amount.msat}"


def keysend(world: "World") -> str | None:
    """Money that nobody asked for."""
    path = _path(world, 1)
    if path is None:
        return None
    amount = MilliSatoshi(world.dice.choice(AMOUNTS))
    request = KeysendRequest(destination=path[-1].id, amount=amount, max_fee=MOST_FEE)
    path[0].ask(lambda t: Keysend(t, request))
    world.turn(path[0])
    return f"{path[0].name} sends {path[-1].name} {amount.msat}"


def _hops(world: "World", path: list[House], amount: MilliSatoshi) -> tuple[Hop, ...] | None:
    """The way along a path, as each node on it wants to be paid for it."""
    channels = [world.dice.choice(_usable(a, b)) for a, b in pairwise(path)]
    expiry = path[0].memory.height + CltvDelta(30)
    hops: list[Hop] = []
    for there, channel in reversed(list(zip(path[1:], channels, strict=True))):
        scid = name_of(channel)
        if scid is None:
            return None
        hops.insert(0, Hop(there.id, scid, 0, amount, expiry))
        policy = policy_of(channel)
        amount = amount + policy.fee(amount)
        expiry = CltvExpiry(expiry.height + policy.cltv_expiry_delta.blocks)
    return tuple(hops)


def _send_part(
    world: "World", path: list[House], record: InvoiceRecord, part: MilliSatoshi, partid: int
) -> bool:
    if not all(h.is_up for h in path):
        return False
    if not all(_usable(a, b) for a, b in pairwise(path)):
        return False
    hops = _hops(world, path, part)
    if hops is None or record.amount is None:
        return False
    request = PartRequest(
        payment_hash=record.payment_hash,
        hops=hops,
        total=record.amount,
        partid=partid,
        groupid=1,
        payment_secret=record.payment_secret,
    )
    path[0].ask(lambda t: SendPart(t, request))
    return True


def send_by_route(world: "World") -> str | None:
    """Through others, in one part or in several; a part may stay away."""
    dice = world.dice
    path = _path(world, 4)
    if path is None:
        return None
    count = dice.choice((1, 1, 1, 2, 3))
    parts = [MilliSatoshi(dice.choice(AMOUNTS)) for _ in range(count)]
    total = MilliSatoshi(sum(part.msat for part in parts))
    record = _invoice(world, path[-1], total)
    if record is None:
        return None
    left_out = dice.randrange(count) if count > 1 and dice.random() < 0.1 else None
    for number, part in enumerate(parts):
        if number != left_out:
            _send_part(world, path, record, part, number + 1)
    if path[0].has_work:
        world.turn(path[0])
    names = "-".join(house.name for house in path)
    return f"{names} {total.msat} in {count} parts"


def send_what_nobody_wants(world: "World") -> str | None:
    """A hash that the payee does not know: it comes back from the end."""
    path = _path(world, 4)
    if path is None:
        return None
    amount = MilliSatoshi(world.dice.choice(AMOUNTS))
    record = _invoice(world, path[-1], amount)
    if record is None:
        return None
    wrong = PaymentHash(world.dice.randbytes(32))
    hops = _hops(world, path, amount) if all(h.is_up for h in path) else None
    if hops is None:
        return None
    request = PartRequest(
        payment_hash=wrong, hops=hops, total=amount, payment_secret=record.payment_secret
    )
    path[0].ask(lambda t: SendPart(t, request))
    world.turn(path[0])
    return f"{path[0].name} sends {path[-1].name} what it does not want"


def set_terms(world: "World") -> str | None:
    """A node asks more of those who pass through."""
    ready = [(h, c) for h, c in world.channels() if c.phase is Phase.READY]
    if not ready:
        return None
    house, channel = world.dice.choice(ready)
    change = TermsChange(
        fee_base=MilliSatoshi(world.dice.choice((0, 1, 2_000))),
        fee_proportional_millionths=world.dice.choice((0, 10, 5_000)),
    )
    house.ask(lambda t: SetTerms(t, (channel.id,), change, 0))
    world.turn(house)
    return f"{house.name} changes its terms"


def close_mutually(world: "World") -> str | None:
    """The end of a channel, agreed on."""
    ready = [(h, c) for h, c in world.channels() if c.phase is Phase.READY]
    if not ready:
        return None
    house, channel = world.dice.choice(ready)
    house.ask(lambda t: CloseChannel(t, channel.id, None, None, False))
    world.turn(house)
    return f"{house.name} closes {channel.id.hex()[:8]}"


def close_by_force(world: "World") -> str | None:
    """The end of a channel, not agreed on; rather of one in which something is pending."""
    living = [(h, c) for h, c in world.channels() if c.phase in LIVING and c.funding.confirmed]
    pending = [(h, c) for h, c in living if c.htlcs]
    if not living or (not pending and world.dice.random() < 0.9):
        return None
    house, channel = world.dice.choice(pending or living)
    world.forced.add(channel.id)
    house.ask(lambda t: CloseChannel(t, channel.id, None, None, True))
    world.turn(house)
    return f"{house.name} fails {channel.id.hex()[:8]}"


def open_another(world: "World") -> str | None:
    """One more channel."""
    up = [link for link in world.links if link.up and all(h.is_up for h in link.ends)]
    if not up:
        return None
    link = world.dice.choice(up)
    opener = world.open(link)
    world.turn(opener)
    return f"{opener.name} opens a channel on {link}"
