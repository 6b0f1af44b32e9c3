"""A first run, fixed: a phrase, a password, and a port that makes nothing."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from textual.pilot import Pilot

from tests.faces.tui.scenes import NOW, grid, until
from wallet.base.crypto.mnemonic import word_list
from wallet.base.errors import Refused
from wallet.faces.tui.setup.app import FirstRun
from wallet.faces.tui.setup.port import ChainChoice, Order

LINE = "sand purpose flower ladder orbit glance annual copper velvet mosquito drift quiz"
PHRASE = tuple(LINE.split())
PASSWORD = "C0rrect-H0rse+9&Tr?e?"


class FakePort:
    """Remembers what it was asked to make."""

    networks = (("regtest", True), ("signet", True), ("testnet4", True), ("bitcoin", False))

    def __init__(self, *, has_wallet: bool = False, network: str = "regtest") -> None:
        self.has_wallet = has_wallet
        self.network = network
        self.has_built_in_chain = network == "regtest"
        self.directory = f"~/.leyden/{network}"
        port = 18443 if self.has_built_in_chain else 38332
        self.bitcoind = ChainChoice(f"http://127.0.0.1:{port}", f"~/.bitcoin/{network}/.cookie")
        self.trouble = ""
        self.refusal = ""
        self.made: list[Order] = []
        self.kept: list[ChainChoice] = []

    def words(self) -> Sequence[str]:
        return word_list()

    def new_phrase(self, count: int) -> tuple[str, ...]:
        return (PHRASE * 2)[:count]

    def questions(self, count: int) -> Sequence[int]:
        return (3, 9, 11)

    def phrase_trouble(self, words: Sequence[str]) -> str:
        return "" if tuple(words) == PHRASE else "the checksum is wrong"

    async def chain_trouble(self, chain: ChainChoice) -> str:
        return self.trouble

    def keep_chain(self, chain: ChainChoice) -> None:
        self.kept.append(chain)

    async def make(self, order: Order) -> None:
        if self.refusal:
            raise Refused(self.refusal)
        self.made.append(order)


@asynccontextmanager
async def first_run(port: FakePort, size: tuple[int, int] = (80, 24)) -> AsyncIterator[Pilot[Any]]:
    """The wizard on that port."""
    async with FirstRun(port, lambda: NOW).run_test(size=size) as pilot:
        await shows(pilot, "Set up")
        yield pilot


async def shows(pilot: Pilot[Any], words: str) -> None:
    """Wait until the words stand there."""
    await until(pilot, lambda: words in grid(pilot), repr(words))
