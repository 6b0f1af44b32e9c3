"""What a method takes, told without a daemon: `leyden METHOD --help`, `leyden help`."""

from collections.abc import Iterable
from typing import Any

from wallet.faces.rpc.methods import METHODS
from wallet.faces.rpc.table import Method, MethodTable


def page(name: str) -> str | None:
    """A method's page for a person; None when there is no such method."""
    found = next((m for m in _table() if m.name == name), None)
    if found is None:
        return None
    lines = [f"leyden {found.usage}".rstrip()]
    if found.summary:
        lines += ["", f"  {found.summary}"]
    required = [p.name for p in found.params if p.required]
    optional = [p.name for p in found.params if not p.required]
    lines += _listed("needed: ", required) + _listed("if you like: ", optional)
    if found.params:
        lines += [
            "",
            "In this order, or each as name=value. A bare amount counts msat where the name",
        ]
        lines += ["ends in _msat, else sat; amount_msat=5000sat works as well."]
    return "\n".join(lines)


def overview(name: str | None) -> dict[str, Any] | None:
    """What `help` would answer, for one method or all; None when there is no such method."""
    methods = [m for m in _table() if name in (None, m.name)]
    if not methods:
        return None
    return {"help": [{"command": m.usage} for m in methods], "format-hint": "simple"}


def _listed(head: str, names: list[str]) -> list[str]:
    return ["", f"  {head}{', '.join(names)}"] if names else []


def _table() -> Iterable[Method[Any]]:
    return MethodTable(METHODS, lambda: None)
