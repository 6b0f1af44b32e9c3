"""Close a channel: together with its peer (`c`), or alone, by typing the words."""

from dataclasses import dataclass
from typing import Any, ClassVar, Final

from textual.binding import Binding

from wallet.faces.rpc.client import ConnectionLost, RpcError
from wallet.faces.tui import costs, facts
from wallet.faces.tui.costs import Prices
from wallet.faces.tui.errands import Words
from wallet.faces.tui.facts import ChannelFacts, Json
from wallet.faces.tui.link import Link
from wallet.faces.tui.paint import EMPTY, QUIET, STRONG, WARN, Row, row
from wallet.faces.tui.safe_text import middle_cut, safe
from wallet.faces.tui.sheets.review import Reviewed, Step, line, lines, warning
from wallet.faces.tui.sheets.sheet import Field
from wallet.faces.tui.state import State
from wallet.faces.tui.words import blocks, brief, lasts, name_of

FORCE_WORDS: Final = "force close"
NEVER_FORCED: Final = 0
AT_ONCE: Final = 1
"""`unilateraltimeout`, in Core Lightning's sense."""


@dataclass(frozen=True, slots=True)
class Ending:
    """What closing needs to know of a channel beside its facts. Amounts in satoshi."""

    we_opened: bool = False
    delay: int = 0
    """Blocks until our own output of our commitment can be spent."""
    commitment_fee: int = 0
    is_old: bool = False
    """Our copy is behind the peer's: broadcasting it would lose the money."""


def ending(item: Json) -> Ending:
    """One item of `listpeerchannels`."""

    def number(name: str) -> int:
        value = item.get(name)
        return value if isinstance(value, int) else 0

    return Ending(
        item.get("opener") == "local",
        number("our_to_self_delay"),
        number("last_tx_fee_msat") // 1000,
        item.get("lost_state") is True,
    )


class _Closing(Reviewed):
    """What both ways have in common: the channel, and what the node says of it."""

    HAS_FORM = False

    def __init__(self, state: State, channel: ChannelFacts) -> None:
        super().__init__(state)
        self._channel_id = channel.channel_id
        self._last = channel
        self._ending = Ending()
        self._prices = Prices()

    async def learn(self, link: Link) -> None:
        self._prices = await costs.ask_prices(link)
        told = await link.ask("listpeerchannels", channel_id=self._channel_id)
        found = told.get("channels")
        items = [one for one in (found if isinstance(found, list) else [])
                 if one.get("channel_id") == self._channel_id]  # fmt: skip
        if not items:
            raise RpcError({"message": "This channel is not there any more."})
        self._last, self._ending = facts.channel(items[0]), ending(items[0])

    @property
    def channel(self) -> ChannelFacts:
        """As it stands now, or stood when it was seen last."""
        living = self.state.facts.channels
        self._last = next((c for c in living if c.channel_id == self._channel_id), self._last)
        return self._last

    @property
    def peer(self) -> str:
        """Its name, as sentences have it."""
        return brief(self._last.peer_id, self.state.names)

    def _with(self) -> Row:
        channel = self.channel
        how = "✓ online" if channel.connected else "! offline"
        return line(
            "With",
            name_of(channel.peer_id, self.state.names),
            f"{middle_cut(channel.peer_id, 15)}  {how}",
        )

    def _inside(self) -> str:
        channel = self.channel
        moving = self.money.shown(channel.sent_on + channel.coming)
        return f"{channel.moving} payment{'' if channel.moving == 1 else 's'}, {moving}"

    def done(self, cells: int) -> list[Row]:
        return [*lines("Now", self._after(), cells), line("Transaction", ""), row(self.copied()[0])]

    def _after(self) -> str:
        raise NotImplementedError

    def copied(self) -> tuple[str, str]:
        answer = self.errand.answer if self.errand is not None else {}
        txids = answer.get("txids")
        return safe(next(iter(txids), "") if isinstance(txids, list) else "", 64), "the id"


