"""BIP 143, examples: the digests of segwit version 0, CODESEPARATOR and FindAndDelete included."""

from tests.support.published import load, tally
from wallet.base.bitcoin.script import p2wpkh_code
from wallet.base.bitcoin.sighash import script_signature, segwit_v0
from wallet.base.bitcoin.transaction import Transaction
from wallet.base.crypto.curve import from_der, normalize, point_of, sign, verify
from wallet.base.values.amounts import Satoshi
from wallet.base.values.ids import Secret

DATA = load("bip143.json")


def test_digests() -> None:
    outcomes = []
    for row in DATA["digests"]:
        digest = segwit_v0(
            Transaction.decode(bytes.fromhex(row["transaction"])),
            row["input"],
            bytes.fromhex(row["script_code"]),
            Satoshi(row["amount_sat"]),
            row["hash_type"],
        )
        outcomes.append((row["sighash"], digest.hex() == row["sighash"]))
    tally("BIP 143 digests", 14, outcomes)


def test_signatures() -> None:
    outcomes = []
    for row in DATA["digests"]:
        published = bytes.fromhex(row["signature"])
        digest = bytes.fromhex(row["sighash"])
        signature = from_der(published[:-1])
        if row["secret"] is None:
            # Made before low S was asked for.
            holds = verify(bytes.fromhex(row["public_key"]), digest, normalize(signature))
        else:
            secret = Secret(bytes.fromhex(row["secret"]))
            made = sign(secret, digest)  # RFC 6979, as the authors used: the same bytes
            holds = verify(point_of(secret), digest, signature)
            holds &= script_signature(made, row["hash_type"]) == published
        outcomes.append((row["signature"], holds))
    tally("BIP 143 signatures", 14, outcomes)


def test_signed_transactions() -> None:
    outcomes = []
    for text in DATA["signed"]:
        tx = Transaction.decode(bytes.fromhex(text))
        outcomes.append((text, tx.encode().hex() == text and tx.wtxid != tx.txid))
    tally("BIP 143 signed transactions", 7, outcomes)


def test_script_code_of_a_key() -> None:
    # The first example: native P2WPKH.
    public_key = bytes.fromhex("025476c2e83188368da1ff3e292e7acafcdb3566bb0ad253f62fc70f07aeee6357")
    assert p2wpkh_code(public_key).hex() == DATA["digests"][0]["script_code"]
