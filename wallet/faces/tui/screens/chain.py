"""Chain: our coins, what brought and took them, and channels that settle there."""

from dataclasses import dataclass
from typing import ClassVar, Final, TypeAlias

from wallet.faces.rpc.client import ConnectionLost, RpcError
from wallet.faces.tui.copying import Thing
from wallet.faces.tui.facts import ChannelFacts, Item
from wallet.faces.tui.facts_chain import Coin
from wallet.faces.tui.grammar import words_fit
from wallet.faces.tui.history_pages import HistoryPages
from wallet.faces.tui.in_full import InFull
from wallet.faces.tui.keys import OWN
from wallet.faces.tui.paint import (
    CHOSEN,
    EMPTY,
    GOOD,
    KEY,
    QUIET,
    STRONG,
    WARN,
    Row,
    Span,
    beside,
    ends,
    folded,
    row,
)
from wallet.faces.tui.pane import WIDE
from wallet.faces.tui.safe_text import left, middle_cut, right, safe
from wallet.faces.tui.sections import Sections
from wallet.faces.tui.starting import first_coins
from wallet.faces.tui.state import State
from wallet.faces.tui.watch import ON_CHAIN
from wallet.faces.tui.words import moment, name_of, sign, status, what, when

COINS: Final = "Coins"
CLOSING: Final = "Closing"
TRANSACTIONS: Final = "Transactions"
Chosen: TypeAlias = Coin | ChannelFacts | Item | None

_AT_THE_END: Final = 2 + 8 + 2 + 13
"""Cells of the mark, and of the two columns at the right that all sections have."""


def touches_coins(item: Item) -> bool:
    """Whether our coins had a part in it: a channel that a peer paid for is no business of ours."""
    return item.kind != "channel_open" or item.opener != "remote"


