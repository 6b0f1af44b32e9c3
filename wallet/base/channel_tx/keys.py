"""BOLT 3 "Keys": from basepoints and a per-commitment point to the keys of one commitment.

Point arithmetic is what a payment costs most, so `commitment_keys` does each operation once (three
additions, two multiplications, one sum) and nothing else in this room does any.
"""

from dataclasses import dataclass

from wallet.base.crypto.curve import (
    add_points,
    add_secrets,
    multiply,
    multiply_secrets,
    point_of,
    tweak_point,
)
from wallet.base.crypto.hashes import sha256
from wallet.base.values.ids import Point, Secret


@dataclass(frozen=True, slots=True)
class Basepoints:
    """One side's four basepoints, as in `open_channel` and `accept_channel` (BOLT 2)."""

    revocation: Point
    payment: Point
    delayed_payment: Point
    htlc: Point


@dataclass(frozen=True, slots=True)
class CommitmentKeys:
    """Every key that the scripts of one commitment transaction contain.

    BOLT 3's "local" is the broadcaster here and "remote" the countersigner: `local_delayedpubkey`
    is `broadcaster_delayed_pubkey`, `remotepubkey` is `countersigner_payment_pubkey`.
    """

    per_commitment_point: Point
    broadcaster_delayed_pubkey: Point
    broadcaster_htlc_pubkey: Point
    countersigner_htlc_pubkey: Point
    countersigner_payment_pubkey: Point
    revocation_pubkey: Point


def derive_pubkey(basepoint: Point, per_commitment_point: Point) -> Point:
    """BOLT 3: `basepoint + SHA256(per_commitment_point || basepoint) * G`.

    Raises `DecodeError` when an argument is not a point.
    """
    return tweak_point(basepoint, sha256(per_commitment_point + basepoint))


def derive_secret(
    base_secret: Secret, per_commitment_point: Point, basepoint: Point | None = None
) -> Secret:
    """The secret of `derive_pubkey(base_secret * G, per_commitment_point)`.

    A caller who keeps `basepoint = base_secret * G` saves its multiplication.
    """
    basepoint = basepoint or point_of(base_secret)
    return add_secrets(base_secret, sha256(per_commitment_point + basepoint))


def derive_revocation_pubkey(revocation_basepoint: Point, per_commitment_point: Point) -> Point:
    """BOLT 3 `revocationpubkey`: nobody knows its secret until the commitment is revoked.

    The basepoint is the countersigner's, the per-commitment point the broadcaster's.
    Raises `DecodeError` when an argument is not a point.
    """
    return add_points(
        (
            multiply(revocation_basepoint, sha256(revocation_basepoint + per_commitment_point)),
            multiply(per_commitment_point, sha256(per_commitment_point + revocation_basepoint)),
        )
    )


def derive_revocation_secret(
    revocation_base_secret: Secret, per_commitment_secret: Secret
) -> Secret:
    """The secret of `derive_revocation_pubkey`: what punishes a revoked commitment."""
    basepoint = point_of(revocation_base_secret)
    per_commitment_point = point_of(per_commitment_secret)
    return add_secrets(
        multiply_secrets(revocation_base_secret, sha256(basepoint + per_commitment_point)),
        multiply_secrets(per_commitment_secret, sha256(per_commitment_point + basepoint)),
    )


def commitment_keys(
    broadcaster: Basepoints, countersigner: Basepoints, per_commitment_point: Point
) -> CommitmentKeys:
    """The keys of the broadcaster's commitment at its `per_commitment_point`.

    Raises `DecodeError` when an argument is not a point.
    """
    return CommitmentKeys(
        per_commitment_point=per_commitment_point,
        broadcaster_delayed_pubkey=derive_pubkey(broadcaster.delayed_payment, per_commitment_point),
        broadcaster_htlc_pubkey=derive_pubkey(broadcaster.htlc, per_commitment_point),
        countersigner_htlc_pubkey=derive_pubkey(countersigner.htlc, per_commitment_point),
        # BOLT 3: `remotepubkey` is simply the remote node's `payment_basepoint`.
        countersigner_payment_pubkey=countersigner.payment,
        revocation_pubkey=derive_revocation_pubkey(countersigner.revocation, per_commitment_point),
    )
