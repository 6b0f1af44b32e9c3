"""Script: minimal pushes, standard scripts, dust."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wallet.base.bitcoin.script import (
    P2A,
    Op,
    dust_limit,
    is_segwit,
    op_return,
    p2pkh,
    p2sh,
    p2tr,
    p2wpkh,
    p2wsh,
    push,
    push_int,
    script,
    witness_program,
)
from wallet.base.errors import DecodeError

KEY = bytes.fromhex("0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "00"),
        (b"\x01", "51"),
        (b"\x10", "60"),
        (b"\x81", "4f"),
        (b"\x00", "0100"),
        (b"\x11", "0111"),
        (bytes(75), "4b" + "00" * 75),
        (bytes(76), "4c4c" + "00" * 76),
        (bytes(255), "4cff" + "00" * 255),
        (bytes(256), "4d0001" + "00" * 256),
        (bytes(65_536), "4e00000100" + "00" * 65_536),
    ],
    ids=lambda value: f"{len(value)}",
)
def test_push(data: bytes, expected: str) -> None:
    assert push(data).hex() == expected


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (0, "00"),
        (1, "51"),
        (16, "60"),
        (-1, "4f"),
        (17, "0111"),
        (127, "017f"),
        (128, "028000"),
        (144, "029000"),
        (255, "02ff00"),
        (256, "020001"),
        (-128, "028080"),
        (32_768, "03008000"),
        (500_000, "0320a107"),
    ],
)
def test_push_int(number: int, expected: str) -> None:
    assert push_int(number).hex() == expected


@given(st.integers(-(1 << 31), 1 << 31))
def test_push_int__reads_back(number: int) -> None:
    pushed = push_int(number)
    if pushed[0] in (Op.OP_0, Op.OP_1NEGATE) or pushed[0] >= Op.OP_1:
        assert -1 <= number <= 16
        return
    body = pushed[1:]
    magnitude = int.from_bytes(body, "little") & ~(0x80 << 8 * (len(body) - 1))
    assert (-magnitude if body[-1] & 0x80 else magnitude) == number
    # The shortest form: a last byte of sign alone is there only where it must be.
    assert body[-1] & 0x7F or (len(body) > 1 and body[-2] & 0x80)


def test_script_of_opcodes_numbers_and_data() -> None:
    made = script(Op.IF, KEY, Op.ELSE, 144, Op.CHECKSEQUENCEVERIFY, Op.DROP, Op.ENDIF)
    assert made.hex() == "6321" + KEY.hex() + "67029000b27568"


# Bitcoin Core, policy.cpp, GetDustThreshold at the default of 3,000 sat/kvB.
DUST = (
    (p2wpkh(KEY), 294),
    (p2wsh(b""), 330),
    (p2tr(bytes(32)), 330),
    (p2pkh(bytes(20)), 546),
    (p2sh(bytes(20)), 540),
    (P2A, 240),
    (op_return(b"data"), 0),
)


@pytest.mark.parametrize(("script_pubkey", "sat"), DUST)
def test_dust_limit(script_pubkey: bytes, sat: int) -> None:
    assert dust_limit(script_pubkey).sat == sat


def test_witness_program() -> None:
    assert witness_program(p2wpkh(KEY)) == (0, p2wpkh(KEY)[2:])
    assert witness_program(p2tr(KEY[1:])) == (1, KEY[1:])
    assert witness_program(P2A) == (1, b"\x4e\x73")
    assert witness_program(b"\x60\x02ab") == (16, b"ab")
    for other in (b"", p2pkh(bytes(20)), p2sh(bytes(20)), b"\x00\x01a", b"\x00\x29" + bytes(41)):
        assert witness_program(other) is None
        assert not is_segwit(other)


def test_p2tr__wants_32_bytes() -> None:
    with pytest.raises(DecodeError):
        p2tr(KEY)
