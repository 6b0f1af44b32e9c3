"""BOLT 8's three acts over asyncio streams: a TCP connection in, an authenticated session out."""

import asyncio
from dataclasses import dataclass

from wallet.base.values.ids import NodeId, Secret
from wallet.machines.noise import (
    ACT_ONE_SIZE,
    ACT_THREE_SIZE,
    ACT_TWO_SIZE,
    Initiator,
    Responder,
    Session,
    StaticEcdh,
)
from wallet.services.ports import Entropy


@dataclass(frozen=True, slots=True)
class Identity:
    """Who we are to peers. `ecdh` multiplies by the node's secret, which stays with its holder."""

    node_id: NodeId
    ecdh: StaticEcdh
    entropy: Entropy


async def initiate(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    identity: Identity,
    their_id: NodeId,
) -> Session:
    """Our side of a connection that we dialled.

    Raises `PeerFault` for wrong bytes, `EOFError` or `OSError` when the line is cut.
    """
    us = Initiator(identity.node_id, identity.ecdh, Secret(identity.entropy.draw()), their_id)
    writer.write(us.act_one())
    act_three, session = us.act_two(await reader.readexactly(ACT_TWO_SIZE))
    writer.write(act_three)
    return session


async def respond(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, identity: Identity
) -> Session:
    """Our side of a connection that somebody made to us; the session says who. Raises the same."""
    us = Responder(identity.node_id, identity.ecdh, Secret(identity.entropy.draw()))
    writer.write(us.act_one(await reader.readexactly(ACT_ONE_SIZE)))
    return us.act_three(await reader.readexactly(ACT_THREE_SIZE))
