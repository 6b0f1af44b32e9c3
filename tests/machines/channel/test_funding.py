"""From a funding transaction to a channel that may carry payments, and back by a reorganisation."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.support.pair import Pair, Side, open_pair, ready_pair
from wallet.base.bitcoin.script import p2wpkh
from wallet.base.bitcoin.transaction import Transaction, TxOut
from wallet.base.values.amounts import Satoshi
from wallet.base.values.ids import ShortChannelId
from wallet.base.wire.channel import ChannelReady
from wallet.base.wire.message import decode
from wallet.base.wire.setup import Error
from wallet.machines.channel import actions, events
from wallet.machines.channel.resume import resume
from wallet.machines.channel.state import Confirmation, Phase, ScidKind

PAYEE = p2wpkh(b"\2" * 33)


def confirm(side: Side, tx: Transaction, height: int = 111) -> list[actions.Action]:
    """The funding transaction, as the chain shows it, is in the block at the tip."""
    side.height = height
    return side.step(events.FundingConfirmed(height, 1, tx))


def broadcasts(wishes: tuple[actions.Action, ...] | list[actions.Action]) -> list[str]:
    """Kinds in order."""
    return [a.kind for a in wishes if isinstance(a, actions.Broadcast)]


def genuine(pair: Pair) -> TxOut:
    """The output that both agreed on."""
    (output,) = pair.funding_tx.outputs
    return output


@pytest.mark.parametrize(
    "pretended",
    [
        lambda real: (replace(real, script_pubkey=PAYEE),),
        lambda real: (replace(real, amount=real.amount - Satoshi(1)),),
        lambda real: (replace(real, amount=real.amount + Satoshi(1)),),
        lambda _: (),
    ],
    ids=["another script", "one satoshi less", "one satoshi more", "no such output"],
)
def test_funding_confirmed__is_not_the_channel(
    pretended: Callable[[TxOut], tuple[TxOut, ...]],
) -> None:
    """The accepter has seen a txid only. Were the output not looked at (script and amount), an
    opener could pay us with the balance of a channel that does not exist."""
    pair = open_pair()
    tx = replace(pair.funding_tx, outputs=pretended(genuine(pair)))
    confirm(pair.bob, tx)
    assert pair.bob.state.phase is Phase.FAILED
    assert not pair.bob.state.ready_sent
    assert isinstance(decode(pair.bob.sent[-1]), Error)


def test_channel_ready__at_the_depth_that_was_asked_for() -> None:
    pair = open_pair()
    for side in (pair.alice, pair.bob):
        side.channel = replace(side.state, terms=replace(side.state.terms, minimum_depth=3))
    confirm(pair.bob, pair.funding_tx, 111)
    assert not pair.bob.sent
    pair.bob.height = 112
    pair.bob.step(events.NewTip(PAYEE))
    assert not pair.bob.sent
    pair.bob.height = 113
    pair.bob.step(events.NewTip(PAYEE))
    (ready,) = map(decode, pair.bob.sent)
    assert isinstance(ready, ChannelReady)
    assert ready.second_per_commitment_point == pair.bob.state.our_points[1]
    assert ready.short_channel_id == pair.bob.state.scid(ScidKind.OURS)
    assert pair.bob.state.phase is Phase.AWAITING_CONFIRMATION


def test_channel_ready__early_from_the_opener() -> None:
    """BOLT 2: the opener is free to send this message at any time."""
    pair = open_pair()
    confirm(pair.alice, pair.funding_tx)
    pair.settle()
    assert pair.bob.state.ready_received
    assert pair.bob.state.phase is Phase.AWAITING_CONFIRMATION
    confirm(pair.bob, pair.funding_tx)
    pair.settle()
    assert {s.state.phase for s in (pair.alice, pair.bob)} == {Phase.READY}


def test_channel_ready__a_redundant_one_changes_an_alias_only() -> None:
    pair = ready_pair()
    before = pair.alice.state
    alias = ShortChannelId(16_000_000, 9, 9)
    other_point = before.our_points[0]
    for _ in range(3):
        pair.alice.step(events.MessageReceived(ChannelReady(before.id, other_point, alias)))
    after = pair.alice.state
    assert after.scid(ScidKind.THEIRS) == alias
    assert after.their_points == before.their_points
    assert replace(after, scids=()) == replace(before, scids=())


def test_channel_ready__aliases_without_end_take_no_room() -> None:
    pair = ready_pair()
    point = pair.alice.state.their_points[1]
    for number in range(50):
        alias = ShortChannelId(16_000_000, number, 0)
        pair.alice.step(events.MessageReceived(ChannelReady(pair.alice.state.id, point, alias)))
    assert pair.alice.state.scid(ScidKind.THEIRS) == ShortChannelId(16_000_000, 49, 0)
    assert len(pair.alice.state.scids) == 3


def test_reorg__the_funding_is_mined_elsewhere() -> None:
    pair = ready_pair()
    first = pair.alice.state.scid(ScidKind.REAL)
    assert first == ShortChannelId(111, 1, 0)
    wishes = pair.alice.step(events.FundingUnconfirmed(), events.NewTip(PAYEE))
    assert pair.alice.state.funding.confirmed is None
    assert broadcasts(wishes) == ["funding"], "whoever funded it offers it to the chain again"
    assert pair.alice.state.phase is Phase.READY
    pair.alice.step(events.FundingConfirmed(113, 5, pair.funding_tx))
    assert pair.alice.state.scid(ScidKind.REAL) == ShortChannelId(113, 5, 0)
    old = [s for s in pair.alice.state.scids if s.kind is ScidKind.REAL and s.until is not None]
    assert [s.scid for s in old] == [first], "the old name keeps working"


def test_reorg__back_to_the_same_place() -> None:
    pair = ready_pair()
    names = set(pair.alice.state.scids)
    pair.alice.step(events.FundingUnconfirmed())
    pair.alice.step(events.FundingConfirmed(111, 1, pair.funding_tx))
    assert set(pair.alice.state.scids) == names


def test_reorg__there_and_back_again() -> None:
    """The name of the place where the funding is now is the current one."""
    pair = ready_pair()
    for height, index in ((113, 5), (111, 1)):
        pair.alice.step(events.FundingUnconfirmed())
        pair.alice.step(events.FundingConfirmed(height, index, pair.funding_tx))
    assert pair.alice.state.scid(ScidKind.REAL) == ShortChannelId(111, 1, 0)


def _close(pair: Pair) -> None:
    pair.alice.step(events.CloseMutually(None, None))


def _close_and_agree(pair: Pair) -> None:
    _close(pair)
    pair.settle()
    assert pair.alice.state.phase is Phase.MUTUALLY_CLOSED


def _fail(pair: Pair) -> None:
    pair.alice.step(events.CloseUnilaterally("test"))


@pytest.mark.parametrize(
    ("end", "then"),
    [
        (lambda _: None, []),
        (_close, []),
        (_close_and_agree, ["mutual close"]),
        (_fail, ["commitment"]),
    ],
    ids=["awaiting", "shutting down", "mutually closed", "failed"],
)
def test_resume__the_funding_is_promised_until_it_is_confirmed(
    end: Callable[[Pair], None], then: list[str]
) -> None:
    """What spends it cannot be relayed without it, and a restart may have been before it was."""
    pair = open_pair()
    end(pair)
    assert broadcasts(resume(pair.alice.state).actions) == ["funding", *then]
    pair.alice.channel = pair.alice.state.with_funding(
        replace(pair.alice.state.funding, confirmed=Confirmation(111, 1))
    )
    assert broadcasts(resume(pair.alice.state).actions) == then
