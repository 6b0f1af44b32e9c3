"""Peers and channels: links, openings, what is shown of them, closes."""

from typing import Final

from wallet.base.bitcoin.address import decode_address
from wallet.base.errors import DecodeError, Refused
from wallet.base.values.amounts import ZERO_MSAT, Satoshi
from wallet.faces.rpc import shapes
from wallet.faces.rpc.errors import Code
from wallet.faces.rpc.methods.reading import feerate_of, refuse_given
from wallet.faces.rpc.more_signatures import TrustPeer
from wallet.faces.rpc.notices import tell
from wallet.faces.rpc.params import Args
from wallet.faces.rpc.signatures import (
    ChannelSelector,
    Close,
    Connect,
    FundChannel,
    ListPeerChannels,
    ListPeers,
)
from wallet.faces.rpc.table import Answer
from wallet.machines.channel.opening_rules import ANCHOR_TYPE, CHANNEL_TYPES
from wallet.machines.channel.state import LIVING, Channel, Phase
from wallet.node.api import Api
from wallet.node.events import ChannelWish
from wallet.node.memory import Memory

DEFAULT_UNILATERAL_SECONDS: Final = 172_800
"""Core Lightning's: two days of trying before a close is forced."""


async def connect(api: Api, args: Args) -> Answer:
    """A link to a peer, by default where we met it last."""
    who = args[Connect.ID]
    host = who.host if who.host is not None else args.get(Connect.HOST)
    port = who.port if who.port is not None else args.get_or(Connect.PORT, 9735)
    peer = await api.connect(who.node_id, host, port if host is not None else None)
    return {
        "id": peer.node_id.hex(),
        "features": peer.features.to_bytes().hex(),
        "direction": "out" if peer.outbound else "in",
        "address": shapes.host_port(peer.address),
    }


async def listpeers(api: Api, args: Args) -> Answer:
    """Peers that are connected or that we share a channel with."""
    memory = await api.memory()
    wanted = args.get(ListPeers.ID)
    living = [c.terms.peer for c in memory.channels.values() if c.phase is not Phase.CLOSED]
    peers = [
        shapes.peer(node_id, memory.peers.get(node_id), living.count(node_id))
        for node_id in dict.fromkeys((*memory.peers, *living))
        if wanted in (None, node_id)
    ]
    return {"peers": peers}


async def fundchannel(api: Api, args: Args) -> Answer:
    """Open a channel from our coins; announced unless told otherwise, as Core Lightning does."""
    refuse_given(
        args,
        (
            FundChannel.UTXOS,
            FundChannel.REQUEST_AMT,
            FundChannel.COMPACT_LEASE,
            FundChannel.RESERVE,
        ),
    )
    given = args.get(FundChannel.CHANNEL_TYPE)
    kind = ANCHOR_TYPE if given is None else tuple(sorted(given))
    if kind not in CHANNEL_TYPES:
        raise Refused(
            f"channel_type: only {list(ANCHOR_TYPE)} (static_remotekey, anchors) can be opened,"
            " with or without 46 (scid_alias) and 50 (zeroconf)",
            Code.INVALID_PARAMS,
        )
    close_to = _script("close_to", args.get(FundChannel.CLOSE_TO), api)
    amount = args[FundChannel.AMOUNT]
    tell("asking the peer for a channel")
    opened = await api.open_channel(
        args[FundChannel.ID],
        amount if isinstance(amount, Satoshi) else None,
        args.get_or(FundChannel.PUSH_MSAT, ZERO_MSAT),
        await feerate_of(api, args.get(FundChannel.FEERATE)),
        announce=args.get_or(FundChannel.ANNOUNCE, True),
        min_confirmations=args.get_or(FundChannel.MINCONF, 0),
        wish=ChannelWish(kind, args.get(FundChannel.MINDEPTH), close_to or b""),
    )
    terms = opened.channel.terms
    return shapes.without_none(
        {
            "tx": opened.tx.encode().hex(),
            "txid": str(opened.tx.txid),
            "outnum": opened.channel.funding.outpoint.index,
            "channel_id": opened.channel.id.hex(),
            "channel_type": shapes.channel_type(terms.channel_type),
            # Only what binds both sides: the peer keeps us to it if it offers to.
            "close_to": terms.ours.upfront_shutdown_script.hex() or None,
            "mindepth": terms.minimum_depth,
        }
    )


