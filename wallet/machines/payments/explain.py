"""What every failure of BOLT 4 means to whoever paid: one row per code.

A row says whose trouble it is, whether another try may work, what to tell a person and what that
person can do.  Where the money is does not depend on the code: it came back.  The same failure
weighs differently by who reports it, which `read` knows (BOLT 4 "Receiving Failure Codes").
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from wallet.base.onion.returns import Returned
from wallet.base.values.blocks import BlockHeight
from wallet.base.wire.failures import (
    FAILURES,
    AmountBelowMinimum,
    ChannelDisabled,
    ExpiryTooFar,
    ExpiryTooSoon,
    Failure,
    FeeInsufficient,
    FinalIncorrectCltvExpiry,
    FinalIncorrectHtlcAmount,
    IncorrectCltvExpiry,
    IncorrectOrUnknownPaymentDetails,
    InvalidOnionBlinding,
    InvalidOnionHmac,
    InvalidOnionKey,
    InvalidOnionPayload,
    InvalidOnionVersion,
    MppTimeout,
    PermanentChannelFailure,
    PermanentNodeFailure,
    RequiredChannelFeatureMissing,
    RequiredNodeFeatureMissing,
    TemporaryChannelFailure,
    TemporaryNodeFailure,
    UnknownFailure,
    UnknownNextPeer,
)
from wallet.machines.payments.records import PartFailure

UNPARSEABLE_REPLY: Final = 202
DESTINATION_FAILED: Final = 203
TRY_OTHER_ROUTE: Final = 204
"""Core Lightning's RPC codes."""
NO_CODE: Final = 0
"""`PartFailure.code` when there is no failure of BOLT 4."""
CAME_BACK: Final = "The money came back to you."


class Blame(Enum):
    """Who can change something about it."""

    PAYEE = "the payee"
    NODE = "the node that reports it"
    CHANNEL = "the channel behind the node that reports it"
    PAYER = "what we sent"


@dataclass(frozen=True, slots=True)
class Row:
    """One failure. `what` goes on after the name of the node that says it."""

    blame: Blame
    again: bool
    """Another try by the same way may work."""
    what: str
    todo: str


_ASK_PAYEE: Final = "Ask the payee for a new invoice, or whether their node is well."
_LATER: Final = "Try again in a minute."
_OTHER_WAY: Final = "Another route, or a channel with the payee, would work."
_OUR_FAULT: Final = "This is a fault between the two programs: please report it to us."

TABLE: Final[dict[type[Failure], Row]] = {
    TemporaryNodeFailure: Row(Blame.NODE, True, "has trouble of its own just now", _LATER),
    PermanentNodeFailure: Row(
        Blame.NODE, False, "says that it can take no payments any more", _ASK_PAYEE
    ),
    RequiredNodeFeatureMissing: Row(
        Blame.NODE, False, "requires a feature that this wallet does not have", _OTHER_WAY
    ),
    # There is one version: Electrum, for one, says this of any packet that it cannot use.
    InvalidOnionVersion: Row(
        Blame.PAYER,
        False,
        "could not read our packet",
        "It may not take this kind of payment. Ask the payee for an invoice.",
    ),
    InvalidOnionHmac: Row(
        Blame.PAYER, False, "found our packet altered, or made for another node", _ASK_PAYEE
    ),
    InvalidOnionKey: Row(Blame.PAYER, False, "could not read the key in our packet", _OUR_FAULT),
    TemporaryChannelFailure: Row(
        Blame.CHANNEL, True, "cannot pass on this amount just now", "Try again later, or pay less."
    ),
    PermanentChannelFailure: Row(
        Blame.CHANNEL, False, "says that the channel behind it is closed", _OTHER_WAY
    ),
    RequiredChannelFeatureMissing: Row(
        Blame.CHANNEL,
        False,
        "says that the channel behind it requires a feature that this wallet does not have",
        _OTHER_WAY,
    ),
    UnknownNextPeer: Row(
        Blame.CHANNEL, False, "does not know the next node of the route", _OTHER_WAY
    ),
    AmountBelowMinimum: Row(
        Blame.CHANNEL, False, "does not pass on amounts as small as this", "Pay more at once."
    ),
    FeeInsufficient: Row(
        Blame.PAYER,
        True,
        "asks for a higher fee than we knew of",
        "Try again in a few minutes; to a payee behind a private channel, with a new invoice.",
    ),
    IncorrectCltvExpiry: Row(
        Blame.PAYER, True, "asks for more blocks between two hops than it got", _LATER
    ),
    ExpiryTooSoon: Row(
        Blame.PAYER,
        True,
        "finds the payment's expiry too near",
        "Check that your node has seen the newest block, then try again.",
    ),
    IncorrectOrUnknownPaymentDetails: Row(
        Blame.PAYEE,
        False,
        "does not take it: the invoice is unknown there, paid already or expired, or the amount "
        "or the payment secret is not what it expects",
        "Ask the payee for a new invoice.",
    ),
    FinalIncorrectCltvExpiry: Row(
        Blame.NODE, True, "got it with an earlier expiry than you sent it with", _LATER
    ),
    FinalIncorrectHtlcAmount: Row(Blame.NODE, True, "got a smaller amount than you sent", _LATER),
    ChannelDisabled: Row(
        Blame.CHANNEL, True, "has switched off the channel behind it for now", _LATER
    ),
    ExpiryTooFar: Row(
        Blame.PAYER,
        False,
        "will not hold money for as many blocks as this route needs",
        "A shorter route, or a channel with the payee, would work.",
    ),
    InvalidOnionPayload: Row(
        Blame.PAYER,
        False,
        "could not use what our packet told it",
        "The payee's node may not take this kind of payment. Ask the payee for an invoice.",
    ),
    MppTimeout: Row(
        Blame.PAYEE,
        True,
        "waited for more parts of the payment than it got",
        "Try again; if that does not help, ask the payee for a new invoice.",
    ),
    InvalidOnionBlinding: Row(
        Blame.PAYER, False, "could not use the payee's hidden route", _ASK_PAYEE
    ),
}
"""Every failure of BOLT 4."""

