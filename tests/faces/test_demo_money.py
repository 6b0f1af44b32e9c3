"""The money check: it finds coins without an owner, with two, and owners without coins."""

from dataclasses import replace
from typing import Any

import pytest

from wallet.faces.demo.money import Books, MoneyCheck, check_money

FAUCET = "0014" + "fa" * 20
OTHER = "0014" + "0b" * 20
FUNDING = "0020" + "0c" * 32

Rows = list[dict[str, Any]]


def coin(txid: str, vout: int, sat: int, script: str = OTHER) -> dict[str, Any]:
    return {"txid": txid, "vout": vout, "amount_sat": sat, "scriptPubKey": script}


def output(txid: str, vout: int, msat: int, status: str = "confirmed") -> dict[str, Any]:
    return {"txid": txid, "output": vout, "amount_msat": msat, "status": status}


def channel(txid: str, vout: int, to_us_msat: int, state: str = "CHANNELD_NORMAL") -> Any:
    return {
        "channel_id": txid,
        "funding_txid": txid,
        "funding_outnum": vout,
        "to_us_msat": to_us_msat,
        "state": state,
    }


def built(txid: str, ours: str, theirs: str) -> Any:
    return {
        "channel_id": txid,
        "ours": {"number": 3, "txid": ours},
        "theirs": {"number": 3, "txid": theirs},
    }


PARENTS = {"c1": ["b1", "aa"]}
"""What the transactions spend from, where it matters."""


def check(utxos: Rows, *books: Books, mined: int = 6_000) -> MoneyCheck:
    chain = {"utxos": utxos, "subsidies_sat": mined}
    return check_money(chain, FAUCET, books, lambda txid: PARENTS.get(txid, []))


COINS = [
    coin("aa", 0, 1_000, FAUCET),
    coin("aa", 1, 2_000),
    coin("bb", 0, 3_000, FUNDING),
]
ALICE = Books(
    "alice",
    [output("aa", 1, 2_000_000)],
    [channel("bb", 0, 1_999_999)],
    [built("bb", "a1", "b1")],
)
BOB = Books("bob", [], [channel("bb", 0, 1_000_001)], [built("bb", "b1", "a1")])


def test_every_coin_has_one_owner() -> None:
    found = check(COINS, ALICE, BOB)
    assert found.ok
    assert found.faults == ()
    assert found.found_sat == found.mined_sat == 6_000
    assert found.owners == {
        "alice's wallet": 2_000,
        "the channel of alice and bob": 3_000,
        "the faucet": 1_000,
    }


def test_spent_outputs_and_ended_channels_claim_nothing() -> None:
    ended = [
        channel("99", 0, 5, state)
        for state in ("CLOSINGD_COMPLETE", "ONCHAIN", "AWAITING_UNILATERAL")
    ]
    alice = replace(
        ALICE,
        outputs=[*ALICE.outputs, output("88", 0, 7, "spent")],
        channels=[*ALICE.channels, *ended],
    )
    assert check(COINS, alice, BOB).ok


def test_a_closing_channel_owns_its_coin_until_it_is_spent() -> None:
    sides = [
        replace(b, channels=[{**b.channels[0], "state": "CLOSINGD_COMPLETE"}], commitments=[])
        for b in (ALICE, BOB)
    ]
    assert check(COINS, *sides).ok


def test_what_a_commitment_has_not_paid_out_yet_is_a_claim() -> None:
    def on_chain(book: Books, txid: str) -> Books:
        ended = {**book.channels[0], "state": "ONCHAIN", "scratch_txid": txid}
        return replace(book, channels=[ended], commitments=[])

    # Bob's commitment is on the chain: alice has her share already, bob's is delayed.
    bob = on_chain(BOB, "b1")
    alice = on_chain(replace(ALICE, outputs=[*ALICE.outputs, output("b1", 0, 1_800_000)]), "a1")
    coins = [*COINS[:2], coin("b1", 0, 1_800), coin("b1", 1, 1_000), coin("b1", 2, 200)]
    found = check(coins, alice, bob)
    assert found.ok
    assert found.owners == {
        "a claim that waits, of the channel of alice and bob": 1_200,
        "alice's wallet": 3_800,
        "the faucet": 1_000,
    }


