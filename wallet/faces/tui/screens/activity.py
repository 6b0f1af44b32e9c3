"""Activity: everything that moved money, newest first, and one payment in full."""

import asyncio
import time
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import ClassVar, Final

from textual.worker import WorkType

from wallet.faces.rpc.client import ConnectionLost, RpcError
from wallet.faces.tui import attempts
from wallet.faces.tui.answers import items
from wallet.faces.tui.attempts import Journey, journey
from wallet.faces.tui.copying import Thing
from wallet.faces.tui.facts import Item
from wallet.faces.tui.grammar import EXAMPLE, Query, parse
from wallet.faces.tui.history_pages import HistoryPages
from wallet.faces.tui.listing import Listing
from wallet.faces.tui.paint import (
    BAD,
    CHOSEN,
    EMPTY,
    KEY,
    QUIET,
    STRONG,
    WARN,
    Row,
    beside,
    ends,
    folded,
    row,
)
from wallet.faces.tui.pane import WIDE
from wallet.faces.tui.safe_text import cut, left, middle_cut, right, safe
from wallet.faces.tui.state import State
from wallet.faces.tui.words import moment, name_of, sign, status, what, when

MOST: Final = 1_000
"""Rows that are asked for at once for a filter: the most that a node gives."""
TYPING_SECONDS: Final = 0.15


