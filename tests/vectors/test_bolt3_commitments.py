"""Signed commitment and HTLC transactions, byte for byte.

Sources: BOLT 3 appendix F (anchors) and appendix C (static remote key); LND's table of anchors
whose HTLC transactions still pay a fee.  Only `ANCHORS` is a format of this wallet; the other two
are values written here, which shows that a new format needs no new code.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, cast

import pytest

from wallet.base.bitcoin.script import p2wsh
from wallet.base.bitcoin.sighash import SigHash
from wallet.base.bitcoin.transaction import Transaction
from wallet.base.channel_tx.commitment import (
    CommitmentSpec,
    CommitmentTerms,
    build_commitment,
    commitment_number_of,
    funding_witness,
)
from wallet.base.channel_tx.fees import CommittedHtlc
from wallet.base.channel_tx.format import ANCHORS, CommitmentFormat
from wallet.base.channel_tx.keys import Basepoints, commitment_keys, derive_secret
from wallet.base.channel_tx.scripts import funding_output, funding_script
from wallet.base.crypto.curve import from_der, point_of, sign, verify
from wallet.base.crypto.hashes import sha256
from wallet.base.values.amounts import FeeratePerKw, MilliSatoshi, Satoshi
from wallet.base.values.blocks import CltvExpiry
from wallet.base.values.ids import OutPoint, PaymentHash, Point, Preimage, Secret, Signature, Txid

Vector = dict[str, Any]

ANCHORS_WITH_HTLC_FEES: Final = replace(
    ANCHORS,
    name="anchor_outputs",
    htlc_fee_timeout_weight=ANCHORS.htlc_timeout_weight,
    htlc_fee_success_weight=ANCHORS.htlc_success_weight,
)
STATIC_REMOTEKEY: Final = CommitmentFormat(
    name="static_remotekey",
    commitment_weight=724,
    htlc_output_weight=172,
    htlc_timeout_weight=663,
    htlc_success_weight=703,
    htlc_fee_timeout_weight=663,
    htlc_fee_success_weight=703,
    anchor_amount=Satoshi(0),
    settled_delay=0,
    htlc_sighash=SigHash.ALL,
    max_accepted_htlcs=483,
)

# BOLT 3, appendix C. "local" is the broadcaster and the opener.
LOCAL_FUNDING_SECRET: Final = Secret(
    bytes.fromhex("30ff4956bbdd3222d44cc5e8a1261dab1e07957bdac5ae88fe3261ef321f3749")
)
REMOTE_FUNDING_SECRET: Final = Secret(
    bytes.fromhex("1552dfba4f6cf29a62a0af13c8d6981d36d0ef8d61ba10fb0fe90da7634d7e13")
)
LOCAL_PAYMENT_SECRET: Final = Secret(b"\x11" * 32)
REMOTE_REVOCATION_SECRET: Final = Secret(b"\x22" * 32)
LOCAL_DELAYED_SECRET: Final = Secret(b"\x33" * 32)
REMOTE_PAYMENT_SECRET: Final = Secret(b"\x44" * 32)
PER_COMMITMENT_SECRET: Final = Secret(bytes(range(31, -1, -1)))
PER_COMMITMENT_POINT: Final = point_of(PER_COMMITMENT_SECRET)

UNUSED: Final = Point(b"")
LOCAL: Final = Basepoints(
    revocation=UNUSED,
    payment=point_of(LOCAL_PAYMENT_SECRET),
    delayed_payment=point_of(LOCAL_DELAYED_SECRET),
    htlc=point_of(LOCAL_PAYMENT_SECRET),
)
REMOTE: Final = Basepoints(
    revocation=point_of(REMOTE_REVOCATION_SECRET),
    payment=point_of(REMOTE_PAYMENT_SECRET),
    delayed_payment=UNUSED,
    htlc=point_of(REMOTE_PAYMENT_SECRET),
)
KEYS: Final = commitment_keys(LOCAL, REMOTE, PER_COMMITMENT_POINT)
FUNDING_TXID: Final = "8984484a580b825b9972d7adb15050b3ab624ccd731946b3eeddb92f4e7ef6be"
COMMITMENT_NUMBER: Final = 42
# (offered by local, amount_msat, cltv_expiry, byte that fills the preimage)
HTLCS: Final = (
    (False, 1_000_000, 500, 0),
    (False, 2_000_000, 501, 1),
    (True, 2_000_000, 502, 2),
    (True, 3_000_000, 503, 3),
    (False, 4_000_000, 504, 4),
    (True, 5_000_000, 506, 5),
    (True, 5_000_001, 505, 5),
)


def load(name: str) -> list[Vector]:
    path = Path(__file__).parents[1] / "data" / f"{name}.json"
    return cast(list[Vector], json.loads(path.read_text())["vectors"])


VECTORS: Final = [
    (commitment_format, vector)
    for commitment_format, name in (
        (ANCHORS, "bolt3_anchors"),
        (ANCHORS_WITH_HTLC_FEES, "bolt3_anchors_with_htlc_fees"),
        (STATIC_REMOTEKEY, "bolt3_static_remotekey"),
    )
    for vector in load(name)
]


def htlc(index: int) -> CommittedHtlc:
    offered, amount_msat, expiry, filler = HTLCS[index]
    payment_hash = PaymentHash(sha256(bytes([filler]) * 32))
    return CommittedHtlc(
        index, offered, MilliSatoshi(amount_msat), payment_hash, CltvExpiry(expiry)
    )


def preimage(index: int) -> Preimage | None:
    offered, _, _, filler = HTLCS[index]
    return None if offered else Preimage(bytes([filler]) * 32)


def terms(commitment_format: CommitmentFormat, dust_limit: int) -> CommitmentTerms:
    return CommitmentTerms(
        format=commitment_format,
        funding=OutPoint(Txid.from_display(FUNDING_TXID), 0),
        funding_amount=Satoshi(10_000_000),
        broadcaster_funding_pubkey=point_of(LOCAL_FUNDING_SECRET),
        countersigner_funding_pubkey=point_of(REMOTE_FUNDING_SECRET),
        opener_payment_basepoint=LOCAL.payment,
        accepter_payment_basepoint=REMOTE.payment,
        broadcaster_is_opener=True,
        dust_limit=Satoshi(dust_limit),
        to_self_delay=144,
    )


def spec(vector: Vector) -> CommitmentSpec:
    return CommitmentSpec(
        number=COMMITMENT_NUMBER,
        feerate=FeeratePerKw(vector["feerate_per_kw"]),
        to_broadcaster=MilliSatoshi(vector["to_local_msat"]),
        to_countersigner=MilliSatoshi(vector["to_remote_msat"]),
        htlcs=tuple(htlc(index) for index in vector["htlcs"]),
    )


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

    remote_signature = sign(REMOTE_FUNDING_SECRET, commitment.digest)
    assert remote_signature == from_der(bytes.fromhex(vector["remote_signature"]))
    witness = funding_witness(
        commitment.funding_script,
        remote_signature,
        sign(LOCAL_FUNDING_SECRET, commitment.digest),
        (conditions.countersigner_funding_pubkey, conditions.broadcaster_funding_pubkey),
    )
    signed = commitment.tx.with_witness(0, witness)
    assert signed.encode().hex() == vector["commitment_tx"]
    assert Transaction.decode(signed.encode()) == signed
    assert commitment_number_of(signed, LOCAL.payment, REMOTE.payment) == COMMITMENT_NUMBER

    assert len(commitment.htlcs) == len(vector["htlc_txs"])
    local_htlc_secret = derive_secret(LOCAL_PAYMENT_SECRET, PER_COMMITMENT_POINT)
    for built, (their_signature, expected) in zip(
        commitment.htlcs, vector["htlc_txs"], strict=True
    ):
        theirs = Signature(from_der(bytes.fromhex(their_signature)))
        assert verify(KEYS.countersigner_htlc_pubkey, built.digest, theirs)
        assert theirs == sign(
            derive_secret(REMOTE_PAYMENT_SECRET, PER_COMMITMENT_POINT), built.digest
        )
        ours = sign(local_htlc_secret, built.own_digest)
        htlc_witness = built.witness(theirs, ours, preimage(built.htlc.id))
        assert built.tx.with_witness(0, htlc_witness).encode().hex() == expected
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
