"""The tables of a wallet, each declared once, and the two ways in which a row changes.

Rows are plain tuples in column order.  What a row means is known to those who write it; here we
only know its shape.  Amounts that may exceed 63 bits stand inside a `state` (JSON of
`values.encode`), never in a column: SQLite's integers are signed.  For the same reason a short
channel id is text (`700000x12x1`): a peer may choose an alias with the highest bit set.
"""

from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Final, TypeAlias

from wallet.base.errors import ensure

Value: TypeAlias = int | str | bytes | None
Row: TypeAlias = tuple[Value, ...]


class SqlType(StrEnum):
    """The types of a STRICT table that we use."""

    INTEGER = "INTEGER"
    TEXT = "TEXT"
    BLOB = "BLOB"


_PYTHON: Final[dict[SqlType, tuple[type, ...]]] = {
    SqlType.INTEGER: (int, bool),
    SqlType.TEXT: (str,),
    SqlType.BLOB: (bytes,),
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `unique`: no two rows of the table have the same value."""

    name: str
    sql_type: SqlType
    nullable: bool = False
    unique: bool = False

    def check(self, value: Value) -> None:
        """Raise `InvariantBroken` unless SQLite gives back exactly what it is given."""
        if value is None:
            ensure(self.nullable, f"{self.name} is null")
            return
        # Subclasses of bytes (`Txid`) are fine; text in an integer column is not, although a
        # STRICT table would convert "12" in silence.
        ensure(isinstance(value, _PYTHON[self.sql_type]), f"{self.name} is not {self.sql_type}")
        if isinstance(value, int):
            ensure(-(1 << 63) <= value < 1 << 63, f"{self.name} has more than 63 bits")
        elif isinstance(value, str) and not value.isascii():
            # JSON may bring half of a surrogate pair, which has no UTF-8.
            ensure(not any("\ud800" <= c <= "\udfff" for c in value), f"{self.name} is not text")


# eq=False: there is one of each, and statements are found by it for every row.
@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """A table. `key` names the columns that identify a row; `parent` a table whose key begins it.

    A row of a table with a parent needs the parent's row when a batch ends.
    """

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    parent: str | None = None

    def key_of(self, row: Row) -> Row:
        """The row's identity, in the order of `key`."""
        return tuple([row[place] for place in _places(self)])

    def check_row(self, row: Row) -> None:
        """Raise `InvariantBroken` unless the row fits the columns."""
        ensure(len(row) == len(self.columns), f"{self.name} has {len(self.columns)} columns")
        for column, value in zip(self.columns, row, strict=True):
            column.check(value)

    def check_key(self, key: Row) -> None:
        """Raise `InvariantBroken` unless the key fits the key's columns."""
        ensure(len(key) == len(self.key), f"{self.name} has a key of {len(self.key)} columns")
        for place, value in zip(_places(self), key, strict=True):
            self.columns[place].check(value)


@cache
def _places(table: Table) -> tuple[int, ...]:
    names = [column.name for column in table.columns]
    return tuple(names.index(name) for name in table.key)


@dataclass(frozen=True, slots=True)
class Put:
    """Write a row, in place of the one with the same key if there is one."""

    table: Table
    row: Row

    def __post_init__(self) -> None:
        self.table.check_row(self.row)


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove the row of that key, if there is one."""

    table: Table
    key: Row

    def __post_init__(self) -> None:
        self.table.check_key(self.key)


Write: TypeAlias = Put | Delete


# --- the declarations ---------------------------------------------------------------------------


def _blob(name: str, *, nullable: bool = False) -> Column:
    return Column(name, SqlType.BLOB, nullable)


def _integer(name: str, *, nullable: bool = False) -> Column:
    return Column(name, SqlType.INTEGER, nullable)


def _text(name: str, *, nullable: bool = False, unique: bool = False) -> Column:
    return Column(name, SqlType.TEXT, nullable, unique)


META: Final = Table("meta", (_text("key"), _text("value")), ("key",))
"""Single facts about the wallet."""

CHANNELS: Final = Table(
    "channels",
    (
        _blob("channel_id"),
        _blob("keys_id"),
        _blob("peer"),
        _text("phase"),
        _integer("version"),
        _text("state"),
    ),
    ("channel_id",),
)
"""What of a channel is not in a table of its own; the columns are what a static backup needs."""

FUNDINGS: Final = Table(
    "fundings",
    (
        _blob("channel_id"),
        _integer("number"),
        _blob("txid"),
        _integer("output"),
        _integer("amount_sat"),
        _text("state"),
    ),
    ("channel_id", "number"),
    parent="channels",
)
"""One row per funding transaction of a channel."""

HTLCS: Final = Table(
    "htlcs",
    (
        _blob("channel_id"),
        _integer("offered_by_us"),
        _integer("htlc_id"),
        _text("stage"),
        _integer("amount_msat"),
        _blob("payment_hash"),
        _integer("cltv_expiry"),
        _blob("onion"),
        _text("removal", nullable=True),
        _integer("ours_first", nullable=True),
        _integer("ours_last", nullable=True),
        _integer("theirs_first", nullable=True),
        _integer("theirs_last", nullable=True),
        _blob("path_key", nullable=True),
        _integer("created_index"),
        _integer("updated_index", nullable=True),
    ),
    ("channel_id", "offered_by_us", "htlc_id"),
    parent="channels",
)
"""Every HTLC of a channel that is not forgotten, past ones too: which commitments held it."""

THEIR_COMMITMENTS: Final = Table(
    "their_commitments",
    (
        _blob("channel_id"),
        _integer("funding"),
        _integer("number"),
        _integer("to_us_msat"),
        _integer("to_them_msat"),
        _integer("feerate_per_kw"),
    ),
    ("channel_id", "funding", "number"),
    parent="channels",
)
"""With `htlcs`, what rebuilds any revoked commitment byte for byte."""

SCIDS: Final = Table(
    "scids",
    (
        _blob("channel_id"),
        _text("scid"),
        _text("kind"),
        _integer("funding"),
        _integer("until_height", nullable=True),
    ),
    # A peer may choose as its alias what is a name of another kind already.
    ("channel_id", "scid", "kind"),
    parent="channels",
)
"""Names under which a channel is found."""

INVOICES: Final = Table(
    "invoices",
    (
        _blob("payment_hash"),
        _text("label", unique=True),
        _integer("created_index"),
        _text("state"),
    ),
    ("payment_hash",),
)

PAYMENTS: Final = Table(
    "payments",
    (_blob("payment_hash"), _integer("groupid"), _integer("created_index"), _text("state")),
    ("payment_hash", "groupid"),
)

PAYMENT_PARTS: Final = Table(
    "payment_parts",
    (_blob("payment_hash"), _integer("groupid"), _integer("partid"), _text("state")),
    ("payment_hash", "groupid", "partid"),
)

COINS: Final = Table(
    "coins", (_blob("txid"), _integer("output"), _text("state")), ("txid", "output")
)
"""Outputs of the wallet's own keys. Txids are in wire order, here and below."""

SENT_TRANSACTIONS: Final = Table("sent_transactions", (_blob("txid"), _text("state")), ("txid",))
"""Transactions of the wallet that are not buried yet."""

KEY_BRANCHES: Final = Table(
    "key_branches",
    (_integer("purpose"), _integer("change"), _integer("next_index")),
    ("purpose", "change"),
)
"""How many addresses of each kind were handed out; the addresses themselves are derived again."""

BLOCKS: Final = Table("blocks", (_integer("height"), _blob("hash")), ("height",))
"""The recent past of the chain as far as it was scanned."""

PEERS: Final = Table("peers", (_blob("node_id"), _text("state")), ("node_id",))

FORWARDS: Final = Table(
    "forwards",
    (
        _blob("in_channel"),
        _integer("in_htlc"),
        _integer("created_index"),
        _integer("updated_index", nullable=True),
        _text("status"),
        _integer("fee_msat"),
        _text("state"),
    ),
    ("in_channel", "in_htlc"),
)
"""HTLCs that came in to be passed on, and what became of them."""

CHANNEL_UPDATES: Final = Table(
    "channel_updates",
    (_blob("channel_id"), _integer("ours"), _blob("message")),
    ("channel_id", "ours"),
    parent="channels",
)
"""The latest `channel_update` of either side of a channel of ours, announced or not."""

GOSSIP_CHANNELS: Final = Table(
    "gossip_channels",
    (
        _integer("scid"),
        _integer("capacity_sat"),
        _blob("txid"),
        _integer("output"),
        _integer("spent_at", nullable=True),
        _blob("message"),
    ),
    ("scid",),
)
"""Announced channels, whose funding outputs were found. A real scid fits into 63 bits."""

GOSSIP_UPDATES: Final = Table(
    "gossip_updates",
    (_integer("scid"), _integer("direction"), _blob("message")),
    ("scid", "direction"),
)

GOSSIP_NODES: Final = Table("gossip_nodes", (_blob("node_id"), _blob("message")), ("node_id",))

TRANSACTIONS: Final = Table("transactions", (_blob("txid"), _text("state")), ("txid",))
"""Every transaction that paid or spent the wallet's coins."""

JOURNAL: Final = Table(
    "journal",
    (_integer("number"), _integer("at"), _text("topic"), _text("state")),
    ("number",),
)
"""What happened, for `events`: one row per notice that people or scripts may have missed."""

TABLES: Final = {
    table.name: table
    for table in (
        META,
        CHANNELS,
        FUNDINGS,
        HTLCS,
        THEIR_COMMITMENTS,
        SCIDS,
        INVOICES,
        PAYMENTS,
        PAYMENT_PARTS,
        COINS,
        SENT_TRANSACTIONS,
        KEY_BRANCHES,
        BLOCKS,
        PEERS,
        FORWARDS,
        CHANNEL_UPDATES,
        GOSSIP_CHANNELS,
        GOSSIP_UPDATES,
        GOSSIP_NODES,
        TRANSACTIONS,
        JOURNAL,
    )
}
"""Every table by its name."""
