"""Bumping: two script engines judge every kind, and a brute force over all sets of coins agrees."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from itertools import combinations
from typing import Final, Protocol, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.coins import SIGNER, coin, script_of, signed
from tests.support.kernel_engine import ScriptRefused, verify
from tests.support.policy_engine import verify_policy
from wallet.base.bitcoin.script import dust_limit
from wallet.base.bitcoin.sighash import SigHash, segwit_v0
from wallet.base.bitcoin.transaction import SEQUENCE_RBF, Transaction, TxOut
from wallet.base.channel_tx.claims import Anchored
from wallet.base.channel_tx.commitment import (
    Commitment,
    CommitmentSpec,
    CommitmentTerms,
    CommittedHtlc,
    HtlcTransaction,
    build_commitment,
    funding_witness,
)
from wallet.base.channel_tx.format import ANCHORS
from wallet.base.channel_tx.keys import commitment_keys
from wallet.base.channel_tx.scripts import funding_output
from wallet.base.crypto.hashes import sha256
from wallet.base.errors import InvariantBroken, Refused
from wallet.base.values.amounts import FEERATE_FLOOR, FeeratePerKw, MilliSatoshi, Satoshi, sum_sat
from wallet.base.values.blocks import CltvExpiry
from wallet.base.values.ids import KeysId, OutPoint, PaymentHash, Preimage, Signature, Txid
from wallet.machines.coins import (
    Bumped,
    Coin,
    afforded,
    bump_commitment,
    bump_htlc,
    input_weight,
)
from wallet.machines.signing import (
    ChannelKeys,
    DeriveChannel,
    FundingKey,
    HtlcKey,
    KeyRef,
    SignDigest,
    Slot,
)

OURS, THEIRS = KeysId(b"\x01" * 16), KeysId(b"\x02" * 16)
US, THEM = (
    cast(ChannelKeys, answer)
    for answer in SIGNER.answer([DeriveChannel(OURS, 1), DeriveChannel(THEIRS, 2)])
)
POINT: Final = US.first_points[0]
OUR_HTLC_KEY: Final = HtlcKey(OURS, POINT)
OUR_FUNDING_KEY: Final = FundingKey(OURS, 0)
CAPACITY: Final = Satoshi(10_000_000)
FUNDING: Final = TxOut(CAPACITY, funding_output(US.funding_pubkey, THEM.funding_pubkey))
PREIMAGE: Final = Preimage(b"\x07" * 32)
AMOUNT: Final = Satoshi(60_000)
CHANGE: Final = script_of(86, 1, 0)
LEAST_CHANGE: Final = dust_limit(CHANGE)
FEERATE: Final = FeeratePerKw(5_000)
PLENTY: Final = Satoshi(10_000_000)


def by(key: KeyRef, digest: bytes) -> Signature:
    return cast(Signature, SIGNER.answer([SignDigest(key, digest)])[0])


@cache
def commitment_at(per_kw: int) -> tuple[Commitment, Transaction]:
    """Ours, and signed: of two HTLCs each way, all of one hash and amount, the expiry differs."""
    payment_hash = PaymentHash(sha256(PREIMAGE))
    rows = ((True, 500), (True, 100_000), (False, 500), (False, 100_000))
    htlcs = tuple(
        CommittedHtlc(number, offered, AMOUNT.to_msat(), payment_hash, CltvExpiry(expiry))
        for number, (offered, expiry) in enumerate(rows)
    )
    terms = CommitmentTerms(
        format=ANCHORS,
        funding=OutPoint(Txid(b"\x05" * 32), 0),
        funding_amount=CAPACITY,
        broadcaster_funding_pubkey=US.funding_pubkey,
        countersigner_funding_pubkey=THEM.funding_pubkey,
        opener_payment_basepoint=US.basepoints.payment,
        accepter_payment_basepoint=THEM.basepoints.payment,
        broadcaster_is_opener=True,
        dust_limit=Satoshi(354),
        to_self_delay=144,
    )
    balances = (MilliSatoshi(5_000_000_000), MilliSatoshi(4_760_000_000))
    keys = commitment_keys(US.basepoints, THEM.basepoints, POINT)
    spec = CommitmentSpec(7, FeeratePerKw(per_kw), *balances, htlcs)
    built = build_commitment(terms, keys, spec)
    witness = funding_witness(
        built.funding_script,
        by(OUR_FUNDING_KEY, built.digest),
        by(FundingKey(THEIRS, 0), built.digest),
        (US.funding_pubkey, THEM.funding_pubkey),
    )
    return built, built.tx.with_witness(0, witness)


def fee_of(tx: Transaction, prevouts: Sequence[TxOut]) -> Satoshi:
    return sum_sat([o.amount for o in prevouts]) - sum_sat([o.amount for o in tx.outputs])


def htlc_of(offered: bool, expiry: int = 500) -> HtlcTransaction:
    built, _ = commitment_at(253)
    wanted = (offered, CltvExpiry(expiry))
    (found,) = (h for h in built.htlcs if (h.htlc.offered, h.htlc.cltv_expiry) == wanted)
    return found


def htlc_bumped(
    coins: Sequence[Coin],
    feerate: FeeratePerKw = FEERATE,
    most: Satoshi = PLENTY,
    htlc: HtlcTransaction | None = None,
    key: HtlcKey = OUR_HTLC_KEY,
    preimage: Preimage = PREIMAGE,
) -> Bumped:
    htlc = htlc or htlc_of(offered=False)
    theirs = by(HtlcKey(THEIRS, POINT), htlc.digest)
    shown = None if htlc.htlc.offered else preimage
    return bump_htlc(htlc, theirs, key, shown, coins, CHANGE, feerate, most)


def commitment_bumped(
    coins: Sequence[Coin],
    feerate: FeeratePerKw = FEERATE,
    most: Satoshi = PLENTY,
    per_kw: int = 253,
    key: FundingKey = OUR_FUNDING_KEY,
) -> Bumped:
    built, tx = commitment_at(per_kw)
    anchor = built.broadcaster_anchor_index
    assert anchor is not None
    # Unsigned or signed: only the id and the outputs matter.
    return bump_commitment(
        Anchored(built.tx, fee_of(tx, [FUNDING]), tx.weight, anchor, US.funding_pubkey),
        key,
        coins,
        CHANGE,
        feerate,
        most,
    )


class Bump(Protocol):
    """What both have in common: coins, feerate, most."""

    def __call__(
        self, coins: Sequence[Coin], feerate: FeeratePerKw = FEERATE, most: Satoshi = PLENTY
    ) -> Bumped: ...


BUMPS: Final[dict[str, Bump]] = {"htlc": htlc_bumped, "child": commitment_bumped}


def spent_outputs(bumped: Bumped, coins: Sequence[Coin]) -> list[TxOut]:
    """What the inputs spend; the wallet's are those that `spent` names, in this order."""
    first, *others = bumped.unsigned.tx.inputs
    assert tuple(txin.outpoint for txin in others) == bumped.spent
    known = {c.outpoint: c.output for c in coins}
    _, parent = commitment_at(253)
    parents = {p.txid: p for p in (parent, commitment_at(2_500)[1])}
    output = parents[first.outpoint.txid].outputs[first.outpoint.index]
    return [output, *(known[outpoint] for outpoint in bumped.spent)]


