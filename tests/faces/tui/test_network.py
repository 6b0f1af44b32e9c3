"""Network: peers, how large the public network is, and one node of it in full."""

from datetime import timedelta
from typing import Any

import pytest

from tests.faces.tui import scenes
from tests.faces.tui.corpus import INJECTIONS
from tests.faces.tui.fake_core import FakeCore, Refusal
from tests.faces.tui.money import paste
from tests.faces.tui.scenes import (
    ALICE,
    NODES,
    NOW,
    PEERS,
    SIZES,
    assert_harmless,
    check,
    grid,
    opened,
    settled,
    until,
)
from wallet.faces.tui import survey
from wallet.faces.tui.app import Leyden
from wallet.faces.tui.facts_network import Network, offers


async def test_network__a_node_in_full(core: FakeCore) -> None:
    async with opened(core) as pilot:
        await pilot.press("4", "tab", "j", "j", "enter")
        await check(pilot, "network-node")
        await pilot.press("escape", "g", "j", "j", "j", "enter")
        await until(pilot, lambda: "! not connected" in grid(pilot), "a peer that is away")


async def test_network__is_looked_at_only_when_it_is_opened(core: FakeCore) -> None:
    """The whole lists are huge on the main network: once when opened, then once a minute."""

    def whole(method: str) -> int:
        return sum(not params for params in core.asked(method))

    async with opened(core) as pilot:
        assert whole("listnodes") == whole("listchannels") == 0
        await pilot.press("4")
        await until(pilot, lambda: "5 nodes · 7 channels" in grid(pilot), "the counts")
        for number in range(3):
            await core.tell("block_added", height=1_205 + number)
            await settled(pilot)
        await pilot.press("1", "4")
        await settled(pilot)
        assert whole("listnodes") == whole("listchannels") == 1
        app = pilot.app
        assert isinstance(app, Leyden)
        app.state.clock = lambda: NOW + timedelta(seconds=61)
        await core.tell("block_added", height=1_209)
        await until(pilot, lambda: whole("listchannels") == 2, "the next look")


async def test_network__of_many_nodes_is_counted_and_not_listed(core: FakeCore) -> None:
    core.replies["metrics"] = {
        "gossip_nodes": 15_412,
        "gossip_channels": 44_901,
        "gossip_capacity_msat": 480_000_000_000_000,
    }
    async with opened(core) as pilot:
        await pilot.press("4")
        await until(pilot, lambda: "15,412 nodes · 44,901 channels · 480" in grid(pilot), "counts")
        assert "too many to list: / finds one" in grid(pilot)
        assert {} not in core.asked("listnodes")
        await pilot.press("slash")
        await paste(pilot, NODES["erin"])
        await pilot.press("enter")
        await until(pilot, lambda: "Known nodes 1" in grid(pilot), "the node")
        assert {} not in core.asked("listnodes"), "one node was wanted, and all were asked for"
        await pilot.press("escape", "slash", *"caro", "enter")
        await until(pilot, lambda: "Known nodes 1" in grid(pilot), "the node of that name")
        assert {} in core.asked("listnodes")
        assert {} not in core.asked("listchannels")


