"""What the first run asks of whoever opened it: words, checks, and the wallet itself."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Protocol


class Outcome(Enum):
    """How the first run ended."""

    READY = auto()
    """There is a wallet, and it is known which chain it is on."""
    DEMO = auto()


@dataclass(frozen=True, slots=True)
class ChainChoice:
    """Where blocks come from: the embedded chain, or a bitcoind at `url`."""

    url: str = ""
    cookie: str = ""

    @property
    def embedded(self) -> bool:
        """Whether it is the chain that this program brings."""
        return not self.url


@dataclass(frozen=True, slots=True)
class Order:
    """The wallet that a person wants. Its secrets are in no representation of it."""

    chain: ChainChoice
    phrase: tuple[str, ...] = field(repr=False)
    password: str = field(repr=False)
    restored: bool = False


class Port(Protocol):
    """Whoever opened the first run. Sentences that it answers are for people, and from us."""

    @property
    def directory(self) -> str:
        """Where the wallet will be, as it is shown."""

    @property
    def network(self) -> str:
        """The one that this wallet is on."""

    @property
    def has_built_in_chain(self) -> bool:
        """Whether this program brings a chain of that network."""

    @property
    def networks(self) -> Sequence[tuple[str, bool]]:
        """Their names, and whether this version may run there."""

    @property
    def has_wallet(self) -> bool:
        """Whether only the chain has to be chosen."""

    @property
    def bitcoind(self) -> ChainChoice:
        """Where one would be, to begin with."""

    def words(self) -> Sequence[str]:
        """The list that phrases are made of, in order."""

    def new_phrase(self, count: int) -> tuple[str, ...]:
        """Fresh words; nothing is written."""

    def questions(self, count: int) -> Sequence[int]:
        """Which words to ask for, from 1 on, ascending."""

    def phrase_trouble(self, words: Sequence[str]) -> str:
        """Why no wallet can be restored from these; empty if one can."""

    async def chain_trouble(self, chain: ChainChoice) -> str:
        """Why this chain cannot be used; empty if it can. Asks it."""

    def keep_chain(self, chain: ChainChoice) -> None:
        """For a wallet that is there already. Raises `WalletError`."""

    async def make(self, order: Order) -> None:
        """Write the wallet, and keep the choice of its chain. Raises `WalletError`."""