class Activity(Listing):
    """The second tab."""

    HINTS: ClassVar = "enter detail  / filter  y copy  s send  r receive  : palette  ? help"
    FINDS: ClassVar = EXAMPLE

    def __init__(self, state: State, id: str) -> None:  # noqa: A002
        super().__init__(state, id)
        self._all = self.pages = HistoryPages()
        self._query = Query()
        self._looking = False
        self._renewed: tuple[Item, ...] = ()
        self._journeys: dict[str, Journey] = {}
        """How payments went that were looked at, by payment hash."""

    @property
    def count(self) -> int:
        return len(self.pages)

    def facts_changed(self) -> None:
        chosen = self.pages.slice(self.cursor, 1)
        recent = self.state.facts.recent
        self._all.renew(recent, self.state.facts.more)
        if self.sought and recent != self._renewed and not self._looking:
            self._look()
        if chosen and self.cursor:
            # What is new comes in above: the cursor stays on what was chosen.
            self._follow(chosen[0])
        self.refresh()

    # --- filter -------------------------------------------------------------------------------

    def sought_changed(self) -> None:
        self.first = 0
        self.workers.cancel_node(self)
        self._looking = False
        self._query = parse(self.sought, self.state.clock(), self.state.names)
        if not self.sought:
            self.pages = self._all
            return
        query, names = self._query, self.state.names
        self.pages = HistoryPages(query.asked, lambda item: query.fits(item, names), MOST)
        self._look()

    def _look(self, *, anew: bool = True) -> None:
        self._looking, self._renewed = True, self.state.facts.recent
        # Not begun before its time comes: one that is quickly replaced never runs.
        looking: WorkType[None] = partial(self._fill, self.pages, anew=anew)
        self.run_worker(looking, exclusive=True, exit_on_error=False)

    async def _fill(self, pages: HistoryPages, *, anew: bool) -> None:
        """The newest page, and older ones until the screen is full of what fits."""
        try:
            link = self.state.connected
            began = time.monotonic()
            if anew:
                await asyncio.sleep(TYPING_SECONDS)
                await pages.read_first(link)
            while not pages.complete and len(pages) < self.first + 2 * self.room:
                self._show_found()
                # Looking must not keep a busy node from its work.
                await asyncio.sleep(time.monotonic() - began)
                began = time.monotonic()
                await pages.read_on(link)
        except (ConnectionLost, RpcError) as fault:
            self.state.say(f"! {safe(str(fault), 160)}", WARN)
        finally:
            if pages is self.pages:
                self._looking = False
                self._show_found()

    def _show_found(self) -> None:
        self.refresh()
        self.post_message(self.HintsChanged())

    @property
    def found(self) -> str:
        if self._query.problem:
            return self._query.problem
        more = "" if self.pages.complete else " so far…" if self._looking else " and older"
        return f"{self.count:,} found{more}"

    def _follow(self, chosen: Item) -> None:
        near = self.pages.slice(self.cursor, 50)
        for step, item in enumerate(near):
            if (item.at, item.kind, item.payment_hash) == (
                chosen.at,
                chosen.kind,
                chosen.payment_hash,
            ):
                self.first += step
                self.go(self.cursor + step)
                return

    def hints(self) -> str:
        if self.open:
            return "esc back  y copy  T plain text  s send  r receive  ? help"
        return self.FOUND if self.sought else self.HINTS

    def action_detail(self) -> None:
        super().action_detail()
        chosen = self.pages.slice(self.cursor, 1)
        if chosen and chosen[0].kind == "payment" and self.state.can("listsendpays"):
            self.run_worker(self._learn(chosen[0]), exclusive=True, exit_on_error=False)

    async def _learn(self, item: Item) -> None:
        with suppress(ConnectionLost, RpcError):
            self._journeys[item.payment_hash] = await journey(
                self.state.connected, item.payment_hash
            )
            self.refresh()

    def _in_full(self, item: Item, cells: int) -> list[Row]:
        known = self._journeys.get(item.payment_hash) if item.kind == "payment" else None
        went = attempts.rows(known, self.state, cells) if known is not None else []
        return [*_detail(item, self.state, cells), *went]

    async def main_thing(self) -> Thing | None:
        """The proof of what was paid; else what names it."""
        found = self.pages.slice(self.cursor, 1)
        if not found:
            return None
        item = found[0]
        proven = item.kind == "payment" and item.status == "complete"
        if proven and self.state.can("listpays") and (proof := await self._proof(item)):
            return Thing("Proof", proof)
        names = (("Payment hash", item.payment_hash), ("Txid", item.txid))
        return next((Thing(name, text) for name, text in names if text), None)

    async def _proof(self, item: Item) -> str:
        answer = await self.state.connected.ask("listpays", payment_hash=item.payment_hash)
        proofs = (safe(pay.get("preimage"), 64) for pay in items(answer, "pays"))
        return next(filter(None, proofs), "")

    def moved(self) -> None:
        if self.first + 2 * self.room < self.count or self.pages.complete or self._looking:
            return
        if self.sought:
            self._look(anew=False)
        else:
            self.run_worker(self._read_on(), exit_on_error=False)

    def action_bottom(self) -> None:
        if not self.open:
            self.run_worker(self._to_the_end(), exclusive=True, exit_on_error=False)

    async def _read_on(self) -> bool:
        try:
            return await self.pages.read_on(self.state.connected)
        except (ConnectionLost, RpcError):
            return False
        finally:
            self.refresh()

    async def _to_the_end(self) -> None:
        while await self._read_on():
            pass
        self.go(self.count - 1)

    # --- rows ---------------------------------------------------------------------------------

    def rows(self, cells: int, height: int) -> list[Row]:
        if not self.state.can("history"):
            return [EMPTY, row("   This node keeps no history: leyden listpays, listinvoices.")]
        if not self.count:
            return self._nothing_found() if self.sought else _empty(self.state)
        chosen = self.pages.slice(min(self.cursor, self.count - 1), 1)[0]
        if cells < WIDE:
            return self._in_full(chosen, cells - 4) if self.open else self._list(cells)
        at = cells * 6 // 10
        return beside(self._list(at), self._in_full(chosen, cells - at - 2), at, cells, height)

    def _nothing_found(self) -> list[Row]:
        if self._looking:
            return [EMPTY, EMPTY, row(("      … looking", QUIET))]
        return [
            EMPTY,
            EMPTY,
            row("      Nothing fits this filter."),
            EMPTY,
            row("      ", ("esc", KEY), "   shows everything again"),
        ]

    def _list(self, cells: int) -> list[Row]:
        last = min(self.count, self.first + self.room)
        of = f"{self.count:,}" if self.pages.complete else f"{self.count:,} and older"
        unit = self.state.money.unit
        place = f"{self.first + 1:,}-{last:,} of {of}  newest first "
        rows = [
            ends(row("  Found" if self.sought else "  All"), row((place, QUIET)), cells),
            row((f"  When   {right(str(unit), 15)}  {left('What', cells - 51)}Status"
                 f"{right('fee', 18)} ", QUIET)),
        ]  # fmt: skip
        now = self.state.clock()
        for number, item in enumerate(self.pages.slice(self.first, self.room), self.first):
            rows.append(self._line(item, now, cells, chosen=number == self.cursor))
        return rows

    def _line(self, item: Item, now: datetime, cells: int, *, chosen: bool) -> Row:
        word, style = status(item)
        amount = self.state.money.signed(item.amount, sign(item))
        fee = "" if item.fee is None else self.state.money.bare(item.fee, up=True)
        mark, ground = ("> ", CHOSEN) if chosen else ("  ", "")
        return row(
            (f"{mark}{left(when(item.at, now), 7)}{right(amount, 15)}  ", ground),
            (left(what(item, self.state.names), cells - 52) + " ", ground),
            (left(word, 15), ground or style),
            (right(fee, 9) + " ", ground or QUIET),
        )


