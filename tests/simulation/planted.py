"""Bugs that are put into the product on purpose: what the simulation would have to find.

Each is the least change that makes one promise of the house untrue.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

import pytest

from tests.simulation.house import House
from wallet.base.bitcoin.sighash import script_signature
from wallet.base.channel_tx import commitment
from wallet.base.channel_tx.fees import untrimmed
from wallet.base.values.amounts import FEERATE_FLOOR, FeeratePerKw
from wallet.machines.channel import (
    commitments,
    dance,
    onchain,
    reconnect,
    resume,
    sweeps,
    unilateral,
)
from wallet.machines.channel.actions import HtlcCommitted
from wallet.machines.channel.bumping import next_feerate
from wallet.machines.channel.htlc import Fulfilled
from wallet.machines.channel.htlc_stages import Stage
from wallet.machines.channel.state import Link
from wallet.machines.coins import bumping
from wallet.node import evidence, persist, receive_desk
from wallet.node.kernel import Kernel

Patch = pytest.MonkeyPatch
ONE: Final = "ann"
"""Who alone has it, where two with the same bug would agree."""


def act_before_commit(patch: Patch) -> None:
    """What a batch says is said, and then written down."""
    sign = Kernel._sign

    def acting(kernel: Kernel, actions: Any) -> list[Any]:
        for ready in sign(kernel, actions):
            kernel._act(ready)
        return []

    patch.setattr(Kernel, "_sign", acting)


def uncommitted_not_reversed(patch: Patch) -> None:
    """Updates of the peer that no commitment holds outlive the connection."""

    def kept(channel: Any) -> Any:
        return replace(channel, link=Link.OFFLINE)

    patch.setattr(reconnect, "disconnected", kept)
    patch.setattr(resume, "disconnected", kept)


def wrong_resend_order(patch: Patch) -> None:
    """revoke_and_ack and commitment_signed, said again the other way round."""
    real = reconnect.receive_reestablish

    def swapped(channel: Any, message: Any) -> Any:
        return real(replace(channel, commit_sent_last=not channel.commit_sent_last), message)

    patch.setattr(reconnect, "receive_reestablish", swapped)


def lost_last_sent_flag(patch: Patch) -> None:
    """A restart does not know which of the two was said last."""
    real = resume.resume

    def forgetful(channel: Any) -> Any:
        return real(replace(channel, commit_sent_last=False))

    patch.setattr(persist, "resume", forgetful)


def fail_upstream_too_early(patch: Patch) -> None:
    """A commitment in a block decides an HTLC whose output is still there."""

    def hasty(end: Any, htlc: Any, ctx: Any) -> bool:
        open_ = htlc.key not in end.failed_back and not isinstance(htlc.removal, Fulfilled)
        return bool(htlc.key.offered_by_us and open_)

    patch.setattr(onchain, "_has_lapsed", hasty)


def forward_too_early(patch: Patch) -> None:
    """An HTLC goes on as soon as the peer has signed for it, and not when it is irrevocable."""
    real = dance.receive_commitment_signed

    def hasty(channel: Any, message: Any) -> Any:
        step = real(channel, message)
        new = [h for h in step.state.htlcs.values() if h.stage is Stage.RCVD_ADD_COMMIT]
        return replace(step, actions=(*step.actions, *(HtlcCommitted(h) for h in new)))

    patch.setattr(dance, "receive_commitment_signed", hasty)
    patch.setattr(receive_desk, "_is_answerable", lambda *_: True)


def dust_off_by_one(patch: Patch) -> None:
    """An HTLC of exactly the dust limit has no output, for one of the two."""

    def trimming(*args: Any) -> Any:
        kept = untrimmed(*args)
        limit = args[-1].sat if House.running == ONE else 0
        return type(kept)(h for h in kept if h.amount.floor_to_sat().sat != limit)

    patch.setattr(commitment, "untrimmed", trimming)


def wrong_sighash(patch: Patch) -> None:
    """The peer's signature for an HTLC transaction is shown as one for all of it."""
    patch.setattr(bumping, "script_signature", lambda signature, _=0: script_signature(signature))


def htlc_index_mixed(patch: Patch) -> None:
    """The signatures of a commitment's HTLCs come in another order, from one of the two."""
    real = commitment.build_commitment

    def mixed(*args: Any) -> Any:
        built = real(*args)
        return replace(built, htlcs=built.htlcs[::-1]) if House.running == ONE else built

    patch.setattr(commitments, "build_commitment", mixed)


def revoked_rows_missing(patch: Patch) -> None:
    """The database does not say which HTLCs a revoked commitment held."""
    real = evidence.recall

    async def without(*args: Any) -> Any:
        split = await real(*args)
        return None if split is None else replace(split, htlcs=())

    patch.setattr(evidence, "recall", without)


def fee_lowered(patch: Patch) -> None:
    """A claim that waits is offered again for less."""

    def lower(stake: Any, last: Any, made_at: int, estimate: Any, height: int) -> Any:
        if last is None or height <= made_at:
            return next_feerate(stake, last, made_at, estimate, height)
        return max(FEERATE_FLOOR, FeeratePerKw(last.per_kw // 2))

    patch.setattr(sweeps, "next_feerate", lower)
    patch.setattr(unilateral, "next_feerate", lower)


def preimage_not_read(patch: Patch) -> None:
    """A preimage that a peer shows on chain is not seen."""
    patch.setattr(onchain, "_preimage_in", lambda *_: None)


def fee_of_another_side(patch: Patch) -> None:
    """One of the two signs for a commitment that is a satoshi off."""
    real = commitment.build_commitment

    def off(terms: Any, keys: Any, spec: Any) -> Any:
        if House.running != ONE or not spec.htlcs:
            return real(terms, keys, spec)
        more = type(spec.to_broadcaster)(spec.to_broadcaster.msat - 1_000)
        return real(terms, keys, replace(spec, to_broadcaster=more))

    patch.setattr(commitments, "build_commitment", off)


@dataclass(frozen=True)
class Bug:
    """`seeds`: one of them at least must fail, and say so in these words."""

    plant: Callable[[Patch], None]
    seeds: range
    says: str
    profile: str = "toy"


EARLY: Final = range(30)
BUGS: Final = (
    Bug(act_before_commit, EARLY, "a batch failed"),
    Bug(uncommitted_not_reversed, EARLY, "complains"),
    Bug(wrong_resend_order, EARLY, "bad signature"),
    Bug(lost_last_sent_flag, EARLY, "bad signature"),
    Bug(fail_upstream_too_early, range(15, 90), "gave an HTLC back"),
    Bug(forward_too_early, EARLY, "is not irrevocable"),
    Bug(dust_off_by_one, EARLY, "bad signature"),
    Bug(wrong_sighash, EARLY, "nobody can mine", "real"),
    Bug(htlc_index_mixed, EARLY, "bad htlc_signature"),
    Bug(fee_of_another_side, EARLY, "bad signature"),
    # Of those with a cheat.
    Bug(revoked_rows_missing, range(157, 270, 4), "its books say"),
    Bug(fee_lowered, EARLY, "lowers a fee"),
    Bug(preimage_not_read, range(27, 120), "its books say"),
)
