"""Coins, peers and channels as Core Lightning's JSON (v26.06): one function per kind of item.

Nothing is decided here.  Amounts are integers that end in `_msat`; binary is lower-case
hexadecimal.  Invoices and payments are in `payment_shapes.py`.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Final

from wallet.base.bitcoin.address import encode_address
from wallet.base.bitcoin.chains import Chain
from wallet.base.bitcoin.transaction import Transaction
from wallet.base.channel_tx.fees import CommittedHtlc, is_trimmed
from wallet.base.errors import DecodeError
from wallet.base.values.amounts import FeeratePerKw
from wallet.base.values.ids import NodeId
from wallet.base.wire.gossip import ChannelUpdate
from wallet.machines.channel import missing
from wallet.machines.channel.commitments import our_commitment
from wallet.machines.channel.htlc import Fulfilled, Htlc
from wallet.machines.channel.htlc_stages import FINAL
from wallet.machines.channel.limits import receivable, spendable
from wallet.machines.channel.shutdown import broadcast_close
from wallet.machines.channel.state import Change, Channel, Link, Phase, ScidKind, Tally, is_lost
from wallet.machines.coins.wallet import Coin, CoinStatus
from wallet.machines.payments.forwarding import policy_of
from wallet.node.memory import ConnectedPeer

Json = dict[str, object]

TYPE_NAMES: Final = {
    12: "static_remotekey/even",
    22: "anchors/even",
    46: "scid_alias/even",
    50: "zeroconf/even",
}
FEATURE_NAMES: Final = {
    12: "option_static_remotekey",
    22: "option_anchors",
    46: "option_scid_alias",
    50: "option_zeroconf",
}

RESERVED_BLOCKS: Final = 72
"""Core Lightning reserves for so long. Ours ends with the opening that holds it, much sooner."""

BEFORE_THE_END: Final = frozenset({Phase.AWAITING_CONFIRMATION, Phase.READY})
"""Phases in which nobody has begun to close."""

_STATUS: Final = {
    Phase.AWAITING_CONFIRMATION: "Funding needs more confirmations.",
    Phase.READY: "Channel ready for use.",
    Phase.SHUTTING_DOWN: "Closing: waiting for payments in flight to end.",
    Phase.NEGOTIATING: "Closing: agreeing on the fee.",
    Phase.MUTUALLY_CLOSED: "Closed cooperatively: waiting for the closing transaction's block.",
    Phase.FAILED: "Failed: our commitment waits for its block.",
    Phase.SPENT: "Settling on chain.",
    Phase.CLOSED: "All is settled.",
}


def without_none(item: Mapping[str, object]) -> Json:
    """The item without the fields that do not apply."""
    return {name: value for name, value in item.items() if value is not None}


def host_port(address: str) -> Json:
    """`host:port` as Core Lightning's address object."""
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    return {"type": _kind_of(host), "address": host, "port": int(port)}


def _kind_of(host: str) -> str:
    try:
        return f"ipv{ip_address(host).version}"
    except ValueError:
        return "dns"


def address_of(script: bytes, chain: Chain) -> str | None:
    """A script as an address of the chain, if it has one."""
    try:
        return encode_address(script, chain)
    except DecodeError:
        return None


def channel_type(bits: tuple[int, ...]) -> Json:
    """`channel_type` as numbers and names."""
    return {"bits": list(bits), "names": [TYPE_NAMES[bit] for bit in bits if bit in TYPE_NAMES]}


# --- on chain -----------------------------------------------------------------------------------


def output(coin: Coin, status: CoinStatus, chain: Chain, height: int) -> Json:
    """An item of `listfunds.outputs`."""
    reserved = coin.reserved_by is not None
    return without_none(
        {
            "txid": str(coin.outpoint.txid),
            "output": coin.outpoint.index,
            "amount_msat": coin.amount.to_msat().msat,
            "scriptpubkey": coin.script_pubkey.hex(),
            "address": address_of(coin.script_pubkey, chain),
            "status": status.value,
            "blockheight": coin.height if status is CoinStatus.CONFIRMED else None,
            "reserved": reserved,
            "reserved_to_block": height + RESERVED_BLOCKS if reserved else None,
        }
    )


