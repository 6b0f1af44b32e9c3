"""Our channels as payers see them: what an invoice can tell of, and how much can come in."""

from wallet.base.invoices.tagged import HintHop
from wallet.base.values.features import Feature
from wallet.base.values.ids import NodeId
from wallet.base.wire.gossip import ChannelUpdate
from wallet.machines.channel.limits import receivable
from wallet.machines.channel.state import Channel, Link, Phase, ScidKind, is_lost
from wallet.machines.payments.hints import InboundChannel
from wallet.node.memory import Memory


def inbound_channels(memory: Memory) -> list[InboundChannel]:
    """Those that are ready, oldest first."""
    return [
        _seen_by_payers(memory, channel)
        for channel in memory.channels.values()
        if channel.phase is Phase.READY and channel.id not in memory.frozen and not is_lost(channel)
    ]


def _seen_by_payers(memory: Memory, channel: Channel) -> InboundChannel:
    terms = memory.channel_updates.get((channel.id, False))
    room = receivable(channel)
    return InboundChannel(
        names=frozenset(name.scid for name in channel.scids),
        hint=None if terms is None else _hint(channel, terms),
        receivable=room if terms is None else min(room, terms.htlc_maximum_msat),
        private=not channel.terms.announce,
        connected=channel.link is Link.LIVE,
        dead_end=_is_dead_end(memory, channel.terms.peer),
    )


def _hint(channel: Channel, terms: ChannelUpdate) -> HintHop | None:
    # BOLT 2: MAY use any of the `alias` it received, in BOLT 11 `r` fields.  The funding output
    # stays unknown to the payer.  Terms marked as disabled still hold once the peer is back.
    alias = channel.scid(ScidKind.THEIRS) if not channel.terms.announce else None
    # BOLT 2: if `channel_type` has `option_scid_alias` set: MUST NOT use the real one there.
    hidden = Feature.OPTION_SCID_ALIAS in channel.terms.channel_type
    name = alias or (None if hidden else channel.scid(ScidKind.REAL))
    if name is None:
        return None
    return HintHop(
        channel.terms.peer,
        name,
        terms.fee_base_msat,
        terms.fee_proportional_millionths,
        terms.cltv_expiry_delta,
    )


def _is_dead_end(memory: Memory, peer: NodeId) -> bool:
    """Whether the map, if we have one, shows no channel of the peer but those with us."""
    if not len(memory.graph):
        return False
    own = {name.scid for c in memory.channels_with(peer) for name in c.scids}
    return all(channel.scid in own for channel in memory.graph.channels_of(peer))
