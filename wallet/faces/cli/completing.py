"""`leyden __complete KIND…`: what could stand here, for a shell that completes. Quick and silent.

Each line is a word, a tab and what it is.  Without a daemon nothing is printed; the exit code is
always 0.  Words come from strangers, too, and a shell puts them on a line that is then run: only
what no shell would read as more than a word is ever printed.
"""

import re
import sys
from collections.abc import Callable, Iterable
from typing import Any, Final

from wallet.base.errors import WalletError
from wallet.base.values.text import safe_text
from wallet.faces.cli.arguments import Options, split_options
from wallet.faces.cli.exit_codes import Exit
from wallet.faces.cli.verbs.names import VERBS
from wallet.faces.rpc.client import call

Words = Iterable[tuple[str, str]]
"""Each word and what it is, a stranger's text."""
Ask = Callable[..., Any]

_PATIENCE: Final = 1.0
"""Seconds; who presses the key waits for no more than that."""
_MOST: Final = 200
_HARMLESS: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+/-]{0,199}", re.ASCII)


def _verbs(_ask: Ask) -> Words:
    return VERBS.items()


def _methods(ask: Ask) -> Words:
    for line in ask("help")["help"]:
        name, _, params = str(line["command"]).partition(" ")
        yield name, params


def _peers(ask: Ask) -> Words:
    for peer in ask("listpeers")["peers"][:_MOST]:
        yield str(peer["id"]), _alias(ask, str(peer["id"]))


def _aliases(ask: Ask) -> Words:
    return [(alias, peer) for peer, alias in _peers(ask) if alias]


def _channels(ask: Ask) -> Words:
    for channel in ask("listpeerchannels")["channels"][:_MOST]:
        peer = str(channel["peer_id"])
        name = str(channel.get("short_channel_id") or channel["channel_id"])
        state = str(channel["state"]).rpartition("_")[2].lower()
        yield name, f"{_alias(ask, peer) or peer[:8]} {state}"


def _labels(ask: Ask) -> Words:
    for invoice in ask("listinvoices")["invoices"][-_MOST:]:
        yield str(invoice["label"]), str(invoice["status"])


def _payments(ask: Ask) -> Words:
    for payment in ask("listpays")["pays"][-_MOST:]:
        said = payment.get("label") or payment.get("description") or ""
        yield str(payment["payment_hash"]), f"{payment['status']} {said}".strip()


def _alias(ask: Ask, node_id: str) -> str:
    nodes = ask("listnodes", id=node_id)["nodes"]
    return str(nodes[0].get("alias", "")) if nodes else ""


KINDS: Final[dict[str, Callable[[Ask], Words]]] = {
    "verbs": _verbs,
    "methods": _methods,
    "peers": _peers,
    "aliases": _aliases,
    "channels": _channels,
    "labels": _labels,
    "payments": _payments,
}
"""What can be asked for."""


def run(words: list[str], options: Options) -> int:
    """Print what could stand here; answers 0, whatever happens."""
    try:
        kinds = split_options(words, options)
        place = options.rpc_file
    except WalletError:
        return Exit.DONE

    def ask(method: str, **params: Any) -> Any:
        return call(place, method, params, timeout=_PATIENCE)

    for kind in kinds:
        try:
            for word, what in KINDS[kind](ask) if kind in KINDS else ():
                if _HARMLESS.fullmatch(word):
                    print(f"{word}\t{safe_text(what, 40)}")
        except (WalletError, LookupError, TypeError):
            continue
    sys.stdout.flush()
    return Exit.DONE
