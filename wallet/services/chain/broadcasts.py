"""What Bitcoin Core says of a transaction that it was offered, in our words."""

from collections.abc import Sequence
from typing import Final

from wallet.machines.chain_events import BroadcastKind, BroadcastResult
from wallet.services.chain.answers import as_members, as_text

_WORDS: Final = (
    (BroadcastKind.CONFIRMED, ("txn-already-known",)),
    (BroadcastKind.IN_MEMPOOL, ("txn-already-in-mempool", "txn-same-nonwitness-data-in-mempool")),
    (BroadcastKind.MISSING_INPUTS, ("missingorspent", "missing-inputs", "missing inputs")),
)
"""Parts of Core's reject reasons, the first that fits counts."""
HARMLESS: Final = frozenset({BroadcastKind.IN_MEMPOOL, BroadcastKind.CONFIRMED})
"""Core has it already."""


def kind_of_reason(reason: str) -> BroadcastKind:
    """What a reject reason means."""
    lower = reason.lower()
    for kind, words in _WORDS:
        if any(word in lower for word in words):
            return kind
    return BroadcastKind.REJECTED


def result_of_reason(reason: str) -> BroadcastResult:
    """The outcome that a reject reason tells."""
    kind = kind_of_reason(reason)
    return BroadcastResult(kind, "" if kind in HARMLESS else reason)


def as_package_results(value: object, wtxids: Sequence[str]) -> list[BroadcastResult]:
    """`submitpackage`'s answer, for the transactions of these ids. Raises `DecodeError`."""
    results = as_members(as_members(value).get("tx-results"))
    outcomes = []
    for wtxid in wtxids:
        members = as_members(results.get(wtxid))
        if "error" in members:
            outcomes.append(result_of_reason(as_text(members["error"])))
        else:
            outcomes.append(BroadcastResult(BroadcastKind.ACCEPTED))
    return outcomes
