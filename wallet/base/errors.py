"""Every error of the house on one page, split first by whose fault it is.

`PeerFault` leaves are raised by pure helpers; one place per machine turns them into actions by
severity.  `Refused` leaves are read by a person: each message says what is wrong and what would
make it possible.  `code` is the number that the RPC answers with (Core Lightning's, v26.06).
"""

from collections.abc import Mapping
from enum import IntEnum


class WalletError(Exception):
    """Root of everything this wallet raises on purpose."""


class DecodeError(WalletError):
    """Bytes or text do not parse. Nothing was applied."""


class Severity(IntEnum):
    """What a peer's fault costs it (LDK's idea, BOLT 1 `warning` and `error`)."""

    IGNORE = 0
    WARN = 1
    DISCONNECT = 2
    FAIL_CHANNEL = 3


class PeerFault(WalletError):
    """The peer broke a rule of the BOLTs."""

    def __init__(self, severity: Severity, reason: str) -> None:
        super().__init__(reason)
        self.severity = severity
        self.reason = reason


class Refused(WalletError):
    """Our own caller asked for something impossible now. Nothing was changed.

    `code` is Core Lightning's RPC error code; -32602 is JSON-RPC's "invalid params".  `data` is for
    scripts, where Core Lightning says more than a code.
    """

    def __init__(
        self, message: str, code: int = -1, data: Mapping[str, object] | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.data = data


class ServiceFault(WalletError):
    """The chain backend, the disk or the network failed; its owner retries."""


class InvariantBroken(WalletError):
    """Our own invariant does not hold: a bug. The channel it names is frozen.

    An exception and not `assert`, because `python -O` removes those.
    """


def ensure(condition: bool, message: str) -> None:
    """Raise `InvariantBroken` unless `condition` holds."""
    if not condition:
        raise InvariantBroken(message)
