"""Between the book of gossip and its rows."""

from typing import TypeVar

from wallet.base.errors import DecodeError
from wallet.base.values.ids import ChannelId, NodeId, OutPoint, Txid
from wallet.base.wire.gossip import ChannelAnnouncement, ChannelUpdate, NodeAnnouncement
from wallet.base.wire.message import decode, encode
from wallet.machines.routing.gossip_book import Announced, Gossip, direction_of, place_of
from wallet.machines.routing.graph import edge_key
from wallet.node.memory import Memory
from wallet.services.ports import Store
from wallet.services.store import tables
from wallet.services.store.tables import Delete, Put, Value, Write

M = TypeVar("M", ChannelAnnouncement, ChannelUpdate, NodeAnnouncement)


def channel_row(gossip: Gossip, scid: int) -> Put:
    """A known channel."""
    channel = gossip.channels[scid]
    txid, output = channel.place[:32], int.from_bytes(channel.place[32:], "little")
    spent_at = gossip.spent.get(scid)
    row = (scid, channel.capacity_sat, txid, output, spent_at, channel.raw)
    return Put(tables.GOSSIP_CHANNELS, row)


def message_row(
    gossip: Gossip, message: ChannelAnnouncement | ChannelUpdate | NodeAnnouncement
) -> Put:
    """A message that has just entered the book."""
    match message:
        case ChannelAnnouncement():
            return channel_row(gossip, message.short_channel_id.to_int())
        case ChannelUpdate():
            scid, direction = message.short_channel_id.to_int(), direction_of(message)
            raw = gossip.updates[edge_key(scid, direction)]
            return Put(tables.GOSSIP_UPDATES, (scid, direction, raw))
        case NodeAnnouncement():
            return Put(tables.GOSSIP_NODES, (bytes(message.node_id), gossip.nodes[message.node_id]))


def removal(scid: int, nodes: tuple[NodeId, ...]) -> list[Write]:
    """A channel that was forgotten, and the nodes that went with it."""
    rows: list[Write] = [Delete(tables.GOSSIP_CHANNELS, (scid,))]
    rows += [Delete(tables.GOSSIP_UPDATES, (scid, direction)) for direction in (0, 1)]
    rows += [Delete(tables.GOSSIP_NODES, (bytes(node_id),)) for node_id in nodes]
    return rows


def terms_row(channel_id: ChannelId, update: ChannelUpdate, *, ours: bool) -> Put:
    """The newest terms of one side of a channel of ours."""
    return Put(tables.CHANNEL_UPDATES, (channel_id, int(ours), encode(update)))


async def load(store: Store, memory: Memory) -> None:
    """The book and the terms as the last commit left them. Raises `DecodeError`."""
    gossip = memory.gossip
    for row in await store.load(tables.GOSSIP_CHANNELS):
        scid, capacity, txid, output, spent_at, raw = row
        place = place_of(OutPoint(Txid(_bytes(txid)), _number(output)))
        channel = Announced(_bytes(raw), place, _number(capacity))
        spent = None if spent_at is None else _number(spent_at)
        gossip.restore_channel(_number(scid), channel, spent)
    for row in await store.load(tables.GOSSIP_UPDATES):
        gossip.restore_update(_bytes(row[2]))
    for row in await store.load(tables.GOSSIP_NODES):
        gossip.add_node(_read(NodeAnnouncement, row[1]))
    for row in await store.load(tables.CHANNEL_UPDATES):
        key = (ChannelId(_bytes(row[0])), bool(row[1]))
        memory.channel_updates[key] = _read(ChannelUpdate, row[2])


def _read(kind: type[M], raw: Value) -> M:
    message = decode(_bytes(raw))
    if not isinstance(message, kind):
        raise DecodeError(f"a stored {kind.name} is something else")
    return message


def _bytes(value: Value) -> bytes:
    if not isinstance(value, bytes):
        raise DecodeError("a column of bytes holds something else")
    return value


def _number(value: Value) -> int:
    if not isinstance(value, int):
        raise DecodeError("a column of numbers holds something else")
    return value
