"""What is taken from a peer's commitment, honest or revoked: two script engines judge each kind.

The peer is the broadcaster ("local" of BOLT 3's appendices), we are the countersigner.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.bolt3 import (
    KEYS,
    LOCAL_DELAYED_SECRET,
    LOCAL_PAYMENT_SECRET,
    PER_COMMITMENT_POINT,
    PER_COMMITMENT_SECRET,
    REMOTE_PAYMENT_SECRET,
    REMOTE_REVOCATION_SECRET,
    STATIC_REMOTEKEY,
    terms,
)
from tests.support.kernel_engine import ScriptRefused, verify
from tests.support.policy_engine import PolicyRefused, verify_consensus, verify_policy
from wallet.base.bitcoin.script import dust_limit, p2tr, p2wpkh, p2wsh
from wallet.base.bitcoin.sighash import script_signature, segwit_v0
from wallet.base.bitcoin.transaction import Transaction, TxOut
from wallet.base.channel_tx.claims import (
    Claim,
    spend_htlc_after_expiry,
    spend_htlc_with_preimage,
    spend_revoked_htlc,
    spend_revoked_output,
)
from wallet.base.channel_tx.commitment import (
    CommitmentSpec,
    CommittedHtlc,
    HtlcTransaction,
    build_commitment,
)
from wallet.base.channel_tx.format import ANCHORS, CommitmentFormat
from wallet.base.channel_tx.keys import derive_revocation_secret, derive_secret
from wallet.base.crypto.curve import point_of, sign
from wallet.base.crypto.hashes import sha256
from wallet.base.values.amounts import FeeratePerKw, MilliSatoshi, Satoshi
from wallet.base.values.blocks import CltvExpiry
from wallet.base.values.ids import OutPoint, PaymentHash, Preimage, Secret

REVOCATION: Final = derive_revocation_secret(REMOTE_REVOCATION_SECRET, PER_COMMITMENT_SECRET)
OUR_HTLC: Final = derive_secret(REMOTE_PAYMENT_SECRET, PER_COMMITMENT_POINT)
THEIR_HTLC: Final = derive_secret(LOCAL_PAYMENT_SECRET, PER_COMMITMENT_POINT)
THEIR_DELAYED: Final = derive_secret(LOCAL_DELAYED_SECRET, PER_COMMITMENT_POINT)
PREIMAGE: Final = Preimage(b"\x07" * 32)
AMOUNT: Final = Satoshi(60_000)
FEERATE: Final = FeeratePerKw(1_000)
DESTINATION: Final = p2tr(point_of(REMOTE_PAYMENT_SECRET)[1:])
RBF: Final = 0xFFFFFFFD
DELAY: Final = 144
FORMATS: Final = (ANCHORS, STATIC_REMOTEKEY)


def commitment_of(commitment_format: CommitmentFormat) -> tuple[Transaction, list[HtlcTransaction]]:
    """Two HTLCs each way, all of one hash and amount; of each two only the expiry differs."""
    payment_hash = PaymentHash(sha256(PREIMAGE))
    htlcs = tuple(
        CommittedHtlc(index, offered, AMOUNT.to_msat(), payment_hash, CltvExpiry(expiry))
        for index, (offered, expiry) in enumerate(
            ((True, 500), (True, 100_000), (False, 500), (False, 100_000))
        )
    )
    spec = CommitmentSpec(
        42, FEERATE, MilliSatoshi(5_000_000_000), MilliSatoshi(4_760_000_000), htlcs
    )
    built = build_commitment(terms(commitment_format, 546), KEYS, spec)
    return built.tx, list(built.htlcs)


@dataclass(frozen=True)
class Case:
    """One claim, the output it spends and who may sign; `rate` and `amount` make others of it."""

    make: Callable[[Satoshi, FeeratePerKw, bytes], Claim | None]
    output: TxOut
    script: bytes
    secret: Secret
    sequence: int
    locktime: int = 0

    @property
    def claim(self) -> Claim:
        made = self.make(self.output.amount, FEERATE, DESTINATION)
        assert made is not None
        return made

    def changed(self, secret: Secret | None = None, **changes: int) -> Transaction:
        """The claim with another sequence or locktime, signed anew so that only they differ."""
        tx = self.claim.tx
        spent = replace(tx.inputs[0], sequence=changes.get("sequence", tx.inputs[0].sequence))
        tx = replace(tx, inputs=(spent,), locktime=changes.get("locktime", tx.locktime))
        digest = segwit_v0(tx, 0, self.script, self.output.amount)
        return tx.with_witness(0, self.claim.witness(sign(secret or self.secret, digest)))


def revoked_output(outpoint: OutPoint, output: TxOut) -> Case:
    revocation, delayed = KEYS.revocation_pubkey, KEYS.broadcaster_delayed_pubkey

    def make(amount: Satoshi, feerate: FeeratePerKw, to: bytes) -> Claim | None:
        return spend_revoked_output(outpoint, amount, DELAY, revocation, delayed, to, feerate)

    claim = make(output.amount, FEERATE, DESTINATION)
    assert claim is not None
    return Case(make, output, claim.behind_signature[-1], REVOCATION, RBF)


def revoked_htlc(htlc: HtlcTransaction) -> Case:
    def make(amount: Satoshi, feerate: FeeratePerKw, to: bytes) -> Claim | None:
        outpoint, revocation = htlc.tx.inputs[0].outpoint, KEYS.revocation_pubkey
        return spend_revoked_htlc(outpoint, amount, htlc.script, revocation, to, feerate)

    return Case(make, TxOut(AMOUNT, p2wsh(htlc.script)), htlc.script, REVOCATION, RBF)


def with_preimage(commitment_format: CommitmentFormat, htlc: HtlcTransaction) -> Case:
    def make(
        amount: Satoshi, feerate: FeeratePerKw, to: bytes, preimage: Preimage = PREIMAGE
    ) -> Claim | None:
        outpoint = htlc.tx.inputs[0].outpoint
        return spend_htlc_with_preimage(
            commitment_format, outpoint, amount, htlc.script, preimage, to, feerate
        )

    sequence = commitment_format.settled_delay or RBF
    return Case(make, TxOut(AMOUNT, p2wsh(htlc.script)), htlc.script, OUR_HTLC, sequence)


def after_expiry(commitment_format: CommitmentFormat, htlc: HtlcTransaction) -> Case:
    expiry = htlc.htlc.cltv_expiry

    def make(amount: Satoshi, feerate: FeeratePerKw, to: bytes) -> Claim | None:
        outpoint = htlc.tx.inputs[0].outpoint
        return spend_htlc_after_expiry(
            commitment_format, outpoint, amount, htlc.script, expiry, to, feerate
        )

    sequence = commitment_format.settled_delay or RBF
    output = TxOut(AMOUNT, p2wsh(htlc.script))
    return Case(make, output, htlc.script, OUR_HTLC, sequence, expiry.height)


def cases(commitment_format: CommitmentFormat) -> dict[str, Case]:
    """Every claim on one commitment and on the HTLC transactions behind it."""
    tx, htlcs = commitment_of(commitment_format)
    to_local = max(range(len(tx.outputs)), key=lambda index: tx.outputs[index].amount)
    found = {"to_local": revoked_output(tx.outpoint(to_local), tx.outputs[to_local])}
    for htlc in htlcs:
        assert tx.outputs[htlc.output_index] == TxOut(AMOUNT, p2wsh(htlc.script))
        side = "offered" if htlc.htlc.offered else "received"
        name = f"{side} until {htlc.htlc.cltv_expiry.height}"
        settle = with_preimage if htlc.htlc.offered else after_expiry
        found[name] = settle(commitment_format, htlc)
        found[f"{name}, revoked"] = revoked_htlc(htlc)
        found[f"{name}, second stage"] = revoked_output(htlc.tx.outpoint(0), htlc.tx.outputs[0])
    return found


CASES: Final = [
    pytest.param(case, id=f"{commitment_format.name}: {name}")
    for commitment_format in FORMATS
    for name, case in cases(commitment_format).items()
]


def accepted(tx: Transaction, output: TxOut) -> None:
    """Valid in a block and relayed."""
    verify(tx, [output], "claim")
    verify_policy(tx, [output])


def refused(tx: Transaction, output: TxOut) -> None:
    """By the kernel and, independently, by the second engine."""
    with pytest.raises(ScriptRefused):
        verify(tx, [output], "claim")
    with pytest.raises(PolicyRefused):
        verify_consensus(tx, [output])


@pytest.mark.parametrize("case", CASES)
def test_claim__accepted_with_the_right_key_only(case: Case) -> None:
    claim = case.claim
    tx = claim.signed(sign(case.secret, claim.digest))
    accepted(tx, case.output)
    assert (tx.version, tx.locktime, len(tx.inputs)) == (2, case.locktime, 1)
    assert tx.inputs[0].sequence == case.sequence
    assert tx.outputs == (TxOut(case.output.amount - claim.fee, DESTINATION),)
    assert case.changed() == tx
    for other in {REVOCATION, OUR_HTLC, THEIR_HTLC, THEIR_DELAYED} - {case.secret}:
        refused(claim.signed(sign(other, claim.digest)), case.output)


@pytest.mark.parametrize("name", ["offered until 500", "received until 500"])
def test_claim__one_block_of_delay_with_anchors(name: str) -> None:
    # BOLT 3: nothing but an anchor is spent beside an unconfirmed commitment.
    anchors, without = (cases(commitment_format)[name] for commitment_format in FORMATS)
    refused(anchors.changed(sequence=0), anchors.output)
    refused(anchors.changed(sequence=RBF), anchors.output)
    accepted(anchors.changed(sequence=1), anchors.output)
    accepted(without.changed(sequence=0), without.output)


@pytest.mark.parametrize("commitment_format", FORMATS, ids=lambda f: f.name)
@pytest.mark.parametrize("expiry", [500, 100_000])
def test_claim__not_before_its_own_expiry(commitment_format: CommitmentFormat, expiry: int) -> None:
    case = cases(commitment_format)[f"received until {expiry}"]
    refused(case.changed(locktime=expiry - 1), case.output)
    refused(case.changed(locktime=0), case.output)
    refused(case.changed(sequence=0xFFFFFFFF), case.output)
    accepted(case.changed(locktime=expiry + 1), case.output)


@pytest.mark.parametrize("commitment_format", FORMATS, ids=lambda f: f.name)
def test_claim__equal_htlcs_with_other_expiries(commitment_format: CommitmentFormat) -> None:
    found = cases(commitment_format)
    soon, late = (found[f"received until {expiry}"] for expiry in (500, 100_000))
    # Received: the expiry is in the script; the claim of one does not take the other.
    assert soon.output.script_pubkey != late.output.script_pubkey
    for case, other in ((soon, late), (late, soon)):
        refused(case.claim.signed(sign(OUR_HTLC, case.claim.digest)), other.output)
    # Offered: the outputs are twins; the outpoint alone tells them apart.
    twins = [found[f"offered until {expiry}"] for expiry in (500, 100_000)]
    assert twins[0].output == twins[1].output
    one, other_tx = (case.claim.tx for case in twins)
    assert one.inputs[0].outpoint != other_tx.inputs[0].outpoint
    digests = {case.claim.digest for case in twins}
    assert len(digests) == 2
    refused(twins[0].claim.signed(sign(OUR_HTLC, twins[1].claim.digest)), twins[0].output)


@pytest.mark.parametrize("commitment_format", FORMATS, ids=lambda f: f.name)
def test_claim__wrong_preimage(commitment_format: CommitmentFormat) -> None:
    case = cases(commitment_format)["offered until 500"]
    script, spent = case.script, case.claim.tx.inputs[0].outpoint
    for wrong in (b"\x08" * 32, bytes(32), PREIMAGE[:31], PREIMAGE + b"\x07", b""):
        claim = spend_htlc_with_preimage(
            commitment_format, spent, AMOUNT, script, Preimage(wrong), DESTINATION, FEERATE
        )
        assert claim is not None
        refused(claim.signed(sign(OUR_HTLC, claim.digest)), case.output)


def test_claim__witnesses_in_the_words_of_bolt_3() -> None:
    revocation = KEYS.revocation_pubkey
    for name, behind in (
        ("to_local", (b"\x01",)),
        ("received until 500, second stage", (b"\x01",)),
        ("offered until 500, revoked", (revocation,)),
        ("received until 500, revoked", (revocation,)),
        ("offered until 500", (PREIMAGE,)),
        ("received until 500", (b"",)),
    ):
        case = cases(ANCHORS)[name]
        signature = sign(case.secret, case.claim.digest)
        assert case.claim.witness(signature) == (script_signature(signature), *behind, case.script)


def test_claim__the_wrong_door() -> None:
    # Each witness opens its own output only: an HTLC of the other direction stays shut.
    found = cases(ANCHORS)
    offered, received = found["offered until 500"], found["received until 500"]
    doors = ((offered, received, b""), (received, offered, bytes(PREIMAGE)))
    for case, other, item in doors:
        tx = replace(case.claim.tx, locktime=500)
        digest = segwit_v0(tx, 0, case.script, AMOUNT)
        witness = (script_signature(sign(OUR_HTLC, digest)), item, case.script)
        refused(tx.with_witness(0, witness), case.output)
        refused(other.claim.signed(sign(OUR_HTLC, other.claim.digest)), case.output)


def test_claim__penalty_of_another_delay_or_key() -> None:
    case = cases(ANCHORS)["to_local"]
    spent = case.claim.tx.inputs[0].outpoint
    revocation, delayed = KEYS.revocation_pubkey, KEYS.broadcaster_delayed_pubkey
    for wrong in ((DELAY + 1, revocation, delayed), (DELAY, delayed, revocation)):
        claim = spend_revoked_output(spent, case.output.amount, *wrong, DESTINATION, FEERATE)
        assert claim is not None
        refused(claim.signed(sign(REVOCATION, claim.digest)), case.output)


KINDS: Final = {
    name: case
    for name, case in cases(ANCHORS).items()
    if name == "to_local" or name.startswith(("offered until 500", "received until 500"))
}
SCRIPTS: Final = (DESTINATION, p2wpkh(point_of(REMOTE_PAYMENT_SECRET)), p2wsh(b"\x51"))


@settings(max_examples=200, database=None)
@given(
    st.sampled_from(sorted(KINDS)),
    st.integers(0, 100_000) | st.integers(0, 21_000_000 * 10**8),
    st.integers(253, 200_000).map(FeeratePerKw),
    st.sampled_from(SCRIPTS),
)
def test_claim__fee_and_dust(name: str, sat: int, feerate: FeeratePerKw, to: bytes) -> None:
    case, amount = KINDS[name], Satoshi(sat)
    claim = case.make(amount, feerate, to)
    # The weight depends on the kind and on the destination, not on the amount.
    rich = case.make(Satoshi(10**12), feerate, to)
    assert rich is not None
    assert (claim is None) is (amount - feerate.fee_ceil(rich.weight) < dust_limit(to))
    if claim is None:
        return
    assert claim.weight == rich.weight
    tx = claim.signed(sign(case.secret, claim.digest))
    accepted(tx, TxOut(amount, case.output.script_pubkey))
    assert tx.outputs[0].amount == amount - claim.fee
    assert tx.outputs[0].amount >= dust_limit(to)
    assert claim.weight >= tx.weight
    assert feerate.fee_ceil(tx.weight) <= claim.fee
    assert claim.fee.sat <= 1 + feerate.per_kw * tx.weight * 1.01 / 1000


@pytest.mark.parametrize(
    ("name", "input_weight"),
    [
        ("to_local", 324),
        ("offered until 500, revoked", 407),
        ("received until 500, revoked", 413),
    ],
)
def test_claim__bolt_5_weights(name: str, input_weight: int) -> None:
    # BOLT 5 "Penalty Transactions Weight Calculation". It allows 73 bytes for a signature and more
    # than two for a delay or an expiry, so it is a little above the truth.
    around = 4 * (4 + 1 + 1 + 8 + 1 + 34 + 4) + 2
    weight = cases(STATIC_REMOTEKEY)[name].claim.weight
    assert around + input_weight - 8 <= weight <= around + input_weight
