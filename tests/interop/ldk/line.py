"""Alice (ours) – L1 (LDK) – Bob (ours) – L2 (LDK): each kind forwards for the other.

Only the channel in the middle is announced: whoever is at an end is found by the route hints of
its invoices.  L2 has two channels with Bob, so that what one cannot carry goes in parts.
"""

import itertools
from functools import partial
from pathlib import Path
from typing import Any, Final

from tests.interop.ldk.control import LdkNode
from tests.interop.ldk.daemon import Daemon, wait_for
from tests.interop.ldk.pair import NOBODY
from tests.support.chain_server import ChainServer
from wallet.base.bitcoin.address import encode_address
from wallet.base.bitcoin.chains import REGTEST

CAPACITY_SAT: Final = 1_000_000
PUSHED_MSAT: Final = 450_000_000
ANNOUNCEMENT_DEPTH: Final = 6
FORWARDS_TO_PRIVATE: Final = {"user": {"accept_forwards_to_priv_channels": True}}


class Line:
    """All four, connected, their channels usable and known to whom they concern."""

    def __init__(self, home: Path, *, mapped: bool = True) -> None:
        """`mapped`: wait until all have the channel in the middle on their maps."""
        self._mapped = mapped
        self.chain = ChainServer(home / "chain")
        self.alice, self.bob = (
            Daemon(home / name, self.chain.url, self.chain.cookie) for name in ("alice", "bob")
        )
        self.l1, self.l2 = (
            LdkNode(home / name, self.chain.url, self.chain.cookie, config=FORWARDS_TO_PRIVATE)
            for name in ("l1", "l2")
        )
        self._labels = itertools.count()
        try:
            for daemon in (self.alice, self.bob):
                daemon.create()
                daemon.start()
            for ldk in (self.l1, self.l2):
                ldk.start()
            self._fund()
            self._open_all()
        except BaseException as error:
            for line in self.last_words():
                error.add_note(line)
            self.close()
            raise

    def last_words(self) -> list[str]:
        """What everybody said last."""
        said = {
            "alice": self.alice.log_tail(),
            "l1": self.l1.log_tail(),
            "bob": self.bob.log_tail(),
            "l2": self.l2.log_tail(),
        }
        return [f"{name}, last:\n{words}" for name, words in said.items()]

    def close(self) -> None:
        """End all processes."""
        for program in (self.l1, self.l2, self.alice, self.bob, self.chain):
            program.stop()

    def mine(self, blocks: int = 1, address: str = NOBODY) -> None:
        """Mine what all have broadcast, and wait until all have seen it."""
        for ldk in (self.l1, self.l2):
            ldk.call("flush")
        self.chain.call("generatetoaddress", blocks, address)
        height = self.chain.call("getblockcount")
        for ldk in (self.l1, self.l2):
            ldk.call("sync", height=height)
        for daemon in (self.alice, self.bob):
            wait_for(partial(_is_at, daemon, height), "the blocks")

    def _fund(self) -> None:
        ours = [d.call("newaddr", addresstype="bech32")["bech32"] for d in (self.alice, self.bob)]
        scripts = [bytes.fromhex(n.call("info")["wallet_script"]) for n in (self.l1, self.l2)]
        for address in (*ours, *(encode_address(script, REGTEST) for script in scripts)):
            self.mine(1, address)
        self.mine(100)

    def _open_all(self) -> None:
        self._open_to(self.alice, self.l1, announce=False)
        self._open_to(self.bob, self.l1, announce=True)
        self.l2.call("connect", node_id=self.bob.node_id, port=self.bob.port)
        for _ in range(2):
            self.l2.call(
                "open_channel", node_id=self.bob.node_id, sat=CAPACITY_SAT, push_msat=PUSHED_MSAT
            )
            self.mine()
        self.mine(ANNOUNCEMENT_DEPTH)
        wait_for(self._all_usable, "channels that all can use")
        if not self._mapped:
            return
        # BOLT 7: a forward needs the terms of both directions to be known.
        for ldk in (self.l1, self.l2):
            self._tell(ldk)
        for daemon in (self.alice, self.bob):
            wait_for(partial(_we_know, daemon), "the channel in the middle on our map")

    def _tell(self, ldk: LdkNode) -> None:
        """LDK drops terms that overtake their announcement: new ones, with a later time, do not."""
        knows = partial(_ldk_knows, ldk)
        try:
            wait_for(knows, "LDK to know the channel in the middle", 4)
        except AssertionError:
            for htlc_minimum_msat in (1, 0):
                self.bob.call("setchannel", id=self.l1.node_id, htlcmin=htlc_minimum_msat)
            wait_for(knows, "the channel in the middle on LDK's map")

    def _open_to(self, daemon: Daemon, ldk: LdkNode, *, announce: bool) -> None:
        daemon.call("connect", id=ldk.node_id, host="127.0.0.1", port=ldk.port)
        daemon.call(
            "fundchannel",
            id=ldk.node_id,
            amount=CAPACITY_SAT,
            push_msat=PUSHED_MSAT,
            announce=announce,
        )
        self.mine()

    def _all_usable(self) -> bool:
        ours = [
            channel
            for daemon in (self.alice, self.bob)
            for channel in daemon.call("listpeerchannels")["channels"]
            if channel["state"] == "CHANNELD_NORMAL" and channel["peer_connected"]
        ]
        theirs = [
            channel
            for ldk in (self.l1, self.l2)
            for channel in ldk.call("list_channels")
            if channel["is_usable"]
        ]
        return len(ours) == len(theirs) == 4

    # ------------------------------------------------------------------ payments

    def our_invoice(self, payee: Daemon, amount_msat: int, **params: Any) -> dict[str, Any]:
        """An invoice of one of our daemons, with its `label`."""
        label = f"line {next(self._labels)}"
        made = payee.call(
            "invoice", amount_msat=amount_msat, label=label, description="line", **params
        )
        return {**made, "label": label}

    def invoice_of(self, payee: Daemon, invoice: dict[str, Any]) -> dict[str, Any]:
        """As `listinvoices` shows it now."""
        [found] = payee.call("listinvoices", label=invoice["label"])["invoices"]
        return dict(found)

    def ldk_pays(self, payer: LdkNode, bolt11: str) -> dict[str, Any]:
        """The end of an LDK payment."""
        begun = payer.call("pay_invoice", invoice=bolt11)
        return dict(payer.call("wait_payment", payment_hash=begun["payment_hash"]))

    def wait_idle(self) -> None:
        """Nothing is in flight in any channel."""

        def idle() -> bool:
            return not any(
                channel["htlcs"]
                for daemon in (self.alice, self.bob)
                for channel in daemon.call("listpeerchannels")["channels"]
            )

        wait_for(idle, "the end of what is in flight")

    def worth(self, daemon: Daemon) -> int:
        """The millisatoshis that a daemon owns in all of its channels, once nothing moves."""
        self.wait_idle()
        return sum(c["to_us_msat"] for c in daemon.call("listpeerchannels")["channels"])


def _is_at(daemon: Daemon, height: int) -> bool:
    return int(daemon.call("getinfo")["blockheight"]) >= height


def _ldk_knows(ldk: LdkNode) -> bool:
    return any(channel["directions"] == 2 for channel in ldk.call("graph"))


def _we_know(daemon: Daemon) -> bool:
    return len(daemon.call("listchannels")["channels"]) >= 2