class Close(_Closing):
    """Together: the peer has to be there, and nobody waits for anything but a block."""

    NAME = "Close channel"
    LETTER = "c"
    VERB = "close the channel together"
    BINDINGS: ClassVar = [
        Binding("c", "act", show=False),
        Binding("t", "call", show=False),
        Binding("X", "force", show=False),
    ]
    _called = ""
    """What became of trying to reach the peer."""
    _each_pays = False
    """For a transaction of its own; a block takes one of the two."""

    async def learn(self, link: Link) -> None:
        await super().learn(link)
        self._each_pays = await costs.each_pays(link, self._last.peer_id)

    def may_act(self) -> bool:
        return self.channel.connected

    def _tick(self) -> None:
        # A peer that comes back is not closed with by a key that was on its way before.
        if self.step is Step.REVIEW and not self.channel.connected and self._armed:
            self._armed = False
        elif self.step is Step.REVIEW and self.channel.connected and self._called:
            self._called = ""
            self.go(Step.REVIEW)
        super()._tick()

    def review(self, cells: int) -> list[Row]:
        channel = self.channel
        fee = self._prices.mutual if self._ending.we_opened or self._each_pays else 0
        back = max(0, channel.still - fee * 1000)
        payer = "you opened it, so you pay it" if self._ending.we_opened else "the peer pays it"
        if self._each_pays:
            payer = "one of you: a block decides"
        found = [
            self._with(),
            line("Comes back", f"about {self.money.shown(back)}",
                 f"of {self.money.shown(channel.capacity)}"),
            line("Fee", f"about {self.sat(self._prices.mutual)}", payer),
        ]  # fmt: skip
        if not channel.connected:
            return found + self._offline(cells)
        found.append(line("When", "one block, about 10 min", "then the coins can be spent"))
        if channel.moving:
            found += lines("Inside", f"{self._inside()}: they end first, the close waits.", cells)
        left_over = self.state.facts.can_send - channel.spendable
        worst = (
            "the peer stops answering: payments cannot pass then, and the channel may have to"
            " be closed alone, which takes days."
        )
        return [
            *found,
            line("Can send", f"{self.money.shown(max(0, left_over))} after that"),
            *lines("At worst", worst, cells),
        ]

    def _offline(self, cells: int) -> list[Row]:
        wait = "esc: wait. The money is safe; most peers come back."
        force = "X: force close, alone. It costs more, and takes days." * self._may_force
        return [
            EMPTY,
            warning(f"{self.peer} is offline, and closing together needs both."),
            EMPTY,
            *lines("You can", wait, cells),
            line("", "t: try to reach it now", self._called),
            *([line("", force)] if force else []),
        ]

    @property
    def _may_force(self) -> bool:
        return not self._ending.is_old

    def hints(self) -> str:
        if self.step is Step.REVIEW and not self.channel.connected:
            return "t try to reach it  X force close  esc wait"
        return super().hints()

    async def action_call(self) -> None:
        if self.step is not Step.REVIEW or self.channel.connected:
            return
        self._called = "… trying"
        self.redraw()
        self.run_worker(self._call(), exit_on_error=False)

    async def _call(self) -> None:
        try:
            await self.state.connected.ask("connect", id=self._last.peer_id)
        except (RpcError, ConnectionLost) as fault:
            self._called = f"✗ {safe(str(fault), 60)}"
        else:
            self._called = "✓ it answers"

    def action_force(self) -> None:
        if self.step is Step.REVIEW and not self.channel.connected:
            self.app.switch_screen(ForceClose(self.state, self._last))

    def words(self) -> Words:
        return Words(
            doing=f"Closing the channel with {self.peer} together",
            done=f"The channel with {self.peer} is closing",
            not_done="Not closed. The channel is as it was.",
            look="3 Channels shows how it stands.",
        )

    async def act(self, link: Link) -> Any:
        # No deadline after which it turns into force: a person decides that.
        return await link.ask("close", id=self._channel_id, unilateraltimeout=NEVER_FORCED)

    def _after(self) -> str:
        return "it waits for its block; then the coins are among yours, under 5 Chain."


class ForceClose(_Closing):
    """Alone: the words have to be typed, and Enter does nothing before they stand there."""

    NAME = "! Force close"
    VERB = "force close"

    def asks_typing(self) -> bool:
        return not self._ending.is_old

    def typing(self) -> Field:
        return Field(id="typed", placeholder=f"type: {FORCE_WORDS}")

    def _complete(self) -> bool:
        return self.query_one("#typed", Field).value.strip().lower() == FORCE_WORDS

    def on_input_changed(self) -> None:
        self.redraw()

    async def action_next(self) -> None:
        """Enter: only with the words, and not at once."""
        if self.armed and self.asks_typing() and self._complete():
            self.begin()

    def review(self, cells: int) -> list[Row]:
        channel, of = self.channel, self._ending
        if of.is_old:
            return [
                self._with(),
                EMPTY,
                warning("Your copy of this channel is older than the peer's."),
                *lines("", "To broadcast it would lose everything in it. Only the peer can"
                       " close it: ask whoever runs it.", cells),
            ]  # fmt: skip
        fees = (of.commitment_fee + costs.ANCHORS_SAT if of.we_opened else 0) + self._prices.sweep
        back = max(0, channel.still - fees * 1000)
        delay = f"{blocks(of.delay)}, {lasts(of.delay)}" if of.delay else "some days"
        found = [
            self._with(),
            line(
                "Comes back", f"about {self.money.shown(back)}", f"about {self.sat(fees)} of fees"
            ),
            line("When", f"after {delay}", "then swept for you"),
        ]
        if channel.moving:
            inside = f"{self._inside()}: settled on chain too, each when its time is up."
            found += lines("Inside", inside, cells)
        there = "is online now" if channel.connected else "has to be online"
        return [
            *found,
            EMPTY,
            row(("It cannot be undone. Other choices:", WARN)),
            line("  wait", "Nothing is lost by it; most peers come back."),
            *lines("  together", f"c: cheaper, and without delay; {self.peer} {there}.", cells, 2),
            EMPTY,
            row("Type ", (FORCE_WORDS, STRONG), " above, then enter.",
                ("" if self._complete() else " Enter does nothing yet.", QUIET)),
        ]  # fmt: skip

    def hints(self) -> str:
        if self.step is not Step.REVIEW or not self.asks_typing():
            return super().hints()
        return "enter force close (only with the words)  esc cancel"

    def words(self) -> Words:
        return Words(
            doing=f"Force closing the channel with {self.peer}",
            done=f"The channel with {self.peer} is being closed by force",
            not_done="Not closed. The channel is as it was.",
            look="3 Channels shows how it stands.",
        )

    async def act(self, link: Link) -> Any:
        return await link.ask("close", id=self._channel_id, unilateraltimeout=AT_ONCE)

    def _after(self) -> str:
        delay = self._ending.delay
        waits = f" and then for {delay} more" if delay else ""
        return (
            f"your last state of it waits for its block{waits}. The money is swept to your coins"
            " by itself: keep the node running."
        )