async def test_network__of_a_core_that_does_not_count(
    core: FakeCore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(survey, "MOST_NODES", 3)
    async with opened(core) as pilot:
        await pilot.press("4")
        await until(pilot, lambda: "Network  5 nodes" in grid(pilot), "the count")
        await until(pilot, lambda: "Peers 3 of 4" in grid(pilot), "the peers")
        assert {} not in core.asked("listchannels")
        await pilot.press("tab")
        await until(pilot, lambda: "> carol" in grid(pilot), "whoever was seen last, the first")


async def test_network__nothing_yet(core: FakeCore) -> None:
    core.replies |= {
        "listpeers": {"peers": []},
        "listnodes": {"nodes": []},
        "listchannels": {"channels": []},
        "listpeerchannels": {"channels": []},
    }
    async with opened(core) as pilot:
        await pilot.press("4")
        await until(pilot, lambda: "none yet" in grid(pilot), "the empty list")
        await check(pilot, "network-empty")


@pytest.mark.parametrize("missing", ["listpeers", "listnodes"])
async def test_network__what_a_node_lacks_it_says(core: FakeCore, missing: str) -> None:
    del core.replies[missing]
    async with opened(core) as pilot:
        await pilot.press("4")
        await until(pilot, lambda: "this node does not list them" in grid(pilot), "the sentence")


async def test_network__is_found_and_copied(core: FakeCore) -> None:
    async with opened(core) as pilot:
        await pilot.press("4", "slash", *"dav", "enter")
        await until(pilot, lambda: "/dav  2 found" in grid(pilot), "the peer and the node")
        assert "bob" not in grid(pilot)
        await pilot.press("y")
        await until(pilot, lambda: "address copied" in grid(pilot), "the notice")
        assert pilot.app.clipboard == f"{NODES['dave']}@127.0.0.1:9738"


async def test_network__what_is_copied_can_be_called(core: FakeCore) -> None:
    """A peer that called us came from a port that nobody listens at: its announced one counts."""
    core.replies["listpeers"] = {"peers": [{**PEERS[1], "netaddr": ["127.0.0.1:52113"]}]}
    async with opened(core) as pilot:
        await pilot.press("4")
        await until(pilot, lambda: "Known nodes 5" in grid(pilot), "the network")
        await until(pilot, lambda: "Peers 1 of 1" in grid(pilot), "the peer")
        await pilot.press("y")
        await until(pilot, lambda: "copied" in grid(pilot), "the notice")
        assert pilot.app.clipboard == f"{NODES['bob']}@127.0.0.1:9736"


async def test_disconnect(core: FakeCore) -> None:
    core.replies["disconnect"] = Refusal(-1, "Peer has a channel: use force=true")
    async with opened(core) as pilot:
        await pilot.press("4")
        await until(pilot, lambda: "> ✓ erin" in grid(pilot), "the peers")
        await pilot.press("d")
        await until(pilot, lambda: "✗ erin stays: Peer has a channel" in grid(pilot), "why")
        core.replies["disconnect"] = {}
        await pilot.press("d")
        await until(pilot, lambda: "✓ Disconnected from erin" in grid(pilot), "that it is done")
        asked = len(core.asked("disconnect"))
        await pilot.press("j", "j", "j", "d")
        await until(pilot, lambda: "There is no link to carol" in grid(pilot), "nothing to end")
        assert len(core.asked("disconnect")) == asked == 2


async def test_connect__opens_its_sheet(core: FakeCore) -> None:
    async with opened(core) as pilot:
        await pilot.press("4", "c")
        await until(pilot, lambda: "it has no connect" in grid(pilot), "what is missing")
    core.replies["connect"] = {}
    async with opened(core) as pilot:
        await pilot.press("4", "c")
        await until(pilot, lambda: "ID@HOST:PORT" in grid(pilot), "the sheet")


async def test_injection__every_line_and_detail_is_as_ordered(core: FakeCore) -> None:
    ids = [f"{number:066x}" for number in range(len(INJECTIONS))]
    nodes = [
        {
            "nodeid": node_id,
            "alias": evil,
            "features": evil,
            "last_timestamp": 5,
            "addresses": [{"type": "dns", "address": evil, "port": 1}],
        }
        for node_id, evil in zip(ids, INJECTIONS, strict=True)
    ]
    core.replies |= {
        "listpeers": {
            "peers": [
                {"id": i, "connected": True, "num_channels": 1, "netaddr": [e], "features": e}
                for i, e in zip(ids, INJECTIONS, strict=True)
            ]
        },
        "listnodes": lambda params: {
            "nodes": [n for n in nodes if params.get("id") in (None, n["nodeid"])]
        },
        "listchannels": {
            "channels": [
                {"source": i, "destination": i, "short_channel_id": e, "amount_msat": 1}
                for i, e in zip(ids, INJECTIONS, strict=True)
            ]
        },
    }
    async with opened(core, SIZES["120x40"]) as pilot:
        await pilot.press("4")
        await until(pilot, lambda: f"{len(ids)} nodes" in grid(pilot), "the network")
        for _ in range(2 * len(INJECTIONS)):
            shown = grid(pilot)
            assert_harmless(shown)
            assert not [line for line in shown.splitlines()[2:36] if "│" not in line]
            await pilot.press("j")


# --- reading ------------------------------------------------------------------------------------


def test_counted__each_channel_once() -> None:
    from wallet.faces.tui import facts_network

    network = facts_network.counted(
        facts_network.nodes({"nodes": scenes.PUBLIC_NODES}),
        facts_network.channels({"channels": scenes.PUBLIC_CHANNELS}),
    )
    assert (network.nodes, network.channels, network.capacity) == (5, 7, 11_500_000_000)
    assert [n.channels for n in network.known] == [3, 3, 3, 3, 2]
    us = next(n for n in network.known if n.node_id == ALICE)
    assert us.fee == (1_000, 50)
    assert us.capacity == 3_000_000_000


@pytest.mark.parametrize("wrong", [None, 5, "zz", "0", [], {}])
def test_offers__of_what_is_no_feature_field(wrong: Any) -> None:
    assert offers(wrong) == ()


def test_offers__both_bits_of_a_feature_are_one_word() -> None:
    assert offers("400000") == offers("800000") == ("anchors",)


async def test_survey__without_any_of_the_lists() -> None:
    class Dumb:
        def can(self, *_: str) -> bool:
            return False

    dumb: Any = Dumb()
    assert await survey.survey(dumb) == Network()
