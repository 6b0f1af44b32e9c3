"""Estimates of what a transaction costs: never less than what the node then takes."""

import random

import pytest

from wallet.base.bitcoin.script import p2tr, p2wpkh
from wallet.base.bitcoin.transaction import TxOut
from wallet.base.crypto.curve import point_of
from wallet.base.values.amounts import FeeratePerKw, Satoshi
from wallet.base.values.ids import OutPoint, Secret, Txid
from wallet.faces.tui import costs
from wallet.machines.coins.selection import EMERGENCY_RESERVE, select, select_all
from wallet.machines.coins.wallet import P2TR, P2WPKH, Coin
from wallet.machines.signing import WalletKey

_KEY = point_of(Secret(b"\x01" * 32))
_SCRIPTS = {P2TR: p2tr(_KEY[1:]), P2WPKH: p2wpkh(_KEY)}


def coin(amount: int, purpose: int, number: int) -> Coin:
    outpoint = OutPoint(Txid(number.to_bytes(32, "big")), 0)
    key = WalletKey(purpose, 0, number)
    return Coin(outpoint, Satoshi(amount), _SCRIPTS[purpose], key, _KEY, height=1)


def listed(coins: list[Coin]) -> costs.Coins:
    outputs = [
        {
            "amount_msat": c.amount.to_msat().msat,
            "scriptpubkey": c.script_pubkey.hex(),
            "status": "confirmed",
        }
        for c in coins
    ]
    held = [{"amount_msat": 9_000_000, "status": "confirmed", "reserved": True}]
    fresh = [{"amount_msat": 9_000_000, "status": "unconfirmed"}]
    return costs.coins({"outputs": [*outputs, *held, *fresh]}, "confirmed")


@pytest.mark.parametrize("seed", range(20))
def test_fee__covers_what_the_node_takes(seed: int) -> None:
    drawn = random.Random(seed)
    coins = [
        coin(drawn.randrange(20_000, 2_000_000), drawn.choice((P2TR, P2WPKH)), number)
        for number in range(drawn.randrange(1, 9))
    ]
    known, per_kw = listed(coins), drawn.choice((253, 1_000, 9_000))
    rate, script = FeeratePerKw(per_kw), _SCRIPTS[P2TR]
    assert known.total == sum(c.amount.sat for c in coins)
    everything = select_all(coins, script, rate, script)
    assert 0 <= known.most(per_kw) - everything.fee.sat <= per_kw
    wanted = known.total // 3
    chosen = select(coins, [TxOut(Satoshi(wanted), script)], rate, script)
    assert chosen.fee.sat <= known.most(per_kw) or chosen.change is None
    assert known.fee(wanted, per_kw) <= known.most(per_kw)


def test_emergency_reserve__is_the_nodes() -> None:
    assert EMERGENCY_RESERVE.sat == costs.EMERGENCY_SAT


@pytest.mark.parametrize(
    ("typed", "per_kw"),
    [("1", 253), ("2.5", 625), ("4", 1_000), (".5", 253), ("0", None), ("", None), ("1,5", None),
     ("1.", None), ("-1", None), ("99999", None), ("1.2345", None), ("²", None)],
)  # fmt: skip
def test_own_fee_rate__is_read(typed: str, per_kw: int | None) -> None:
    assert costs.read_per_vbyte(typed) == per_kw


@pytest.mark.parametrize("answer", [{}, {"perkw": None}, {"perkw": {"estimates": None}}])
def test_prices__of_a_core_that_cannot_say(answer: dict[str, object]) -> None:
    assert costs.prices(answer) == costs.Prices()
