"""An answer on paper: JSON as `lightning-cli` prints it, raw, flat, or one field alone."""

import json
from collections.abc import Iterator
from typing import Any, Final

from wallet.base.values.text import safe_text
from wallet.faces.cli.arguments import UsageError

_INDENT: Final = 3


def render(result: Any, output: str) -> str:
    """The result as text without a final newline; `output` is one of the formats or ""."""
    match output:
        case "raw":
            return json.dumps(result, separators=(",", ":"))
        case "flat":
            return "\n".join(_flat_lines(result, ""))
        case "human" if _is_help(result):
            return "\n".join(safe_text(line["command"]) for line in result["help"])
        case _:
            # Escaped to ASCII: on a terminal invisible characters stay visible.
            return json.dumps(result, indent=_INDENT)


def render_field(result: Any, name: str) -> str:
    """One field of the answer, bare."""
    if not isinstance(result, dict) or name not in result:
        there = f": {', '.join(result)}" if isinstance(result, dict) and result else ""
        raise UsageError(f"the answer has no field {name!r}{there}")
    return _bare(result[name])


def _bare(value: Any) -> str:
    return safe_text(value) if isinstance(value, str) else json.dumps(value)


def _flat_lines(value: Any, place: str) -> Iterator[str]:
    match value:
        case dict():
            for key, item in value.items():
                yield from _flat_lines(item, f"{place}.{key}" if place else key)
        case list():
            for index, item in enumerate(value):
                yield from _flat_lines(item, f"{place}[{index}]")
        case _:
            yield f"{safe_text(place)}={_bare(value)}"


def _is_help(result: Any) -> bool:
    return isinstance(result, dict) and result.get("format-hint") == "simple" and "help" in result
