"""A second, independent script interpreter (btclib), with the policy flags that Core relays by.

The kernel knows consensus only. A transaction that breaks LOW_S, MINIMALIF, NULLFAIL, CLEANSTACK
and their like is valid in a block but would never reach a miner.
"""

from collections.abc import Sequence

from btclib.exceptions import BTClibValueError
from btclib.script.engine import ALL_FLAGS, NO_FLAGS, ScriptFlag, verify_transaction
from btclib.tx.tx import Tx
from btclib.tx.tx_out import TxOut as PolicyTxOut

from wallet.base.bitcoin.transaction import Transaction, TxOut

POLICY = ~NO_FLAGS
"""Every rule that the engine knows; those of consensus alone are its default."""


class PolicyRefused(AssertionError):
    """The second engine refuses a transaction; the message is its reason."""


def verify_policy(tx: Transaction, prevouts: Sequence[TxOut]) -> None:
    """Raise `PolicyRefused` unless Core's script policy lets every input pass."""
    _verify(tx, prevouts, POLICY)


def verify_consensus(tx: Transaction, prevouts: Sequence[TxOut]) -> None:
    """Raise `PolicyRefused` unless consensus lets every input pass (a second opinion)."""
    _verify(tx, prevouts, ALL_FLAGS)


def _verify(tx: Transaction, prevouts: Sequence[TxOut], flags: ScriptFlag) -> None:
    spent = [PolicyTxOut.parse(out.encode()) for out in prevouts]
    try:
        verify_transaction(spent, Tx.parse(tx.encode()), flags)
    except BTClibValueError as refused:
        raise PolicyRefused(str(refused)) from refused
