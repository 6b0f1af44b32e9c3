"""What a channel says about HTLCs, and whom it concerns: payee, forwarder or payer.

Both sides of a decision settle in one batch: an invoice is paid in the commit in which its HTLC is
fulfilled, a forward in the commit that has both its HTLCs, a payment in the one with its preimage.
"""

from wallet.base.values.ids import ChannelId
from wallet.machines.channel import actions
from wallet.machines.channel.htlc import Failed, Fulfilled, Htlc, Malformed
from wallet.node import forward_desk, pay_desk, receive_desk
from wallet.node.board import Board


def hear(board: Board, channel_id: ChannelId, said: actions.Action) -> None:
    """What a channel says about an HTLC."""
    match said:
        case actions.HtlcCommitted(htlc):
            if not forward_desk.under_way(board, channel_id, htlc):
                receive_desk.answer(board, channel_id, htlc)
        case actions.FundingLost():
            receive_desk.give_back_parts(board, channel_id)
        case actions.HtlcFulfilled(htlc, preimage):
            forward_desk.fulfilled(board, channel_id, htlc, preimage)
            pay_desk.fulfilled(board, channel_id, htlc, preimage)
        case actions.HtlcLapsed(htlc):
            # The peer has said nothing that could be passed on.
            forward_desk.failed(board, channel_id, htlc, Failed(b""))
            pay_desk.failed(board, channel_id, htlc, Failed(b""))
        case actions.HtlcGone(htlc, Failed() | Malformed() as removal):
            if htlc.key.offered_by_us:
                forward_desk.failed(board, channel_id, htlc, removal)
                pay_desk.failed(board, channel_id, htlc, removal)
        case _:
            pass


def outcome(board: Board, channel_id: ChannelId, htlc: Htlc) -> None:
    """At a start: an HTLC that went on is gone, and the channel it came by was frozen then."""
    match htlc.removal:
        case Fulfilled(preimage):
            forward_desk.fulfilled(board, channel_id, htlc, preimage)
        case Failed() | Malformed() as removal:
            forward_desk.failed(board, channel_id, htlc, removal)
        case None:
            pass
