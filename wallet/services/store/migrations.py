"""How a database became what `tables.py` declares: one script per version, only ever appended.

A script is never changed once a release has it: somebody's wallet was made by it.  A database of
a higher version than ours is refused, because what we do not know of may be money.
"""

from typing import Final

APPLICATION_ID: Final = 0x4C657964
"""SQLite's `application_id` of our files, "Leyd": no other program's database is touched."""

MIGRATIONS: Final = (
    # 1: the first tables.  A child row may be written before its parent, within one batch.
    """
    CREATE TABLE meta (
        key TEXT NOT NULL,
        value TEXT NOT NULL,
        PRIMARY KEY (key)
    ) STRICT;
    CREATE TABLE channels (
        channel_id BLOB NOT NULL,
        keys_id BLOB NOT NULL,
        peer BLOB NOT NULL,
        phase TEXT NOT NULL,
        version INTEGER NOT NULL,
        state TEXT NOT NULL,
        PRIMARY KEY (channel_id)
    ) STRICT;
    CREATE TABLE fundings (
        channel_id BLOB NOT NULL REFERENCES channels DEFERRABLE INITIALLY DEFERRED,
        number INTEGER NOT NULL,
        txid BLOB NOT NULL,
        output INTEGER NOT NULL,
        amount_sat INTEGER NOT NULL,
        state TEXT NOT NULL,
        PRIMARY KEY (channel_id, number)
    ) STRICT;
    CREATE TABLE htlcs (
        channel_id BLOB NOT NULL REFERENCES channels DEFERRABLE INITIALLY DEFERRED,
        offered_by_us INTEGER NOT NULL,
        htlc_id INTEGER NOT NULL,
        stage TEXT NOT NULL,
        amount_msat INTEGER NOT NULL,
        payment_hash BLOB NOT NULL,
        cltv_expiry INTEGER NOT NULL,
        onion BLOB NOT NULL,
        removal TEXT,
        ours_first INTEGER,
        ours_last INTEGER,
        theirs_first INTEGER,
        theirs_last INTEGER,
        path_key BLOB,
        PRIMARY KEY (channel_id, offered_by_us, htlc_id)
    ) STRICT;
    CREATE INDEX htlcs_by_payment_hash ON htlcs (payment_hash);
    CREATE TABLE their_commitments (
        channel_id BLOB NOT NULL REFERENCES channels DEFERRABLE INITIALLY DEFERRED,
        funding INTEGER NOT NULL,
        number INTEGER NOT NULL,
        to_us_msat INTEGER NOT NULL,
        to_them_msat INTEGER NOT NULL,
        feerate_per_kw INTEGER NOT NULL,
        PRIMARY KEY (channel_id, funding, number)
    ) STRICT;
    CREATE TABLE scids (
        channel_id BLOB NOT NULL REFERENCES channels DEFERRABLE INITIALLY DEFERRED,
        scid TEXT NOT NULL,
        kind TEXT NOT NULL,
        funding INTEGER NOT NULL,
        until_height INTEGER,
        PRIMARY KEY (channel_id, scid, kind)
    ) STRICT;
    CREATE INDEX scids_by_scid ON scids (scid);
    CREATE TABLE invoices (
        payment_hash BLOB NOT NULL,
        label TEXT NOT NULL UNIQUE,
        created_index INTEGER NOT NULL,
        state TEXT NOT NULL,
        PRIMARY KEY (payment_hash)
    ) STRICT;
    CREATE TABLE payments (
        payment_hash BLOB NOT NULL,
        groupid INTEGER NOT NULL,
        created_index INTEGER NOT NULL,
        state TEXT NOT NULL,
        PRIMARY KEY (payment_hash, groupid)
    ) STRICT;
    CREATE TABLE payment_parts (
        payment_hash BLOB NOT NULL,
        groupid INTEGER NOT NULL,
        partid INTEGER NOT NULL,
        state TEXT NOT NULL,
        PRIMARY KEY (payment_hash, groupid, partid)
    ) STRICT;
    CREATE TABLE coins (
        txid BLOB NOT NULL,
        output INTEGER NOT NULL,
        state TEXT NOT NULL,
        PRIMARY KEY (txid, output)
    ) STRICT;
    CREATE TABLE sent_transactions (
        txid BLOB NOT NULL,
        state TEXT NOT NULL,
        PRIMARY KEY (txid)
    ) STRICT;
    CREATE TABLE key_branches (
        purpose INTEGER NOT NULL,
        change INTEGER NOT NULL,
        next_index INTEGER NOT NULL,
        PRIMARY KEY (purpose, change)
    ) STRICT;
    CREATE TABLE blocks (
        height INTEGER NOT NULL,
        hash BLOB NOT NULL,
        PRIMARY KEY (height)
    ) STRICT;
    CREATE TABLE peers (
        node_id BLOB NOT NULL,
        state TEXT NOT NULL,
        PRIMARY KEY (node_id)
    ) STRICT;
    """,
    # 2: forwards, what gossip tells, our channels' own terms, and the journal of `events`.
    """
    CREATE TABLE forwards (
        in_channel BLOB NOT NULL,
        in_htlc INTEGER NOT NULL,
        created_index INTEGER NOT NULL,
        updated_index INTEGER,
        status TEXT NOT NULL,
        fee_msat INTEGER NOT NULL,
        state TEXT NOT NULL,
        PRIMARY KEY (in_channel, in_htlc)
    ) STRICT;
    CREATE TABLE channel_updates (
        channel_id BLOB NOT NULL REFERENCES channels DEFERRABLE INITIALLY DEFERRED,
        ours INTEGER NOT NULL,
        message BLOB NOT NULL,
        PRIMARY KEY (channel_id, ours)
    ) STRICT;
    CREATE TABLE gossip_channels (
        scid INTEGER NOT NULL,
        capacity_sat INTEGER NOT NULL,
        txid BLOB NOT NULL,
        output INTEGER NOT NULL,
        spent_at INTEGER,
        message BLOB NOT NULL,
        PRIMARY KEY (scid)
    ) STRICT;
    CREATE TABLE gossip_updates (
        scid INTEGER NOT NULL,
        direction INTEGER NOT NULL,
        message BLOB NOT NULL,
        PRIMARY KEY (scid, direction)
    ) STRICT;
    CREATE TABLE gossip_nodes (
        node_id BLOB NOT NULL,
        message BLOB NOT NULL,
        PRIMARY KEY (node_id)
    ) STRICT;
    CREATE TABLE transactions (
        txid BLOB NOT NULL,
        state TEXT NOT NULL,
        PRIMARY KEY (txid)
    ) STRICT;
    CREATE INDEX forwards_by_created ON forwards (created_index);
    CREATE TABLE journal (
        number INTEGER NOT NULL,
        at INTEGER NOT NULL,
        topic TEXT NOT NULL,
        state TEXT NOT NULL,
        PRIMARY KEY (number)
    ) STRICT;
    ALTER TABLE htlcs ADD COLUMN created_index INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE htlcs ADD COLUMN updated_index INTEGER;
    UPDATE htlcs SET created_index = rowid;
    CREATE INDEX htlcs_by_created ON htlcs (created_index);
    """,
)

SCHEMA_VERSION: Final = len(MIGRATIONS)
"""Held by the database as `user_version`."""
