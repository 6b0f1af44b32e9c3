"""`leyden demo up` and what one can do with a town: its contract, its faults, its traffic."""

import json
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.support.towns import (
    NAMES,
    a_town,
    ask,
    ask_town,
    demo,
    holders,
    kill,
    nothing_is_left,
    programs,
    refusal,
    start,
)

Town = dict[str, Any]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("town")


@pytest.fixture(scope="module")
def town(home: Path) -> Iterator[Town]:
    """One town for the whole file; each test leaves it whole."""
    with a_town(home, "--json") as described:
        yield described
    assert holders(home) == [], "the town has left programs behind"


def channels(town: Town) -> dict[str, tuple[str, int, int]]:
    """State and shares of every channel, by its id."""
    found: dict[str, list[tuple[str, int]]] = {}
    for name in NAMES:
        for channel in ask(town, name, "listpeerchannels")["channels"]:
            side = (channel["state"], channel["to_us_msat"])
            found.setdefault(channel["channel_id"], []).append(side)
    return {key: (a[0], min(a[1], b[1]), max(a[1], b[1])) for key, (a, b) in found.items()}


def at_rest(town: Town) -> None:
    """Until no payment is under way."""
    deadline = time.monotonic() + 90
    while any(
        c["htlcs"] for name in NAMES for c in ask(town, name, "listpeerchannels")["channels"]
    ):
        assert time.monotonic() < deadline, "payments are still under way after 90 s"
        time.sleep(0.05)


def pay(town: Town, payer: str, payee: str, msat: int) -> Any:
    label = f"{payer} {payee} {time.monotonic_ns()}"
    invoice = ask(town, payee, "invoice", amount_msat=msat, label=label, description="a test")
    return ask(town, payer, "pay", bolt11=invoice["bolt11"])


# --- the contract --------------------------------------------------------------------------------


def test_up__prints_the_contract(town: Town, home: Path) -> None:
    assert list(town) == ["chain", "town-rpc", "nodes"]
    assert list(town["chain"]) == ["url", "cookie"]
    assert Path(town["chain"]["cookie"]).read_text().startswith("__cookie__:")
    assert town["town-rpc"] == str(home / "town-rpc")
    assert tuple(town["nodes"]) == NAMES
    for name, node in town["nodes"].items():
        assert list(node) == ["id", "dir", "rpc-file", "listen"]
        assert node["dir"] == str(home / name)
        info = ask(town, name, "getinfo")
        assert info["id"] == node["id"]
        assert info["alias"] == ("alice" if name == "you" else name)
        assert node["listen"].startswith("127.0.0.1:")


