"""`leyden send WHAT [AMOUNT]`: pays anything payable, after a yes."""

import time
from pathlib import Path
from typing import Any, Final

from wallet.faces.cli.arguments import UsageError
from wallet.faces.cli.exit_codes import Exit
from wallet.faces.cli.verbs import once
from wallet.faces.cli.verbs.amount import sat
from wallet.faces.cli.verbs.desk import Desk
from wallet.faces.cli.verbs.limits import Ceilings, approve, read_ceilings
from wallet.faces.cli.verbs.paper import facts
from wallet.faces.cli.verbs.plans import ToInvoice, ToNode
from wallet.faces.cli.verbs.target import ADDRESS, NODE, Target, read_target
from wallet.faces.cli.verbs.to_chain import ToAddress
from wallet.faces.cli.verbs.words import Flags

FLAGS: Final[Flags] = {
    "--yes": False,
    "--dry-run": False,
    "--max-fee": True,
    "--label": True,
    "--idempotency-key": True,
    "--retry-for": True,
    "--wait": False,
    "--no-wait": False,
    "--feerate": True,
    "--from-file": True,
}
USAGE: Final = """\
leyden send WHAT [AMOUNT]

Pays an invoice, a lightning: or bitcoin: link, a node id (keysend) or an address on chain.
AMOUNT is in satoshi; msat, sat and btc may follow; `all` empties the wallet on chain. WHAT may be
- for standard input. On a terminal you see what is about to happen and type pay.

  --dry-run             show amount, fee limit and way, and pay nothing
  --max-fee LIMIT       1% or an amount; else 1 %, or 5 sat where that is more
  --yes                 no question; under max_amount and max_fee_percent of cli.toml
  --label TEXT          remember it under this name
  --idempotency-key K   pay once: a second call with the same key gives the first one's result
  --retry-for SECONDS   how long to look for a way (60)
  --wait, --no-wait     wait for the outcome, as is usual; or be back, with exit code 4, once it is
                        on its way
  --feerate RATE        of a transaction, as 1000perkw
  --from-file PATH      read WHAT from a file

Exit code 4: it is on its way and may still arrive. Do not repeat it: leyden wait ID."""

Plan = ToInvoice | ToNode | ToAddress


def run(desk: Desk) -> int:
    """Carry it out."""
    target = _target(desk)
    ceilings = read_ceilings(desk.options)
    key = desk.flags.get("--idempotency-key")
    if key is not None and "--label" in desk.flags:
        raise UsageError("the key becomes the label: give --idempotency-key or --label, not both")
    if {"--wait", "--no-wait"} <= desk.flags.keys():
        raise UsageError("--wait or --no-wait, not both")
    plan = _plan(desk, target, ceilings)
    if "--dry-run" in desk.flags:
        found = plan.preview()
        return desk.show(found, lambda: [*facts(plan.facts()), _way(found), "nothing was sent"])
    with once.alone(desk.rpc_file, key):
        if not isinstance(plan, ToAddress) and (before := once.before(desk, plan, key)):
            desk.note("# already paid; nothing was sent now")
            return desk.show(before, lambda: _told(before, None))
        approve(desk, "pay", "send", plan, ceilings)
        began = time.monotonic()
        done = plan.pay()
    took = time.monotonic() - began
    code = desk.show(done, lambda: _told(done, took))
    if done["type"] != "payment" or done["status"] != "pending":
        return code
    if not desk.human:
        desk.note(f"# on its way, do not repeat it: leyden wait {done['payment_hash']}")
    return Exit.OUTCOME_OPEN


def _target(desk: Desk) -> Target:
    path = desk.flags.get("--from-file")
    if path is not None:
        try:
            desk.words.insert(0, Path(path).read_text(encoding="utf-8").strip())
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{path} cannot be read: {error}") from None
    if not 1 <= len(desk.words) <= 2:
        raise UsageError("send needs WHAT, and perhaps AMOUNT")
    if desk.words[0] == "-":
        desk.words[0] = desk.stdin.read()
    return read_target(desk.words[0])


def _plan(desk: Desk, target: Target, ceilings: Ceilings) -> Plan:
    if target.kind == ADDRESS:
        return ToAddress(desk, target)
    if "--feerate" in desk.flags:
        raise UsageError("--feerate is for an address on chain; Lightning takes --max-fee")
    if target.address is not None:
        desk.note("# the link also names an address; the invoice is paid, the address is not")
    if target.kind == NODE:
        return ToNode(desk, target, ceilings)
    return ToInvoice(desk, target, ceilings)


def _way(found: dict[str, Any]) -> str:
    if found["type"] != "payment":
        return "the coins are chosen when it is sent"
    if "routes" not in found:
        return "no way to the payee is on our map; hints of an invoice are tried when it is sent"
    chance = found["probability_ppm"] / 10_000
    hops = max(len(route.get("path", ())) for route in found["routes"])
    words = "1 hop" if hops == 1 else f"{hops} hops"
    return f"a way of {words} costs {sat(found['fee_msat'])} sat, chance {chance:.0f} %"


def _told(done: dict[str, Any], took: float | None) -> list[str]:
    """The outcome: first where the money is."""
    amount = f"{sat(done['amount_msat'])} sat" if "amount_msat" in done else "all"
    after = "" if took is None else f" in {took:.1f} s"
    if done["type"] == "withdrawal":
        return [f"sent {amount} to the chain; it waits for a block", f"txid {done['txid']}"]
    if done["status"] == "pending":
        return [
            f"{amount} on its way: it may still arrive; do not repeat it",
            f"leyden wait {done['payment_hash']}",
        ]
    fee = f", fee {sat(done['fee_msat'])} sat" if "fee_msat" in done else ""
    lines = [f"paid {amount}{after}{fee}"]
    if "payment_preimage" in done:
        lines.append(f"proof {done['payment_preimage']}")
    if "payment_hash" in done:
        lines.append(f"leyden show {done['payment_hash'][:8]}")
    return lines
