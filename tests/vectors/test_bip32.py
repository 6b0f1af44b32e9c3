"""BIP 32, test vectors 1 to 5."""

from tests.support.published import load, raises, tally
from wallet.base.crypto.hd import (
    ExtendedKey,
    ExtendedPublicKey,
    decode_extended_key,
    parse_path,
)
from wallet.base.errors import DecodeError

DATA = load("bip32.json")


def test_chains() -> None:
    outcomes = []
    for row in DATA["chains"]:
        key = ExtendedKey.from_seed(bytes.fromhex(row["seed"])).derive(parse_path(row["path"]))
        holds = key.encode() == row["private"] and key.neuter().encode() == row["public"]
        holds &= decode_extended_key(row["private"]) == key
        holds &= decode_extended_key(row["public"]) == key.neuter()
        outcomes.append((row["path"], holds))
    tally("BIP 32 chains", 17, outcomes)


def test_public_derivation() -> None:
    """Wherever the last step is not hardened, the public parent derives the same point."""
    outcomes = []
    for row in DATA["chains"]:
        path = parse_path(row["path"])
        if not path or path[-1] >= 1 << 31:
            continue
        parent = ExtendedKey.from_seed(bytes.fromhex(row["seed"])).derive(path[:-1]).neuter()
        outcomes.append((row["path"], parent.child(path[-1]).encode() == row["public"]))
    tally("BIP 32 public derivation", 6, outcomes)


def test_invalid_keys() -> None:
    tally(
        "BIP 32 invalid keys",
        16,
        ((why, raises(DecodeError, decode_extended_key, text)) for text, why in DATA["invalid"]),
    )


def test_kinds() -> None:
    row = DATA["chains"][0]
    assert isinstance(decode_extended_key(row["private"]), ExtendedKey)
    assert isinstance(decode_extended_key(row["public"]), ExtendedPublicKey)
