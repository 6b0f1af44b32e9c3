"""Bitcoin Core's engine judges what a channel could broadcast: each commitment, each HTLC on it."""

from tests.support import kernel_engine
from wallet.base.bitcoin.script import p2wsh
from wallet.base.bitcoin.transaction import Transaction, TxOut
from wallet.base.channel_tx.scripts import funding_output
from wallet.base.crypto.hashes import sha256
from wallet.base.values.ids import PaymentHash, Preimage, Signature
from wallet.machines.channel.commitments import our_commitment
from wallet.machines.channel.state import Channel
from wallet.machines.channel.unilateral import broadcast_commitment
from wallet.machines.signing import HtlcKey, SignDigest, UnsignedTx
from wallet.services.ports import Signer

PREIMAGES: dict[PaymentHash, Preimage] = {}
"""Of every HTLC that a test has offered: what an HTLC-success transaction needs."""


def know(preimage: Preimage) -> PaymentHash:
    """The hash of a preimage, which the judge remembers."""
    payment_hash = PaymentHash(sha256(preimage))
    PREIMAGES[payment_hash] = preimage
    return payment_hash


def sign(signer: Signer, unsigned: UnsignedTx) -> Transaction:
    """The transaction with our signatures."""
    answers = signer.answer(unsigned.requests())
    return unsigned.finish([Signature(a) for a in answers if isinstance(a, bytes)])


def judge(channel: Channel, signer: Signer) -> None:
    """Our latest commitment and every HTLC transaction on it are valid, signatures included."""
    funding = channel.funding
    for action in broadcast_commitment(channel):
        signed = sign(signer, action.transaction)
        spent = TxOut(funding.amount, funding_output(funding.our_pubkey, funding.their_pubkey))
        kernel_engine.verify(signed, [spent], kind="commitment")
    commitment = our_commitment(channel, funding).commitment
    key = HtlcKey(channel.terms.keys_id, channel.our_points[0])
    for built, theirs in zip(commitment.htlcs, funding.htlc_signatures, strict=True):
        (ours,) = signer.answer([SignDigest(key, built.own_digest)])
        assert isinstance(ours, bytes)
        preimage = None if built.htlc.offered else PREIMAGES.get(built.htlc.payment_hash)
        if preimage is None and not built.htlc.offered:
            continue
        witness = built.witness(theirs, Signature(ours), preimage)
        spent = TxOut(built.htlc.amount.floor_to_sat(), p2wsh(built.script))
        kernel_engine.verify(built.tx.with_witness(0, witness), [spent], kind="htlc")
