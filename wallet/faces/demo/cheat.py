"""A story: a node goes back to an old state of its channel, and loses all that it had in it."""

import shutil
from pathlib import Path
from typing import Any, Final

from wallet.faces.demo import layout
from wallet.faces.demo.looks import expect, sat
from wallet.faces.demo.old_copy import go_back, keep_copy
from wallet.faces.demo.own_channel import GIFT_SAT, STAKE_SAT, OwnChannel, Wealth
from wallet.faces.demo.story import MONEY_CHECK, READY, Say, Step
from wallet.faces.demo.town import Town
from wallet.faces.demo.traffic import Traffic

TABLE_SAT: Final = 100_000
PIANO_SAT: Final = 500_000
LEFT_SAT: Final = STAKE_SAT - TABLE_SAT - PIANO_SAT
"""What is erin's when she cheats, and what she loses."""

_BY_CHEAT: Final = "by their cheat"


class Cheat(OwnChannel):
    """erin buys a piano, and then acts as if she had not."""

    TITLE = "a cheater is caught"
    OPENER = "erin"
    PEER = "you"

    def __init__(self, town: Town, say: Say, traffic: Traffic | None = None) -> None:
        super().__init__(town, say, traffic)
        self._before = Wealth(0, 0)
        self._numbers: dict[str, tuple[int, int]] = {}
        self._foretold_sat = 0
        self._since = 0
        self._cheat_txid = ""

    @property
    def steps(self) -> tuple[Step, ...]:
        """In order."""
        return (
            (*READY, self._ready_and_quiet),
            ("open", "erin opens a channel with alice", self._open),
            ("copy", "erin keeps an old copy", self._copy),
            ("pay", "erin buys a piano", self._buy),
            ("cheat", "erin takes it back", self._cheat),
            ("caught", "alice wakes up", self._caught),
            (*MONEY_CHECK, self._check),
        )

    @property
    def _place(self) -> Path:
        return self._town.directory / layout.OLD_COPY

    def _open(self) -> None:
        erin, alice = self._opener, self._peer
        self._gift(erin, GIFT_SAT)
        self._open_channel(STAKE_SAT, announce=False)
        self._pay_over_it(erin, alice, TABLE_SAT)
        self._say(
            f"erin locks {STAKE_SAT:,} sat in a channel with alice and buys a table for"
            f" {TABLE_SAT:,}: now {STAKE_SAT - TABLE_SAT:,} of them are hers."
        )

    def _copy(self) -> None:
        erin = self._opener
        self._wealth()
        self._mending.callback(shutil.rmtree, self._place, ignore_errors=True)
        self._mending.callback(self._bring_back, erin)
        keep_copy(erin, self._place)
        self._numbers = self._others_numbers()
        self._town.start(erin)
        self._await_usable()
        self._say(
            "erin copies her node's files. In the copy is a transaction, signed by alice, that pays"
            f" erin {STAKE_SAT - TABLE_SAT:,} sat."
        )

    def _others_numbers(self) -> dict[str, tuple[int, int]]:
        """Where erin's other channels stand, as their other sides say."""
        erin = self._opener
        rows: list[dict[str, Any]] = [
            row
            for node in self._town.nodes.values()
            if node is not erin
            for row in node.call("commitments")["commitments"]
            if row["peer_id"] == erin.id and row["channel_id"] != self._channel_id
        ]
        return {r["channel_id"]: (r["ours"]["number"], r["theirs"]["number"]) for r in rows}

    def _buy(self) -> None:
        erin, alice = self._opener, self._peer
        self._pay_over_it(erin, alice, PIANO_SAT)
        self._before = self._wealth()
        share = self._share_msat(erin)
        expect(share == LEFT_SAT * 1000, f"erin's share is {sat(share)} sat")
        self._say(
            f"erin pays {PIANO_SAT:,} sat for a piano, and {LEFT_SAT:,} are hers now. For the new"
            " state she has given alice the secret of the old one, which punishes whoever shows it."
        )
        court = alice.call("court", channel_id=self._channel_id)["channels"][0]
        [way] = [way for way in court["ways"] if way["way"] == _BY_CHEAT]
        mine = [o for o in way["outputs"] if o["owner"] == "us" and o["verified"] is not None]
        expect(bool(mine) and all(o["verified"] for o in mine), "a penalty is not valid")
        self._foretold_sat = way["ours_msat"] // 1000
        self._say(
            f"alice's court says of an old state: {self._foretold_sat:,} sat would be hers. It has"
            " built the penalty, and Bitcoin Core's script engine has found it valid."
        )

    def _cheat(self) -> None:
        erin, alice = self._opener, self._peer
        self._since = self._town.chain.height
        erin.stop()
        expect(
            self._others_numbers() == self._numbers,
            "erin has been paid or has paid meanwhile in other channels, which her old copy would"
            " lose too: nothing was done",
        )
        go_back(erin, self._place)
        self._mending.callback(alice.thaw)
        alice.freeze()
        self._town.start(erin)
        answer = erin.call("close", id=self._channel_id, unilateraltimeout=1)
        expect(answer["type"] == "unilateral", f"the close was {answer['type']}")
        self._cheat_txid = answer["txids"][0]
        height = self._town.mine(1)
        self._say(
            "alice's machine is asleep. erin puts the old files back and closes the channel by"
            f" force: {self._cheat_txid[:16]}… is in block {height} and says that"
            f" {STAKE_SAT - TABLE_SAT:,} sat are hers, in {self._delay} blocks."
        )

    @property
    def _delay(self) -> int:
        """Blocks that whoever closes by force has to wait: alice's time."""
        return int(self._channel(self._opener)["our_to_self_delay"])

    def _caught(self) -> None:
        alice, chain = self._peer, self._town.chain
        alice.thaw()
        self._town.wait_until(
            "alice's penalty is on its way", lambda: bool(chain.call("getrawmempool"))
        )
        family = self._settled(self._cheat_txid, self._since)
        spent = chain.height - self._since - 1
        expect(spent < self._delay, f"alice took {spent} blocks")
        self._everybody_works()
        before, after = self._before, self._wealth()
        anchors = self._anchors_sat(self._cheat_txid)
        expect(
            self._foretold_sat + family.fees_sat[self._cheat_txid] + anchors == STAKE_SAT,
            "the court has foretold something else",
        )
        gained = LEFT_SAT - family.cost_sat - anchors
        self._say(
            f"alice wakes up, finds the old state in the chain and takes all of it, {spent} block"
            f"{'s' * (spent != 1)} later. erin, who wanted {PIANO_SAT:,} sat back, has lost the"
            f" {LEFT_SAT:,} that were hers."
        )
        expect(
            after.opener_msat == before.opener_msat - LEFT_SAT * 1000,
            f"erin has {sat(after.opener_msat)} sat after {sat(before.opener_msat)}",
        )
        expect(
            after.peer_msat == before.peer_msat + gained * 1000,
            f"alice has {sat(after.peer_msat)} sat after {sat(before.peer_msat)}, which should be"
            f" {gained:,} more",
        )
        self._say(
            f"Before: alice {sat(before.peer_msat)} sat, erin {sat(before.opener_msat)}. After:"
            f" alice {sat(after.peer_msat)}, erin {sat(after.opener_msat)}. That is {gained:,} for"
            f" alice; the miners got {family.cost_sat:,}, and {anchors:,} are left in anchors."
        )
