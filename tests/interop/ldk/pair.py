"""A daemon of ours, an LDK node, and the chain under both: what the scenarios play with."""

import itertools
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tests.interop.ldk.control import LdkNode
from tests.interop.ldk.daemon import Daemon, wait_for
from tests.support.chain_server import ChainServer
from wallet.base.bitcoin.address import encode_address
from wallet.base.bitcoin.chains import REGTEST

Side = Literal["ours", "theirs"]

CAPACITY_SAT = 1_000_000
COINBASE_MATURITY = 100
# Mined coins go here unless a test wants them: a P2WPKH script that nobody has a key for.
NOBODY = encode_address(bytes([0x00, 0x14]) + bytes(20), REGTEST)


def pushed_msat(capacity_sat: int) -> int:
    """Given away at the open, so that both sides are above their reserve and can pay at once."""
    return capacity_sat * 1000 * 3 // 10


@dataclass(frozen=True)
class Balances:
    """Who owns what in the channel, as both sides say. Millisatoshis."""

    ours: int
    theirs: int


class Pair:
    """Both nodes, connected and funded. Channels are opened when a scenario asks for one."""

    def __init__(self, directory: Path) -> None:
        self.chain = ChainServer(directory / "chain")
        self.daemon = Daemon(directory / "leyden", self.chain.url, self.chain.cookie)
        self.ldk = LdkNode(directory / "ldk", self.chain.url, self.chain.cookie)
        self._labels = itertools.count()
        try:
            self.daemon.create()
            self.daemon.start()
            self.ldk.start()
            self._fund()
            self.connect()
        except BaseException as error:
            self.close()
            error.add_note(f"LDK, last:\n{self.ldk.log_tail()}")
            error.add_note(f"our daemon, last:\n{self.daemon.log_tail()}")
            raise

    def close(self) -> None:
        """End all three processes."""
        self.ldk.stop()
        self.daemon.stop()
        self.chain.stop()

    # ------------------------------------------------------------------ chain

    def mine(self, blocks: int = 1, address: str = NOBODY) -> None:
        """Mine what both have broadcast, and wait until both have seen it."""
        self.ldk.call("flush")
        self.chain.call("generatetoaddress", blocks, address)
        height = self.chain.call("getblockcount")
        self.ldk.call("sync", height=height)
        wait_for(lambda: self.height_of_daemon() >= height, f"our daemon at height {height}")

    def height_of_daemon(self) -> int:
        return int(self.daemon.call("getinfo")["blockheight"])

    def _fund(self) -> None:
        """A coinbase for each, mature."""
        self.mine(1, self.daemon.call("newaddr", addresstype="bech32")["bech32"])
        self.mine(1, self.ldk_address())
        self.mine(COINBASE_MATURITY)

    def ldk_address(self) -> str:
        """Where the LDK node's own wallet takes coins."""
        return encode_address(bytes.fromhex(self.ldk.call("info")["wallet_script"]), REGTEST)

    # ------------------------------------------------------------------ peers and channels

    def connect(self) -> None:
        """Connect, from our side; no effect where a connection stands."""
        self.daemon.call("connect", id=self.ldk.node_id, host="127.0.0.1", port=self.ldk.port)

    def open(
        self, opener: Side, capacity_sat: int = CAPACITY_SAT, *, announce: bool = False
    ) -> None:
        """Open a channel and mine it; both sides call it usable afterwards. LDK announces none."""
        pushed = pushed_msat(capacity_sat)
        if opener == "ours":
            opened = self.daemon.call(
                "fundchannel",
                id=self.ldk.node_id,
                amount=capacity_sat,
                push_msat=pushed,
                announce=announce,
            )
            txid = opened["txid"]
        else:
            opened = self.ldk.call(
                "open_channel", node_id=self.daemon.node_id, sat=capacity_sat, push_msat=pushed
            )
            txid = opened["funding_txo"]["txid"]
        wait_for(lambda: txid in self.chain.call("getrawmempool"), "the funding transaction")
        self.mine()
        self.wait_usable()

    def wait_usable(self) -> None:
        """Both sides are connected, reestablished, and say the channel works."""

        def usable() -> bool:
            ours, theirs = self.daemon.channel(), self.ldk.channel()
            return bool(
                ours["state"] == "CHANNELD_NORMAL"
                and ours["peer_connected"]
                and theirs["is_usable"]
            )

        wait_for(usable, "a usable channel on both sides")

    def open_anew(
        self, opener: Side, capacity_sat: int = CAPACITY_SAT, *, announce: bool = False
    ) -> Balances:
        """Exactly one channel, opened by `opener`, whatever there was before."""
        self.connect()
        self.ldk.call("set", autoclaim=True)
        if self.ldk.call("list_channels"):
            self.daemon.call("close", id=self.daemon.channel()["channel_id"])
            self.mine()
            wait_for(lambda: not self.ldk.call("list_channels"), "the old channel's end")
        self.open(opener, capacity_sat, announce=announce)
        return self.balances()

    def balances(self) -> Balances:
        """Wait until no HTLC is left on either side, and both tell the same balances."""
        told: list[tuple[int, ...]] = []

        def agreed() -> Balances | None:
            ours, theirs = self.daemon.channel(), self.ldk.channel()
            pending = theirs["pending_inbound_htlcs"] + theirs["pending_outbound_htlcs"]
            if ours["htlcs"] or pending:
                return None
            mine = (ours["to_us_msat"], ours["total_msat"] - ours["to_us_msat"])
            told[:] = [mine, (theirs["their_msat"], theirs["our_msat"])]
            return Balances(*mine) if told[0] == told[1] else None

        try:
            return wait_for(agreed, "balances that agree")
        except AssertionError as error:
            raise AssertionError(f"{error}; (ours, theirs) by us and by LDK: {told}") from None

    # ------------------------------------------------------------------ payments

    def our_invoice(self, amount_msat: int) -> dict[str, Any]:
        """An invoice of our daemon, with its `label`."""
        label = f"interop {next(self._labels)}"
        made = self.daemon.call(
            "invoice", amount_msat=amount_msat, label=label, description="interop"
        )
        return {**made, "label": label}

    def their_invoice(self, amount_msat: int) -> dict[str, Any]:
        """An invoice of LDK's."""
        return dict(self.ldk.call("create_invoice", amount_msat=amount_msat))

    def we_pay(self, amount_msat: int) -> None:
        invoice = self.their_invoice(amount_msat)
        paid = self.daemon.call("pay", bolt11=invoice["invoice"])
        assert paid["status"] == "complete"
        assert paid["payment_hash"] == invoice["payment_hash"]

    def they_start_to_pay(self, amount_msat: int) -> dict[str, Any]:
        """LDK pays an invoice of ours, which is returned; nobody waits for the end."""
        invoice = self.our_invoice(amount_msat)
        self.ldk.call("pay_invoice", invoice=invoice["bolt11"])
        return invoice

    def they_pay(self, amount_msat: int) -> None:
        invoice = self.they_start_to_pay(amount_msat)
        done = self.ldk.call("wait_payment", payment_hash=invoice["payment_hash"])
        assert done["state"] == "sent", done
        assert self.invoice_status(invoice) == "paid"

    def invoice_status(self, invoice: dict[str, Any]) -> str:
        [found] = self.daemon.call("listinvoices", label=invoice["label"])["invoices"]
        return str(found["status"])

    def pay_status(self, bolt11: str) -> str:
        """`pending`, `complete`, `failed`, or `none` where our daemon never heard of it."""
        found = self.daemon.call("listpays", bolt11=bolt11)["pays"]
        return str(found[0]["status"]) if found else "none"


def in_background(work: Callable[[], Any]) -> "Future[Any]":
    """Run a blocking call in a thread: its answer, or what it raised, is in the future."""
    outcome: Future[Any] = Future()

    def run() -> None:
        try:
            outcome.set_result(work())
        except Exception as error:
            outcome.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return outcome
