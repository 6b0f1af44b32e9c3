"""A core whose coins and channels can be moved, and the hands that drive the sheets for it."""

from typing import Any, Final

from textual import events
from textual.pilot import Pilot

from tests.faces.tui.fake_core import FakeCore, Reply
from tests.faces.tui.scenes import NODES, grid, until
from wallet.faces.tui.app import Leyden
from wallet.faces.tui.sheets.review import Reviewed

TXID: Final = "7c1e" * 16
CHANNEL_ID: Final = "ab" * 32
ADDRESS: Final = "bcrt1q6rhpng9evdsfnn833a4f4vej0asu6dk5srld6x"
FEERATES: Final = {
    "perkw": {
        "opening": 500,
        "floor": 253,
        "estimates": [
            {"blockcount": blocks, "feerate": rate}
            for blocks, rate in ((2, 1_000), (6, 500), (12, 400), (100, 253))
        ],
    },
    "onchain_fee_estimates": {"mutual_close_satoshis": 337},
}
PEERS: Final = [
    {"id": NODES["carol"], "connected": False},
    {"id": NODES["bob"], "connected": True, "netaddr": ["127.0.0.1:9736"]},
    {"id": NODES["dave"], "connected": True, "netaddr": ["127.0.0.1:9738"]},
]


def moving(replies: dict[str, Reply]) -> dict[str, Reply]:
    """What the core answers beside the facts of `scenes`."""
    channels: Any = replies["listpeerchannels"]
    for channel in channels["channels"]:
        channel |= {"opener": "local", "our_to_self_delay": 144, "last_tx_fee_msat": 562_000}
    return {
        "feerates": FEERATES,
        "listpeers": lambda params: {
            "peers": [peer for peer in PEERS if params.get("id") in (None, peer["id"])]
        },
        "listconfigs": {"configs": {"funding-confirms": {"value_int": 3}}},
        "connect": {
            "id": NODES["carol"],
            "direction": "out",
            "address": {"type": "ipv4", "address": "127.0.0.1", "port": 9737},
        },
        "fundchannel": {"txid": TXID, "channel_id": CHANNEL_ID, "mindepth": 3},
        "withdraw": {"txid": TXID},
        "close": {"txids": [TXID], "type": "mutual"},
        "setchannel": {"channels": []},
    }


async def paste(pilot: Pilot[None], text: str) -> None:
    """As a terminal with bracketed paste gives it to the field in front."""
    assert pilot.app.screen.focused is not None
    pilot.app.screen.focused.post_message(events.Paste(text))
    await pilot.pause()


async def learnt(pilot: Pilot[None]) -> None:
    """The sheet in front has heard from the core what it shows."""
    await until(pilot, lambda: _sheet(pilot)._began, "the sheet to be ready")
    await pilot.pause()


async def armed(pilot: Pilot[None]) -> None:
    """The review is there, and its letter acts."""
    await until(pilot, lambda: _sheet(pilot).armed, "the letter to be armed")
    await pilot.pause()


def _sheet(pilot: Pilot[None]) -> Reviewed:
    sheet = pilot.app.screen
    assert isinstance(sheet, Reviewed), f"another screen is in front:\n{grid(pilot)}"
    return sheet


async def until_shown(pilot: Pilot[None], words: str) -> None:
    """The words stand on the screen."""
    await until(pilot, lambda: words in grid(pilot), words)


def told(pilot: Pilot[None]) -> str:
    """What the notice row would say if nothing else was wrong."""
    assert isinstance(pilot.app, Leyden)
    return pilot.app.state.notice[0]


ACTING: Final = ("fundchannel", "withdraw", "close", "setchannel")


def acted(core: FakeCore) -> list[str]:
    """What the core was asked to change, in order."""
    return [method for method, _ in core.calls if method in ACTING]
