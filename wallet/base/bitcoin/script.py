"""Bitcoin script: opcodes by name, minimal pushes, standard output scripts and Core's dust rule."""

from enum import IntEnum
from typing import Final

from wallet.base.bitcoin.transaction import encode_varint
from wallet.base.crypto.hashes import sha256
from wallet.base.crypto.ripemd160 import hash160
from wallet.base.errors import DecodeError
from wallet.base.values.amounts import Satoshi

__all__ = [
    "P2A",
    "Op",
    "dust_limit",
    "hash160",
    "is_segwit",
    "is_unspendable",
    "op_return",
    "p2pkh",
    "p2sh",
    "p2tr",
    "p2wpkh",
    "p2wpkh_code",
    "p2wsh",
    "push",
    "push_int",
    "script",
    "witness_program",
]


class Op(IntEnum):
    """The opcodes this wallet writes or recognises, by Bitcoin Core's names without `OP_`."""

    OP_0 = 0x00
    PUSHDATA1 = 0x4C
    PUSHDATA2 = 0x4D
    PUSHDATA4 = 0x4E
    OP_1NEGATE = 0x4F
    OP_1 = 0x51
    OP_2 = 0x52
    OP_3 = 0x53
    OP_4 = 0x54
    OP_5 = 0x55
    OP_6 = 0x56
    OP_7 = 0x57
    OP_8 = 0x58
    OP_9 = 0x59
    OP_10 = 0x5A
    OP_11 = 0x5B
    OP_12 = 0x5C
    OP_13 = 0x5D
    OP_14 = 0x5E
    OP_15 = 0x5F
    OP_16 = 0x60
    IF = 0x63
    NOTIF = 0x64
    ELSE = 0x67
    ENDIF = 0x68
    VERIFY = 0x69
    RETURN = 0x6A
    IFDUP = 0x73
    DROP = 0x75
    DUP = 0x76
    SWAP = 0x7C
    SIZE = 0x82
    EQUAL = 0x87
    EQUALVERIFY = 0x88
    ADD = 0x93
    RIPEMD160 = 0xA6
    SHA256 = 0xA8
    HASH160 = 0xA9
    HASH256 = 0xAA
    CODESEPARATOR = 0xAB
    CHECKSIG = 0xAC
    CHECKSIGVERIFY = 0xAD
    CHECKMULTISIG = 0xAE
    CHECKMULTISIGVERIFY = 0xAF
    CHECKLOCKTIMEVERIFY = 0xB1
    CHECKSEQUENCEVERIFY = 0xB2
    CHECKSIGADD = 0xBA


MAX_SCRIPT_SIZE: Final = 10_000
P2A: Final = bytes.fromhex("51024e73")
"""Pay to anchor: anybody may spend it, with an empty witness."""

# Core's GetDustThreshold: an output is dust below the fee of creating and spending it at 3 sat/vB.
_DUST_RATE_PER_VBYTE: Final = 3
_SPEND_SIZE_SEGWIT: Final = 32 + 4 + 1 + 107 // 4 + 4
_SPEND_SIZE_LEGACY: Final = 32 + 4 + 1 + 107 + 4


def push(data: bytes) -> bytes:
    """The script that pushes `data`, in the only form that MINIMALDATA accepts (BIP 62 rule 3)."""
    size = len(data)
    if size == 0:
        return bytes((Op.OP_0,))
    if size == 1:
        if 1 <= data[0] <= 16:
            return bytes((Op.OP_1 + data[0] - 1,))
        if data[0] == 0x81:
            return bytes((Op.OP_1NEGATE,))
    if size < Op.PUSHDATA1:
        return bytes((size,)) + data
    if size <= 0xFF:
        return bytes((Op.PUSHDATA1, size)) + data
    if size <= 0xFFFF:
        return bytes((Op.PUSHDATA2,)) + size.to_bytes(2, "little") + data
    return bytes((Op.PUSHDATA4,)) + size.to_bytes(4, "little") + data


