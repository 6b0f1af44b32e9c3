"""What this app has asked the node to do: it lives beside the sheets, so closing one stops nothing.

An answer that is lost, or a fault inside the node, leaves the outcome open: that is *on its way*,
never failed, and nothing is asked for a second time.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from wallet.faces.rpc.client import ConnectionLost, RpcError
from wallet.faces.tui.outgoing import Outcome
from wallet.faces.tui.paint import BAD, GOOD, WARN
from wallet.faces.tui.safe_text import safe
from wallet.faces.tui.state import State

BROADCAST_FAILED: Final = 303
"""The channel is there, and its funding is offered to the chain again with every block."""
_GENERIC: Final = -1
_FAULTS: Final = ("internal error", "refused to go on")
"""How the node begins when it failed inside: what it had done by then is not known."""

_CAN: Final = {
    300: "This peer takes no channel so large: try less.",
    301: "Send less, take a lower fee rate, or deposit more.",
    302: "So little cannot be sent on chain: send more.",
    304: "Wait until the node has read the chain, then try again.",
    305: "Connect to the peer first: 4, then c.",
    306: "Connect to the peer first: 4, then c.",
    312: "Try another peer.",
    313: "Send less, or deposit more: the reserve pays for closing channels.",
    400: "Give its address too: ID@HOST:PORT.",
    401: "Check the address, and whether the peer is running.",
    402: "The peer hung up: try again.",
    -32001: "Unlock the wallet: U.",
    -32003: "Wait until the chain is there, then try again.",
    -32602: "Go back (e), and change what the node does not take.",
}


@dataclass(frozen=True, slots=True)
class Words:
    """How an errand is spoken of."""

    doing: str
    done: str
    not_done: str
    look: str
    """Where a person sees how it stands when the answer is lost."""


@dataclass(slots=True)
class Errand:
    """One thing that the node was asked to do, as far as it is known."""

    words: Words
    began: datetime
    outcome: Outcome = Outcome.MOVING
    unsure: bool = False
    """The answer was lost, or says nothing about the outcome."""
    answer: dict[str, Any] = field(default_factory=dict)
    code: int = 0
    reason: str = ""

    @property
    def can(self) -> str:
        """What a person can do now."""
        return _CAN.get(self.code, "Nothing has changed: try again, or do something else.")


Step = Callable[[], Awaitable[Any]]


async def run(errand: Errand, state: State, prepare: Step, act: Step) -> None:
    """Carry it out, and tell how it ended. Only `act` can change what a person owns."""
    state.errands += 1
    try:
        try:
            await prepare()
        except ConnectionLost:
            raise RpcError({"message": "The node is not there."}) from None
        errand.answer = await act()
    except ConnectionLost:
        _unsure(errand, "The node's answer was lost.")
    except RpcError as fault:
        reason = safe(str(fault))
        if fault.code == BROADCAST_FAILED or is_inside(fault):
            _unsure(errand, reason, fault.code)
        else:
            errand.code, errand.reason, errand.outcome = fault.code, reason, Outcome.NOT_SENT
    else:
        errand.outcome = Outcome.ARRIVED
    finally:
        state.errands -= 1
    _tell(errand, state)


def is_inside(fault: RpcError) -> bool:
    """Whether the node failed inside, so that nothing is known of what it did."""
    return fault.code == _GENERIC and str(fault).startswith(_FAULTS)


def _unsure(errand: Errand, reason: str, code: int = 0) -> None:
    errand.unsure, errand.reason, errand.code = True, reason, code


def _tell(errand: Errand, state: State) -> None:
    words = errand.words
    match errand.outcome:
        case Outcome.ARRIVED:
            state.say(f"✓ {words.done}", GOOD)
        case Outcome.NOT_SENT:
            state.say(f"✗ {words.not_done} {errand.reason}", BAD)
        case Outcome.MOVING:
            state.say(f"… It may be on its way: {words.doing}. {words.look}", WARN)
