"""BIP 173 and BIP 350: bech32 and bech32m strings, addresses of every segwit version."""

from tests.support.published import load, raises, tally
from wallet.base.bitcoin.address import decode_address, encode_address
from wallet.base.bitcoin.chains import MAINNET, SIGNET
from wallet.base.crypto.bech32 import Bech32, decode_bech32, encode_bech32
from wallet.base.errors import DecodeError

DATA = load("bech32.json")


def _has_checksum(text: str, variant: Bech32) -> bool:
    hrp, words, found = decode_bech32(text)
    return found is variant and encode_bech32(hrp, words, variant) == text.lower()


def _is_not(text: str, variant: Bech32) -> bool:
    try:
        return decode_bech32(text)[2] is not variant
    except DecodeError:
        return True


def test_strings() -> None:
    outcomes = []
    for name, variant in (("bech32", Bech32.BECH32), ("bech32m", Bech32.BECH32M)):
        outcomes += [(text, _has_checksum(text, variant)) for text in DATA[f"valid_{name}"]]
        outcomes += [(why, _is_not(text, variant)) for text, why in DATA[f"invalid_{name}"]]
        other = "bech32m" if name == "bech32" else "bech32"
        outcomes += [(text, _is_not(text, variant)) for text in DATA[f"valid_{other}"]]
    tally("BIP 173 and 350 strings", 7 + 12 + 7 + 14 + 14, outcomes)


def test_valid_addresses() -> None:
    outcomes = []
    for text, script_pubkey in DATA["valid_addresses_350"]:
        chain = MAINNET if text.lower().startswith("bc1") else SIGNET
        holds = decode_address(text, chain).hex() == script_pubkey
        holds &= encode_address(bytes.fromhex(script_pubkey), chain) == text.lower()
        outcomes.append((text, holds))
    tally("BIP 350 valid addresses", 8, outcomes)


def test_invalid_addresses() -> None:
    outcomes = [
        (why, raises(DecodeError, decode_address, text, chain))
        for text, why in DATA["invalid_addresses_350"] + DATA["invalid_addresses_173"]
        for chain in (MAINNET, SIGNET)
    ]
    tally("BIP 173 and 350 invalid addresses, on two chains", 2 * (15 + 10), outcomes)


def test_addresses_of_bip_173() -> None:
    """Version 0 stays valid; BIP 350 takes the other versions' bech32 checksum away."""
    outcomes = []
    for text, script_pubkey in DATA["valid_addresses_173"]:
        chain = MAINNET if text.lower().startswith("bc1") else SIGNET
        if script_pubkey.startswith("00"):
            holds = decode_address(text, chain).hex() == script_pubkey
        else:
            holds = raises(DecodeError, decode_address, text, chain)
        outcomes.append((text, holds))
    tally("BIP 173 valid addresses, as BIP 350 reads them", 6, outcomes)
