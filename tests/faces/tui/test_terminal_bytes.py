"""Whatever strangers write, the terminal is told nothing but what Textual has to say."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.faces.tui.corpus import INJECTIONS
from tests.faces.tui.fake_core import FakeCore
from tests.faces.tui.scenes import SIZES
from tests.faces.tui.strangers import Strangers
from tests.support.screen import Terminal
from tests.support.terminal_bytes import foreign
from wallet.faces.tui.safe_text import safe

FRAME = "\x1b[?1049h\x1b[?2026h\x1b[3;1H\x1b[1;38;5;109;48;5;16m› carol ▒░\x1b[0m\x1b[?2026l"
ADDRESS = "2N9hLwkSqr1cPQAPxbrGVUjxyjD11G2e1he"
PEER = f"02{'5a' * 32}@127.0.0.1:9735"


@pytest.mark.parametrize("text", INJECTIONS, ids=range(len(INJECTIONS)))
def test_scanner__finds_what_the_screens_would_replace_and_nothing_else(text: str) -> None:
    harmless = safe(text, len(text)) == text
    written = f"{FRAME}{text}{FRAME}".encode(errors="surrogatepass")
    assert (foreign(written) == []) is harmless


class Hand:
    """Types, and waits for the app's own words."""

    def __init__(self, terminal: Terminal, strangers: Strangers) -> None:
        self._terminal, self._strangers = terminal, strangers

    def press(self, keys: str, words: str) -> None:
        """Until the words have come."""
        self._terminal.type(keys)
        self._terminal.until(words)

    def refused(self, keys: str) -> None:
        """Until the refusal of what these keys ask for is told."""
        self.press(keys, f"refusal {self._strangers.refused + 1} ")

    def bare(self) -> None:
        """The main thing as plain text, on the bare terminal; then all of the app is back."""
        # Of a frame that is still being written, too.
        self._terminal.drain()
        before = self._body
        self.press("T", "Enter goes back.")
        self._terminal.type("\r")
        self._terminal.until_true(lambda _: self._body == before, "the app as it was")

    def paste(self, text: str) -> None:
        """As a terminal with bracketed paste hands it over."""
        harmless = text.encode(errors="ignore").decode().replace("\x1b", "")
        self._terminal.type(f"\x1b[200~{harmless}\x1b[201~")

    def tab(self) -> None:
        """To the next field: the one in front is underlined."""
        before = self._underlined
        self._terminal.type("\t")
        self._terminal.until_true(lambda _: self._underlined not in ([], before), "the next field")

    @property
    def _body(self) -> list[str]:
        """All rows below the title, which has a clock."""
        return self._terminal.rows[1:]

    @property
    def _underlined(self) -> list[int]:
        rows = self._terminal.screen.buffer.items()
        return [number for number, row in rows if any(c.underscore for c in row.values())]

    def leave(self, words: str = "╭─ ") -> None:
        """Escape, until the words have gone; else the sheet with its name in the border."""
        self._terminal.type("\x1b")
        self._terminal.until_true(lambda shown: words not in shown, f"{words!r} to go")

    def act(self, letter: str, words: str) -> None:
        """A sheet's letter: it acts only after a while, so it is pressed until it did."""
        for _ in range(40):
            self._terminal.type(letter)
            try:
                self._terminal.until(words, 0.3)
            except AssertionError:
                continue
            return
        self._terminal.until(words, 0)


def look_around(hand: Hand) -> None:
    """Every tab, its lists to the end, and what stands in one line in full."""
    hand.press("2", "[2 Activity]")
    hand.press("\x1b[6~\x1b[6~", "of 4")
    hand.press("\r", "esc back")
    hand.bare()
    hand.leave("esc back")
    hand.press("/", "drop it")
    hand.paste(INJECTIONS[1])
    hand.leave("drop it")
    hand.press("3", "[3 Channels]")
    hand.press("C", "judged")
    hand.press("\t\t", "judged")
    hand.leave()
    hand.press("GC", "╭─ Court")
    hand.leave()
    hand.press("G\r", "esc back")
    hand.bare()
    hand.leave("esc back")
    hand.press("5", "[5 Chain]")
    for _ in range(4):
        hand.press("\r\tj", "[5 Chain]")
    for number, title in ((6, "Swaps"), (8, "Log"), (7, "Demo"), (1, "Home")):
        hand.press(str(number), f"[{number} {title}]")
    hand.press("?", "Everywhere")
    hand.leave()
    hand.press(":", "Search for")
    hand.leave("Search for")


def meet(hand: Hand) -> None:
    # Which of the two lists comes first is not told, and `d` is for the first row.
    hand.press("4", "Known nodes 1 ")
    hand.press("", "Peers 1 of 2")
    hand.refused("d")
    hand.press("d", "✓ Disconnected")
    hand.press("c", "╭─ Connect")
    hand.paste(PEER)
    hand.refused("\r")
    hand.press("\r", "Node id")
    hand.leave()


def ask(hand: Hand) -> None:
    """The console of the log, and what it does not ask."""
    hand.press("8", "[8 Log]")
    hand.press("\tgetinfo\r", '"network"')
    hand.press("listpeers\r", '"netaddr"')
    hand.press("close bob\r", "Not asked")
    hand.press("\x1b", "f follow")
    hand.press("1", "[1 Home]")


