"""Channels: whose the money in each is, whether its peer is there, and what it can carry."""

from typing import ClassVar, Final

from wallet.faces.tui.copying import Thing
from wallet.faces.tui.deadlines import nearest, returns, waits
from wallet.faces.tui.facts import ChannelFacts
from wallet.faces.tui.grammar import words_fit
from wallet.faces.tui.keys import OWN
from wallet.faces.tui.listing import Listing
from wallet.faces.tui.paint import (
    CHOSEN,
    EMPTY,
    GOOD,
    KEY,
    QUIET,
    STRONG,
    WARN,
    Row,
    bar,
    beside,
    folded,
    row,
)
from wallet.faces.tui.pane import WIDE
from wallet.faces.tui.safe_text import cut, left, middle_cut, right, width
from wallet.faces.tui.words import name_of, state

MOST_ENDS: Final = 3
"""Deadlines of a channel that are listed; the Court view has all that are open."""


class Channels(Listing):
    """The third tab."""

    HINTS: ClassVar = "enter detail  o open  c close  f fees  / filter  y copy  s send  ? help"
    WITH_COURT: ClassVar = (
        "enter detail  o open  c close  f fees  C court  / filter  y copy  ? help"
    )
    FINDS: ClassVar = "name, id, place or state of a channel  !not"
    BINDINGS: ClassVar = [key.binding for key in OWN["channels"]]
    HEAD: ClassVar = 4
    TALL: ClassVar = 2

    @property
    def count(self) -> int:
        return len(self._listed)

    @property
    def _listed(self) -> list[ChannelFacts]:
        """What the filter lets through."""
        return [c for c in self.state.facts.channels if words_fit(self.sought, *self._words(c))]

    def _words(self, channel: ChannelFacts) -> tuple[str, ...]:
        name = name_of(channel.peer_id, self.state.names)
        word = state(channel)[0]
        return name, word, channel.status, channel.peer_id, channel.scid, channel.channel_id

    def hints(self) -> str:
        if not self.open:
            usual = self.WITH_COURT if self.state.can("court") else self.HINTS
            return self.FOUND if self.sought else usual
        court = "C court  " if self.state.can("court") else ""
        return f"esc back  c close together  f fees  {court}X force close  y copy  ? help"

    async def main_thing(self) -> Thing | None:
        chosen = self._chosen
        if chosen is None:
            return None
        if chosen.scid:
            return Thing("Short channel id", chosen.scid)
        return Thing("Channel id", chosen.channel_id)

    # --- keys -----------------------------------------------------------------------------------

    @property
    def _chosen(self) -> ChannelFacts | None:
        """The one under the cursor."""
        listed = self._listed
        return listed[self.cursor] if self.cursor < len(listed) else None

    def _living(self, action: str) -> ChannelFacts | None:
        """The chosen one, if the node can do it and the channel is not closing already."""
        chosen = self._chosen
        if chosen is None or not self.may(action):
            return None
        if chosen.usable or chosen.opening:
            return chosen
        self.state.say("! This channel is closing already", WARN)
        return None

    def action_close_channel(self) -> None:
        from wallet.faces.tui.sheets.close import Close

        if (chosen := self._living("close_channel")) is not None:
            self.app.push_screen(Close(self.state, chosen))

    def action_fees(self) -> None:
        from wallet.faces.tui.sheets.fees import Fees

        if (chosen := self._living("fees")) is not None:
            self.app.push_screen(Fees(self.state, chosen))

    def action_court(self) -> None:
        """Of a channel that ends already, too: then it is what is waited for."""
        from wallet.faces.tui.sheets.court import Court

        chosen = self._chosen
        if chosen is not None and self.may("court"):
            self.app.push_screen(Court(self.state, chosen))

    def action_force_close(self) -> None:
        """From what is shown in full only: it should be seen which channel that is."""
        from wallet.faces.tui.sheets.close import ForceClose

        chosen = self._chosen
        if chosen is None or not self.may("force_close"):
            return
        if self.open or self.size.width >= WIDE:
            self.app.push_screen(ForceClose(self.state, chosen))
        else:
            self.action_detail()

    def facts_changed(self) -> None:
        self.cursor = max(0, min(self.cursor, self.count - 1))
        self.open = self.open and self.count > 0
        self.refresh()

    def rows(self, cells: int, height: int) -> list[Row]:
        chosen = self._chosen
        if chosen is None:
            return self._none()
        if cells < WIDE:
            return self._detail(chosen, cells - 4) if self.open else self._list(cells)
        at = cells * 6 // 10
        return beside(self._list(at), self._detail(chosen, cells - at - 2), at, cells, height)

    def _none(self) -> list[Row]:
        if not self.state.told:
            return []
        if self.sought:
            return [EMPTY, EMPTY, row("      No channel fits this filter.")]
        return [
            EMPTY,
            EMPTY,
            row("      No channel yet."),
            EMPTY,
            row("      A channel is what payments go through. It is opened from coins on chain:"),
            row("      ", ("5 a", KEY), "   an address to send coins to"),
            row("      ", ("o", KEY), "     open a channel with those coins"),
        ]

    def _list(self, cells: int) -> list[Row]:
        facts, money = self.state.facts, self.state.money
        drawn = max(10, cells - 52)
        rows = [
            row(f"  can send {money.bare(facts.can_send)}   ·   "
                f"can receive {money.bare(facts.can_receive)}   ·   "
                f"reserve {money.bare(facts.reserve)}"),
            EMPTY,
            row((f"  {left('Peer', 12)}{right('Capacity', 13)}  {left('yours ◂', drawn - 8)}"
                 f"▸ theirs  {left('State', 12)}{right('Fee', 8)}", QUIET)),
            EMPTY,
        ]  # fmt: skip
        seen = self._listed[self.first : self.first + self.room]
        for number, channel in enumerate(seen, self.first):
            rows += self._two_lines(channel, drawn, chosen=number == self.cursor)
        return rows

    def _two_lines(self, channel: ChannelFacts, drawn: int, *, chosen: bool) -> list[Row]:
        money = self.state.money
        word, style = state(channel)
        mark, ground = ("> ", CHOSEN) if chosen else ("  ", "")
        name = name_of(channel.peer_id, self.state.names)
        fees = f"{channel.fee_base // 1000}+{channel.fee_ppm}" if channel.usable else ""
        first = row(
            (f"{mark}{left(name, 11)} {right(money.bare(channel.capacity), 13)}  ", ground),
            (self._bar(channel, drawn), GOOD),
            "  ",
            (left(word, 12), style),
            (right(fees, 8), QUIET),
        )
        if channel.usable:
            second = (
                f"send {money.bare(channel.spendable)}   receive {money.bare(channel.receivable)}"
                f"   {channel.moving} in flight   {channel.scid}"
            )
        else:
            second = self._waits(channel) or channel.status
        return [first, row((f"{'':14}{second}", QUIET))]

    def _bar(self, channel: ChannelFacts, drawn: int) -> str:
        if not channel.usable:
            return bar(drawn, 0, 0, 0)
        return bar(drawn, channel.still, channel.sent_on + channel.coming, channel.theirs)

    def _waits(self, channel: ChannelFacts) -> str:
        """Of one on chain: what comes next."""
        facts = self.state.facts
        line = nearest(facts.dockets.get(channel.channel_id, ()))
        return waits(line, facts.node.height, self.state.money, short=True) if line else ""

    def _ends(self, channel: ChannelFacts, cells: int) -> list[str]:
        """When the payments inside end at the latest, the nearest first."""
        money, tip = self.state.money, self.state.facts.node.height
        shown = channel.inside[:MOST_ENDS]
        found = []
        for one in shown:
            amount = f"{money.bare(one.amount)} " if channel.moving > 1 else ""
            found += folded(f"{amount}{returns(one, tip)}", cells)
        more = channel.moving - len(shown)
        return [*found, f"and {more} more"] if more else found

    def _waiting(self, channel: ChannelFacts, cells: int) -> list[str]:
        """What is waited for on chain, in full."""
        tip, money = self.state.facts.node.height, self.state.money
        docket = self.state.facts.dockets.get(channel.channel_id, ())
        return [t for line in docket[:MOST_ENDS] for t in folded(waits(line, tip, money), cells)]

    def _detail(self, channel: ChannelFacts, cells: int) -> list[Row]:
        money = self.state.money
        word, style = state(channel)
        name = name_of(channel.peer_id, self.state.names)
        # The name gives way: how the channel stands is always seen.
        name = cut(name, max(8, cells - 2 - 3 - 15 - 3 - width(word)))
        rows: list[Row] = [
            EMPTY,
            row("  ", (name, STRONG), f"   {middle_cut(channel.peer_id, 15)}   ", (word, style)),
            EMPTY,
            row("  ", (self._bar(channel, max(10, cells - 4)), GOOD)),
            row(("  █ yours  ▒ in flight  ░ theirs", QUIET)),
            EMPTY,
        ]

        def add(title: str, *lines: str) -> None:
            for number, line in enumerate(lines):
                rows.append(row((f"  {left('' if number else title, 13)}", QUIET), line))

        add("Capacity", money.shown(channel.capacity))
        add("Yours", money.shown(channel.ours))
        add(
            "Can send", f"{money.bare(channel.spendable)}   ({money.bare(channel.reserve)} reserve)"
        )
        add("Can receive", money.bare(channel.receivable))
        moving = money.shown(channel.sent_on + channel.coming)
        room = max(10, cells - 15)
        count = f"{channel.moving} payment{'s' if channel.moving != 1 else ''}"
        inside = f"{count}, {moving}" if channel.moving else "nothing"
        add("In flight", inside, *self._ends(channel, room))
        add("State", *folded(channel.status, room))
        add("Waits", *self._waiting(channel, room))
        add("Your fee", f"{channel.fee_base / 1000:g} sat + {channel.fee_ppm} ppm")
        kind = "private" if channel.private else "announced: others may route through it"
        add("Kind", *folded(kind, room))
        add("Place", channel.scid or "not in a block yet")
        add("Channel id", middle_cut(channel.channel_id, min(64, max(11, cells - 15))))
        if not self.state.can("court"):
            add("Court", *folded("this node has none: it cannot tell what the chain rules", room))
        if channel.usable and not channel.connected:
            told = "! The peer is offline. Payments through it wait; nothing to do yet."
            rows += [EMPTY, *(row((f"  {line}", WARN)) for line in folded(told, cells - 2))]
        return rows
