"""wallet/base/invoices/uri.py."""

import pytest

from wallet.base.errors import DecodeError
from wallet.base.invoices.uri import PaymentRequest, lightning_uri, parse_request
from wallet.base.values.amounts import Satoshi


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("lnbc1xyz", PaymentRequest(invoice="lnbc1xyz")),
        (" LNBC1XYZ\n", PaymentRequest(invoice="LNBC1XYZ")),
        ("lightning:lnbc1xyz", PaymentRequest(invoice="lnbc1xyz")),
        ("LIGHTNING:LNBC1XYZ", PaymentRequest(invoice="LNBC1XYZ")),
        ("lightning://lnbc1xyz?label=a", PaymentRequest(invoice="lnbc1xyz")),
        ("bcrt1qabc", PaymentRequest(address="bcrt1qabc")),
        ("bitcoin:bcrt1qabc", PaymentRequest(address="bcrt1qabc")),
        (
            "BITCOIN:bc1qabc?amount=20.3&label=Luke%20J&message=a+b&somethingyoudontknow=50",
            PaymentRequest(
                address="bc1qabc", amount=Satoshi(2_030_000_000), label="Luke J", message="a+b"
            ),
        ),
        (
            "bitcoin:bc1qabc?amount=0.00000001&lightning=LNBC1XYZ",
            PaymentRequest(invoice="LNBC1XYZ", address="bc1qabc", amount=Satoshi(1)),
        ),
        ("bitcoin:?lightning=lnbc1xyz", PaymentRequest(invoice="lnbc1xyz")),
    ],
)
def test_parse(text: str, wanted: PaymentRequest) -> None:
    assert parse_request(text) == wanted


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("  ", "empty"),
        ("lightning:", "nothing follows"),
        ("bitcoin:", "neither an address"),
        ("https://example.org/", "neither an invoice nor an address"),
        ("bitcoin:bc1qabc?req-somethingyoudontknow=50", "requires"),
        ("bitcoin:bc1qabc?amount=1e3", "not an amount"),
        ("bitcoin:bc1qabc?amount=-1", "not an amount"),
        ("bitcoin:bc1qabc?amount=0.000000001", "not an amount"),
        ("bitcoin:bc1qabc?amount=1&amount=2", "twice"),
    ],
)
def test_refused(text: str, reason: str) -> None:
    with pytest.raises(DecodeError, match=reason):
        parse_request(text)


def test_lightning_uri__round_trip() -> None:
    assert lightning_uri("lnbc1xyz") == "LIGHTNING:LNBC1XYZ"
    assert parse_request(lightning_uri("lnbc1xyz")).invoice == "LNBC1XYZ"
