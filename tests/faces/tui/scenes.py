"""A wallet's day, fixed: what a core answers, the time, and the screen as text."""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from textual.pilot import Pilot
from textual.strip import Strip

from tests.faces.tui.court_scene import court
from tests.faces.tui.fake_core import FakeCore, Reply
from wallet.faces.tui.app import Leyden

GOLDENS: Final = Path(__file__).parent / "goldens"
NOW: Final = datetime(2026, 11, 20, 12, 4, 31, tzinfo=UTC)
NODES: Final = {
    "bob": "02ab3c" + "b0" * 28 + "77e1",
    "carol": "03d2aa" + "ca" * 28 + "0b1f",
    "dave": "02f19c" + "da" * 28 + "9ac4",
    "erin": "0211de" + "e1" * 28 + "41aa",
}
CHANNEL_IDS: Final = {name: node_id[2:].ljust(64, "0") for name, node_id in NODES.items()}
SIZES: Final = {"80x24": (80, 24), "120x40": (120, 40)}


def at(text: str) -> int:
    """`20 12:03` of that November, as Unix time."""
    return int(datetime.strptime(f"2026-11-{text} +0000", "%Y-%m-%d %H:%M %z").timestamp())


def channel(peer: str, ours: int, total: int, **more: Any) -> dict[str, Any]:
    """An item of `listpeerchannels`; amounts in satoshi."""
    reserve = total // 100
    usable = more.get("state", "CHANNELD_NORMAL") == "CHANNELD_NORMAL"
    return {
        "peer_id": NODES[peer],
        "peer_connected": True,
        "state": "CHANNELD_NORMAL",
        "channel_id": CHANNEL_IDS[peer],
        "short_channel_id": "103x1x0",
        "total_msat": total * 1000,
        "to_us_msat": ours * 1000,
        "spendable_msat": max(0, ours - reserve) * 1000 * usable,
        "receivable_msat": max(0, total - ours - reserve) * 1000 * usable,
        "our_reserve_msat": reserve * 1000,
        "fee_base_msat": 1000,
        "fee_proportional_millionths": 50,
        "private": False,
        "status": ["CHANNELD_NORMAL:Channel ready for use."],
        "htlcs": [],
        **more,
    }


def paid(when: str, sat: int, description: str, **more: Any) -> dict[str, Any]:
    """A payment in `history`."""
    return {
        "kind": "payment",
        "at": at(when),
        "amount_msat": sat * 1000,
        "fee_msat": 3_000,
        "direction": "out",
        "status": "complete",
        "description": description,
        "destination": NODES["dave"],
        "payment_hash": f"{at(when):064x}",
        "bolt11": "lnbcrt21u1pcoffee",
        "completed_at": at(when) + 4,
        **more,
    }


def received(when: str, sat: int, description: str) -> dict[str, Any]:
    """A paid invoice in `history`."""
    return {
        "kind": "invoice",
        "at": at(when),
        "amount_msat": sat * 1000,
        "direction": "in",
        "status": "complete",
        "label": f"label {when}",
        "description": description,
        "payment_hash": f"{at(when):064x}",
    }


HISTORY: Final = [
    paid("20 12:03", 2_103, "Coffee at Bob's"),
    received("20 11:58", 50_000, "desk lamp"),
    paid("20 11:41", 250_000, "", status="pending", fee_msat=None, completed_at=None),
    paid(
        "20 10:20",
        10_000,
        "donation",
        status="failed",
        fee_msat=None,
        failure="No route: carol cannot pass on so much now.",
    ),
    {
        "kind": "deposit",
        "at": at("18 09:00"),
        "amount_msat": 2_500_000_000,
        "direction": "in",
        "status": "complete",
        "txid": "7c1e" * 16,
        "blockheight": 1_201,
    },
    paid("18 08:00", 5_000, "podcast", fee_msat=1_000),
    received("17 20:00", 120_000, "from carol"),
    {
        "kind": "channel_close",
        "at": at("17 09:00"),
        "amount_msat": 1_200_000_000,
        "waiting_msat": 1_200_000_000,
        "direction": "self",
        "status": "pending",
        "channel_id": CHANNEL_IDS["erin"],
        "peer_id": NODES["erin"],
        "txid": "c105" * 16,
        "blockheight": 1_204,
    },
    {
        "kind": "channel_open",
        "at": at("08 10:00"),
        "amount_msat": 1_000_000_000,
        "fee_msat": 612_000,
        "direction": "self",
        "status": "complete",
        "peer_id": NODES["bob"],
        "txid": "91aa" * 16,
        "opener": "local",
        "blockheight": 1_104,
    },
]


def coin(sat: int, txid: str, index: int, height: int | None, **more: Any) -> dict[str, Any]:
    """An output in `listfunds`."""
    status = {"status": "confirmed", "blockheight": height} if height else {"status": "unconfirmed"}
    return {
        "txid": txid * 16,
        "output": index,
        "amount_msat": sat * 1000,
        "address": f"bcrt1q{txid * 8}k2m9",
        "reserved": False,
        **status,
        **more,
    }


