"""Not twice: what was paid before under the same hash or the same key is not paid again."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from wallet.faces.cli.verbs.desk import Desk, Halt
from wallet.faces.cli.verbs.plans import ToInvoice, ToNode, result_of
from wallet.faces.rpc.errors import Code

_LOCK: Final = "send.lock"


@contextmanager
def alone(rpc_file: Path, key: str | None) -> Iterator[None]:
    """With a key, one `send` at a time beside this socket: two that look would both find nothing.

    Raises `Halt` where no lock can be held.
    """
    if key is None:
        yield
        return
    try:
        held = (rpc_file.parent / _LOCK).open("a")
    except OSError as error:
        raise Halt(f"no lock can be held beside {rpc_file}: {error.strerror}") from None
    with held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def before(desk: Desk, plan: ToInvoice | ToNode, key: str | None) -> dict[str, Any] | None:
    """The result of the same payment made before; None when there is none or it failed.

    Raises `Halt` while it is on its way (200), or when the key was another payment's.
    """
    found = []
    if isinstance(plan, ToInvoice):
        found = desk.ask("listpays", payment_hash=plan.payment_hash)["pays"]
    if key is not None:
        named = [p for p in desk.ask("listpays")["pays"] if p.get("label") == key]
        for payment in named:
            _require_same(plan, payment, key)
        found += named
    for payment in found:
        if payment["status"] == "complete":
            return result_of(payment)
        if payment["status"] == "pending":
            raise Halt(
                "this payment is already on its way and may still arrive; nothing was sent now:"
                f" leyden wait {payment['payment_hash']}",
                Code.PAY_IN_PROGRESS,
            )
    return None


def _require_same(plan: ToInvoice | ToNode, payment: dict[str, Any], key: str) -> None:
    same = payment.get("destination") == plan.payee
    if isinstance(plan, ToInvoice):
        same = same and payment["payment_hash"] == plan.payment_hash
    else:
        # What failed has no amount.
        same = same and payment.get("amount_msat", plan.amount_msat) == plan.amount_msat
    if not same:
        raise Halt(
            f"the key {key[:40]!r} was given to another payment, {payment['payment_hash'][:8]};"
            " nothing was sent",
        )