def judged(bumped: Bumped, coins: Sequence[Coin], kind: str = "htlc") -> Transaction:
    """Signed, and found good by consensus and policy."""
    tx = signed(bumped.unsigned)
    verify(tx, spent_outputs(bumped, coins), kind)
    verify_policy(tx, spent_outputs(bumped, coins))
    return tx


def longest(bumped: Bumped) -> int:
    """The weight, had every signature of ours its greatest length."""
    tx = bumped.unsigned.tx
    sizes = {Slot.DER_ALL: 72, Slot.SCHNORR: 64}
    for wanted in bumped.unsigned.inputs:
        stack = (bytes(sizes[i]) if isinstance(i, Slot) else i for i in wanted.witness)
        tx = tx.with_witness(wanted.index, tuple(stack))
    return tx.weight


@pytest.mark.parametrize("purposes", [(84,), (86,), (84, 86), (86, 86, 84)])
@pytest.mark.parametrize("expiry", [500, 100_000])
@pytest.mark.parametrize("offered", [True, False])
def test_htlc__both_engines_accept_it(
    offered: bool, expiry: int, purposes: tuple[int, ...]
) -> None:
    htlc = htlc_of(offered, expiry)
    # Some 2,100 sat are needed beside what the inputs cost, so all of the coins are.
    share = 2_300 // len(purposes) + 560
    coins = [coin(share, purpose, number) for number, purpose in enumerate(purposes)]
    bumped = htlc_bumped(coins, FeeratePerKw(2_000), htlc=htlc)
    assert set(bumped.spent) == {c.outpoint for c in coins}
    tx = judged(bumped, coins)
    assert tx.version == 2
    assert tx.locktime == (expiry if offered else 0)
    assert tx.inputs[0].outpoint == htlc.tx.inputs[0].outpoint
    assert [i.sequence for i in tx.inputs] == [1, *(SEQUENCE_RBF for _ in bumped.spent)]
    assert tx.outputs[0] == htlc.tx.outputs[0]
    assert tx.outputs[1].script_pubkey == CHANGE
    assert len(tx.outputs) == 2
    # The witness is the one of BOLT 3, with our signature over everything.
    digest = segwit_v0(tx, 0, htlc.script, AMOUNT)
    theirs = by(HtlcKey(THEIRS, POINT), htlc.digest)
    shown = None if offered else PREIMAGE
    assert tx.inputs[0].witness == htlc.witness(theirs, by(OUR_HTLC_KEY, digest), shown)


