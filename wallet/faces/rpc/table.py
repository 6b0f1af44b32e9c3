"""The methods as a table: what `help` prints, `check` checks and the server calls."""

from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from wallet.base.errors import Refused
from wallet.faces.rpc.errors import Code
from wallet.faces.rpc.params import AnyParam, Args, Param, read_params, usage
from wallet.faces.rpc.parsers import string

A = TypeVar("A")

Answer = dict[str, object]
"""A JSON object."""


@dataclass(frozen=True, slots=True)
class Method(Generic[A]):
    """One RPC method over an api of type `A`.

    `waits`: it answers when something happens, and is abandoned when its caller hangs up; any
    other method is finished even if nobody reads the answer, because it may have moved money.
    `allowed_when_locked`: it works before `unlock`.
    """

    name: str
    params: tuple[AnyParam, ...]
    handler: Callable[[A, Args], Awaitable[Answer]]
    summary: str = ""
    waits: bool = False
    allowed_when_locked: bool = False

    @property
    def usage(self) -> str:
        """`pay invstring [amount_msat] …`."""
        return usage(self.name, self.params)


class MethodTable(Generic[A]):
    """Methods by name, with `help`, `check` and `stop` made from the table itself.

    `request_stop` is called by `stop`; the caller ends the process once the answer has left.
    """

    def __init__(self, methods: Iterable[Method[A]], request_stop: Callable[[], None]) -> None:
        self._request_stop = request_stop
        self._methods = {m.name: m for m in (*methods, *self._own())}

    def __iter__(self) -> Iterator[Method[A]]:
        return iter(sorted(self._methods.values(), key=lambda m: m.name))

    def find(self, name: object) -> Method[A]:
        """The method; raises `Refused` with -32601 when there is none."""
        method = self._methods.get(name) if isinstance(name, str) else None
        if method is None:
            raise Refused(f"Unknown command '{str(name)[:100]}'", Code.METHOD_NOT_FOUND)
        return method

    def read_params(self, method: Method[A], given: object) -> Args:
        """Parse a request's params; `check` takes the checked method's own besides its name."""
        if method.name == _CHECK and isinstance(given, list | dict):
            return self._read_check(given)
        return read_params(method.params, given)

    def _read_check(self, given: list[object] | dict[str, object]) -> Args:
        rest: list[object] | dict[str, object]
        if isinstance(given, dict):
            name = given.get(COMMAND_TO_CHECK.name)
            rest = {k: v for k, v in given.items() if k != COMMAND_TO_CHECK.name}
        else:
            name, rest = (given[0] if given else None), given[1:]
        args = read_params((COMMAND_TO_CHECK,), {COMMAND_TO_CHECK.name: name})
        self.read_params(self.find(name), rest)
        return args

    def _own(self) -> tuple[Method[A], ...]:
        return (
            Method("help", (COMMAND,), self._help, "lists the commands", allowed_when_locked=True),
            Method(_CHECK, (COMMAND_TO_CHECK,), self._check, "checks a command's parameters"),
            Method("stop", (), self._stop, "stops the daemon", allowed_when_locked=True),
        )

    async def _help(self, _api: A, args: Args) -> Answer:
        command = args.get(COMMAND)
        methods = list(self) if command is None else [self.find(command)]
        return {"help": [{"command": m.usage} for m in methods], "format-hint": "simple"}

    async def _check(self, _api: A, args: Args) -> Answer:
        return {COMMAND_TO_CHECK.name: args[COMMAND_TO_CHECK]}

    async def _stop(self, _api: A, _args: Args) -> Answer:
        self._request_stop()
        return {"result": "Shutdown complete"}


COMMAND: Final = Param("command", string)
COMMAND_TO_CHECK: Final = Param("command_to_check", string, required=True)
_CHECK: Final = "check"
