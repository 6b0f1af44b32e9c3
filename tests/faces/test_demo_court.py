"""Stories of the court, to the sat: a cheat, a peer that vanishes, a reorganisation."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from wallet.base.errors import Refused
from wallet.faces.demo.audit import audit, count_money
from wallet.faces.demo.cheat import Cheat
from wallet.faces.demo.looks import linked
from wallet.faces.demo.old_copy import go_back, keep_copy
from wallet.faces.demo.opening import bring_up
from wallet.faces.demo.own_channel import STAKE_SAT, OwnChannel
from wallet.faces.demo.sights import ChannelBook, look
from wallet.faces.demo.stories import STORIES
from wallet.faces.demo.telling import Heading, Report, tell
from wallet.faces.demo.town import Node, Town
from wallet.faces.demo.traffic import Traffic
from wallet.faces.demo.vanish import BOAT_SAT, Vanish

FORGET_DEPTH = 100
HELD_SAT = STAKE_SAT - BOAT_SAT
FEES_SAT = 2_000
"""More than alice's part of a close costs at regtest's fee rate."""


class Audience:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def step(self, heading: Heading) -> None:
        self.told.append(str(heading))

    def say(self, sentence: str) -> None:
        self.told.append(sentence)

    fault = say


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """One town for the whole file; each story leaves it whole."""
    directory = tmp_path_factory.mktemp("town")
    with Town(directory) as town:
        bring_up(town)
        yield town
        for log in directory.glob("*.log"):
            assert "Traceback" not in log.read_text(), log


@pytest.fixture
def traffic(town: Town) -> Iterator[Traffic]:
    traffic = Traffic(town)
    traffic.set_rate(10)
    yield traffic
    traffic.set_rate(0)
    with traffic.paused():
        traffic.close()


def told(story: OwnChannel) -> tuple[Report, list[str]]:
    audience = Audience()
    story._say = audience.say
    return tell(story, audience), audience.told


@pytest.mark.parametrize(
    ("name", "steps", "payments", "transactions", "words"),
    [
        (
            "cheat",
            ["open", "copy", "pay", "cheat", "caught"],
            2,
            4,
            [
                "alice's court says of an old state: 999,056 sat would be hers.",
                "closes the channel by force",
                "erin, who wanted 500,000 sat back, has lost the 400,000 that were hers.",
                "That is 398,822 for alice; the miners got 518, and 660 are left in anchors.",
            ],
        ),
        (
            "vanish",
            ["open", "promise", "vanish", "court", "back"],
            1,
            6,
            [
                "by force: the peer has neither paid nor failed HTLC 1 of 120,000,000 msat",
                "the 120,000 sat of the promise are taken back, too deep to be undone",
                "takes it for a fee of 112 sat",
                "The court has cost alice 1,501 sat, 660 of them left in anchors;",
            ],
        ),
        (
            "reorg",
            ["open", "reorg", "again", "pay", "close"],
            2,
            2,
            [
                "The channel's funding is in no block any more",
                "alice still has 800,000 sat in it, erin 200,000.",
                "That is 250,000 for what was bought and 338 in fees",
            ],
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_story_before_the_court__in_a_town_with_traffic(
    town: Town,
    traffic: Traffic,
    name: str,
    steps: list[str],
    payments: int,
    transactions: int,
    words: list[str],
) -> None:
    # Twice: what the first telling has left must not spoil the second.
    for _ in range(2):
        story = STORIES[name](town, lambda _: None, traffic)
        assert isinstance(story, OwnChannel)
        report, sentences = told(story)
        said = "\n".join(sentences)
        assert report.ok, said
        assert [step.name for step in report.steps] == ["ready", *steps, "money check"]
        assert (report.footprint["payments"], report.footprint["chain_transactions"]) == (
            payments,
            transactions,
        )
        assert [word for word in words if word not in said] == [], said
        assert report.money_check["mined_sat"] == report.money_check["found_sat"]
    living = [
        channel
        for node in town.nodes.values()
        for channel in node.call("listpeerchannels")["channels"]
        if channel["state"] == "CHANNELD_NORMAL"
    ]
    assert len(living) == 14
    assert town.chain.call("getrawmempool") == []
    assert not (town.directory / "old-copy").exists()


class Watched(Vanish):
    """The peer is back while the promise is still before the court, and every block is audited."""

    def _court(self) -> None:
        self._town.start(self._peer)
        self.waiting: list[int] = []
        super()._court()

    def _payment_status(self) -> str:
        self._town.wait_until("nothing is in no block", self._mined)
        found = audit(self._town, None)
        assert found.in_the_way == (), "no node forgets an HTLC before the chain has"
        assert found.money is not None
        assert found.money.ok, found.money.faults
        owners = found.money.owners.items()
        self.waiting.append(sum(n for who, n in owners if who.startswith("a claim that waits")))
        return super()._payment_status()

    def _mined(self) -> bool:
        if self._town.chain.call("getrawmempool"):
            self._town.mine(1)
            return False
        return True

    def _back(self) -> None:
        """It is."""


def test_the_money_check_holds_at_every_block_of_a_close(town: Town) -> None:
    story = Watched(town, lambda _: None)
    report, sentences = told(story)
    assert report.ok, sentences[-2:]
    # Alice's share and what her HTLC transaction has taken back wait: of both she pays the fees.
    assert HELD_SAT - FEES_SAT < max(story.waiting) - min(story.waiting) < HELD_SAT
    assert {channel["htlcs"] for channel in ChannelBook().update(look(town), town)} == {0}
    # Once all is forgotten the anchors are still known for what they are.
    town.mine(FORGET_DEPTH + 1)
    closed = story._opener.call("listclosedchannels")["closedchannels"]
    assert story._close_txid in {channel["last_commitment_txid"] for channel in closed}
    money = count_money(town)
    assert money.ok, money.faults
    assert [owner for owner in money.owners if "claim" in owner] == []
    assert money.owners["anchors that anybody may sweep"] % 660 == 0


class Busy(Cheat):
    """Somebody else's payment goes through the cheat's other channels after the copy."""

    def _buy(self) -> None:
        super()._buy()
        self._settle("dave", "erin", 1_000, "a letter")


def test_a_cheat_that_would_lose_other_channels_is_not_done(town: Town) -> None:
    erin = town.nodes["erin"]
    story = Busy(town, lambda _: None)
    report, sentences = told(story)
    assert [(step.name, step.ok) for step in report.steps][-1] == ("cheat", False)
    assert "which her old copy would lose too: nothing was done" in sentences[-1]
    # She is back with what she has on her disk, and they part as friends.
    story._await_usable()
    assert erin.call("close", id=story._channel_id)["type"] == "mutual"
    town.mine(1)
    town.wait_until("every channel works", lambda: all(map(linked, town.nodes.values())))
    assert count_money(town).ok
    assert not (town.directory / "old-copy").exists()


class Abroad(Node):
    """On another network."""

    def call(self, method: str, **params: object) -> Any:
        assert method == "getinfo"
        return {"network": "signet"}

    def stop(self) -> None:
        raise AssertionError("it was stopped")


def test_going_back__on_regtest_only(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="erin is on signet: only on regtest may a node go back"):
        keep_copy(Abroad("erin", tmp_path), tmp_path / "copy")
    assert list(tmp_path.iterdir()) == []


def test_going_back__not_while_it_runs(town: Town, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="erin runs: its files cannot be replaced"):
        go_back(town.nodes["erin"], tmp_path)


def test_going_back__leaves_nothing_of_what_came_later(tmp_path: Path) -> None:
    node, copy = Node("erin", tmp_path), tmp_path / "copy"
    files = node.directory / "regtest"
    for directory, names in ((files, ("db", "db-wal")), (copy, ("db",))):
        directory.mkdir(parents=True)
        for name in names:
            (directory / name).write_text(directory.name)
    go_back(node, copy)
    assert {file.name: file.read_text() for file in files.iterdir()} == {"db": "copy"}
    assert not copy.exists()
