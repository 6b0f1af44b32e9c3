"""Forms of scripts by Core's names, and their words in Core's notation."""

import pytest

from tests.support.faucet import PUBLIC_KEY, SCRIPT
from wallet.base.bitcoin.script import P2A, Op, op_return, p2pkh, p2sh, p2tr, p2wsh, push, script
from wallet.services.regtest.policy import is_push_only, script_items, script_type
from wallet.services.regtest.render import asm, script_json

KEY = PUBLIC_KEY
FORMS = {
    "witness_v0_keyhash": SCRIPT,
    "witness_v0_scripthash": p2wsh(b"\x51"),
    "witness_v1_taproot": p2tr(KEY[1:]),
    "witness_unknown": bytes((Op.OP_2, 2, 1, 2)),
    "anchor": P2A,
    "pubkeyhash": p2pkh(bytes(20)),
    "scripthash": p2sh(bytes(20)),
    "pubkey": script(KEY, Op.CHECKSIG),
    "multisig": script(1, KEY, KEY, 2, Op.CHECKMULTISIG),
    "nulldata": op_return(b"data"),
}
NONSTANDARD = [
    b"",
    b"\x00\x03\x01\x02\x03",
    bytes((Op.RETURN, Op.DUP)),
    bytes((Op.RETURN, 5, 1)),
    script(3, KEY, KEY, 2, Op.CHECKMULTISIG),
    script(1, KEY, KEY, KEY, KEY, 4, Op.CHECKMULTISIG),
    script(1, b"not a key", 1, Op.CHECKMULTISIG),
    script(Op.OP_1),
]


@pytest.mark.parametrize("kind", FORMS)
def test_script_type(kind: str) -> None:
    assert script_type(FORMS[kind]) == kind
    assert script_json(FORMS[kind])["type"] == kind
    assert ("address" in script_json(FORMS[kind])) is (
        kind not in ("pubkey", "multisig", "nulldata")
    )


@pytest.mark.parametrize("script_pubkey", NONSTANDARD)
def test_script_type__nonstandard(script_pubkey: bytes) -> None:
    assert script_type(script_pubkey) == "nonstandard"


@pytest.mark.parametrize("size", [0, 1, 75, 76, 255, 256, 65_535, 65_536])
def test_push_only__every_width(size: int) -> None:
    pushed = push(b"\x99" * size)
    assert [data for _, data in script_items(pushed)] == [b"\x99" * size]
    assert is_push_only(pushed)
    assert not is_push_only(pushed[:-1] if size else b"\x01")
    assert not is_push_only(pushed + bytes((Op.DUP,)))


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ("", ""),
        ("00", "0"),
        ("4f", "-1"),
        ("51", "1"),
        ("60", "16"),
        ("0102", "2"),
        ("0182", "-2"),
        ("0400000080", "0"),
        ("050102030405", "0102030405"),
        ("61", "OP_NOP"),
        ("6a", "OP_RETURN"),
        (
            "76a914" + "11" * 20 + "88ac",
            f"OP_DUP OP_HASH160 {'11' * 20} OP_EQUALVERIFY OP_CHECKSIG",
        ),
        ("82012088a8", "OP_SIZE 32 OP_EQUALVERIFY OP_SHA256"),
        ("b1b2", "OP_CHECKLOCKTIMEVERIFY OP_CHECKSEQUENCEVERIFY"),
        ("ba", "OP_CHECKSIGADD"),
        ("bb", "OP_UNKNOWN"),
    ],
)
def test_asm(raw: str, words: str) -> None:
    assert asm(bytes.fromhex(raw)) == words
