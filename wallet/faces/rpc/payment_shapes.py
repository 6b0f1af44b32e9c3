"""Invoices and payments as Core Lightning's JSON (v26.06). Nothing is decided here."""

from typing import Final

from bech32 import CHARSET

from wallet.base.bitcoin.chains import CHAINS
from wallet.base.bitcoin.script import Op, witness_program
from wallet.base.crypto.curve import to_der
from wallet.base.invoices.bolt11 import Invoice
from wallet.base.invoices.tagged import HintHop
from wallet.faces.rpc.shapes import Json, address_of, without_none
from wallet.machines.payments.records import InvoiceRecord, InvoiceStatus, Payment, PaymentStatus

_TO_BECH32: Final = str.maketrans("0123456789abcdefghijklmnopqrstuv", CHARSET)
"""Python's base-32 digits to those of bech32."""


def invoice(record: InvoiceRecord, now: int) -> Json:
    """An item of `listinvoices`."""
    shown = record.as_of(now)
    paid = shown.status is InvoiceStatus.PAID
    return without_none(
        {
            "label": shown.label,
            "bolt11": shown.bolt11,
            "payment_hash": shown.payment_hash.hex(),
            "amount_msat": shown.amount.msat if shown.amount else None,
            "status": shown.status.value,
            "pay_index": shown.pay_index,
            "amount_received_msat": shown.amount_received.msat if paid else None,
            "paid_at": shown.paid_at,
            "payment_preimage": shown.preimage.hex() if paid else None,
            "description": shown.description,
            "expires_at": shown.expires_at,
            "created_index": shown.created_index,
            "updated_index": shown.updated_index,
        }
    )


def payment(item: Payment) -> Json:
    """An item of `listpays`; a failed one has sent nothing, so it has no amount (as in CLN)."""
    complete = item.status is PaymentStatus.COMPLETE
    failed = item.status is PaymentStatus.FAILED
    return without_none(
        {
            "bolt11": item.bolt11,
            "destination": item.destination.hex(),
            "payment_hash": item.payment_hash.hex(),
            "status": item.status.value,
            "created_at": item.created_at,
            "completed_at": item.completed_at,
            "label": item.label,
            "description": item.description,
            "preimage": item.preimage.hex() if item.preimage and complete else None,
            "amount_msat": None if failed else item.amount.msat,
            "amount_sent_msat": item.amount_sent.msat,
            "created_index": item.created_index,
            "updated_index": item.updated_index,
        }
    )


def paid(item: Payment) -> Json:
    """The answer of `pay` for a complete payment."""
    return {
        "payment_preimage": item.preimage.hex() if item.preimage else "",
        "amount_msat": item.amount.msat,
        "amount_sent_msat": item.amount_sent.msat,
        "parts": len([p for p in item.parts if p.status is PaymentStatus.COMPLETE]),
        "destination": item.destination.hex(),
        "payment_hash": item.payment_hash.hex(),
        "status": item.status.value,
        "created_at": float(item.created_at),
    }


def decoded(found: Invoice) -> Json:
    """The answer of `decode` for a BOLT 11 invoice."""
    return without_none(
        {
            "type": "bolt11 invoice",
            "currency": found.prefix,
            "created_at": found.timestamp,
            "expiry": found.expiry,
            "payee": found.payee.hex(),
            "amount_msat": found.amount.msat if found.amount else None,
            "description": found.description,
            "description_hash": found.description_hash.hex() if found.description_hash else None,
            "min_final_cltv_expiry": found.min_final_cltv.blocks,
            "payment_secret": found.payment_secret.hex() if found.payment_secret else None,
            "features": found.features.to_bytes().hex() or None,
            "payment_metadata": found.metadata.hex() if found.metadata else None,
            "fallbacks": [_fallback(script, found.prefix) for script in found.fallbacks] or None,
            "routes": [[_hint(hop) for hop in route] for route in found.route_hints] or None,
            "extra": [_extra(tag, digits) for tag, digits in found.unknown] or None,
            "payment_hash": found.payment_hash.hex(),
            "signature": to_der(found.signature).hex(),
            "valid": True,
        }
    )


def _fallback(script: bytes, prefix: str) -> Json:
    addresses = (address_of(script, c) for c in CHAINS if c.invoice_prefix == prefix)
    return without_none(
        {"type": _script_kind(script), "addr": next(addresses, None), "hex": script.hex()}
    )


def _script_kind(script: bytes) -> str:
    match witness_program(script):
        case None:
            return "P2PKH" if script[:1] == bytes((Op.DUP,)) else "P2SH"
        case 0, program:
            return "P2WPKH" if len(program) == 20 else "P2WSH"
        case _:
            return "P2TR"


def _extra(tag: int, digits: bytes) -> Json:
    """A field that BOLT 11 does not define: its letter and its digits, as written in bech32."""
    return {"tag": CHARSET[tag], "data": digits.decode().translate(_TO_BECH32)}


def _hint(hop: HintHop) -> Json:
    return {
        "pubkey": hop.node_id.hex(),
        "short_channel_id": str(hop.short_channel_id),
        "fee_base_msat": hop.fee_base.msat,
        "fee_proportional_millionths": hop.fee_proportional_millionths,
        "cltv_expiry_delta": hop.cltv_expiry_delta.blocks,
    }
