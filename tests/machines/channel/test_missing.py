"""A funding that payments stand on is gone: seen at two tips, or by the rival in a block."""

from dataclasses import replace

import pytest

from tests.support.pair import (
    PUSH,
    START_HEIGHT,
    Pair,
    Side,
    offer,
    open_pair,
    policy,
    preimage_of,
    ready_pair,
)
from wallet.base.crypto.hashes import sha256
from wallet.base.errors import Refused
from wallet.base.values.amounts import ZERO_MSAT
from wallet.base.values.encode import from_json, to_json
from wallet.base.values.ids import Txid
from wallet.machines.channel import actions, events
from wallet.machines.channel.claims import FAIL_BACK_BY
from wallet.machines.channel.limits import receivable, spendable
from wallet.machines.channel.missing import is_sought
from wallet.machines.channel.onchain import FORGET_DEPTH
from wallet.machines.channel.opening_rules import ANCHOR_TYPE
from wallet.machines.channel.ready import FORGET_UNCONFIRMED
from wallet.machines.channel.resume import promised
from wallet.machines.channel.state import Channel, Missing, Phase, is_lost
from wallet.node.persist import durable

RIVAL = Txid(sha256(b"rival"))
FIRST = START_HEIGHT + 1


def zeroconf_pair() -> Pair:
    """Both may send, and no block has the funding."""
    trusting = replace(policy(), takes_zeroconf=True)
    pair = open_pair(PUSH, bobs=trusting, channel_type=(*ANCHOR_TYPE, 50))
    pair.alice.step()
    pair.settle()
    for side in (pair.alice, pair.bob):
        # Every step goes through the disk.
        side.store = _stored
    return pair


def _stored(channel: Channel) -> Channel:
    """As a row would keep what this is about; the rest as it was."""
    row: Channel = from_json(Channel, to_json(durable(channel)))
    return replace(channel, missing=row.missing)


def seek(side: Side, height: int, found: bool, rival: Txid | None = None) -> list[actions.Action]:
    side.height = height
    return side.step(events.FundingSought(height, found, rival))


def phase(side: Side) -> Phase:
    return side.state.phase


def missing(side: Side) -> Missing | None:
    return side.state.missing


def tip(side: Side, height: int) -> list[actions.Action]:
    side.height = height
    return side.step(events.NewTip(b""))


def lose(side: Side) -> None:
    seek(side, FIRST, found=False)
    seek(side, FIRST + 1, found=False)
    assert is_lost(side.state)


def of(kind: type[actions.Action], wishes: list[actions.Action]) -> list[actions.Action]:
    return [wish for wish in wishes if isinstance(wish, kind)]


def test_missing__one_tip_says_nothing() -> None:
    bob = zeroconf_pair().bob
    assert seek(bob, FIRST, found=False) == []
    assert missing(bob) == Missing(FIRST)
    assert spendable(bob.state) > ZERO_MSAT
    # The same tip, asked once more, is no second tip.
    seek(bob, FIRST, found=False)
    assert not is_lost(bob.state)
    # A mempool that lagged: the count begins anew.
    seek(bob, FIRST + 1, found=True)
    assert missing(bob) is None
    seek(bob, FIRST + 2, found=False)
    assert not is_lost(bob.state)


def test_missing__at_two_tips_nothing_is_promised_over_it() -> None:
    pair = zeroconf_pair()
    bob = pair.bob
    seek(bob, FIRST, found=False)
    [told] = seek(bob, FIRST + 1, found=False)
    assert isinstance(told, actions.FundingLost)
    for words in (f"since block {FIRST:,} in no mempool", "as not paid", "ask the peer"):
        assert words in told.message
    assert (spendable(bob.state), receivable(bob.state)) == (ZERO_MSAT, ZERO_MSAT)
    before = bob.state
    with pytest.raises(Refused, match="nothing can be sent over this channel") as refused:
        bob.step(offer(1))
    assert refused.value.code == 205
    assert bob.state is before
    # It is told once.
    assert seek(bob, FIRST + 2, found=False) == []
    assert bob.state.missing == Missing(FIRST, lost=True)
    assert bob.state.phase is Phase.READY


def test_missing__the_opener_sees_the_rival_in_its_block() -> None:
    alice = zeroconf_pair().alice
    assert promised(alice.state)
    [told] = seek(alice, FIRST, False, RIVAL)
    assert isinstance(told, actions.FundingLost)
    assert f"{RIVAL} took its coins in block {FIRST:,}" in told.message
    assert "The coins that you put in are where that transaction sent them" in told.message
    # No mempool takes it now; and what a backend said of the tip before comes too late.
    assert promised(alice.state) == []
    seek(alice, FIRST, found=True)
    assert is_lost(alice.state)


