"""Ann, bob and cat in a line, at any stage of one payment, and what can be done to them there.

Rule: what bob has heard decides which of a peer's commitments is its present one, and which its
next.  A peer that goes back to its present one has only lost what bob never heard of.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from tests.simulation.disk import Disk
from tests.simulation.house import House
from tests.simulation.link import Link
from tests.simulation.stages import (
    FIRST,
    STAGES,
    WAY,
    Fee,
    Hear,
    Pair,
    Side,
    Stage,
    Standing,
    Story,
)
from tests.simulation.world import NAMES, World
from wallet.base.bitcoin.transaction import Transaction
from wallet.base.values.amounts import FeeratePerKw, MilliSatoshi, Satoshi
from wallet.base.values.blocks import CltvExpiry
from wallet.base.values.ids import PaymentHash
from wallet.machines.chain_events import BroadcastResult
from wallet.machines.channel import htlc_stages
from wallet.machines.channel.ending import SpendKind
from wallet.machines.channel.htlc import Fulfilled, HtlcKey
from wallet.machines.channel.state import RELAY_CLTV_DELTA, Channel
from wallet.machines.payments.incoming import InvoiceRequest
from wallet.machines.payments.records import Hop
from wallet.machines.payments.requests import PartRequest
from wallet.node.answers import InvoiceCreated
from wallet.node.events import (
    CloseChannel,
    CreateInvoice,
    FeerateChanged,
    OpenChannelTo,
    SendPart,
)
from wallet.node.forward_desk import name_of

CAPACITY: Final = Satoshi(1_000_000)
PUSHED: Final = MilliSatoshi(400_000_000)
"""Of each channel, to who did not open it: both ends have something to lose."""
AMOUNT: Final = MilliSatoshi(99_900_000)
"""Of which bob's default fee is a whole satoshi, so that the chain rounds nothing."""
FEE: Final = MilliSatoshi(1_000)
_FINAL_BLOCKS: Final = 30
_NOBODYS: Final = PaymentHash(b"\x11" * 32)


@dataclass(frozen=True, slots=True)
class Past:
    """A peer as its disk had it before one of its batches."""

    number: int
    """Of its commitment."""
    has_htlc: bool
    """Whether that commitment holds the HTLC."""
    has_preimage: bool
    """Whether the disk holds its preimage."""
    image: bytes


class Cheat(House):
    """A copy of a node that goes on from an old backup, offline but for the chain."""

    async def broadcast(self, tx: Transaction) -> BroadcastResult:
        """Past the watch: this is what nobody may do."""
        return self._given([tx], [self.world.chain.broadcast(tx)])[0]

    async def broadcast_package(
        self, transactions: Sequence[Transaction]
    ) -> tuple[BroadcastResult, ...]:
        """Likewise."""
        return self._given(transactions, self.world.chain.broadcast_package(transactions))

    def _given(
        self, transactions: Sequence[Transaction], results: Sequence[BroadcastResult]
    ) -> tuple[BroadcastResult, ...]:
        for tx in transactions:
            self.world.watch.sent_by.setdefault(tx.txid, self.name)
        return tuple(results)


