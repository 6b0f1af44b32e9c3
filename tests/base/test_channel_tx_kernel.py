"""Bitcoin Core's script engine judges what this room builds.

Consensus flags only.  The engine aborts the process when it is handed another number of spent
outputs than inputs, so `accepted` counts them first.
"""

from dataclasses import replace

import pbk
import pytest
from pbk.script import PrecomputedTransactionData

from tests.support.bolt3 import (
    KEYS,
    LOCAL_DELAYED_SECRET,
    LOCAL_FUNDING_SECRET,
    PER_COMMITMENT_POINT,
    REMOTE_FUNDING_SECRET,
    REMOTE_PAYMENT_SECRET,
    STATIC_REMOTEKEY,
    VECTORS,
    sign_commitment,
    sign_htlc,
    spec,
    terms,
)
from wallet.base.bitcoin.script import P2A, dust_limit, p2tr, p2wpkh
from wallet.base.bitcoin.transaction import Transaction, TxOut
from wallet.base.channel_tx.claims import Claim, spend_to_local, spend_to_remote
from wallet.base.channel_tx.closing import ClosingTerms, build_closing
from wallet.base.channel_tx.commitment import Commitment, build_commitment, funding_witness
from wallet.base.channel_tx.format import ANCHORS, CommitmentFormat
from wallet.base.channel_tx.keys import derive_secret
from wallet.base.channel_tx.scripts import funding_output
from wallet.base.crypto.curve import point_of, sign
from wallet.base.values.amounts import FeeratePerKw, MilliSatoshi, Satoshi
from wallet.base.values.ids import OutPoint

LOCAL_FUNDING, REMOTE_FUNDING = point_of(LOCAL_FUNDING_SECRET), point_of(REMOTE_FUNDING_SECRET)
FUNDING_OUTPUT = TxOut(Satoshi(10_000_000), funding_output(LOCAL_FUNDING, REMOTE_FUNDING))
DELAYED_SECRET = derive_secret(LOCAL_DELAYED_SECRET, PER_COMMITMENT_POINT)
FEERATE = FeeratePerKw(1_000)
DESTINATION = p2wpkh(LOCAL_FUNDING)


def accepted(tx: Transaction, *spent: TxOut) -> bool:
    assert len(spent) == len(tx.inputs)
    parsed = pbk.Transaction(tx.encode())
    scripts = [pbk.ScriptPubkey(output.script_pubkey) for output in spent]
    outputs = [
        pbk.TransactionOutput(script, output.amount.sat)
        for script, output in zip(scripts, spent, strict=True)
    ]
    precomputed = PrecomputedTransactionData(parsed, outputs)
    return all(
        script.verify(
            output.amount.sat, parsed, precomputed, index, pbk.ScriptVerificationFlags.ALL
        )
        for index, (script, output) in enumerate(zip(scripts, spent, strict=True))
    )


def built(commitment_format: CommitmentFormat, position: int) -> tuple[Commitment, Transaction]:
    vector = [v for f, v in VECTORS if f is commitment_format][position]
    conditions = terms(commitment_format, vector["dust_limit"])
    commitment = build_commitment(conditions, KEYS, spec(vector))
    return commitment, sign_commitment(conditions, commitment)


def test_kernel__every_commitment_and_htlc_transaction() -> None:
    verified = 0
    for commitment_format, vector in VECTORS:
        conditions = terms(commitment_format, vector["dust_limit"])
        commitment = build_commitment(conditions, KEYS, spec(vector))
        signed = sign_commitment(conditions, commitment)
        assert accepted(signed, FUNDING_OUTPUT)
        verified += 1
        for htlc in commitment.htlcs:
            assert accepted(sign_htlc(htlc), signed.outputs[htlc.output_index])
            verified += 1
    print(f"verified by Bitcoin Core's script engine: {verified} channel transactions")
    assert verified == 39 + 76


def test_kernel__a_changed_amount_is_refused() -> None:
    _, signed = built(ANCHORS, 0)
    first, *others = signed.outputs
    more = replace(first, amount=first.amount + Satoshi(1))
    assert not accepted(replace(signed, outputs=(more, *others)), FUNDING_OUTPUT)


def test_kernel__an_output_can_be_added_to_an_anchors_htlc_transaction_only() -> None:
    # SIGHASH_SINGLE|ANYONECANPAY: the countersigner agrees to further inputs and outputs, so that
    # the broadcaster can bring the fee.
    for commitment_format, agreed in ((ANCHORS, True), (STATIC_REMOTEKEY, False)):
        commitment, signed = built(commitment_format, 2)
        htlc = commitment.htlcs[0]
        outputs = (*htlc.tx.outputs, TxOut(Satoshi(1_000), P2A))
        wider = sign_htlc(replace(htlc, tx=replace(htlc.tx, outputs=outputs)))
        witness = list(wider.inputs[0].witness)
        witness[1] = sign_htlc(htlc).inputs[0].witness[1]
        tx = wider.with_witness(0, tuple(witness))
        assert accepted(tx, signed.outputs[htlc.output_index]) is agreed


