"""What a person may say about a cooperative close, legacy: where to, and for which fee."""

import pytest

from tests.support.pair import FEERATE, LEGACY, Pair, Side, ready_pair
from wallet.base.bitcoin.script import p2pkh, p2tr, p2wsh
from wallet.base.channel_tx.closing import closing_weight
from wallet.base.errors import Refused
from wallet.base.values.amounts import FeeratePerKw, Satoshi
from wallet.base.values.features import Feature, Features
from wallet.machines.channel import events
from wallet.machines.channel.state import Phase

P2WSH = p2wsh(b"\x51")
WITHOUT_ANYSEGWIT = Features(LEGACY.bits - {Feature.OPTION_SHUTDOWN_ANYSEGWIT + 1})


def rates(least: int, greatest: int) -> tuple[FeeratePerKw, FeeratePerKw]:
    return FeeratePerKw(least), FeeratePerKw(greatest)


def fee_at(side: Side, feerate: FeeratePerKw) -> Satoshi:
    state = side.state
    return feerate.fee_ceil(closing_weight(state.our_shutdown or b"", state.their_shutdown or b""))


def agreed_fee(pair: Pair) -> Satoshi:
    fees = {
        side.state.signed_close.fee for side in (pair.alice, pair.bob) if side.state.signed_close
    }
    assert len(fees) == 1
    return fees.pop()


@pytest.mark.parametrize(
    ("given", "paid"),
    [
        (None, FEERATE.per_kw),
        (rates(253, 100_000), FEERATE.per_kw),
        (rates(253, 500), 500),
        (rates(2_000, 3_000), 2_000),
    ],
)
def test_opener_closes__fee_in_the_range_nearest_the_estimate(
    given: tuple[FeeratePerKw, FeeratePerKw] | None, paid: int
) -> None:
    pair = ready_pair(features=LEGACY)
    pair.alice.step(events.CloseMutually(None, given))
    pair.settle()
    assert agreed_fee(pair) == fee_at(pair.alice, FeeratePerKw(paid))


def test_accepter_closes__a_fee_below_its_range_is_not_agreed_to() -> None:
    pair = ready_pair(features=LEGACY)
    # Alice, who pays, goes up to ten times her estimate of 1,000.
    pair.bob.step(events.CloseMutually(None, rates(20_000, 30_000)))
    pair.settle()
    assert pair.bob.state.signed_close is None
    assert pair.bob.state.phase is Phase.NEGOTIATING
    pair.cut()
    pair.bob.step(events.CloseMutually(None, rates(253, 30_000)))
    pair.reconnect()
    pair.settle()
    assert agreed_fee(pair) == fee_at(pair.alice, FEERATE)


def test_destination__is_paid() -> None:
    pair = ready_pair(features=LEGACY)
    pair.alice.step(events.CloseMutually(P2WSH, None))
    pair.settle()
    [tx] = [tx for kind, tx in pair.bob.broadcasts if kind == "mutual close"]
    assert P2WSH in {output.script_pubkey for output in tx.outputs}


@pytest.mark.parametrize(
    ("script", "words"),
    [(p2pkh(bytes(20)), "segwit address only"), (p2tr(bytes(32)), "version 0 address only")],
)
def test_destination__of_no_allowed_form_is_refused_before_anything_is_said(
    script: bytes, words: str
) -> None:
    pair = ready_pair(features=WITHOUT_ANYSEGWIT)
    with pytest.raises(Refused, match=words) as refused:
        pair.alice.step(events.CloseMutually(script, None))
    assert refused.value.code == -32602
    assert pair.alice.state.our_shutdown is None
    assert not pair.alice.sent


@pytest.mark.parametrize("script", [p2tr(bytes(32)), b"\x60\x02ab", b"\x60\x28" + bytes(40)])
def test_destination__of_any_segwit_version_once_negotiated(script: bytes) -> None:
    pair = ready_pair(features=LEGACY)
    pair.bob.step(events.CloseMutually(script, None))
    pair.settle()
    assert agreed_fee(pair)
    [tx] = [tx for kind, tx in pair.alice.broadcasts if kind == "mutual close"]
    assert script in {output.script_pubkey for output in tx.outputs}


def test_destination__cannot_change_while_closing() -> None:
    pair = ready_pair(features=LEGACY)
    pair.alice.step(events.CloseMutually(P2WSH, None))
    with pytest.raises(Refused, match="another address"):
        pair.alice.step(events.CloseMutually(p2wsh(b"\x52"), None))
    pair.alice.step(events.CloseMutually(P2WSH, None))
