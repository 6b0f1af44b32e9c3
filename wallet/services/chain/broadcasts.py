"""What Bitcoin Core says of transactions that it was offered, in our words."""

from collections.abc import Sequence
from typing import Final

from wallet.base.values.ids import Txid
from wallet.machines.chain_events import BroadcastKind, BroadcastResult
from wallet.services.chain.answers import as_members, as_text, printable

_WORDS: Final = (
    (BroadcastKind.CONFIRMED, ("txn-already-known",)),
    (BroadcastKind.IN_MEMPOOL, ("txn-already-in-mempool", "txn-same-nonwitness-data-in-mempool")),
    (BroadcastKind.MISSING_INPUTS, ("missingorspent", "missing-inputs", "missing inputs")),
)
"""Parts of Core's reject reasons; the first that fits counts."""

_HARMLESS: Final = frozenset({BroadcastKind.IN_MEMPOOL, BroadcastKind.CONFIRMED})
"""Core has it already."""

_NOT_LOOKED_AT: Final = "package-not-validated"
"""The reason is with the package, or with another transaction of it."""


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
    return BroadcastResult(kind, "" if kind in _HARMLESS else reason)


def as_package_results(value: object, wtxids: Sequence[Txid]) -> tuple[BroadcastResult, ...]:
    """`submitpackage`'s answer, one result per wtxid. Raises `DecodeError`."""
    answer = as_members(value)
    by_wtxid = as_members(answer.get("tx-results"))
    package = answer.get("package_msg", _NOT_LOOKED_AT)
    return tuple(_package_result(by_wtxid.get(str(wtxid)), package) for wtxid in wtxids)


def _package_result(value: object, package: object) -> BroadcastResult:
    """`package` is what Core says of the whole."""
    outcome = as_members(value)
    if "other-wtxid" in outcome:  # The same transaction, signed otherwise.
        return BroadcastResult(BroadcastKind.IN_MEMPOOL)
    error = outcome.get("error")
    if error is None:
        return BroadcastResult(BroadcastKind.ACCEPTED)
    return result_of_reason(printable(as_text(package if error == _NOT_LOOKED_AT else error)))
