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
    """Every channel that still has something on chain, or one of them."""
    channels = [c for c in board.memory.channels.values() if wanted in (None, c.id)]
    return [await _hearing(board, store, channel) for channel in channels]


async def _hearing(board: Board, store: Store, channel: Channel) -> Hearing:
    ways = rulings(channel, await _worst_cheat(store, channel), board.ctx)
    proofs = [
        ((ruling.way.value, leaf.index), leaf.proof)
        for ruling in ways
        for leaf in ruling.leaves
        if leaf.proof is not None
    ]
    verdicts = await judge([_signed(board, proof) for _, proof in proofs])
    verified = {} if verdicts is None else dict(zip((k for k, _ in proofs), verdicts, strict=True))
    return Hearing(channel, tuple(ways), tuple(docket(channel)), verified)


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
