"""What a program built on pyln-client does with a node. Run by the Python that has it:

`suite.py STORY JSON`; a story that fails ends with a traceback and exit code 1.
"""

import base64
import importlib
import json
import socket
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

NOBODYS: Final = "bcrt1q6rhpng9evdsfnn833a4f4vej0asu6dk5srld6x"
"""An address on regtest."""
PATIENCE: Final = 60.0


@dataclass
class World:
    """Two nodes with a channel, as pyln-client sees them."""

    pyln: Any
    """The module `pyln.client`."""
    given: dict[str, str]
    alice: Any
    bob: Any

    def mine(self, blocks: int) -> None:
        """Blocks that both nodes have seen."""
        self._chain("generatetoaddress", blocks, NOBODYS)
        height = self._chain("getblockcount")
        for node in (self.alice, self.bob):
            until(lambda n=node: n.getinfo()["blockheight"] == height, "the blocks")  # type: ignore[misc]

    def _chain(self, method: str, *params: object) -> Any:
        cookie = base64.b64encode(self.given["chain_cookie"].encode()).decode()
        request = urllib.request.Request(
            self.given["chain_url"],
            json.dumps({"id": 0, "method": method, "params": params}).encode(),
            {"Authorization": f"Basic {cookie}"},
        )
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return json.load(answer)["result"]

    def invoice(self, amount: object = 10_000) -> dict[str, Any]:
        """A fresh invoice of Bob's; its label is in it."""
        label = f"{sys.argv[1]} {time.time_ns()}"
        return {**self.bob.invoice(amount, label, "made by pyln"), "label": label}

    def refused(self, call: Callable[[], object]) -> dict[str, Any]:
        """The error object that a call must end with."""
        try:
            answer = call()
        except self.pyln.RpcError as error:
            assert isinstance(error.error, dict), error.error
            assert isinstance(error.error["message"], str)
            return dict(error.error)
        raise AssertionError(f"this should have been refused: {answer}")


def until(ask: Callable[[], object], what: str) -> None:
    """Ask until it is so."""
    end = time.monotonic() + PATIENCE
    while not ask():
        assert time.monotonic() < end, f"waited {PATIENCE:.0f} s for {what}"
        time.sleep(0.02)


# --- every method -------------------------------------------------------------------------------


def calls(world: World) -> dict[str, Callable[[], object]]:
    """One call of each method in the form that pyln-client gives it, that must be answered."""
    alice, bob = world.alice, world.bob
    bob_id = bob.getinfo()["id"]
    paid = world.invoice()
    alice.pay(paid["bolt11"])
    unpaid, by_hand = world.invoice(), world.invoice(3_000)
    signed = alice.signmessage("hello")
    return {
        "getinfo": alice.getinfo,
        "help": alice.help,
        "check": lambda: alice.check("pay", bolt11=unpaid["bolt11"]),
        "unlock": lambda: alice.unlock(password="any: it is open already"),
        "metrics": alice.metrics,
        "feerates": lambda: alice.feerates("perkw"),
        "newaddr": alice.newaddr,
        "listfunds": lambda: alice.listfunds(spent=True),
        "connect": lambda: alice.connect(world.given["bob_address"]),
        "listpeers": lambda: alice.listpeers(bob_id),
        "listpeerchannels": lambda: alice.listpeerchannels(bob_id),
        "listclosedchannels": alice.listclosedchannels,
        "fundchannel": lambda: alice.fundchannel(bob_id, 100_000, feerate="1000perkw"),
        "setchannel": lambda: alice.setchannel(world.given["channel_id"], feebase=2),
        "close": lambda: bob.call("close", {"id": _youngest(alice), "unilateraltimeout": 10}),
        "trustpeer": lambda: alice.trustpeer(id=bob_id, trusted=False),
        "invoice": lambda: world.invoice("any"),
        "listinvoices": lambda: bob.listinvoices(label=paid["label"]),
        "waitinvoice": lambda: bob.waitinvoice(paid["label"]),
        "waitanyinvoice": lambda: bob.waitanyinvoice(lastpay_index=0, timeout=5),
        "delinvoice": lambda: bob.delinvoice(unpaid["label"], "unpaid"),
        "decode": lambda: alice.decode(paid["bolt11"]),
        "preapproveinvoice": lambda: alice.preapproveinvoice(bolt11=paid["bolt11"]),
        "pay": lambda: alice.pay(paid["bolt11"], maxfee=1_000),
        "xpay": lambda: alice.xpay(world.invoice()["bolt11"], maxfee=1_000),
        "keysend": lambda: alice.keysend(bob_id, 1_000),
        "xkeysend": lambda: alice.xkeysend(bob_id, 1_000, maxfee=1_000),
        "listpays": lambda: alice.listpays(payment_hash=paid["payment_hash"]),
        "sendpay": lambda: _sendpay(world, bob_id, by_hand),
        "waitsendpay": lambda: alice.waitsendpay(by_hand["payment_hash"], timeout=5),
        "listsendpays": lambda: alice.listsendpays(payment_hash=paid["payment_hash"]),
        "listforwards": lambda: alice.listforwards(status="settled"),
        "listhtlcs": alice.listhtlcs,
        "listnodes": alice.listnodes,
        "listchannels": lambda: alice.listchannels(source=bob_id),
        "getroute": lambda: alice.getroute(bob_id, 1_000, 10),
        "getroutes": lambda: alice.getroutes(
            alice.getinfo()["id"], bob_id, 1_000, ["auto.localchans"], 1_000, 18
        ),
        "disconnect": lambda: alice.disconnect(bob_id, force=True),
        "ping": lambda: _ping(world, bob_id),
        "signmessage": lambda: alice.signmessage("hello"),
        "checkmessage": lambda: bob.checkmessage("hello", signed["zbase"]),
        "listconfigs": lambda: alice.listconfigs("alias"),
        "withdraw": lambda: alice.withdraw(NOBODYS, 20_000, minconf=0),
        "listtransactions": alice.listtransactions,
        "commitments": alice.commitments,
        "court": alice.court,
        "history": lambda: alice.history(filter={"kind": ["payment"]}, limit=3),
        "wait": lambda: alice.wait(subsystem="invoices", indexname="created", nextvalue=0),
        "events": lambda: alice.events(since=0, timeout=1),
        "flow": lambda: alice.flow(since=0, timeout=1, limit=3),
        "notifications": lambda: alice.notifications(enable=False),
    }