class Line(World):
    """Three nodes; each opened the channel to the next, and gave a part of it away."""

    def __init__(self, story: Story, judge: bool = False) -> None:
        super().__init__(seed=0, judge=judge)
        self.story = story
        self.feerate = FeeratePerKw(500)
        self.houses = [House(self, name) for name in NAMES[:3]]
        self._by_id = {house.id: house for house in self.houses}
        self.ann, self.bob, self.cat = self.houses
        self.stage: Stage | None = None
        self.payment_hash = _NOBODYS
        self.remembers = False
        self.past: dict[str, list[Past]] = {self.ann.name: [], self.cat.name: []}
        self._open()
        self.wealth = {house.name: self.books.wealth(house) for house in self.houses}
        """Millisatoshi of each before the payment."""

    def _open(self) -> None:
        self.give_coins()
        for one, other in pairwise(self.houses):
            self.connect(self.add_link(one, other))
        self.pump()
        for link in self.links:
            opener, peer = link.one, link.other.id
            opener.ask(lambda t, p=peer: OpenChannelTo(t, p, CAPACITY, PUSHED, None, False))  # type: ignore[misc]
            self.pump()
        self.mine()
        self.watch.begun()
        ours, theirs = (next(iter(h.memory.channels)) for h in (self.ann, self.cat))
        self.channel_ids = {Side.IN: ours, Side.OUT: theirs}

    # --- who is where -----------------------------------------------------------------------------

    def link(self, side: Side) -> Link:
        """Bob's link on that side."""
        return self.links[0 if side is Side.IN else 1]

    def peer(self, side: Side) -> House:
        """Bob's peer on that side."""
        return self.ann if side is Side.IN else self.cat

    def of(self, house: House, side: Side) -> Channel:
        """The channel as a house has it."""
        return house.memory.channels[self.channel_ids[side]]

    def _named(self, name: str) -> House:
        return next(house for house in self.houses if house.name == name)

    def spend_kind(self, side: Side) -> SpendKind | None:
        """What bob sees in a block where the channel was."""
        end = self.of(self.bob, side).onchain
        return None if end is None else end.kind

    # --- the way ----------------------------------------------------------------------------------

    def reach(self, stage: Stage) -> None:
        """Pay, and let message after message arrive."""
        self.remembers = True
        # A first round on both channels: there is always something that has been revoked.
        self.change_feerate(1_000)
        self.pump()
        self._play(FIRST)
        self._pay()
        for self.stage in STAGES[: STAGES.index(stage) + 1]:
            for move in WAY.get(self.stage, ()):
                self._play(move)
        self.remembers = False

    def _pay(self) -> None:
        request = InvoiceRequest(label="1", amount=AMOUNT, description="")
        ticket = self.cat.ask(lambda t: CreateInvoice(t, request, None))
        self.turn(self.cat)
        made = self.cat.answers.pop(ticket)
        assert isinstance(made, InvoiceCreated)
        if self.story is Story.FULFIL:
            self.payment_hash = made.invoice.payment_hash
        part = PartRequest(
            payment_hash=self.payment_hash,
            hops=self._hops(),
            total=AMOUNT,
            payment_secret=made.invoice.payment_secret,
        )
        self.ann.ask(lambda t: SendPart(t, part))
        self.turn(self.ann)

    def _hops(self) -> tuple[Hop, ...]:
        last = CltvExpiry(self.chain.height + _FINAL_BLOCKS)
        first = CltvExpiry(last.height + RELAY_CLTV_DELTA.blocks)
        by = [name_of(self.of(self.bob, side)) for side in Side]
        assert by[0] is not None and by[1] is not None
        return (
            Hop(self.bob.id, by[0], 0, AMOUNT + FEE, first),
            Hop(self.cat.id, by[1], 0, AMOUNT, last),
        )

    def speaking(self) -> tuple[Link, House] | None:
        """Whose words are on their way and lead to the next stage; None when it is over."""
        assert self.stage is not None
        for stage in STAGES[STAGES.index(self.stage) + 1 :][:1]:
            for move in WAY[stage]:
                if isinstance(move, Hear) and self.link(move.side).wire[move.speaker]:
                    return self.link(move.side), self._named(move.speaker)
        return None

    def hear(self, side: Side, speaker: str, count: int) -> bool:
        """Some of what is on its way arrives and is taken up; False when the power went."""
        link, sender = self.link(side), self._named(speaker)
        assert len(link.wire[speaker]) >= count, f"{speaker} has not said so much"
        self.deliver(link, sender, count)
        return self.turn(link.beyond(sender))

    def _play(self, move: Hear | Fee) -> None:
        match move:
            case Hear(side, speaker, count):
                self.hear(side, speaker, count)
            case Fee(opener, per_kw):
                house = self._named(opener)
                assert house.kernel is not None
                house.kernel.inbox.put(FeerateChanged(FeeratePerKw(per_kw)))
                self.turn(house)

    def standing(self) -> Standing:
        """What the tables say."""
        return self._pair(Side.IN), self._pair(Side.OUT)

    def _pair(self, side: Side) -> Pair:
        link = self.link(side)
        offered = self.of(link.one, side).htlcs.get(HtlcKey(True, 0))
        received = self.of(link.other, side).htlcs.get(HtlcKey(False, 0))
        return (
            None if offered is None else offered.stage.name,
            None if received is None else received.stage.name,
        )

    # --- the past ---------------------------------------------------------------------------------

    def turn(self, house: House) -> bool:
        """One batch; before it the disk is copied as long as the payment is on its way."""
        if self.remembers and house is not self.bob:
            self.past[house.name].append(self.present(house))
        return super().turn(house)

    def present(self, house: House) -> Past:
        """A peer as its disk has it now."""
        [channel] = house.memory.channels.values()
        held = any(htlc_stages.ROWS[h.stage].in_ours for h in channel.htlcs.values())
        paid = any(isinstance(h.removal, Fulfilled) for h in channel.htlcs.values())
        return Past(channel.our_number, held, paid, house.disk.image())

    def number_known_to_bob(self, side: Side) -> int:
        """Of the peer's oldest commitment that it has not revoked, as far as bob has heard."""
        channel = self.of(self.bob, side)
        return channel.their_number - channel.awaiting_revocation

    def go_back(self, side: Side, number: int) -> None:
        """A peer whose last batches came to nothing: it has its commitment of that number."""
        peer, channel_id = self.peer(side), self.channel_ids[side]
        if self.of(peer, side).our_number == number:
            return
        [*_, then] = [past for past in self.past[peer.name] if past.number == number]
        peer.die({})
        peer.disk = Disk(then.image)
        self.watch.unsaid(peer, channel_id, number)
        peer.start()

    def revoked(self, side: Side) -> Past:
        """The peer's newest commitment that bob can punish, with the HTLC if there is one."""
        known = self.number_known_to_bob(side)
        old = [past for past in self.past[self.peer(side).name] if past.number < known]
        return ([past for past in old if past.has_htlc] or old)[-1]

    def publish(self, side: Side, past: Past, *, goes_on: bool) -> None:
        """A copy of the peer broadcasts the commitment that it had then; the next block has it.

        `goes_on`: it hears of that block before bob, and takes what it can of the outputs.
        """
        cheat = Cheat(self, self.peer(side).name)
        cheat.disk = Disk(past.image)
        cheat.start()
        self.forced.add(self.channel_ids[side])
        cheat.ask(lambda t: CloseChannel(t, self.channel_ids[side], None, None, True))
        cheat.turn()
        self.chain.mine()
        if goes_on:
            cheat.hear_of_blocks(100)
            cheat.turn()
        self.pump()

    # --- faults' tools ----------------------------------------------------------------------------

    def break_link(self, side: Side) -> None:
        """Nothing of what is on its way arrives."""
        link = self.link(side)
        if not link.up:
            return
        for words in link.wire.values():
            words.clear()
        self.cut(link)
        for house in link.ends:
            if house.has_work:
                self.turn(house)

    def close(self, house: House, side: Side) -> None:
        """A house closes by force; the peer hears of it from the next block."""
        self.forced.add(self.channel_ids[side])
        house.ask(lambda t: CloseChannel(t, self.channel_ids[side], None, None, True))
        self.turn(house)
        self.mine()
