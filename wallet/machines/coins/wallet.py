"""The on-chain wallet as a value: its addresses, its coins, the transactions it has sent.

Rule 1: what follows from other facts is asked, never stored: whether a coin is spent for good,
whether an unconfirmed one can be trusted.  So a reorganisation has nothing to repair but heights.
Rule 2: the transactions in `sent` never conflict with each other; a replacement drops the first.
Rule 3: a key is watched before its address is shown: always `GAP` keys ahead of the next one.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from wallet.base.bitcoin.script import p2tr, p2wpkh
from wallet.base.bitcoin.taproot import x_only
from wallet.base.bitcoin.transaction import Transaction, TxOut
from wallet.base.errors import Refused, ensure
from wallet.base.values.amounts import Satoshi, sum_sat
from wallet.base.values.ids import OutPoint, Point, Txid
from wallet.machines.signing import WalletKey

GAP: Final = 20
"""BIP 44's gap limit: how many unused keys a restored wallet looks past."""
COINBASE_MATURITY: Final = 100
"""Consensus: blocks between a coinbase and the first block that may spend it."""
P2WPKH: Final = 84
"""BIP 84's purpose."""
P2TR: Final = 86
"""BIP 86's purpose."""


@dataclass(frozen=True, slots=True)
class Address:
    """An output script of ours. `pubkey` is what it shows: for P2TR the tweaked output key."""

    key: WalletKey
    pubkey: Point
    script_pubkey: bytes


@dataclass(frozen=True, slots=True)
class Branch:
    """The keys under one purpose and `change` (0 receiving, 1 change).

    Keys below `next_index` have been shown or paid; keys below `derived` are watched.
    """

    purpose: int
    change: int
    next_index: int = 0
    derived: int = 0


@dataclass(frozen=True, slots=True)
class Coin:
    """An output of ours, spent or not.

    `height` is None while it is in no block of the best chain.  `spent_by` without `spent_height`
    is a transaction of ours that waits for its block.  `reserved_by` is whoever plans to spend it.
    """

    outpoint: OutPoint
    amount: Satoshi
    script_pubkey: bytes
    key: WalletKey
    pubkey: Point
    height: int | None
    coinbase: bool = False
    reserved_by: bytes | None = None
    spent_by: Txid | None = None
    spent_height: int | None = None

    @property
    def output(self) -> TxOut:
        """As it stands in its transaction."""
        return TxOut(self.amount, self.script_pubkey)


@dataclass(frozen=True, slots=True)
class Sent:
    """A transaction that we have given to the network, until its fate is buried.

    `height` is that of its block; `rival_height` that of a block in which another transaction
    spends one of its inputs, so that this one is void as long as that block stands.
    """

    tx: Transaction
    height: int | None = None
    rival_height: int | None = None


class CoinStatus(StrEnum):
    """What `listfunds` says of an output, in Core Lightning's words."""

    CONFIRMED = "confirmed"
    UNCONFIRMED = "unconfirmed"
    IMMATURE = "immature"
    SPENT = "spent"


@dataclass(frozen=True, slots=True)
class Balance:
    """Unspent money on chain, each satoshi in one part only."""

    confirmed: Satoshi
    unconfirmed: Satoshi
    immature: Satoshi
    """Mined, but younger than `COINBASE_MATURITY`."""
    reserved: Satoshi
    """Promised to a transaction that is being made."""

    @property
    def total(self) -> Satoshi:
        """All four."""
        return sum_sat((self.confirmed, self.unconfirmed, self.immature, self.reserved))


_BRANCHES: Final = tuple(Branch(purpose, change) for purpose in (P2WPKH, P2TR) for change in (0, 1))


