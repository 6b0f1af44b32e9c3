"""What must be read from disk before a block is absorbed: commitments that peers had revoked.

Machines are pure and memory holds living HTLCs only, while a cheat may broadcast any commitment of
the past.  Its rows are read when its block is here, and come as an event of their own before it.
"""

from collections.abc import Sequence

from wallet.base.values.amounts import FeeratePerKw, MilliSatoshi
from wallet.base.values.ids import ChannelId, OutPoint
from wallet.machines.chain_events import BlockConnected
from wallet.machines.channel.htlc import Split
from wallet.machines.channel.identify import number_of
from wallet.machines.channel.state import Channel
from wallet.node import htlc_rows
from wallet.node.columns import as_number
from wallet.node.events import NodeEvent, Recalled
from wallet.node.memory import Memory
from wallet.services.ports import Store


async def gathered(store: Store, memory: Memory, batch: Sequence[NodeEvent]) -> list[NodeEvent]:
    """The batch with what its blocks make us remember. Raises `ServiceFault`."""
    events: list[NodeEvent] = []
    for event in batch:
        if isinstance(event, BlockConnected):
            events += await _recalled(store, memory, event)
        events.append(event)
    return events


async def _recalled(store: Store, memory: Memory, block: BlockConnected) -> list[Recalled]:
    found = []
    for tx in block.transactions:
        for txin in tx.inputs:
            channel = _ends(memory, txin.outpoint)
            number = None if channel is None else number_of(channel.terms, tx)
            # Revoked or not: it may be revoked by an earlier event of this very batch.
            if channel is None or number is None:
                continue
            content = await recall(store, channel.id, channel.funding.number, number)
            if content is not None:
                found.append(Recalled(channel.id, tx.txid, content))
    return found


def _ends(memory: Memory, outpoint: OutPoint) -> Channel | None:
    """The channel whose funding output that is."""
    channel_id = memory.watched.get(outpoint)
    channel = memory.channels[channel_id] if channel_id is not None else None
    return channel if channel is not None and channel.funding.outpoint == outpoint else None


async def recall(store: Store, channel_id: ChannelId, funding: int, number: int) -> Split | None:
    """What the peer's commitment of that number holds; None if we never signed it."""
    rows = await store.query(
        "SELECT to_us_msat, to_them_msat, feerate_per_kw FROM their_commitments"
        " WHERE channel_id = ? AND funding = ? AND number = ?",
        (channel_id, funding, number),
    )
    if not rows:
        return None
    [(to_us, to_them, feerate)] = rows
    held = await store.query(
        "SELECT * FROM htlcs WHERE channel_id = ? AND theirs_first <= ?"
        " AND (theirs_last IS NULL OR theirs_last >= ?) ORDER BY offered_by_us, htlc_id",
        (channel_id, number, number),
    )
    return Split(
        MilliSatoshi(as_number(to_us)),
        MilliSatoshi(as_number(to_them)),
        FeeratePerKw(as_number(feerate)),
        tuple(htlc_rows.read(row)[1] for row in held),
    )