async def trustpeer(api: Api, args: Args) -> Answer:
    """Ours: let a peer open channels that are used before their funding is confirmed.

    Until then the peer can take the coins back: whatever such a channel paid us, or we forwarded
    because of it, is lost then.
    """
    said = await api.trust_peer(args[TrustPeer.ID], args.get_or(TrustPeer.TRUSTED, True))
    return {"id": said.peer.hex(), "trusted": said.trusted}


async def listpeerchannels(api: Api, args: Args) -> Answer:
    """Every channel that is not settled and forgotten."""
    memory = await api.memory()
    peer, scid = args.get(ListPeerChannels.ID), args.get(ListPeerChannels.SHORT_CHANNEL_ID)
    channel_id = args.get(ListPeerChannels.CHANNEL_ID)
    chosen = [
        c
        for c in memory.channels.values()
        if c.phase is not Phase.CLOSED
        and peer in (None, c.terms.peer)
        and channel_id in (None, c.id)
        and (scid is None or scid in {s.scid for s in c.scids})
    ]
    return {
        "channels": [
            shapes.peer_channel(
                c,
                api.chain,
                api.node_id,
                memory.frozen.get(c.id),
                memory.channel_updates.get((c.id, False)),
                connected=c.terms.peer in memory.peers,
            )
            for c in chosen
        ]
    }


async def close(api: Api, args: Args) -> Answer:
    """Close a channel cooperatively, or by our commitment when the peer does not answer.

    `unilateraltimeout` is in seconds; 0 waits for the peer however long it takes, 1 does not wait.
    Of a close that waits for its block a higher `feerange` asks for one that pays more.
    """
    refuse_given(args, (Close.FEE_NEGOTIATION_STEP, Close.WRONG_FUNDING))
    channel = _selected(await api.memory(), args[Close.ID])
    seconds = args.get_or(Close.UNILATERALTIMEOUT, DEFAULT_UNILATERAL_SECONDS)
    patience = {0: None, 1: 0.0}.get(seconds, float(seconds))
    if channel.phase is Phase.MUTUALLY_CLOSED and patience != 0:
        # What is signed waits for its block. A peer that does not sign a higher fee is no reason
        # to pay for a commitment.
        patience = None
    rates = args.get_or(Close.FEERANGE, ())
    if rates and len(rates) != 2:
        raise Refused("feerange: should be [min, max]", Code.INVALID_PARAMS)
    feerates = [rate for r in rates if (rate := await feerate_of(api, r)) is not None]
    tell("closing: the peer is asked, and payments in flight end first")
    closed = await api.close_channel(
        channel.id,
        _script("destination", args.get(Close.DESTINATION), api),
        (min(feerates), max(feerates)) if feerates else None,
        patience,
    )
    return {
        "txs": [closed.tx.encode().hex()],
        "txids": [str(closed.tx.txid)],
        "type": closed.kind,
    }


def _script(name: str, address: str | None, api: Api) -> bytes | None:
    if address is None:
        return None
    try:
        return decode_address(address, api.chain)
    except DecodeError as error:
        raise Refused(f"{name}: {error}", Code.INVALID_PARAMS) from None


def _selected(memory: Memory, selector: ChannelSelector) -> Channel:
    """The one channel that is meant. A peer's id means its one channel that still lives."""
    found = [
        c for c in memory.channels.values() if c.phase is not Phase.CLOSED and _fits(c, selector)
    ]
    chosen = [c for c in found if c.phase in LIVING] or found
    if not chosen:
        raise Refused("there is no such channel", Code.INVALID_PARAMS)
    if len(chosen) > 1:
        raise Refused(
            "there are several channels with this peer: name one by its channel_id or"
            " short_channel_id",
            Code.INVALID_PARAMS,
        )
    return chosen[0]


def _fits(channel: Channel, selector: ChannelSelector) -> bool:
    return (
        channel.id == selector.channel_id
        or channel.terms.peer == selector.node_id
        or selector.short_channel_id in {s.scid for s in channel.scids}
    )
