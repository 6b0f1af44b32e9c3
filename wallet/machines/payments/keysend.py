"""Payments that nobody asked for: the origin chose the preimage and sends it along (BLIP 3)."""

from typing import Final

from wallet.base.crypto.hashes import sha256
from wallet.base.onion.payload import FinalPayload
from wallet.base.values.ids import PaymentHash

TEXT: Final = 7_629_169
"""TLV type of a text that wallets put beside the preimage; odd, so nobody needs it."""
MAX_TEXT: Final = 600
"""Bytes of it that are kept: the description of an invoice holds little more."""


def is_genuine(final: FinalPayload, payment_hash: PaymentHash) -> bool:
    """Whether the preimage opens the HTLC, and the HTLC is the whole payment.

    With the preimage in every part, the nodes on the way could take parts of a set one by one.
    """
    preimage = final.keysend_preimage
    whole = final.total_msat == final.amt_to_forward
    return preimage is not None and whole and sha256(preimage) == payment_hash


def description(final: FinalPayload) -> str:
    """Core Lightning's words."""
    said = dict(final.unknown).get(TEXT, b"")[:MAX_TEXT].decode(errors="ignore")
    return f"keysend: {said}" if said else "keysend"