def send(hand: Hand) -> None:
    hand.press("s", "Paste an invoice")
    for text in INJECTIONS[::4]:
        hand.paste(text)
    hand.press("\r", "Send · review")
    hand.act("p", "Send · failed")
    hand.leave()
    hand.press("s", "Paste an invoice")
    hand.paste("lnbcrt1")
    hand.press("\r", "Send · review")
    hand.act("p", "Send · done")
    hand.leave()


def receive(hand: Hand) -> None:
    hand.press("r", "what for")
    hand.press("1000", "1000")
    hand.tab()
    hand.paste(INJECTIONS[9])
    hand.press("\r", "single use")
    hand.press("z\t", "On-chain address")
    hand.leave()


def move_coins(hand: Hand) -> None:
    hand.press("3", "[3 Channels]")
    hand.press("o", "ID@HOST:PORT")
    hand.paste(PEER)
    hand.tab()
    hand.press("100000\r", "Press o to open")
    hand.act("o", "Not opened")
    hand.press("e", "Announce")
    hand.press("\r", "Press o to open")
    hand.act("o", "Funding")
    hand.leave()
    hand.press("5", "[5 Chain]")
    hand.press("w", "bitcoin:…")
    hand.paste(f"bitcoin:{ADDRESS}?amount=0.0005&message=%1b]0;x%07%e2%80%ae")
    hand.press("\r", "Press w to withdraw")
    hand.act("w", "Not sent")
    hand.press("e", "confirmed on chain")
    hand.press("\r", "Press w to withdraw")
    hand.act("w", "y copy")
    hand.leave()


def close_channels(hand: Hand) -> None:
    hand.press("3", "[3 Channels]")
    hand.press("gf", "What others pay")
    hand.press("\r", "Press f to")
    hand.act("f", "Not changed")
    hand.leave()
    hand.press("c", "Press c to close")
    hand.act("c", "Not closed")
    hand.leave()
    hand.press("jc", "is offline")
    hand.refused("t")
    hand.press("X", "cannot be undone")
    hand.press("force close", "then enter.  ")
    hand.act("\r", "waits for its block")
    hand.leave()


def play(hand: Hand) -> None:
    """The control room: each of its keys, and each of its menus."""
    hand.press("7", "[7 Demo]")
    hand.refused("m")
    hand.press("f", "faucet, in block")
    hand.press("c", "not counted now")
    for key, name in (("M", "Mine"), ("t", "Payments between"), ("S", "A story")):
        hand.press(key, f"╭─ {name}")
        hand.refused("1")
    hand.press("b", "╭─ Break, or mend")
    hand.press("2", "as if its power")
    hand.refused("k")
    hand.press("i", "╭─ Buy something")
    hand.press("2", "✗ no daemon at")
    hand.press("i", "╭─ Buy something")
    hand.press("1", "Send · review")
    hand.leave()


Walk = tuple[Callable[[Hand], None], ...]
WALKS: dict[str, Walk] = {
    "80x24": (look_around, meet, ask, receive, play),
    # The other sheets are the same in every window.
    "120x40": (look_around, meet, ask, send, receive, move_coins, close_channels, play),
}


@pytest.mark.parametrize("size", WALKS)
async def test_every_screen_and_sheet__only_textuals_own_sequences(
    tmp_path: Path, size: str
) -> None:
    strangers = Strangers()
    home = tmp_path / "you" / "regtest"
    home.mkdir(parents=True)
    core = FakeCore(home / "lightning-rpc", strangers.core())
    seller = FakeCore(tmp_path / "bob", {"invoice": lambda _params: {"bolt11": strangers.text()}})
    town = FakeCore(tmp_path / "town-rpc", strangers.town(seller.path))
    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as stack:
        for fake in (core, seller, town):
            await fake.start()
            stack.push_async_callback(fake.close)
        terminal = stack.enter_context(Terminal(["--rpc-file", str(core.path), "tui"], SIZES[size]))

        def tell(topic: str, **payload: object) -> None:
            asyncio.run_coroutine_threadsafe(core.tell(topic, **payload), loop).result(5)

        hand = Hand(terminal, strangers)

        def walk() -> None:
            terminal.until("catching up with the chain")
            hand.press("\x1b", "Can send now")
            getinfo = core.replies["getinfo"]
            assert isinstance(getinfo, dict)
            del getinfo["warning_lightningd_sync"]
            for text in INJECTIONS:
                tell("invoice_payment", label=text, description=text, amount_msat=1_000)
            # All of them are told: the notice row, which a walk compares, stays as it is.
            terminal.until(f"✓ Received 1 sat  {safe(INJECTIONS[-1], 60)}")
            for part in WALKS[size]:
                part(hand)
            getinfo["locked"] = True
            tell("wallet_locked")
            terminal.until("The wallet is locked")
            hand.press("password\r", "Not opened")
            hand.leave()
            terminal.type("q")
            assert terminal.ended() == 0

        await asyncio.to_thread(walk)
        assert foreign(bytes(terminal.written)) == []
