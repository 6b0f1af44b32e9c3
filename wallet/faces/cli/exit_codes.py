"""What a script may conclude from the exit code alone.

0 to 3 equal `lightning-cli`.  The one that protects money is 4: the outcome is open, so the call
must not be repeated.
"""

from enum import IntEnum
from typing import Final

from wallet.faces.rpc.errors import Code


class Exit(IntEnum):
    """Exit codes by name."""

    DONE = 0
    REFUSED = 1
    """Refused or failed; no money moved."""
    UNREACHABLE = 2
    USAGE = 3
    """Wrong usage; nothing was contacted."""
    OUTCOME_OPEN = 4
    TIMED_OUT = 5
    """Waited in vain; nothing was sent by this call."""
    NEEDS_CONFIRMATION = 6
    LOCKED = 7
    """Locked, or a wrong password."""
    NOT_READY = 8
    INTERRUPTED = 130


_BY_CODE: Final[dict[int, Exit]] = {
    Code.PAY_IN_PROGRESS: Exit.OUTCOME_OPEN,
    Code.INVOICE_WAIT_TIMED_OUT: Exit.TIMED_OUT,
    Code.WAIT_TIMEOUT: Exit.TIMED_OUT,
    Code.NEEDS_CONFIRMATION: Exit.NEEDS_CONFIRMATION,
    Code.LOCKED: Exit.LOCKED,
    Code.WRONG_PASSWORD: Exit.LOCKED,
    Code.FUNDING_STILL_SYNCING: Exit.NOT_READY,
    Code.NOT_READY: Exit.NOT_READY,
}

MOVES_MONEY: Final = frozenset(
    {
        "close",
        "fundchannel",
        "fundchannel_complete",
        "keysend",
        "multifundchannel",
        "multiwithdraw",
        "openchannel_signed",
        "pay",
        "renepay",
        "sendonion",
        "sendpay",
        "sendpsbt",
        "splice_signed",
        "splicein",
        "spliceout",
        "txsend",
        "withdraw",
        "xkeysend",
        "xpay",
    }
)
"""Methods after which a lost answer may be a payment made."""


def of_error(code: int) -> Exit:
    """The exit code for an `error` answer."""
    return _BY_CODE.get(code, Exit.REFUSED)


def of_lost_answer(method: str, otherwise: Exit) -> Exit:
    """The exit code when a request was sent and its answer did not come."""
    return Exit.OUTCOME_OPEN if method in MOVES_MONEY else otherwise
