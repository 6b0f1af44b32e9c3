"""Two script engines beside each other: Core's for consensus, btclib's for policy.

They agree on what is valid; the second also refuses what Core would not relay.  The scripts are
those of this wallet: P2WPKH, HTLCs of BOLT 3, taproot by key, anchors.
"""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.support import kernel_engine
from tests.support.faucet import PUBLIC_KEY, SCRIPT, SECRET
from tests.support.kernel_engine import ScriptRefused
from tests.support.policy_engine import PolicyRefused, verify_consensus, verify_policy
from wallet.base.bitcoin.script import P2A, Op, p2tr, p2wpkh_code, p2wsh, script
from wallet.base.bitcoin.sighash import script_signature, segwit_v0, taproot
from wallet.base.bitcoin.taproot import output_key, output_secret
from wallet.base.bitcoin.transaction import Transaction, TxIn, TxOut
from wallet.base.crypto.curve import ORDER, from_der, sign, sign_schnorr
from wallet.base.errors import InvariantBroken
from wallet.base.values.amounts import Satoshi
from wallet.base.values.ids import OutPoint, Signature, Txid

AMOUNT = Satoshi(100_000)
PREIMAGE = bytes(32)
ANY_HASH = bytes.fromhex("66687aadf862bd776c8fc18b8e9f8e20089714856ee233b3902a591d0d5f2925")

BRANCHES = script(
    *(Op.IF, PUBLIC_KEY, Op.CHECKSIG, Op.ELSE),
    *(Op.SIZE, 32, Op.EQUALVERIFY, Op.SHA256, ANY_HASH, Op.EQUALVERIFY),
    *(PUBLIC_KEY, Op.CHECKSIG, Op.ENDIF),
)
DELAYED = script(6, Op.CHECKSEQUENCEVERIFY, Op.DROP, PUBLIC_KEY, Op.CHECKSIG)
EXPIRING = script(500, Op.CHECKLOCKTIMEVERIFY, Op.DROP, PUBLIC_KEY, Op.CHECKSIG)
TWO_OF_TWO = script(2, PUBLIC_KEY, PUBLIC_KEY, 2, Op.CHECKMULTISIG)
MAYBE = script(PUBLIC_KEY, Op.CHECKSIG, Op.IFDUP, Op.NOTIF, Op.OP_1, Op.ENDIF)


@dataclass(frozen=True)
class Case:
    """One spend: of which output, how, and what each engine should say."""

    name: str
    script_pubkey: bytes
    witness: Callable[[Transaction], tuple[bytes, ...]]
    valid: bool = True
    relayed: bool = True
    locktime: int = 0
    sequence: int = 0xFFFFFFFD


def signature(tx: Transaction, code: bytes, *, high_s: bool = False) -> bytes:
    compact = sign(SECRET, segwit_v0(tx, 0, code, AMOUNT))
    if not high_s:
        return script_signature(compact)
    s = ORDER - int.from_bytes(compact[32:], "big")
    return _der(int.from_bytes(compact[:32], "big"), s) + b"\x01"


