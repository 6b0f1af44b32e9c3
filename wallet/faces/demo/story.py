"""The story: from an empty chain to a closed channel, step by step, in words for a learner.

Each step does something real through the nodes' sockets, looks at the outcome, and raises when it
is not what it should be.
"""

import time
from collections.abc import Callable
from typing import Any, Final

from wallet.base.errors import ServiceFault
from wallet.faces.demo.chain import FAUCET_SCRIPT, MATURITY
from wallet.faces.demo.money import Books, MoneyCheck, check_money
from wallet.faces.demo.town import Node, Town
from wallet.faces.rpc.client import RpcError

Say = Callable[[str], None]

GIFT_SAT: Final = 2_000_000
CHANNEL_SAT: Final = 1_000_000
SECOND_CHANNEL_SAT: Final = 500_000
COFFEE_SAT: Final = 250_000
BACK_SAT: Final = 40_000
BOOK_SAT: Final = 60_000
AFTER_CRASH_SAT: Final = 15_000
TOO_MUCH_SAT: Final = 5_000_000
_DEPTH: Final = 6
"""Blocks over a transaction that everybody takes for final."""


class Story:
    """One telling, in one town."""

    def __init__(self, town: Town, say: Say) -> None:
        self._town = town
        self._say = say
        self._payments = 0
        self._first_height = 0
        self._soon_expired = ""
        self.money: MoneyCheck | None = None
        self.steps: tuple[tuple[str, str, Callable[[], None]], ...] = (
            ("chain", "a blockchain of our own", self._start_chain),
            ("nodes", "three nodes", self._start_nodes),
            ("fund", "money on the chain", self._fund),
            ("connect", "encrypted links", self._connect),
            ("open", "two channels", self._open),
            ("pay", "payments that no block has to see", self._pay),
            ("receive", "money flows back", self._receive),
            ("refuse", "what cannot be paid, and why", self._refuse),
            ("crash", "bob's machine dies", self._crash),
            ("close", "alice goes home", self._close),
            ("money check", "whose is every coin?", self._check),
        )

    @property
    def footprint(self) -> dict[str, int]:
        """What went over Lightning and what the chain had to bear for it."""
        count, vbytes = self._town.chain.footprint_since(self._first_height)
        return {"payments": self._payments, "chain_transactions": count, "vbytes": vbytes}

    def _node(self, name: str) -> Node:
        return self._town.nodes[name]

    def _start_chain(self) -> None:
        self._town.start_chain()
        height = self._town.chain.mine(MATURITY + 1)
        self._say("Bitcoin Core's own consensus code judges every block of this chain.")
        self._say(
            f"{height} blocks are mined: a reward has to rest for {MATURITY} before the faucet"
            " may spend it."
        )

    def _start_nodes(self) -> None:
        self._town.start_nodes()
        for node in self._town.nodes.values():
            you = " (you)" if node.key == "you" else ""
            self._say(f"{node.name}{you} is {_short(node.id)} at {node.listen}")
        self._say("Each is a program of its own, with its own keys, database and TCP port.")

    def _fund(self) -> None:
        alice, bob = self._node("you"), self._node("bob")
        addresses = {node.call("newaddr")["bech32"]: GIFT_SAT for node in (alice, bob)}
        txid = self._town.chain.pay_from_faucet(addresses)
        self._first_height = self._town.mine(1)
        for node in (alice, bob):
            funds = _onchain_sat(node)
            _expect(funds == GIFT_SAT, f"{node.name} sees {funds:,} sat of {GIFT_SAT:,}")
        self._say(f"The faucet gives alice and bob {GIFT_SAT:,} sat each: {txid[:16]}…")
        self._say(f"Block {self._first_height} confirms it, and both find it in that block.")

    def _connect(self) -> None:
        for one, other in (("you", "bob"), ("bob", "carol")):
            caller, called = self._node(one), self._node(other)
            host, port = called.listen.rsplit(":", 1)
            answer = caller.call("connect", id=called.id, host=host, port=int(port))
            _expect(answer["id"] == called.id, f"{caller.name} reached somebody else")
            self._say(f"{caller.name} dials {called.name}; each proves that it has its node key.")

    def _open(self) -> None:
        opened = (("you", "bob", CHANNEL_SAT), ("bob", "carol", SECOND_CHANNEL_SAT))
        for one, other, sat in opened:
            opener, peer = self._node(one), self._node(other)
            answer = opener.call("fundchannel", id=peer.id, amount=sat)
            self._say(
                f"{opener.name} locks {sat:,} sat in an output that only {opener.name} and"
                f" {peer.name} together can spend: {answer['txid'][:16]}…"
            )
        height = self._town.mine(_DEPTH)
        for one, other, _ in opened:
            self._await_usable(self._node(one), self._node(other))
        self._say(f"Confirmed by block {height}: both channels are ready.")

    def _await_usable(self, one: Node, other: Node) -> None:
        def usable() -> bool:
            sides = (_channel(one, other), _channel(other, one))
            return all(s["state"] == "CHANNELD_NORMAL" and s["reestablished"] for s in sides)

        self._town.wait_until(f"the channel of {one.name} and {other.name} is ready", usable)

    def _pay(self) -> None:
        alice, bob, carol = (self._node(name) for name in ("you", "bob", "carol"))
        self._soon_expired = bob.call(
            "invoice", amount_msat=1000, label="late", description="one second only", expiry=1
        )["bolt11"]
        before = self._town.chain.height
        self._settle(alice, bob, COFFEE_SAT, "a desk lamp")
        self._settle(bob, carol, BOOK_SAT, "a book")
        _expect(self._town.chain.height == before, "a block was mined meanwhile")
        self._say("No block was mined for either. What changed hands are signatures.")

    def _receive(self) -> None:
        self._settle(self._node("bob"), self._node("you"), BACK_SAT, "the lamp was too dear")

    def _settle(self, payer: Node, payee: Node, sat: int, what: str) -> None:
        """An invoice, its payment, and a look at both ends."""
        label = f"{what} {self._payments}"
        invoice = payee.call("invoice", amount_msat=sat * 1000, label=label, description=what)
        begun = time.monotonic()
        answer = payer.call("pay", bolt11=invoice["bolt11"])
        took_ms = (time.monotonic() - begun) * 1000
        listed = payee.call("listinvoices", label=label)["invoices"][0]
        _expect(answer["status"] == "complete", f"{payer.name}'s payment is {answer['status']}")
        _expect(listed["status"] == "paid", f"{payee.name}'s invoice is {listed['status']}")
        proof = answer["payment_preimage"]
        _expect(listed["payment_preimage"] == proof, "payer and payee hold different proofs")
        # The receipt comes before the last signatures: the shares are final only after those.
        self._town.wait_until(
            f"the channel of {payer.name} and {payee.name} is at rest",
            lambda: not (_channel(payer, payee)["htlcs"] or _channel(payee, payer)["htlcs"]),
        )
        self._payments += 1
        self._say(
            f"{payer.name} pays {payee.name} {sat:,} sat for “{what}” in {took_ms:.0f} ms;"
            f" the receipt is {proof[:16]}…"
        )

    def _refuse(self) -> None:
        alice, bob = self._node("you"), self._node("bob")
        share = _channel(alice, bob)["to_us_msat"]
        large = bob.call(
            "invoice", amount_msat=TOO_MUCH_SAT * 1000, label="large", description="a house"
        )["bolt11"]
        self._town.wait_until(
            "the late invoice has expired", lambda: _status(bob, "late") == "expired"
        )
        damaged = large[:-1] + ("q" if large[-1] != "q" else "p")
        tries = (
            (f"{TOO_MUCH_SAT:,} sat", large),
            ("a mistyped invoice", damaged),
            ("an invoice that lived for one second", self._soon_expired),
        )
        for what, bolt11 in tries:
            self._say(f"alice tries {what}: {_refusal(alice, bolt11)}")
        _expect(_channel(alice, bob)["to_us_msat"] == share, "a refused payment moved money")
        self._say("Nothing moved.")

    def _crash(self) -> None:
        alice, bob = self._node("you"), self._node("bob")
        bob.program.kill()
        self._say("kill -9. What bob had promised was on his disk before he said it.")
        self._town.restart(bob)
        self._await_usable(alice, bob)
        self._await_usable(bob, self._node("carol"))
        self._say("He is back, compares notes with alice and carol, and goes on.")
        self._settle(alice, bob, AFTER_CRASH_SAT, "a plant")

    def _close(self) -> None:
        alice, bob = self._node("you"), self._node("bob")
        share = _channel(alice, bob)["to_us_msat"] // 1000
        answer = alice.call("close", id=bob.id)
        _expect(answer["type"] == "mutual", f"the close was {answer['type']}")
        height = self._town.mine(_DEPTH)
        self._say(f"alice and bob sign one last transaction: {answer['txids'][-1][:16]}…")
        self._say(
            f"Block {height - _DEPTH + 1} pays alice her {share:,} sat less the fee;"
            f" she has {_onchain_sat(alice):,} sat on the chain. bob and carol keep their channel."
        )

    def _check(self) -> None:
        books = [
            Books(
                node.name,
                node.call("listfunds")["outputs"],
                node.call("listpeerchannels")["channels"],
            )
            for node in self._town.nodes.values()
        ]
        found = self._town.chain.call("listutxos")
        self.money = check_money(found, FAUCET_SCRIPT.hex(), books)
        for owner, sat in self.money.owners.items():
            self._say(f"{sat:>17,} sat  {owner}")
        self._say(f"{self.money.found_sat:>17,} sat  found in {len(found['utxos'])} coins")
        self._say(f"{self.money.mined_sat:>17,} sat  mined")
        _expect(self.money.ok, "; ".join(self.money.faults) or "found and mined differ")


def _expect(held: bool, otherwise: str) -> None:
    if not held:
        raise ServiceFault(otherwise)


def _refusal(node: Node, bolt11: str) -> str:
    """Why `node` will not pay; raises `ServiceFault` if it did."""
    try:
        node.call("pay", bolt11=bolt11)
    except RpcError as refused:
        return f"“{refused}” ({refused.code})"
    raise ServiceFault(f"{node.name} paid what cannot be paid")


def _status(node: Node, label: str) -> str:
    return str(node.call("listinvoices", label=label)["invoices"][0]["status"])


def _channel(node: Node, peer: Node) -> dict[str, Any]:
    """The one channel of a node with a peer, as the node sees it."""
    channels = node.call("listpeerchannels", id=peer.id)["channels"]
    _expect(len(channels) == 1, f"{node.name} has {len(channels)} channels with {peer.name}")
    found: dict[str, Any] = channels[0]
    return found


def _onchain_sat(node: Node) -> int:
    outputs = node.call("listfunds")["outputs"]
    return sum(o["amount_msat"] // 1000 for o in outputs if o["status"] == "confirmed")


def _short(identity: str) -> str:
    return f"{identity[:8]}…{identity[-4:]}"
