"""Rules of commitment, closing and claim transactions that the published vectors do not reach."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.bolt3 import ANCHORS_WITH_HTLC_FEES, KEYS, LOCAL, REMOTE, STATIC_REMOTEKEY, terms
from wallet.base.bitcoin.script import p2wsh
from wallet.base.bitcoin.transaction import Transaction, TxIn, TxOut
from wallet.base.channel_tx.commitment import (
    MAX_COMMITMENT_NUMBER,
    CommitmentSpec,
    build_commitment,
    commitment_number_of,
)
from wallet.base.channel_tx.fees import CommittedHtlc, commitment_fee, is_trimmed, untrimmed
from wallet.base.channel_tx.format import ANCHORS, CommitmentFormat, format_by_name
from wallet.base.channel_tx.scripts import anchor_script
from wallet.base.errors import InvariantBroken
from wallet.base.values.amounts import FeeratePerKw, MilliSatoshi, Satoshi
from wallet.base.values.blocks import CltvExpiry
from wallet.base.values.ids import OutPoint, PaymentHash, Preimage, Signature, Txid

FEERATE = FeeratePerKw(253)
DUST = 546


def htlc(
    id_: int, *, offered: bool = True, msat: int = 1_000_000, expiry: int = 500, fill: int = 7
) -> CommittedHtlc:
    return CommittedHtlc(
        id_, offered, MilliSatoshi(msat), PaymentHash(bytes([fill]) * 32), CltvExpiry(expiry)
    )


def spec(
    to_broadcaster_sat: int,
    to_countersigner_sat: int,
    *htlcs: CommittedHtlc,
    feerate: FeeratePerKw = FEERATE,
    number: int = 0,
) -> CommitmentSpec:
    return CommitmentSpec(
        number,
        feerate,
        Satoshi(to_broadcaster_sat).to_msat(),
        Satoshi(to_countersigner_sat).to_msat(),
        htlcs,
    )


@pytest.mark.parametrize("offered", [True, False])
@pytest.mark.parametrize("rules", [ANCHORS, ANCHORS_WITH_HTLC_FEES, STATIC_REMOTEKEY])
def test_trap_11__nothing_is_trimmed_at_equality(rules: CommitmentFormat, offered: bool) -> None:
    least = DUST + rules.htlc_fee(offered, FEERATE).sat
    at_equality = htlc(0, offered=offered, msat=least * 1000)
    below = htlc(1, offered=offered, msat=least * 1000 - 1)
    limit = Satoshi(DUST)
    assert not is_trimmed(rules, at_equality, FEERATE, limit)
    assert is_trimmed(rules, below, FEERATE, limit)
    assert untrimmed(rules, (below, at_equality), FEERATE, limit) == (at_equality,)
    commitment = build_commitment(
        terms(rules, DUST), KEYS, spec(5_000_000, 4_000_000, below, at_equality)
    )
    assert [built.htlc for built in commitment.htlcs] == [at_equality]
    assert commitment.htlcs[0].tx.outputs[0].amount == limit


def test_trimmed__example_of_bolt_3() -> None:
    feerate, limit = FeeratePerKw(5000), Satoshi(546)
    htlcs = (
        htlc(0, offered=True, msat=5_000_000),
        htlc(1, offered=True, msat=1_000_000),
        htlc(2, offered=False, msat=7_000_000),
        htlc(3, offered=False, msat=800_000),
    )
    kept = untrimmed(STATIC_REMOTEKEY, htlcs, feerate, limit)
    assert [h.id for h in kept] == [0, 2]
    assert STATIC_REMOTEKEY.htlc_fee(True, feerate) == Satoshi(3315)
    assert STATIC_REMOTEKEY.htlc_fee(False, feerate) == Satoshi(3515)
    assert commitment_fee(STATIC_REMOTEKEY, feerate, len(kept)) == Satoshi(5340)


@given(
    msat=st.integers(0, 3_000_000),
    feerate=st.integers(0, 5_000),
    limit=st.integers(0, 2_000),
    offered=st.booleans(),
)
def test_trimmed__one_rule(msat: int, feerate: int, limit: int, offered: bool) -> None:
    one = htlc(0, offered=offered, msat=msat)
    rate, dust = FeeratePerKw(feerate), Satoshi(limit)
    for rules in (ANCHORS, ANCHORS_WITH_HTLC_FEES, STATIC_REMOTEKEY):
        kept = untrimmed(rules, (one,), rate, dust)
        assert bool(kept) != is_trimmed(rules, one, rate, dust)


@pytest.mark.parametrize("opener_broadcasts", [True, False])
def test_fee__only_the_opener_pays(opener_broadcasts: bool) -> None:
    conditions = replace(terms(ANCHORS, DUST), broadcaster_is_opener=opener_broadcasts)
    commitment = build_commitment(conditions, KEYS, spec(6_000_000, 4_000_000))
    assert commitment.to_local_index is not None
    assert commitment.to_remote_index is not None
    costs = commitment_fee(ANCHORS, FEERATE, 0).sat + 2 * 330
    paid = (6_000_000 - commitment.tx.outputs[commitment.to_local_index].amount.sat) * (
        1 if opener_broadcasts else -1
    )
    assert paid == (costs if opener_broadcasts else 0)
    assert commitment.tx.outputs[commitment.to_remote_index].amount.sat == (
        4_000_000 if opener_broadcasts else 4_000_000 - costs
    )


def test_fee__opener_cannot_afford_it() -> None:
    commitment = build_commitment(
        terms(ANCHORS, DUST), KEYS, spec(1_000, 9_000_000, feerate=FeeratePerKw(10_000))
    )
    assert commitment.to_local_index is None
    assert commitment.broadcaster_anchor_index is None
    assert commitment.to_remote_index is not None
    assert commitment.tx.outputs[commitment.to_remote_index].amount == Satoshi(9_000_000)


def test_fee__anchors_are_never_paid_by_the_accepter() -> None:
    with pytest.raises(InvariantBroken):
        build_commitment(terms(ANCHORS, DUST), KEYS, spec(0, 10_000_000))


def test_dust__balance_at_the_limit_stays() -> None:
    costs = commitment_fee(ANCHORS, FEERATE, 0).sat + 2 * 330
    at_limit = build_commitment(terms(ANCHORS, DUST), KEYS, spec(costs + DUST, DUST))
    assert {at_limit.to_local_index, at_limit.to_remote_index} == {2, 3}
    below = build_commitment(terms(ANCHORS, DUST), KEYS, spec(costs + DUST - 1, DUST - 1))
    assert below.to_local_index is below.to_remote_index is None
    assert below.tx.outputs == ()


@pytest.mark.parametrize(
    ("balances", "htlcs", "broadcaster_anchor", "countersigner_anchor"),
    [
        ((5_000_000, 5_000_000), (), True, True),
        ((5_000_000, 0), (), True, False),
        ((0, 5_000_000), (), False, True),
        ((5_000_000, 0), (htlc(0, msat=1_000_000),), True, True),
        ((0, 5_000_000), (htlc(0, msat=1_000_000),), True, True),
        ((5_000_000, 0), (htlc(0, msat=DUST * 1000 - 1),), True, False),
    ],
)
def test_anchors__owner_has_something_to_gain(
    balances: tuple[int, int],
    htlcs: tuple[CommittedHtlc, ...],
    broadcaster_anchor: bool,
    countersigner_anchor: bool,
) -> None:
    conditions = terms(ANCHORS, DUST)
    commitment = build_commitment(conditions, KEYS, spec(*balances, *htlcs))
    for index, expected, pubkey in (
        (
            commitment.broadcaster_anchor_index,
            broadcaster_anchor,
            conditions.broadcaster_funding_pubkey,
        ),
        (
            commitment.countersigner_anchor_index,
            countersigner_anchor,
            conditions.countersigner_funding_pubkey,
        ),
    ):
        assert (index is not None) == expected
        if index is not None:
            anchor = TxOut(Satoshi(330), p2wsh(anchor_script(pubkey)))
            assert commitment.tx.outputs[index] == anchor


def test_order__equal_offered_htlcs_by_expiry_whatever_the_order_given() -> None:
    later = htlc(3, expiry=510, msat=1_000_999)
    sooner = htlc(4, expiry=505, msat=1_000_000)
    first = build_commitment(terms(ANCHORS, DUST), KEYS, spec(5_000_000, 4_000_000, later, sooner))
    second = build_commitment(terms(ANCHORS, DUST), KEYS, spec(5_000_000, 4_000_000, sooner, later))
    assert first == second
    assert [built.htlc for built in first.htlcs] == [sooner, later]
    assert [built.tx.locktime for built in first.htlcs] == [505, 510]


@st.composite
def specs(draw: st.DrawFn) -> CommitmentSpec:
    htlcs = tuple(
        htlc(i, offered=offered, msat=msat, expiry=expiry, fill=fill)
        for i, (offered, msat, expiry, fill) in enumerate(
            draw(
                st.lists(
                    st.tuples(
                        st.booleans(),
                        st.integers(1, 3_000_000),
                        st.integers(400, 420),
                        st.integers(0, 2),
                    ),
                    max_size=12,
                )
            )
        )
    )
    free = 10_000_000_000 - sum(h.amount.msat for h in htlcs)
    # The opener can pay for the anchors; BOLT 2's reserve sees to that.
    to_broadcaster = draw(st.integers(1_000_000, free))
    return CommitmentSpec(
        draw(st.integers(0, MAX_COMMITMENT_NUMBER)),
        FeeratePerKw(draw(st.integers(253, 50_000))),
        MilliSatoshi(to_broadcaster),
        MilliSatoshi(free - to_broadcaster),
        htlcs,
    )


@given(specs())
def test_commitment__conserves_orders_and_names(built_from: CommitmentSpec) -> None:
    conditions = terms(ANCHORS, DUST)
    commitment = build_commitment(conditions, KEYS, built_from)
    outputs = commitment.tx.outputs
    keys = [(output.amount.sat, output.script_pubkey) for output in outputs]
    assert keys == sorted(keys)
    assert sum(output.amount.sat for output in outputs) <= conditions.funding_amount.sat
    anchors = {commitment.broadcaster_anchor_index, commitment.countersigner_anchor_index}
    for index, output in enumerate(outputs):
        assert output.amount.sat >= DUST or index in anchors
    named = [
        commitment.to_local_index,
        commitment.to_remote_index,
        *anchors,
        *(built.output_index for built in commitment.htlcs),
    ]
    assert sorted(index for index in named if index is not None) == list(range(len(outputs)))
    assert {built.htlc for built in commitment.htlcs} == set(
        untrimmed(ANCHORS, built_from.htlcs, built_from.feerate, conditions.dust_limit)
    )
    number = commitment_number_of(commitment.tx, LOCAL.payment, REMOTE.payment)
    assert number == built_from.number


def test_commitment_number__only_of_what_looks_like_a_commitment() -> None:
    tx = build_commitment(terms(ANCHORS, DUST), KEYS, spec(5_000_000, 5_000_000)).tx
    spent = tx.inputs[0]
    others: tuple[Transaction, ...] = (
        replace(tx, locktime=0),
        replace(tx, inputs=(replace(spent, sequence=0xFFFFFFFF),)),
        replace(tx, inputs=(spent, TxIn(OutPoint(Txid(bytes(32)), 0)))),
    )
    assert commitment_number_of(tx, LOCAL.payment, REMOTE.payment) == 0
    for other in others:
        assert commitment_number_of(other, LOCAL.payment, REMOTE.payment) is None


def test_htlc_witness__preimage_for_success_only() -> None:
    commitment = build_commitment(
        terms(ANCHORS, DUST), KEYS, spec(5_000_000, 4_000_000, htlc(0), htlc(1, offered=False))
    )
    signature = Signature(bytes(31) + b"\x01" + bytes(31) + b"\x01")
    for built in commitment.htlcs:
        wrong = Preimage(bytes(32)) if built.htlc.offered else None
        with pytest.raises(InvariantBroken):
            built.witness(signature, signature, wrong)


def test_format__found_by_its_stored_name() -> None:
    assert format_by_name(ANCHORS.name) is ANCHORS
    assert format_by_name("of another day") is None
