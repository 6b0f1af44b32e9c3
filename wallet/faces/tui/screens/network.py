"""Network: who we are connected to, how large the public network is, and who is in it."""

import asyncio
import re
from functools import partial
from typing import ClassVar, Final

from textual.worker import WorkType

from wallet.faces.rpc.client import ConnectionLost, RpcError
from wallet.faces.tui import facts_network
from wallet.faces.tui.copying import Thing
from wallet.faces.tui.facts_network import KnownNode, Peer, PublicChannel
from wallet.faces.tui.grammar import words_fit
from wallet.faces.tui.in_full import InFull
from wallet.faces.tui.keys import OWN
from wallet.faces.tui.paint import (
    CHOSEN,
    EMPTY,
    GOOD,
    PLAIN,
    QUIET,
    STRONG,
    WARN,
    Row,
    Span,
    beside,
    folded,
    row,
)
from wallet.faces.tui.pane import WIDE
from wallet.faces.tui.safe_text import left, middle_cut, right, safe
from wallet.faces.tui.sections import Sections
from wallet.faces.tui.state import State
from wallet.faces.tui.survey import AGAIN_SECONDS, look_at, survey
from wallet.faces.tui.words import moment, name_of, state, when

PEERS: Final = "Peers"
NODES: Final = "Known nodes"
REST_SECONDS: Final = 0.15
"""How long the cursor rests on a node before the node is asked about it."""
TYPING_SECONDS: Final = 0.4
_NODE_ID: Final = re.compile(r"0[23][0-9a-f]{64}")


