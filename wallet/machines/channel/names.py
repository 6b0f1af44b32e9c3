"""Which short channel ids an onion may name to have a payment sent through a channel (BOLT 2)."""

from wallet.base.values.features import Feature
from wallet.base.values.ids import ShortChannelId
from wallet.machines.channel.state import Channel, ScidKind


def forwardable_names(channel: Channel) -> tuple[ShortChannelId, ...]:
    """Every name that an onion may use for this channel as the next hop.

    BOLT 2: MUST always recognize the `alias` as a `short_channel_id` for incoming HTLCs: all that
    we ever gave.  The real one counts while its block is in the best chain.
    """
    ours = tuple(s.scid for s in channel.scids if s.kind is ScidKind.OURS)
    real = channel.scid(ScidKind.REAL)
    # BOLT 2: if `channel_type` has `option_scid_alias` set: MUST NOT allow incoming HTLCs to this
    # channel using the real `short_channel_id`: it would tell a prober which output this is.
    hidden = Feature.OPTION_SCID_ALIAS in channel.terms.channel_type
    if real is None or channel.funding.confirmed is None or hidden:
        return ours
    return (*ours, real)
