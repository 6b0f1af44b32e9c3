"""A payment that is on its way: its outcome, and what happens until then, told as it happens.

The call that pays is asked first and never repeated.  What is told comes beside it, by another
connection: if that one fails, the payment goes on and only nothing more is told.
"""

import select
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from wallet.faces.cli.verbs.desk import Desk
from wallet.faces.rpc.client import (
    Asked,
    ConnectionLost,
    Interrupted,
    RpcError,
    TimedOut,
    Unreachable,
    request_of,
)

IsThis = Callable[[Mapping[str, Any]], bool]
"""Whether a payment of `listpays` is the one that was asked for."""

_POLL_SECONDS: Final = 30
_PARTS: Final = {
    "sendpay_success": ("part_arrived", "arrived"),
    "sendpay_failure": ("part_came_back", "came back"),
}
"""What becomes of a part, by the topic of the daemon's event."""


def settled(desk: Desk, method: str, params: Mapping[str, Any], is_this: IsThis) -> Any:
    """The method's answer once there is one. Raises as `Desk.ask`."""
    since = desk.ask_if_known("events") if desk.tells else None
    end = None if desk.timeout is None else time.monotonic() + desk.timeout
    with desk.begin(method, **params) as paying:
        desk.progress("under_way", "on its way; Ctrl-C detaches, it does not cancel")
        if since is not None:
            try:
                _tell_until(desk, paying, is_this, int(since["next"]), end)
            finally:
                desk.wipe()
        return paying.result()


def sent(desk: Desk, method: str, params: Mapping[str, Any], is_this: IsThis) -> Any:
    """The payment as `listpays` has it once it is on its way; the answer where that is quicker.

    The daemon goes on with what nobody waits for.  Raises as `Desk.ask`.
    """
    known = int(desk.ask("wait", **_created(0))["created"])
    end = None if desk.timeout is None else time.monotonic() + desk.timeout
    with desk.begin(method, **params) as paying:
        last = known
        while (following := _beside(desk, "wait", _created(last + 1))) is not None:
            with following:
                if _is_answered(desk, paying, following, end):
                    break
                last = int((_read(following) or {"created": last})["created"])
            mine = [p for p in _listed(desk, known) if is_this(p)]
            if mine and mine[-1]["status"] == "pending":
                return mine[-1]
        return paying.result()


def _created(number: int) -> dict[str, Any]:
    return {"subsystem": "sendpays", "indexname": "created", "nextvalue": number}


def _listed(desk: Desk, known: int) -> list[dict[str, Any]]:
    """Payments that were made after the one with that number."""
    found = _ask(desk, "listpays", {"index": "created", "start": known + 1})
    return [] if found is None else list(found["pays"])


def _tell_until(desk: Desk, paying: Asked, is_this: IsThis, since: int, end: float | None) -> None:
    """Until the answer may be read and all before it is told, or the events say nothing more."""
    answered = False
    while not answered:
        params = {"since": since, "timeout": _POLL_SECONDS}
        if (following := _beside(desk, "events", params)) is None:
            return
        with following:
            answered = _is_answered(desk, paying, following, end)
            answer = None if answered else _read(following)
        if answered:
            # The last part's outcome became known with the answer.
            answer = _ask(desk, "events", {"since": since})
        if answer is None:
            return
        for event in answer["events"]:
            if event["topic"] in _PARTS and _is_about(desk, event, is_this):
                _tell_part(desk, event)
        since = int(answer["next"])


def _is_about(desk: Desk, event: Mapping[str, Any], is_this: IsThis) -> bool:
    found = _ask(desk, "listpays", {"payment_hash": event["payment_hash"]})
    return found is not None and any(map(is_this, found["pays"]))


def _tell_part(desk: Desk, event: Mapping[str, Any]) -> None:
    step, words = _PARTS[event["topic"]]
    failure, number = event.get("failure"), int(event.get("partid", 0))
    if step == "part_arrived" and not number and not desk.tells_programs:
        return  # The only one: a person is told the same by the answer.
    said = f"part {number} {words}" + (f": {failure}" if failure else "")
    names = ("payment_hash", "partid", "amount_msat", "amount_sent_msat", "failure")
    desk.progress(step, said, **{name: event.get(name) for name in names})


# --- two connections ------------------------------------------------------------------------------


def _beside(desk: Desk, method: str, params: Mapping[str, Any]) -> Asked | None:
    """A question beside the payment, which stays what `desk` asked last; None where it fails."""
    try:
        return Asked(desk.rpc_file, request_of(method, dict(params)))
    except Interrupted:
        raise
    except (Unreachable, ConnectionLost):
        return None


def _read(asked: Asked) -> dict[str, Any] | None:
    """Its result; None when there will be none."""
    try:
        return dict(asked.result())
    except Interrupted:
        raise
    except (RpcError, ConnectionLost):
        return None


def _ask(desk: Desk, method: str, params: Mapping[str, Any]) -> dict[str, Any] | None:
    """Its result at once, or None."""
    asked = _beside(desk, method, params)
    if asked is None:
        return None
    with asked:
        return _read(asked)


def _is_answered(desk: Desk, paying: Asked, following: Asked, end: float | None) -> bool:
    """Wait for either of the two: whether the payment's answer may be read. Raises `TimedOut`."""
    while True:
        left = None if end is None else end - time.monotonic()
        if left is not None and left <= 0:
            raise TimedOut("no answer in time; the request goes on in the daemon")
        ready, _, _ = select.select((paying, following), (), (), min(left or 1.0, 1.0))
        if ready:
            return paying in ready
        desk.tick()
