"""Open a channel: with whom, how much, at what fee rate; then `o`."""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from textual.binding import Binding
from textual.widget import Widget
from textual.widgets import Input

from wallet.faces.rpc.client import RpcError
from wallet.faces.tui import costs, facts
from wallet.faces.tui.costs import LEAST_RESERVE_SAT, Coins, Prices, Speed
from wallet.faces.tui.errands import Words
from wallet.faces.tui.facts import ChannelFacts
from wallet.faces.tui.link import Link
from wallet.faces.tui.paint import CHOSEN, GOOD, PLAIN, QUIET, Row, row
from wallet.faces.tui.safe_text import left, middle_cut, safe
from wallet.faces.tui.sheets import rates
from wallet.faces.tui.sheets.fields import ALL, Choice, Digits, Named
from wallet.faces.tui.sheets.review import Reviewed, Step, cost, line, lines, warning
from wallet.faces.tui.sheets.sheet import Field
from wallet.faces.tui.state import State
from wallet.faces.tui.units import read_sat
from wallet.faces.tui.words import blocks, brief, name_of

PEER: Final = re.compile(r"(0[23][0-9a-f]{64})(?:@([!-~]{1,120}))?", re.ASCII)
"""A node's id, and where it is if that was said."""
_ASKED_NAMES: Final = 20
_LISTED: Final = 5


@dataclass(frozen=True, slots=True)
class Known:
    """A peer that the node knows of."""

    node_id: str
    connected: bool
    address: str


def known_peers(answer: Mapping[str, Any]) -> tuple[Known, ...]:
    """`listpeers`, those that are connected first."""
    found = answer.get("peers")
    peers = [
        Known(
            safe(one.get("id"), 66),
            one.get("connected") is True,
            safe(next(iter(one.get("netaddr") or ()), ""), 120),
        )
        for one in (found if isinstance(found, list) else [])
    ]
    return tuple(sorted(peers, key=lambda peer: not peer.connected))


@dataclass(frozen=True, slots=True)
class Plan:
    """What the form says. Satoshi."""

    peer_id: str
    place: str
    sat: int
    everything: bool
    push: int
    speed: Speed
    fee: int
    most: int
    announce: bool