NAMES: Final = {kind.CODE: kind.name for kind in FAILURES}


def row_of(failure: Failure) -> Row:
    """The row of a failure, also of one that BOLT 4 does not define."""
    if isinstance(failure, UnknownFailure):
        known = NAMES.get(failure.code)
        said = f"{known} with data that cannot be read" if known else f"code {failure.code}"
        return Row(
            Blame.NODE,
            not failure.is_permanent,
            f"gave a reason that this wallet does not understand ({said})",
            _ASK_PAYEE,
        )
    return TABLE[type(failure)]


def read(returned: Returned | None, hops: int, height: BlockHeight) -> PartFailure:
    """What a returned failure means for a payment along `hops` nodes.

    None: no node of the route can be held to what came back.
    """
    if returned is None:
        return PartFailure(
            code=NO_CODE,
            name="unreadable_failure",
            sentence=(
                f"{CAME_BACK} The reason that came with it cannot be read, so nobody can be held "
                f"to it. {_LATER}"
            ),
            hop=None,
            final=False,
            rpc_code=UNPARSEABLE_REPLY,
        )
    failure = returned.failure
    row = row_of(failure)
    from_payee = returned.hop == hops - 1
    # BOLT 4: from the final node, if the PERM bit is set: SHOULD fail the payment.  From an
    # intermediate hop, whatever it says: SHOULD then retry routing and sending the payment.
    final = from_payee and not row.again
    return PartFailure(
        code=failure.code,
        name=failure.name,
        sentence=f"{CAME_BACK} {_who(returned.hop, from_payee)} {row.what}. "
        f"{_height_hint(failure, height)}{row.todo}",
        hop=returned.hop,
        final=final,
        rpc_code=DESTINATION_FAILED if from_payee else TRY_OTHER_ROUTE,
    )


def local(sentence: str) -> PartFailure:
    """A part that never left: the channel gave it back before the peer had it."""
    return PartFailure(
        code=NO_CODE,
        name="local_failure",
        sentence=f"{CAME_BACK} {sentence}",
        hop=None,
        final=False,
        rpc_code=TRY_OTHER_ROUTE,
    )


def _who(hop: int, from_payee: bool) -> str:
    return "The payee's node" if from_payee else f"Node {hop + 1} of the route"


def _height_hint(failure: Failure, height: BlockHeight) -> str:
    # The one thing in BOLT 4's data that a payer can act upon: the payee's own height.
    if not isinstance(failure, IncorrectOrUnknownPaymentDetails):
        return ""
    ahead = failure.height.height - height.height
    if ahead <= 0:
        return ""
    return f"It is {ahead} blocks ahead of your node, so the expiry may have been too near. "
