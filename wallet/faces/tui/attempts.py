"""How a payment went: each part that was sent, who sent it back and why, and the proof.

Asked for when a person looks at one payment, and kept once it has its outcome.
"""

from dataclasses import dataclass

from wallet.faces.rpc.client import RpcError
from wallet.faces.tui.answers import items, number
from wallet.faces.tui.facts import Json
from wallet.faces.tui.link import Link
from wallet.faces.tui.paint import BAD, EMPTY, GOOD, QUIET, WARN, Row, folded, row
from wallet.faces.tui.safe_text import right, safe
from wallet.faces.tui.state import State
from wallet.faces.tui.words import name_of

_MOST_REASONS = 10
_ENDS = {"complete": ("✓ arrived", GOOD), "failed": ("✗ came back", BAD)}


@dataclass(frozen=True, slots=True)
class Attempt:
    """One part. Amount with fee, in millisatoshi."""

    amount: int
    status: str
    said_by: str = ""
    """The node that sent it back."""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Journey:
    """All parts of a payment, oldest first, and the preimage once it has arrived."""

    attempts: tuple[Attempt, ...]
    proof: str


async def journey(link: Link, payment_hash: str) -> Journey:
    """Ask how a payment went. Raises `RpcError` or `ConnectionLost`."""
    answer = await link.ask("listsendpays", payment_hash=payment_hash)
    parts = items(answer, "payments")
    asked = [n for n, part in enumerate(parts) if part.get("status") == "failed"][-_MOST_REASONS:]
    attempts = [await _attempt(link, part, why=n in asked) for n, part in enumerate(parts)]
    proofs = [safe(part.get("payment_preimage"), 64) for part in parts]
    return Journey(tuple(attempts), next((proof for proof in proofs if proof), ""))


async def _attempt(link: Link, part: Json, *, why: bool) -> Attempt:
    said_by = reason = ""
    if why and link.can("waitsendpay"):
        try:
            await link.ask(
                "waitsendpay",
                payment_hash=part.get("payment_hash"),
                partid=part.get("partid"),
                groupid=part.get("groupid"),
                timeout=1,
            )
        except RpcError as fault:
            data = fault.error.get("data")
            said_by = safe(data.get("erring_node"), 66) if isinstance(data, dict) else ""
            reason = safe(str(fault), 300)
    sent = number(part.get("amount_sent_msat")) or number(part.get("amount_msat"))
    return Attempt(sent, safe(part.get("status"), 10), said_by, reason)


def rows(found: Journey, state: State, cells: int) -> list[Row]:
    """As rows of a detail."""
    drawn: list[Row] = []
    if found.proof:
        drawn += [EMPTY, row(("  Proof of payment (preimage)", QUIET))]
        drawn += [row(f"  {line}") for line in _halves(found.proof, cells - 3)]
    if found.attempts:
        drawn += [EMPTY, row(("  How it went", QUIET))]
    for count, attempt in enumerate(found.attempts, 1):
        word, style = _ENDS.get(attempt.status, ("… on its way", WARN))
        by = f"  {name_of(attempt.said_by, state.names)} says" if attempt.said_by else ""
        amount = state.money.bare(attempt.amount, up=True)
        drawn.append(row((f"  {count:>3} ", QUIET), right(amount, 13), "  ", (word, style), by))
        drawn += [row((f"      {line}", QUIET)) for line in folded(attempt.reason, cells - 8, 2)]
    return drawn


def _halves(text: str, cells: int) -> list[str]:
    return [text] if len(text) <= cells else [text[: len(text) // 2], text[len(text) // 2 :]]