def channel_funds(channel: Channel, *, connected: bool) -> Json:
    """An item of `listfunds.channels`; `connected` is the peer, whatever the channel."""
    waiting = channel.phase is Phase.AWAITING_CONFIRMATION
    # Core Lightning names a channel once it is as deep as was asked, not with its first block.
    scid = None if waiting else channel.scid(ScidKind.REAL)
    return without_none(
        {
            "peer_id": channel.terms.peer.hex(),
            "connected": connected,
            "state": channel.phase.value,
            "channel_id": channel.id.hex(),
            "short_channel_id": str(scid) if scid else None,
            "our_amount_msat": channel.funding.to_us.msat,
            "amount_msat": channel.funding.amount.to_msat().msat,
            "funding_txid": str(channel.funding.outpoint.txid),
            "funding_output": channel.funding.outpoint.index,
        }
    )


# --- peers and channels -------------------------------------------------------------------------


def peer(node_id: NodeId, connected: ConnectedPeer | None, channels: int) -> Json:
    """An item of `listpeers`."""
    return without_none(
        {
            "id": node_id.hex(),
            "connected": connected is not None,
            "num_channels": channels,
            "netaddr": [connected.address] if connected else None,
            "features": connected.features.to_bytes().hex() if connected else None,
        }
    )


def peer_channel(
    channel: Channel,
    chain: Chain,
    our_id: bytes,
    frozen: str | None,
    their_update: ChannelUpdate | None = None,
    *,
    connected: bool,
) -> Json:
    """An item of `listpeerchannels`; `frozen` is why nothing more is done with it, if so.

    `connected` is the peer: a channel that has failed has no link, and yet the peer may be there.
    """
    terms, funding = channel.terms, channel.funding
    scid = channel.scid(ScidKind.REAL)
    closing = channel.our_shutdown or terms.close_to
    usable = channel.phase is Phase.READY
    final = _final_transaction(channel, frozen)
    return without_none(
        {
            "peer_id": terms.peer.hex(),
            "peer_connected": connected,
            "reestablished": channel.link is Link.LIVE,
            "channel_type": channel_type(terms.channel_type),
            "ignore_fee_limits": False,
            "updates": without_none(
                {
                    "local": _local_policy(channel),
                    "remote": _remote_policy(their_update) if their_update else None,
                }
            ),
            "state": channel.phase.value,
            "scratch_txid": str(final.txid),
            "last_tx_fee_msat": (funding.amount.sat - sum(o.amount.sat for o in final.outputs))
            * 1000,
            "lost_state": channel.fell_behind,
            "feerate": _feerate(channel.feerate),
            "short_channel_id": str(scid) if scid else None,
            "direction": int(our_id > terms.peer) if scid else None,
            "channel_id": channel.id.hex(),
            "funding_txid": str(funding.outpoint.txid),
            "funding_outnum": funding.outpoint.index,
            "close_to": closing.hex(),
            "close_to_addr": address_of(closing, chain),
            "private": not terms.announce,
            "opener": "local" if terms.we_opened else "remote",
            "closer": _closer(channel),
            "alias": aliases(channel),
            "features": [FEATURE_NAMES[b] for b in terms.channel_type if b in FEATURE_NAMES],
            "funding": _contributions(channel),
            "to_us_msat": funding.to_us.msat,
            "min_to_us_msat": funding.least_to_us.msat,
            "max_to_us_msat": funding.most_to_us.msat,
            "total_msat": funding.amount.to_msat().msat,
            "fee_base_msat": channel.relay.fee_base.msat,
            "fee_proportional_millionths": channel.relay.fee_proportional_millionths,
            "dust_limit_msat": terms.ours.dust_limit.to_msat().msat,
            "their_max_htlc_value_in_flight_msat": terms.theirs.max_htlc_value_in_flight.msat,
            "our_max_htlc_value_in_flight_msat": terms.ours.max_htlc_value_in_flight.msat,
            # Core Lightning's words: the reserve that each side has to keep.
            "their_reserve_msat": terms.ours.channel_reserve.to_msat().msat,
            "our_reserve_msat": terms.theirs.channel_reserve.to_msat().msat,
            "spendable_msat": spendable(channel).msat if usable else 0,
            "receivable_msat": receivable(channel).msat if usable else 0,
            "minimum_htlc_in_msat": terms.ours.htlc_minimum.msat,
            "minimum_htlc_out_msat": policy_of(channel).htlc_minimum.msat,
            "maximum_htlc_out_msat": policy_of(channel).htlc_maximum.msat,
            # Likewise the delay on each side's own outputs: what the other side asked for.
            "their_to_self_delay": terms.ours.to_self_delay,
            "our_to_self_delay": terms.theirs.to_self_delay,
            "max_accepted_htlcs": terms.ours.max_accepted_htlcs,
            "state_changes": [_change(c) for c in channel.changes if c.old is not None],
            "status": _status(channel, frozen),
            **_tally("in", channel.in_tally),
            **_tally("out", channel.out_tally),
            "htlcs": [_htlc(channel, h) for h in channel.htlcs.values() if _is_open(channel, h)],
        }
    )