@pytest.mark.parametrize(
    ("script", "owner"),
    [("0020" + "0d" * 32, "a claim that waits, of the channel of alice and bob"), (OTHER, None)],
)
def test_what_an_htlc_transaction_has_taken_waits_once_more(script: str, owner: str | None) -> None:
    # Bob's commitment was on the chain; one of its outputs went through an HTLC transaction.
    ended = [
        replace(b, channels=[{**b.channels[0], "state": "ONCHAIN", "scratch_txid": txid}])
        for b, txid in ((ALICE, "a1"), (BOB, "b1"))
    ]
    found = check([*COINS[:2], coin("b1", 0, 1_000), coin("c1", 0, 2_000, script)], *ended)
    if owner is None:
        # Whoever can spend it at once has to know it.
        assert found.faults == ("c1…:0 with 2,000 sat belongs to nobody",)
    else:
        assert found.ok
        assert found.owners[owner] == 3_000


def test_of_a_settled_channel_only_its_anchors_may_be_left() -> None:
    # Bob's commitment was on the chain a hundred blocks ago, and all of it but this was taken.
    closed = [{"last_commitment_txid": "b1"}]
    alice = replace(ALICE, outputs=[*ALICE.outputs, output("b1", 0, 2_670_000)], channels=[])
    alice = replace(alice, commitments=[])
    bob = replace(BOB, channels=[], commitments=[], closed=closed)
    coins = [*COINS[:2], coin("b1", 0, 2_670), coin("b1", 1, 330)]
    found = check(coins, alice, bob)
    assert found.ok
    assert found.owners["anchors that anybody may sweep"] == 330
    more = [*coins[:3], coin("b1", 1, 331)]
    assert "b1…:1 with 331 sat belongs to nobody" in check(more, alice, bob).faults


@pytest.mark.parametrize(
    ("coins", "books", "fault"),
    [
        ([*COINS, coin("cc", 0, 0)], (ALICE, BOB), "cc…:0 with 0 sat belongs to nobody"),
        (
            COINS,
            (ALICE, replace(BOB, outputs=ALICE.outputs)),
            "aa…:1 with 2,000 sat belongs to alice's wallet and bob's wallet",
        ),
        (
            [coin("aa", 1, 2_000, FAUCET), *COINS[:1], *COINS[2:]],
            (ALICE, BOB),
            "aa…:1 with 2,000 sat belongs to alice's wallet and the faucet",
        ),
        (
            COINS,
            (replace(ALICE, outputs=[output("aa", 1, 2_500_000)]), BOB),
            "alice's wallet: 2,500,000 msat by their books, 2,000 sat on the chain",
        ),
        (
            COINS,
            (ALICE, replace(BOB, channels=[channel("bb", 0, 1_000_002)])),
            "the channel of alice and bob: 3,000,001 msat by their books, 3,000 sat on the chain",
        ),
        (COINS, (ALICE,), "the channel of alice: 0 msat by their books, 3,000 sat on the chain"),
        (
            COINS,
            (ALICE, replace(BOB, outputs=[output("dd", 4, 1)])),
            "bob's wallet counts dd…:4, which the chain lacks",
        ),
        (
            COINS,
            (ALICE, replace(BOB, commitments=[built("bb", "b1", "a2")])),
            "alice and bob build two different commitments of alice",
        ),
        (
            COINS,
            (replace(ALICE, commitments=[built("bb", "a1", "b0")]), BOB),
            "bob and alice build two different commitments of bob",
        ),
        (
            COINS[:2],
            (ALICE, BOB),
            "the channel of alice and bob counts bb…:0, which the chain lacks",
        ),
    ],
)
def test_faults(coins: Rows, books: tuple[Books, ...], fault: str) -> None:
    found = check(coins, *books)
    assert not found.ok
    assert found.faults == (fault,)


def test_a_living_channel_that_one_side_cannot_build() -> None:
    found = check(COINS, ALICE, replace(BOB, commitments=[]))
    assert found.faults == (
        "alice and bob build two different commitments of alice",
        "bob and alice build two different commitments of bob",
    )


def test_coins_fewer_than_mined() -> None:
    found = check(COINS, ALICE, BOB, mined=6_001)
    assert found.faults == ()
    assert not found.ok
