"""The channel of BOLT 3's appendices: its keys, its HTLCs and three formats of commitment.

"local" of the appendices is the broadcaster and the opener.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, cast

from wallet.base.bitcoin.sighash import SigHash
from wallet.base.bitcoin.transaction import Transaction
from wallet.base.channel_tx.commitment import (
    Commitment,
    CommitmentSpec,
    CommitmentTerms,
    HtlcTransaction,
    funding_witness,
)
from wallet.base.channel_tx.fees import CommittedHtlc
from wallet.base.channel_tx.format import ANCHORS, CommitmentFormat
from wallet.base.channel_tx.keys import Basepoints, commitment_keys, derive_secret
from wallet.base.crypto.curve import point_of, sign
from wallet.base.crypto.hashes import sha256
from wallet.base.values.amounts import FeeratePerKw, MilliSatoshi, Satoshi
from wallet.base.values.blocks import CltvExpiry
from wallet.base.values.ids import OutPoint, PaymentHash, Point, Preimage, Secret, Txid

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


def sign_commitment(terms: CommitmentTerms, commitment: Commitment) -> Transaction:
    """Both funding keys sign."""
    witness = funding_witness(
        commitment.funding_script,
        sign(REMOTE_FUNDING_SECRET, commitment.digest),
        sign(LOCAL_FUNDING_SECRET, commitment.digest),
        (terms.countersigner_funding_pubkey, terms.broadcaster_funding_pubkey),
    )
    return commitment.tx.with_witness(0, witness)


def sign_htlc(built: HtlcTransaction) -> Transaction:
    """Both HTLC keys sign; HTLC-success with the preimage of the table."""
    witness = built.witness(
        sign(derive_secret(REMOTE_PAYMENT_SECRET, PER_COMMITMENT_POINT), built.digest),
        sign(derive_secret(LOCAL_PAYMENT_SECRET, PER_COMMITMENT_POINT), built.own_digest),
        preimage(built.htlc.id),
    )
    return built.tx.with_witness(0, witness)