class Chain(Sections):
    """The fifth tab."""

    WANTS: ClassVar = frozenset({"moves", "closes", "fees", "settings"})
    HINTS: ClassVar = "a address  w withdraw  enter detail  tab next list  / filter  y copy  ? help"
    BINDINGS: ClassVar = [key.binding for key in OWN["chain"]]
    FINDS: ClassVar = "address, txid or words  !not"
    HEAD: ClassVar = 4

    def __init__(self, state: State, id: str) -> None:  # noqa: A002
        super().__init__(state, id)
        self.pages = self._all = HistoryPages(ON_CHAIN, touches_coins)
        self._reading = False
        self._coins: list[Coin] = []
        self._settling: list[ChannelFacts] = []

    # --- lists --------------------------------------------------------------------------------

    def _fits(self, item: Item) -> bool:
        words = what(item, self.state.names), status(item)[0], item.txid
        return touches_coins(item) and words_fit(self.sought, *words)

    def sections(self) -> list[tuple[str, int]]:
        closing = len(self._settling)
        settling = [(CLOSING, closing)] if closing else []
        return [(COINS, len(self._coins)), *settling, (TRANSACTIONS, len(self.pages))]

    def sought_changed(self) -> None:
        self.first = 0
        self.pages = HistoryPages(ON_CHAIN, self._fits) if self.sought else self._all
        self.facts_changed()

    def none(self, name: str) -> str:
        facts = self.state.facts
        if name == COINS:
            return "none" if self.state.told else ""
        if not self.state.can("history") and not self.state.can("listtransactions"):
            return "this node does not list them"
        return "" if facts.moves is None else "none"

    @property
    def chosen(self) -> Chosen:
        """What the cursor is on."""
        name, number = self.place
        if name == COINS:
            return self._coins[number]
        if name == CLOSING:
            return self._settling[number]
        found = self.pages.slice(number, 1)
        return found[0] if found else None

    def facts_changed(self) -> None:
        facts = self.state.facts
        if facts.moves is not None:
            self._all.renew(facts.moves, facts.more_moves)
            self.pages.renew(facts.moves, facts.more_moves)
        self._coins = [
            c for c in facts.coins if words_fit(self.sought, c.outpoint, c.address, use(c)[0])
        ]
        names = self.state.names
        self._settling = [
            c
            for c in facts.channels
            if not c.usable and not c.opening
            if words_fit(self.sought, name_of(c.peer_id, names), c.status, c.channel_id)
        ]
        self.cursor = max(0, min(self.cursor, self.count - 1))
        self.open = self.open and self.count > 0
        self.refresh()

    def moved(self) -> None:
        if self._ends_soon() and not self._reading:
            self._reading = True
            self.run_worker(self._read_on(), exit_on_error=False)

    def _ends_soon(self) -> bool:
        return self.first + 2 * self.room >= self.count and not self.pages.complete

    async def _read_on(self) -> None:
        try:
            while self._ends_soon():
                await self.pages.read_on(self.state.connected)
                self.refresh()
        except (ConnectionLost, RpcError) as fault:
            self.state.say(f"! {safe(str(fault), 160)}", WARN)
        finally:
            self._reading = False
            self.post_message(self.HintsChanged())

    # --- keys ---------------------------------------------------------------------------------

    def hints(self) -> str:
        if self.open:
            return "esc back  y copy  T plain text  a address  w withdraw  ? help"
        return self.FOUND if self.sought else self.HINTS

    def action_address(self) -> None:
        if self.may("address"):
            from wallet.faces.tui.sheets.receive import Receive

            self.app.push_screen(Receive(self.state, on_chain=True))

    def action_withdraw(self) -> None:
        if self.may("withdraw"):
            from wallet.faces.tui.sheets.withdraw import Withdraw

            self.app.push_screen(Withdraw(self.state))

    async def main_thing(self) -> Thing | None:
        match self.chosen:
            case Coin(address=address, outpoint=outpoint):
                return Thing("Address", address) if address else Thing("Coin", outpoint)
            case ChannelFacts(channel_id=channel_id):
                return Thing("Channel id", channel_id)
            case Item(txid=txid) if txid:
                return Thing("Txid", txid)
        return None

    # --- rows ---------------------------------------------------------------------------------

    def rows(self, cells: int, height: int) -> list[Row]:
        if not self.state.told:
            return []
        facts = self.state.facts
        if not self.count and facts.moves is not None and not self.sought:
            return [*self._summary(cells), *_empty(self.state, cells)]
        chosen = self.chosen
        if cells < WIDE:
            if self.open and chosen is not None:
                return self._detail(chosen, cells - 4)
            return [*self._summary(cells), *self.listed(cells)]
        at = cells * 64 // 100
        detail = self._detail(chosen, cells - at - 4) if chosen is not None else []
        return beside([*self._summary(at), *self.listed(at)], detail, at, cells, height)

    def _summary(self, cells: int) -> list[Row]:
        facts, money = self.state.facts, self.state.money
        coming = f"   +{money.bare(facts.unconfirmed)} unconfirmed" if facts.unconfirmed else ""
        return [
            ends(
                row(("  On-chain  ", QUIET), (money.shown(facts.on_chain), STRONG),
                    (coming, QUIET)),
                row((f"block {facts.node.height:,} ", QUIET)), cells),
            row(("  Reserve   ", QUIET), self._reserve()),
            row(("  Fees      ", QUIET), self._fees()),
            EMPTY,
        ]  # fmt: skip

    def _reserve(self) -> Span | str:
        facts, money = self.state.facts, self.state.money
        if not facts.guarded:
            return "none: no channel is open"
        why = f"to close {facts.guarded} channel{'s' if facts.guarded > 1 else ''} by force"
        if facts.missing:
            return f"! deposit {money.shown(facts.missing)} more, {why}", WARN
        return f"{money.shown(facts.kept())} stay here, {why}"

    def _fees(self) -> str:
        fees = self.state.facts.fees
        if not self.state.can("feerates"):
            return "this node does not estimate them"
        if fees is None:
            return ""
        shown = " · ".join(speed.words for speed in fees.speeds)
        return f"{shown} sat/vB" if shown else fees.warning or "no estimates now"

    def head(self, name: str, cells: int) -> Row:
        room = cells - _AT_THE_END
        unit = str(self.state.money.unit)
        count = dict(self.sections())[name]
        if name == TRANSACTIONS:
            count_shown = f"{count:,}" if self.pages.complete else f"{count:,}+"
            columns = right(unit, 3) + left("  What", room - 29) + right("fee", 8)
        else:
            count_shown, columns = f"{count:,}", right(unit, room - 18)
        depth = right("" if name == CLOSING else "conf", 8)
        named = left(f"  {name}", 2 + len(name))
        return row(
            (named, STRONG), (f"{left(f' {count_shown}', 18 - len(name))}{columns}{depth}", QUIET)
        )

    def line(self, name: str, number: int, cells: int, *, chosen: bool) -> Row:
        room = cells - _AT_THE_END
        mark, ground = ("> ", CHOSEN) if chosen else ("  ", "")
        if name == COINS:
            shown = self._coin(self._coins[number], room)
        elif name == CLOSING:
            shown = self._close(self._settling[number], room)
        else:
            shown = self._transaction(self.pages.slice(number, 1)[0], room)
        word, style = shown.word
        return row(
            (f"{mark}{shown.text}{right(shown.depth, 8)}  ", ground),
            (left(word, 12) + " ", ground or style),
        )

    def _coin(self, coin: Coin, room: int) -> "_Line":
        amount = right(self.state.money.bare(coin.amount), 16)
        name = f"{middle_cut(coin.txid, 11)}:{coin.index}"
        address = left(middle_cut(coin.address, room - 33), room - 32)
        return _Line(f"{left(name, 16)}{address}{amount}", self._depth(coin.height), use(coin))

    def _close(self, channel: ChannelFacts, room: int) -> "_Line":
        amount = right(self.state.money.bare(self.state.facts.to_come(channel)), 16)
        name = left(name_of(channel.peer_id, self.state.names), 15) + " "
        return _Line(f"{name}{left(channel.status, room - 32)}{amount}", "", ("… closing", WARN))

    def _transaction(self, item: Item, room: int) -> "_Line":
        money = self.state.money
        amount = money.signed(item.amount, sign(item)) if item.amount else ""
        fee = money.bare(item.fee, up=True) if item.fee else ""
        at = when(item.at, self.state.clock()) if item.at else middle_cut(item.txid, 8)
        says = what(item, self.state.names)
        text = f"{left(at, 8)}{right(amount, 13)}  {left(says, room - 32)} {right(fee, 8)}"
        return _Line(text, self._depth(item.blockheight), status(item))

    def _depth(self, height: int | None) -> str:
        if not height:
            return "0"
        return f"{max(1, self.state.facts.node.height - height + 1):,}"

    # --- detail -------------------------------------------------------------------------------

    def _detail(self, chosen: Coin | ChannelFacts | Item, cells: int) -> list[Row]:
        if isinstance(chosen, Coin):
            return self._coin_in_full(chosen, cells)
        if isinstance(chosen, ChannelFacts):
            return self._close_in_full(chosen, cells)
        return self._transaction_in_full(chosen, cells)

    def _coin_in_full(self, coin: Coin, cells: int) -> list[Row]:
        word, style = use(coin)
        rows = InFull(cells)
        rows.title(self.state.money.shown(coin.amount), (word, style))
        rows.add("Depth", self._deep(coin.height))
        rows.add("From", *self._origin(coin))
        rows.wrap("Address", coin.address or "none that has a name")
        rows.wrap("Coin", coin.outpoint)
        if coin.held:
            rows.note("A transaction that is being made holds it.")
        elif coin.status != "confirmed":
            rows.note("It can be spent once it is in a block.")
        return rows.made

    def _origin(self, coin: Coin) -> list[str]:
        """What brought the coin, if that is on a page that was read."""
        known = self.pages.slice(0, len(self.pages))
        found = next((i for i in known if i.txid == coin.txid), None)
        if found is None:
            return []
        named = {"withdrawal": "change of a payment", "channel_open": "change of a channel"}
        says = named.get(found.kind, what(found, self.state.names))
        return [f"{says}, {when(found.at, self.state.clock())}" if found.at else says]

    def _close_in_full(self, channel: ChannelFacts, cells: int) -> list[Row]:
        money = self.state.money
        rows = InFull(cells)
        rows.title(name_of(channel.peer_id, self.state.names), ("… closing", WARN))
        rows.add("To come", money.shown(self.state.facts.to_come(channel)))
        rows.add("Yours", f"{money.bare(channel.ours)} when it ended")
        rows.add("State", *folded(channel.status, rows.room))
        rows.add("Capacity", money.shown(channel.capacity))
        rows.add("Place", channel.scid)
        rows.wrap("Channel", channel.channel_id)
        rows.note("What is yours comes back by itself, less the fee.")
        return rows.made

    def _transaction_in_full(self, item: Item, cells: int) -> list[Row]:
        money = self.state.money
        word, style = status(item)
        rows = InFull(cells)
        amount = money.signed(item.amount, sign(item))
        rows.title(f"{amount} {money.unit}" if item.amount else "Transaction", (word, style))
        rows.add("What", *folded(what(item, self.state.names), rows.room))
        if item.fee is not None:
            rows.add("Fee", money.shown(item.fee, up=True))
        if item.at:
            rows.add("When", moment(item.at, self.state.clock()))
        rows.add("Depth", self._deep(item.blockheight))
        if item.peer_id:
            rows.wrap("Peer", item.peer_id)
        rows.wrap("Txid", item.txid)
        return rows.made

    def _deep(self, height: int | None) -> str:
        if not height:
            return "in no block yet"
        deep = self._depth(height)
        return f"{deep} confirmation{'' if deep == '1' else 's'}, block {height:,}"


@dataclass(frozen=True, slots=True)
class _Line:
    """A row, in what all sections have."""

    text: str
    depth: str
    word: Span


def use(coin: Coin) -> Span:
    """What a coin can be used for now."""
    if coin.held:
        return "! held", WARN
    if coin.status == "confirmed":
        return "✓ free", GOOD
    return ("… pending", WARN) if coin.status == "unconfirmed" else (f"… {coin.status}", WARN)


def _empty(state: State, cells: int) -> list[Row]:
    return [
        EMPTY,
        row("      No coins on chain yet."),
        EMPTY,
        row("      ", ("a", KEY), "   an address to send coins to"),
        *(row("          ", *line) for line in first_coins(state.mining, cells - 11)),
        EMPTY,
        row(
            ("      A channel is opened from coins, and closing one brings them back here.", QUIET)
        ),
    ]
