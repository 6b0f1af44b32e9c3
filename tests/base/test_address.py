"""Addresses: every network, and a sentence for everything that is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wallet.base.bitcoin.address import decode_address, encode_address
from wallet.base.bitcoin.chains import (
    CHAINS,
    MAINNET,
    REGTEST,
    SIGNET,
    TESTNET4,
    Chain,
    chain_by_name,
    require_unlocked,
)
from wallet.base.bitcoin.script import P2A, op_return, p2pkh, p2sh, p2tr, p2wpkh, p2wsh
from wallet.base.crypto.base58 import decode_base58check, encode_base58check
from wallet.base.errors import DecodeError, Refused

KEY = bytes.fromhex("0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798")
SCRIPTS = (p2wpkh(KEY), p2wsh(b"x"), p2tr(KEY[1:]), P2A, p2pkh(bytes(20)), p2sh(bytes(20)))


@pytest.mark.parametrize("chain", CHAINS, ids=str)
@pytest.mark.parametrize("script_pubkey", SCRIPTS, ids=lambda s: s.hex()[:8])
def test_there_and_back(script_pubkey: bytes, chain: Chain) -> None:
    assert decode_address(encode_address(script_pubkey, chain), chain) == script_pubkey


def test_known_addresses() -> None:
    assert encode_address(P2A, REGTEST) == "bcrt1pfeesnyr2tx"
    # BIP 173's key on mainnet, and the address of the genesis block.
    assert encode_address(p2wpkh(KEY), MAINNET) == "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"
    genesis = bytes.fromhex("62e907b15cbf27d5425399ebf6f0fb50ebb88f18")
    assert encode_address(p2pkh(genesis), MAINNET) == "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "checksum"),
        ("hello", "does not exist in base58"),
        ("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "it belongs to bitcoin"),
        ("tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx", "it belongs to signet or testnet4"),
        ("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "it belongs to bitcoin"),
        ("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5", "a character was mistyped"),
        ("bcrt1pfeesnyr2ty", "a character was mistyped"),
        ("bcrt1Pfeesnyr2tx", "upper and lower case"),
        ("bcrt1" + "q" * 200, "too many"),
        ("x" * 1_000_000, "too long"),
        (encode_base58check(b"\x80" + bytes(32)), "no kind of address"),
    ],
)
def test_decode__one_clear_sentence(text: str, why: str) -> None:
    with pytest.raises(DecodeError, match=why) as raised:
        decode_address(text, REGTEST)
    assert len(str(raised.value)) < 300


@given(st.text(max_size=100))
def test_decode__any_text(text: str) -> None:
    try:
        script_pubkey = decode_address(text, REGTEST)
    except DecodeError:
        return
    assert encode_address(script_pubkey, REGTEST) == text.lower()


def test_script_without_address() -> None:
    with pytest.raises(DecodeError, match="no address"):
        encode_address(op_return(b"x"), REGTEST)


@given(st.binary(max_size=80))
def test_base58check(payload: bytes) -> None:
    assert decode_base58check(encode_base58check(payload)) == payload


def test_chains_by_name() -> None:
    assert [chain_by_name(chain.name) for chain in CHAINS] == list(CHAINS)
    with pytest.raises(Refused, match="no network is called 'testnet'") as raised:
        chain_by_name("testnet")
    assert raised.value.code == -32602


def test_real_money_is_locked() -> None:
    for chain in (REGTEST, SIGNET, TESTNET4):
        require_unlocked(chain)
    with pytest.raises(Refused, match=r"the network bitcoin is locked.*refuses real money in code"):
        require_unlocked(MAINNET)
    assert SIGNET.chain_hash.hex().startswith("f61eee3b63a380a4")
