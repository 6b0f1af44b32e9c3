"""Every transaction that paid or spent this wallet's coins: when it was seen, and what for.

Coins say what is ours now; this says how it came to be.  Amounts are worked out once, when a
transaction is first seen, because they need the coins that it spends.
"""

from collections.abc import Iterable
from dataclasses import replace

from wallet.base.bitcoin.transaction import Transaction
from wallet.base.values.encode import from_json, to_json
from wallet.base.values.ids import ChannelId, Txid
from wallet.machines.chain_events import BlockConnected
from wallet.machines.coins.records import TxKind, TxRecord
from wallet.machines.coins.wallet import Changes
from wallet.node.board import Board
from wallet.node.memory import Memory
from wallet.node.work import Notice
from wallet.services.store.tables import TRANSACTIONS, Delete, Put, Row, Write


def seen(board: Board, tx: Transaction, purpose: tuple[TxKind, ChannelId] | None = None) -> None:
    """We are about to broadcast it, or have signed it now: it waits for a block.

    `purpose` is for one that does not show what it is for: it funds a channel that memory does not
    know yet, or pays for the commitment of one.
    """
    known = board.memory.transactions.get(tx.txid)
    if known is None:
        record = _record(board, tx)
        if purpose is not None:
            record = replace(record, kind=purpose[0], channel_id=purpose[1])
        _keep(board, record)
    elif known.height is None and known.tx != tx:
        # Noted before it was signed; nothing about it is new to anybody.
        board.memory.transactions[tx.txid] = replace(known, tx=tx)
        board.work.transactions.add(tx.txid)


def forgotten(board: Board, txid: Txid) -> None:
    """The chain refused it, so it never was."""
    if board.memory.transactions.pop(txid, None) is not None:
        board.work.transactions.add(txid)


def connected(board: Board, event: BlockConnected, changes: Iterable[Changes]) -> None:
    """A block: `changes` are what it did to the wallet's coins."""
    coins = [coin for change in changes for coin in change.coins]
    height = event.height.height
    touched = {c.outpoint.txid for c in coins if c.height == height}
    touched |= {c.spent_by for c in coins if c.spent_by and c.spent_height == height}
    for position, tx in enumerate(event.transactions if touched else ()):
        if tx.txid in touched:
            known = board.memory.transactions.get(tx.txid) or _record(board, tx)
            _keep(board, replace(known, tx=tx, height=height, position=position))
    _prune(board)


def disconnected(board: Board, height: int) -> None:
    """The block at that height is gone: what it held waits again, unless nobody vouches for it."""
    for record in list(board.memory.transactions.values()):
        if record.height == height:
            _keep(board, replace(record, height=None, position=0))
    _prune(board)


def _prune(board: Board) -> None:
    """Forget what is in no block and no longer in the wallet: it lost to a rival."""
    memory, wallet = board.memory, board.memory.wallet
    waiting = [txid for txid, record in memory.transactions.items() if record.height is None]
    if waiting:
        held = {coin.outpoint.txid for coin in wallet.coins.values()}
        for txid in waiting:
            if txid not in wallet.sent and txid not in held:
                forgotten(board, txid)


def _keep(board: Board, record: TxRecord) -> None:
    txid = record.tx.txid
    board.memory.transactions[txid] = record
    board.memory.transaction_index = max(board.memory.transaction_index, record.number)
    board.work.transactions.add(txid)
    payload: dict[str, str | int] = {
        "txid": str(txid),
        "kind": record.kind.value,
        "amount_msat": abs(record.delta_sat) * 1000,
        "direction": "in" if record.delta_sat >= 0 else "out",
        "status": "pending" if record.height is None else "confirmed",
    }
    if record.height is not None:
        payload["blockheight"] = record.height
    board.work.act(Notice("transaction", str(txid), payload))


def _record(board: Board, tx: Transaction) -> TxRecord:
    memory, wallet = board.memory, board.memory.wallet
    gained = sum(o.amount.sat for o in tx.outputs if o.script_pubkey in wallet.addresses)
    ours = [wallet.coins[i.outpoint] for i in tx.inputs if i.outpoint in wallet.coins]
    lost = sum(coin.amount.sat for coin in ours)
    kind, channel_id = _kind(memory, tx, gained - lost)
    all_ours = len(ours) == len(tx.inputs)
    return TxRecord(
        tx=tx,
        number=memory.transaction_index + 1,
        at=board.ctx.now,
        kind=kind,
        delta_sat=gained - lost,
        fee_sat=lost - sum(o.amount.sat for o in tx.outputs) if all_ours else None,
        channel_id=channel_id,
    )


def _kind(memory: Memory, tx: Transaction, delta_sat: int) -> tuple[TxKind, ChannelId | None]:
    for txin in tx.inputs:
        closed = memory.watched.get(txin.outpoint)
        if closed is not None:
            return TxKind.CLOSING, closed
    pays = {tx.outpoint(index) for index in range(len(tx.outputs))}
    for channel in memory.channels.values():
        if not pays.isdisjoint(f.outpoint for f in channel.fundings):
            return TxKind.OPENING, channel.id
    return (TxKind.DEPOSIT if delta_sat >= 0 else TxKind.WITHDRAWAL), None


# --- rows ---------------------------------------------------------------------------------------


def rows(memory: Memory, txids: Iterable[Txid]) -> list[Write]:
    """What a commit must write of these transactions."""
    return [
        Put(TRANSACTIONS, (txid, to_json(memory.transactions[txid])))
        if txid in memory.transactions
        else Delete(TRANSACTIONS, (txid,))
        for txid in txids
    ]


def restore(memory: Memory, stored: Iterable[Row]) -> None:
    """Fill memory from rows (txid, state)."""
    records = sorted(
        (from_json(TxRecord, str(row[1])) for row in stored), key=lambda record: record.number
    )
    memory.transactions = {record.tx.txid: record for record in records}
    memory.transaction_index = records[-1].number if records else 0
