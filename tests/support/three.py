"""Three daemons in a line, A – B – C: whoever pays from one end to the other goes through Bob."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.interop.ldk.daemon import Daemon, wait_for
from tests.support import faucet
from tests.support.chain_server import ChainServer
from tests.support.cln_schemas import check_answer
from tests.support.two import until
from wallet.faces.rpc.client import call

CAPACITY = 1_000_000
"""Satoshi in each channel."""
PUSH = 400_000_000
"""Millisatoshi that the opener gives away, so that both ends can pay."""
FINAL_DELAY = 24 + 3
"""Blocks that an invoice of ours asks for, and some to spare."""


@dataclass
class Three:
    """A chain and three nodes; a funds the channel with b, b the one with c."""

    chain: ChainServer
    a: Daemon
    b: Daemon
    c: Daemon
    channel_ids: list[str] = field(default_factory=list)
    """Of the first a – b and the first b – c."""

    @property
    def nodes(self) -> tuple[Daemon, Daemon, Daemon]:
        """All of them, along the line."""
        return self.a, self.b, self.c

    def ask(self, node: Daemon, method: str, *, held: bool = True, **params: Any) -> Any:
        """A call whose answer is checked against Core Lightning's fields."""
        answer = node.call(method, **params)
        check_answer(method, answer, held=held)
        return answer

    def mine(self, count: int = 1, address: str = faucet.ADDRESS) -> None:
        """Blocks that every node that runs has seen when this returns."""
        self.chain.call("generatetoaddress", count, address)
        height = self.chain.call("getblockcount")
        for node in self.nodes:
            if node.running:
                until(node, "getinfo", lambda info: info["blockheight"] == height)

    def connect(self, one: Daemon, other: Daemon) -> None:
        """A link."""
        one.call("connect", id=f"{other.node_id}@127.0.0.1:{other.port}")

    def open(self, one: Daemon, other: Daemon, **params: Any) -> str:
        """A private channel that both can use: its channel id."""
        given = {"id": other.node_id, "amount": CAPACITY, "announce": False, **params}
        channel_id: str = self.ask(one, "fundchannel", **given)["channel_id"]
        self.mine()
        for node in (one, other):
            self.wait_ready(node, channel_id)
        return channel_id

    def wait_ready(self, node: Daemon, channel_id: str) -> None:
        """Until a node can use the channel: it is confirmed, and its peer is there."""

        def is_ready() -> bool:
            shown = self.channel(node, channel_id)
            return shown["state"] == "CHANNELD_NORMAL" and shown["reestablished"] is True

        wait_for(is_ready, f"{channel_id} to be ready")

    def channel(self, node: Daemon, channel_id: str) -> dict[str, Any]:
        """As a node shows it."""
        [shown] = node.call("listpeerchannels", channel_id=channel_id)["channels"]
        return dict(shown)

    def scids(self) -> tuple[str, str]:
        """Short channel ids of a – b and b – c."""
        first, second = (self.channel(self.b, each) for each in self.channel_ids)
        return str(first["short_channel_id"]), str(second["short_channel_id"])

    def invoice(self, label: str, amount_msat: object = 1_000_000, **params: Any) -> Any:
        """An invoice of the far end's."""
        given = {"amount_msat": amount_msat, "label": label, "description": label, **params}
        return self.ask(self.c, "invoice", **given)

    def route(self, amount_msat: int, fee_msat: int | None = None, delta: int = 34) -> list[Any]:
        """From a to c: what `sendpay` takes; Bob gets his fee unless another is given."""
        first, second = self.scids()
        if fee_msat is None:
            fee_msat = 1 + amount_msat * 10 // 1_000_000
        return [
            {
                "id": self.b.node_id,
                "channel": first,
                "amount_msat": amount_msat + fee_msat,
                "delay": FINAL_DELAY + delta,
            },
            {
                "id": self.c.node_id,
                "channel": second,
                "amount_msat": amount_msat,
                "delay": FINAL_DELAY,
            },
        ]

    def send(self, invoice: dict[str, Any], route: list[Any], **params: Any) -> Any:
        """`sendpay` for an invoice of the far end, along a route."""
        return self.a.call(
            "sendpay",
            route=route,
            payment_hash=invoice["payment_hash"],
            payment_secret=invoice["payment_secret"],
            bolt11=invoice["bolt11"],
            **params,
        )

    def wait_part(self, payment_hash: str, seconds: int = 10, **params: Any) -> Any:
        """`waitsendpay` at the near end."""
        given = {"payment_hash": payment_hash, "timeout": seconds, **params}
        answer = call(self.a.socket, "waitsendpay", given, timeout=seconds + 10)
        check_answer("waitsendpay", answer)
        return answer

    def wait_quiet(self) -> None:
        """No HTLC is left in any channel."""
        for node in self.nodes:
            until(
                node,
                "listpeerchannels",
                lambda found: not any(channel["htlcs"] for channel in found["channels"]),
            )


@contextmanager
def three_daemons(home: Path, push_msat: int = PUSH) -> Iterator[Three]:
    """All of it, ended whatever happens; a traceback in a log is a failure."""
    with ChainServer(home / "chain") as chain:
        a, b, c = (Daemon(home / name, chain.url, chain.cookie) for name in "abc")
        three = Three(chain, a, b, c)
        try:
            for node in three.nodes:
                node.create()
                node.start()
            for node in (a, b):
                three.mine(1, node.call("newaddr")["bech32"])
            three.mine(100)
            for one, other in ((a, b), (b, c)):
                three.connect(one, other)
                three.channel_ids.append(three.open(one, other, push_msat=push_msat))
            yield three
            for node in three.nodes:
                assert "Traceback" not in node.log_tail(10_000)
        finally:
            for node in three.nodes:
                node.stop()
