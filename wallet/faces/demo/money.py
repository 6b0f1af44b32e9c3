"""The money check: whose is every coin that the chain knows?

It starts from the chain's set of unspent outputs, never from the nodes' word.  Each output must
belong to exactly one wallet or one channel, a channel only if both of its sides know it and agree
on how it is split; nobody may claim a coin that the chain does not have; and all coins together are
the subsidies of all blocks, since the fees went to the miner.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

Coin = tuple[str, int]
"""txid, output index"""

_SPENT: Final = "spent"
_LIVING: Final = frozenset(
    {
        "CHANNELD_AWAITING_LOCKIN",
        "CHANNELD_NORMAL",
        "CHANNELD_SHUTTING_DOWN",
        "CLOSINGD_SIGEXCHANGE",
    }
)
"""States in which a channel still claims its funding output; later its wallets do."""


@dataclass(frozen=True, slots=True)
class Books:
    """One node's answers: `listfunds`' outputs and `listpeerchannels`' channels."""

    name: str
    outputs: list[dict[str, Any]]
    channels: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class MoneyCheck:
    """What was found. `owners`: satoshi by owner, by name."""

    mined_sat: int
    found_sat: int
    owners: dict[str, int]
    faults: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether every coin has one owner and none is missing."""
        return not self.faults and self.mined_sat == self.found_sat


def check_money(chain: Mapping[str, Any], faucet_script: str, books: Iterable[Books]) -> MoneyCheck:
    """Compare the chain's `listutxos` with what the faucet and the nodes claim.

    `faucet_script` is in hexadecimal.
    """
    faults: list[str] = []
    claims = _Claims()
    for book in books:
        claims.add_wallet(book)
        claims.add_channels(book)
    owners: dict[str, int] = {}
    for utxo in chain["utxos"]:
        coin, amount = (utxo["txid"], utxo["vout"]), utxo["amount_sat"]
        claimed = claims.take(coin)
        if utxo["scriptPubKey"] == faucet_script:
            claimed.append(("the faucet", amount * 1000))
        if len(claimed) != 1:
            who = " and ".join(owner for owner, _ in claimed) or "nobody"
            faults.append(f"{_shown(coin)} with {amount:,} sat belongs to {who}")
            continue
        owner, said = claimed[0]
        if said != amount * 1000:
            faults.append(f"{owner}: {said:,} msat by their books, {amount:,} sat on the chain")
        owners[owner] = owners.get(owner, 0) + amount
    faults += claims.left_over()
    owners = dict(sorted(owners.items()))
    return MoneyCheck(chain["subsidies_sat"], sum(owners.values()), owners, tuple(faults))


class _Claims:
    """Who says that a coin is theirs, and for how many satoshi."""

    def __init__(self) -> None:
        self._by_coin: dict[Coin, list[tuple[str, int]]] = {}
        self._channels: dict[Coin, list[tuple[str, dict[str, Any]]]] = {}

    def add_wallet(self, book: Books) -> None:
        for output in book.outputs:
            if output["status"] != _SPENT:
                coin = (output["txid"], output["output"])
                claim = (f"{book.name}'s wallet", output["amount_msat"])
                self._by_coin.setdefault(coin, []).append(claim)

    def add_channels(self, book: Books) -> None:
        for channel in book.channels:
            coin = (channel["funding_txid"], channel["funding_outnum"])
            self._channels.setdefault(coin, []).append((book.name, channel))

    def take(self, coin: Coin) -> list[tuple[str, int]]:
        """The claims on a coin, which then count as answered."""
        claims = self._by_coin.pop(coin, [])
        sides = self._channels.pop(coin, None)
        if sides is not None:
            claims.append((_channel_name(sides), _agreed_msat(sides)))
        return claims

    def left_over(self) -> list[str]:
        """A sentence for each coin that somebody claims and the chain does not have."""
        claimed = [(coin, owner) for coin, c in self._by_coin.items() for owner, _ in c]
        claimed += [
            (coin, _channel_name(sides))
            for coin, sides in self._channels.items()
            if any(channel["state"] in _LIVING for _, channel in sides)
        ]
        return [f"{owner} counts {_shown(c)}, which the chain lacks" for c, owner in claimed]


def _channel_name(sides: list[tuple[str, dict[str, Any]]]) -> str:
    return f"the channel of {' and '.join(name for name, _ in sides)}"


def _agreed_msat(sides: list[tuple[str, dict[str, Any]]]) -> int:
    """What the shares of a channel at rest add up to: nothing if only one side knows it."""
    if len(sides) != 2:
        return 0
    return sum(int(channel["to_us_msat"]) for _, channel in sides)


def _shown(coin: Coin) -> str:
    return f"{coin[0][:12]}…:{coin[1]}"