def _final_transaction(channel: Channel, frozen: str | None) -> Transaction:
    """What we offer to the chain if the channel ends now: Core Lightning's `scratch_txid`."""
    together = channel.phase is Phase.MUTUALLY_CLOSED and frozen is None
    if together and (closes := broadcast_close(channel)):
        return closes[-1].transaction.tx
    return our_commitment(channel, channel.funding).commitment.tx


def _status(channel: Channel, frozen: str | None) -> list[str]:
    lines = [f"{channel.phase.value}:{_STATUS[channel.phase]}"]
    if channel.error is not None:
        lines.append(f"Failed because: {channel.error}")
    if channel.fell_behind:
        lines.append("The peer has a newer state: it must close, and ours is never broadcast.")
    if is_lost(channel):
        lines.append(f"Funding lost: {missing.sentence(channel)}.")
    if frozen is not None:
        lines.append(f"Frozen by a fault of ours: {frozen}")
    return lines


def _local_policy(channel: Channel) -> Json:
    policy = policy_of(channel)
    return {
        "htlc_minimum_msat": policy.htlc_minimum.msat,
        "htlc_maximum_msat": policy.htlc_maximum.msat,
        "cltv_expiry_delta": policy.cltv_expiry_delta.blocks,
        "fee_base_msat": policy.fee_base.msat,
        "fee_proportional_millionths": policy.fee_proportional_millionths,
    }


def _remote_policy(update: ChannelUpdate) -> Json:
    return {
        "htlc_minimum_msat": update.htlc_minimum_msat.msat,
        "htlc_maximum_msat": update.htlc_maximum_msat.msat,
        "cltv_expiry_delta": update.cltv_expiry_delta.blocks,
        "fee_base_msat": update.fee_base_msat.msat,
        "fee_proportional_millionths": update.fee_proportional_millionths,
    }


def _feerate(feerate: FeeratePerKw) -> Json:
    return {"perkw": feerate.per_kw, "perkb": feerate.per_kw * 4}


def _closer(channel: Channel) -> str | None:
    for change in channel.changes:
        if change.new is Phase.SHUTTING_DOWN or change.new is Phase.FAILED:
            return "remote" if change.cause == "remote" else "local"
    return None


def aliases(channel: Channel) -> Json:
    """The short channel ids that each side chose for the other to use."""
    ours, theirs = channel.scid(ScidKind.OURS), channel.scid(ScidKind.THEIRS)
    return without_none(
        {"local": str(ours) if ours else None, "remote": str(theirs) if theirs else None}
    )


def _contributions(channel: Channel) -> Json:
    total, ours = channel.funding.amount.to_msat(), channel.funding.our_contribution
    return {
        "local_funds_msat": ours.msat,
        "remote_funds_msat": (total - ours).msat,
        "pushed_msat": channel.funding.pushed.msat,
    }


def _change(change: Change) -> Json:
    at = datetime.fromtimestamp(change.at, UTC)
    return {
        "timestamp": at.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "old_state": change.old.value if change.old else "",
        "new_state": change.new.value,
        "cause": change.cause,
        "message": change.message,
    }


def _tally(way: str, tally: Tally) -> Json:
    return {
        f"{way}_payments_offered": tally.offered,
        f"{way}_offered_msat": tally.offered_msat,
        f"{way}_payments_fulfilled": tally.fulfilled,
        f"{way}_fulfilled_msat": tally.fulfilled_msat,
    }


def _is_open(channel: Channel, htlc: Htlc) -> bool:
    """Whether it is still to be decided; rows of a channel on chain stay until that is buried."""
    end = channel.onchain
    if end is not None and htlc.key.offered_by_us:
        return not isinstance(htlc.removal, Fulfilled) and htlc.key not in end.failed_back
    return htlc.stage not in FINAL


def _htlc(channel: Channel, htlc: Htlc) -> Json:
    terms = channel.terms
    committed = CommittedHtlc(
        htlc.key.id, htlc.key.offered_by_us, htlc.amount, htlc.payment_hash, htlc.cltv_expiry
    )
    trimmed = is_trimmed(terms.format, committed, channel.feerate, terms.ours.dust_limit)
    return without_none(
        {
            "direction": "out" if htlc.key.offered_by_us else "in",
            "id": htlc.key.id,
            "amount_msat": htlc.amount.msat,
            "expiry": htlc.cltv_expiry.height,
            "payment_hash": htlc.payment_hash.hex(),
            "local_trimmed": True if trimmed else None,
            "state": htlc.stage.value,
        }
    )