def test_the_channels_are_balanced(town: Town) -> None:
    sizes = sorted(low + high for _, low, high in channels(town).values())
    assert [size // 1_000_000_000 for size in sizes] == [2, 2, 3, 4, 5, 5, 6]
    assert all(low > 0.4 * (low + high) for _, low, high in channels(town).values())
    assert all(state == "CHANNELD_NORMAL" for state, _, _ in channels(town).values())


def test_up_again__reports_the_same_town(town: Town, home: Path) -> None:
    running = len(programs(home))
    assert demo(home, "up", "--json") == town
    assert len(programs(home)) == running


def test_the_channel_with_the_lsp(town: Town) -> None:
    peers = {c["peer_id"]: c for c in ask(town, "you", "listpeerchannels")["channels"]}
    lsp = peers[town["nodes"]["lsp"]["id"]]
    assert lsp["private"] is True
    assert "zeroconf/even" in lsp["channel_type"]["names"]
    assert peers[town["nodes"]["bob"]["id"]]["private"] is False


def test_everybody_has_the_same_map(town: Town) -> None:
    maps = []
    for name in NAMES:
        known = ask(town, name, "listchannels")["channels"]
        maps.append({(c["short_channel_id"], c["direction"]) for c in known if c["public"]})
        nodes = ask(town, name, "listnodes")["nodes"]
        assert {n.get("alias") for n in nodes} == {"alice", *NAMES} - {"you"}
    assert all(len(known) == 12 and known == maps[0] for known in maps)


def test_everybody_pays_everybody(town: Town) -> None:
    pairs = [(one, other) for one in NAMES for other in NAMES if one != other]
    hops = 0
    for payer, payee in pairs:
        paid = pay(town, payer, payee, 1_000_000)
        assert paid["status"] == "complete"
        hops += paid["amount_sent_msat"] > paid["amount_msat"]
    # All but the two ends of each of the seven channels, at least.
    assert hops >= len(pairs) - 14


# --- town-rpc ------------------------------------------------------------------------------------


def test_status(town: Town, home: Path) -> None:
    status = demo(home, "status")
    assert status["whole"] is True
    assert {node["blockheight"] for node in status["nodes"].values()} == {status["blockheight"]}
    assert all(node["running"] and not node["frozen"] for node in status["nodes"].values())
    pairs = {frozenset(channel["nodes"]): channel for channel in status["channels"]}
    assert len(pairs) == 7
    private = pairs[frozenset({"you", "lsp"})]
    assert private["private"] is True
    assert set(private["to_msat"]) == {"you", "lsp"}
    assert sum(private["to_msat"].values()) == private["total_msat"] == 2_000_000_000
    assert all(channel["connected"] for channel in status["channels"])
    stories = ["first", "hops", "offline", "dry", "cheat", "vanish", "reorg"]
    assert list(status["stories"]) == stories


def test_status__figures_of_each_node(town: Town, home: Path) -> None:
    at_rest(town)
    before = ask_town(town, "status")["nodes"]
    pay(town, "you", "dave", 1_000_000)
    at_rest(town)
    after = ask_town(town, "status")["nodes"]
    grown = {
        name: {what: n - before[name]["payments"][what] for what, n in node["payments"].items()}
        for name, node in after.items()
    }
    nothing = {"made": 0, "received": 0, "forwarded": 0}
    assert grown["you"] == {**nothing, "made": 1}
    assert grown["dave"] == {**nothing, "received": 1}
    between = [name for name, counts in grown.items() if counts == {**nothing, "forwarded": 1}]
    assert len(between) >= 2
    earned = {n: after[n]["fees_earned_msat"] - before[n]["fees_earned_msat"] for n in NAMES}
    assert {n for n, msat in earned.items() if msat > 0} == set(between)
    paid = 1_000_000 + sum(earned.values())
    assert before["you"]["can_send_msat"] - after["you"]["can_send_msat"] == paid
    assert after["you"]["can_receive_msat"] > before["you"]["can_receive_msat"]
    assert [node["channels"] for node in after.values()] == [2, 3, 3, 2, 2, 2]
    assert after["you"]["alias"] == "alice"


def test_mine(town: Town, home: Path) -> None:
    before = ask(town, "you", "getinfo")["blockheight"]
    assert demo(home, "mine", "3") == {"blockheight": before + 3}
    assert {ask(town, name, "getinfo")["blockheight"] for name in NAMES} == {before + 3}


@pytest.mark.parametrize("kind", ["stop", "kill"])
def test_fault__a_node_goes_and_comes_back(town: Town, home: Path, kind: str) -> None:
    assert demo(home, "fault", "dave", kind) == {"node": "dave", "running": False, "frozen": False}
    assert demo(home, "status")["nodes"]["dave"]["running"] is False
    # The others get on without it, and hear of it when it is back.
    assert pay(town, "you", "bob", 1_000)["status"] == "complete"
    demo(home, "mine", "1")
    demo(home, "fault", "dave", "start")
    assert ask(town, "dave", "getinfo")["id"] == town["nodes"]["dave"]["id"]
    code, sentence = refusal(home, "fault", "dave", "start")
    assert (code, sentence) == (1, "leyden demo: dave is running already\n")


def test_fault__frozen(town: Town, home: Path) -> None:
    demo(home, "fault", "erin", "freeze")
    frozen = demo(home, "status")["nodes"]["erin"]
    assert (frozen["running"], frozen["frozen"]) == (True, True)
    demo(home, "fault", "erin", "thaw")
    assert demo(home, "status")["nodes"]["erin"]["blockheight"] > 0


def follow(town: Town, since: int, payment_hash: str) -> list[dict[str, Any]]:
    """What is said of a payment from number `since` on, until its payer has the receipt."""
    found: list[dict[str, Any]] = []
    deadline = time.monotonic() + 90
    while not found or (found[-1]["type"], found[-1]["to"]) != ("fulfill", found[0]["from"]):
        assert time.monotonic() < deadline, f"its end was not told in 90 s: {found}"
        told = ask_town(town, "flow", since=since, timeout=10)
        found += [row for row in told["flow"] if row["payment_hash"] == payment_hash]
        since = told["next"]
    return found


def test_flow__a_payment_from_hop_to_hop(town: Town) -> None:
    since = ask_town(town, "flow")["next"]
    paid = pay(town, "you", "dave", 1_000_000)
    rows = follow(town, since, paid["payment_hash"])
    assert rows == sorted(rows, key=lambda row: row["at"])
    assert [row["seq"] for row in rows] == sorted(row["seq"] for row in rows)
    adds = [row for row in rows if row["type"] == "add"]
    fulfils = [row for row in rows if row["type"] == "fulfill"]
    path = [adds[0]["from"], *(row["to"] for row in adds)]
    assert (path[0], path[-1]) == ("you", "dave")
    assert [row["from"] for row in adds] == path[:-1]
    assert [(row["from"], row["to"]) for row in fulfils] == [
        (row["to"], row["from"]) for row in reversed(adds)
    ]
    assert len(rows) == len(adds) + len(fulfils)
    amounts, expiries = ([row[name] for row in adds] for name in ("amount_msat", "expiry"))
    assert amounts[0] == paid["amount_sent_msat"]
    assert amounts == sorted(amounts, reverse=True)
    assert amounts[-1] == 1_000_000
    assert expiries == sorted(set(expiries), reverse=True)
    assert [row["channel_id"] for row in fulfils] == [row["channel_id"] for row in reversed(adds)]


def test_flow__of_a_town_with_a_killed_and_a_frozen_node(town: Town, home: Path) -> None:
    at_rest(town)
    since = ask_town(town, "flow")["next"]
    demo(home, "fault", "dave", "kill")
    demo(home, "fault", "erin", "freeze")
    shown = {frozenset(c["nodes"]): c for c in ask_town(town, "status")["channels"]}
    # Neither side says anything of it, and it is still there.
    assert shown[frozenset({"dave", "erin"})]["to_msat"] == {}
    assert shown[frozenset({"dave", "erin"})]["connected"] is False
    paid = pay(town, "you", "bob", 1_000)
    rows = follow(town, since, paid["payment_hash"])
    assert [(row["from"], row["type"], row["to"]) for row in rows] == [
        ("you", "add", "bob"),
        ("bob", "fulfill", "you"),
    ]
    demo(home, "fault", "erin", "thaw")
    demo(home, "fault", "dave", "start")
    for payee in ("erin", "dave"):
        # Bob has a channel with erin, and she has one with dave: both tell of it again.
        paid = pay(town, "bob", payee, 2_000)
        assert payee in {row["from"] for row in follow(town, since, paid["payment_hash"])}
    assert ask_town(town, "flow", since=1, limit=1)["missed"] is True


def test_give(town: Town, home: Path) -> None:
    before = ask(town, "you", "getinfo")["blockheight"]
    given = demo(home, "give", "you", "1000000")
    assert (given["node"], given["sat"], given["blockheight"]) == ("you", 1_000_000, before + 1)
    [coin] = [c for c in ask(town, "you", "listfunds")["outputs"] if c["txid"] == given["txid"]]
    assert (coin["amount_msat"], coin["status"]) == (1_000_000_000, "confirmed")


def test_money__in_the_way(town: Town, home: Path) -> None:
    at_rest(town)
    found = demo(home, "money")
    assert (found["ok"], found["checked"], found["in_the_way"]) == (True, True, [])
    assert found["mined_sat"] == found["found_sat"] == sum(found["owners"].values())
    # A transaction that no block has yet.
    address = ask(town, "bob", "newaddr")["bech32"]
    sent = ask(town, "you", "withdraw", destination=address, satoshi=20_000)
    found = ask_town(town, "money")
    assert found == {
        "ok": False,
        "checked": False,
        "in_the_way": ["1 transaction is in no block yet: mine one"],
    }
    # Wallets read blocks: whose the output is, nobody knows yet.
    assert [tx["text"] for tx in ask_town(town, "blocks")["waiting"]] == [
        "alice pays somebody 20,000 sat"
    ]
    demo(home, "mine", "1")
    # A payment that stands still: its payee does.
    invoice = ask(town, "carol", "invoice", amount_msat=7_000, label="held", description="held")
    demo(home, "fault", "carol", "freeze")
    with ThreadPoolExecutor(1) as pool:
        paying = pool.submit(ask, town, "lsp", "pay", bolt11=invoice["bolt11"])
        deadline = time.monotonic() + 90
        while not any(c["htlcs"] for c in ask(town, "lsp", "listpeerchannels")["channels"]):
            assert time.monotonic() < deadline, "the payment has not begun in 90 s"
        assert ask_town(town, "money")["in_the_way"] == [
            "carol is frozen: the books cannot be read",
            "1 payment is under way between lsp and carol: 7,000 msat",
        ]
        demo(home, "fault", "carol", "thaw")
        assert paying.result()["status"] == "complete"
    assert ask_town(town, "money")["ok"] is True
    shown = demo(home, "blocks", "1")["blocks"][0]
    assert [(tx["txid"], tx["kind"], tx["text"], tx["nodes"]) for tx in shown["what"]] == [
        (sent["txid"], "payment", "alice pays bob 20,000 sat", ["you", "bob"])
    ]


def test_money__under_traffic(town: Town) -> None:
    ask_town(town, "traffic", rate=40)
    try:
        for _ in range(3):
            found = ask_town(town, "money")
            assert found["checked"] is True, found
            assert found["ok"] is True, found
    finally:
        ask_town(town, "traffic", rate=0)


def test_up__starts_a_node_that_was_stopped(town: Town, home: Path) -> None:
    demo(home, "fault", "bob", "stop")
    assert demo(home, "up") == town
    assert demo(home, "status")["nodes"]["bob"]["running"] is True


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("mine", "0"), 1, "blocks: 1 to 1000 can be mined at once"),
        (("mine", "few"), 1, "blocks: should be an unsigned 32 bit integer"),
        (("blocks", "101"), 1, "limit: 1 to 100 blocks can be shown at once"),
        (("give", "bob", "0"), 1, "sat: 1 to 100,000,000 can be given at once"),
        (("give", "mallory", "1"), 1, "nobody is called 'mallory' here: you, bob, carol"),
        (("fault", "mallory", "kill"), 1, "nobody is called 'mallory' here: you, bob, carol"),
        (("fault", "bob", "bribe"), 1, "kind: should be"),
        (("fault", "bob"), 1, "missing required parameter: kind"),
        (("story", "once"), 1, "name: should be"),
        (("traffic", "-3"), 1, "rate: should be payments per second, 0 to 1000"),
        (("dance",), 3, "no action 'dance'; there is up, down, status"),
        (("down", "bob"), 3, "down takes no 'bob'"),
    ],
)
def test_what_cannot_be_done__says_why(
    town: Town, home: Path, words: tuple[str, ...], code: int, sentence: str
) -> None:
    # Behind `--`, as scripts should write it: `-3` is no option.
    found, said = refusal(home, "--", *words)
    assert sentence in said
    assert found == code


