"""Whether nothing is left but to agree on a closing transaction, and by which words (BOLT 2)."""

from wallet.base.values.features import Feature, Features
from wallet.machines.channel.close_scripts import negotiated
from wallet.machines.channel.state import Channel, Phase, in_flight
from wallet.machines.step import Context


def is_clear(channel: Channel) -> bool:
    """Both said shutdown, and no HTLC, fee change or revocation is outstanding."""
    return is_empty(channel) and not in_flight(channel) and not channel.awaiting_revocation


def is_empty(channel: Channel) -> bool:
    """Both said shutdown and no HTLC is left; a change of the fee may still be under way.

    What is closed is the same with it or without.  The peer may talk of the close already: Core
    Lightning, as opener, does not wait for our `commitment_signed` that includes its `update_fee`.
    """
    said = channel.shutdown_sent and channel.their_shutdown is not None
    return said and not channel.htlcs and not channel.revoking


def negotiating(channel: Channel, ctx: Context, *, asked: bool = False) -> Channel:
    """Their `shutdown` and first word about a fee may arrive in one batch, before any flush.

    `asked`: that word is there, so we need not be clear by our own measure.
    """
    ready = is_empty(channel) if asked else is_clear(channel)
    if channel.phase is not Phase.SHUTTING_DOWN or not ready:
        return channel
    return channel.with_phase(
        Phase.NEGOTIATING, ctx.now, "remote", "No HTLC left: agreeing on the closing fee"
    )


def is_simple(channel: Channel) -> bool:
    """Whether it closes by `option_simple_close` with the peer as it is connected."""
    theirs = Features.from_bytes(channel.terms.their_features)
    return negotiated(Feature.OPTION_SIMPLE_CLOSE, theirs)
