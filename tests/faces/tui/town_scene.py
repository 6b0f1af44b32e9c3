"""A town, fixed: what `town-rpc` answers, and a payment on its way through it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from textual.pilot import Pilot

from tests.faces.tui.fake_core import FakeCore, Reply
from tests.faces.tui.scenes import NOW, at, settled, until
from wallet.faces.tui.app import Leyden

ALIASES: Final = {
    "you": "alice",
    "bob": "bob",
    "carol": "carol",
    "dave": "dave",
    "erin": "erin",
    "lsp": "lsp",
}
PAIRS: Final = (
    ("you", "bob", 73),
    ("bob", "carol", 40),
    ("carol", "dave", 12),
    ("dave", "erin", 90),
    ("bob", "erin", 30),
    ("lsp", "carol", 88),
    ("lsp", "you", 50),
)
HASH: Final = "9f2c" * 16


def node(key: str, **more: Any) -> dict[str, Any]:
    """A node in `status`."""
    number = list(ALIASES).index(key)
    return {
        "id": f"02{number:064x}",
        "rpc-file": f"{key}/regtest/lightning-rpc",
        "alias": ALIASES[key],
        "running": True,
        "frozen": False,
        "blockheight": 1_204,
        "payments": {"made": 12 + number, "received": 9 * number, "forwarded": 5 * number},
        "fees_earned_msat": 18_000 * number,
        **more,
    }


def channel(first: str, second: str, percent: int, **more: Any) -> dict[str, Any]:
    """A channel of 1,000,000 sat in `status`."""
    return {
        "nodes": [first, second],
        "state": "CHANNELD_NORMAL",
        "total_msat": 1_000_000_000,
        "to_msat": {first: percent * 10_000_000, second: (100 - percent) * 10_000_000},
        "htlcs": 0,
        **more,
    }


def move(seq: int, source: str, target: str, kind: str, **more: Any) -> dict[str, Any]:
    """An HTLC message in `flow`."""
    return {
        "seq": seq,
        "at": at("20 12:04") + seq / 100,
        "from": source,
        "to": target,
        "type": kind,
        "htlc_id": 40 + seq,
        "amount_msat": 150_000_000 + 1_000 * seq,
        "expiry": 1_344,
        "payment_hash": HASH,
        **more,
    }


PAYMENT: Final = [
    move(1, "you", "bob", "add"),
    move(2, "bob", "erin", "add"),
    move(3, "erin", "bob", "fail"),
    move(4, "bob", "carol", "add"),
    move(5, "carol", "bob", "fulfill"),
    move(6, "bob", "you", "fulfill"),
]


def replies(**changed: Reply) -> dict[str, Reply]:
    """What this town answers."""
    return {
        "status": {
            "nodes": {key: node(key) for key in ALIASES} | {"dave": node("dave", running=False)},
            "channels": [
                *(channel(*pair) for pair in PAIRS[:-1]),
                channel(*PAIRS[-1], htlcs=2),
                channel("you", "carol", 65),
            ],
            "blockheight": 1_204,
            "traffic": {"rate": 5.0, "complete": 40, "failed": 2},
            "stories": {"first": "the whole story", "hops": "a payment, hop by hop"},
            "telling": None,
        },
        "blocks": {
            "blocks": [
                {
                    "height": 1_204,
                    "time": at("20 12:00"),
                    "what": [{"text": "alice opens a channel with carol: 1,000,000 sat"}],
                },
                {"height": 1_203, "time": at("20 11:52"), "what": []},
            ]
        },
        "mine": lambda params: {"blockheight": 1_204 + params["blocks"]},
        "fault": {"running": False, "frozen": False},
        "traffic": {"rate": 20},
        "story": {},
        "money": {"ok": True, "checked": True, "mined_sat": 30_000_000, "found_sat": 30_000_000},
        "give": {"blockheight": 1_205},
        "flow": Once("flow", PAYMENT),
        "captions": Once("captions", []),
        **changed,
    }


class Once:
    """A long poll that has these things to tell, and then nothing more."""

    def __init__(self, name: str, told: list[dict[str, Any]]) -> None:
        self._name, self._told = name, told

    async def __call__(self, params: dict[str, Any]) -> dict[str, Any]:
        if "since" not in params:
            return {self._name: [], "next": 0}
        if params["since"] >= len(self._told):
            await asyncio.sleep(60)
        return {self._name: self._told[params["since"] :], "next": len(self._told)}


@asynccontextmanager
async def in_town(
    core: FakeCore, path: Path, size: tuple[int, int], **changed: Reply
) -> AsyncIterator[tuple[Pilot[None], FakeCore, list[float]]]:
    """The app on the Demo tab of that town; its clock of the picture is the list's only number."""
    town = FakeCore(path, replies(**changed))
    await town.start()
    clock = [0.0]
    app = Leyden(core.path, lambda: NOW, lambda: clock[0], town=town.path)
    try:
        async with app.run_test(size=size) as pilot:
            await pilot.press("7")
            await until(pilot, lambda: app.state.told and app.town and app.town.blocks)
            await settled(pilot)
            yield pilot, town, clock
    finally:
        await town.close()