def test_both_sides_build_the_same_commitments(town: Town) -> None:
    at_rest(town)
    built: dict[str, list[dict[str, Any]]] = {}
    for name in NAMES:
        for row in ask(town, name, "commitments")["commitments"]:
            built.setdefault(row["channel_id"], []).append(row)
    assert len(built) == 7
    for one, other in built.values():
        assert (one["ours"], one["theirs"]) == (other["theirs"], other["ours"])
        assert one["ours"]["txid"] != one["theirs"]["txid"]
        assert one["ours"]["outputs_msat"] + one["ours"]["fee_msat"] == one["total_msat"]
        only = ask(town, "you", "commitments", channel_id=one["channel_id"])["commitments"]
        assert len(only) == (town["nodes"]["you"]["id"] in (one["peer_id"], other["peer_id"]))


def test_traffic__counts_and_ends(town: Town, home: Path) -> None:
    before = demo(home, "traffic")["complete"]
    assert demo(home, "traffic", "40")["rate"] == 40
    deadline = time.monotonic() + 90
    while (seen := demo(home, "traffic"))["complete"] < before + 5:
        assert time.monotonic() < deadline, f"five payments have not completed in 90 s: {seen}"
    assert demo(home, "traffic", "0")["rate"] == 0
    while demo(home, "traffic")["pending"]:
        assert time.monotonic() < deadline, "payments are still pending"
    after = demo(home, "traffic")
    time.sleep(0.2)
    assert demo(home, "traffic") == after


