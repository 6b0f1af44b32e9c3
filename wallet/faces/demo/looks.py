"""What the story looks at: a node's answer, and what it should be."""

import threading
from collections.abc import Callable
from typing import Any

from wallet.base.errors import ServiceFault
from wallet.faces.demo.money import LIVING, SPENT
from wallet.faces.demo.town import Node
from wallet.faces.rpc.client import RpcError


class InBackground:
    """A call that goes on while the story does."""

    def __init__(self, act: Callable[[], dict[str, Any]]) -> None:
        self._act = act
        self._answer: dict[str, Any] | None = None
        self._fault: Exception | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._answer = self._act()
        except Exception as error:
            self._fault = error

    @property
    def ended(self) -> bool:
        """Whether it has ended, well or not."""
        return not self._thread.is_alive()

    def result(self) -> dict[str, Any]:
        """Its answer; raises what it raised."""
        self._thread.join()
        if self._fault is not None:
            raise self._fault
        if self._answer is None:
            raise ServiceFault("a call ended without an answer")
        return self._answer


def expect(held: bool, otherwise: str) -> None:
    """Raise `ServiceFault` with the sentence `otherwise` unless it held."""
    if not held:
        raise ServiceFault(otherwise)


def refusal(node: Node, bolt11: str) -> str:
    """Why `node` will not pay; raises `ServiceFault` if it did."""
    try:
        node.call("pay", bolt11=bolt11)
    except RpcError as refused:
        return f"“{refused}” ({refused.code})"
    raise ServiceFault(f"{node.name} paid what cannot be paid")


def status(node: Node, bolt11: str) -> str:
    """Of an invoice: unpaid, paid or expired."""
    return str(node.call("listinvoices", invstring=bolt11)["invoices"][0]["status"])


def offers(node: Node, payment_hash: str, peer: Node) -> bool:
    """Whether a node has promised this payment to its peer."""
    channels = node.call("listpeerchannels", id=peer.id)["channels"]
    return any(
        htlc["payment_hash"] == payment_hash and htlc["direction"] == "out"
        for channel in channels
        for htlc in channel["htlcs"]
    )


def at_rest(node: Node) -> bool:
    """Whether none of its payments is under way; of one on the chain the chain decides."""
    return not any(
        channel["htlcs"]
        for channel in node.call("listpeerchannels")["channels"]
        if channel["state"] in LIVING
    )


def gone(node: Node, other: Node) -> bool:
    """Whether a node sees that the other is not there."""
    channels = node.call("listpeerchannels", id=other.id)["channels"]
    return not any(channel["peer_connected"] for channel in channels)


def linked(node: Node) -> bool:
    """Whether all its open channels can be used now."""
    return all(
        channel["reestablished"]
        for channel in node.call("listpeerchannels")["channels"]
        if channel["state"] == "CHANNELD_NORMAL"
    )


def wealth_msat(node: Node) -> int:
    """What a node has: its share of every channel that lives, and its coins in blocks or not."""
    funds = node.call("listfunds")
    coins = sum(int(o["amount_msat"]) for o in funds["outputs"] if o["status"] != SPENT)
    shares = (int(c["our_amount_msat"]) for c in funds["channels"] if c["state"] in LIVING)
    return coins + sum(shares)


def sat(msat: int) -> str:
    """Satoshi for people, with as many decimals as there are millisatoshi."""
    whole, rest = divmod(msat, 1000)
    return f"{whole:,}" + (f".{rest:03}" if rest else "")


def short(identity: str) -> str:
    """A node's id as people are shown it."""
    return f"{identity[:8]}…{identity[-4:]}"