def _der(r: int, s: int) -> bytes:
    parts = b"".join(
        bytes((2, len(number))) + number
        for number in (n.to_bytes(n.bit_length() // 8 + 1, "big") for n in (r, s))
    )
    return bytes((0x30, len(parts))) + parts


def by_script(code: bytes, *items: bytes) -> Callable[[Transaction], tuple[bytes, ...]]:
    return lambda tx: (signature(tx, code), *items, code)


CASES = [
    Case(
        "P2WPKH",
        SCRIPT,
        lambda tx: (signature(tx, p2wpkh_code(PUBLIC_KEY)), PUBLIC_KEY),
    ),
    Case(
        "P2WPKH with high S",
        SCRIPT,
        lambda tx: (signature(tx, p2wpkh_code(PUBLIC_KEY), high_s=True), PUBLIC_KEY),
        relayed=False,
    ),
    Case(
        "P2WPKH with another key",
        SCRIPT,
        lambda tx: (signature(tx, p2wpkh_code(PUBLIC_KEY)), b"\x02" + PUBLIC_KEY[1:-1] + b"\x01"),
        valid=False,
    ),
    Case("branch 1", p2wsh(BRANCHES), by_script(BRANCHES, b"\x01")),
    Case("branch 2 (MINIMALIF)", p2wsh(BRANCHES), by_script(BRANCHES, b"\x02"), relayed=False),
    Case("branch 0, preimage", p2wsh(BRANCHES), by_script(BRANCHES, PREIMAGE, b"")),
    Case(
        "branch 0, wrong preimage", p2wsh(BRANCHES), by_script(BRANCHES, b"\x01" * 32, b""), False
    ),
    Case(
        "two stack items left (CLEANSTACK is consensus in segwit)",
        p2wsh(BRANCHES),
        lambda tx: (b"\x01", signature(tx, BRANCHES), b"\x01", BRANCHES),
        valid=False,
    ),
    Case("delay over", p2wsh(DELAYED), by_script(DELAYED), sequence=6),
    Case("delay not over", p2wsh(DELAYED), by_script(DELAYED), False, sequence=5),
    Case("expired", p2wsh(EXPIRING), by_script(EXPIRING), locktime=500),
    Case("not expired", p2wsh(EXPIRING), by_script(EXPIRING), False, locktime=499),
    Case(
        "two of two",
        p2wsh(TWO_OF_TWO),
        lambda tx: (b"", signature(tx, TWO_OF_TWO), signature(tx, TWO_OF_TWO), TWO_OF_TWO),
    ),
    Case(
        "two of two with a dummy (NULLDUMMY)",
        p2wsh(TWO_OF_TWO),
        lambda tx: (b"\x01", signature(tx, TWO_OF_TWO), signature(tx, TWO_OF_TWO), TWO_OF_TWO),
        valid=False,
    ),
    Case("no signature", p2wsh(MAYBE), lambda _: (b"", MAYBE)),
    Case(
        "a failing signature (NULLFAIL)",
        p2wsh(MAYBE),
        lambda tx: (signature(tx, SCRIPT), MAYBE),
        relayed=False,
    ),
    Case(
        "taproot by key",
        p2tr(output_key(PUBLIC_KEY[1:])[0]),
        lambda tx: (
            sign_schnorr(
                output_secret(SECRET),
                taproot(tx, 0, [TxOut(AMOUNT, p2tr(output_key(PUBLIC_KEY[1:])[0]))]),
            ),
        ),
    ),
    Case(
        "taproot by the untweaked key",
        p2tr(output_key(PUBLIC_KEY[1:])[0]),
        lambda tx: (
            sign_schnorr(
                SECRET, taproot(tx, 0, [TxOut(AMOUNT, p2tr(output_key(PUBLIC_KEY[1:])[0]))])
            ),
        ),
        valid=False,
    ),
    Case("anchor", P2A, lambda _: ()),
    Case("a future witness version", bytes((Op.OP_16, 2, 1, 2)), lambda _: (), relayed=False),
]


def built(case: Case) -> tuple[Transaction, TxOut]:
    tx = Transaction(
        2,
        (TxIn(OutPoint(Txid(bytes(31) + b"\x05"), 0), sequence=case.sequence),),
        (TxOut(Satoshi(90_000), SCRIPT),),
        case.locktime,
    )
    return tx.with_witness(0, case.witness(tx)), TxOut(AMOUNT, case.script_pubkey)


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_engines(case: Case) -> None:
    tx, spent = built(case)
    if case.valid:
        kernel_engine.verify(tx, [spent])
        verify_consensus(tx, [spent])
    else:
        with pytest.raises(ScriptRefused, match="input 0"):
            kernel_engine.verify(tx, [spent])
        with pytest.raises(PolicyRefused):
            verify_consensus(tx, [spent])
    if case.valid and case.relayed:
        verify_policy(tx, [spent])
    else:
        with pytest.raises(PolicyRefused):
            verify_policy(tx, [spent])


def test_high_s_case__is_the_mirror_of_a_valid_signature() -> None:
    tx, _ = built(CASES[1])
    mirrored = from_der(tx.inputs[0].witness[0][:-1])
    assert int.from_bytes(mirrored[32:], "big") > ORDER // 2
    assert Signature(mirrored) != sign(SECRET, bytes(32))


def test_verify__counts_and_guards() -> None:
    tx, spent = built(CASES[0])
    before = kernel_engine.VERIFIED["example"]
    kernel_engine.verify(tx, [spent], "example")
    assert kernel_engine.VERIFIED["example"] == before + 1
    line = kernel_engine.tally()
    assert line is not None
    assert "kernel verified" in line
    with pytest.raises(InvariantBroken):
        kernel_engine.verify(tx, [spent, spent])
