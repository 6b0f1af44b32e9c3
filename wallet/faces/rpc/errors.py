"""The numbers an answer's `error.code` can carry: Core Lightning's (v26.06), then ours.

Scripts act on these, so a number never changes its meaning.  Ours live in the range that JSON-RPC
2.0 reserves for implementations (-32099 … -32000), where Core Lightning has none.  The command line
starts with this file: it imports nothing heavy.
"""

from enum import IntEnum


class Code(IntEnum):
    """Error codes by name."""

    INVALID_REQUEST = -32600
    METHOD_NOT_FOUND = -32601
    INVALID_PARAMS = -32602
    GENERIC = -1

    PAY_IN_PROGRESS = 200
    PAY_RHASH_ALREADY_USED = 201
    PAY_UNPARSEABLE_ONION = 202
    PAY_DESTINATION_PERM_FAIL = 203
    PAY_TRY_OTHER_ROUTE = 204
    PAY_ROUTE_NOT_FOUND = 205
    PAY_ROUTE_TOO_EXPENSIVE = 206
    PAY_INVOICE_EXPIRED = 207
    PAY_NO_SUCH_PAYMENT = 208
    PAY_UNSPECIFIED_ERROR = 209
    PAY_STOPPED_RETRYING = 210
    PAY_STATUS_UNEXPECTED = 211
    PAY_INVOICE_REQUEST_INVALID = 212
    PAY_INVOICE_PREAPPROVAL_DECLINED = 213
    PAY_KEYSEND_PREAPPROVAL_DECLINED = 214
    PAY_INSUFFICIENT_FUNDS = 215
    PAY_DESTINATION_CAPACITY = 220

    FUND_MAX_EXCEEDED = 300
    FUND_CANNOT_AFFORD = 301
    FUND_OUTPUT_IS_DUST = 302
    FUNDING_BROADCAST_FAIL = 303
    FUNDING_STILL_SYNCING = 304
    FUNDING_PEER_NOT_CONNECTED = 305
    FUNDING_UNKNOWN_PEER = 306
    FUNDING_NOTHING_TO_CANCEL = 307
    FUNDING_CANCEL_NOT_SAFE = 308
    FUNDING_PSBT_INVALID = 309
    FUNDING_V2_NOT_SUPPORTED = 310
    FUNDING_UNKNOWN_CHANNEL = 311
    FUNDING_STATE_INVALID = 312
    FUND_CANNOT_AFFORD_WITH_EMERGENCY = 313
    """Spending this would eat the reserve that pays for anchor channels' closings."""

    CONNECT_NO_KNOWN_ADDRESS = 400
    CONNECT_ALL_ADDRESSES_FAILED = 401
    CONNECT_DISCONNECTED_DURING = 402

    INVOICE_LABEL_ALREADY_EXISTS = 900
    INVOICE_PREIMAGE_ALREADY_EXISTS = 901
    INVOICE_HINTS_GAVE_NO_ROUTES = 902
    INVOICE_EXPIRED_DURING_WAIT = 903
    INVOICE_WAIT_TIMED_OUT = 904
    INVOICE_NOT_FOUND = 905
    INVOICE_STATUS_UNEXPECTED = 906
    INVOICE_OFFER_INACTIVE = 907
    INVOICE_NO_DESCRIPTION = 908

    SIGNMESSAGE_PUBKEY_NOT_FOUND = 1301

    WAIT_TIMEOUT = 2000

    LOCKED = -32001
    """The wallet is locked; `unlock` opens it."""
    WRONG_PASSWORD = -32002
    NOT_READY = -32003
    """The chain backend is down or the node still catches up; nothing was done."""
    NEEDS_CONFIRMATION = -32004
    """Over a limit, or a question that only a person may answer."""
