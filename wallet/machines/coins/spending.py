"""From a plan to spend coins to a transaction on its way, and back when it comes to nothing."""

from dataclasses import replace

from wallet.base.bitcoin.transaction import Transaction
from wallet.base.errors import ensure
from wallet.base.values.ids import OutPoint, Txid
from wallet.machines.coins.selection import Selection
from wallet.machines.coins.wallet import Coin, Sent, Wallet, is_spent, is_void, seen_paid


def reserve(wallet: Wallet, selection: Selection, owner: bytes) -> Wallet:
    """The wallet in which no one but `owner` spends the inputs of `selection`."""
    coins = dict(wallet.coins)
    for chosen in selection.inputs:
        coin = wallet.coins.get(chosen.outpoint, chosen)
        free = coin.reserved_by in (None, owner) and not is_spent(wallet, coin)
        ensure(free and coin.outpoint in coins, f"the coin {coin.outpoint} is not free")
        coins[coin.outpoint] = replace(coin, reserved_by=owner)
    return replace(wallet, coins=coins)


def release(wallet: Wallet, owner: bytes) -> Wallet:
    """The wallet without the reservations of `owner`."""
    coins: dict[OutPoint, Coin] = {}
    for outpoint, coin in wallet.coins.items():
        if coin.reserved_by != owner:
            coins[outpoint] = coin
        else:
            free = replace(coin, reserved_by=None)
            if not _stray(wallet, free):
                coins[outpoint] = free
    return replace(wallet, coins=coins)


def spent(wallet: Wallet, tx: Transaction) -> Wallet:
    """The wallet after we have given `tx` to the network, for the first time or again.

    Its inputs are spent and no longer reserved, its outputs to us appear unconfirmed.  Sent
    transactions that it replaces (BIP 125) are forgotten, and with them what builds on them.
    Changes nothing when the transaction is no affair of this wallet, or when the chain has already
    decided on it.
    """
    inputs = {txin.outpoint for txin in tx.inputs}
    spends = [wallet.coins[outpoint] for outpoint in inputs if outpoint in wallet.coins]
    pays = {
        tx.outpoint(index): wallet.addresses[output.script_pubkey]
        for index, output in enumerate(tx.outputs)
        if output.script_pubkey in wallet.addresses
    }
    if tx.txid in wallet.sent or not (spends or pays):
        return wallet
    known = [wallet.coins[outpoint] for outpoint in pays if outpoint in wallet.coins]
    if any(c.spent_height is not None for c in spends) or any(c.height is not None for c in known):
        return wallet
    for txid, entry in wallet.sent.items():
        if any(txin.outpoint in inputs for txin in entry.tx.inputs):
            wallet = forget(wallet, txid)
    coins = dict(wallet.coins)
    for coin in spends:
        # What this transaction replaces may have paid the coin: then it is gone.
        if coin.outpoint in coins:
            coins[coin.outpoint] = replace(coin, reserved_by=None, spent_by=tx.txid)
    for outpoint, address in pays.items():
        amount = tx.outputs[outpoint.index].amount
        coins[outpoint] = Coin(
            outpoint, amount, address.script_pubkey, address.key, address.pubkey, height=None
        )
        wallet = seen_paid(wallet, address.key)
    return replace(wallet, coins=coins, sent={**wallet.sent, tx.txid: Sent(tx)})


def forget(wallet: Wallet, txid: Txid) -> Wallet:
    """The wallet as if an unconfirmed transaction of ours had never been sent.

    For one that the network refuses.  Danger: one that a peer holds may confirm all the same; its
    block then tells us.
    """
    entry = wallet.sent.get(txid)
    if entry is None or entry.height is not None:
        return wallet
    for other, child in wallet.sent.items():
        if any(txin.outpoint.txid == txid for txin in child.tx.inputs):
            wallet = forget(wallet, other)
    sent = {t: s for t, s in wallet.sent.items() if t != txid}
    left = replace(wallet, sent=sent)
    coins: dict[OutPoint, Coin] = {}
    for outpoint, known in wallet.coins.items():
        free = known.spent_by == txid and known.spent_height is None
        coin = replace(known, spent_by=None) if free else known
        if outpoint.txid != txid and not (free and _stray(left, coin)):
            coins[outpoint] = coin
    return replace(left, coins=coins)


def leant_on(wallet: Wallet) -> set[Txid]:
    """What others sent, and a reorganisation took out of its block, while ours spends or plans to.

    Claims of channels are such: the wallet has not sent them itself.
    """
    waiting = (coin for coin in wallet.coins.values() if coin.height is None)
    wanted = {
        c.outpoint.txid for c in waiting if c.spent_by is not None or c.reserved_by is not None
    }
    return wanted - wallet.sent.keys()


def vouched(wallet: Wallet, tx: Transaction) -> Wallet:
    """The wallet that offers such a transaction again: so a rival in a block makes ours void."""
    return replace(wallet, sent={**wallet.sent, tx.txid: Sent(tx)})


def unconfirmed(wallet: Wallet) -> tuple[Transaction, ...]:
    """Our transactions that wait for a block, parents first: what to broadcast again."""
    waiting = {
        txid: entry.tx
        for txid, entry in wallet.sent.items()
        if entry.height is None and not is_void(wallet, txid)
    }
    ordered: dict[Txid, Transaction] = {}

    def add(txid: Txid) -> None:
        if txid in waiting and txid not in ordered:
            for txin in waiting[txid].inputs:
                add(txin.outpoint.txid)
            ordered[txid] = waiting[txid]

    for txid in waiting:
        add(txid)
    return tuple(ordered.values())


def _stray(wallet: Wallet, coin: Coin) -> bool:
    """Whether nothing speaks for a coin: no block, no transaction of ours, no plan to spend it."""
    return (
        coin.height is None
        and coin.outpoint.txid not in wallet.sent
        and coin.reserved_by is None
        and coin.spent_by is None
    )