class Network(Sections):
    """The fourth tab."""

    WANTS: ClassVar = frozenset({"peers"})
    HINTS: ClassVar = "c connect  d disconnect  enter detail  tab next list  / find  y copy  ? help"
    FINDS: ClassVar = "name or id of a node  !not"
    BINDINGS: ClassVar = [key.binding for key in OWN["network"]]
    HEAD: ClassVar = 3

    def __init__(self, state: State, id: str) -> None:  # noqa: A002
        super().__init__(state, id)
        self._network = facts_network.Network()
        self._asked_at: float | None = None
        self._surveying = False
        self._looked: dict[str, tuple[KnownNode, tuple[PublicChannel, ...]]] = {}
        """What was asked about single nodes since the last survey."""
        self._peers: list[Peer] = []
        self._others: list[KnownNode] = []
        self._sieve: tuple[object, str] = (None, "")
        """What `_others` were chosen from, and by which filter."""

    # --- what is known ------------------------------------------------------------------------

    def facts_changed(self) -> None:
        self._peers = [p for p in self.state.facts.peers if self._fits(p.node_id)]
        sieve = (self._network, self.sought)
        if sieve[0] is not self._sieve[0] or sieve[1] != self._sieve[1]:
            self._sieve = sieve
            self._others = [n for n in self._network.known if self._fits(n.node_id)]
        if self.sought in self._looked and not self._others:
            self._others = [self._looked[self.sought][0]]
        self.cursor = max(0, min(self.cursor, self.count - 1))
        self.open = self.open and self.count > 0
        self._survey_now_and_then()
        self._look()
        self.refresh()

    def _fits(self, node_id: str) -> bool:
        return words_fit(self.sought, self.state.names.get(node_id, ""), node_id)

    def sought_changed(self) -> None:
        self.first = 0
        self.facts_changed()
        if self.sought and not self._network.whole and not self._surveying:
            # Of a large network the nodes are listed only for who looks for one of them.
            self._asked_at = None
            self._survey_now_and_then()

    def _survey_now_and_then(self) -> None:
        now = self.state.clock().timestamp()
        rested = self._asked_at is None or now - self._asked_at >= AGAIN_SECONDS
        if rested and self.state.told and self.state.link is not None and not self._surveying:
            self._asked_at, self._surveying = now, True
            self.run_worker(self._survey(), group="survey", exit_on_error=False)

    async def _survey(self) -> None:
        try:
            await self._typed()
            if _NODE_ID.fullmatch(self.sought):
                await self._learn(self.sought)
            else:
                link = self.state.connected
                self._network = await survey(link, by_name=bool(self.sought))
                self._looked = {}
                named = {n.node_id: n.name for n in self._network.known if n.name}
                self.state.names |= named
        except (ConnectionLost, RpcError) as fault:
            self.state.say(f"! {safe(str(fault), 160)}", WARN)
        finally:
            self._surveying = False
            self.post_message(self.HintsChanged())

    async def _typed(self) -> None:
        """Until nothing is added to the filter any more."""
        sought = ""
        while sought != self.sought:
            sought = self.sought
            await asyncio.sleep(TYPING_SECONDS)

    def _look(self) -> None:
        """Ask about the node that the cursor rests on, where it is shown in full."""
        chosen = self.chosen
        if chosen is None or chosen.node_id in self._looked or self.state.link is None:
            return
        if self.open or self.size.width >= WIDE:
            # Not begun before its time comes: one that is quickly replaced never runs.
            resting: WorkType[None] = partial(self._rest_on, chosen.node_id)
            self.run_worker(resting, group="look", exclusive=True, exit_on_error=False)

    async def _rest_on(self, node_id: str) -> None:
        await asyncio.sleep(REST_SECONDS)
        try:
            await self._learn(node_id)
        except (ConnectionLost, RpcError):
            self._looked[node_id] = KnownNode(node_id), ()
        self.refresh()

    async def _learn(self, node_id: str) -> None:
        node, own = await look_at(self.state.connected, node_id)
        self._looked[node_id] = node, own
        if node.name:
            self.state.names[node_id] = node.name

    def moved(self) -> None:
        self._look()

    # --- lists --------------------------------------------------------------------------------

    def sections(self) -> list[tuple[str, int]]:
        return [(PEERS, len(self._peers)), (NODES, len(self._others))]

    def none(self, name: str) -> str:
        if name == PEERS:
            if not self.state.can("listpeers"):
                return "this node does not list them"
            return "no peer fits this filter" if self.sought else "none: c connects to one"
        if not self.state.can("listnodes"):
            return "this node does not list them"
        if self._surveying:
            return "… looking"
        if self.sought:
            return "no node fits this filter"
        return "too many to list: / finds one" if self._network.nodes else "none yet"

    @property
    def chosen(self) -> Peer | KnownNode | None:
        """What the cursor is on."""
        name, number = self.place
        listed: list[Peer] | list[KnownNode] = self._peers if name == PEERS else self._others
        return listed[number] if name and number < len(listed) else None

    async def main_thing(self) -> Thing | None:
        chosen = self.chosen
        if chosen is None:
            return None
        address = next(iter(self._addresses(chosen)), "")
        if not address:
            return Thing("Node id", chosen.node_id)
        return Thing("Node id and address", f"{chosen.node_id}@{address}")

    def _addresses(self, chosen: Peer | KnownNode) -> tuple[str, ...]:
        """Those it announces: a peer that called us is seen at a port that nobody can call."""
        node = self._known(chosen.node_id)
        if node is not None and node.addresses:
            return node.addresses
        return (chosen.address,) if isinstance(chosen, Peer) and chosen.address else ()

    def _known(self, node_id: str) -> KnownNode | None:
        if node_id in self._looked:
            return self._looked[node_id][0]
        return next((n for n in self._network.known if n.node_id == node_id), None)

    # --- keys ---------------------------------------------------------------------------------

    def hints(self) -> str:
        if self.open:
            return "esc back  y copy  T plain text  c connect  d disconnect  ? help"
        return self.FOUND if self.sought else self.HINTS

    def action_detail(self) -> None:
        super().action_detail()
        self._look()

    def action_connect(self) -> None:
        if self.may("connect"):
            from wallet.faces.tui.sheets.connect import Connect

            self.app.push_screen(Connect(self.state))

    def action_disconnect(self) -> None:
        chosen = self.chosen
        if chosen is None or not self.may("disconnect"):
            return
        there = {p.node_id for p in self.state.facts.peers if p.connected}
        if chosen.node_id in there:
            self.run_worker(self._disconnect(chosen.node_id), exit_on_error=False)
        else:
            name = name_of(chosen.node_id, self.state.names)
            self.state.say(f"! There is no link to {name}", WARN)

    async def _disconnect(self, node_id: str) -> None:
        name = name_of(node_id, self.state.names)
        try:
            await self.state.connected.ask("disconnect", id=node_id)
        except (ConnectionLost, RpcError) as fault:
            self.state.say(f"✗ {name} stays: {safe(str(fault), 160)}", WARN)
        else:
            self.state.say(f"✓ Disconnected from {name}", GOOD)

    # --- rows ---------------------------------------------------------------------------------

    def rows(self, cells: int, height: int) -> list[Row]:
        if not self.state.told:
            return []
        chosen = self.chosen
        if cells < WIDE:
            if self.open and chosen is not None:
                return self._detail(chosen, cells - 4, height)
            return [*self._summary(cells), *self.listed(cells)]
        at = cells * 64 // 100
        detail = self._detail(chosen, cells - at - 4, height) if chosen is not None else []
        return beside([*self._summary(at), *self.listed(at)], detail, at, cells, height)

    def _summary(self, cells: int) -> list[Row]:
        node = self.state.facts.node
        return [
            row(("  You      ", QUIET), (node.alias, STRONG),
                (f"   {middle_cut(node.node_id, 15)}", QUIET)),
            row(("  Network  ", QUIET), self._counts()),
            EMPTY,
        ]  # fmt: skip

    def _counts(self) -> str:
        found, money = self._network, self.state.money
        parts = [
            f"{count:,} {name}{'' if count == 1 else 's'}"
            for count, name in ((found.nodes, "node"), (found.channels, "channel"))
            if count is not None
        ]
        if found.capacity is not None:
            parts.append(f"{money.shown(found.capacity)} in them")
        return " · ".join(parts) or ("… counting" if self._surveying else "not counted")

    def head(self, name: str, cells: int) -> Row:
        if name == PEERS:
            there = sum(peer.connected for peer in self._peers)
            said = f" {there} of {len(self._peers)}" if self._peers else ""
            columns = f"{left('Address', 22)}{right('channels', 9)}   Offers"
            return row((f"  {name}", STRONG), (f"{left(said, 11)}{columns}", QUIET))
        said = f" {len(self._others):,}"
        wide = self._room_for_id(cells)
        columns = (
            f"{left('Id', wide)}{right('channels', 10)}{right(str(self.state.money.unit), 15)}"
            f"{right('fee', 10)}  Seen"
        )
        return row((f"  {name}", STRONG), (f"{left(said, 5)}{columns}", QUIET))

    def _room_for_id(self, cells: int) -> int:
        return cells - 2 - 16 - 10 - 15 - 10 - 9

    def line(self, name: str, number: int, cells: int, *, chosen: bool) -> Row:
        mark, ground = ("> ", CHOSEN) if chosen else ("  ", PLAIN)
        if name == PEERS:
            return self._peer_line(self._peers[number], cells, mark, ground)
        return self._node_line(self._others[number], cells, mark, ground)

    def _peer_line(self, peer: Peer, cells: int, mark: str, ground: str) -> Row:
        sign, style = ("✓ ", GOOD) if peer.connected else ("! ", WARN)
        where = peer.address if peer.connected else "not connected"
        rest = cells - 2 - 15 - 1 - 22 - 9 - 3
        return row(
            (mark, ground),
            (sign, ground or style),
            (f"{left(name_of(peer.node_id, self.state.names), 13)} {left(where, 21)} "
             f"{right(f'{peer.channels:,}', 9)}   ", ground),
            (left(", ".join(peer.offers), rest), ground or QUIET),
        )  # fmt: skip

    def _node_line(self, node: KnownNode, cells: int, mark: str, ground: str) -> Row:
        node = self._looked.get(node.node_id, (node, ()))[0] if node.channels is None else node
        money, wide = self.state.money, self._room_for_id(cells)
        ours = node.node_id == self.state.facts.node.node_id
        name = self.state.facts.node.alias if ours else name_of(node.node_id, self.state.names)
        shown = f"{name} (you)" if ours else name
        count = "" if node.channels is None else f"{node.channels:,}"
        capacity = "" if node.capacity is None else money.bare(node.capacity)
        fee = "" if node.fee is None else f"{node.fee[0] / 1000:g}+{node.fee[1]}"
        seen = when(node.seen, self.state.clock()) if node.seen else ""
        return row(
            (f"{mark}{left(shown, 15)} {left(middle_cut(node.node_id, wide - 1), wide)}"
             f"{right(count, 10)}{right(capacity, 15)}", ground),
            (f"{right(fee, 10)}  {left(seen, 7)}", ground or QUIET),
        )  # fmt: skip

    # --- detail -------------------------------------------------------------------------------

    def _detail(self, chosen: Peer | KnownNode, cells: int, height: int) -> list[Row]:
        node_id, names = chosen.node_id, self.state.names
        peer = next((p for p in self.state.facts.peers if p.node_id == node_id), None)
        node = self._known(node_id) or KnownNode(node_id)
        rows = InFull(cells)
        rows.title(name_of(node_id, names), self._link_word(node_id, peer))
        rows.add("Address", *(self._addresses(chosen) or ("it announces none",))[:3])
        offers = (peer.offers if peer is not None else ()) or node.offers
        rows.add("Offers", *folded(", ".join(offers), rows.room))
        for number, channel in enumerate(self._with_us(node_id)):
            word = f"{self.state.money.shown(channel[0])}   {channel[1]}"
            rows.add("" if number else "With you", word)
        rows.add("Public", *self._public(node))
        if node.fee is not None:
            rows.add("Its fee", f"{node.fee[0] / 1000:g} sat + {node.fee[1]} ppm, usually")
        if node.seen:
            rows.add("Seen", moment(node.seen, self.state.clock()))
        rows.wrap("Node id", node_id)
        own = self._looked.get(node_id, (node, ()))[1]
        return [*rows.made, *self._channels_of(own, cells, height - len(rows.made) - 2)]

    def _link_word(self, node_id: str, peer: Peer | None) -> Span:
        if node_id == self.state.facts.node.node_id:
            return "this is you", QUIET
        if peer is None:
            return "no link", QUIET
        return ("✓ connected", GOOD) if peer.connected else ("! not connected", WARN)

    def _with_us(self, node_id: str) -> list[tuple[int, str]]:
        ours = (c for c in self.state.facts.channels if c.peer_id == node_id)
        return [(c.capacity, state(c)[0]) for c in ours]

    def _public(self, node: KnownNode) -> list[str]:
        if node.channels is None:
            return []
        plural = "" if node.channels == 1 else "s"
        capacity = self.state.money.shown(node.capacity or 0)
        return [f"{node.channels:,} channel{plural}, {capacity}" if node.channels else "no channel"]

    def _channels_of(self, own: tuple[PublicChannel, ...], cells: int, room: int) -> list[Row]:
        if not own or room < 2:
            return []
        money, names = self.state.money, self.state.names
        largest = sorted(own, key=lambda c: (-c.capacity, c.scid))
        unit = str(money.unit)
        head = f"  {left('Channel with', cells - 25)}{right(unit, 14)}{right('fee', 11)}"
        rows: list[Row] = [EMPTY, row((head, QUIET))]
        for channel in largest[: room - 1]:
            fee = f"{channel.fee_base / 1000:g}+{channel.fee_ppm}" if channel.active else "off"
            name = left(name_of(channel.destination, names), cells - 26)
            rows.append(row(f"  {name} {right(money.bare(channel.capacity), 14)}{right(fee, 11)}"))
        if len(own) > room - 1:
            rows.append(row((f"  and {len(own) - room + 1:,} smaller ones", QUIET)))
        return rows
