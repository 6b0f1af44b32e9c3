"""Which short channel ids an onion may name to have a payment sent through a channel (BOLT 2)."""

from wallet.base.values.features import Feature, Features
from wallet.base.values.ids import ShortChannelId
from wallet.machines.channel.close_scripts import negotiated
from wallet.machines.channel.state import Channel, ScidKind


def hides_its_place(channel: Channel) -> bool:
    """Whether the real scid is a secret: it would tell strangers which output is the channel."""
    terms = channel.terms
    # BOLT 2: if `channel_type` has `option_scid_alias` set: MUST NOT allow incoming HTLCs to this
    # channel using the real `short_channel_id`.
    if Feature.OPTION_SCID_ALIAS in terms.channel_type:
        return True
    # A private channel whose peer knows aliases has no need of the real one either.
    theirs = Features.from_bytes(terms.their_features)
    return not terms.announce and negotiated(Feature.OPTION_SCID_ALIAS, theirs)


def forwardable_names(channel: Channel) -> tuple[ShortChannelId, ...]:
    """Every name that an onion may use for this channel as the next hop.

    BOLT 2: MUST always recognize the `alias` as a `short_channel_id` for incoming HTLCs: all that
    we ever gave.  The real one counts while its block is in the best chain.
    """
    ours = tuple(s.scid for s in channel.scids if s.kind is ScidKind.OURS)
    real = channel.scid(ScidKind.REAL)
    if real is None or channel.funding.confirmed is None or hides_its_place(channel):
        return ours
    return (*ours, real)