def push_int(number: int) -> bytes:
    """The script that pushes a number: little endian, sign in the top bit, as short as possible."""
    magnitude = abs(number)
    # One bit more than the magnitude needs, for the sign; zero is the empty string.
    size = magnitude.bit_length() // 8 + 1 if number else 0
    encoded = bytearray(magnitude.to_bytes(size, "little"))
    if number < 0:
        encoded[-1] |= 0x80
    return push(bytes(encoded))


def script(*items: int | bytes) -> bytes:
    """A script from its parts: an `Op` is an opcode, another int a number, bytes are pushed.

    `script(Op.HASH160, digest, Op.EQUAL)`; never hand it bytes that are already a push.
    """
    return b"".join(
        bytes((item,))
        if isinstance(item, Op)
        else push_int(item)
        if isinstance(item, int)
        else push(item)
        for item in items
    )


def p2pkh(public_key_hash: bytes) -> bytes:
    """Output script to a 20-byte key hash (legacy)."""
    return script(Op.DUP, Op.HASH160, public_key_hash, Op.EQUALVERIFY, Op.CHECKSIG)


def p2sh(script_hash: bytes) -> bytes:
    """Output script to a 20-byte script hash (BIP 16)."""
    return script(Op.HASH160, script_hash, Op.EQUAL)


def p2wpkh(public_key: bytes) -> bytes:
    """Output script to a 33-byte public key, 22 bytes (BIP 141)."""
    return b"\x00\x14" + hash160(public_key)


def p2wpkh_code(public_key: bytes) -> bytes:
    """The script code that a P2WPKH input signs (BIP 143)."""
    return p2pkh(hash160(public_key))


def p2wsh(witness_script: bytes) -> bytes:
    """Output script to a witness script, 34 bytes (BIP 141)."""
    return b"\x00\x20" + sha256(witness_script)


def p2tr(x_only: bytes) -> bytes:
    """Output script to a 32-byte taproot output key, 34 bytes (BIP 341)."""
    if len(x_only) != 32:
        raise DecodeError(f"a taproot output key has 32 bytes, not {len(x_only)}")
    return b"\x51\x20" + x_only


def op_return(data: bytes) -> bytes:
    """An output script that nobody can spend and that carries `data`."""
    return script(Op.RETURN, data)


def witness_program(script_pubkey: bytes) -> tuple[int, bytes] | None:
    """Segwit version 0..16 and program of 2..40 bytes, or None (BIP 141)."""
    size = len(script_pubkey)
    if not 4 <= size <= 42 or script_pubkey[1] != size - 2:
        return None
    opcode = script_pubkey[0]
    if opcode == Op.OP_0:
        return 0, script_pubkey[2:]
    if Op.OP_1 <= opcode <= Op.OP_16:
        return opcode - Op.OP_1 + 1, script_pubkey[2:]
    return None


def is_segwit(script_pubkey: bytes) -> bool:
    """Whether an output script is a witness program of any version."""
    return witness_program(script_pubkey) is not None


def is_unspendable(script_pubkey: bytes) -> bool:
    """Whether no input can ever spend this output (OP_RETURN, or longer than a script may be)."""
    return script_pubkey[:1] == bytes((Op.RETURN,)) or len(script_pubkey) > MAX_SCRIPT_SIZE


def dust_limit(script_pubkey: bytes) -> Satoshi:
    """The least amount that Core relays to this script at its dust rate of 3 sat/vB.

    P2WPKH 294, P2WSH and P2TR 330, P2SH 540, P2PKH 546, P2A 240, unspendable 0.
    """
    if is_unspendable(script_pubkey):
        return Satoshi(0)
    output_size = 8 + len(encode_varint(len(script_pubkey))) + len(script_pubkey)
    spend_size = _SPEND_SIZE_SEGWIT if is_segwit(script_pubkey) else _SPEND_SIZE_LEGACY
    return Satoshi(_DUST_RATE_PER_VBYTE * (output_size + spend_size))
