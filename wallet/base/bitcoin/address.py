"""Addresses: the text of output scripts (BIP 173, BIP 350; base58 for the legacy ones).

Every error is a sentence for the person who pasted the address.
"""

from typing import Final

from wallet.base.bitcoin.chains import CHAINS, Chain
from wallet.base.bitcoin.script import p2pkh, p2sh, push_int, witness_program
from wallet.base.crypto.base58 import decode_base58check, encode_base58check
from wallet.base.crypto.bech32 import (
    Bech32,
    bytes_to_words,
    decode_bech32,
    encode_bech32,
    words_to_bytes,
)
from wallet.base.errors import DecodeError

_HRPS: Final = frozenset(chain.hrp for chain in CHAINS)
_BASE58_VERSIONS: Final = frozenset(
    version for chain in CHAINS for version in (chain.p2pkh_version, chain.p2sh_version)
)


def encode_address(script_pubkey: bytes, chain: Chain) -> str:
    """The address of an output script; raises `DecodeError` if it has none."""
    found = witness_program(script_pubkey)
    if found is not None:
        version, program = found
        variant = Bech32.BECH32 if version == 0 else Bech32.BECH32M
        return encode_bech32(chain.hrp, [version, *bytes_to_words(program)], variant)
    key_hash, script_hash = script_pubkey[3:23], script_pubkey[2:22]
    if len(key_hash) == 20 and script_pubkey == p2pkh(key_hash):
        return encode_base58check(bytes((chain.p2pkh_version,)) + key_hash)
    if len(script_hash) == 20 and script_pubkey == p2sh(script_hash):
        return encode_base58check(bytes((chain.p2sh_version,)) + script_hash)
    raise DecodeError("this output script has no address")


def decode_address(text: str, chain: Chain) -> bytes:
    """The output script of an address on `chain`; raises `DecodeError` with a sentence."""
    hrp = text.lower().rpartition("1")[0]
    try:
        if hrp == chain.hrp:
            return _decode_segwit(text)
        if hrp in _HRPS:
            decode_bech32(text)  # a mistyped character matters more than the network
            raise DecodeError(_elsewhere(chain, {c.name for c in CHAINS if c.hrp == hrp}))
        return _decode_base58(text, chain)
    except DecodeError as fault:
        raise DecodeError(f"not an address of {chain}: {text[:100]!r}: {fault}") from None


def _elsewhere(chain: Chain, names: set[str]) -> str:
    return f"it belongs to {' or '.join(sorted(names))}, and this wallet is on {chain}"


def _decode_segwit(text: str) -> bytes:
    _, words, variant = decode_bech32(text)
    if not words:
        raise DecodeError("nothing stands between the network and the checksum")
    version, program = words[0], words_to_bytes(words[1:])
    if version > 16:
        raise DecodeError(f"there is no segwit version {version}")
    if variant != (Bech32.BECH32 if version == 0 else Bech32.BECH32M):
        raise DecodeError(f"segwit version {version} uses the other checksum (BIP 350)")
    if not 2 <= len(program) <= 40:
        raise DecodeError(f"a witness program has 2 to 40 bytes, not {len(program)}")
    if version == 0 and len(program) not in (20, 32):
        raise DecodeError(f"segwit version 0 has 20 or 32 bytes, not {len(program)}")
    return push_int(version) + bytes((len(program),)) + program


def _decode_base58(text: str, chain: Chain) -> bytes:
    payload = decode_base58check(text)
    if len(payload) != 21 or payload[0] not in _BASE58_VERSIONS:
        raise DecodeError("it is base58, but of no kind of address that we know")
    version, digest = payload[0], payload[1:]
    if version == chain.p2pkh_version:
        return p2pkh(digest)
    if version == chain.p2sh_version:
        return p2sh(digest)
    owners = {c.name for c in CHAINS if version in (c.p2pkh_version, c.p2sh_version)}
    raise DecodeError(_elsewhere(chain, owners))
