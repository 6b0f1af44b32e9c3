"""What is on disk: the log of every accepted block, and an index of the active chain, in SQLite.

The log is the source of truth. The index (who is at which height, transactions, unspent and spent
outputs) follows the engine's active chain one block at a time; rows of spent outputs double as
undo data and answer "who spent this?". Heights count from genesis, hashes are in wire order.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from wallet.base.bitcoin.block import HEADER_SIZE, Block, BlockHeader
from wallet.base.bitcoin.script import is_unspendable
from wallet.base.bitcoin.transaction import TxOut, encode_varint
from wallet.base.errors import Refused
from wallet.base.values.amounts import Satoshi
from wallet.base.values.ids import BlockHash, OutPoint, Txid

SCHEMA_VERSION: Final = 1

_SCHEMA: Final = """
CREATE TABLE log (
    seq INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, prev BLOB NOT NULL,
    height INTEGER NOT NULL, raw BLOB NOT NULL
) STRICT;
CREATE TABLE invalidated (hash BLOB PRIMARY KEY) STRICT;
CREATE TABLE active (height INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE) STRICT;
CREATE TABLE tx (
    txid BLOB PRIMARY KEY, hash BLOB NOT NULL, start INTEGER NOT NULL, size INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX tx_by_block ON tx (hash);
CREATE TABLE unspent (
    txid BLOB, vout INTEGER, amount INTEGER NOT NULL, script BLOB NOT NULL,
    height INTEGER NOT NULL, coinbase INTEGER NOT NULL, PRIMARY KEY (txid, vout)
) STRICT, WITHOUT ROWID;
CREATE INDEX unspent_by_height ON unspent (height);
CREATE TABLE spent (
    txid BLOB, vout INTEGER, amount INTEGER NOT NULL, script BLOB NOT NULL,
    height INTEGER NOT NULL, coinbase INTEGER NOT NULL,
    by_txid BLOB NOT NULL, by_height INTEGER NOT NULL, PRIMARY KEY (txid, vout)
) STRICT, WITHOUT ROWID;
CREATE INDEX spent_by_height ON spent (by_height);
"""

_MEDIAN_SPAN: Final = 11


@dataclass(frozen=True, slots=True)
class Coin:
    """An output with where it was created; `height` None: in the mempool."""

    output: TxOut
    height: int | None
    coinbase: bool


class ChainIndex:
    """The database of one chain directory. Callers hold the directory's lock."""

    def __init__(self, path: Path) -> None:
        """Open or create; raises `Refused` for a database of a newer version."""
        self._db = sqlite3.connect(path, isolation_level=None)
        # A killed process loses nothing in WAL mode; NORMAL only risks the last blocks of a play
        # chain when the power goes, and then leaves a shorter, consistent one.
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            self._db.executescript(f"BEGIN;{_SCHEMA}PRAGMA user_version = {SCHEMA_VERSION};COMMIT;")
        elif version != SCHEMA_VERSION:
            self._db.close()
            raise Refused(
                f"{path} was written by another version of this program (schema {version}, "
                f"this one knows {SCHEMA_VERSION}); use that version or another directory"
            )
        self._height: int | None = self._db.execute("SELECT max(height) FROM active").fetchone()[0]
        self.median_time_past = lru_cache(maxsize=4096)(self._median_time_past)

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; the height in memory goes back too."""
        height = self._height
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            self._height = height
            raise

    # The log.

    def append(self, block_hash: BlockHash, height: int, raw: bytes) -> None:
        """Log an accepted block; once is enough."""
        self._db.execute(
            "INSERT OR IGNORE INTO log (hash, prev, height, raw) VALUES (?, ?, ?, ?)",
            (block_hash, raw[4:36], height, raw),
        )

    @property
    def logged(self) -> int:
        """How many blocks were ever accepted, genesis included."""
        count: int = self._db.execute("SELECT ifnull(max(seq), 0) FROM log").fetchone()[0]
        return count

    def replay(self) -> Iterator[bytes]:
        """Every block above genesis that is not held back, in the order in which it came."""
        held_back = self.held_back()
        # Read whole before the caller writes: a cursor must not run across its transactions.
        rows = self._db.execute(
            "SELECT hash, raw FROM log WHERE height > 0 ORDER BY seq"
        ).fetchall()
        return (raw for block_hash, raw in rows if block_hash not in held_back)

    def family(self) -> list[tuple[BlockHash, BlockHash]]:
        """(hash, previous hash) of every logged block, in the order in which they came."""
        return self._db.execute("SELECT hash, prev FROM log ORDER BY seq").fetchall()

    def held_back(self) -> set[BlockHash]:
        """Blocks invalidated by hand, and all that descend from them."""
        out = self.invalidated()
        for block_hash, previous in self.family() if out else ():
            if previous in out:
                out.add(block_hash)
        return out

    def invalidated(self) -> set[BlockHash]:
        """Blocks invalidated by hand."""
        return {h for (h,) in self._db.execute("SELECT hash FROM invalidated")}

    def set_invalidated(self, hashes: set[BlockHash]) -> None:
        """Replace the set of blocks invalidated by hand."""
        with self.transaction():
            self._db.execute("DELETE FROM invalidated")
            self._db.executemany("INSERT INTO invalidated VALUES (?)", [(h,) for h in hashes])

    def raw_block(self, block_hash: BlockHash) -> bytes | None:
        """A logged block, whether active or not."""
        row = self._db.execute("SELECT raw FROM log WHERE hash = ?", (block_hash,)).fetchone()
        return row[0] if row else None

    def header(self, block_hash: BlockHash) -> tuple[BlockHeader, int] | None:
        """Header and height of a logged block, whether active or not."""
        row = self._db.execute(
            f"SELECT substr(raw, 1, {HEADER_SIZE}), height FROM log WHERE hash = ?",  # noqa: S608
            (block_hash,),
        ).fetchone()
        return (BlockHeader.decode(row[0]), row[1]) if row else None

    def _median_time_past(self, block_hash: BlockHash) -> int:
        """BIP 113: median time of a logged block and its ten ancestors, Unix seconds."""
        times: list[int] = []
        while len(times) < _MEDIAN_SPAN and (found := self.header(block_hash)) is not None:
            times.append(found[0].time)
            block_hash = found[0].previous
        return sorted(times)[len(times) // 2]

    # The active chain.

    @property
    def height(self) -> int:
        """Height of the indexed tip; -1 before genesis is indexed."""
        return -1 if self._height is None else self._height

    def hash_at(self, height: int) -> BlockHash | None:
        """Hash of the indexed block at `height`."""
        row = self._db.execute("SELECT hash FROM active WHERE height = ?", (height,)).fetchone()
        return row[0] if row else None

    def active_height(self, block_hash: BlockHash) -> int | None:
        """Height of a block if it is on the active chain."""
        row = self._db.execute("SELECT height FROM active WHERE hash = ?", (block_hash,)).fetchone()
        return row[0] if row else None

    def connect(self, height: int, block: Block) -> None:
        """Index the block after the tip. Inside `transaction`."""
        db, block_hash = self._db, block.hash
        db.execute("INSERT INTO active VALUES (?, ?)", (height, block_hash))
        self._height = height
        start = HEADER_SIZE + len(encode_varint(len(block.transactions)))
        for position, tx in enumerate(block.transactions):
            size = len(tx.encode())
            db.execute("INSERT INTO tx VALUES (?, ?, ?, ?)", (tx.txid, block_hash, start, size))
            start += size
            if height == 0:
                continue  # Genesis pays an output that consensus never lets anybody spend.
            for txin in tx.inputs if position else ():
                spending = (tx.txid, height, txin.outpoint.txid, txin.outpoint.index)
                db.execute(
                    "INSERT INTO spent SELECT *, ?, ? FROM unspent WHERE txid = ? AND vout = ?",
                    spending,
                )
                db.execute("DELETE FROM unspent WHERE txid = ? AND vout = ?", spending[2:])
            db.executemany(
                "INSERT INTO unspent VALUES (?, ?, ?, ?, ?, ?)",
                [
                    (tx.txid, vout, out.amount.sat, out.script_pubkey, height, int(position == 0))
                    for vout, out in enumerate(tx.outputs)
                    if not is_unspendable(out.script_pubkey)
                ],
            )

    def disconnect(self) -> None:
        """Take the tip's block out of the index. Inside `transaction`."""
        db, height = self._db, self.height
        db.execute("DELETE FROM unspent WHERE height = ?", (height,))
        db.execute(
            "INSERT INTO unspent SELECT txid, vout, amount, script, height, coinbase FROM spent "
            "WHERE by_height = ? AND height < ?",
            (height, height),
        )
        db.execute("DELETE FROM spent WHERE by_height = ?", (height,))
        db.execute("DELETE FROM tx WHERE hash = ?", (self.hash_at(height),))
        db.execute("DELETE FROM active WHERE height = ?", (height,))
        self._height = height - 1

    # Transactions and coins of the active chain.

    def raw_transaction(self, txid: Txid) -> tuple[bytes, BlockHash] | None:
        """A confirmed transaction and its block's hash."""
        row = self._db.execute(
            "SELECT substr(log.raw, tx.start + 1, tx.size), tx.hash FROM tx "
            "JOIN log ON log.hash = tx.hash WHERE txid = ?",
            (txid,),
        ).fetchone()
        return (row[0], row[1]) if row else None

    def coin(self, outpoint: OutPoint) -> Coin | None:
        """A confirmed, unspent output."""
        row = self._db.execute(
            "SELECT amount, script, height, coinbase FROM unspent WHERE txid = ? AND vout = ?",
            (outpoint.txid, outpoint.index),
        ).fetchone()
        return _coin(row) if row else None

    def spent_coin(self, outpoint: OutPoint) -> tuple[Coin, Txid, int] | None:
        """A confirmed output that the chain spent: the coin, the spender and its height."""
        row = self._db.execute(
            "SELECT amount, script, height, coinbase, by_txid, by_height FROM spent "
            "WHERE txid = ? AND vout = ?",
            (outpoint.txid, outpoint.index),
        ).fetchone()
        return (_coin(row[:4]), Txid(row[4]), row[5]) if row else None

    def has_unspent_of(self, txid: Txid) -> bool:
        """Whether any output of a confirmed transaction is unspent."""
        row = self._db.execute("SELECT 1 FROM unspent WHERE txid = ? LIMIT 1", (txid,)).fetchone()
        return row is not None

    def coins(self) -> Iterator[tuple[OutPoint, Coin]]:
        """The whole UTXO set, by txid (wire order) and index."""
        rows = self._db.execute(
            "SELECT txid, vout, amount, script, height, coinbase FROM unspent ORDER BY txid, vout"
        ).fetchall()
        return ((OutPoint(Txid(row[0]), row[1]), _coin(row[2:])) for row in rows)


def _coin(row: tuple[int, bytes, int, int]) -> Coin:
    amount, script_pubkey, height, coinbase = row
    return Coin(TxOut(Satoshi(amount), script_pubkey), height, bool(coinbase))
