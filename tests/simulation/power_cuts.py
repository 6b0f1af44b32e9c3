"""The end of a channel as a story in which the power goes at any step, and what must come of it.

Ann opened two channels with Bob.  In the first each holds an HTLC of the other's that is one half
of a payment, and one whose other half never comes; the other halves go through the second channel.
So the first ends with all four kinds of claims: by preimage and by expiry, both ways.

Rule 1: a step is whatever a kernel does that a power cut could part from the next thing: before a
commit, after it, after each action.  A `Fuse` counts them all, in both houses and at every start.
Rule 2: after a cut the house starts from its disk at once and the story goes on; a person whose
command got no answer looks what became of it, and asks again only if nothing did.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from tests.simulation.disk import Disk, PowerCut
from tests.simulation.house import House
from tests.simulation.line import Cheat
from tests.simulation.link import Link
from tests.simulation.world import NAMES, World
from wallet.base.crypto.hashes import sha256
from wallet.base.values.amounts import FeeratePerKw, MilliSatoshi, Satoshi
from wallet.base.values.blocks import CltvExpiry
from wallet.base.values.ids import ChannelId, PaymentHash, Preimage, Txid
from wallet.machines.channel.close_simple import broadcast_version
from wallet.machines.channel.ending import SpendKind
from wallet.machines.channel.state import Channel, Phase
from wallet.machines.payments.incoming import InvoiceRequest
from wallet.machines.payments.records import (
    Hop,
    InvoiceRecord,
    InvoiceStatus,
    Payment,
    PaymentStatus,
)
from wallet.machines.payments.requests import PartRequest
from wallet.node.answers import InvoiceCreated
from wallet.node.events import (
    CloseChannel,
    CreateInvoice,
    NodeEvent,
    OpenChannelTo,
    SendPart,
    Ticket,
)
from wallet.node.forward_desk import name_of
from wallet.services.store.tables import Write

CAPACITY: Final = Satoshi(1_000_000)
PUSHED: Final = MilliSatoshi(400_000_000)
HALF: Final = MilliSatoshi(50_000_000)
ANCHOR_SAT: Final = 330
_FINAL_BLOCKS: Final = 30
_MOST_TRIES: Final = 8


class Fuse:
    """Counts steps once it is `armed`; the power goes at those whose numbers it was given."""

    def __init__(self, *cuts: int) -> None:
        self.cuts = frozenset(cuts)
        self.steps = 0
        self.armed = False
        self.blown = 0

    def step(self) -> None:
        """One more. Raises `PowerCut`."""
        if not self.armed:
            return
        self.steps += 1
        if self.steps in self.cuts:
            self.blown += 1
            raise PowerCut


class FusedDisk(Disk):
    """A disk whose every commit is two steps: before and after."""

    def __init__(self, fuse: Fuse) -> None:
        super().__init__()
        self._fuse = fuse

    async def commit(self, writes: Sequence[Write]) -> None:
        """All of them or none."""
        self._fuse.step()
        await super().commit(writes)
        self._fuse.step()

    def power_is_off(self) -> None:
        """What was committed stays."""


class FusedHouse(House):
    """A house in which each action is a step, and that starts again when the power went."""

    def __init__(self, world: World, name: str, fuse: Fuse) -> None:
        super().__init__(world, name)
        self.fuse = fuse
        self.disk: FusedDisk = FusedDisk(fuse)

    def start(self) -> bool:
        """On what the disk has; a cut while it starts is one more start."""
        while True:
            try:
                if super().start():
                    return True
            except PowerCut:
                self.die({})

    def die(self, before: dict[ChannelId, Channel]) -> None:
        """The process is gone, and the power with it."""
        super().die(before)
        self.disk.power_is_off()

    def about_to_act(self) -> None:
        """One step more."""
        self.fuse.step()


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a story ended: `gains` in millisatoshi but for what the chain cost each of the two."""

    gains: tuple[int | None, int]
    payments: tuple[tuple[PaymentStatus, ...], ...]
    received: tuple[int, ...]
    """Millisatoshi by invoice, of both."""
    kind: SpendKind | None
    """How Bob saw the channel end."""