def _youngest(node: Any) -> str:
    return str(node.listpeerchannels()["channels"][-1]["channel_id"])


def _sendpay(world: World, bob_id: str, made: dict[str, Any]) -> object:
    [channel] = [
        c
        for c in world.alice.listpeerchannels()["channels"]
        if c["channel_id"] == world.given["channel_id"]
    ]
    hop = {"id": bob_id, "channel": channel["short_channel_id"], "delay": 30, "amount_msat": 3_000}
    return world.alice.sendpay(
        [hop], made["payment_hash"], payment_secret=made["payment_secret"], bolt11=made["bolt11"]
    )


def _ping(world: World, bob_id: str) -> object:
    # After a disconnect: the link that a channel needs comes back by itself.
    until(lambda: world.alice.listpeers(bob_id)["peers"][0]["connected"], "the link again")
    return world.alice.call("ping", {"id": bob_id})


def every_method(world: World) -> None:
    """Each method that `help` lists is called, and answers with an object."""
    served = [line["command"].split()[0] for line in world.alice.help()["help"]]
    known = calls(world)
    unknown = set(served) - set(known) - {"stop"}
    assert not unknown, f"this suite has no call for {', '.join(sorted(unknown))}"
    for name, call in known.items():
        if name in served:
            answer = call()
            assert isinstance(answer, dict), f"{name} answered with {answer!r}"
    until(
        lambda: all(
            c["reestablished"]
            for c in world.alice.listpeerchannels()["channels"]
            if c["channel_id"] == world.given["channel_id"]
        ),
        "the channel again",
    )


# --- the transport ------------------------------------------------------------------------------


def pipelining(world: World) -> None:
    """Several requests on one connection; answers as they finish, each with its own id."""
    lines = Lines(world.given["bob"])
    try:
        last = world.bob.listinvoices()["invoices"]
        newest = max([i.get("pay_index", 0) for i in last], default=0)
        lines.ask("waits", "waitanyinvoice", {"lastpay_index": newest, "timeout": 15})
        lines.ask(7, "getinfo", {})
        lines.ask("x:y#3/ü", "listpeers", [])
        first, second = lines.answer(), lines.answer()
        assert {first["id"], second["id"]} == {7, "x:y#3/ü"}, (first, second)
        bolt11 = world.invoice(4_000)["bolt11"]
        world.alice.pay(bolt11)
        third = lines.answer()
        assert third["id"] == "waits"
        assert third["result"]["bolt11"] == bolt11
    finally:
        lines.close()