def _empty(state: State) -> list[Row]:
    if not state.told:
        return []
    can = state.money.shown(state.facts.can_receive)
    return [
        EMPTY,
        EMPTY,
        row("      No payments yet."),
        EMPTY,
        row("      ", ("r", STRONG), f"   receive your first sats (you can receive {can} now)"),
        row("      ", ("s", STRONG), "   pay an invoice"),
        EMPTY,
        row(("      What you pay and receive shows up here, with reason and proof.", QUIET)),
    ]


def _detail(item: Item, state: State, cells: int) -> list[Row]:
    """One item in full: outcome first, then the words, then the technical names."""
    money, now = state.money, state.clock()
    word, style = status(item)
    rows: list[Row] = [
        EMPTY,
        row("  ", (word, style), f"  {money.signed(item.amount, sign(item))} {money.unit}"),
        EMPTY,
    ]

    def add(name: str, *lines: str, style: str = "") -> None:
        for number, line in enumerate(lines):
            rows.append(row((f"  {left('' if number else name, 11)}", QUIET), (line, style)))

    room = max(10, cells - 13)
    add("What", *folded(what(item, state.names), room))
    if item.destination:
        node = cut(name_of(item.destination, state.names), max(8, room - 18))
        add("To", f"{node}   {middle_cut(item.destination, 15)}")
    if item.label and item.label != what(item, state.names):
        add("Label", *folded(item.label, room))
    if item.fee is not None:
        share = f" ({100 * item.fee / item.amount:.2f} %)" if item.amount else ""
        add("Fee", "" if money.hidden else f"{money.shown(item.fee, up=True)}{share}")
    add("When", moment(item.at, now))
    if item.completed_at is not None and item.kind == "payment":
        add("Took", f"{max(0, item.completed_at - item.at)} s")
    if item.status == "failed" and item.kind == "payment":
        add("Money", "nothing left your wallet")
    if item.status == "pending" and item.kind == "payment":
        add("Money", "on its way: it arrives, or comes back by itself.")
        add("", "Do not pay it a second time.")
    if item.failure:
        add("Why", *folded(item.failure, room, 6), style=BAD)
    rows += [EMPTY, row(("  Ids", QUIET))]
    if item.payment_hash:
        add("hash", middle_cut(item.payment_hash, min(64, room)))
    if item.txid:
        add("txid", middle_cut(item.txid, min(64, room)))
    if item.bolt11:
        add("invoice", middle_cut(item.bolt11, min(40, room)))
    if item.blockheight:
        add("block", f"{item.blockheight:,}")
    return rows