def test_missing__found_again_all_goes_on() -> None:
    pair = zeroconf_pair()
    lose(pair.bob)
    assert seek(pair.bob, FIRST + 2, found=True) == [actions.FundingBack()]
    pair.bob.step(offer(1))
    pair.settle()
    [key] = [k for k in pair.alice.state.htlcs if not k.offered_by_us]
    pair.alice.step(events.FulfillHtlc(key.id, preimage_of(1)))
    pair.settle()
    assert not pair.bob.state.htlcs


def test_missing__mined_after_all() -> None:
    pair = zeroconf_pair()
    lose(pair.bob)
    height = FIRST + 3
    pair.bob.height = height
    said = pair.bob.step(events.FundingConfirmed(height, 1, pair.funding_tx))
    assert of(actions.FundingBack, said) == [actions.FundingBack()]
    assert missing(pair.bob) is None
    # An answer of before it was mined is too late.
    seek(pair.bob, height, found=False)
    assert missing(pair.bob) is None


def test_missing__a_reorganisation_takes_the_rival_out() -> None:
    alice = zeroconf_pair().alice
    seek(alice, FIRST, False, RIVAL)
    tip(alice, FIRST + 3)
    tip(alice, FIRST)
    assert alice.state.missing == Missing(FIRST, lost=True, rival=RIVAL)
    offered = of(actions.Broadcast, tip(alice, FIRST - 1))
    assert len(offered) == 1, "the funding is offered to the mempool again"
    # Until somebody has it, it is lost: the rival waits for its next block.
    assert alice.state.missing == Missing(FIRST, lost=True)
    assert seek(alice, FIRST + 4, found=True) == [actions.FundingBack()]


def test_missing__a_channel_whose_block_was_taken_back_is_sought_too() -> None:
    pair = ready_pair()
    assert not is_sought(pair.bob.state)
    pair.bob.step(events.FundingUnconfirmed())
    assert is_sought(pair.bob.state)
    lose(pair.bob)


def test_missing__one_that_nobody_uses_yet_is_not_sought() -> None:
    pair = open_pair(PUSH)
    for side in (pair.alice, pair.bob):
        assert not is_sought(side.state)
        seek(side, FIRST, False, RIVAL)
        assert side.state.missing is None


@pytest.mark.parametrize(("rival", "patience"), [(RIVAL, FORGET_DEPTH), (None, FORGET_UNCONFIRMED)])
def test_missing__is_forgotten_once_it_cannot_come_back(rival: Txid | None, patience: int) -> None:
    pair = zeroconf_pair()
    side = pair.alice if rival else pair.bob
    side.step(offer(1, expiry=FIRST + 2 * FORGET_UNCONFIRMED))
    pair.settle()
    seek(side, FIRST, False, rival)
    seek(side, FIRST + 1, False)
    said = tip(side, FIRST + patience - 1)
    assert phase(side) is Phase.READY
    assert not of(actions.HtlcLapsed, said)
    said = tip(side, FIRST + patience)
    assert phase(side) is Phase.CLOSED
    assert "double-spent" in side.state.changes[-1].message
    # Whoever waits for what went on over it is told.
    assert len(of(actions.HtlcLapsed, said)) == 1
    assert [s.message.name for s in of(actions.Send, said) if isinstance(s, actions.Send)] == [
        "error"
    ]


def test_missing__what_went_on_over_it_is_given_back_in_time() -> None:
    """No commitment can decide it: the HTLC upstream must not run out with this one open."""
    pair = zeroconf_pair()
    expiry = FIRST + 30
    pair.bob.step(offer(1, expiry=expiry))
    pair.settle()
    lose(pair.bob)
    assert not of(actions.HtlcLapsed, tip(pair.bob, expiry + FAIL_BACK_BY - 1))
    tip(pair.bob, expiry + FAIL_BACK_BY)
    assert len(of(actions.HtlcLapsed, tip(pair.bob, expiry + FAIL_BACK_BY))) == 1


def test_missing__a_row_of_before_has_none() -> None:
    row = to_json(durable(zeroconf_pair().bob.state))
    assert row.count(',"missing":null') == 1
    old: Channel = from_json(Channel, row.replace(',"missing":null', ""))
    assert old.missing is None
    assert not is_lost(old)
