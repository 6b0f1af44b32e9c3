"""Three short stories, each of one thing that happens to payments, told message by message."""

from itertools import pairwise
from typing import Any, Final

from wallet.faces.demo.following import Follower, Message, path_of
from wallet.faces.demo.looks import (
    InBackground,
    expect,
    gone,
    linked,
    refusal,
    status,
)
from wallet.faces.demo.story import MONEY_CHECK, READY, Say, Step, Story
from wallet.faces.demo.town import Node, Town
from wallet.faces.demo.traffic import Traffic

KETTLE_SAT: Final = 20_000
RECORD_SAT: Final = 12_000
POSTER_SAT: Final = 3_000
BICYCLE_SAT: Final = 10_000

_DRY_MSAT: Final = BICYCLE_SAT * 1000 // 2
_DELAY: Final = 30
"""Blocks that a payee of the town asks for, and some to spare."""


class _Told(Story):
    """A story that tells what the nodes say."""

    @property
    def _names(self) -> dict[str, str]:
        return {node.key: node.name for node in self._town.nodes.values()}

    def _follower(self) -> Follower:
        return Follower(self._town.nodes.values())

    def _hash(self, payer: Node, bolt11: str) -> str:
        return str(payer.call("decode", string=bolt11)["payment_hash"])

    def _tell(self, messages: list[Message]) -> None:
        for message in messages:
            self._say(message.told(self._names))


class HopByHop(_Told):
    """Every message of one payment."""

    TITLE = "one payment, told hop by hop"

    def __init__(self, town: Town, say: Say, traffic: Traffic | None = None) -> None:
        super().__init__(town, say, traffic)
        self._bolt11 = ""
        self._path: list[Message] = []

    @property
    def steps(self) -> tuple[Step, ...]:
        """In order."""
        return (
            (*READY, self._ready),
            ("invoice", "dave asks for money", self._ask),
            ("hops", "what is said on the way", self._pay),
            ("fees", "who has earned what", self._fees),
            (*MONEY_CHECK, self._check),
        )

    def _ask(self) -> None:
        self._strangers("you", "dave")
        self._bolt11 = self._invoice(self._node("dave"), KETTLE_SAT, "a kettle")
        wanted = self._hash(self._node("you"), self._bolt11)
        self._say(
            f"dave thinks of a secret and writes an invoice for {KETTLE_SAT:,} sat with its hash,"
            f" {wanted[:16]}…. Who knows the hash cannot guess the secret."
        )

    def _pay(self) -> None:
        alice, dave = self._node("you"), self._node("dave")
        follower = self._follower()
        wanted = self._hash(alice, self._bolt11)
        answer, receipt = self._pay_invoice(alice, dave, self._bolt11, "a kettle")
        messages = follower.messages(wanted)
        self._tell(messages)
        self._say(receipt)
        self._path = path = path_of(messages, "you", "dave")
        expect(len(path) > 1, "nobody had to forward")
        expect(path[0].msat == answer["amount_sent_msat"], "alice has sent another amount")
        expect(path[-1].msat == KETTLE_SAT * 1000, "dave has got another amount")
        self._say(
            "Each waits for the next one's answer. The secret unlocks all promises, so nobody in"
            " between can lose: who has paid can claim."
        )

    def _fees(self) -> None:
        for one, following in pairwise(self._path):
            earned = one.msat - following.msat
            expect(earned > 0, f"{following.sender} was not paid for forwarding")
            self._say(
                f"{self._names[following.sender]} got {one.msat:,} msat, passed on"
                f" {following.msat:,} and keeps {earned:,}; for {one.expiry - following.expiry}"
                " blocks more than the next one it could have claimed its money on the chain."
            )


