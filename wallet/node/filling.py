"""Filling what machines left open: the signer's answers go into messages and transactions."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final, cast

from wallet.base.bitcoin.transaction import Transaction
from wallet.base.errors import InvariantBroken
from wallet.base.values.ids import Signature
from wallet.base.wire.channel import (
    ClosingComplete,
    ClosingSig,
    ClosingSigned,
    CommitmentSigned,
    FundingCreated,
    FundingSigned,
    RevokeAndAck,
)
from wallet.base.wire.gossip import AnnouncementSignatures
from wallet.base.wire.message import Message, encode
from wallet.machines.signing import KeyAnswer, KeyRequest, ReleasedSecret
from wallet.node.work import BroadcastTx, NodeAction, SendTo

_Fill = Callable[[Message, Sequence[KeyAnswer]], Message]


def _commitment_signed(message: Message, answers: Sequence[KeyAnswer]) -> Message:
    signatures = tuple(cast(Signature, answer) for answer in answers)
    return replace(
        cast(CommitmentSigned, message), signature=signatures[0], htlc_signatures=signatures[1:]
    )


def _one_signature(message: Message, answers: Sequence[KeyAnswer]) -> Message:
    signed = cast(FundingCreated | FundingSigned | ClosingSigned, message)
    return replace(signed, signature=cast(Signature, answers[0]))


def _closing_versions(message: Message, answers: Sequence[KeyAnswer]) -> Message:
    """A signature for each version that the message names, in the order of their fields."""
    signed = cast(ClosingComplete | ClosingSig, message)
    left = iter([cast(Signature, answer) for answer in answers])
    return replace(
        signed,
        closer_output_only=signed.closer_output_only and next(left),
        closee_output_only=signed.closee_output_only and next(left),
        closer_and_closee_outputs=signed.closer_and_closee_outputs and next(left),
    )


def _revoke_and_ack(message: Message, answers: Sequence[KeyAnswer]) -> Message:
    released = answers[0]
    if not isinstance(released, ReleasedSecret):
        raise InvariantBroken("the signer answered a release with something else")
    return replace(
        cast(RevokeAndAck, message),
        per_commitment_secret=released.secret,
        next_per_commitment_point=released.next_point,
    )


def _announcement_signatures(message: Message, answers: Sequence[KeyAnswer]) -> Message:
    node, bitcoin = (cast(Signature, answer) for answer in answers)
    return replace(
        cast(AnnouncementSignatures, message), node_signature=node, bitcoin_signature=bitcoin
    )


_FILL: Final[dict[type[Message], _Fill]] = {
    CommitmentSigned: _commitment_signed,
    FundingCreated: _one_signature,
    FundingSigned: _one_signature,
    ClosingSigned: _one_signature,
    ClosingComplete: _closing_versions,
    ClosingSig: _closing_versions,
    RevokeAndAck: _revoke_and_ack,
    AnnouncementSignatures: _announcement_signatures,
}


def fill(message: Message, answers: Sequence[KeyAnswer]) -> Message:
    """`message` with its open fields taken from `answers`, in the order they were asked for."""
    return _FILL[type(message)](message, answers) if answers else message


@dataclass(frozen=True, slots=True)
class Filled:
    """An action whose signatures are in place: an encoded message, or signed transactions."""

    action: NodeAction
    data: bytes = b""
    transactions: tuple[Transaction, ...] = ()
    """Parents, then the transaction itself."""


def requests_of(action: NodeAction) -> Sequence[KeyRequest]:
    """What an action needs of the signer."""
    match action:
        case SendTo(slots=slots):
            return slots
        case BroadcastTx(transaction=transaction, parents=parents):
            return [request for tx in (*parents, transaction) for request in tx.requests()]
        case _:
            return ()


def filled(action: NodeAction, answers: Sequence[KeyAnswer]) -> Filled:
    """The action with the signer's answers in it, in the order of `requests_of`."""
    match action:
        case SendTo(message=message):
            return Filled(action, data=encode(fill(message, answers)))
        case BroadcastTx(transaction=transaction, parents=parents):
            signatures = iter([Signature(a) for a in answers if isinstance(a, bytes)])
            return Filled(
                action,
                transactions=tuple(
                    tx.finish(list(islice(signatures, len(tx.inputs))))
                    for tx in (*parents, transaction)
                ),
            )
        case _:
            return Filled(action)
