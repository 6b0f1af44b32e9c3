"""Whether nothing is left but to agree on a closing transaction (BOLT 2 "Closing Negotiation")."""

from wallet.machines.channel.state import Channel, Phase, in_flight
from wallet.machines.step import Context


def is_clear(channel: Channel) -> bool:
    """Both said shutdown, and no HTLC, fee change or revocation is outstanding."""
    return (
        channel.shutdown_sent
        and channel.their_shutdown is not None
        and not in_flight(channel)
        and not channel.awaiting_revocation
        and not channel.revoking
    )


def negotiating(channel: Channel, ctx: Context) -> Channel:
    """Their `shutdown` and first word about a fee may arrive in one batch, before any flush."""
    if channel.phase is not Phase.SHUTTING_DOWN or not is_clear(channel):
        return channel
    return channel.with_phase(
        Phase.NEGOTIATING, ctx.now, "remote", "No HTLC left: agreeing on the closing fee"
    )
