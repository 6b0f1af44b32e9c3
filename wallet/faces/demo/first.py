"""The first story: from money on the chain to a channel that closes, step by step, for a learner.

It uses the town's channels, opens one of its own, and closes that.
"""

from typing import Final

from wallet.base.errors import ServiceFault
from wallet.faces.demo.chain import MATURITY
from wallet.faces.demo.layout import EDGES
from wallet.faces.demo.looks import InBackground, expect, offers, refusal, short, status
from wallet.faces.demo.opening import DEPTH, open_channels, rejoin
from wallet.faces.demo.own_channel import OwnChannel
from wallet.faces.demo.story import MONEY_CHECK, Say, Step
from wallet.faces.demo.town import Node, Town
from wallet.faces.demo.traffic import Traffic

GIFT_SAT: Final = 1_500_000
CHANNEL_SAT: Final = 1_000_000
LAMP_SAT: Final = 250_000
BOOK_SAT: Final = 60_000
BACK_SAT: Final = 40_000
TIP_SAT: Final = 5_000
PLANT_SAT: Final = 15_000
TOO_MUCH_SAT: Final = 50_000_000

PAYMENT_VBYTES: Final = 141
"""A payment on the chain: one P2WPKH input, an output for the payee and one for the change."""


class FirstStory(OwnChannel):
    """All of it once."""

    OPENER = "you"
    PEER = "carol"
    TITLE = "from money on the chain to a channel that closes"

    def __init__(
        self, town: Town, say: Say, traffic: Traffic | None = None, *, rise: bool = False
    ) -> None:
        """`rise`: nothing runs yet, and bringing the town up is part of the story."""
        super().__init__(town, say, traffic)
        self._rise = rise
        self._soon_expired = ""

    @property
    def steps(self) -> tuple[Step, ...]:
        """In order."""
        rising: tuple[Step, ...] = (
            ("chain", "a blockchain of our own", self._start_chain),
            ("nodes", "six nodes", self._start_nodes),
            ("channels", "the town's channels", self._open_town),
        )
        return (rising if self._rise else ()) + (
            ("fund", "money on the chain", self._fund),
            ("open", "a channel", self._open),
            ("pay", "a payment that no block has to see", self._pay),
            ("hops", "a payment through somebody else", self._hops),
            ("receive", "money flows back", self._receive),
            ("keysend", "a payment that nobody asked for", self._keysend),
            ("refuse", "what cannot be paid, and why", self._refuse),
            ("crash", "a machine dies in the middle of a payment", self._crash),
            ("close", "alice and carol part", self._close),
            (*MONEY_CHECK, self._check),
        )

    @property
    def comparison(self) -> str:
        """The footprint in words, against paying each on the chain."""
        found = self.footprint
        instead = found["payments"] * PAYMENT_VBYTES
        fees = instead * found["fees_sat"] // max(found["vbytes"], 1)
        return (
            f"{found['payments']} payments took {found['chain_transactions']} transactions with"
            f" {found['vbytes']} vbytes and {found['fees_sat']:,} sat of fees on the chain. Each"
            f" paid there by itself, they would have taken {found['payments']} with {instead}"
            f" vbytes and {fees:,} sat; and more of them here would have cost the chain nothing."
        )

    # --- the town ------------------------------------------------------------------------------

    def _start_chain(self) -> None:
        self._town.start_chain()
        self._say("Bitcoin Core's own consensus code judges every block of this chain.")
        if not self._town.fresh:
            self._say(f"It goes on from block {self._town.chain.height}, where it was left.")

    def _start_nodes(self) -> None:
        self._town.start_nodes()
        for node in self._town.nodes.values():
            you = " (you)" if node.key == "you" else ""
            self._say(f"{node.name}{you} is {short(node.id)} at {node.listen}")
        self._say("Each is a program of its own, with its own keys, database and TCP port.")

    def _open_town(self) -> None:
        if self._town.fresh:
            open_channels(self._town)
            self._say(
                f"A reward rests for {MATURITY} blocks before the faucet may spend it; then"
                " everybody gets money and opens channels with real funding transactions:"
            )
        else:
            rejoin(self._town)
            self._say("Everybody has found the others again, and every channel works as before:")
        for edge in EDGES:
            names = f"{self._node(edge.opener).name} and {self._node(edge.peer).name}"
            known = "announced to all" if edge.announced else "private"
            self._say(f"{names}: {edge.sat:,} sat, {known}")

    # --- money into a channel ------------------------------------------------------------------

    def _fund(self) -> None:
        alice = self._node("you")
        txid = self._gift(alice, GIFT_SAT)
        coins = alice.call("listfunds")["outputs"]
        found = [c for c in coins if c["txid"] == txid and c["status"] == "confirmed"]
        expect(len(found) == 1, f"alice does not see her coin in block {self._first_height}")
        self._say(f"The faucet gives alice {GIFT_SAT:,} sat: {txid[:16]}…")
        self._say(f"Block {self._first_height} confirms it, and she finds it in that block.")

    def _open(self) -> None:
        txid = self._open_channel(CHANNEL_SAT, announce=True)
        self._say("alice dials carol; each proves that it has its node key.")
        self._say(
            f"alice locks {CHANNEL_SAT:,} sat in an output that only she and carol together can"
            f" spend: {txid[:16]}…"
        )
        height = self._town.chain.height
        self._say(f"Buried under {DEPTH} blocks, at block {height}, the channel is ready.")

    # --- payments ------------------------------------------------------------------------------

    def _pay(self) -> None:
        self._soon_expired = self._invoice(self._node("bob"), 1, "one second only", expiry=1)
        before = self._town.chain.height
        self._settle("you", "carol", LAMP_SAT, "a desk lamp")
        expect(self._town.chain.height == before, "a block was mined meanwhile")
        self._say("No block was mined for it. What changed hands are signatures.")

    def _hops(self) -> None:
        self._strangers("you", "dave")
        answer = self._settle("you", "dave", BOOK_SAT, "a book")
        fee = answer["amount_sent_msat"] - answer["amount_msat"]
        expect(fee > 0, "nobody was paid for forwarding")
        self._say(
            "alice has no channel with dave. Somebody in between took hers and passed on as much"
            f" for {fee:,} msat; nobody could keep it: one secret unlocks both, or neither."
        )

    def _receive(self) -> None:
        self._settle("dave", "you", BACK_SAT, "the book was too dear")

    def _keysend(self) -> None:
        alice, erin = self._node("you"), self._node("erin")
        answer = alice.call("keysend", destination=erin.id, amount_msat=TIP_SAT * 1000)
        expect(answer["status"] == "complete", f"the keysend is {answer['status']}")
        wanted = answer["payment_hash"]
        found = erin.call("listinvoices", payment_hash=wanted)["invoices"]
        expect([i["status"] for i in found] == ["paid"], "erin does not know of the money")
        self._payments += 1
        self._say(
            f"alice sends erin {TIP_SAT:,} sat without an invoice: the secret travels in the"
            " innermost layer of the onion, which only she can open."
        )

    def _refuse(self) -> None:
        alice, bob, dave = (self._node(name) for name in ("you", "bob", "dave"))
        large = self._invoice(bob, TOO_MUCH_SAT, "a house")
        late = self._soon_expired
        self._town.wait_until(
            "the late invoice has expired", lambda: status(bob, late) == "expired"
        )
        torn = self._invoice(dave, BOOK_SAT, "sold to somebody else")
        dave.call("delinvoice", label=f"{self._label} sold to somebody else", status="unpaid")
        tries = (
            (f"{TOO_MUCH_SAT:,} sat", large),
            ("a mistyped invoice", large[:-1] + ("q" if large[-1] != "q" else "p")),
            ("an invoice that lived for one second", late),
            ("an invoice that dave has torn up", torn),
        )
        for what, bolt11 in tries:
            self._say(f"alice tries {what}: {refusal(alice, bolt11)}")
        expect(status(bob, large) == "unpaid", "bob was paid for the house")
        self._say("Nothing moved. Only the last one left alice, and dave's no came back to her.")

    def _crash(self) -> None:
        """The payee stands still until her money is promised to her; then the promiser dies."""
        alice, dave = self._node("you"), self._node("dave")
        bolt11 = self._invoice(dave, PLANT_SAT, "a plant")
        wanted = alice.call("decode", string=bolt11)["payment_hash"]
        dave.freeze()
        paying = InBackground(lambda: alice.call("pay", bolt11=bolt11))
        others = [node for node in self._town.nodes.values() if node not in (alice, dave)]
        forwarders: list[Node] = []

        def promised() -> bool:
            forwarders[:] = [n for n in others if offers(n, wanted, dave)]
            return bool(forwarders) or paying.ended

        self._town.wait_until("the payment has reached dave's door", promised)
        if not forwarders:
            paying.result()
            raise ServiceFault("dave was paid while he stood still")
        forwarder = forwarders[0]
        forwarder.kill()
        dave.thaw()
        self._say(
            f"{forwarder.name} has taken alice's promise and given dave another when the machine"
            " dies: kill -9."
        )
        self._town.start(forwarder)
        self._say("It is back in a moment: each promise was on its disk before it was made.")
        answer = paying.result()
        self._look_at_ends(alice, dave, bolt11, answer)
        self._say(
            f"All compare notes and go on. The payment of {PLANT_SAT:,} sat completes; the receipt"
            f" is {answer['payment_preimage'][:16]}…"
        )

    # --- the end -------------------------------------------------------------------------------

    def _close(self) -> None:
        alice, carol = self._node("you"), self._node("carol")
        self._await_usable()
        self._town.wait_until(
            "the channel is at rest",
            lambda: not (self._channel(alice)["htlcs"] or self._channel(carol)["htlcs"]),
        )
        share = self._channel(alice)["to_us_msat"] // 1000
        answer = alice.call("close", id=self._channel_id)
        expect(answer["type"] == "mutual", f"the close was {answer['type']}")
        height = self._town.mine(DEPTH)
        self._say(f"alice and carol sign one last transaction: {answer['txids'][-1][:16]}…")
        self._say(f"Block {height - DEPTH + 1} pays alice her {share:,} sat less the fee.")
