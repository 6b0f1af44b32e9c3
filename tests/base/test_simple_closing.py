"""Closing transactions of `option_simple_close`: which outputs (BOLT 2), in which form (BOLT 3)."""

import pytest

from tests.support import kernel_engine
from tests.support.policy_engine import verify_policy
from wallet.base.bitcoin.script import p2tr, p2wpkh, p2wsh
from wallet.base.bitcoin.transaction import TxOut
from wallet.base.channel_tx.scripts import funding_output, funding_script
from wallet.base.channel_tx.simple_closing import (
    ClosingOutputs,
    SimpleTerms,
    build_simple_closing,
    offered_outputs,
    selected_outputs,
)
from wallet.base.crypto.curve import point_of, sign, to_der
from wallet.base.crypto.hashes import sha256
from wallet.base.values.amounts import MilliSatoshi, Satoshi
from wallet.base.values.ids import OutPoint, Secret, Txid

CLOSER, CLOSEE, BOTH = ClosingOutputs.CLOSER, ClosingOutputs.CLOSEE, ClosingOutputs.BOTH
SECRETS = [Secret(sha256(name)) for name in (b"closer", b"closee")]
KEYS = [point_of(secret) for secret in SECRETS]
WPKH, TAPROOT, WSH = p2wpkh(KEYS[0]), p2tr(KEYS[1][1:]), p2wsh(b"\x51")
FUTURE = b"\x60\x28" + bytes(40)
DATA = b"\x6a\x06foobar"
LONG_DATA = b"\x6a\x4c\x50" + bytes(80)


def terms(
    to_closer: int,
    to_closee: int,
    fee: int,
    closer_script: bytes = WPKH,
    closee_script: bytes = TAPROOT,
    locktime: int = 0,
) -> SimpleTerms:
    """Balances in millisatoshi, the fee in satoshi."""
    return SimpleTerms(
        OutPoint(Txid(sha256(b"funding")), 1),
        Satoshi(-(-(to_closer + to_closee) // 1000)),
        KEYS[0],
        KEYS[1],
        MilliSatoshi(to_closer),
        MilliSatoshi(to_closee),
        closer_script,
        closee_script,
        Satoshi(fee),
        locktime,
    )


@pytest.mark.parametrize(
    ("given", "offered"),
    [
        # Ours is the greater balance: it cannot be left out, theirs is the closee's own choice.
        (terms(600_000_999, 400_000_000, 500), (CLOSER, BOTH)),
        (terms(500_000_000, 500_000_000, 500), (CLOSER, BOTH)),
        (terms(600_000_000, 330_000, 500), (CLOSER, BOTH)),
        (terms(600_000_000, 329_999, 500), (CLOSER,)),
        (terms(600_000_000, 0, 500), (CLOSER,)),
        (terms(600_000_000, 0, 500, closee_script=DATA), (CLOSER, BOTH)),
        # Ours is the lesser.
        (terms(400_000_000, 600_000_000, 500), (BOTH,)),
        (terms(499_999_999, 500_000_000, 500), (BOTH,)),
        (terms(794_000, 600_000_000, 500), (BOTH,)),
        (terms(793_999, 600_000_000, 500), (CLOSEE,)),
        (terms(793_999, 600_000_000, 500, closer_script=DATA), (BOTH,)),
        # The fee is more than there is.
        (terms(499_999, 600_000_000, 500), ()),
    ],
)
def test_offered_outputs(given: SimpleTerms, offered: tuple[ClosingOutputs, ...]) -> None:
    assert offered_outputs(given) == offered
    for outputs in offered:
        assert build_simple_closing(given, outputs) is not None
    if offered:
        # Whatever an honest closer signs, the closee finds what it looks for.
        assert selected_outputs(given, frozenset(offered)) in offered


@pytest.mark.parametrize(
    ("to_closee", "script", "signed", "selected"),
    [
        (329_999, TAPROOT, {CLOSER, BOTH}, CLOSER),
        (329_999, TAPROOT, {BOTH}, CLOSER),
        (330_000, TAPROOT, {CLOSER, BOTH}, BOTH),
        (330_000, TAPROOT, {CLOSER}, CLOSEE),
        (330_000, TAPROOT, {CLOSEE}, CLOSEE),
        (0, DATA, {CLOSER, BOTH}, BOTH),
    ],
)
def test_selected_outputs(
    to_closee: int, script: bytes, signed: set[ClosingOutputs], selected: ClosingOutputs
) -> None:
    """Never `closer_output_only` where our own output is worth something."""
    given = terms(600_000_000, to_closee, 500, closee_script=script)
    assert selected_outputs(given, frozenset(signed)) is selected


@pytest.mark.parametrize("outputs", ClosingOutputs)
@pytest.mark.parametrize("closer_script", [WPKH, WSH, FUTURE, DATA, LONG_DATA])
@pytest.mark.parametrize("closee_script", [TAPROOT, WPKH, DATA])
def test_a_version__as_bolt_3_says(
    outputs: ClosingOutputs, closer_script: bytes, closee_script: bytes
) -> None:
    given = terms(600_000_999, 399_999_001, 700, closer_script, closee_script, locktime=654_321)
    closing = build_simple_closing(given, outputs)
    assert closing is not None
    tx = closing.tx
    assert (tx.version, tx.locktime) == (2, 654_321)
    assert [(i.outpoint, i.sequence, i.script_sig) for i in tx.inputs] == [
        (given.funding, 0xFFFFFFFD, b"")
    ]
    closer = 0 if closer_script[0] == 0x6A else 600_000 - 700
    closee = 0 if closee_script[0] == 0x6A else 399_999
    wanted = {
        CLOSER: [(closer, closer_script)],
        CLOSEE: [(closee, closee_script)],
        BOTH: sorted([(closer, closer_script), (closee, closee_script)]),
    }[outputs]
    assert [(out.amount.sat, out.script_pubkey) for out in tx.outputs] == wanted
    assert closing.fee_paid.sat == 1_000_000 - sum(amount for amount, _ in wanted)
    # What both sign is good for the chain, and for a mempool.
    spent = TxOut(given.funding_amount, funding_output(*KEYS))
    script = funding_script(*KEYS)
    ordered = sorted(zip(KEYS, SECRETS, strict=True))
    signatures = [to_der(sign(secret, closing.digest)) + b"\x01" for _, secret in ordered]
    signed = tx.with_witness(0, (b"", *signatures, script))
    kernel_engine.verify(signed, [spent], kind="close")
    verify_policy(signed, [spent])