class Lines:
    """A raw connection."""

    def __init__(self, path: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(PATIENCE)
        self._socket.connect(path)
        self._left = b""

    def ask(self, number: object, method: str, params: object) -> None:
        """Send a request and do not wait."""
        request = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        self._socket.sendall(json.dumps(request, ensure_ascii=False).encode())

    def answer(self) -> dict[str, Any]:
        """The next answer, whosever it is."""
        while b"\n\n" not in self._left:
            data = self._socket.recv(65_536)
            assert data, "the daemon hung up"
            self._left += data
        text, _, self._left = self._left.partition(b"\n\n")
        return dict(json.loads(text))

    def close(self) -> None:
        """Hang up."""
        self._socket.close()


def errors(world: World) -> None:
    """Refusals are `RpcError`s that name the method, what was given, and a code."""
    try:
        world.alice.decode("nonsense")
    except world.pyln.RpcError as error:
        assert error.method == "decode"
        assert list(error.payload) == ["nonsense"]
        assert error.error["code"] == -32602
    else:
        raise AssertionError("nonsense was decoded")
    bob_id = world.bob.getinfo()["id"]
    expected = {
        -32601: world.alice.there_is_no_such_thing,
        -32602: lambda: world.alice.invoice("a few", "label", "description"),
        -1: lambda: world.alice.disconnect(bob_id),
        305: lambda: world.alice.fundchannel("02" + "11" * 31 + "12", 100_000),
        400: lambda: world.alice.connect("02" + "11" * 31 + "12"),
        905: lambda: world.alice.waitinvoice("never made"),
        904: lambda: world.alice.waitanyinvoice(lastpay_index=1_000_000, timeout=1),
    }
    for code, call in expected.items():
        refusal = world.refused(call)
        assert refusal["code"] == code, (code, refusal)


def plugins(world: World) -> None:
    """There are none, and pyln is told so in a way it understands."""
    assert world.refused(world.alice.plugin_list)["code"] == -32601


def filters(world: World) -> None:
    """pyln's `reply_filter` trims answers."""
    with world.alice.reply_filter({"channels": [{"channel_id": True}]}):
        channels = world.alice.listpeerchannels()["channels"]
    assert {"channel_id": world.given["channel_id"]} in channels
    assert all(set(c) == {"channel_id"} for c in channels)


def notify(world: World) -> None:
    """pyln's `notify` hears of a long command while it runs."""
    heard: list[str] = []

    def hear(message: str, progress: object, request: dict[str, Any]) -> None:
        assert request["method"] == "pay"
        heard.append(message)

    bolt11 = world.invoice(2_000)["bolt11"]
    with world.alice.notify(hear):
        assert world.alice.pay(bolt11)["status"] == "complete"
    assert heard
    assert all(isinstance(m, str) for m in heard)


# --- money --------------------------------------------------------------------------------------


def help_and_decode(world: World) -> None:
    """`help` shows parameters, `decode` what an invoice says."""
    [line] = world.alice.help("invoice")["help"]
    assert line["command"].startswith("invoice amount_msat label description [expiry]")
    bob_id = world.bob.getinfo()["id"]
    said = world.alice.decode(world.invoice(123_456)["bolt11"])
    assert (said["type"], said["valid"]) == ("bolt11 invoice", True)
    assert (said["amount_msat"], said["payee"]) == (123_456, bob_id)


def pay(world: World) -> None:
    """A payment, once: asked again it gives the same receipt."""
    made = world.invoice(21_000)
    paid = world.alice.pay(made["bolt11"], label="with a label", retry_for=10)
    assert paid["status"] == "complete"
    assert paid["amount_msat"] == 21_000
    again = world.alice.pay(made["bolt11"])
    assert again["payment_preimage"] == paid["payment_preimage"]
    [listed] = world.alice.listpays(bolt11=made["bolt11"])["pays"]
    assert (listed["status"], listed["label"]) == ("complete", "with a label")
    assert world.refused(lambda: world.alice.pay(world.invoice("100000sat")["bolt11"][:-5]))


def waitanyinvoice(world: World) -> None:
    """A shop's loop: the next payment after the last one that it has seen."""
    known = world.bob.listinvoices()["invoices"]
    last = max([i.get("pay_index", 0) for i in known], default=0)
    made = [world.invoice(1_000 + n) for n in range(3)]
    seen: list[str] = []

    def shop(last: int) -> None:
        for _ in made:
            item = world.bob.waitanyinvoice(lastpay_index=last, timeout=30)
            last = item["pay_index"]
            seen.append(item["label"])

    loop = threading.Thread(target=shop, args=(last,))
    loop.start()
    for one in made:
        world.alice.pay(one["bolt11"])
    loop.join(PATIENCE)
    assert seen == [one["label"] for one in made]
    assert (
        world.refused(lambda: world.bob.waitanyinvoice(lastpay_index=last + 3, timeout=1))["code"]
        == 904
    )


# --- other people's programs --------------------------------------------------------------------


def lnbits(world: World) -> None:
    """What an LNbits wallet on this node calls, by name, in its order."""
    bob, alice = world.bob, world.alice
    assert "deschashonly" in bob.help("invoice")["help"][0]["command"]
    invoices = bob.listinvoices()["invoices"]
    last = next((i["pay_index"] for i in reversed(invoices) if i["status"] == "paid"), 0)
    funds = bob.listfunds()
    assert sum(int(c["our_amount_msat"]) for c in funds["channels"]) > 0
    label = f"lnbits {time.time_ns()}"
    made = bob.call(
        "invoice",
        {
            "amount_msat": 15_000,
            "label": label,
            "description": "a memo that is hashed",
            "exposeprivatechannels": True,
            "preimage": f"{time.time_ns():064x}",
            "deschashonly": True,
            "expiry": 3_600,
        },
    )
    assert made["bolt11"].startswith("lnbcrt")
    pending = bob.listinvoices(payment_hash=made["payment_hash"])["invoices"][0]
    assert pending["status"] == "unpaid"
    sent = alice.call(
        "pay", {"bolt11": made["bolt11"], "maxfee": 5_000, "description": "a memo that is hashed"}
    )
    assert sent["payment_hash"] == made["payment_hash"]
    fee = int(sent["amount_sent_msat"]) - int(sent["amount_msat"])
    assert fee == 0
    [out] = alice.listpays(payment_hash=made["payment_hash"])["pays"]
    assert (out["status"], out["preimage"]) == ("complete", sent["payment_preimage"])
    newest = last
    while True:
        item = bob.waitanyinvoice(newest, timeout=30)
        newest = item["pay_index"]
        if item["label"] == label:
            break
    error = world.refused(lambda: bob.waitanyinvoice(newest, timeout=1))
    assert error["code"] == 904
    twice = world.refused(
        lambda: bob.call("invoice", {"amount_msat": 1, "label": label, "description": ""})
    )
    assert twice["code"] == 900


def btcpay(world: World) -> None:
    """What BTCPay Server calls: by position, null for what it leaves out, id 0, one connection
    for each call, and of a list's answer the first member."""
    alice, bob = world.given["alice"], world.given["bob"]
    _positional(alice, "getinfo")
    _positional(alice, "connect", [world.given["bob_address"]])
    assert _positional(alice, "newaddr")["bech32"].startswith("bcrt1")
    assert next(iter(_positional(alice, "listfunds"))) == "outputs"
    channels = _positional(alice, "listpeerchannels")
    assert next(iter(channels)) == "channels"
    label = f"btcpay {time.time_ns()}"
    made = _positional(
        bob, "invoice", ["30000msat", label, "an order", 600, None, None, True, None, True]
    )
    found = _positional(bob, "listinvoices", [label])
    assert next(iter(found.values()))[0]["payment_hash"] == made["payment_hash"]
    by_hash = _positional(bob, "listinvoices", [None, None, made["payment_hash"]])
    assert by_hash == found
    paid = _positional(alice, "xpay", [made["bolt11"], None, 1_000])
    assert paid["amount_sent_msat"] == paid["amount_msat"] == 30_000
    pays = _positional(alice, "listpays", [None, made["payment_hash"]])
    assert next(iter(pays.values()))[0]["preimage"] == paid["payment_preimage"]
    index = _positional(bob, "listinvoices", [label])["invoices"][0]["pay_index"]
    waited = _positional(bob, "waitanyinvoice", [index - 1])
    assert waited["label"] == label
    bob_id = world.given["bob_address"].partition("@")[0]
    assert _positional(alice, "xkeysend", [bob_id, 2_000, None, 1_000])["payment_preimage"]
    any_amount = _positional(bob, "invoice", ["any", f"{label} any", "", 600, None, None, True])
    topped_up = _positional(alice, "xpay", [any_amount["bolt11"], 5_000, 1_000])
    assert topped_up["amount_msat"] == 5_000
    _positional(bob, "invoice", ["1000msat", f"{label} unused", "", 600])
    gone = _positional(bob, "delinvoice", [f"{label} unused", "unpaid"])
    assert gone["label"] == f"{label} unused"
    funded = _positional(alice, "fundchannel", [bob_id, 60_000, "4000perkb"])
    assert len(funded["txid"]) == 64
    world.mine(6)


def _positional(path: str, method: str, params: list[object] | None = None) -> dict[str, Any]:
    lines = Lines(path)
    try:
        lines.ask(0, method, params or [])
        answer = lines.answer()
    finally:
        lines.close()
    assert answer["id"] == 0
    assert "result" in answer, answer
    return dict(answer["result"])


STORIES: Final[dict[str, Callable[[World], None]]] = {
    story.__name__: story
    for story in (
        every_method,
        pipelining,
        errors,
        plugins,
        filters,
        notify,
        help_and_decode,
        pay,
        waitanyinvoice,
        lnbits,
        btcpay,
    )
}


def main() -> None:
    """Tell one story."""
    pyln = importlib.import_module("pyln.client")
    given: dict[str, str] = json.loads(sys.argv[2])
    alice, bob = pyln.LightningRpc(given["alice"]), pyln.LightningRpc(given["bob"])
    STORIES[sys.argv[1]](World(pyln, given, alice, bob))


if __name__ == "__main__":
    main()