class Offline(_Told):
    """A payee who is away, and one who stands still."""

    TITLE = "somebody is offline"

    def __init__(self, town: Town, say: Say, traffic: Traffic | None = None) -> None:
        super().__init__(town, say, traffic)
        self._bolt11 = ""

    @property
    def steps(self) -> tuple[Step, ...]:
        """In order."""
        return (
            (*READY, self._ready),
            ("stop", "bob's machine is switched off", self._stop),
            ("refused", "a payment that cannot arrive", self._refused),
            ("start", "bob is back", self._start),
            ("pay", "the same invoice again", self._pay),
            ("held", "a payment to one who stands still", self._held),
            (*MONEY_CHECK, self._check),
        )

    def _stop(self) -> None:
        bob = self._node("bob")
        self._bolt11 = self._invoice(bob, RECORD_SAT, "a record")
        self._mending.callback(self._bring_back, bob)
        bob.stop()
        others = [node for node in self._town.nodes.values() if node is not bob]
        self._town.wait_until(
            "everybody has noticed that bob is gone", lambda: all(gone(n, bob) for n in others)
        )
        self._say(
            f"bob has written an invoice for {RECORD_SAT:,} sat and gone. His channels are still"
            " there, but nobody can use one alone."
        )

    def _refused(self) -> None:
        alice = self._node("you")
        follower = self._follower()
        wanted = self._hash(alice, self._bolt11)
        said = refusal(alice, self._bolt11)
        messages = follower.messages(wanted)
        self._tell(messages)
        self._say(f"alice tries to pay him: {said}")
        given, taken_back = (
            sorted(m.htlc for m in messages if m.type == kind) for kind in ("add", "fail")
        )
        expect(given == taken_back, "a promise of the payment that failed still stands")
        pays = alice.call("listpays", payment_hash=wanted)["pays"]
        expect(all(p["status"] == "failed" for p in pays), "the payment has not failed")
        self._say("Every promise was taken back. The money is where it was, in alice's channels.")

    def _start(self) -> None:
        bob = self._node("bob")
        self._town.start(bob)
        nodes = self._town.nodes.values()
        self._town.wait_until("bob's channels work again", lambda: all(map(linked, nodes)))
        expect(status(bob, self._bolt11) == "unpaid", "bob's invoice is not unpaid")
        self._say("bob has everything from his disk; his invoice is unpaid and still good.")

    def _pay(self) -> None:
        alice, bob = self._node("you"), self._node("bob")
        _, receipt = self._pay_invoice(alice, bob, self._bolt11, "a record")
        self._say(receipt)

    def _held(self) -> None:
        alice, bob = self._node("you"), self._node("bob")
        bolt11 = self._invoice(bob, POSTER_SAT, "a poster")
        wanted = self._hash(alice, bolt11)
        follower = self._follower()
        bob.freeze()
        paying = InBackground(lambda: alice.call("pay", bolt11=bolt11))

        def at_the_door() -> bool:
            heard = follower.messages(wanted)
            return any(m.type == "add" and m.receiver == "bob" for m in heard) or paying.ended

        self._town.wait_until("the payment has reached bob's door", at_the_door)
        expect(not paying.ended, "the payment has ended while bob stood still")
        promised = follower.messages(wanted)
        self._tell(promised)
        # Traffic may have emptied a channel on the first way: that promise was taken back.
        back = {m.htlc for m in promised if m.type == "fail"}
        held = [m for m in promised if m.type == "add" and m.htlc not in back]
        expect([m.receiver for m in held][-1:] == ["bob"], "no promise stands at bob's door")
        blocks = held[0].expiry - self._town.chain.height
        self._say(
            f"bob stands still: his links are open and he does not answer. alice's"
            f" {held[0].msat:,} msat wait, at most for {blocks} blocks; then they are hers"
            " again."
        )
        bob.thaw()
        self._look_at_ends(alice, bob, bolt11, paying.result())
        messages = follower.messages(wanted)
        expect(messages[: len(promised)] == promised, "what was promised was said again")
        path_of(messages, "you", "bob")
        self._tell(messages[len(promised) :])
        self._say("bob goes on, and the payment arrives as if nothing had been.")


