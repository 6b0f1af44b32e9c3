"""What the chain would rule, for `court`: the machine's rulings, signed and judged."""

from dataclasses import dataclass
from typing import Final

from wallet.base.values.ids import ChannelId, Signature
from wallet.machines.channel.htlc import Split
from wallet.machines.channel.rulings import Proof, Ruling, Timelock, docket, rulings
from wallet.machines.channel.state import Channel
from wallet.node.board import Board
from wallet.node.columns import as_number
from wallet.node.evidence import recall
from wallet.services.judge import Case, judge
from wallet.services.ports import Store

_RICHEST: Final = (
    "SELECT number FROM their_commitments WHERE channel_id = ? AND funding = ? AND number < ?"
    " ORDER BY to_them_msat DESC, number LIMIT 1"
)


@dataclass(frozen=True, slots=True)
class Hearing:
    """One channel before the court."""

    channel: Channel
    rulings: tuple[Ruling, ...]
    docket: tuple[Timelock, ...]
    verified: dict[tuple[str, int], bool]
    """By way and output: what the judge said; empty where nobody was asked or nobody answered."""


async def hearings(board: Board, store: Store, wanted: ChannelId | None = None) -> list[Hearing]:
    """Every channel, or one of them; one judge for all that could be sent."""
    channels = [c for c in board.memory.channels.values() if wanted in (None, c.id)]
    ways = {c.id: rulings(c, await _worst_cheat(store, c), board.ctx) for c in channels}
    proofs = {
        (channel_id, ruling.way.value, leaf.index): leaf.proof
        for channel_id, found in ways.items()
        for ruling in found
        for leaf in ruling.leaves
        if leaf.proof is not None
    }
    verdicts = await judge([_signed(board, proof) for proof in proofs.values()])
    verified = dict(zip(proofs, verdicts, strict=True)) if verdicts is not None else {}
    return [
        Hearing(
            channel,
            tuple(ways[channel.id]),
            tuple(docket(channel)),
            {(way, at): ok for (owner, way, at), ok in verified.items() if owner == channel.id},
        )
        for channel in channels
    ]


async def _worst_cheat(store: Store, channel: Channel) -> tuple[int, Split] | None:
    """The commitment of the past that would give the peer most."""
    revoked = channel.their_number - int(channel.awaiting_revocation)
    funding = channel.funding.number
    rows = await store.query(_RICHEST, (channel.id, funding, revoked))
    if not rows:
        return None
    number = as_number(rows[0][0])
    content = await recall(store, channel.id, funding, number)
    return None if content is None else (number, content)


def _signed(board: Board, proof: Proof) -> Case:
    answers = board.signer.answer(proof.unsigned.requests())
    signed = proof.unsigned.finish([Signature(a) for a in answers if isinstance(a, bytes)])
    return signed, proof.prevouts
