"""What the court says of a channel that lives, and whether it would really rule so."""

from tests.support import kernel_engine
from tests.support.court_stories import EXPIRY, cheated, know_preimages, pending, sat
from tests.support.courtroom import Courtroom, split_of
from tests.support.pair import LEGACY, Side, offer, preimage_of, ready_pair
from wallet.machines.channel import events
from wallet.machines.channel.ending import ClaimKind
from wallet.machines.channel.rulings import RATES, Leaf, Ruling, Way, docket, rulings


def ruled(side: Side, cheat: int | None = None) -> dict[Way, Ruling]:
    split = split_of(side, cheat) if cheat is not None else None
    content = (cheat, split) if cheat is not None and split is not None else None
    return {r.way: r for r in rulings(side.state, content, side.world())}


def judged(side: Side, ruling: Ruling) -> int:
    """Every transaction that takes an output is valid; how many there are."""
    proofs = [leaf.proof for leaf in ruling.leaves if leaf.proof is not None]
    for proof in proofs:
        kernel_engine.verify(side.sign(proof.unsigned), list(proof.prevouts), kind="ruling")
    return len(proofs)


def leaf(ruling: Ruling, amount: int) -> Leaf:
    (found,) = [each for each in ruling.leaves if each.amount.sat == amount]
    return found


def test_together__only_without_htlcs() -> None:
    pair = ready_pair()
    ways = ruled(pair.alice)
    assert set(ways) == {Way.TOGETHER, Way.ALONE, Way.BY_THEM}
    assert ways[Way.TOGETHER].ours.sat == 600_000
    assert ways[Way.TOGETHER].costs == tuple(sorted(ways[Way.TOGETHER].costs))
    assert ruled(pair.bob)[Way.TOGETHER].costs == ways[Way.TOGETHER].costs, "each its own"
    legacy = ready_pair(features=LEGACY)
    assert ruled(legacy.alice)[Way.TOGETHER].costs == ways[Way.TOGETHER].costs
    assert ruled(legacy.bob)[Way.TOGETHER].costs == (0, 0, 0), "who opened pays"
    pair.alice.step(offer(1))
    pair.settle()
    assert Way.TOGETHER not in ruled(pair.alice)


def test_every_output_is_told_and_every_claim_is_valid() -> None:
    pair = pending()
    know_preimages(pair)
    for side in (pair.alice, pair.bob):
        for way, ruling in ruled(side).items():
            assert ruling.transaction is not None
            shown = [each.amount for each in ruling.leaves]
            assert shown == [output.amount for output in ruling.transaction.outputs]
            assert judged(side, ruling) > 0
            assert all(len(each.costs) in (0, len(RATES)) for each in ruling.leaves)
            anchors = [each.ours for each in ruling.leaves if each.amount.sat == 330]
            assert sorted(anchors) == [False, True], way
    mine = ruled(pair.alice)[Way.ALONE]
    assert leaf(mine, 60_000).from_height == EXPIRY + 1
    assert leaf(mine, 80_000).needs.startswith("only with the preimage")
    assert not leaf(mine, 70_000).needs
    theirs = ruled(pair.alice)[Way.BY_THEM]
    assert leaf(theirs, 60_000).proof is not None


def test_cheat__everything_is_ours() -> None:
    pair = pending()
    number = pair.alice.state.our_number
    pair.bob.step(events.FulfillHtlc(0, preimage_of(1)), events.FailHtlc(1, b"no"))
    pair.settle()
    pair.alice.step(offer(7, sat(1_000), EXPIRY))
    pair.settle()
    ruling = ruled(pair.bob, number)[Way.CHEAT]
    assert judged(pair.bob, ruling) == 6, "both balances and four HTLCs"
    assert ruling.transaction is not None
    outputs = sum(output.amount.sat for output in ruling.transaction.outputs)
    assert ruling.ours.sat == outputs - 2 * 330, "all but the anchors"


def test_docket__what_opens_when() -> None:
    pair = pending()
    lines = docket(pair.alice.state)
    assert [line.height for line in lines] == [EXPIRY] * 6
    assert not any(line.claim or line.late for line in lines), "nothing is on chain yet"
    court, _, honest = cheated("alice")
    assert court.height < max(line.height for line in docket(honest.state))
    late = {line.what: line.claim for line in docket(honest.state) if line.late}
    assert late["penalty: the peer may take it"] is ClaimKind.PENALTY


def test_rulings__change_nothing() -> None:
    pair = pending()
    court = Courtroom(pair)
    before = pair.alice.state
    ruled(pair.alice)
    assert pair.alice.state is before
    assert court.height == pair.alice.height