class Ending(World):
    """Two houses; the story of the end of one of their channels."""

    def __init__(self, *cuts: int) -> None:
        super().__init__(seed=0)
        self.feerate = FeeratePerKw(500)
        self.fuse = Fuse(*cuts)
        self.houses = [FusedHouse(self, name, self.fuse) for name in NAMES[:2]]
        self._by_id = {house.id: house for house in self.houses}
        self.ann, self.bob = self.houses
        self.cheat: House | None = None
        self.mute: str | None = None
        """Whose words do not arrive once it has taken the first payment."""
        self._open()
        self.wealth = {house.name: self.books.wealth(house) for house in self.houses}
        self.invoices = {house.name: self._invoices(house) for house in self.houses}
        self.fuse.armed = True

    def _open(self) -> None:
        self.give_coins()
        link = self.add_link(self.ann, self.bob)
        self.connect(link)
        self.pump()
        peer = self.bob.id
        for _ in range(2):
            self.ann.ask(lambda t: OpenChannelTo(t, peer, CAPACITY, PUSHED, None, False))
            self.pump()
        self.mine()
        self.watch.begun()
        self.first, self.second = self.ann.memory.channels

    def _invoices(self, payee: House) -> tuple[InvoiceRecord, InvoiceRecord]:
        """One that will be paid, one that will be half paid."""
        made = []
        for label in ("whole", "half"):
            request = InvoiceRequest(label=label, amount=HALF + HALF, description="")
            preimage = Preimage(sha256(f"{payee.name} {label}".encode()))
            ticket = payee.ask(lambda t, r=request, p=preimage: CreateInvoice(t, r, p))  # type: ignore[misc]
            self.turn(payee)
            answer = payee.answers.pop(ticket)
            assert isinstance(answer, InvoiceCreated)
            made.append(answer.invoice)
        return made[0], made[1]

    # --- power ------------------------------------------------------------------------------------

    def turn(self, house: House) -> bool:
        """One batch; whoever died of it starts again, and the link comes back."""
        alive = super().turn(house)
        if not alive:
            house.start()
            self.watch.look(house)
            self._reconnect()
        return alive

    def _reconnect(self) -> None:
        for link in self.links:
            if not link.up and all(end.is_up for end in link.ends):
                self.connect(link)

    def insist(
        self, house: House, make: Callable[[Ticket], NodeEvent], done: Callable[[], bool]
    ) -> None:
        """Ask for something and see that it happens, however often the power goes meanwhile."""
        for _ in range(_MOST_TRIES):
            if not done():
                house.ask(make)
            self.pump()
            if done():
                return
        raise AssertionError(f"{house.name} was asked {_MOST_TRIES} times for nothing")

    # --- payments ---------------------------------------------------------------------------------

    def channel_of(self, house: House, channel_id: ChannelId) -> Channel:
        """As a house has it."""
        return house.memory.channels[channel_id]

    def pay_half(self, payer: House, payee: House, which: int, part: int, over: ChannelId) -> None:
        """Half a payment; nobody asks twice for a part that is on its way or has been."""
        invoice = self.invoices[payee.name][which]
        name = name_of(self.channel_of(payer, over))
        assert name is not None
        expiry = CltvExpiry(self.chain.height + _FINAL_BLOCKS)
        request = PartRequest(
            payment_hash=invoice.payment_hash,
            hops=(Hop(payee.id, name, 0, HALF, expiry),),
            total=HALF + HALF,
            partid=part,
            groupid=1,
            payment_secret=invoice.payment_secret,
        )
        self.insist(
            payer,
            lambda t: SendPart(t, request),
            lambda: self._has_part(payer, invoice.payment_hash, part),
        )

    def _has_part(self, payer: House, payment_hash: PaymentHash, part: int) -> bool:
        payment = payer.memory.payments.get((payment_hash, 1))
        return payment is not None and any(p.partid == part for p in payment.parts)

    def hold_four(self) -> None:
        """Each has two HTLCs of the other's in the first channel, and waits for more."""
        for which in (0, 1):
            self.pay_half(self.ann, self.bob, which, 1, self.first)
            self.pay_half(self.bob, self.ann, which, 1, self.first)
        assert len(self.channel_of(self.bob, self.first).htlcs) == 4

    def bring_the_rest(self, payer: House, payee: House) -> None:
        """The other half of what will be paid: the payee can claim both."""
        self.pay_half(payer, payee, 0, 2, self.second)
        assert self.is_paid(payee)

    def is_paid(self, payee: House) -> bool:
        """Whether the payee has taken the first payment."""
        invoice = payee.memory.invoices[self.invoices[payee.name][0].payment_hash]
        return invoice.status is InvoiceStatus.PAID

    def _arrive(self, link: Link, sender: House, count: int) -> None:
        """Who has a preimage to tell may be mute."""
        if self.mute != sender.name or not sender.is_up or not self.is_paid(sender):
            super()._arrive(link, sender, count)

    # --- ends -------------------------------------------------------------------------------------

    def close(self, house: House, *, force: bool) -> None:
        """One of the two asks for the end of the first channel."""
        if force:
            self.forced.add(self.first)
        self.insist(
            house,
            lambda t: CloseChannel(t, self.first, None, None, force),
            lambda: self.channel_of(house, self.first).phase is not Phase.READY,
        )

    def publish(self, image: bytes) -> None:
        """A copy of Ann from her past closes by force, and takes from the block what it can."""
        self.ann.die({})
        self.gone(self.ann)
        self.houses = [self.bob]
        cheat = Cheat(self, self.ann.name)
        cheat.disk = Disk(image)
        cheat.start()
        self.forced.add(self.first)
        cheat.ask(lambda t: CloseChannel(t, self.first, None, None, True))
        cheat.turn()
        self.chain.mine()
        cheat.hear_of_blocks(100)
        cheat.turn()
        self.cheat = cheat
        self.pump()

    def make_peace(self) -> None:
        """Blocks until all claims are settled, and no more surprises."""
        self.pump()
        self.fuse.armed = False
        if self.cheat is None:
            super().make_peace()
            self.books.settled()
            self.close_all()
            self.books.ended()
        else:
            self._fight_out()

    # --- the reckoning ----------------------------------------------------------------------------

    def outcome(self) -> Outcome:
        """What the chain and the books say."""
        costs = self._costs()
        gains = {
            house.name: self.books.wealth(house) - self.wealth[house.name] + costs[house.name]
            for house in self.houses
        }
        end = self.channel_of(self.bob, self.first).onchain
        return Outcome(
            (gains.get(self.ann.name), gains[self.bob.name]),
            tuple(
                tuple(p.status for p in sorted(h.memory.payments.values(), key=_age))
                for h in self.houses
            ),
            tuple(
                h.memory.invoices[i.payment_hash].amount_received.msat
                for h in self.houses
                for i in self.invoices[h.name]
            ),
            None if end is None else end.kind,
        )

    def _costs(self) -> dict[str, int]:
        """Millisatoshi for miners and anchors, by who has to bear them (BOLT 3 and 5)."""
        chain, costs = self.chain, dict.fromkeys((self.ann.name, self.bob.name), 0)
        channels = self.bob.memory.channels.values()
        fundings = {channel.funding.outpoint: channel for channel in channels}
        opening = {outpoint.txid for outpoint in fundings}
        later = [chain.seen[txid] for txid in chain.confirmed if txid in chain.seen]
        ends = {tx.txid: tx for tx in later if tx.inputs[0].outpoint in fundings}
        for txid, tx in ends.items():
            channel = fundings[tx.inputs[0].outpoint]
            # Ann opened both and pays for their ends, unless all that she had was taken from her,
            # or the closing transaction is the one that Bob has offered.
            punished = channel.onchain is not None and channel.onchain.kind is SpendKind.REVOKED
            anchors = sum(o.amount.sat == ANCHOR_SAT for o in tx.outputs)
            payer = self.bob if punished or txid in closed_by_us(channel) else self.ann
            costs[payer.name] += (chain.fees[txid] + anchors * ANCHOR_SAT) * 1000
        for tx in later:
            if tx.txid in ends or tx.txid in opening:
                continue
            spent = [i.outpoint for i in tx.inputs if i.outpoint.txid in ends]
            amounts = [ends[o.txid].outputs[o.index].amount.sat for o in spent]
            found = ANCHOR_SAT * amounts.count(ANCHOR_SAT)
            costs[self.watch.sent_by[tx.txid]] += (chain.fees[tx.txid] - found) * 1000
        return costs


