"""One payment out and one in, fixed: what was pasted, and what the core says of it."""

from typing import Any, Final

from tests.faces.tui.fake_core import Refusal
from tests.faces.tui.scenes import NODES, NOW, at
from wallet.base.crypto.curve import point_of, sign_recoverable
from wallet.base.invoices.bolt11 import InvoiceFields, encode_invoice
from wallet.base.invoices.tagged import HintHop
from wallet.base.values.amounts import MilliSatoshi
from wallet.base.values.blocks import CltvDelta
from wallet.base.values.features import OUR_INVOICE
from wallet.base.values.ids import NodeId, PaymentHash, ShortChannelId

INVOICE: Final = "lnbcrt1500u1pgys8lu7cdxlpcmqu3wx"
HASH: Final = "9f2c" * 16
PROOF: Final = "6f1c" * 16


def decoded(**changed: Any) -> dict[str, Any]:
    """What `decode` says of `INVOICE`."""
    return {
        "type": "bolt11 invoice",
        "valid": True,
        "currency": "bcrt",
        "created_at": at("20 12:00"),
        "expiry": 3_600,
        "payee": NODES["dave"],
        "amount_msat": 150_000_000,
        "description": "Desk lamp, order 3312",
        "payment_hash": HASH,
        **changed,
    }


def answer(**changed: Any) -> dict[str, Any]:
    """What `pay` says when it has arrived."""
    return {
        "payment_preimage": PROOF,
        "amount_msat": 150_000_000,
        "amount_sent_msat": 150_212_000,
        "parts": 1,
        "status": "complete",
        **changed,
    }


def tries(payment_hash: str, sat: int) -> list[dict[str, Any]]:
    """`listsendpays` of a payment that arrived with its second part."""
    part = {"payment_hash": payment_hash, "amount_sent_msat": sat * 1000, "groupid": 1}
    proven = {"status": "complete", "payment_preimage": PROOF}
    return [{**part, "partid": 1, "status": "failed"}, {**part, "partid": 2, **proven}]


def sent_back(by: str, why: str) -> Refusal:
    """`waitsendpay` of a part that a node sent back."""
    refusal = Refusal(204, why)
    refusal.error["data"] = {"erring_node": NODES[by]}
    return refusal


def bolt11(hints: int = 1) -> str:
    """An invoice as a node makes it, with so many private channels as route hints."""
    fields = InvoiceFields(
        prefix="bcrt",
        timestamp=int(NOW.timestamp()),
        payment_hash=PaymentHash(b"\x9f\x2c" * 16),
        payment_secret=b"\x22" * 32,
        amount=MilliSatoshi(250_000_000),
        description="Desk lamp",
        min_final_cltv=CltvDelta(24),
        expiry=3_600,
        route_hints=tuple((_hop(number),) for number in range(1, hints + 1)),
        features=OUR_INVOICE,
    )
    return encode_invoice(fields, lambda digest: sign_recoverable(b"\x07" * 32, digest))


def _hop(number: int) -> HintHop:
    peer = NodeId(point_of(bytes([number]) * 32))
    return HintHop(peer, ShortChannelId(103, number, 0), MilliSatoshi(1_000), 50, CltvDelta(34))


def invoiced(**changed: Any) -> dict[str, Any]:
    """What `invoice` answers: one that has waited for 48 seconds."""
    return {
        "bolt11": bolt11(),
        "payment_hash": HASH,
        "expires_at": int(NOW.timestamp()) + 3_552,
        **changed,
    }
