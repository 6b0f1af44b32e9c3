"""`leyden wait ID`: until the outcome of a payment, or an invoice's, is known."""

import time
from typing import Any, Final

from wallet.faces.cli.exit_codes import Exit
from wallet.faces.cli.verbs.desk import Desk, Halt
from wallet.faces.cli.verbs.found import INVOICE, OTHER, find
from wallet.faces.cli.verbs.show import other_lines
from wallet.faces.cli.verbs.words import Flags
from wallet.faces.rpc.errors import Code

FLAGS: Final[Flags] = {}
USAGE: Final = """\
leyden wait ID [--timeout SECONDS]

Waits until a payment has arrived or failed, or an invoice is paid or expired. ID is as for show.
0: arrived, 1: failed, 5: --timeout passed. With three parameters it is the daemon's wait:
leyden wait SUBSYSTEM INDEXNAME NEXTVALUE."""


def run(desk: Desk) -> int:
    """Carry it out."""
    if len(desk.words) != 1 or (desk.options.values.get("style") or "=" in desk.words[0]):
        found = desk.ask_as_method()
        return desk.show(found, lambda: [f"{name}: {value}" for name, value in found.items()])
    kind, item = find(desk, desk.one_word("an ID"))
    if kind == OTHER:
        raise Halt(f"a {item['kind']} is not waited for: leyden show {desk.words[0][:70]}")
    label = item.get("label")
    if item["status"] in ("pending", "unpaid"):
        said = f"waiting for the {kind}; Ctrl-C ends the wait and nothing else"
        desk.progress("waiting", said, label=label, payment_hash=item["payment_hash"])
    done = desk.ask("waitinvoice", label=label) if kind == INVOICE else _outcome(desk, item)
    code = desk.show(done, lambda: other_lines({"type": kind, **done}))
    return code if done["status"] in ("complete", "paid") else Exit.REFUSED


def _outcome(desk: Desk, payment: dict[str, Any]) -> dict[str, Any]:
    """The payment once it is complete or has failed, however many parts it takes."""
    end = None if desk.timeout is None else time.monotonic() + desk.timeout
    while True:
        if end is not None:
            desk.timeout = max(end - time.monotonic(), 0.001)
        # The index is read before the payment, so that no change between the two is slept over.
        reached = desk.ask("wait", subsystem="sendpays", indexname="updated", nextvalue=0)
        pays = desk.ask("listpays", payment_hash=payment["payment_hash"])["pays"]
        if not pays:
            raise Halt("the payment is no longer listed", Code.PAY_NO_SUCH_PAYMENT)
        newest: dict[str, Any] = max(pays, key=lambda p: p.get("created_index", 0))
        if newest["status"] != "pending":
            return newest
        following = int(reached["updated"]) + 1
        desk.ask("wait", subsystem="sendpays", indexname="updated", nextvalue=following)
