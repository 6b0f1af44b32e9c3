"""What the town's screen is told, without a town: words for transactions, order of messages."""

import asyncio
import socket
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest

from wallet.base.errors import Refused, ServiceFault
from wallet.faces.demo import sights
from wallet.faces.demo.blocks import Channel, Register, describe
from wallet.faces.demo.chain import FAUCET_SCRIPT
from wallet.faces.demo.children import Child
from wallet.faces.demo.desk import Desk
from wallet.faces.demo.feed import Feed
from wallet.faces.demo.flows import HOLD_SECONDS, Merged
from wallet.faces.demo.following import Message, path_of
from wallet.faces.demo.layout import ALIASES
from wallet.faces.demo.stories import STORIES
from wallet.faces.demo.story import Step, Story
from wallet.faces.demo.telling import Heading, tell
from wallet.faces.demo.town import Node, Town

FAUCET = FAUCET_SCRIPT.hex()
OTHER = "0014" + "0b" * 20


def tx(
    *spent: tuple[str, int],
    paid: tuple[int, ...] = (1_000,),
    script: str = OTHER,
    forced: bool = False,
) -> dict[str, Any]:
    """A transaction `t` as the chain shows it; all that it spends had `script`.

    `forced`: with the marks of a commitment.
    """
    return {
        "txid": "t",
        "locktime": (0x20 << 24) + 5 if forced else 0,
        "vin": [
            {
                "txid": txid,
                "vout": vout,
                "sequence": (0x80 << 24) + 7 if forced else 0xFFFFFFFD,
                "prevout": {"scriptPubKey": {"hex": script}},
            }
            for txid, vout in spent
        ],
        "vout": [
            {"n": n, "value": Decimal(sat) / 100_000_000, "scriptPubKey": {"hex": OTHER}}
            for n, sat in enumerate(paid)
        ],
    }


@pytest.fixture
def register() -> Register:
    known = Register()
    between = Channel("c1", "you", "bob", 2_000_000)
    known.fundings["f", 0] = between
    known.fundings["g", 0] = Channel("c2", "carol", "you", 3_000_000, closer="you")
    known.commitments["x"] = between
    known.owners.update({("a", 0): "you", ("b", 0): "bob", ("t", 0): "carol", ("t", 2): "you"})
    return known


@pytest.mark.parametrize(
    ("made", "kind", "text", "nodes"),
    [
        (tx(("f", 0)), "close", "alice and bob close their channel of 2,000,000 sat", "you bob"),
        (
            tx(("f", 0), forced=True),
            "force_close",
            "the channel of alice and bob is closed by force",
            "you bob",
        ),
        (
            tx(("g", 0), forced=True),
            "force_close",
            "alice closes the channel with carol by force",
            "carol you",
        ),
        (tx(("x", 3)), "claim", "a claim on what the channel of alice and bob has left", "you bob"),
        (
            tx(("a", 0), ("b", 0), paid=(700, 60, 5)),
            "payment",
            "alice and bob pay carol and somebody 760 sat",
            "you bob carol",
        ),
        # What comes back to the payer is change.
        (tx(("a", 0), paid=(700, 0, 9_999)), "payment", "alice pays carol and somebody 700 sat",
         "you carol"),
        (tx(("z", 0), paid=(700,)), "payment", "somebody pays carol 700 sat", "carol"),
        (tx(("z", 0), script=FAUCET), "deposit", "the faucet gives carol 1,000 sat", "carol"),
    ],
)  # fmt: skip
def test_transactions_in_words(
    register: Register, made: dict[str, Any], kind: str, text: str, nodes: str
) -> None:
    told = describe(made, register, ALIASES)
    assert (told["kind"], told["text"], told["nodes"]) == (kind, text, nodes.split())


def test_a_wallet_moves_its_own_coins(register: Register) -> None:
    register.owners["t", 0] = "you"
    told = describe(tx(("a", 0)), register, ALIASES)
    assert (told["text"], told["amount_sat"]) == ("alice moves its own coins", 0)


# --- messages -----------------------------------------------------------------------------------


def row(at: float, name: str = "") -> dict[str, Any]:
    return {"at": at, "name": name}


async def told(merged: Merged) -> list[float]:
    return [item["at"] for _, item in (await merged.feed.page(0)).items]


async def test_messages_come_in_order_of_time__whoever_tells_first() -> None:
    merged = Merged()
    merged.take([row(10.0), row(10.2)])
    merged.take([row(9.9), row(10.1)])
    merged.release(10.1 + HOLD_SECONDS)
    assert await told(merged) == [9.9, 10.0, 10.1]
    # One who stood still tells late: then it comes late, with its own time.
    merged.take([row(9.0)])
    merged.release(10.2 + HOLD_SECONDS)
    assert await told(merged) == [9.9, 10.0, 10.1, 9.0, 10.2]