@dataclass(frozen=True, slots=True)
class Wallet:
    """Everything the machine knows. Knows no key and no tip: both come as arguments.

    From the phrase alone it starts empty and scans; from stored rows it is `restored`.
    """

    addresses: Mapping[bytes, Address] = field(default_factory=dict)
    """By `script_pubkey`."""
    coins: Mapping[OutPoint, Coin] = field(default_factory=dict)
    sent: Mapping[Txid, Sent] = field(default_factory=dict)
    branches: tuple[Branch, ...] = _BRANCHES

    def branch(self, purpose: int, change: int) -> Branch:
        """The branch of a purpose (84, 86) and change (0, 1)."""
        for branch in self.branches:
            if (branch.purpose, branch.change) == (purpose, change):
                return branch
        raise Refused(f"There are no on-chain keys of purpose {purpose}, change {change}", -32602)

    def with_branch(self, changed: Branch) -> "Wallet":
        """The wallet with `changed` in the place of the branch of that purpose and change."""
        place = (changed.purpose, changed.change)
        return replace(
            self,
            branches=tuple(
                changed if (branch.purpose, branch.change) == place else branch
                for branch in self.branches
            ),
        )


# --- addresses ----------------------------------------------------------------------------------


def wanted(wallet: Wallet, lookahead: int = GAP) -> tuple[WalletKey, ...]:
    """The keys whose public side must be derived next; give each, in this order, to `with_address`.

    When a block has made this non-empty, answer it and connect the same block again: it may pay
    one of the new keys too.  A larger `lookahead` finds money behind a larger gap.
    """
    return tuple(
        WalletKey(branch.purpose, branch.change, index)
        for branch in wallet.branches
        for index in range(branch.derived, branch.next_index + lookahead)
    )


def with_address(wallet: Wallet, key: WalletKey, pubkey: Point) -> Wallet:
    """The wallet that also watches `key`; the same wallet when it does so already."""
    return with_addresses(wallet, ((key, pubkey),))


def with_addresses(wallet: Wallet, answers: Iterable[tuple[WalletKey, Point]]) -> Wallet:
    """As `with_address` for many keys at once, in the order in which they were wanted."""
    addresses: dict[bytes, Address] = {}
    watching = wallet
    for key, pubkey in answers:
        branch = watching.branch(key.purpose, key.change)
        if key.index < branch.derived:
            continue
        ensure(key.index == branch.derived, f"{key} was not asked for: {branch.derived} is next")
        script_pubkey = p2wpkh(pubkey) if key.purpose == P2WPKH else p2tr(x_only(pubkey))
        addresses[script_pubkey] = Address(key, pubkey, script_pubkey)
        watching = watching.with_branch(replace(branch, derived=key.index + 1))
    if not addresses:
        return wallet
    return replace(watching, addresses={**wallet.addresses, **addresses})


def new_address(wallet: Wallet, purpose: int = P2TR) -> tuple[Wallet, Address]:
    """A receiving address that was never shown before. Raises `Refused`."""
    branch = wallet.branch(purpose, 0)
    address = _address(wallet, WalletKey(purpose, 0, branch.next_index))
    return wallet.with_branch(replace(branch, next_index=branch.next_index + 1)), address


def change_script(wallet: Wallet, purpose: int = P2TR) -> bytes:
    """The `script_pubkey` for the change of the next transaction. Raises `Refused`.

    Asking does not use it up, only a transaction that pays it does: were every failed opening to
    leave a gap, a restored wallet would one day not find its own change.
    """
    branch = wallet.branch(purpose, 1)
    return _address(wallet, WalletKey(purpose, 1, branch.next_index)).script_pubkey


def _address(wallet: Wallet, key: WalletKey) -> Address:
    for address in wallet.addresses.values():
        if address.key == key:
            return address
    raise Refused("The next address is not derived yet; ask again in a moment")


def seen_paid(wallet: Wallet, key: WalletKey) -> Wallet:
    """The wallet after a payment to `key`: that address is not given out again."""
    branch = wallet.branch(key.purpose, key.change)
    if key.index < branch.next_index:
        return wallet
    return wallet.with_branch(replace(branch, next_index=key.index + 1))


# --- questions ----------------------------------------------------------------------------------


def is_void(wallet: Wallet, txid: Txid) -> bool:
    """Whether a sent transaction, or one it builds on, has lost to a rival in the best chain."""
    entry = wallet.sent.get(txid)
    if entry is None or entry.height is not None:
        return False
    return entry.rival_height is not None or any(
        is_void(wallet, parent) for parent in {i.outpoint.txid for i in entry.tx.inputs}
    )


def is_spent(wallet: Wallet, coin: Coin) -> bool:
    """Whether a coin is spent, by a block or by a transaction of ours that can still confirm."""
    if coin.spent_height is not None:
        return True
    return coin.spent_by is not None and not is_void(wallet, coin.spent_by)


