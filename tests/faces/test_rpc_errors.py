"""Every error code by number and name, and what each kind of exception is answered with."""

import logging

import pytest

from wallet.base.errors import (
    DecodeError,
    InvariantBroken,
    PeerFault,
    Refused,
    ServiceFault,
    Severity,
)
from wallet.faces.rpc.errors import Code
from wallet.faces.rpc.faults import error_answer

# JSON-RPC 2.0 section 5.1, and Core Lightning v26.06 where a number is positive or -1.
CODES = {
    -32600: "INVALID_REQUEST",
    -32601: "METHOD_NOT_FOUND",
    -32602: "INVALID_PARAMS",
    -1: "GENERIC",
    200: "PAY_IN_PROGRESS",
    201: "PAY_RHASH_ALREADY_USED",
    202: "PAY_UNPARSEABLE_ONION",
    203: "PAY_DESTINATION_PERM_FAIL",
    204: "PAY_TRY_OTHER_ROUTE",
    205: "PAY_ROUTE_NOT_FOUND",
    206: "PAY_ROUTE_TOO_EXPENSIVE",
    207: "PAY_INVOICE_EXPIRED",
    208: "PAY_NO_SUCH_PAYMENT",
    209: "PAY_UNSPECIFIED_ERROR",
    210: "PAY_STOPPED_RETRYING",
    211: "PAY_STATUS_UNEXPECTED",
    212: "PAY_INVOICE_REQUEST_INVALID",
    213: "PAY_INVOICE_PREAPPROVAL_DECLINED",
    214: "PAY_KEYSEND_PREAPPROVAL_DECLINED",
    215: "PAY_INSUFFICIENT_FUNDS",
    220: "PAY_DESTINATION_CAPACITY",
    300: "FUND_MAX_EXCEEDED",
    301: "FUND_CANNOT_AFFORD",
    302: "FUND_OUTPUT_IS_DUST",
    303: "FUNDING_BROADCAST_FAIL",
    304: "FUNDING_STILL_SYNCING",
    305: "FUNDING_PEER_NOT_CONNECTED",
    306: "FUNDING_UNKNOWN_PEER",
    307: "FUNDING_NOTHING_TO_CANCEL",
    308: "FUNDING_CANCEL_NOT_SAFE",
    309: "FUNDING_PSBT_INVALID",
    310: "FUNDING_V2_NOT_SUPPORTED",
    311: "FUNDING_UNKNOWN_CHANNEL",
    312: "FUNDING_STATE_INVALID",
    313: "FUND_CANNOT_AFFORD_WITH_EMERGENCY",
    400: "CONNECT_NO_KNOWN_ADDRESS",
    401: "CONNECT_ALL_ADDRESSES_FAILED",
    402: "CONNECT_DISCONNECTED_DURING",
    900: "INVOICE_LABEL_ALREADY_EXISTS",
    901: "INVOICE_PREIMAGE_ALREADY_EXISTS",
    902: "INVOICE_HINTS_GAVE_NO_ROUTES",
    903: "INVOICE_EXPIRED_DURING_WAIT",
    904: "INVOICE_WAIT_TIMED_OUT",
    905: "INVOICE_NOT_FOUND",
    906: "INVOICE_STATUS_UNEXPECTED",
    907: "INVOICE_OFFER_INACTIVE",
    908: "INVOICE_NO_DESCRIPTION",
    1301: "SIGNMESSAGE_PUBKEY_NOT_FOUND",
    2000: "WAIT_TIMEOUT",
    -32001: "LOCKED",
    -32002: "WRONG_PASSWORD",
    -32003: "NOT_READY",
    -32004: "NEEDS_CONFIRMATION",
}


def test_codes__keep_their_numbers() -> None:
    assert {int(code): code.name for code in Code} == CODES


@pytest.mark.parametrize(
    ("fault", "code", "message"),
    [
        (Refused("no route", Code.PAY_ROUTE_NOT_FOUND), 205, "no route"),
        (Refused("no"), -1, "no"),
        (DecodeError("bad checksum"), -32602, "bad checksum"),
        (ServiceFault("the chain is down"), -32003, "the chain is down"),
        (InvariantBroken("sums differ"), -1, "refused to go on: sums differ"),
        (PeerFault(Severity.WARN, "x"), -1, "internal error (PeerFault); see the log"),
        (KeyError("secret"), -1, "internal error (KeyError); see the log"),
    ],
)
def test_error_answer(
    fault: Exception, code: int, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.CRITICAL + 1):
        assert error_answer(fault) == {"code": code, "message": message}