FEERATES: Final = {
    "perkw": {
        "floor": 253,
        "estimates": [
            {"blockcount": blocks, "feerate": rate}
            for blocks, rate in ((2, 1_000), (6, 500), (12, 400), (100, 253))
        ],
    }
}


def past(items: list[dict[str, Any]]) -> Reply:
    """`history` of these, by its filter."""

    def answer(params: dict[str, Any]) -> dict[str, Any]:
        wanted = params.get("filter", {})
        return {"history": [i for i in items if _fits(i, wanted)][: params["limit"]]}

    return answer


def _fits(item: dict[str, Any], wanted: dict[str, Any]) -> bool:
    """As `faces.rpc.history_filter` has it."""
    text = wanted.get("text", "").casefold()
    return (
        all(item[n] in wanted[n] for n in ("kind", "direction", "status") if n in wanted)
        and any(text in str(value).casefold() for value in item.values())
        and wanted.get("since", 0) <= item["at"] <= wanted.get("until", item["at"])
    )


ALICE: Final = "02c0ff" + "a1" * 28 + "ee01"
_PORTS: Final = {"bob": 9736, "carol": 9737, "dave": 9738, "erin": 9739}
PUBLIC_NODES: Final = [
    *(
        {
            "nodeid": NODES[name],
            "alias": name,
            "last_timestamp": at(seen),
            "features": "40" + "00" * 5 + "400000",
            "addresses": [{"type": "ipv4", "address": "127.0.0.1", "port": _PORTS[name]}],
        }
        for name, seen in (
            ("bob", "20 11:00"),
            ("carol", "20 11:50"),
            ("dave", "18 07:00"),
            ("erin", "20 09:00"),
        )
    ),
    {"nodeid": ALICE, "alias": "alice", "last_timestamp": at("20 09:00"), "addresses": []},
]


def public(one: str, two: str, sat: int, ppm: int, block: int) -> list[dict[str, Any]]:
    """Both directions of a channel in `listchannels`."""
    ids = {**NODES, "alice": ALICE}
    return [
        {
            "short_channel_id": f"{block}x1x0",
            "source": ids[source],
            "destination": ids[destination],
            "amount_msat": sat * 1000,
            "base_fee_millisatoshi": 1_000,
            "fee_per_millionth": ppm,
            "active": True,
        }
        for source, destination in ((one, two), (two, one))
    ]


PUBLIC_CHANNELS: Final = [
    *public("alice", "bob", 1_000_000, 50, 103),
    *public("alice", "carol", 1_000_000, 50, 110),
    *public("bob", "erin", 3_000_000, 100, 120),
    *public("bob", "dave", 2_000_000, 20, 121),
    *public("carol", "dave", 1_500_000, 20, 122),
    *public("dave", "erin", 2_000_000, 100, 123),
    *public("alice", "erin", 1_000_000, 50, 124),
]
PEERS: Final = [
    {"id": NODES["carol"], "connected": False, "num_channels": 1},
    *(
        {
            "id": NODES[name],
            "connected": True,
            "num_channels": 1,
            "netaddr": [f"127.0.0.1:{_PORTS[name]}"],
            "features": features,
        }
        for name, features in (
            ("bob", "40" + "00" * 2 + "40" + "00" + "400000"),
            ("dave", "400000"),
            ("erin", "80" + "00" * 1 + "400000"),
        )
    ),
]


BOB, CAROL, DAVE = NODES["bob"], NODES["carol"], NODES["dave"]
DAY: Final[list[tuple[str, str, dict[str, Any]]]] = [
    ("18 09:00", "block_added", {"height": 1_201, "hash": "00" * 32}),
    (
        "18 09:00",
        "transaction",
        {
            "txid": "7c1e" * 16,
            "amount_msat": 2_500_000_000,
            "direction": "in",
            "status": "confirmed",
        },
    ),
    ("20 10:20", "sendpay_failure", {
        "payment_hash": "6b" * 32, "partid": 0, "amount_msat": 10_000_000, "status": "failed",
        "failure": "no room at carol",
    }),
    ("20 10:20", "payment", {
        "payment_hash": "6b" * 32, "status": "failed", "amount_msat": 10_000_000,
        "destination": DAVE, "description": "donation", "failure": "No route.",
    }),
    ("20 11:50", "disconnect", {"id": CAROL}),
    ("20 11:55", "forward_event", {
        "payment_hash": "9f" * 32, "in_channel": "103x1x0", "out_channel": "110x1x0",
        "status": "settled", "in_msat": 21_002_000, "out_msat": 21_000_000, "fee_msat": 2_000,
    }),
    ("20 11:57", "invoice_creation", {"label": "tui-1", "description": "desk lamp",
                                      "amount_msat": 50_000_000, "status": "unpaid"}),
    ("20 11:58", "invoice_payment", {"label": "tui-1", "description": "desk lamp",
                                     "amount_msat": 50_000_000, "status": "paid"}),
    ("20 12:00", "channel_state_changed", {
        "channel_id": "d2" * 32, "peer_id": NODES["erin"], "old_state": "CLOSINGD_COMPLETE",
        "new_state": "ONCHAIN", "message": "Closed together.",
    }),
    ("20 12:00", "connect", {"id": BOB, "direction": "out", "address": "127.0.0.1:9736"}),
    ("20 12:03", "payment", {
        "payment_hash": "5c" * 32, "status": "complete", "amount_msat": 2_103_000,
        "destination": DAVE, "description": "Coffee at Bob's",
    }),
    ("20 12:04", "block_added", {"height": 1_204, "hash": "11" * 32}),
]  # fmt: skip
"""What the journal tells of that day: when, topic, and what the topic brings."""


