"""The node itself: who it is, whether it is open, what transactions would pay now."""

import resource
import sys
from typing import Final

from wallet import __version__
from wallet.base.channel_tx.format import ANCHORS
from wallet.base.errors import ServiceFault
from wallet.base.values.amounts import FEERATE_FLOOR, FeeratePerKw
from wallet.base.values.blocks import CltvDelta
from wallet.base.values.features import OUR_INIT, OUR_INVOICE, OUR_NODE
from wallet.faces.rpc import shapes
from wallet.faces.rpc.params import Args
from wallet.faces.rpc.signatures import Feerates, Unlock
from wallet.faces.rpc.table import Answer
from wallet.machines.chain_events import ChainStatus
from wallet.machines.channel.state import Channel, Phase
from wallet.node.api import Api

ESTIMATED: Final = (2, 6, 12, 100)
"""Core Lightning's targets, in blocks."""
FUNDING_WEIGHT: Final = 702
"""Of a transaction with one input that opens a channel and keeps change."""
CLOSING_WEIGHT: Final = 673
NONANCHOR_WEIGHT: Final = 598
"""Of a cooperative close, and of a commitment of the format before anchors, as CLN counts them."""


async def getinfo(api: Api, _args: Args) -> Answer:
    """Who we are and how we are; while locked, what is known without keys."""
    common: Answer = {
        "version": f"v{__version__}",
        "network": api.chain.name,
        "lightning-dir": str(api.place.path),
    }
    if api.locked:
        return {"locked": True, **common}
    memory = await api.memory()
    channels = [c for c in memory.channels.values() if c.phase is not Phase.CLOSED]
    node_id = api.node_id.hex()
    place = shapes.host_port(api.listening)
    pending, active = _in(channels, Phase.AWAITING_CONFIRMATION), _in(channels, Phase.READY)
    return {
        "id": node_id,
        "alias": api.config.alias or f"leyden-{node_id[:8]}",
        "color": node_id[:6],
        "num_peers": len({*memory.peers, *(c.terms.peer for c in channels)}),
        "num_pending_channels": pending,
        "num_active_channels": active,
        "num_inactive_channels": len(channels) - pending - active,
        "address": [place],
        "binding": [place],
        **common,
        "blockheight": memory.height.height,
        "fees_collected_msat": memory.fees_collected_msat,
        "our_features": {
            "init": OUR_INIT.to_bytes().hex(),
            "node": OUR_NODE.to_bytes().hex(),
            "channel": "",
            "invoice": OUR_INVOICE.to_bytes().hex(),
        },
        **_chain_warning(api.chain_status),
    }


async def metrics(api: Api, _args: Args) -> Answer:
    """Ours: what speed and memory are judged by, of this run; payments, as far as there is memory.

    `payments_complete` we have paid, `invoices_paid` were paid to us, `forwards_settled` we have
    passed on.
    """
    memory = await api.memory()
    return {
        "commits": api.commits,
        "rows": api.rows,
        "memory_kib": resident_kib(),
        "htlcs": sum(len(channel.htlcs) for channel in memory.channels.values()),
        "forwards": len(memory.forwards),
        "searches": len(memory.searching),
        "gossip_channels": len(memory.graph),
        "gossip_nodes": memory.graph.node_count,
        "gossip_capacity_msat": memory.graph.capacity_sat * 1000,
        "payments_complete": memory.payments_complete,
        "invoices_paid": memory.pay_index,
        "forwards_settled": memory.forwards_settled,
    }


def resident_kib() -> int:
    """The most memory that this process has held."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // 1024 if sys.platform == "darwin" else peak


def _in(channels: list[Channel], phase: Phase) -> int:
    return len([c for c in channels if c.phase is phase])


def _chain_warning(status: ChainStatus | None) -> Answer:
    """Core Lightning's two warnings: the backend is behind or away, or we are behind it."""
    if status is None:
        return {"warning_bitcoind_sync": "The chain backend has not answered yet."}
    if status.problem:
        return {"warning_bitcoind_sync": f"The chain backend does not answer: {status.problem}"}
    if status.backend_height < status.headers:
        return {"warning_bitcoind_sync": "The chain backend is itself still catching up."}
    if not status.synced:
        return {"warning_lightningd_sync": "Still reading blocks from the chain backend."}
    return {}


async def unlock(api: Api, args: Args) -> Answer:
    """Ours: open the seed file and start; no harm when it is open already."""
    await api.unlock(args[Unlock.PASSWORD])
    return {"unlocked": True, "id": api.node_id.hex()}


async def feerates(api: Api, args: Args) -> Answer:
    """What transactions would pay now; a warning instead of figures when nobody can say."""
    style = args[Feerates.STYLE]
    scale = 4 if style == "perkb" else 1
    floor = FEERATE_FLOOR.per_kw * scale
    rate = (await api.memory()).feerate
    now = rate.per_kw * scale
    limits: Answer = {"min_acceptable": floor, "max_acceptable": now * 10, "floor": floor}
    try:
        estimates = [(blocks, await api.estimate(CltvDelta(blocks))) for blocks in ESTIMATED]
    except ServiceFault as fault:
        return {
            style: {**limits, "estimates": []},
            "warning_missing_feerates": f"No fee estimates: {fault}",
        }
    uses = ("opening", "mutual_close", "unilateral_close", "unilateral_anchor_close", "penalty")
    shown: Answer = {
        **dict.fromkeys((*uses, "splice"), now),
        **limits,
        "estimates": [
            {
                "blockcount": blocks,
                "feerate": estimate.per_kw * scale,
                "smoothed_feerate": estimate.per_kw * scale,
            }
            for blocks, estimate in estimates
        ],
    }
    return {style: shown, "onchain_fee_estimates": _costs(rate)}


def _costs(rate: FeeratePerKw) -> Answer:
    return {
        "opening_channel_satoshis": rate.fee_ceil(FUNDING_WEIGHT).sat,
        "mutual_close_satoshis": rate.fee_ceil(CLOSING_WEIGHT).sat,
        "unilateral_close_satoshis": rate.fee_ceil(ANCHORS.commitment_weight).sat,
        "unilateral_close_nonanchor_satoshis": rate.fee_ceil(NONANCHOR_WEIGHT).sat,
        "htlc_timeout_satoshis": rate.fee_ceil(ANCHORS.htlc_timeout_weight).sat,
        "htlc_success_satoshis": rate.fee_ceil(ANCHORS.htlc_success_weight).sat,
    }