def is_trusted(wallet: Wallet, coin: Coin) -> bool:
    """Whether only we could undo a coin: it is in a block, or a transaction of ours pays it.

    Ours are those that spend nothing but trusted coins of this wallet.
    """
    return coin.height is not None or _is_ours(wallet, coin.outpoint.txid)


def _is_ours(wallet: Wallet, txid: Txid) -> bool:
    entry = wallet.sent.get(txid)
    if entry is None:
        return False
    parents = [wallet.coins.get(txin.outpoint) for txin in entry.tx.inputs]
    waiting = {p.outpoint.txid for p in parents if p is not None and p.height is None}
    return None not in parents and all(_is_ours(wallet, parent) for parent in waiting)


def known_coins(wallet: Wallet) -> Iterator[Coin]:
    """Every coin, spent ones too, but those of transactions that are void."""
    return (
        coin
        for coin in wallet.coins.values()
        if coin.height is not None or not is_void(wallet, coin.outpoint.txid)
    )


def status(wallet: Wallet, coin: Coin, height: int) -> CoinStatus:
    """What a coin is while the tip is at `height`."""
    if is_spent(wallet, coin):
        return CoinStatus.SPENT
    if coin.height is None:
        return CoinStatus.UNCONFIRMED
    # The next block, height + 1, is the first that could hold a spend.
    if coin.coinbase and height + 1 - coin.height < COINBASE_MATURITY:
        return CoinStatus.IMMATURE
    return CoinStatus.CONFIRMED


def balance(wallet: Wallet, height: int) -> Balance:
    """What is ours while the tip is at `height`."""
    sums = dict.fromkeys(("confirmed", "unconfirmed", "immature", "reserved"), Satoshi(0))
    for coin in known_coins(wallet):
        part = status(wallet, coin, height)
        if part is not CoinStatus.SPENT:
            name = "reserved" if coin.reserved_by is not None else part.value
            sums[name] += coin.amount
    return Balance(**sums)


def spendable(wallet: Wallet, height: int, min_confirmations: int = 0) -> tuple[Coin, ...]:
    """The coins that a new transaction may spend while the tip is at `height`.

    Unspent, unreserved, mature; unconfirmed ones only if they are our own change.
    """
    return tuple(
        coin
        for coin in known_coins(wallet)
        if coin.reserved_by is None
        and status(wallet, coin, height) in (CoinStatus.CONFIRMED, CoinStatus.UNCONFIRMED)
        and is_trusted(wallet, coin)
        and (0 if coin.height is None else height + 1 - coin.height) >= min_confirmations
    )


# --- storage ------------------------------------------------------------------------------------


def restored(coins: Iterable[Coin], sent: Iterable[Sent], branches: Iterable[Branch]) -> Wallet:
    """The wallet of stored rows. It wants the keys of its addresses again, which nobody stores."""
    wallet = Wallet(
        coins={coin.outpoint: coin for coin in coins},
        sent={entry.tx.txid: entry for entry in sent},
    )
    for branch in branches:
        wallet = wallet.with_branch(replace(branch, derived=0))
    return wallet


@dataclass(frozen=True, slots=True)
class Changes:
    """What a store must write to follow from one wallet to the next."""

    coins: tuple[Coin, ...] = ()
    gone: tuple[OutPoint, ...] = ()
    sent: tuple[Sent, ...] = ()
    unsent: tuple[Txid, ...] = ()
    branches: tuple[Branch, ...] = ()

    def __bool__(self) -> bool:
        return any((self.coins, self.gone, self.sent, self.unsent, self.branches))


_NOTHING: Final = Changes()


def difference(before: Wallet, after: Wallet) -> Changes:
    """What is new or other in `after`, and what is no longer there. Addresses are derived again."""
    if before is after:
        return _NOTHING
    return Changes(
        coins=tuple(c for o, c in after.coins.items() if before.coins.get(o) != c),
        gone=tuple(o for o in before.coins if o not in after.coins),
        sent=tuple(s for t, s in after.sent.items() if before.sent.get(t) != s),
        unsent=tuple(t for t in before.sent if t not in after.sent),
        branches=tuple(b for b in after.branches if b not in before.branches),
    )