@pytest.mark.parametrize("per_kw", [253, 2_500])
@pytest.mark.parametrize("purpose", [84, 86])
def test_commitment__both_engines_accept_the_package(purpose: int, per_kw: int) -> None:
    coins = [coin(50_000, purpose)]
    bumped = commitment_bumped(coins, FEERATE, per_kw=per_kw)
    built, parent = commitment_at(per_kw)
    verify(parent, [FUNDING], "commitment")
    child = judged(bumped, coins, "child")
    assert child.inputs[0].outpoint == parent.outpoint(built.broadcaster_anchor_index or 0)
    assert all(txin.sequence == SEQUENCE_RBF for txin in child.inputs)
    assert [o.script_pubkey for o in child.outputs] == [CHANGE]
    paid = fee_of(child, spent_outputs(bumped, coins)) + fee_of(parent, [FUNDING])
    exact = FEERATE.fee_ceil(child.weight + parent.weight)
    assert exact <= paid <= Satoshi(exact.sat * 101 // 100)


def test_two_htlcs_of_one_hash_and_amount__spend_their_own_outputs() -> None:
    built, parent = commitment_at(253)
    coins = [coin(50_000)]
    for htlc in built.htlcs:
        tx = judged(htlc_bumped(coins, htlc=htlc), coins)
        # By the scripts, the output of the same hash and amount beside it cannot be meant.
        (beside,) = (
            h for h in built.htlcs if h is not htlc and h.htlc.offered == htlc.htlc.offered
        )
        other = replace(tx.inputs[0], outpoint=parent.outpoint(beside.output_index))
        swapped = replace(tx, inputs=(other, *tx.inputs[1:]))
        with pytest.raises(ScriptRefused):
            verify(swapped, [parent.outputs[beside.output_index], coins[0].output])
    assert len({htlc.tx.inputs[0].outpoint for htlc in built.htlcs}) == 4


def test_refused_by_the_kernel__another_key_or_preimage() -> None:
    coins = [coin(50_000)]
    wrong = (
        htlc_bumped(coins, preimage=Preimage(b"\x08" * 32)),
        htlc_bumped(coins, key=HtlcKey(OURS, US.first_points[1])),
        htlc_bumped(coins, key=HtlcKey(THEIRS, POINT)),
        commitment_bumped(coins, key=FundingKey(THEIRS, 0)),
        commitment_bumped(coins, key=FundingKey(OURS, 1)),
    )
    for bumped in wrong:
        with pytest.raises(ScriptRefused) as refused:
            verify(signed(bumped.unsigned), spent_outputs(bumped, coins))
        assert refused.value.input_index == 0


def test_refused_by_the_kernel__what_the_peer_or_we_did_not_sign() -> None:
    coins = [coin(50_000)]
    bumped = htlc_bumped(coins, htlc=htlc_of(offered=True))
    tx, prevouts = signed(bumped.unsigned), spent_outputs(bumped, coins)
    first, change = tx.outputs
    spending, paying = tx.inputs
    less = Satoshi(1)
    for changed in (
        replace(tx, locktime=tx.locktime - 1),
        replace(tx, inputs=(replace(spending, sequence=0), paying)),
        replace(tx, outputs=(replace(first, amount=first.amount - less), change)),
        replace(tx, outputs=(first, replace(change, amount=change.amount - less))),
        replace(tx, outputs=(first,)),
    ):
        with pytest.raises(ScriptRefused):
            verify(changed, prevouts)


coins_lists = st.lists(
    st.tuples(
        st.integers(300, 9_000) | st.integers(300, 90_000),
        st.sampled_from((84, 86)),
        st.sampled_from((1, None)),
    ),
    max_size=5,
).map(lambda rows: [coin(sat, p, number, h) for number, (sat, p, h) in enumerate(rows)])
feerates = (st.integers(1, 3_000) | st.integers(3_000, 30_000)).map(FeeratePerKw)
kinds = st.sampled_from(sorted(BUMPS))


def parent_of(kind: str) -> tuple[int, Satoshi]:
    if kind == "htlc":
        return 0, Satoshi(0)
    _, tx = commitment_at(253)
    return tx.weight, fee_of(tx, [FUNDING])


@settings(max_examples=300, database=None)
@given(kinds, coins_lists, feerates, st.integers(0, 1_000).map(lambda part: Satoshi(60 * part)))
def test_what_holds_of_all(
    kind: str, coins: list[Coin], feerate: FeeratePerKw, most: Satoshi
) -> None:
    try:
        bumped = BUMPS[kind](coins, feerate, most)
    except Refused as refused:
        assert refused.code in (301, -1)
        return
    tx, prevouts = signed(bumped.unsigned), spent_outputs(bumped, coins)
    verify(tx, prevouts, kind)
    assert fee_of(tx, prevouts) == bumped.fee <= most
    assert tx.outputs[-1].amount >= LEAST_CHANGE
    assert len(set(bumped.spent)) == len(bumped.spent) >= 1
    # The weight that was reckoned with is the true one but for short signatures.
    parent_weight, parent_fee = parent_of(kind)
    assert longest(bumped) >= tx.weight
    asked = max(feerate, FEERATE_FLOOR)
    wanted = asked.fee_ceil(longest(bumped) + parent_weight) - parent_fee
    assert bumped.fee == min(wanted, most)
    reached = (bumped.fee + parent_fee).sat * 1_000
    assert reached >= FEERATE_FLOOR.per_kw * (tx.weight + parent_weight)
    if wanted <= most:
        exact = asked.fee_ceil(tx.weight + parent_weight)
        assert exact <= bumped.fee + parent_fee <= Satoshi(exact.sat * 101 // 100 + 1)


def paying_sets(
    kind: str, coins: Sequence[Coin], bare: int, feerate: FeeratePerKw
) -> Iterator[tuple[Coin, ...]]:
    """Every set of coins that pays, by brute force."""
    parent_weight, parent_fee = parent_of(kind)
    ours = Satoshi(330 if kind == "child" else 0)
    for count in range(1, len(coins) + 1):
        for chosen in combinations(coins, count):
            weight = bare + sum(input_weight(c.key.purpose) for c in chosen)
            fee = feerate.fee_ceil(weight + parent_weight) - parent_fee
            if sum_sat([c.amount for c in chosen]) + ours >= fee + LEAST_CHANGE:
                yield chosen


@settings(max_examples=150, database=None)
@given(kinds, coins_lists, st.integers(300, 30_000).map(FeeratePerKw))
def test_as_few_coins_as_pay__and_never_refused_when_some_do(
    kind: str, coins: list[Coin], feerate: FeeratePerKw
) -> None:
    rich = [coin(10_000_000, number=99)]
    bare = longest(BUMPS[kind](rich, feerate)) - input_weight(86)
    confirmed = [c for c in coins if c.height is not None]
    fewest = next(paying_sets(kind, confirmed, bare, feerate), None)
    fewest = fewest or next(paying_sets(kind, coins, bare, feerate), None)
    if fewest is None:
        with pytest.raises(Refused, match="lacks its fee") as refused:
            BUMPS[kind](coins, feerate)
        assert refused.value.code == 301
        return
    bumped = BUMPS[kind](coins, feerate)
    assert len(bumped.spent) == len(fewest)
    if set(fewest) <= set(confirmed):
        assert set(bumped.spent) <= {c.outpoint for c in confirmed}


@pytest.mark.parametrize("kind", sorted(BUMPS))
def test_which_coins(kind: str) -> None:
    bump = BUMPS[kind]
    big, right, small = (coin(sat, number=n) for n, sat in enumerate((900_000, 40_000, 2_000)))
    waiting = coin(30_000, number=3, height=None)
    # The smallest single one that does: the others are for the other HTLCs.
    assert bump([big, right, small]).spent == (right.outpoint,)
    # One that is in a block, even when one that is not would be smaller.
    assert bump([waiting, big]).spent == (big.outpoint,)
    # One that waits, when nothing else does.
    assert bump([waiting, small]).spent == (waiting.outpoint,)
    # Several, the largest first, and the same ones in whatever order they come.
    many = [coin(3_000 + 200 * number, 84 + 2 * (number % 2), number) for number in range(8)]
    chosen = {bump(order).spent for order in (many, many[::-1], many[3:] + many[:3])}
    assert len(chosen) == 1
    (spent,) = chosen
    assert len(spent) > 1
    assert spent[0] == many[-1].outpoint


def test_of_several_coins_those_that_are_worth_most() -> None:
    # At this feerate a P2WPKH input costs 840 sat more than one of P2TR, and is 100 sat larger.
    dear = coin(33_100, 84)
    cheap = [coin(33_000, 86, number) for number in (1, 2)]
    spent = commitment_bumped([dear, *cheap], FeeratePerKw(20_000)).spent
    assert set(spent) == {c.outpoint for c in cheap}


@pytest.mark.parametrize("kind", sorted(BUMPS))
def test_change_that_would_be_dust__takes_another_coin_or_is_refused(kind: str) -> None:
    bump = BUMPS[kind]
    rich = [coin(10_000_000)]
    ours = Satoshi(330 if kind == "child" else 0)
    least = bump(rich).fee + LEAST_CHANGE - ours
    exact = bump([coin(least.sat)])
    assert exact.unsigned.tx.outputs[-1].amount == LEAST_CHANGE
    short = [coin(least.sat - 1)]
    with pytest.raises(Refused, match="Deposit on chain now") as refused:
        bump(short)
    assert refused.value.code == 301
    assert f"{least}" in refused.value.message
    both = [*short, coin(5_000, number=1)]
    assert set(bump(both).spent) == {c.outpoint for c in both}


@pytest.mark.parametrize("kind", sorted(BUMPS))
def test_most__lowers_the_feerate_and_then_refuses(kind: str) -> None:
    bump = BUMPS[kind]
    coins = [coin(500_000)]
    full = bump(coins).fee
    parent_weight, parent_fee = parent_of(kind)
    weight = longest(bump(coins))
    floor = FEERATE_FLOOR.fee_ceil(weight + parent_weight) - parent_fee
    if parent_weight:
        # The parent pays a little more than the floor, and less than it would be no help.
        floor = max(floor, Satoshi(-(-parent_fee.sat * weight // parent_weight)))
    assert bump(coins, most=full).fee == full
    for most in (full - Satoshi(1), Satoshi(full.sat // 2), floor):
        lowered = bump(coins, most=most)
        assert lowered.fee == most
        judged(lowered, coins, kind)
    for most in (floor - Satoshi(1), Satoshi(0)):
        with pytest.raises(Refused, match="not worth its fee") as refused:
            bump(coins, most=most)
        assert refused.value.code == -1
    # A coin that could not pay the feerate asked pays the one that `most` allows.
    poor = [coin(2_000)]
    assert bump(poor, FeeratePerKw(100_000), Satoshi(1_200)).fee == Satoshi(1_200)


def test_commitment__that_pays_enough_needs_no_child() -> None:
    coins = [coin(500_000)]
    with pytest.raises(Refused, match="a child would add nothing"):
        commitment_bumped(coins, FeeratePerKw(2_500), per_kw=2_500)
    # A little more is asked: the child pays for both, and more than its parent by weight.
    bumped = commitment_bumped(coins, FeeratePerKw(2_530), per_kw=2_500)
    assert bumped.fee >= FeeratePerKw(2_530).fee_ceil(longest(bumped))
    # With a lower feerate than its parent's, a child is bought for nothing.
    with pytest.raises(Refused, match="not worth its fee"):
        commitment_bumped(coins, FEERATE, Satoshi(1_000), per_kw=2_500)


def test_less_than_the_network_relays_is_never_paid() -> None:
    coins = [coin(500_000)]
    lowest = htlc_bumped(coins, FeeratePerKw(1))
    assert lowest == htlc_bumped(coins, FEERATE_FLOOR)
    assert lowest.fee >= FEERATE_FLOOR.fee_ceil(signed(lowest.unsigned).weight)


def test_coins_beyond_ten_thousand_vbytes_are_left_out() -> None:
    coins = [coin(1_500, 86, number) for number in range(400)]
    with pytest.raises(Refused, match="400 coins with 600,000 sat"):
        htlc_bumped(coins, FeeratePerKw(6_400))
    bumped = htlc_bumped(coins, FeeratePerKw(5_500))
    assert signed(bumped.unsigned).weight <= 40_000


def test_misuse_is_noticed() -> None:
    built, tx = commitment_at(253)
    coins = [coin(50_000)]
    theirs = built.countersigner_anchor_index
    assert theirs is not None
    with pytest.raises(InvariantBroken, match="no anchor of ours"):
        bump_commitment(
            Anchored(tx, Satoshi(284), tx.weight, theirs, US.funding_pubkey),
            OUR_FUNDING_KEY,
            coins,
            CHANGE,
            FEERATE,
            PLENTY,
        )
    for htlc, shown in ((htlc_of(offered=True), PREIMAGE), (htlc_of(offered=False), None)):
        with pytest.raises(InvariantBroken, match="preimage"):
            bump_htlc(
                htlc,
                by(HtlcKey(THEIRS, POINT), htlc.digest),
                OUR_HTLC_KEY,
                shown,
                coins,
                CHANGE,
                FEERATE,
                PLENTY,
            )

    with pytest.raises(InvariantBroken, match="would not hold"):
        htlc_bumped(coins, htlc=replace(htlc_of(offered=False), sighash=SigHash.ALL))


def test_coins_too_few_for_the_feerate_pay_the_highest_half_that_they_can() -> None:
    """A claim that waits for a deposit may miss its deadline; a cheap one may still be mined."""
    rich, poor = FeeratePerKw(64_000), coin(20_000)
    with pytest.raises(Refused):
        commitment_bumped([poor], rich)
    bumped, feerate = afforded(lambda rate: commitment_bumped([poor], rate), rich)
    halves = {rich.per_kw >> n for n in range(9)}
    assert feerate.per_kw in halves
    assert feerate < rich
    assert bumped.fee == commitment_bumped([poor], feerate).fee
    with pytest.raises(Refused):
        commitment_bumped([poor], FeeratePerKw(feerate.per_kw * 2))
    assert afforded(lambda rate: commitment_bumped([coin(500_000)], rate), rich)[1] == rich
    with pytest.raises(Refused, match=r"about [\d,]+ sat is needed") as refused:
        afforded(lambda rate: commitment_bumped([coin(400)], rate), rich)
    with pytest.raises(Refused) as first:
        commitment_bumped([coin(400)], rich)
    assert refused.value.message == first.value.message, "what was asked, not the last try"


def test_a_refusal_says_where_the_money_is() -> None:
    with pytest.raises(Refused) as refused:
        htlc_bumped([], htlc=htlc_of(offered=True))
    assert refused.value.message.startswith("The HTLC-timeout transaction lacks its fee: 0 coins")
    assert "60,000 sat wait in output" in refused.value.message
    with pytest.raises(Refused, match="stays in its funding output"):
        commitment_bumped([])


@pytest.mark.parametrize("per_kw", [253, 5_000])
def test_change_in_pieces__each_pays_for_another_such_transaction(per_kw: int) -> None:
    """So that the next block may hold as many HTLC transactions; the feerate stays as it was."""
    funds = [coin(25_000, 84)]
    plain, split = (
        bump_htlc(
            htlc_of(True),
            by(HtlcKey(THEIRS, POINT), htlc_of(True).digest),
            OUR_HTLC_KEY,
            None,
            funds,
            CHANGE,
            FeeratePerKw(per_kw),
            PLENTY,
            pieces=pieces,
        )
        for pieces in (1, 8)
    )
    signed_tx = judged(split, funds)
    parts = [output.amount for output in signed_tx.outputs[1:]]
    assert len(parts) == (8 if per_kw == 253 else 1)
    assert min(parts) >= Satoshi(4 * plain.fee.sat) or len(parts) == 1
    assert split.fee >= FeeratePerKw(per_kw).fee(longest(split))
