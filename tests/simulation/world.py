"""A network, its chain and its wires, played by one seed: first with faults, then in peace.

Rule 1: whatever happens is drawn from `dice`; nothing else decides anything.
Rule 2: after every batch of a node the invariants are looked at; a broken one raises `Violation`.
"""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import islice, pairwise

from tests.simulation import invariants, tally
from tests.simulation.books import Books
from tests.simulation.house import House, Violation
from tests.simulation.link import Link, name_of
from tests.simulation.model_chain import ModelChain
from wallet.base.bitcoin.transaction import Transaction, TxOut
from wallet.base.values.amounts import FeeratePerKw, MilliSatoshi, Satoshi
from wallet.base.values.features import OUR_INIT
from wallet.base.values.ids import ChannelId, NodeId
from wallet.machines.chain_events import BroadcastResult
from wallet.machines.channel.state import LIVING, Channel, Phase
from wallet.node.answers import NewAddressGiven
from wallet.node.events import (
    CloseChannel,
    FeerateChanged,
    NewAddress,
    OpenChannelTo,
    PeerDown,
    PeerSaid,
    PeerUp,
    Tick,
)

GIVEN = Satoshi(3_000_000)
"""Each of the two coins that a node begins with."""
NAMES = ("ann", "bob", "cat", "dan", "eve")
_START = 1_800_000_000
_MOST_ROUNDS = 400
_MOST_BLOCKS = 250
"""The last HTLC has expired by then, and its end is deep."""


