"""BOLT 11: decode with key recovery, and encode with signature.

`python -m tests.bench.bench_bolt11`.  LEYDEN_BENCH_PEERS names a Python with the PyPI package
`bolt11` (and bitstring 4); then it runs beside us, otherwise the ratio is against the recorded
figure.  The invoice has about 400 characters: amount, text, expiry, delta, hint, features.
"""

from tests.bench.bench_onion import median_ms, peers
from wallet.base.crypto.curve import point_of, recover, sign_recoverable
from wallet.base.invoices.bolt11 import (
    InvoiceFields,
    decode_invoice,
    encode_invoice,
    signing_digest,
)
from wallet.base.invoices.tagged import HintHop
from wallet.base.values.amounts import MilliSatoshi
from wallet.base.values.blocks import CltvDelta
from wallet.base.values.features import Features
from wallet.base.values.ids import NodeId, PaymentHash, ShortChannelId

# Milliseconds of bolt11 (median) on CPython 3.11.7, two shared cores, November 2026.
RECORDED_MS = {"bolt11 decode": 2.98, "bolt11 encode": 1.92}
MUST = {"bolt11 decode": 20.0, "bolt11 encode": 12.0}
KEY = bytes.fromhex("e126f68f7eafcc8b74f54d269fe206be715000f94dac067d1c04a8ca3b2db734")

FIELDS = InvoiceFields(
    prefix="bc",
    timestamp=1_700_000_000,
    amount=MilliSatoshi(250_000_000),
    payment_hash=PaymentHash(bytes(range(32))),
    payment_secret=b"\x11" * 32,
    description="one cup of coffee, beans roasted on the ship",
    expiry=604_800,
    min_final_cltv=CltvDelta(40),
    features=Features(frozenset({8, 14, 17})),
    route_hints=(
        (
            HintHop(
                NodeId(point_of(b"\x21" * 32)),
                ShortChannelId(700_000, 12, 1),
                MilliSatoshi(1000),
                100,
                CltvDelta(40),
            ),
        ),
    ),
)

PEER = """
import statistics, timeit, bolt11
text = "TEXT"
key = "KEY"
invoice = bolt11.decode(text)
def median(work, number):
    return statistics.median(timeit.repeat(work, number=number, repeat=7)) / number * 1e3
print("bolt11 decode", median(lambda: bolt11.decode(text), 20))
print("bolt11 encode", median(lambda: bolt11.encode(invoice, key), 20))
"""


def main() -> None:
    """Print `name  value unit  ratio`."""
    text = encode_invoice(FIELDS, lambda digest: sign_recoverable(KEY, digest))
    invoice = decode_invoice(text)
    digest = signing_digest(invoice)
    bounds = {
        "bolt11 decode": median_ms(
            lambda: recover(invoice.signature, invoice.recovery_id, digest), 500
        ),
        "bolt11 encode": median_ms(lambda: sign_recoverable(KEY, digest), 500),
    }
    ours = {
        "bolt11 decode": median_ms(lambda: decode_invoice(text), 500),
        "bolt11 encode": median_ms(
            lambda: encode_invoice(FIELDS, lambda digest: sign_recoverable(KEY, digest)), 500
        ),
    }
    theirs, how = peers(PEER.replace("TEXT", text).replace("KEY", KEY.hex()), RECORDED_MS)
    for name, value in ours.items():
        print(
            f"{name:<18} {value:8.4f} ms  {theirs[name] / value:6.1f}x bolt11 {theirs[name]:.3f} ms"
            f" ({how}), must {MUST[name]}x, {bounds[name] / value:.0%} of the curve bound,"
            f" {len(text)} characters"
        )


if __name__ == "__main__":
    main()