def claim_to_local(commitment: Commitment, **changes: int) -> Claim | None:
    index = commitment.to_local_index
    assert index is not None
    output = commitment.tx.outputs[index]
    return spend_to_local(
        OutPoint(commitment.tx.txid, index),
        Satoshi(changes.get("amount", output.amount.sat)),
        changes.get("to_self_delay", 144),
        KEYS.revocation_pubkey,
        KEYS.broadcaster_delayed_pubkey,
        DESTINATION,
        FeeratePerKw(changes.get("feerate", FEERATE.per_kw)),
    )


def pays(claim: Claim, signed: Transaction, amount: Satoshi, feerate: FeeratePerKw) -> bool:
    """The fee is what the signed weight costs, and at most one shorter signature more."""
    fee = amount - signed.outputs[0].amount
    least = feerate.fee_ceil(signed.weight)
    return fee == claim.fee and least <= fee <= feerate.fee_ceil(signed.weight + 3)


@pytest.mark.parametrize("commitment_format", [ANCHORS, STATIC_REMOTEKEY])
def test_claim__to_local(commitment_format: CommitmentFormat) -> None:
    commitment, signed = built(commitment_format, 0)
    assert commitment.to_local_index is not None
    output = signed.outputs[commitment.to_local_index]
    claim = claim_to_local(commitment)
    assert claim is not None
    assert claim.tx.inputs[0].sequence == 144
    tx = claim.signed(sign(DELAYED_SECRET, claim.digest))
    assert accepted(tx, output)
    assert pays(claim, tx, output.amount, FEERATE)
    early = replace(tx, inputs=(replace(tx.inputs[0], sequence=143),))
    assert not accepted(early, output)
    assert not accepted(claim.signed(sign(REMOTE_PAYMENT_SECRET, claim.digest)), output)


def test_claim__output_of_an_htlc_transaction() -> None:
    commitment, _ = built(ANCHORS, 2)
    for htlc in commitment.htlcs:
        output = htlc.tx.outputs[0]
        claim = spend_to_local(
            OutPoint(htlc.tx.txid, 0),
            output.amount,
            144,
            KEYS.revocation_pubkey,
            KEYS.broadcaster_delayed_pubkey,
            DESTINATION,
            FeeratePerKw(253),
        )
        assert claim is not None
        assert accepted(claim.signed(sign(DELAYED_SECRET, claim.digest)), output)


@pytest.mark.parametrize("commitment_format", [ANCHORS, STATIC_REMOTEKEY])
def test_claim__to_remote(commitment_format: CommitmentFormat) -> None:
    commitment, signed = built(commitment_format, 0)
    assert commitment.to_remote_index is not None
    output = signed.outputs[commitment.to_remote_index]
    claim = spend_to_remote(
        commitment_format,
        OutPoint(signed.txid, commitment.to_remote_index),
        output.amount,
        KEYS.countersigner_payment_pubkey,
        p2tr(REMOTE_FUNDING[1:]),
        FEERATE,
    )
    assert claim is not None
    tx = claim.signed(sign(REMOTE_PAYMENT_SECRET, claim.digest))
    assert accepted(tx, output)
    assert pays(claim, tx, output.amount, FEERATE)
    assert not accepted(claim.signed(sign(DELAYED_SECRET, claim.digest)), output)


def test_claim__none_when_only_dust_would_be_left() -> None:
    commitment, _ = built(ANCHORS, 0)
    claim = claim_to_local(commitment)
    assert claim is not None
    least = claim.fee + dust_limit(DESTINATION)
    enough = claim_to_local(commitment, amount=least.sat)
    assert enough is not None
    assert enough.tx.outputs[0].amount == dust_limit(DESTINATION)
    assert claim_to_local(commitment, amount=least.sat - 1) is None
    assert claim_to_local(commitment, feerate=100_000_000) is None


def test_claim__to_self_delay_is_pushed_minimally() -> None:
    commitment, _ = built(ANCHORS, 0)
    for delay in (1, 6, 16, 17, 127, 128, 2016, 32_768, 65_535):
        claim = claim_to_local(commitment, to_self_delay=delay)
        assert claim is not None
        script = claim.witness(sign(DELAYED_SECRET, claim.digest))[-1]
        pushed = script[36 : script.index(b"\xb2\x75\x21", 36)]
        number = delay.to_bytes(delay.bit_length() // 8 + 1, "little")
        expected = bytes([len(number)]) + number if delay > 16 else bytes([0x50 + delay])
        assert pushed == expected


def test_kernel__closing_transactions() -> None:
    conditions = terms(ANCHORS, 546)
    agreed = ClosingTerms(
        funding=conditions.funding,
        funding_amount=conditions.funding_amount,
        opener_funding_pubkey=LOCAL_FUNDING,
        accepter_funding_pubkey=REMOTE_FUNDING,
        to_opener=MilliSatoshi(7_000_000_500),
        to_accepter=MilliSatoshi(2_999_999_500),
        opener_script=DESTINATION,
        accepter_script=p2tr(REMOTE_FUNDING[1:]),
    )
    for with_accepter in (True, False):
        closing = build_closing(agreed, Satoshi(700), Satoshi(546), with_accepter=with_accepter)
        assert closing is not None
        witness = funding_witness(
            closing.funding_script,
            sign(LOCAL_FUNDING_SECRET, closing.digest),
            sign(REMOTE_FUNDING_SECRET, closing.digest),
            (LOCAL_FUNDING, REMOTE_FUNDING),
        )
        assert accepted(closing.tx.with_witness(0, witness), FUNDING_OUTPUT)