def closed_by_us(channel: Channel) -> set[Txid]:
    """Closing transactions of `option_simple_close` for which this end of the channel pays."""
    versions = [v for v in channel.simple_close.versions if v.we_are_closer]
    return {broadcast_version(channel, version).transaction.tx.txid for version in versions}


def _age(payment: Payment) -> int:
    return payment.created_index


# --- the stories ----------------------------------------------------------------------------------


def mutual(world: Ending) -> None:
    """Ann asks for the end while HTLCs are held; they end when the rest of their payments comes."""
    both = ((world.ann, world.bob), (world.bob, world.ann))
    for payer, payee in both:
        world.pay_half(payer, payee, 0, 1, world.first)
    world.close(world.ann, force=False)
    for payer, payee in both:
        world.bring_the_rest(payer, payee)
    world.mine(2)


def by_force(world: Ending, closer: str, payee: str) -> None:
    """One goes to court with four HTLCs; of one the payee has told nobody the preimage."""
    houses = {house.name: house for house in world.houses}
    [payer] = [house for house in world.houses if house.name != payee]
    world.hold_four()
    world.mute = payee
    world.bring_the_rest(payer, houses[payee])
    world.close(houses[closer], force=True)
    world.mute = None
    world.mine(_FINAL_BLOCKS + 14)


def penalty(world: Ending) -> None:
    """A copy of Ann publishes a commitment that she has revoked, with all HTLCs in it."""
    world.hold_four()
    then = world.ann.disk.image()
    for payer, payee in ((world.ann, world.bob), (world.bob, world.ann)):
        world.bring_the_rest(payer, payee)
    world.publish(then)
    world.mine(_FINAL_BLOCKS + 14)


STORIES: Final[dict[str, Callable[[Ending], None]]] = {
    "mutual": mutual,
    **{
        f"{closer} closes, {payee} is paid": partial(by_force, closer=closer, payee=payee)
        for closer in NAMES[:2]
        for payee in NAMES[:2]
    },
    "penalty": penalty,
}


def play(story: str, *cuts: int) -> tuple[Outcome, Fuse]:
    """One story with these cuts; how it ended, and how many steps there were."""
    world = Ending(*cuts)
    STORIES[story](world)
    world.make_peace()
    return world.outcome(), world.fuse