class DryChannel(_Told):
    """A channel that cannot carry a payment, and another way."""

    TITLE = "around a dry channel"

    def __init__(self, town: Town, say: Say, traffic: Traffic | None = None) -> None:
        super().__init__(town, say, traffic)
        self._path: list[Message] = []
        self._drained = 0

    @property
    def steps(self) -> tuple[Step, ...]:
        """In order."""
        return (
            (*READY, self._begin),
            ("pay", "a payment on the usual way", self._usual),
            ("dry", "a channel runs dry", self._drain),
            ("detour", "the wallet finds another way", self._around),
            ("refill", "the channel is filled again", self._refill),
            (*MONEY_CHECK, self._check),
        )

    @property
    def _last(self) -> Message:
        """The last promise of the usual way: over the channel that runs dry."""
        return self._path[-1]

    def _begin(self) -> None:
        # Traffic would fill what has to be dry.
        self._ready_and_quiet()
        self._strangers("you", "carol")

    def _usual(self) -> None:
        messages = self._buy("a bicycle")
        self._path = path_of(messages, "you", "carol")
        way = " to ".join(["alice", *(self._names[m.receiver] for m in self._path)])
        self._say(f"The way was {way}.")

    def _buy(self, what: str) -> list[Message]:
        """alice buys of carol: all that was said about it."""
        alice, carol = self._node("you"), self._node("carol")
        bolt11 = self._invoice(carol, BICYCLE_SAT, what)
        follower = self._follower()
        _, receipt = self._pay_invoice(alice, carol, bolt11, what)
        messages = follower.messages(self._hash(alice, bolt11))
        self._tell(messages)
        self._say(receipt)
        return messages

    def _drain(self) -> None:
        dry, carol = self._node(self._last.sender), self._node("carol")
        self._mending.callback(self._fill)
        while (left := int(self._channel(dry)["spendable_msat"])) >= _DRY_MSAT:
            self._push(dry, carol, left)
            self._drained += left
        self._say(
            f"{dry.name} pays carol {self._drained // 1000:,} sat over the channel between them:"
            " all of its share. What a channel can carry, only its two ends know."
        )

    def _channel(self, node: Node) -> dict[str, Any]:
        channels = node.call("listpeerchannels", channel_id=self._last.channel_id)["channels"]
        expect(len(channels) == 1, f"{node.name} does not know the channel")
        found: dict[str, Any] = channels[0]
        return found

    def _push(self, one: Node, other: Node, msat: int) -> None:
        """Over this channel, whatever a wallet would choose."""
        hop = {"id": other.id, "amount_msat": msat, "delay": _DELAY}
        self._send(one, other, [{**hop, "channel": self._channel(one)["short_channel_id"]}])

    def _around(self) -> None:
        dry = self._names[self._last.sender]
        messages = self._buy("a second bicycle")
        path = path_of(messages, "you", "carol")
        expect(all(m.channel_id != self._last.channel_id for m in path), "the dry channel was used")
        refused = [m for m in messages if m.type == "fail"]
        expect(
            refused[:1] != [] and refused[0].sender == self._last.sender,
            f"{dry} was not asked first",
        )
        way = " to ".join(["alice", *(self._names[m.receiver] for m in path)])
        self._say(
            f"alice's wallet asked {dry} first, who could not pass it on and said why, in a message"
            f" that only alice can read; so the wallet took another way: {way}."
        )

    def _refill(self) -> None:
        self._fill()
        path, height = self._path, self._town.chain.height
        channels = {
            c["channel_id"]: c.get("short_channel_id") or c["alias"]["local"]
            for node in self._town.nodes.values()
            for c in node.call("listpeerchannels")["channels"]
        }
        route = [
            {
                "id": self._node(m.receiver).id,
                "channel": channels[m.channel_id],
                "amount_msat": m.msat,
                "delay": m.expiry - height,
            }
            for m in path
        ]
        self._send(self._node("you"), self._node("carol"), route)
        self._say(
            "carol gives all of it back. alice pays her once more on the old way, which her wallet"
            f" would not take by itself for a minute: {self._names[self._last.sender]} has said no."
        )
        self._settle("carol", "you", 3 * BICYCLE_SAT, "three bicycles, taken back")

    def _fill(self) -> None:
        """Give back what was taken out; once."""
        msat, self._drained = self._drained, 0
        dry, carol = self._node(self._last.sender), self._node("carol")
        while msat > 0:
            part = min(msat, int(self._channel(carol)["spendable_msat"]))
            expect(part > 0, "carol cannot give it back")
            self._push(carol, dry, part)
            msat -= part
