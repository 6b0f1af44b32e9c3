"""Ours: both latest commitments of each channel, built anew from what is on our disk."""

from wallet.faces.rpc.params import Args
from wallet.faces.rpc.signatures import ListPeerChannels
from wallet.faces.rpc.table import Answer
from wallet.machines.channel.commitments import Built, our_commitment, their_commitment
from wallet.machines.channel.state import LIVING, Channel, Funding
from wallet.node.api import Api


async def commitments(api: Api, args: Args) -> Answer:
    """What either side of a living channel could broadcast now, as we know it.

    Two sides agree on a channel when each builds, from its own records alone, the very transactions
    that the other does: our `ours` is their `theirs`.  While a payment is under way they may differ
    for a moment.
    """
    memory = await api.memory()
    wanted = args.get(ListPeerChannels.CHANNEL_ID)
    return {
        "commitments": [
            _both(channel)
            for channel in memory.channels.values()
            if channel.phase in LIVING and wanted in (None, channel.id)
        ]
    }


def _both(channel: Channel) -> Answer:
    funding = channel.funding
    return {
        "channel_id": channel.id.hex(),
        "peer_id": channel.terms.peer.hex(),
        "funding_txid": str(funding.outpoint.txid),
        "funding_outnum": funding.outpoint.index,
        "total_msat": funding.amount.to_msat().msat,
        "ours": _one(our_commitment(channel, funding), channel.our_number, funding),
        "theirs": _one(their_commitment(channel, funding), channel.their_number, funding),
    }


def _one(built: Built, number: int, funding: Funding) -> Answer:
    tx = built.commitment.tx
    paid = sum(output.amount.sat for output in tx.outputs)
    return {
        "number": number,
        "txid": str(tx.txid),
        "outputs_msat": paid * 1000,
        "fee_msat": (funding.amount.sat - paid) * 1000,
    }
