"""The deck: everything that can happen, each with its weight; a seed draws its own mix (swarm).

A card that has no place in the present situation says None, and the next one is drawn.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tests.simulation.house import House
from tests.simulation.model_chain import START_HEIGHT
from wallet.base.bitcoin.chains import REGTEST
from wallet.base.invoices.bolt11 import decode_invoice
from wallet.base.values.amounts import ZERO_MSAT, FeeratePerKw, MilliSatoshi, Satoshi
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
    Tick,
)
from wallet.node.forward_desk import name_of

if TYPE_CHECKING:
    from tests.simulation.world import Link, World

AMOUNTS: Final = (1, 999, 353_999, 354_000, 545_999, 546_000, 1_000_000, 7_654_321, 30_000_000)
"""Millisatoshi: around both dust limits, and what counts."""
MOST_BLOCKS: Final = 16
"""Mined while there are faults: as many as a payment's expiry leaves room for."""
FEERATES: Final = (253, 300, 1_000, 1_200, 2_500, 5_000)
MOST_FEE: Final = MilliSatoshi(1_000_000)


@dataclass(frozen=True)
class Card:
    """One thing that can happen. `is_fault`: its weight is the seed's."""

    weight: float
    play: Callable[["World"], str | None]
    is_fault: bool = False


class Deck:
    """The cards of one seed."""

    def __init__(self, world: "World") -> None:
        self._world = world
        dice = world.dice
        self._cards = [card.play for card in CARDS]
        self._weights = [
            card.weight * (dice.choice((0, 1, 1, 3)) if card.is_fault else 1) for card in CARDS
        ]

    def play(self) -> None:
        """One event."""
        world = self._world
        for _ in range(100):
            [play] = world.dice.choices(self._cards, self._weights)
            if (what := play(world)) is not None:
                world.tell(what)
                return


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
    chain.unmine(depth)
    # The new branch may leave out what the old one had.
    floor = world.dice.choice((0.0, 0.0, 1_000.0))
    for number in range(depth + 1):
        chain.mine(floor if number < depth else 0.0)
    return f"a reorganisation of {depth} blocks"


def change_feerate(world: "World") -> str | None:
    """All backends estimate another fee rate."""
    world.change_feerate(world.dice.choice(FEERATES))
    return f"fees are {world.feerate.per_kw} per kw"


# --- people -------------------------------------------------------------------------------------


def _usable(house: House, peer: House) -> list[Channel]:
    return [c for c in house.memory.channels_with(peer.id) if c.phase is Phase.READY]


def _path(world: "World", most: int) -> list[House] | None:
    """A way along links whose ends run and have a channel."""
    dice = world.dice
    here = dice.choice(world.houses)
    path = [here]
    for _ in range(dice.randint(1, most)):
        if not here.is_up:
            return None
        ways = [
            there
            for link in world.links
            if here in link.ends
            for there in [link.beyond(here)]
            if there not in path and there.is_up and _usable(here, there)
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
    channels = [world.dice.choice(_usable(a, b)) for a, b in zip(path, path[1:], strict=False)]
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
    if not all(_usable(a, b) for a, b in zip(path, path[1:], strict=False)):
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
    """The end of a channel, not agreed on, whatever is pending in it."""
    living = [(h, c) for h, c in world.channels() if c.phase in LIVING and c.funding.confirmed]
    if not living:
        return None
    house, channel = world.dice.choice(living)
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


CARDS: Final = (
    Card(60, deliver),
    Card(10, turn),
    Card(12, hear_of_blocks),
    Card(8, connect),
    Card(6, restart),
    Card(5, pay),
    Card(6, send_by_route),
    Card(1, keysend),
    Card(1.5, send_what_nobody_wants),
    Card(0.5, set_terms),
    Card(3, mine),
    Card(1, time_passes),
    Card(0.3, close_mutually),
    Card(0.2, close_by_force),
    Card(0.4, open_another),
    Card(1.0, cut, is_fault=True),
    Card(0.7, crash_before_commit, is_fault=True),
    Card(0.7, crash_after_commit, is_fault=True),
    Card(1.0, crash_while_acting, is_fault=True),
    Card(0.3, disk_is_full, is_fault=True),
    Card(0.7, reorganise, is_fault=True),
    Card(0.8, change_feerate, is_fault=True),
    Card(0.8, fall_silent, is_fault=True),
)