async def test_a_feed_wakes_all_who_wait() -> None:
    feed: Feed[str] = Feed(10)
    start = (await feed.page(None)).next_seq
    waiting = [asyncio.create_task(feed.page(start, 30)) for _ in range(2)]
    await asyncio.sleep(0)
    feed.add("one")
    assert [(await task).items for task in waiting] == [[(start, "one")]] * 2
    feed.add("two")
    assert (await feed.page(start, 30, limit=1)).next_seq == start + 1
    assert (await feed.page(start + 1, 30)).items == [(start + 1, "two")]
    assert (await feed.page(start + 2, 0.01)).items == []


# --- stories ------------------------------------------------------------------------------------


class Audience:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def step(self, heading: Heading) -> None:
        self.told.append(str(heading))

    def say(self, sentence: str) -> None:
        self.told.append(sentence)

    def fault(self, sentence: str) -> None:
        self.told.append(f"fault: {sentence}")


class Unlucky(Story):
    """Its second step does not hold, and what the first one did cannot be undone either."""

    TITLE = "a test"

    @property
    def steps(self) -> tuple[Step, ...]:
        return ("one", "first", self._one), ("two", "second", self._two), ("three", "", self._two)

    def _one(self) -> None:
        self._mending.callback(self._undo)
        self._say("done")

    def _two(self) -> None:
        raise ServiceFault("No.")

    def _undo(self) -> None:
        self._say("undone")
        raise ServiceFault("Not quite.")


def test_a_story_that_fails_puts_right_what_it_changed() -> None:
    audience = Audience()
    report = tell(Unlucky(cast(Town, None), audience.say), audience)
    assert audience.told == [
        " 1  one: first",
        "done",
        " 2  two: second",
        "fault: This did not hold. No.",
        "undone",
        "fault: What the story had changed is not as it was. Not quite.",
    ]
    assert [(step.name, step.ok) for step in report.steps] == [("one", True), ("two", False)]
    assert report.ok is False


async def test_one_story_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(STORIES, "hops", Unlucky)
    desk = Desk(cast(Town, None))
    try:
        since, telling = desk.begin_story("hops")
        with pytest.raises(Refused, match="the story 'hops' is being told"):
            desk.begin_story("dry")
        report = await telling
        page = await desk.captions.feed.page(since, 5)
        assert [caption["text"] for _, caption in page.items][:3] == ["a test", "first", "done"]
        assert page.items[-1][1]["report"]["ok"] is report["ok"] is False
        await desk.begin_story("hops")[1]
    finally:
        desk.close()


def message(kind: str, way: str, msat: int = 100, expiry: int = 50, htlc_id: int = 0) -> Message:
    """`way` is one letter for each end; every pair of nodes has one channel."""
    return Message(0.0, way[0], way[1], kind, "".join(sorted(way)), htlc_id, msat, expiry)


KEPT = [
    message("add", "ab", 103, 70),
    message("fail", "ba", 103, 70),
    message("add", "ac", 102, 60),
    message("add", "cd", 100, 50),
    message("fulfill", "dc", 100, 50),
    message("fulfill", "ca", 102, 60),
]


def test_the_path_of_a_payment() -> None:
    assert [m.receiver for m in path_of(KEPT, "a", "d")] == ["c", "d"]


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({4: message("fail", "dc")}, "the money has reached c"),
        ({3: message("add", "bd", 100, 50), 4: message("fulfill", "db")}, "are not one chain"),
        ({3: message("add", "cd", 103, 50)}, "c has passed on more than it got"),
        ({3: message("add", "cd", 100, 60)}, "c has no time to claim"),
        ({4: KEPT[5], 5: KEPT[4]}, "the secret did not come back hop by hop"),
    ],
)
def test_the_path_of_a_payment__what_cannot_be(changed: dict[int, Message], fault: str) -> None:
    messages = [changed.get(n, said) for n, said in enumerate(KEPT)]
    with pytest.raises(ServiceFault, match=fault):
        path_of(messages, "a", "d")


# --- who does not answer ------------------------------------------------------------------------


def test_a_silent_node_is_not_waited_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sights, "PATIENCE_SECONDS", 0.05)

    class Running(Child):
        running = True
        pid = 7

    class Alone:
        nodes: dict[str, Node]

    node = Node("bob", tmp_path)
    node.child = Running("bob", tmp_path / "log")
    node.rpc_file = tmp_path / "s"
    town = Alone()
    town.nodes = {"bob": node}
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(node.rpc_file))
        listener.listen()
        [sight] = sights.look(cast(Town, town))
    assert sight.shown == {"alias": "bob", "running": True, "frozen": False, "pid": 7}
    assert sight.channels == []
