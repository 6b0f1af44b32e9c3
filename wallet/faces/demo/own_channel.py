"""Stories that open a channel of their own, so that nobody else's is at stake in them."""

from dataclasses import dataclass
from typing import Any, ClassVar, Final

from wallet.base.errors import ServiceFault
from wallet.faces.demo.chain import Family
from wallet.faces.demo.looks import at_rest, expect, linked, wealth_msat
from wallet.faces.demo.money import ANCHOR_MSAT, Coin
from wallet.faces.demo.opening import DEPTH
from wallet.faces.demo.story import Say, Story
from wallet.faces.demo.town import Node, Town
from wallet.faces.demo.traffic import Traffic

STAKE_SAT: Final = 1_000_000
"""What the opener locks in the channel."""
GIFT_SAT: Final = 1_050_000
"""The same with something for fees."""
DELAY: Final = 30
"""Blocks that a payee of the town asks for, and some to spare."""
_SETTLE_BLOCKS: Final = 20


@dataclass(frozen=True, slots=True)
class Wealth:
    """Whose is how much at one moment, in millisatoshi."""

    opener_msat: int
    peer_msat: int


class OwnChannel(Story):
    """A story about one channel between two nodes."""

    OPENER: ClassVar[str]
    PEER: ClassVar[str]

    def __init__(self, town: Town, say: Say, traffic: Traffic | None = None) -> None:
        super().__init__(town, say, traffic)
        self._channel_id = ""

    @property
    def _opener(self) -> Node:
        return self._node(self.OPENER)

    @property
    def _peer(self) -> Node:
        return self._node(self.PEER)

    # --- the channel ---------------------------------------------------------------------------

    def _gift(self, node: Node, amount_sat: int) -> str:
        """From the faucet, in a block that every node has read: the transaction.

        What the chain has to bear for the story counts from here.
        """
        address = node.call("newaddr", addresstype="bech32")["bech32"]
        txid = self._town.chain.pay_from_faucet({address: amount_sat})
        self._first_height = self._town.mine(1)
        return txid

    def _open_channel(self, amount_sat: int, *, announce: bool, blocks: int = DEPTH) -> str:
        """Open it, bury it under so many blocks, wait until it works: the funding transaction."""
        self._opener.connect(self._peer)
        answer = self._opener.call(
            "fundchannel", id=self._peer.id, amount=amount_sat, announce=announce
        )
        self._channel_id = answer["channel_id"]
        self._town.mine(blocks)
        self._await_usable()
        return str(answer["txid"])

    def _await_usable(self) -> None:
        def usable() -> bool:
            found = [self._channel(side) for side in (self._opener, self._peer)]
            return all(c["state"] == "CHANNELD_NORMAL" and c["reestablished"] for c in found)

        names = f"{self._opener.name} and {self._peer.name}"
        self._town.wait_until(f"the channel of {names} works", usable)

    def _channel(self, node: Node) -> dict[str, Any]:
        """The story's channel as one side sees it."""
        channels = node.call("listpeerchannels", channel_id=self._channel_id)["channels"]
        expect(len(channels) == 1, f"{node.name} does not know the channel")
        found: dict[str, Any] = channels[0]
        return found

    def _share_msat(self, node: Node) -> int:
        return int(self._channel(node)["to_us_msat"])

    def _hop(self, payer: Node, payee: Node, msat: int) -> dict[str, Any]:
        """Over this channel, as `sendpay` wants it."""
        scid = self._channel(payer)["short_channel_id"]
        return {"id": payee.id, "channel": scid, "amount_msat": msat, "delay": DELAY}

    def _pay_over_it(self, payer: Node, payee: Node, amount_sat: int) -> None:
        """Over this channel, whatever a wallet would choose."""
        self._send(payer, payee, [self._hop(payer, payee, amount_sat * 1000)])

    # --- who has how much ----------------------------------------------------------------------

    def _wealth(self) -> Wealth:
        """Of both, once nothing is under way between them."""
        sides = (self._opener, self._peer)
        self._town.wait_until("the channel is at rest", lambda: all(map(at_rest, sides)))
        return Wealth(*map(wealth_msat, sides))

    def _settled(self, txid: str, since: int) -> Family:
        """Mine until everything that a close has left is in a wallet, but for the anchors.

        `txid`: what closed the channel, in a block above `since`.
        """
        chain = self._town.chain
        for _ in range(_SETTLE_BLOCKS):
            family = chain.family(txid, since)
            expect(txid in family.fees_sat, f"{txid[:16]}… is in no block")
            if not self._waiting(family):
                return family
            self._town.mine(1)
        raise ServiceFault(f"after {_SETTLE_BLOCKS} blocks the close still waits for something")

    def _waiting(self, family: Family) -> list[dict[str, Any]]:
        """Coins of a close that no wallet has yet."""
        theirs = _coins(self._opener) | _coins(self._peer)
        return [
            coin
            for coin in self._town.chain.call("listutxos")["utxos"]
            if coin["txid"] in family.fees_sat
            and coin["amount_sat"] * 1000 != ANCHOR_MSAT
            and (coin["txid"], coin["vout"]) not in theirs
        ]

    def _fees_sat(self, node: Node, family: Family) -> int:
        """What the node has paid to take its part of a close."""
        taken = {txid for txid, _ in _coins(node)}
        return sum(fee for txid, fee in family.fees_sat.items() if txid in taken)

    def _anchors_sat(self, txid: str) -> int:
        """What the anchors of a commitment hold that nobody took: they are not worth a fee."""
        return sum(
            int(coin["amount_sat"])
            for coin in self._town.chain.call("listutxos")["utxos"]
            if coin["txid"] == txid and coin["amount_sat"] * 1000 == ANCHOR_MSAT
        )

    def _everybody_works(self) -> None:
        """The town is as it was: all are there, and every channel that lives works."""
        nodes = self._town.nodes.values()
        self._town.wait_until("every channel works again", lambda: all(map(linked, nodes)))


def _coins(node: Node) -> set[Coin]:
    """All that its wallet has or had."""
    outputs = node.call("listfunds", spent=True)["outputs"]
    return {(output["txid"], output["output"]) for output in outputs}
