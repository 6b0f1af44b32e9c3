"""BIP 340, test-vectors.csv."""

from tests.support.published import load, tally
from wallet.base.crypto.curve import point_of, sign_schnorr, verify_schnorr

ROWS = load("bip340.json")["rows"]


def test_verification() -> None:
    outcomes = []
    for row in ROWS:
        public_key, message, signature = (
            bytes.fromhex(row[name]) for name in ("public_key", "message", "signature")
        )
        outcomes.append(
            (row["comment"], verify_schnorr(public_key, message, signature) == row["valid"])
        )
    tally("BIP 340 verification", 19, outcomes)


def test_signing() -> None:
    """All rows with a secret key and a message of 32 bytes, the only length that Bitcoin signs."""
    outcomes = []
    for row in ROWS:
        message = bytes.fromhex(row["message"])
        if not row["secret"] or len(message) != 32:
            continue
        secret, aux = bytes.fromhex(row["secret"]), bytes.fromhex(row["aux"])
        holds = point_of(secret)[1:].hex() == row["public_key"]
        holds &= sign_schnorr(secret, message, aux).hex() == row["signature"]
        outcomes.append((row["signature"], holds))
    tally("BIP 340 signing", 4, outcomes)
