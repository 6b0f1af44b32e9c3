"""A story: a peer vanishes for ever while it holds a promise, and nobody loses more than fees."""

from typing import Final

from wallet.faces.demo.looks import expect, gone, sat
from wallet.faces.demo.own_channel import GIFT_SAT, STAKE_SAT, OwnChannel, Wealth
from wallet.faces.demo.story import MONEY_CHECK, READY, Say, Step
from wallet.faces.demo.town import Town
from wallet.faces.demo.traffic import Traffic

BOAT_SAT: Final = 250_000
HALF_SAT: Final = 120_000

_PATIENCE_BLOCKS: Final = 12
_BECAUSE: Final = "Failed because: "
_HELD: Final = "RCVD_ADD_ACK_REVOCATION"
"""Both commitments have the HTLC, and all without it are revoked."""


class Vanish(OwnChannel):
    """erin's machine dies with half of a bill paid."""

    TITLE = "a peer vanishes with a payment under way"
    OPENER = "you"
    PEER = "erin"

    def __init__(self, town: Town, say: Say, traffic: Traffic | None = None) -> None:
        super().__init__(town, say, traffic)
        self._before = Wealth(0, 0)
        self._hash = ""
        self._expiry = 0
        self._since = 0
        self._close_txid = ""

    @property
    def steps(self) -> tuple[Step, ...]:
        """In order."""
        return (
            (*READY, self._ready_and_quiet),
            ("open", "alice opens a channel with erin", self._open),
            ("promise", "half of a bill", self._promise),
            ("vanish", "erin is gone", self._vanish),
            ("court", "alice goes to the chain", self._court),
            ("back", "erin is back", self._back),
            (*MONEY_CHECK, self._check),
        )

    def _open(self) -> None:
        alice, erin = self._opener, self._peer
        self._gift(alice, GIFT_SAT)
        self._open_channel(STAKE_SAT, announce=False)
        self._pay_over_it(alice, erin, BOAT_SAT)
        self._say(
            f"alice locks {STAKE_SAT:,} sat in a channel with erin and buys a boat for"
            f" {BOAT_SAT:,}: {STAKE_SAT - BOAT_SAT:,} are left to her."
        )

    def _promise(self) -> None:
        alice, erin = self._opener, self._peer
        self._before = self._wealth()
        whole = 2 * HALF_SAT * 1000
        made = erin.call(
            "invoice", amount_msat=whole, label=f"{self._label} sails", description="sails"
        )
        self._hash = made["payment_hash"]
        self._mending.callback(self._bring_back, erin)
        alice.call(
            "sendpay",
            route=[self._hop(alice, erin, HALF_SAT * 1000)],
            payment_hash=self._hash,
            payment_secret=made["payment_secret"],
            bolt11=made["bolt11"],
            amount_msat=whole,
            partid=1,
        )
        self._town.wait_until("erin holds the promise", self._is_held)
        [htlc] = self._channel(alice)["htlcs"]
        self._expiry = htlc["expiry"]
        self._say(
            f"alice pays the first half of a bill of {2 * HALF_SAT:,} sat, and erin waits for the"
            f" second before she shows the secret. The promise of {HALF_SAT:,} sat stands until"
            f" block {self._expiry}."
        )

    def _is_held(self) -> bool:
        return [h["state"] for h in self._channel(self._peer)["htlcs"]] == [_HELD]

    def _vanish(self) -> None:
        alice, erin = self._opener, self._peer
        erin.kill()
        self._town.wait_until("alice has noticed that erin is gone", lambda: gone(alice, erin))
        self._say(
            "erin's machine dies. Together they could close the channel at once; alone alice has to"
            " wait until her promise has run out."
        )
        chain = self._town.chain
        self._town.mine(self._expiry - chain.height)
        for _ in range(_PATIENCE_BLOCKS):
            self._since = chain.height
            if self._channel(alice)["state"] != "CHANNELD_NORMAL":
                break
            self._town.mine(1)
        said = self._channel(alice)["status"]
        why = [line.removeprefix(_BECAUSE) for line in said if line.startswith(_BECAUSE)]
        expect(len(why) == 1, f"at block {self._since} the channel is still open")
        self._say(f"At block {self._since} alice's node closes the channel by force: {why[0]}.")

    def _court(self) -> None:
        alice, chain = self._opener, self._town.chain
        self._close_txid = self._channel(alice)["scratch_txid"]
        self._town.wait_until(
            "alice's commitment is on its way",
            lambda: self._close_txid in chain.call("getrawmempool"),
        )
        height = self._town.mine(1)
        delay = self._channel(alice)["our_to_self_delay"]
        self._say(
            f"Block {height} has the last state that both had signed. Of it"
            f" {STAKE_SAT - BOAT_SAT - HALF_SAT:,} sat are alice's after {delay} blocks, in case"
            f" she were a cheat; {BOAT_SAT:,} are erin's at once, should she ever come back."
        )
        self._town.wait_until(
            "alice takes the promise back", lambda: bool(chain.call("getrawmempool"))
        )
        for _ in range(_PATIENCE_BLOCKS):
            if self._payment_status() == "failed":
                break
            self._town.mine(1)
        expect(self._payment_status() == "failed", f"the payment is {self._payment_status()}")
        self._say(
            f"At block {chain.height} the {HALF_SAT:,} sat of the promise are taken back, too deep"
            " to be undone, and alice's payment has failed. She needed nobody for it."
        )

    def _payment_status(self) -> str:
        [part] = self._opener.call("listsendpays", payment_hash=self._hash)["payments"]
        return str(part["status"])

    def _back(self) -> None:
        alice, erin = self._opener, self._peer
        self._town.start(erin)
        family = self._settled(self._close_txid, self._since)
        self._everybody_works()
        before, after = self._before, self._wealth()
        anchors = self._anchors_sat(self._close_txid)
        her_fee = self._fees_sat(erin, family)
        cost = family.cost_sat - her_fee + anchors
        self._say(
            "erin's machine is repaired. She finds in the chain what is hers, and takes it for a"
            f" fee of {her_fee:,} sat."
        )
        for node, msat, was, less in (
            (erin, after.peer_msat, before.peer_msat, her_fee),
            (alice, after.opener_msat, before.opener_msat, cost),
        ):
            expect(
                msat == was - less * 1000,
                f"{node.name} has {sat(msat)} sat after {sat(was)}, which should be {less:,} less",
            )
        self._say(
            f"Before: alice {sat(before.opener_msat)} sat, erin {sat(before.peer_msat)}. After:"
            f" alice {sat(after.opener_msat)}, erin {sat(after.peer_msat)}. The court has cost"
            f" alice {cost:,} sat, {anchors:,} of them left in anchors; nobody has lost a payment."
        )
