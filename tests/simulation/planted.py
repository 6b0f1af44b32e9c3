"""Bugs planted in the product, to know that the net has teeth: each must be found, and by what.

A patch replaces names of the product where they are used, for as long as its seeds are played.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any, Final
from unittest.mock import patch

from wallet.base.channel_tx import claims as claim_txs
from wallet.base.channel_tx import commitment, fees
from wallet.base.errors import Refused
from wallet.base.values.amounts import FeeratePerKw, Satoshi
from wallet.machines.channel import (
    dance,
    deadlines,
    htlc_stages,
    onchain,
    reconnect,
    sweeps,
    unilateral,
    updates,
)
from wallet.machines.channel.actions import HtlcCommitted, HtlcLapsed
from wallet.machines.channel.htlc import Failed
from wallet.machines.channel.htlc_stages import Stage
from wallet.machines.step import Step
from wallet.node import persist, receive_desk
from wallet.node.kernel import Kernel
from wallet.services.store import tables

Patch = AbstractContextManager[Any]


def _wrapped(room: Any, name: str, wrap: Callable[..., Any]) -> Patch:
    """`wrap` gets the product's own function before its arguments."""
    own = getattr(room, name)
    return patch.object(room, name, lambda *args, **kwargs: wrap(own, *args, **kwargs))


def _act_before_commit(own: Any, kernel: Kernel, wanted: Any) -> list[Any]:
    for ready in own(kernel, wanted):
        kernel._act(ready)
    return []


def _wrong_order(own: Any, channel: Any, message: Any) -> Any:
    turned = replace(channel, commit_sent_last=not channel.commit_sent_last)
    after = own(turned, message)
    return Step(replace(after.state, commit_sent_last=channel.commit_sent_last), after.actions)


def _flag_lost(own: Any, channel: Any) -> Any:
    after = own(channel)
    return Step(replace(after.state, commit_sent_last=False), after.actions)


def _failed_at_once(own: Any, channel: Any, message: Any) -> Any:
    after = own(channel, message)
    gone = [
        h
        for key, h in after.state.htlcs.items()
        if isinstance(h.removal, Failed) and channel.htlcs[key].removal is None
    ]
    return Step(after.state, (*after.actions, *map(HtlcLapsed, gone)))


def _committed_early(own: Any, channel: Any, released: Any) -> Any:
    after = own(channel, released)
    early = [h for h in after.state.htlcs.values() if h.stage is Stage.SENT_ADD_REVOCATION]
    return Step(after.state, (*after.actions, *map(HtlcCommitted, early)))


def _answered_if_possible(own: Any, *args: Any) -> None:
    with suppress(Refused):
        own(*args)


def _without_commitments(own: Any, *args: Any) -> list[Any]:
    return [w for w in own(*args) if w.table is not tables.THEIR_COMMITMENTS]


def _lowered(own: Any, stake: Any, last: Any, *args: Any) -> Any:
    feerate = own(stake, last, *args)
    if last is None or feerate is None or feerate == last:
        return feerate
    return FeeratePerKw(last.per_kw - 1)


def _dust_kept_out(
    rules: Any, htlcs: Sequence[fees.CommittedHtlc], feerate: Any, limit: Satoshi
) -> Any:
    return fees.untrimmed(rules, htlcs, feerate, limit + Satoshi(1))


def _not_reversed() -> Patch:
    kept = {
        stage: replace(htlc_stages.ROWS[stage], after_reconnect=stage)
        for stage in (Stage.RCVD_ADD_HTLC, Stage.RCVD_REMOVE_HTLC)
    }
    return patch.dict(htlc_stages.ROWS, kept)


@contextmanager
def _all(*patches: Patch) -> Iterator[None]:
    with ExitStack() as stack:
        for each in patches:
            stack.enter_context(each)
        yield


@dataclass(frozen=True)
class Plant:
    """A bug, within how many of the default seeds it must be found, and what is said then."""

    patch: Callable[[], Patch]
    seeds: int
    found_as: str
    profile: str = "toy"


PLANTS: Final = {
    "act before commit": Plant(
        lambda: _wrapped(Kernel, "_sign", _act_before_commit), 60, "belong to nobody|complains to"
    ),
    "uncommitted not reversed": Plant(
        _not_reversed, 20, "tells another story|not there to be removed|complains to"
    ),
    "wrong resend order": Plant(
        lambda: _wrapped(reconnect, "receive_reestablish", _wrong_order), 20, "complains to"
    ),
    "last-sent flag lost": Plant(lambda: _wrapped(dance, "commit", _flag_lost), 20, "complains to"),
    "failed upstream too early": Plant(
        lambda: _wrapped(updates, "receive_removal", _failed_at_once), 20, "may still have to pay"
    ),
    "failed upstream one block deep": Plant(
        lambda: patch.object(onchain, "RESOLVED_DEPTH", 1),
        60,
        "may still have to pay|gone upstream",
    ),
    "forwarded too early": Plant(
        lambda: _all(
            _wrapped(dance, "revoke", _committed_early),
            _wrapped(receive_desk, "answer", _answered_if_possible),
            patch.object(receive_desk, "_is_answerable", lambda *_: True),
        ),
        20,
        "not irrevocable",
    ),
    "dust off by one": Plant(
        lambda: patch.object(commitment, "untrimmed", _dust_kept_out), 60, "lacks HTLCs of"
    ),
    "rows of the past missing": Plant(
        lambda: _wrapped(persist, "writes", _without_commitments),
        60,
        "lets a cheat have|its books say",
    ),
    "fee rate lowered": Plant(
        lambda: _all(
            _wrapped(sweeps, "next_feerate", _lowered),
            _wrapped(unilateral, "next_feerate", _lowered),
        ),
        60,
        "pays less for",
    ),
    "deadlines missed": Plant(
        lambda: patch.object(deadlines, "overdue", lambda channel, ctx: []),
        60,
        "lets a deadline go by",
    ),
    "reorganised claim forgotten": Plant(
        lambda: patch.object(onchain, "claim_unspent", lambda channel, event: Step(channel)),
        90,
        "its books say|belong to nobody|lets a cheat have",
    ),
    "wrong sighash": Plant(
        lambda: _wrapped(
            claim_txs,
            "segwit_v0",
            lambda own, tx, place, script, amount: own(tx, place, script, amount + Satoshi(1)),
        ),
        10,
        "nobody can mine",
        "real",
    ),
    "HTLC index mixed": Plant(
        lambda: patch.object(
            sweeps, "htlc_transaction", lambda built, claim: built.commitment.htlcs[0]
        ),
        30,
        "nobody can mine|still pending after peace",
        "real",
    ),
}
