"""wallet/machines/payments/explain.py: one row per code, and who reports it."""

import pytest

from tests.support.payment_ends import AMOUNT, HEIGHT
from wallet.base.onion.returns import Returned
from wallet.base.wire.failures import (
    FAILURES,
    PERM,
    FeeInsufficient,
    IncorrectOrUnknownPaymentDetails,
    PermanentNodeFailure,
    TemporaryChannelFailure,
    UnknownFailure,
    UnknownNextPeer,
)
from wallet.machines.payments.explain import TABLE, read, row_of


def test_every_failure_has_a_row() -> None:
    assert set(TABLE) == set(FAILURES)
    assert len(TABLE) == 22
    print(f"failures explained: {len(TABLE)}/{len(FAILURES)}")


def test_permanent_failures_are_not_tried_again() -> None:
    assert [kind.name for kind, row in TABLE.items() if kind.CODE & PERM and row.again] == []


@pytest.mark.parametrize("kind", FAILURES, ids=[kind.name for kind in FAILURES])
def test_sentences_are_whole(kind: type) -> None:
    row = TABLE[kind]
    assert row.what[0].islower()
    assert row.what[-1].isalnum()
    assert row.todo[0].isupper()
    assert row.todo.endswith(".")


@pytest.mark.parametrize(
    "failure",
    [
        PermanentNodeFailure(),
        UnknownNextPeer(),
        TemporaryChannelFailure(),
        FeeInsufficient(AMOUNT),
        UnknownFailure(0x4FFF, b""),
    ],
)
def test_a_node_on_the_way_never_ends_a_payment(failure: UnknownFailure) -> None:
    for hop in (0, 1):
        part = read(Returned(hop, failure), 3, HEIGHT)
        assert (part.final, part.rpc_code, part.hop) == (False, 204, hop)
        assert f"Node {hop + 1} of the route" in part.sentence
    assert "The payee's node" in read(Returned(2, failure), 3, HEIGHT).sentence


@pytest.mark.parametrize(("code", "again"), [(0x0FFF, True), (0x4FFF, False)])
def test_unknown_code(code: int, again: bool) -> None:
    failure = UnknownFailure(code, b"")
    assert row_of(failure).again is again
    assert f"code {code}" in read(Returned(0, failure), 1, HEIGHT).sentence


def test_known_code_with_unreadable_data() -> None:
    failure = UnknownFailure(IncorrectOrUnknownPaymentDetails.CODE, b"\x01")
    part = read(Returned(0, failure), 1, HEIGHT)
    assert part.final
    assert "incorrect_or_unknown_payment_details with data" in part.sentence