def test_the_story_holds_in_a_town_with_traffic(town: Town, home: Path) -> None:
    demo(home, "traffic", "10")
    try:
        report = demo(home, "story")
    finally:
        demo(home, "traffic", "0")
    assert [step["name"] for step in report["steps"] if not step["ok"]] == []
    assert report["ok"] is True
    money = report["money_check"]
    assert money["ok"] is True
    assert money["mined_sat"] == money["found_sat"] > 0
    assert any("whose is every coin" in line for line in report["told"])
    assert len([c for c in channels(town).values() if c[0] == "CHANNELD_NORMAL"]) == 7


@pytest.mark.parametrize(
    ("name", "steps", "payments", "words"),
    [
        (
            "hops",
            ["ready", "invoice", "hops", "fees", "money check"],
            1,
            ["dave to ", "alice: here is the secret", " and keeps 201"],
        ),
        (
            "offline",
            ["ready", "stop", "refused", "start", "pay", "held", "money check"],
            2,
            ["alice tries to pay him: “", "bob stands still", "alice: here is the secret"],
        ),
        (
            "dry",
            ["ready", "pay", "dry", "detour", "refill", "money check"],
            6,
            ["Traffic rests meanwhile", " to alice: it went no further", "took another way: alice"],
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_short_story_holds_in_a_town_with_traffic(
    town: Town, home: Path, name: str, steps: list[str], payments: int, words: list[str]
) -> None:
    ask_town(town, "traffic", rate=10)
    try:
        # Twice: what the first telling taught the wallets must not spoil the second.
        reports = [demo(home, "story", name) for _ in range(2)]
    finally:
        ask_town(town, "traffic", rate=0)
    for report in reports:
        assert report["ok"] is True, report["told"]
        assert [step["name"] for step in report["steps"]] == steps
        footprint = report["footprint"]
        assert (footprint["payments"], footprint["chain_transactions"]) == (payments, 0)
        assert report["money_check"]["mined_sat"] == report["money_check"]["found_sat"] > 0
        told = "\n".join(report["told"])
        assert [word for word in words if word not in told] == [], told
    status = ask_town(town, "status")
    assert all(node["running"] and not node["frozen"] for node in status["nodes"].values())
    assert [c["connected"] for c in status["channels"] if c["state"] == "CHANNELD_NORMAL"] == [
        True
    ] * 7


def test_a_story_is_followed_as_it_is_told(town: Town) -> None:
    begun = ask_town(town, "story", name="hops", wait=False)
    assert begun["story"] == "hops"
    told: list[dict[str, Any]] = []
    answer: dict[str, Any] = {}
    since = begun["since"]
    while not told or told[-1]["kind"] != "end":
        answer = ask_town(town, "captions", since=since, timeout=30)
        assert answer["captions"], "nothing was said for half a minute"
        told += answer["captions"]
        since = answer["next"]
    assert [caption["seq"] for caption in told] == list(range(begun["since"], since))
    assert {caption["story"] for caption in told} == {"hops"}
    assert (told[0]["kind"], told[0]["text"]) == ("begin", "one payment, told hop by hop")
    steps = [caption for caption in told if caption["kind"] == "step"]
    assert [(caption["number"], caption["of"]) for caption in steps] == [
        (n, 5) for n in range(1, 6)
    ]
    assert answer["telling"] is False
    report = told[-1]["report"]
    assert [caption["step"] for caption in steps] == [step["name"] for step in report["steps"]]
    assert report["ok"] is True
    assert ask_town(town, "status")["telling"] is None
    assert ask_town(town, "status")["stories"]["hops"] == told[0]["text"]


def test_a_story_says_who_is_missing(town: Town, home: Path) -> None:
    demo(home, "fault", "erin", "stop")
    try:
        report = ask_town(town, "story", name="hops")
    finally:
        demo(home, "fault", "erin", "start")
    assert [(step["name"], step["ok"]) for step in report["steps"]] == [("ready", False)]
    assert "erin is down: `leyden demo fault erin start` mends that" in report["told"][-1]
    assert report["ok"] is False


def test_the_story__after_a_channel_with_dave_was_closed(town: Town, home: Path) -> None:
    dave = town["nodes"]["dave"]
    ask(town, "you", "connect", id=f"{dave['id']}@{dave['listen']}")
    opened = ask(town, "you", "fundchannel", id=dave["id"], amount=200_000)
    demo(home, "mine", "6")
    ask(town, "you", "close", id=opened["channel_id"])
    demo(home, "mine", "1")
    told = [
        (tx["kind"], tx["text"], tx["nodes"])
        for block in ask_town(town, "blocks")["blocks"]
        for tx in block["what"]
        if tx.get("channel_id") == opened["channel_id"]
    ]
    assert told == [
        ("close", "alice and dave close their channel of 200,000 sat", ["you", "dave"]),
        ("funding", "alice opens a channel with dave: 200,000 sat", ["you", "dave"]),
    ]
    report = demo(home, "story")
    assert [step["name"] for step in report["steps"] if not step["ok"]] == [], report["told"][-3:]


# --- killed --------------------------------------------------------------------------------------


def status_pid(home: Path, *who: str) -> list[int]:
    """The processes of the town by what they are: nodes by name, the rest by their file's."""
    pids: dict[str, int] = json.loads((home / "town.pids").read_text())
    return [pid for name, pid in pids.items() if name in who]


@pytest.mark.parametrize(
    "victims",
    [
        ("carol",),
        ("nursery",),
        ("chain",),
        ("town",),
        ("town", "keeper", "nursery"),
        ("town", "keeper", "nursery", "chain", *NAMES),
    ],
    ids="+".join,
)
def test_killed__up_brings_all_of_it_back(town: Town, home: Path, victims: tuple[str, ...]) -> None:
    at_rest(town)
    pay(town, "bob", "you", 1_234_000)
    at_rest(town)
    before = channels(town)
    pids = status_pid(home, *victims)
    assert len(pids) == len(victims)
    kill(*pids)
    again = demo(home, "up")
    assert {name: node["id"] for name, node in again["nodes"].items()} == {
        name: node["id"] for name, node in town["nodes"].items()
    }
    town["chain"].update(again["chain"])
    town["nodes"].update(again["nodes"])
    assert channels(town) == before
    assert demo(home, "status")["whole"] is True
    assert pay(town, "you", "bob", 1_234_000)["status"] == "complete"


def test_killed_under_traffic__every_coin_is_found_again(town: Town, home: Path) -> None:
    demo(home, "traffic", "40")
    deadline = time.monotonic() + 90
    while demo(home, "traffic")["complete"] < 5:
        assert time.monotonic() < deadline, "five payments have not completed in 90 s"
    kill(*status_pid(home, "town", "keeper", "nursery", "chain", *NAMES))
    again = demo(home, "up")
    town["chain"].update(again["chain"])
    town["nodes"].update(again["nodes"])
    report = demo(home, "story")
    assert report["money_check"]["ok"] is True


# --- several towns, and none ---------------------------------------------------------------------


def test_two_towns__do_not_meet__nor_is_a_forced_close_a_loss(
    town: Town, home: Path, tmp_path: Path
) -> None:
    with a_town(tmp_path) as other:
        assert other["chain"]["url"] != town["chain"]["url"]
        ours, theirs = (
            {(node["id"], node["listen"]) for node in one["nodes"].values()}
            for one in (town, other)
        )
        assert not {i for i, _ in ours} & {i for i, _ in theirs}
        assert not {at for _, at in ours} & {at for _, at in theirs}
        height = ask(town, "you", "getinfo")["blockheight"]
        demo(tmp_path, "mine", "2")
        assert ask(town, "you", "getinfo")["blockheight"] == height
        known = {peer["id"] for peer in ask(town, "bob", "listpeers")["peers"]}
        assert known <= {i for i, _ in ours}
        # Channels are closed by force here, where no other test needs them.
        bob = other["nodes"]["bob"]["id"]
        assert ask(other, "you", "close", id=bob, unilateraltimeout=1)["type"] == "unilateral"
        demo(tmp_path, "mine", "1")
        [told] = ask_town(other, "blocks", limit=1)["blocks"][0]["what"]
        assert told["kind"] == "force_close"
        assert told["text"] == "alice closes the channel with bob by force"
        report = demo(tmp_path, "story")
        assert report["money_check"]["ok"] is True
        waits = [line for line in report["told"] if "a claim that waits, of the channel of" in line]
        assert len(waits) == 1
    assert holders(tmp_path) == []
    assert demo(home, "status")["whole"] is True


def test_fresh__is_another_town(tmp_path: Path) -> None:
    first = demo(tmp_path, "up")
    with a_town(tmp_path, "--fresh") as second:
        ids = [{node["id"] for node in one["nodes"].values()} for one in (first, second)]
        assert not ids[0] & ids[1]
        assert all(len(channel[0]) for channel in channels(second).values())
    assert holders(tmp_path) == []


def test_down__without_a_town(tmp_path: Path) -> None:
    assert demo(tmp_path, "down") == {"result": f"no town was up in {tmp_path}"}
    code, sentence = refusal(tmp_path, "status")
    assert (code, sentence.split(" (")[0]) == (2, f"leyden demo: no town in {tmp_path}")


def test_up__touches_nothing_that_no_demo_made(tmp_path: Path) -> None:
    (tmp_path / "letters").write_text("dear")
    code, sentence = refusal(tmp_path, "up")
    assert code == 1
    assert "holds 'letters', which no demo made; give another --dir" in sentence
    assert [entry.name for entry in tmp_path.iterdir()] == ["letters"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_up__ended_while_it_waits(tmp_path: Path, number: signal.Signals) -> None:
    process = start(tmp_path, "up")
    deadline = time.monotonic() + 90
    while not (tmp_path / "town.pids").exists():
        assert time.monotonic() < deadline, "no town has begun to start in 90 s"
        time.sleep(0.01)
    process.send_signal(number)
    process.communicate(timeout=60)
    if number is signal.SIGKILL:
        # Nobody could tell the town; it comes up, and is found and ended as any other.
        demo(tmp_path, "up")
        demo(tmp_path, "down")
    assert nothing_is_left(tmp_path)
