"""Whether an answer has the shape of Core Lightning's (v26.06): `tests/data/cln_fields.tsv`."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

TABLE: Final = Path(__file__).parents[1] / "data" / "cln_fields.tsv"

_LIMITS: Final = {"u8": 1 << 8, "u16": 1 << 16, "u32": 1 << 32, "u64": 1 << 64, "msat": 1 << 64}
_PATTERNS: Final = {
    "hex": r"(?:[0-9a-f]{2})*",
    "hash": r"[0-9a-f]{64}",
    "secret": r"[0-9a-f]{64}",
    "txid": r"[0-9a-f]{64}",
    "pubkey": r"0[23][0-9a-f]{64}",
    "signature": r"30(?:[0-9a-f]{2}){8,72}",
    "bip340sig": r"[0-9a-f]{128}",
    "short_channel_id": r"[0-9]+x[0-9]+x[0-9]+",
    "short_channel_id_dir": r"[0-9]+x[0-9]+x[0-9]+/[01]",
}


@dataclass(frozen=True, slots=True)
class Field:
    """One line of the table."""

    name: str
    types: str
    required: str
    when: str


@cache
def fields() -> dict[tuple[str, str], tuple[Field, ...]]:
    """The lines by method and place of the object that holds the field ("" is the answer)."""
    found: dict[tuple[str, str], list[Field]] = {}
    lines = [x for x in TABLE.read_text().splitlines() if not x.startswith("#")]
    for line in lines[1:]:
        method, path, types, required, *when = line.split("\t")
        place, name = _split(path)
        field = Field(name, types, required, when[0] if when else "")
        found.setdefault((method, place), []).append(field)
    return {key: tuple(value) for key, value in found.items()}


def known_methods() -> set[str]:
    """Every method of which an answer can be checked."""
    return {method for method, _ in fields()}


def check_answer(method: str, answer: Any, *, held: bool = True) -> None:
    """Fail with every difference between `answer` and what Core Lightning would say.

    `held`: also miss the fields that are optional on paper but in every answer seen.
    """
    assert method in known_methods(), f"no table for {method}"
    faults = list(_object_faults(method, "", answer, held))
    assert not faults, f"{method}: " + "; ".join(faults[:20])


def _split(path: str) -> tuple[str, str]:
    """The object a field is in and its name; an array's item belongs to the array's own place."""
    if path.endswith("[]"):
        return path[:-2], "[]"
    place, _, name = path.rpartition(".")
    return place, name


def _object_faults(method: str, place: str, value: Any, held: bool) -> Iterator[str]:
    declared = fields().get((method, place), ())
    if not isinstance(value, dict):
        yield f"{place or 'the answer'} is no object"
        return
    if any(f.name == "*" for f in declared):
        return
    applying = [f for f in declared if f.name != "[]" and _holds(f.when, value)]
    wanted = {"yes", "held"} if held else {"yes"}
    for name in dict.fromkeys(f.name for f in applying if f.required in wanted):
        if name not in value:
            yield f"{_join(place, name)} is missing"
    for name, item in value.items():
        mine = [f for f in applying if f.name == name]
        where = _join(place, name)
        if mine:
            yield from _value_faults(method, where, item, ";".join(f.types for f in mine), held)
        elif not name.startswith("warning_"):
            yield f"{where} is not Core Lightning's"


def _value_faults(method: str, place: str, value: Any, types: str, held: bool) -> Iterator[str]:
    if not any(_fits(value, t) for t in types.split(";")):
        yield f"{place} is no {types[:80]}: {json.dumps(value)[:80]}"
    elif isinstance(value, dict):
        yield from _object_faults(method, place, value, held)
    elif isinstance(value, list):
        items = [f for f in fields().get((method, place), ()) if f.name == "[]"]
        for item in value if items else ():
            yield from _value_faults(method, f"{place}[]", item, items[0].types, held)


def _fits(value: Any, declared: str) -> bool:
    kind, _, words = declared.partition(":")
    if words and (value if isinstance(value, str) else json.dumps(value)) not in words.split("|"):
        return False
    if kind in _LIMITS:
        return type(value) is int and 0 <= value < _LIMITS[kind]
    if kind in _PATTERNS:
        return isinstance(value, str) and re.fullmatch(_PATTERNS[kind], value) is not None
    match kind:
        case "string":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            return type(value) is int
        case "number":
            return type(value) in (int, float)
        case "array":
            return isinstance(value, list)
        case "object":
            return isinstance(value, dict)
        case _:
            return kind == "any"


def _holds(when: str, value: dict[str, Any]) -> bool:
    return all(_one_holds(c, value) for c in when.split("&")) if when else True


def _one_holds(condition: str, value: dict[str, Any]) -> bool:
    if condition.startswith("!"):
        return not _one_holds(condition[1:], value)
    name, equals, words = condition.partition("=")
    if name not in value or not equals:
        return name in value
    found = value[name]
    return (found if isinstance(found, str) else json.dumps(found)) in words.split("|")


def _join(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name
