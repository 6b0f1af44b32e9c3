"""What is told to a caller before its answer: `message` and `progress`, once it has asked for them.

Core Lightning's: `notifications {"enable": true}` switches them on for one connection; each is a
JSON-RPC request without an `id` of its own, and names in its params the request that it is about.
"""

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Final

from wallet.faces.rpc.params import AnyParam, Args, Param
from wallet.faces.rpc.parsers import boolean
from wallet.faces.rpc.table import Answer


class Notifications:
    ENABLE: Final = Param("enable", boolean, required=True)
    PARAMS: Final[tuple[AnyParam, ...]] = (ENABLE,)


@dataclass(slots=True)
class Switch:
    """Of one connection."""

    enabled: bool = False


@dataclass(frozen=True, slots=True)
class Caller:
    """One request that is being answered, and the way to its connection."""

    request_id: object
    switch: Switch
    write: Callable[[str, Answer], None] = field(repr=False)

    def tell(self, sentence: str, level: str = "info") -> None:
        """A `message` for a person who waits; nothing unless the connection wants them."""
        if self.switch.enabled:
            said = {"id": self.request_id, "level": level, "message": sentence}
            self.write("message", said)


_CALLER: Final[ContextVar[Caller | None]] = ContextVar("caller", default=None)


def answering(caller: Caller) -> None:
    """From here on, this task answers that request."""
    _CALLER.set(caller)


def tell(sentence: str, level: str = "info") -> None:
    """A `message` to whoever waits for the present task's answer (levels as in the log)."""
    caller = _CALLER.get()
    if caller is not None:
        caller.tell(sentence, level)


async def notifications(_api: object, args: Args) -> Answer:
    """Switch notifications on or off for this connection."""
    caller = _CALLER.get()
    if caller is not None:
        caller.switch.enabled = args[Notifications.ENABLE]
    return {}
