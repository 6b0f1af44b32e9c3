"""Closing transactions: who pays, what is dropped, how much they weigh."""

from dataclasses import replace

import pytest

from tests.support.bolt3 import LOCAL_FUNDING_SECRET, REMOTE_FUNDING_SECRET
from wallet.base.bitcoin.script import op_return, p2tr, p2wpkh, p2wsh
from wallet.base.bitcoin.transaction import TxOut
from wallet.base.channel_tx.closing import ClosingTerms, build_closing, closing_weight
from wallet.base.channel_tx.commitment import funding_witness
from wallet.base.channel_tx.scripts import funding_script
from wallet.base.crypto.curve import point_of, sign
from wallet.base.values.amounts import MilliSatoshi, Satoshi
from wallet.base.values.ids import OutPoint, Txid

OPENER, ACCEPTER = point_of(LOCAL_FUNDING_SECRET), point_of(REMOTE_FUNDING_SECRET)
TERMS = ClosingTerms(
    funding=OutPoint(Txid(bytes(range(32))), 1),
    funding_amount=Satoshi(1_000_000),
    opener_funding_pubkey=OPENER,
    accepter_funding_pubkey=ACCEPTER,
    to_opener=MilliSatoshi(600_000_999),
    to_accepter=MilliSatoshi(399_999_001),
    opener_script=p2wpkh(OPENER),
    accepter_script=p2tr(ACCEPTER[1:]),
)
DUST = Satoshi(354)


def test_closing__opener_pays_and_amounts_round_down() -> None:
    closing = build_closing(TERMS, Satoshi(1_000), DUST)
    assert closing is not None
    assert closing.tx.outputs == (
        TxOut(Satoshi(399_999), TERMS.accepter_script),
        TxOut(Satoshi(599_000), TERMS.opener_script),
    )
    assert (closing.accepter_index, closing.opener_index) == (0, 1)
    assert closing.funding_script == funding_script(ACCEPTER, OPENER)
    assert (closing.tx.version, closing.tx.locktime) == (2, 0)
    assert closing.tx.inputs[0].sequence == 0xFFFFFFFF


@pytest.mark.parametrize(
    ("accepter_sat", "fee", "kept"),
    [(354, 1_000, {"opener", "accepter"}), (353, 1_000, {"opener"}), (354, 999_646, {"accepter"})],
)
def test_closing__dust_is_dropped(accepter_sat: int, fee: int, kept: set[str]) -> None:
    terms = replace(
        TERMS,
        to_opener=Satoshi(1_000_000 - accepter_sat).to_msat(),
        to_accepter=Satoshi(accepter_sat).to_msat(),
    )
    closing = build_closing(terms, Satoshi(fee), DUST)
    assert closing is not None
    assert (closing.opener_index is not None) == ("opener" in kept)
    assert (closing.accepter_index is not None) == ("accepter" in kept)
    assert len(closing.tx.outputs) == len(kept)


def test_closing__a_signer_may_leave_its_own_output_out() -> None:
    closing = build_closing(TERMS, Satoshi(1_000), DUST, with_accepter=False)
    assert closing is not None
    assert closing.tx.outputs == (TxOut(Satoshi(599_000), TERMS.opener_script),)
    assert (closing.opener_index, closing.accepter_index) == (0, None)
    other = build_closing(TERMS, Satoshi(1_000), DUST, with_opener=False)
    assert other is not None
    assert other.tx.outputs == (TxOut(Satoshi(399_999), TERMS.accepter_script),)
    assert (other.opener_index, other.accepter_index) == (None, 0)


def test_closing__none_without_money_for_the_fee_or_any_output() -> None:
    assert build_closing(TERMS, Satoshi(600_001), DUST) is None
    assert build_closing(TERMS, Satoshi(600_000), DUST, with_accepter=False) is None
    assert build_closing(TERMS, Satoshi(0), Satoshi(2_000_000)) is None


def test_closing__equal_outputs_keep_their_owners() -> None:
    terms = replace(
        TERMS,
        to_opener=Satoshi(500_000).to_msat(),
        to_accepter=Satoshi(500_000).to_msat(),
        accepter_script=TERMS.opener_script,
    )
    closing = build_closing(terms, Satoshi(0), DUST)
    assert closing is not None
    assert {closing.opener_index, closing.accepter_index} == {0, 1}


@pytest.mark.parametrize("script", [p2wpkh(OPENER), p2wsh(b"\x51"), op_return(bytes(80))])
def test_closing_weight__covers_the_signed_transaction(script: bytes) -> None:
    terms = replace(TERMS, opener_script=script)
    estimate = closing_weight(script, TERMS.accepter_script)
    for fee in range(8):
        closing = build_closing(terms, Satoshi(fee), DUST)
        assert closing is not None
        witness = funding_witness(
            closing.funding_script,
            sign(LOCAL_FUNDING_SECRET, closing.digest),
            sign(REMOTE_FUNDING_SECRET, closing.digest),
            (OPENER, ACCEPTER),
        )
        weight = closing.tx.with_witness(0, witness).weight
        # Two signatures of 71 or 72 bytes; shorter ones are one in 256 each.
        assert estimate - 4 <= weight <= estimate
