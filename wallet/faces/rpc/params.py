"""Parameters of a method: declared once, read by position or by name, as Core Lightning does.

A `Param` pairs a name with a parser from a JSON value to a type; `read_params` applies a method's
list to what came and answers -32602 in Core Lightning's sentences.  A value may come as its own
JSON type or as a string that spells it (`"1000"`, `"true"`), because a command line cannot tell.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, cast

from wallet.base.errors import Refused
from wallet.faces.rpc.errors import Code

T = TypeVar("T")

Parser = Callable[[object], T]
"""From a JSON value to a typed one; raises `Unfit`."""


class Unfit(ValueError):
    """A parser's refusal: what the value should have been."""

    def __init__(self, should_be: str) -> None:
        super().__init__(should_be)
        self.should_be = should_be


@dataclass(frozen=True, slots=True)
class Param(Generic[T]):
    """One parameter. Required ones come first in a method's list.

    `also` holds other accepted names (Core Lightning keeps old ones for a while).
    """

    name: str
    parse: Parser[T]
    required: bool = False
    also: tuple[str, ...] = ()

    @property
    def usage(self) -> str:
        """As in `help`: optional ones in brackets."""
        return self.name if self.required else f"[{self.name}]"


@dataclass(frozen=True, slots=True)
class Args:
    """Parsed parameters, looked up by their declaration so that the type is known."""

    values: dict[str, object] = field(default_factory=dict)

    def __getitem__(self, param: Param[T]) -> T:
        return cast(T, self.values[param.name])

    def get(self, param: Param[T]) -> T | None:
        """The value, or None when it was left out or null."""
        return cast("T | None", self.values.get(param.name))

    def get_or(self, param: Param[T], default: T) -> T:
        """The value, or `default` when it was left out or null."""
        return cast(T, self.values.get(param.name, default))


AnyParam = Param[Any]
"""A parameter in a list of different types; `Args` gives the type back."""


def read_params(declared: Sequence[AnyParam], given: object) -> Args:
    """Parse the `params` of a request: an array by position or an object by name.

    Null means "left out" in both.  Raises `Refused` with -32602.
    """
    match given:
        case None:
            named: dict[str, object] = {}
        case list():
            if len(given) > len(declared):
                raise _invalid(f"too many parameters: got {len(given)}, expected {len(declared)}")
            named = {p.name: v for p, v in zip(declared, given, strict=False) if v is not None}
        case dict():
            named = _by_name(declared, given)
        case _:
            raise _invalid("Expected array or object for params")
    values: dict[str, object] = {}
    for param in declared:
        if param.name in named:
            values[param.name] = _parse(param, named[param.name])
        elif param.required:
            raise _invalid(f"missing required parameter: {param.name}")
    return Args(values)


def usage(name: str, declared: Sequence[AnyParam]) -> str:
    """A method's line in `help`, for instance `decode string`."""
    return f"{name} {' '.join(p.usage for p in declared)}"


def _by_name(declared: Sequence[AnyParam], given: dict[str, object]) -> dict[str, object]:
    names = {name: p.name for p in declared for name in (p.name, *p.also)}
    named: dict[str, object] = {}
    for key, value in given.items():
        if key not in names:
            raise _invalid(
                f"unknown parameter: {key[:200]}, this may be caused by a failure to autodetect"
                " key=value-style parameters. Please try using the -k flag and explicit"
                " key=value pairs of parameters."
            )
        if names[key] in named:
            raise _invalid(f"duplicate json names: {names[key]}")
        if value is not None:
            named[names[key]] = value
    return named


def _parse(param: Param[T], value: object) -> T:
    try:
        return param.parse(value)
    except Unfit as unfit:
        raise _invalid(
            f"{param.name}: {unfit.should_be}: invalid token '{_token(value)}'"
        ) from None


def _token(value: object) -> str:
    """The value as JSON, cut to what a person can read."""
    text = json.dumps(value)
    return text if len(text) <= 200 else f"{text[:200]}…"


def _invalid(sentence: str) -> Refused:
    return Refused(sentence, Code.INVALID_PARAMS)
