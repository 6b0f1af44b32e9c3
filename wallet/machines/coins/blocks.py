"""Blocks come and go: what they pay us, what they spend, which of our transactions they hold.

Rule 1: connecting the same block twice is connecting it once; so it can be scanned again when new
addresses have been derived.
Rule 2: disconnecting undoes connecting, in coins and sent transactions alike; only an address that
was paid stays used.  Blocks come off in the reverse of the order in which they came.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from wallet.base.bitcoin.transaction import Transaction
from wallet.base.values.ids import OutPoint, Txid
from wallet.machines.coins.spending import forget
from wallet.machines.coins.wallet import Changes, Coin, Sent, Wallet, difference, seen_paid

BURIED: Final = 100
"""A transaction of ours that is this deep, or whose rival is, need not be sent again."""
_NO_TXID: Final = Txid(bytes(32))


def connect_block(
    wallet: Wallet, height: int, transactions: Sequence[Transaction]
) -> tuple[Wallet, Changes]:
    """The wallet after a block at `height` with these transactions, in their order."""
    coins, sent = dict(wallet.coins), dict(wallet.sent)
    spends = _spends(sent)
    paid = wallet
    touched = False
    for tx in transactions:
        for txin in tx.inputs:
            coin = coins.get(txin.outpoint)
            if coin is not None:
                coins[txin.outpoint] = replace(coin, spent_by=tx.txid, spent_height=height)
                touched = True
            rival = spends.get(txin.outpoint)
            # Of two rivals the first counts: a reorganisation takes it away last.
            if rival is not None and rival != tx.txid and sent[rival].rival_height is None:
                sent[rival] = replace(sent[rival], rival_height=height)
                touched = True
        if sent and tx.txid in sent:
            sent[tx.txid] = replace(sent[tx.txid], height=height)
            touched = True
        for index, output in enumerate(tx.outputs):
            address = wallet.addresses.get(output.script_pubkey)
            if address is None:
                continue
            outpoint = tx.outpoint(index)
            known = coins.get(outpoint)
            coins[outpoint] = (
                replace(known, height=height)
                if known is not None
                else Coin(
                    outpoint,
                    output.amount,
                    output.script_pubkey,
                    address.key,
                    address.pubkey,
                    height,
                    coinbase=tx.inputs[0].outpoint.txid == _NO_TXID,
                    spent_by=spends.get(outpoint),
                )
            )
            paid = seen_paid(paid, address.key)
            touched = True
    after = replace(paid, coins=coins, sent=sent) if touched else wallet
    after = _forget_buried(after, height)
    return after, difference(wallet, after)


def disconnect_block(wallet: Wallet, height: int) -> tuple[Wallet, Changes]:
    """The wallet after the block at `height`, its tip, was taken off the best chain.

    Our own transactions wait for a block again.  A payment by somebody else is forgotten until it
    confirms again, unless something of ours leans on it: then its coin stays, unconfirmed.
    """
    sent = {txid: _unconfirmed(entry, height) for txid, entry in wallet.sent.items()}
    spends = _spends(sent)
    coins: dict[OutPoint, Coin] = {}
    for outpoint, known in wallet.coins.items():
        coin = known
        if coin.spent_height == height:
            coin = replace(coin, spent_by=spends.get(outpoint), spent_height=None)
        if coin.height == height:
            coin = replace(coin, height=None)
            ours = outpoint.txid in sent
            leaned_on = coin.reserved_by is not None or coin.spent_by is not None
            # An orphaned coinbase can never come back.
            if not ours and (coin.coinbase or not leaned_on):
                continue
        coins[outpoint] = coin
    after = replace(wallet, coins=coins, sent=sent)
    return after, difference(wallet, after)


def _spends(sent: dict[Txid, Sent]) -> dict[OutPoint, Txid]:
    """Which sent transaction spends an output: one at most (rule 2 of wallet.py)."""
    return {i.outpoint: txid for txid, entry in sent.items() for i in entry.tx.inputs}


def _unconfirmed(entry: Sent, height: int) -> Sent:
    if height not in (entry.height, entry.rival_height):
        return entry
    return replace(
        entry,
        height=None if entry.height == height else entry.height,
        rival_height=None if entry.rival_height == height else entry.rival_height,
    )


def _forget_buried(wallet: Wallet, height: int) -> Wallet:
    deep = height - BURIED
    confirmed = {t for t, s in wallet.sent.items() if s.height is not None and s.height <= deep}
    if confirmed:
        kept = {t: s for t, s in wallet.sent.items() if t not in confirmed}
        wallet = replace(wallet, sent=kept)
    for txid, entry in wallet.sent.items():
        if entry.rival_height is not None and entry.rival_height <= deep:
            wallet = forget(wallet, txid)
    return wallet
