"""Ours: what the chain would rule for each channel, and the open timelocks."""

from wallet.faces.rpc.params import Args
from wallet.faces.rpc.signatures import ListPeerChannels
from wallet.faces.rpc.table import Answer
from wallet.machines.channel.rulings import RATES, Leaf, Ruling, Timelock
from wallet.machines.channel.state import ScidKind
from wallet.node.api import Api
from wallet.node.court import Hearing, hearings


async def court(api: Api, args: Args) -> Answer:
    """Each way in which a channel may end, output by output.

    `costs` are satoshi at 1, 10 and 100 sat/vB, null where taking an output would cost more than it
    holds.  `verified` says that the transaction was built, signed and found valid by Bitcoin Core's
    script engine; null where there is nothing to build yet, or no engine.
    """
    await api.memory()
    core = api.core
    wanted = args.get(ListPeerChannels.CHANNEL_ID)
    heard = await hearings(core.kernel.board, core.store, wanted)
    return {
        "feerates_sat_vb": list(RATES),
        "blockheight": core.kernel.board.memory.height.height,
        "channels": [_channel(hearing) for hearing in heard],
    }


def _channel(hearing: Hearing) -> Answer:
    channel = hearing.channel
    scid = channel.scid(ScidKind.REAL)
    return {
        "channel_id": channel.id.hex(),
        **({"short_channel_id": str(scid)} if scid is not None else {}),
        "peer_id": channel.terms.peer.hex(),
        "state": channel.phase.value,
        "ways": [_way(ruling, hearing) for ruling in hearing.rulings],
        "docket": [_timelock(line) for line in hearing.docket],
    }


def _way(ruling: Ruling, hearing: Hearing) -> Answer:
    answer: Answer = {
        "way": ruling.way.value,
        "ours_msat": ruling.ours.sat * 1000,
        "costs_sat": list(ruling.costs),
        "outputs": [_leaf(leaf, ruling, hearing) for leaf in ruling.leaves],
    }
    if ruling.number is not None:
        answer["commitment_number"] = ruling.number
    if ruling.transaction is not None:
        answer["txid"] = str(ruling.transaction.txid)
    return answer


def _leaf(leaf: Leaf, ruling: Ruling, hearing: Hearing) -> Answer:
    answer: Answer = {
        "output": leaf.index,
        "amount_msat": leaf.amount.sat * 1000,
        "what": leaf.what,
        "owner": "us" if leaf.ours else "peer",
        "after_blocks": leaf.after,
        "costs_sat": list(leaf.costs),
        "verified": hearing.verified.get((ruling.way.value, leaf.index)),
    }
    if leaf.from_height is not None:
        answer["from_height"] = leaf.from_height
    if leaf.needs:
        answer["condition"] = leaf.needs
    return answer


def _timelock(line: Timelock) -> Answer:
    answer: Answer = {
        "height": line.height,
        "what": line.what,
        "amount_msat": line.amount.sat * 1000,
    }
    if line.htlc is not None:
        answer["htlc_id"] = line.htlc.id
        answer["direction"] = "out" if line.htlc.offered_by_us else "in"
    if line.claim is not None:
        answer |= {"claim": line.claim.value, "late": line.late}
    return answer
