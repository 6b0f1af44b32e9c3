"""A payer and a payee without a channel between them: invoices, HTLCs and answers as values."""

from dataclasses import replace

from wallet.base.bitcoin.chains import REGTEST
from wallet.base.crypto.curve import ecdh, point_of, sign_recoverable
from wallet.base.invoices.bolt11 import decode_invoice, encode_invoice
from wallet.base.onion.packet import OnionPacket, create_packet
from wallet.base.onion.payload import Payload, PaymentData
from wallet.base.values.amounts import FeeratePerKw, MilliSatoshi
from wallet.base.values.blocks import BlockHeight, CltvDelta, CltvExpiry
from wallet.base.values.ids import ChannelId, NodeId, Preimage, Secret, ShortChannelId
from wallet.machines.channel.events import OfferHtlc
from wallet.machines.payments import incoming, outgoing, requests
from wallet.machines.payments.parts import HeldSet
from wallet.machines.payments.records import InvoiceRecord, Payment
from wallet.machines.step import Context

PAYER = NodeId(point_of(b"\x41" * 32))
PAYEE_KEY = b"\x42" * 32
PAYEE = NodeId(point_of(PAYEE_KEY))
STRANGER = NodeId(point_of(b"\x43" * 32))
SESSION = Secret(b"\x44" * 32)
PREIMAGE = Preimage(b"\x45" * 32)
PAYMENT_SECRET = b"\x46" * 32
CHANNEL = ChannelId(b"\x47" * 32)
OTHER_CHANNEL = ChannelId(b"\x48" * 32)
SCID = ShortChannelId(103, 1, 0)
AMOUNT = MilliSatoshi(50_000)
NOW = 1_700_000_000
HEIGHT = BlockHeight(1_000)
CTX = Context(HEIGHT, FeeratePerKw(1_000), NOW, bytes(32))
EXPIRY = HEIGHT + CltvDelta(27)


def later(*, seconds: int = 0, blocks: int = 0) -> Context:
    """The context after time has passed."""
    return replace(CTX, now=NOW + seconds, height=BlockHeight(HEIGHT.height + blocks))


def invoiced(
    amount: MilliSatoshi | None = AMOUNT, *, min_final_cltv: int = 24, description: str = "coffee"
) -> InvoiceRecord:
    """The payee's invoice, signed and unpaid."""
    request = incoming.InvoiceRequest(
        label="one",
        amount=amount,
        description=description,
        expiry_seconds=3_600,
        min_final_cltv=CltvDelta(min_final_cltv),
    )
    fields = incoming.make_invoice(
        request, chain=REGTEST, preimage=PREIMAGE, payment_secret=PAYMENT_SECRET, now=NOW
    )
    text = encode_invoice(fields, lambda digest: sign_recoverable(PAYEE_KEY, digest))
    return incoming.record(request, fields, text, preimage=PREIMAGE, created_index=1)


def asked(
    invoice: InvoiceRecord, amount: MilliSatoshi | None = None, description: str | None = None
) -> requests.PayRequest:
    """What the payer asks for."""
    return requests.PayRequest(
        invoice=decode_invoice(invoice.bolt11, REGTEST),
        bolt11=invoice.bolt11,
        max_fee=MilliSatoshi(5_000),
        amount=amount,
        label="my coffee",
        description=description,
    )


def begun(invoice: InvoiceRecord | None = None, amount: MilliSatoshi | None = None) -> Payment:
    """A payment without any try."""
    return requests.start(
        asked(invoice or invoiced(), amount),
        ctx=CTX,
        our_id=PAYER,
        created_index=1,
    )


def room(channel_id: ChannelId = CHANNEL, spendable: int = 1_000_000) -> outgoing.Candidate:
    """A channel with the payee."""
    return outgoing.Candidate(channel_id, PAYEE, MilliSatoshi(spendable))


def tried(
    payment: Payment | None = None, channel_id: ChannelId = CHANNEL, htlc_id: int = 7
) -> tuple[Payment, OfferHtlc]:
    """A payment whose last part is out, and the HTLC that carries it."""
    payment = payment or begun()
    hops = outgoing.straight(payment, SCID, PAYER, CTX)
    payment, offer = outgoing.attempt(payment, channel_id, hops, SESSION, CTX)
    return outgoing.offered(payment, payment.parts[-1].partid, htlc_id), offer


def arrived(offer: OfferHtlc, htlc_id: int = 7) -> incoming.IncomingHtlc:
    """The HTLC as the payee sees it."""
    return incoming.IncomingHtlc(
        CHANNEL, htlc_id, offer.amount, offer.payment_hash, offer.cltv_expiry, offer.onion
    )


def final_payload(
    amount: MilliSatoshi = AMOUNT,
    total: MilliSatoshi | None = None,
    expiry: CltvExpiry = EXPIRY,
    secret: bytes = PAYMENT_SECRET,
) -> Payload:
    """What a payer tells the payee."""
    return Payload(
        amt_to_forward=amount,
        outgoing_cltv_value=expiry,
        payment_data=PaymentData(secret, amount if total is None else total),
    )


def sent(
    payload: Payload | bytes,
    *,
    amount: MilliSatoshi = AMOUNT,
    expiry: CltvExpiry = EXPIRY,
    behind: NodeId | None = None,
) -> incoming.IncomingHtlc:
    """An HTLC whose onion holds `payload` for the payee, and another hop if `behind` is given."""
    encoded = payload if isinstance(payload, bytes) else payload.encode()
    hops = [(PAYEE, encoded)]
    if behind is not None:
        hops.append((behind, final_payload().encode()))
    payment_hash = invoiced().payment_hash
    packet, _ = create_packet(SESSION, hops, payment_hash)
    return incoming.IncomingHtlc(CHANNEL, 7, amount, payment_hash, expiry, packet.encode())


def answered(
    htlc: incoming.IncomingHtlc,
    invoice: InvoiceRecord | None,
    ctx: Context = CTX,
    held: HeldSet | None = None,
) -> incoming.Answer:
    """What the payee does, with the ECDH that its signer would make."""
    point = incoming.ephemeral_point(htlc)
    if isinstance(point, incoming.FailMalformed):
        return point
    return incoming.answer(htlc, ecdh(point, PAYEE_KEY), invoice, ctx, 5, held)


def spoiled(htlc: incoming.IncomingHtlc, at: int, value: int) -> incoming.IncomingHtlc:
    """The HTLC with one byte of its onion replaced."""
    onion = bytearray(htlc.onion)
    onion[at] = value
    return replace(htlc, onion=bytes(onion))


def shared_secret_of(htlc: incoming.IncomingHtlc) -> bytes:
    """The payee's ECDH."""
    return ecdh(OnionPacket.decode(htlc.onion).public_key, PAYEE_KEY)
