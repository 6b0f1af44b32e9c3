"""Bitcoin Core's script interpreter as a judge for tests, with a tally that the run prints."""

from collections import Counter
from collections.abc import Sequence

from wallet.base.bitcoin.transaction import Transaction, TxOut
from wallet.services.regtest.engine import verify_scripts

VERIFIED: Counter[str] = Counter()
"""How many transactions of each kind ("commitment", "htlc", ...) the kernel has found valid."""


class ScriptRefused(AssertionError):
    """The kernel refuses an input."""

    def __init__(self, tx: Transaction, input_index: int) -> None:
        super().__init__(f"the kernel refuses input {input_index} of {tx.txid}")
        self.input_index = input_index


def verify(tx: Transaction, prevouts: Sequence[TxOut], kind: str = "other") -> None:
    """Raise `ScriptRefused` unless every input may spend its output, by consensus rules.

    `prevouts` are the spent outputs in the order of the inputs; `kind` names the tally.
    """
    bad_input = verify_scripts(tx, prevouts)
    if bad_input is not None:
        raise ScriptRefused(tx, bad_input)
    VERIFIED[kind] += 1


def tally() -> str | None:
    """One line for the end of the run; None if nothing was verified."""
    if not VERIFIED:
        return None
    others = sum(n for kind, n in VERIFIED.items() if kind not in ("commitment", "htlc"))
    line = (
        f"kernel verified {VERIFIED['commitment']} commitment and {VERIFIED['htlc']} HTLC "
        "transactions"
    )
    return f"{line} and {others} others" if others else line
