"""Signed commitment and HTLC transactions, byte for byte.

Sources: BOLT 3 appendix F (anchors) and appendix C (static remote key); LND's table of anchors
whose HTLC transactions still pay a fee.  Only `ANCHORS` is a format of this wallet; the other two
are values of the tests, which shows that a new format needs no new code.
"""

import pytest

from tests.support.bolt3 import (
    ANCHORS_WITH_HTLC_FEES,
    COMMITMENT_NUMBER,
    FUNDING_TXID,
    KEYS,
    LOCAL,
    LOCAL_FUNDING_SECRET,
    REMOTE,
    REMOTE_FUNDING_SECRET,
    STATIC_REMOTEKEY,
    VECTORS,
    Vector,
    sign_commitment,
    sign_htlc,
    spec,
    terms,
)
from wallet.base.bitcoin.script import p2wsh
from wallet.base.bitcoin.transaction import Transaction
from wallet.base.channel_tx.commitment import build_commitment, commitment_number_of
from wallet.base.channel_tx.format import ANCHORS, CommitmentFormat
from wallet.base.channel_tx.scripts import funding_output, funding_script
from wallet.base.crypto.curve import from_der, point_of, verify


def test_every_published_vector_is_here() -> None:
    counts = [
        sum(1 for f, _ in VECTORS if f is commitment_format)
        for commitment_format in (ANCHORS, ANCHORS_WITH_HTLC_FEES, STATIC_REMOTEKEY)
    ]
    htlc_transactions = sum(len(vector["htlc_txs"]) for _, vector in VECTORS)
    print(
        f"BOLT 3 commitments {len(VECTORS)}/{len(VECTORS)}, HTLC transactions {htlc_transactions}"
    )
    assert counts == [9, 14, 16]
    assert htlc_transactions == 76


@pytest.mark.parametrize(
    ("commitment_format", "vector"),
    VECTORS,
    ids=[f"{f.name}-{v['name']} at {v['feerate_per_kw']}" for f, v in VECTORS],
)
def test_signed_transactions(commitment_format: CommitmentFormat, vector: Vector) -> None:
    conditions = terms(commitment_format, vector["dust_limit"])
    commitment = build_commitment(conditions, KEYS, spec(vector))
    signed = sign_commitment(conditions, commitment)
    theirs = from_der(bytes.fromhex(vector["remote_signature"]))
    assert verify(conditions.countersigner_funding_pubkey, commitment.digest, theirs)
    assert signed.encode().hex() == vector["commitment_tx"]
    assert Transaction.decode(signed.encode()) == signed
    assert commitment_number_of(signed, LOCAL.payment, REMOTE.payment) == COMMITMENT_NUMBER

    assert len(commitment.htlcs) == len(vector["htlc_txs"])
    for built, (signature, expected) in zip(commitment.htlcs, vector["htlc_txs"], strict=True):
        theirs = from_der(bytes.fromhex(signature))
        assert verify(KEYS.countersigner_htlc_pubkey, built.digest, theirs)
        assert sign_htlc(built).encode().hex() == expected
        output = commitment.tx.outputs[built.output_index]
        assert output.script_pubkey == p2wsh(built.script)


def test_keys_of_appendix_c() -> None:
    published = {
        KEYS.broadcaster_htlc_pubkey: (
            "030d417a46946384f88d5f3337267c5e579765875dc4daca813e21734b140639e7"
        ),
        KEYS.countersigner_htlc_pubkey: (
            "0394854aa6eab5b2a8122cc726e9dded053a2184d88256816826d6231c068d4a5b"
        ),
        KEYS.broadcaster_delayed_pubkey: (
            "03fd5960528dc152014952efdb702a88f71e3c1653b2314431701ec77e57fde83c"
        ),
        KEYS.revocation_pubkey: (
            "0212a140cd0c6539d07cd08dfe09984dec3251ea808b892efeac3ede9402bf2b19"
        ),
        KEYS.countersigner_payment_pubkey: (
            "032c0b7cf95324a07d05398b240174dc0c2be444d96b159aa6c7f7b1e668680991"
        ),
    }
    matching = sum(key.hex() == expected for key, expected in published.items())
    print(f"BOLT 3 appendix C keys {matching}/{len(published)}")
    assert matching == len(published) == 5


def test_funding_output_of_appendix_b() -> None:
    one, other = point_of(LOCAL_FUNDING_SECRET), point_of(REMOTE_FUNDING_SECRET)
    script = (
        "5221023da092f6980e58d2c037173180e9a465476026ee50f96695963e8efe436f54eb"
        "21030e9f7b623d2ccc7c9bd44d66d5ce21ce504c0acf6385a132cec6d3c39fa711c152ae"
    )
    assert funding_script(one, other).hex() == funding_script(other, one).hex() == script
    funding_tx = Transaction.decode(
        bytes.fromhex(
            "0200000001adbb20ea41a8423ea937e76e8151636bf6093b70eaff942930d20576600521fd000000006b48"
            "304502210090587b6201e166ad6af0227d3036a9454223d49a1f11839c1a362184340ef0240220577f7cd5"
            "cca78719405cbf1de7414ac027f0239ef6e214c90fcaab0454d84b3b012103535b32d5eb0a6ed0982a0479"
            "bbadc9868d9836f6ba94dd5a63be16d875069184ffffffff028096980000000000220020c015c4a6be010e"
            "21657068fc2e6a9d02b27ebe4d490a25846f7237f104d1a3cd20256d29010000001600143ca33c2e4446f4"
            "a305f23c80df8ad1afdcf652f900000000"
        )
    )
    assert str(funding_tx.txid) == FUNDING_TXID
    assert funding_tx.outputs[0].script_pubkey == funding_output(one, other)
    print("BOLT 3 appendix B 1/1")