def replies(**changed: Reply) -> dict[str, Reply]:
    """What the core of these scenes answers."""
    htlc = {
        "direction": "out",
        "id": 3,
        "amount_msat": 250_000_000,
        "expiry": 1_344,
        "payment_hash": HISTORY[2]["payment_hash"],
    }
    return {
        "getinfo": {
            "id": ALICE,
            "alias": "alice",
            "network": "regtest",
            "blockheight": 1_204,
        },
        "listfunds": {
            "outputs": [
                coin(1_499_388, "7c1e", 1, 1_201),
                coin(1_000_612, "0b44", 0, 793),
                coin(250_000, "5e0d", 0, None),
            ]
        },
        "listpeerchannels": {
            "channels": [
                channel("bob", 734_567, 1_000_000),
                channel("carol", 770_000, 1_000_000, peer_connected=False, htlcs=[htlc]),
                channel(
                    "dave",
                    500_000,
                    500_000,
                    state="CHANNELD_AWAITING_LOCKIN",
                    status=["CHANNELD_AWAITING_LOCKIN:Funding needs more confirmations."],
                ),
                channel(
                    "erin",
                    1_200_000,
                    2_000_000,
                    state="ONCHAIN",
                    status=["ONCHAIN:Settling on chain."],
                ),
            ]
        },
        "history": past(HISTORY),
        "feerates": FEERATES,
        "listnodes": lambda params: {
            "nodes": [n for n in PUBLIC_NODES if params.get("id") in (None, n["nodeid"])]
        },
        "listchannels": lambda params: {
            "channels": [c for c in PUBLIC_CHANNELS if params.get("source") in (None, c["source"])]
        },
        "listpeers": {"peers": PEERS},
        "court": court(CHANNEL_IDS),
        "events": {},
        **changed,
    }


@asynccontextmanager
async def opened(
    core: FakeCore,
    size: tuple[int, int] = (80, 24),
    monotonic: Callable[[], float] = lambda: 0.0,
    mining: str = "",
) -> AsyncIterator[Pilot[None]]:
    """The app on that core, its facts loaded."""
    app = Leyden(core.path, lambda: NOW, monotonic, mining=mining)
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: app.state.told)
        await settled(pilot)
        yield pilot


async def until(pilot: Pilot[None], holds: Any, what: str = "it") -> None:
    """Look again until it holds; the screen is in the failure."""
    for _ in range(3000):
        if holds():
            return
        await pilot.pause(0.01)
    raise AssertionError(f"waited for {what}; the screen is\n{grid(pilot)}")


async def settled(pilot: Pilot[None]) -> None:
    """Everything stale is loaded and drawn."""
    app = pilot.app
    assert isinstance(app, Leyden)
    await until(pilot, lambda: not app.is_stale and not app._loading, "the facts")
    await pilot.pause(0.15)


def strips(pilot: Pilot[None]) -> list[Strip]:
    """The screen in front as it is drawn. The one place that uses Textual's compositor."""
    return pilot.app.screen._compositor.render_strips()


def grid(pilot: Pilot[None]) -> str:
    """The screen in front as text."""
    lines = ["".join(s.text for s in strip) for strip in strips(pilot)]
    return "\n".join(line.rstrip() for line in lines) + "\n"


async def check(pilot: Pilot[None], name: str) -> None:
    """The screen is, or soon becomes, as `goldens/NAME-SIZE.txt` has it.

    LEYDEN_UPDATE_GOLDENS=1 writes them anew: look at what has changed, and draw the pictures
    (`tests.tools.pictures`) anew, too.
    """
    size = f"{pilot.app.size.width}x{pilot.app.size.height}"
    golden = GOLDENS / f"{name}-{size}.txt"
    if os.environ.get("LEYDEN_UPDATE_GOLDENS"):
        await pilot.pause(0.5)
        golden.write_text(grid(pilot))
    wanted = golden.read_text() if golden.exists() else "(there is none)"
    for _ in range(100):
        if grid(pilot) == wanted:
            return
        await pilot.pause(0.02)
    raise AssertionError(f"{golden.name} is another screen. Now it is\n{grid(pilot)}")


def assert_harmless(shown: str) -> None:
    """Nothing in it moves a cursor or hides."""
    for char in shown:
        assert char == "\n" or char.isprintable(), f"{char!r} reached the screen"