class Open(Reviewed):
    """The whole way of an opening, up to the blocks that it waits for."""

    NAME = "Open channel"
    LETTER = "o"
    VERB = "open the channel"
    BINDINGS: ClassVar = [
        Binding("o", "act", show=False),
        Binding("a", "all", show=False),
        Binding("down", "pick(1)", show=False),
        Binding("up", "pick(-1)", show=False),
    ]

    def __init__(self, state: State, peer: str = "") -> None:
        super().__init__(state)
        self._given = peer
        self._peers: tuple[Known, ...] = ()
        self._picked = 0
        self._coins = Coins()
        self._prices = Prices()
        self._depth = 0
        self._plan: Plan | None = None

    @property
    def _keep(self) -> int:
        """What stays on chain: this channel is one more that may be closed by force."""
        return self.state.facts.kept(more=1) // 1000

    # --- the form -------------------------------------------------------------------------------

    def fields(self) -> Iterator[Widget]:
        yield Named("Peer", Field(self._given, id="peer", placeholder="ID@HOST:PORT, or a name"))
        amount = f"in {self.state.money.unit}; a: all"
        yield Named("Amount", Digits(id="amount", placeholder=amount))
        yield from rates.rate_fields()
        yield Named("Announce", Choice(("yes, others may use it", "no"), id="announce"))
        yield Named("Gift", Digits(id="push", placeholder="given to the peer at once; usually 0"))

    async def learn(self, link: Link) -> None:
        self._coins = costs.coins(await link.ask("listfunds"), "confirmed", "unconfirmed")
        self._prices = await costs.ask_prices(link)
        self._peers = known_peers(await link.ask("listpeers"))
        if self.is_attached:
            rates.offer(self, self._prices)
        for peer in self._peers[:_ASKED_NAMES]:
            if peer.node_id not in self.state.names:
                with suppress(RpcError):
                    self.state.names |= facts.aliases(await link.ask("listnodes", id=peer.node_id))
        with suppress(RpcError):
            told = await link.ask("listconfigs", config="funding-confirms")
            depth = told.get("configs", {}).get("funding-confirms", {}).get("value_int")
            self._depth = depth if isinstance(depth, int) else 0

    def on_choice_changed(self) -> None:
        rates.offer(self, self._prices)

    def on_input_changed(self, event: Input.Changed) -> None:
        if event.input.id == "peer":
            self._picked = 0  # the list is another one
        self.redraw()

    def action_all(self) -> None:
        if self.step is Step.FORM:
            self.query_one("#amount", Digits).value = ALL

    def action_pick(self, by: int) -> None:
        """The arrows choose from the list while the peer's field is in front."""
        if self.step is Step.FORM and self.focused is self.query_one("#peer"):
            self._picked = max(0, min(len(self._offered) - 1, self._picked + by))
            self.redraw()

    @property
    def _offered(self) -> list[Known]:
        """The known peers that fit what is typed."""
        typed = self.query_one("#peer", Field).value.strip().lower()
        if PEER.fullmatch(typed):
            return []
        names = self.state.names
        fitting = [
            peer
            for peer in self._peers
            if name_of(peer.node_id, names).lower().startswith(typed)
            or peer.node_id.startswith(typed)
        ]
        return fitting[:_LISTED]

    def check(self) -> str:
        typed = self.query_one("#peer", Field).value.strip()
        found = PEER.fullmatch(typed.lower() if "@" not in typed else typed)
        offered = self._offered
        if found is not None:
            peer_id, place = found[1], found[2] or ""
        elif offered:
            peer_id, place = offered[min(self._picked, len(offered) - 1)].node_id, ""
        else:
            return "Nobody of that name is known here: paste ID@HOST:PORT."
        if peer_id == self.state.facts.node.node_id:
            return "That is this node itself."
        speed = rates.chosen(self, self._prices)
        if speed is None:
            return "The fee rate is no figure: satoshi per virtual byte, such as 2.5."
        return self._check_amounts(peer_id, place, speed)

    def _check_amounts(self, peer_id: str, place: str, speed: Speed) -> str:
        unit, coins = self.state.money.unit, self._coins
        typed = self.query_one("#amount", Digits).value.strip()
        given = self.query_one("#push", Digits).value.strip()
        most = coins.most(speed.per_kw)
        everything = typed == ALL
        sat = coins.total - most - self._keep if everything else read_sat(typed, unit)
        push = read_sat(given, unit) if given else 0
        if not everything and not sat:
            return "The amount is no figure: whole satoshi, commas allowed; or a for all."
        if push is None:
            return "The gift is no figure: whole satoshi, or nothing."
        if sat is None or sat <= 0 or sat > coins.total:
            return f"There is not so much: {self.sat(coins.total)} on chain can be used now."
        if push > sat:
            return "The gift is more than the channel holds."
        fee = most if everything else coins.fee(sat, speed.per_kw)
        announce = self.query_one("#announce", Choice).chosen == 0
        self._plan = Plan(peer_id, place, sat, everything, push, speed, fee, most, announce)
        return ""

    def form(self, cells: int) -> list[Row]:
        can = self.sat(self._coins.total)
        found = [row((f"{can} on chain can be used; {self.sat(self._keep)} stays there.", QUIET))]
        offered = self._offered
        if offered:
            found.append(row(("Peers that the node knows (↑ ↓ choose):", QUIET)))
        for number, peer in enumerate(offered):
            ground = CHOSEN if number == self._picked else PLAIN
            name = name_of(peer.node_id, self.state.names)
            how = ("✓ connected", GOOD) if peer.connected else ("not connected", QUIET)
            mark = ">" if number == self._picked else " "
            room = max(8, cells - 34)
            found.append(
                row((f"{mark} {left(name, room)}", ground),
                    (f" {middle_cut(peer.node_id, 15)} ", QUIET), how)
            )  # fmt: skip
        return found

    # --- the review -----------------------------------------------------------------------------

    @property
    def plan(self) -> Plan:
        """What the form said; there is one as soon as there is a review."""
        if self._plan is None:
            raise ValueError("the form was not read")
        return self._plan

    @property
    def _peer(self) -> Known:
        plan = self.plan
        known = next((peer for peer in self._peers if peer.node_id == plan.peer_id), None)
        return known or Known(plan.peer_id, connected=False, address="")

    def typed_amount(self) -> tuple[int, str]:
        plan = self._plan
        if plan is None:
            return 0, ""
        if plan.push:
            return plan.push * 1000, "A gift cannot be taken back"
        if plan.most * 2 > plan.sat:
            return plan.sat * 1000, "The fee may be over half the amount"
        return 0, ""

    def review(self, cells: int) -> list[Row]:
        plan, money = self.plan, self.money
        name = name_of(plan.peer_id, self.state.names)
        remains = self._coins.total - plan.sat - plan.fee
        reserve = max(plan.sat // 100, LEAST_RESERVE_SAT)
        can_send = max(0, plan.sat - plan.push - reserve - self._prices.spike_buffer)
        link = "✓ connected" if self._peer.connected else "connects first"
        depth = self._depth
        ready = f"in {blocks(depth)}, about {depth * 10} min" if depth else "after some blocks"
        about = "about " if plan.everything else ""
        found = [
            line("With", name, f"{middle_cut(plan.peer_id, 15)}  {link}"),
            line("Channel", f"{about}{self.sat(plan.sat)}", money.other(plan.sat * 1000)),
            *cost(self, plan.fee, plan.most, plan.speed),
            line("On chain", f"{self.sat(self._coins.total)} now",
                 f"{self.sat(max(0, remains))} remains"),
            line("Can send", f"about {self.sat(can_send)}",
                 f"{self.sat(reserve)} in it is reserve"),
            line("Ready", ready, "or more, as the peer asks"),
            line("Seen by", "everybody: others may pay through it" if plan.announce
                 else "the two of you only"),
        ]  # fmt: skip
        if plan.push:
            found.insert(2, line("Gift", self.sat(plan.push), f"belongs to {name} at once"))
        if remains < 0:
            found.append(warning("Amount and fee are more than there is on chain."))
        elif remains < self._keep:
            kept = f"{self.sat(self._keep)} has to stay on chain"
            found.append(warning(f"{kept}: the node may refuse."))
        worst = (
            f"the peer is never there again. Then you close alone: about "
            f"{self.sat(self._prices.force)} of fees, and days until the rest is back."
        )
        return found + lines("At worst", worst, cells, 2)

    # --- doing it -------------------------------------------------------------------------------

    def words(self) -> Words:
        name = brief(self.plan.peer_id, self.state.names)
        amount = self.sat(self.plan.sat)
        return Words(
            doing=f"Opening a channel of {amount} with {name}",
            done=f"The channel of {amount} with {name} waits for its blocks",
            not_done="Not opened. Your coins are where they were.",
            look="3 Channels shows it, if it was opened.",
        )

    async def prepare(self, link: Link) -> None:
        plan = self.plan
        told = await link.ask("listpeers", id=plan.peer_id)
        if not any(peer.connected for peer in known_peers(told)):
            where = f"{plan.peer_id}@{plan.place}" if plan.place else plan.peer_id
            await link.ask("connect", id=where)

    async def act(self, link: Link) -> Any:
        plan = self.plan
        gift = {"push_msat": plan.push * 1000} if plan.push else {}
        return await link.ask(
            "fundchannel",
            id=plan.peer_id,
            amount=ALL if plan.everything else plan.sat,
            feerate=f"{plan.speed.per_kw}perkw",
            announce=plan.announce,
            **gift,
        )

    def done(self, cells: int) -> list[Row]:
        answer = self.errand.answer if self.errand is not None else {}
        channel_id, depth = safe(answer.get("channel_id"), 64), answer.get("mindepth")
        found = next((c for c in self.state.facts.channels if c.channel_id == channel_id), None)
        waits = f"for {blocks(depth)}" if isinstance(depth, int) and depth else "for its blocks"
        return [
            *lines("Now", self._now(found, waits), cells),
            *lines(
                "Then", "payments go through it; until then the money is in it, and yours.", cells
            ),
            line("Funding", ""),
            row(safe(answer.get("txid"), 64)),
        ]

    def _now(self, channel: ChannelFacts | None, waits: str) -> str:
        if channel is None or channel.opening:
            return f"… waits {waits}. {channel.status if channel is not None else ''}"
        if channel.usable:
            return f"✓ ready: you can send {self.money.shown(channel.spendable)} through it"
        return channel.status

    def copied(self) -> tuple[str, str]:
        answer = self.errand.answer if self.errand is not None else {}
        return safe(answer.get("txid"), 64), "the transaction id"
