"""JSON-RPC 1.0 and 2.0 in Core's manner: a table of methods, and one place that calls them.

A method is a function of the server's `Context` and its parameters; names, defaults and JSON types
of the parameters are read from its signature once, when it is entered into the table.
"""

import inspect
import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from decimal import Decimal
from types import NoneType, UnionType
from typing import Any, Final, TypeVar, get_args, get_origin

from wallet.base.errors import DecodeError, InvariantBroken, Refused, ServiceFault

PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
METHOD_NOT_FOUND: Final = -32601
INTERNAL_ERROR: Final = -32603
MISC_ERROR: Final = -1
TYPE_ERROR: Final = -3
INVALID_ADDRESS_OR_KEY: Final = -5
INVALID_PARAMETER: Final = -8
DATABASE_ERROR: Final = -20
DESERIALIZATION_ERROR: Final = -22
VERIFY_ERROR: Final = -25
VERIFY_REJECTED: Final = -26
VERIFY_ALREADY_IN_UTXO_SET: Final = -27

_JSON_TYPES: Final[dict[type, str]] = {
    NoneType: "null",
    bool: "bool",
    int: "number",
    Decimal: "number",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
}

Call = TypeVar("Call", bound=Callable[..., Any])


class RpcError(Exception):
    """An answer that is an error, with Core's code."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter: JSON types it takes (none: any), and whether it may be left out."""

    name: str
    types: frozenset[type]
    optional: bool

    def check(self, value: Any) -> None:
        """Raise `RpcError` unless `value` is of a type that the method takes."""
        if type(value) is int and not -(1 << 63) <= value < 1 << 63:
            raise RpcError(MISC_ERROR, "JSON integer out of range")
        if not self.types or type(value) in self.types:
            return
        if type(value) is int and Decimal in self.types:
            return
        expected = " or ".join(sorted({_JSON_TYPES[t] for t in self.types}))
        got = _JSON_TYPES[type(value)]
        raise RpcError(
            TYPE_ERROR,
            f"JSON value of type {got} for field {self.name} is not of expected type {expected}",
        )


@dataclass(frozen=True, slots=True)
class Method:
    """A row of the table. `summary` is the first line of the function's docstring."""

    name: str
    run: Callable[..., Any]
    parameters: tuple[Parameter, ...]
    summary: str

    @property
    def usage(self) -> str:
        """The call as `help` shows it."""
        shown = [p.name if not p.optional else f"( {p.name} )" for p in self.parameters]
        return " ".join((self.name, *shown))

    def bind(self, params: list[Any] | dict[str, Any]) -> list[Any]:
        """Positional arguments of a call; raises `RpcError`. Null stands for "left out"."""
        if isinstance(params, dict):
            params = self._by_position(params)
        if len(params) > len(self.parameters):
            raise RpcError(MISC_ERROR, f"{self.usage}\n\n{self.summary}")
        values: list[Any] = []
        for index, parameter in enumerate(self.parameters):
            value = params[index] if index < len(params) else None
            if value is None:
                if not parameter.optional:
                    raise RpcError(MISC_ERROR, f"{self.usage}\n\n{self.summary}")
            else:
                parameter.check(value)
            values.append(value)
        return values

    def _by_position(self, named: dict[str, Any]) -> list[Any]:
        names = [p.name for p in self.parameters]
        args = named.get("args", [])
        if not isinstance(args, list):
            raise RpcError(TYPE_ERROR, "the named parameter args must be an array")
        for name in named:
            if name == "args":
                continue
            if name not in names:
                raise RpcError(INVALID_PARAMETER, f"Unknown named parameter {name}")
            if names.index(name) < len(args):
                raise RpcError(
                    INVALID_PARAMETER,
                    f"Parameter {name} specified twice both as positional and named argument",
                )
        return args + [named.get(name) for name in names[len(args) :]]


METHODS: Final[dict[str, Method]] = {}


def method(run: Call) -> Call:
    """Enter a function into the table under its own name.

    The first parameter is the `Context`; every other one is typed with what JSON may hold, and
    optional ones default to None.
    """
    signature = inspect.signature(run, eval_str=True)
    parameters = tuple(
        Parameter(p.name, _types(p.annotation), p.default is not inspect.Parameter.empty)
        for p in list(signature.parameters.values())[1:]
    )
    name = run.__name__
    summary = inspect.cleandoc(run.__doc__ or "").partition("\n")[0]
    METHODS[name] = Method(name, run, parameters, summary)
    return run


def _types(annotation: Any) -> frozenset[type]:
    if annotation is Any:
        return frozenset()
    parts = get_args(annotation) if isinstance(annotation, UnionType) else (annotation,)
    return frozenset(get_origin(part) or part for part in parts) - {NoneType}


async def answer(context: object, request: Any) -> dict[str, Any] | None:
    """Answer one request object; None for a notification (JSON-RPC 2.0 without an id)."""
    request_id: Any = None
    second = False
    try:
        if not isinstance(request, dict):
            raise RpcError(INVALID_REQUEST, "Invalid Request object")
        request_id = request.get("id")
        second = _is_second_version(request)
        result = await _call(context, request)
        error = None
    except RpcError as failure:
        result, error = None, {"code": failure.code, "message": failure.message}
    if not second:
        return {"result": result, "error": error, "id": request_id}
    if "id" not in request:
        return None
    outcome = {"result": result} if error is None else {"error": error}
    return {"jsonrpc": "2.0", **outcome, "id": request_id}


def _is_second_version(request: dict[str, Any]) -> bool:
    version = request.get("jsonrpc", "1.0")
    if version not in ("1.0", "1.1", "2.0"):
        raise RpcError(INVALID_REQUEST, "JSON-RPC version not supported")
    return bool(version == "2.0")


async def _call(context: object, request: dict[str, Any]) -> Any:
    name = request.get("method")
    if name is None:
        raise RpcError(INVALID_REQUEST, "Missing method")
    if not isinstance(name, str):
        raise RpcError(INVALID_REQUEST, "Method must be a string")
    params = request.get("params")
    if params is not None and not isinstance(params, list | dict):
        raise RpcError(INVALID_REQUEST, "Params must be an array or object")
    found = METHODS.get(name)
    if found is None:
        raise RpcError(METHOD_NOT_FOUND, "Method not found")
    try:
        result = found.run(context, *found.bind(params or []))
        return await result if isinstance(result, Awaitable) else result
    except Refused as refused:
        raise RpcError(refused.code, refused.message) from None
    except DecodeError as error:
        raise RpcError(DESERIALIZATION_ERROR, str(error)) from None
    except (ServiceFault, sqlite3.Error) as fault:
        raise RpcError(DATABASE_ERROR, str(fault)) from None
    except InvariantBroken as bug:
        raise RpcError(INTERNAL_ERROR, f"Internal bug detected: {bug}") from None
