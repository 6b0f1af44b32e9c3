"""A core and a town in which every text is a stranger's: `scenes` and `town_scene`, poisoned.

What steers the app (a state, a kind, an id that is asked for again) stays as it is, or no screen
would open; each list also has an item in which nothing does.
"""

import time
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import Any, Final

from tests.faces.tui import scenes, town_scene
from tests.faces.tui.corpus import INJECTIONS
from tests.faces.tui.fake_core import Refusal, Reply
from tests.faces.tui.money import moving
from tests.faces.tui.scenes import NODES

STEERS: Final = frozenset(
    {"state", "status", "kind", "direction", "opener", "channel_id", "peer_id", "nodeid", "type"}
)
CALLS: Final = (
    "fundchannel", "close", "withdraw", "setchannel", "connect", "disconnect", "pay", "unlock",
)  # fmt: skip
"""What a sheet asks for. Each is refused first, and done when it is asked again."""


class Strangers:
    """Texts from the corpus, one after the other."""

    def __init__(self) -> None:
        self._texts: Iterator[str] = cycle(INJECTIONS)
        self.refused = 0
        """How often something was."""

    def text(self) -> str:
        """The next one."""
        return next(self._texts)

    def poisoned(self, value: Any, steers: frozenset[str] = STEERS) -> Any:
        """The same answer, every text in it a stranger's but those that steer."""
        match value:
            case str():
                return self.text()
            case dict():
                return {
                    key: one if key in steers and isinstance(one, str)
                    else self.poisoned(one, steers)
                    for key, one in value.items()
                }  # fmt: skip
            case list() if value and all(isinstance(one, dict) for one in value):
                wholly = self.poisoned(value[0], frozenset())
                return [*(self.poisoned(one, steers) for one in value), wholly]
            case list():
                return [self.poisoned(one, steers) for one in value]
            case _:
                return value

    def refusal(self, code: int = -1) -> Refusal:
        """With a sentence of a stranger, that begins with its number: `refusal 3 …`."""
        self.refused += 1
        return Refusal(code, f"refusal {self.refused} {self.text()}")

    def refused_first(self, answer: Any, code: int = -1) -> Reply:
        """A method that does it the second time."""
        times = cycle((True, False))
        return lambda _params: self.refusal(code) if next(times) else self.poisoned(answer)

    # --- the core -------------------------------------------------------------------------------

    def core(self) -> dict[str, Reply]:
        """All that the app can ask."""
        known = scenes.replies()
        known |= moving(known)
        every = [
            scenes.paid("20 09:00", number, text, label=text, failure=text, status="failed")
            for number, text in enumerate(INJECTIONS, 1)
        ]
        known["getinfo"] = {
            **known["getinfo"],  # type: ignore[dict-item]
            "warning_lightningd_sync": "still reading",
        }
        static = ("getinfo", "listfunds", "listpeerchannels", "listconfigs")
        found = {name: self.poisoned(known[name]) for name in static}
        history = {"history": [*self.poisoned(scenes.HISTORY), *every]}
        ruled: Any = known["court"]
        return {
            **known,
            **found,
            "court": lambda params: self.poisoned(ruled(params)),
            **{name: self.refused_first(known.get(name, {})) for name in CALLS},
            "pay": self.refused_first({"payment_preimage": "", "amount_msat": 1}, 205),
            "history": lambda _params: history,
            "feerates": {**scenes.FEERATES, "warning_missing_feerates": self.text()},
            "listpeers": lambda _params: {"peers": self._peers()},
            "listnodes": lambda params: {
                "nodes": [{"nodeid": params.get("id", NODES["bob"]), "alias": self.text()}]
            },
            "decode": lambda _params: self._decoded(),
            "listpays": {"pays": []},
            "invoice": lambda _params: self.poisoned({"bolt11": "", "warning_capacity": ""}),
            "newaddr": lambda _params: {"bech32": self.text()},
        }

    def _peers(self) -> list[dict[str, Any]]:
        """One that a sheet can choose, and one whose id is nonsense."""
        real = {"id": NODES["bob"], "connected": False, "netaddr": [self.text()]}
        return [real, {"id": self.text(), "connected": True, "netaddr": [self.text()]}]

    def _decoded(self) -> dict[str, Any]:
        names = ("currency", "payee", "description", "payment_hash")
        texts = {name: self.text() for name in names}
        times = {"created_at": int(time.time()), "expiry": 3_600}
        amount = {"amount_msat": 1_000_000}
        return {"type": "bolt11 invoice", "valid": True, **amount, **times, **texts}

    # --- the town -------------------------------------------------------------------------------

    def town(self, seller: Path) -> dict[str, Reply]:
        """All that its control room can ask; bob answers at `seller`."""
        known: dict[str, Any] = town_scene.replies()
        status = self.poisoned(known["status"])
        status["nodes"]["bob"]["rpc-file"] = str(seller)
        status["stories"] = {self.text(): self.text() for _ in range(3)}
        flow = [
            town_scene.move(n, a, b, kind, payment_hash=self.text())
            for n in range(0, 12, 2)
            for a, b, kind in (("you", "bob", "add"), (self.text(), self.text(), self.text()))
        ]
        captions = [
            {"kind": kind, "number": 1, "text": text}
            for kind, text in zip(
                cycle(("begin", "step", "say", "fault")), INJECTIONS, strict=False
            )
        ]
        return {
            "status": {**status, "telling": None},
            "blocks": self.poisoned(known["blocks"]),
            "flow": town_scene.Once("flow", flow),
            "captions": town_scene.Once("captions", captions),
            "money": {"ok": False, "checked": False, "faults": [self.text(), self.text()]},
            "give": lambda _params: {"blockheight": self.text()},
            **{name: lambda _params: self.refusal() for name in ("mine", "fault", "traffic")},
            "story": lambda _params: self.refusal(),
        }
