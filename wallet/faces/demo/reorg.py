"""A story: the blocks over a channel's funding are replaced by others, and the channel lives on."""

from typing import Final

from wallet.faces.demo.looks import expect, sat
from wallet.faces.demo.own_channel import GIFT_SAT, STAKE_SAT, OwnChannel, Wealth
from wallet.faces.demo.story import MONEY_CHECK, READY, Say, Step
from wallet.faces.demo.town import Town
from wallet.faces.demo.traffic import Traffic

TENT_SAT: Final = 200_000
MAP_SAT: Final = 50_000
_DEEP: Final = 3
"""Blocks that are replaced: the funding is in the first of them."""


class Reorganisation(OwnChannel):
    """The chain changes its mind about the last three blocks."""

    TITLE = "a reorganisation under an open channel"
    OPENER = "you"
    PEER = "erin"

    def __init__(self, town: Town, say: Say, traffic: Traffic | None = None) -> None:
        super().__init__(town, say, traffic)
        self._before = Wealth(0, 0)
        self._since = 0
        self._txid = ""
        self._names: list[str] = []

    @property
    def steps(self) -> tuple[Step, ...]:
        """In order."""
        return (
            (*READY, self._ready_and_quiet),
            ("open", "alice opens a channel with erin", self._open),
            ("reorg", "three blocks are replaced by four", self._reorganise),
            ("again", "the funding is mined again", self._mine_again),
            ("pay", "the channel is as good as before", self._pay),
            ("close", "alice and erin part", self._close),
            (*MONEY_CHECK, self._check),
        )

    def _open(self) -> None:
        alice, erin = self._opener, self._peer
        self._gift(alice, GIFT_SAT)
        self._before = self._wealth()
        self._since = self._town.chain.height
        self._txid = self._open_channel(STAKE_SAT, announce=False, blocks=_DEEP)
        self._pay_over_it(alice, erin, TENT_SAT)
        self._names.append(self._name())
        self._say(
            f"alice locks {STAKE_SAT:,} sat in a channel with erin, {self._names[0]}, and buys a"
            f" tent for {TENT_SAT:,}."
        )

    def _name(self) -> str:
        """The channel's name, which says where its funding is: block, transaction, output."""
        names = {self._channel(side)["short_channel_id"] for side in (self._opener, self._peer)}
        expect(len(names) == 1, f"the two sides call the channel {' and '.join(sorted(names))}")
        return str(names.pop())

    def _reorganise(self) -> None:
        chain, nodes = self._town.chain, self._town.nodes.values()
        height = chain.reorganise(_DEEP)
        self._town.wait_until(
            "every node has followed", lambda: all(node.has_read(height) for node in nodes)
        )
        expect(self._txid in chain.call("getrawmempool"), "the funding is not waiting for a block")
        self._shares()
        self._say(
            f"Somebody has mined {_DEEP + 1} other blocks from block {height - _DEEP - 1} on, and"
            " the longer chain counts. The channel's funding is in no block any more: it waits for"
            " one again. What alice and erin have signed is as good as it was."
        )

    def _shares(self) -> None:
        """Nobody's share has changed."""
        alice, erin = (self._share_msat(side) for side in (self._opener, self._peer))
        expect(
            (alice, erin) == ((STAKE_SAT - TENT_SAT) * 1000, TENT_SAT * 1000),
            f"the shares are {sat(alice)} and {sat(erin)} sat",
        )

    def _mine_again(self) -> None:
        height = self._town.mine(_DEEP)
        self._await_usable()
        self._names.append(self._name())
        self._shares()
        expect(self._names[0] != self._names[1], "the channel has its old name")
        expect(
            self._names[1].startswith(f"{height - _DEEP + 1}x"),
            f"the channel is called {self._names[1]}",
        )
        self._say(
            f"Block {height - _DEEP + 1} has the funding now, so the channel is called"
            f" {self._names[1]}. alice still has {STAKE_SAT - TENT_SAT:,} sat in it, erin"
            f" {TENT_SAT:,}."
        )

    def _pay(self) -> None:
        alice, erin = self._opener, self._peer
        self._pay_over_it(alice, erin, MAP_SAT)
        self._say(f"alice buys a map for {MAP_SAT:,} sat, over the same channel.")

    def _close(self) -> None:
        alice = self._opener
        answer = alice.call("close", id=self._channel_id)
        expect(answer["type"] == "mutual", f"the close was {answer['type']}")
        self._town.mine(1)
        before, after = self._before, self._wealth()
        cost = self._town.chain.family(self._txid, self._since).cost_sat
        paid = TENT_SAT + MAP_SAT
        expect(
            after.peer_msat == before.peer_msat + paid * 1000,
            f"erin has {sat(after.peer_msat)} sat after {sat(before.peer_msat)}",
        )
        expect(
            after.opener_msat == before.opener_msat - (paid + cost) * 1000,
            f"alice has {sat(after.opener_msat)} sat after {sat(before.opener_msat)}, which should"
            f" be {paid + cost:,} less",
        )
        self._say(
            f"Before: alice {sat(before.opener_msat)} sat, erin {sat(before.peer_msat)}. After:"
            f" alice {sat(after.opener_msat)}, erin {sat(after.peer_msat)}. That is {paid:,} for"
            f" what was bought and {cost:,} in fees for the funding and the close; the"
            " reorganisation has cost nobody anything."
        )