class World:
    """N houses; `run` plays it. `say` gets one line per event."""

    def __init__(
        self, seed: int, say: Callable[[str], None] | None = None, judge: bool = False
    ) -> None:
        self.seed = seed
        self.dice = random.Random(seed)
        self.chain = ModelChain(judge=invariants.kernel_judge if judge else None)
        self.now = _START
        self.feerate = FeeratePerKw(self.dice.choice((253, 253, 1_000, 2_500)))
        self.fee_floor = 0.0
        """Satoshi per vbyte below which miners take nothing now."""
        self.given_sat = GIVEN.sat
        self.houses = [House(self, name) for name in NAMES[: self.dice.choice((2, 3, 3, 4, 5))]]
        self.links: list[Link] = []
        self.forced: set[ChannelId] = set()
        """Channels that the story closed by force."""
        self.watch = invariants.Watch(self)
        self.books = Books(self, self.watch)
        self.is_siege = self.dice.random() < 0.3
        """Whether blocks come so fast that HTLCs expire while peers are not heard."""
        self.most_blocks = 90 if self.is_siege else 16
        """Mined while there are faults."""
        self.cheat: House | None = None
        """Who has begun to cheat."""
        self.met: Counter[str] = Counter()
        """How often each kind of thing has happened."""
        self.happenings = self.heard = self.delivered = self.starts = 0
        self.checks = 0
        """Batches after which the invariants were looked at."""
        self.labels = 0
        self._say = say
        self._notes: list[str] = []
        self._by_id = {house.id: house for house in self.houses}
        self._links: dict[frozenset[str], Link] = {}

    # --- telling ----------------------------------------------------------------------------------

    @property
    def events(self) -> int:
        """Happenings, messages that arrived, blocks that a node heard of, starts of a process."""
        return self.happenings + self.delivered + self.heard + self.starts

    def note(self, what: str) -> None:
        """Something that happens within the present event."""
        self._notes.append(what)

    def tell(self, what: str) -> None:
        """One event."""
        self.happenings += 1
        notes, self._notes = self._notes, []
        if self._say is not None:
            columns = " | ".join(invariants.column(house) for house in self.houses)
            told = "; ".join((what, *notes))
            self._say(f"{self.events:5} h{self.chain.height} {told:<44} | {columns}")

    # --- links ------------------------------------------------------------------------------------

    def add_link(self, one: House, other: House) -> Link:
        """These two may be linked from now on."""
        link = Link(one, other)
        self.links.append(link)
        self._links[frozenset((one.name, other.name))] = link
        return link

    def link_of(self, house: House, node_id: NodeId) -> Link | None:
        """The link between two, if they may have one."""
        other = self._by_id.get(node_id)
        return None if other is None else self._links.get(frozenset((house.name, other.name)))

    def are_linked(self, house: House, node_id: NodeId) -> bool:
        """Whether they are connected now."""
        link = self.link_of(house, node_id)
        return link is not None and link.up

    def send(self, house: House, node_id: NodeId, data: bytes) -> bool:
        """Onto the wire."""
        link = self.link_of(house, node_id)
        if link is None or not link.up:
            return False
        self.watch.said(house, link.beyond(house), data)
        link.wire[house.name].append(data)
        return True

    def hang_up(self, house: House, node_id: NodeId, reason: str) -> None:
        """One end closes: what it said still arrives."""
        link = self.link_of(house, node_id)
        if link is None or not link.up:
            return
        self.watch.hung_up(house, link, reason)
        self._arrive(link, house, len(link.wire[house.name]))
        self._end(link, reason)

    def cut(self, link: Link) -> None:
        """The wire breaks: of what is under way each end hears only the beginning."""
        for house in link.ends:
            self._arrive(link, house, self.dice.randint(0, len(link.wire[house.name])))
        self._end(link, "cut")

    def _arrive(self, link: Link, sender: House, count: int) -> None:
        there = link.beyond(sender)
        self.delivered += count
        for _ in range(count):
            data = link.wire[sender.name].popleft()
            if there.kernel is not None:
                there.kernel.inbox.put_peer(sender.id, PeerSaid(sender.id, data))

    def _end(self, link: Link, reason: str) -> None:
        link.up = False
        for house in link.ends:
            link.wire[house.name].clear()
            if house.kernel is not None:
                peer = link.beyond(house).id
                house.kernel.inbox.put_peer(peer, PeerDown(peer, reason))

    def connect(self, link: Link) -> None:
        """A new link between two that run."""
        link.up = True
        link.silent.clear()
        for house in link.ends:
            assert house.kernel is not None
            peer = link.beyond(house).id
            outbound = house is link.one
            house.kernel.link_is_up(PeerUp(peer, "127.0.0.1:9735", outbound, OUR_INIT.to_bytes()))

    def deliver(self, link: Link, sender: House, count: int) -> str:
        """Some messages arrive; their names."""
        names = [name_of(data) for data in islice(link.wire[sender.name], count)]
        self._arrive(link, sender, len(names))
        return " ".join(names)

    # --- houses -----------------------------------------------------------------------------------

    def start(self, house: House) -> bool:
        """A process begins; False when it ends before it is up."""
        self.starts += 1
        alive = house.start()
        if alive:
            self.watch.look(house)
        return alive

    def can_meet(self, link: Link) -> bool:
        """Whether both run, and want to be found."""
        return not link.up and all(house.is_up and not house.cheats for house in link.ends)

    def wake(self, most_behind: int) -> None:
        """Nobody sleeps through more blocks than that: a promise in blocks needs eyes on them."""
        for house in self.houses:
            for _ in range(_MOST_ROUNDS):
                if self.chain.height - house.height <= most_behind:
                    break
                if not house.is_up:
                    self.start(house)
                elif house.has_work:
                    self.turn(house)
                else:
                    house.hear_of_blocks(100)

    def begin_to_cheat(self, house: House) -> None:
        """A house goes back to its copy, and leaves its peers for good."""
        if house.is_up:
            self.kill(house)
        house.betray()
        self.cheat = house
        self.start(house)

    def turn(self, house: House) -> bool:
        """One batch of a house; False when it died of it."""
        alive = house.turn()
        self.checks += 1
        if alive:
            self.watch.look(house)
        else:
            self.gone(house)
        return alive

    def kill(self, house: House) -> None:
        """Between two batches."""
        house.die(dict(house.memory.channels))
        self.gone(house)

    def gone(self, house: House) -> None:
        """A process ended: its links break."""
        for link in self.links:
            if house in link.ends and link.up:
                self.cut(link)

    def broadcast(self, house: House, tx: Transaction) -> BroadcastResult:
        """To the one mempool."""
        self.watch.offered(house, tx)
        result = self.chain.broadcast(tx)
        self.watch.broadcast(house, tx, result)
        return result

    def broadcast_package(
        self, house: House, transactions: Sequence[Transaction]
    ) -> tuple[BroadcastResult, ...]:
        """Parents, and a child that pays for them."""
        for tx in transactions:
            self.watch.offered(house, tx)
        results = self.chain.broadcast_package(transactions)
        for tx, result in zip(transactions, results, strict=True):
            self.watch.broadcast(house, tx, result)
        return results

    def channels(self) -> list[tuple[House, Channel]]:
        """Of every running house."""
        return [(h, c) for h in self.houses if h.is_up for c in h.memory.channels.values()]

    # --- playing ----------------------------------------------------------------------------------

    def pump(self) -> None:
        """Until nothing moves any more: all blocks are heard of, all words arrive."""
        for _ in range(_MOST_ROUNDS):
            moved = False
            for house in self.houses:
                if house.is_behind and not house.has_work:
                    house.hear_of_blocks(100)
            for link in self.links:
                for sender in link.ends:
                    self._arrive(link, sender, len(link.wire[sender.name]))
            for house in self.houses:
                if house.has_work:
                    moved = True
                    self.turn(house)
            if not moved and not any(h.is_behind for h in self.houses):
                return
        raise Violation("the network never comes to rest")

    def mine(self, count: int = 1) -> None:
        """Blocks, each heard of by all."""
        for _ in range(count):
            self.chain.mine(self.fee_floor)
            self.pump()

    def begin(self) -> None:
        """Everyone has coins, links and channels."""
        self.give_coins()
        for one, other in self._pairs():
            self.connect(self.add_link(one, other))
        self.pump()
        for link in self.links:
            for _ in range(self.dice.choice((1, 1, 1, 2))):
                self.open(link)
                self.pump()
        self.mine()
        self.watch.begun()

    def give_coins(self) -> None:
        """Everyone starts, and gets two coins from outside."""
        outputs = []
        for house in self.houses:
            house.start()
            for _ in range(2):
                ticket = house.ask(lambda t: NewAddress(t, 84))
                self.turn(house)
                given = house.answers.pop(ticket)
                assert isinstance(given, NewAddressGiven)
                outputs.append(TxOut(GIVEN, given.script_pubkey))
        self.chain.give(outputs)
        self.pump()

    def _pairs(self) -> list[tuple[House, House]]:
        """A line, sometimes bent to a ring or with one more street."""
        pairs = list(pairwise(self.houses))
        if len(self.houses) > 2 and self.dice.random() < 0.5:
            pairs.append((self.houses[0], self.houses[self.dice.randrange(2, len(self.houses))]))
        return [pair if self.dice.random() < 0.5 else pair[::-1] for pair in pairs]

    def open(self, link: Link) -> House:
        """One of the two asks for a channel; who it is."""
        opener = self.dice.choice(link.ends)
        peer = link.beyond(opener).id
        amount = Satoshi(self.dice.choice((100_000, 400_000, 1_000_000)))
        push = MilliSatoshi(
            amount.sat * self.dice.choice((0, 100, 400)) + self.dice.randrange(1000)
        )
        announce = self.dice.random() < 0.3
        opener.ask(lambda t: OpenChannelTo(t, peer, amount, push, None, announce))
        return opener

    def run(self, steps: int) -> None:
        """The whole story; raises `Violation`."""
        from tests.simulation.deck import Deck

        self.begin()
        deck = Deck(self)
        for _ in range(steps):
            deck.play()
        self.make_peace()
        self.books.settled()
        self.close_all()
        self.books.ended()
        self.met += tally.outcomes(self)

    def make_peace(self) -> None:
        """All faults end, and time passes: whatever is under way must find its end."""
        self.fee_floor = 0.0
        for house in self.houses:
            house.relieve()
            if not house.is_up:
                self.start(house)
        for link in self.links:
            link.silent.clear()
        self.tell("peace")
        self.pump()
        for _ in range(3):
            for link in self.links:
                if self.can_meet(link):
                    self.connect(link)
            self.pump()
            self.pass_time(90)
            self.mine()
        self._fight_out()

    def _fight_out(self) -> None:
        """Blocks until the chain has decided what is left to it."""
        self.mine(7)
        for _ in range(_MOST_BLOCKS):
            if self.books.is_settled():
                return
            self.mine()

    def pass_time(self, seconds: int) -> None:
        """The clock goes on, and everyone looks at it."""
        self.now += seconds
        for house in self.houses:
            if house.kernel is not None:
                house.kernel.inbox.put(Tick())
        self.pump()

    def change_feerate(self, per_kw: int) -> None:
        """The backends estimate another fee rate."""
        self.feerate = FeeratePerKw(per_kw)
        for house in self.houses:
            if house.kernel is not None:
                house.kernel.inbox.put(FeerateChanged(self.feerate))

    def close_all(self) -> None:
        """Every channel that still lives is closed cooperatively."""
        self.tell("everything closes")
        odd = bool(self.seed % 2)
        for house, channel in self.channels():
            link = self.link_of(house, channel.terms.peer)
            assert link is not None
            if house.cheats or channel.phase not in LIVING:
                continue
            if left := link.beyond(house).cheats and channel.funding.confirmed is not None:
                # The cheat's copy does not know of this channel.
                self.forced.add(channel.id)
            elif channel.phase is not Phase.READY or channel.terms.we_opened is not odd:
                continue
            house.ask(lambda t, i=channel.id, f=left: CloseChannel(t, i, None, None, f))  # type: ignore[misc]
        self.pump()
        self._fight_out()
