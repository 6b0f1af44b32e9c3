"""The money check: whose is every coin that the chain knows?

It starts from the chain's set of unspent outputs, never from the nodes' word.  Each output must
belong to exactly one wallet or one channel, a channel only if both of its sides know it, agree on
how it is split, and build, each from its own records alone, the same two commitments; nobody may
claim a coin that the chain does not have; and all coins together are the subsidies of all blocks,
since the fees went to the miner.  What a commitment on the chain has not paid out yet is a claim
that waits: its channel's; of a channel that is settled only the anchors may be left.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

Coin = tuple[str, int]
"""txid, output index"""

ANCHOR_MSAT: Final = 330_000
"""BOLT 3: what an anchor output holds."""
_P2WSH: Final = "0020"
SPENT: Final = "spent"
LIVING: Final = frozenset(
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
    """One node's answers: `listfunds`, `listpeerchannels`, `commitments`, `listclosedchannels`."""

    name: str
    outputs: list[dict[str, Any]]
    channels: list[dict[str, Any]]
    commitments: list[dict[str, Any]]
    closed: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class MoneyCheck:
    """What was found, in how many coins. `owners`: satoshi by owner, by name."""

    mined_sat: int
    found_sat: int
    coins: int
    owners: dict[str, int]
    faults: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether every coin has one owner and none is missing."""
        return not self.faults and self.mined_sat == self.found_sat


def check_money(
    chain: Mapping[str, Any],
    faucet_script: str,
    books: Iterable[Books],
    parents: Callable[[str], Iterable[str]],
) -> MoneyCheck:
    """Compare the chain's `listutxos` with what the faucet and the nodes claim.

    `faucet_script` is in hexadecimal; `parents` tells which transactions one spends from.
    """
    faults: list[str] = []
    claims = _Claims(parents)
    for book in books:
        claims.add_wallet(book)
        claims.add_channels(book)
    owners: dict[str, int] = {}
    for utxo in chain["utxos"]:
        coin, amount = (utxo["txid"], utxo["vout"]), utxo["amount_sat"]
        script = str(utxo["scriptPubKey"])
        claimed = claims.take(coin)
        if script == faucet_script:
            claimed.append(("the faucet", amount * 1000))
        if not claimed:
            claimed = claims.waiting(coin, amount * 1000, script)
        if len(claimed) != 1:
            who = " and ".join(owner for owner, _ in claimed) or "nobody"
            faults.append(f"{_shown(coin)} with {amount:,} sat belongs to {who}")
            continue
        owner, said = claimed[0]
        if said != amount * 1000:
            faults.append(f"{owner}: {said:,} msat by their books, {amount:,} sat on the chain")
        owners[owner] = owners.get(owner, 0) + amount
    faults += claims.faults + claims.left_over()
    owners = dict(sorted(owners.items()))
    found = sum(owners.values())
    return MoneyCheck(chain["subsidies_sat"], found, len(chain["utxos"]), owners, tuple(faults))


@dataclass(frozen=True, slots=True)
class _Side:
    """What one node says of a channel."""

    name: str
    channel: dict[str, Any]
    commitments: dict[str, Any] | None

    @property
    def living(self) -> bool:
        """Whether the funding output is still the channel's."""
        return self.channel["state"] in LIVING


class _Claims:
    """Who says that a coin is theirs, and for how many satoshi."""

    def __init__(self, parents: Callable[[str], Iterable[str]]) -> None:
        self._parents = parents
        self._by_coin: dict[Coin, list[tuple[str, int]]] = {}
        self._channels: dict[Coin, list[_Side]] = {}
        self._commitments: dict[str, Coin] = {}
        self._settled: set[str] = set()
        self.faults: list[str] = []

    def add_wallet(self, book: Books) -> None:
        for output in book.outputs:
            if output["status"] != SPENT:
                coin = (output["txid"], output["output"])
                claim = (f"{book.name}'s wallet", output["amount_msat"])
                self._by_coin.setdefault(coin, []).append(claim)

    def add_channels(self, book: Books) -> None:
        built = {row["channel_id"]: row for row in book.commitments}
        self._settled.update(row["last_commitment_txid"] for row in book.closed)
        for channel in book.channels:
            coin = (channel["funding_txid"], channel["funding_outnum"])
            side = _Side(book.name, channel, built.get(channel["channel_id"]))
            self._channels.setdefault(coin, []).append(side)
            if not side.living and "scratch_txid" in channel:
                # Should it be on the chain, what is left of it awaits a delay or a deadline.
                self._commitments[channel["scratch_txid"]] = coin

    def take(self, coin: Coin) -> list[tuple[str, int]]:
        """The claims on a coin, which then count as answered."""
        claims = self._by_coin.pop(coin, [])
        if (both := self._channels.pop(coin, None)) is not None:
            claims.append((_channel_name(both), _agreed_msat(both)))
            self.faults += _disagreements(both)
        return claims

    def waiting(self, coin: Coin, amount_msat: int, script: str) -> list[tuple[str, int]]:
        """Whose a coin will be that no wallet can spend yet: a close has left it."""
        origins = [coin[0]]
        if self._commitments and script.startswith(_P2WSH):
            # BOLT 3: what an HTLC transaction takes out of a commitment waits once more.
            origins += self._parents(coin[0])
        for txid in origins:
            if txid in self._commitments:
                sides = self._channels[self._commitments[txid]]
                return [(f"a claim that waits, of {_channel_name(sides)}", amount_msat)]
        if coin[0] in self._settled and amount_msat == ANCHOR_MSAT:
            # BOLT 3: sixteen blocks after the commitment anybody may sweep what nobody needed.
            return [("anchors that anybody may sweep", amount_msat)]
        return []

    def left_over(self) -> list[str]:
        """A sentence for each coin that somebody claims and the chain does not have."""
        claimed = [(coin, owner) for coin, c in self._by_coin.items() for owner, _ in c]
        claimed += [
            (coin, _channel_name(sides))
            for coin, sides in self._channels.items()
            if any(side.living for side in sides)
        ]
        return [f"{owner} counts {_shown(c)}, which the chain lacks" for c, owner in claimed]


def _channel_name(sides: list[_Side]) -> str:
    return f"the channel of {' and '.join(side.name for side in sides)}"


def _agreed_msat(sides: list[_Side]) -> int:
    """What the shares of a channel at rest add up to: nothing if only one side knows it."""
    if len(sides) != 2:
        return 0
    return sum(int(side.channel["to_us_msat"]) for side in sides)


def _disagreements(sides: list[_Side]) -> list[str]:
    """A sentence for each commitment that the two sides of a living channel build differently."""
    if len(sides) != 2 or not all(side.living for side in sides):
        return []
    found = []
    for one, other in (sides, sides[::-1]):
        mine = one.commitments["ours"] if one.commitments else None
        theirs = other.commitments["theirs"] if other.commitments else None
        if mine is None or mine != theirs:
            found.append(
                f"{one.name} and {other.name} build two different commitments of {one.name}"
            )
    return found


def _shown(coin: Coin) -> str:
    return f"{coin[0][:12]}…:{coin[1]}"
