"""Two daemons with a channel between them, asked through their sockets and the command line."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.interop.ldk.daemon import Daemon, wait_for
from tests.support import faucet
from tests.support.chain_server import ChainServer
from tests.support.cln_schemas import check_answer
from wallet.faces.rpc.client import RpcError

CAPACITY = 1_000_000
"""Satoshi in a channel that Alice opens."""


@dataclass
class Two:
    """A chain, Alice with a mature coinbase and a channel to Bob."""

    chain: ChainServer
    alice: Daemon
    bob: Daemon
    channel_id: str = ""
    """Of the first channel."""

    def ask(self, node: Daemon, method: str, **params: Any) -> Any:
        """A call whose answer is checked against Core Lightning's fields."""
        answer = node.call(method, **params)
        check_answer(method, answer)
        return answer

    def mine(self, count: int = 1) -> None:
        """Blocks that both nodes have seen when this returns."""
        self.chain.call("generatetoaddress", count, faucet.ADDRESS)
        height = self.chain.call("getblockcount")
        for node in (self.alice, self.bob):
            until(node, "getinfo", lambda info: info["blockheight"] == height)

    def open(self, **params: Any) -> Any:
        """`fundchannel` from Alice, and the block that confirms it."""
        given = {"id": self.bob.node_id, "amount": CAPACITY, **params}
        opened = self.ask(self.alice, "fundchannel", **given)
        self.mine()
        for node in (self.alice, self.bob):
            self.wait_state(node, opened["channel_id"], "CHANNELD_NORMAL")
        return opened

    def channel(self, node: Daemon, channel_id: str | None = None) -> dict[str, Any]:
        """As a node shows it; the newest unless one is named."""
        shown = self.ask(node, "listpeerchannels", channel_id=channel_id)["channels"]
        return dict(shown[-1])

    def wait_state(self, node: Daemon, channel_id: str, state: str) -> None:
        """Until a node shows the channel in that state."""
        wait_for(lambda: self.channel(node, channel_id)["state"] == state, f"{channel_id} {state}")

    def invoice(self, label: str, amount_msat: object = 1_000_000, **params: Any) -> Any:
        """An invoice of Bob's."""
        given = {"amount_msat": amount_msat, "label": label, "description": label, **params}
        return self.ask(self.bob, "invoice", **given)


@contextmanager
def two_daemons(home: Path, push_msat: int) -> Iterator[Two]:
    """All of it, ended whatever happens; a traceback in a log is a failure."""
    with ChainServer(home / "chain") as chain:
        alice = Daemon(home / "alice", chain.url, chain.cookie)
        bob = Daemon(home / "bob", chain.url, chain.cookie)
        try:
            for node in (alice, bob):
                node.create()
                node.start()
            two = Two(chain, alice, bob)
            chain.call("generatetoaddress", 1, two.ask(alice, "newaddr")["bech32"])
            two.mine(100)
            two.ask(alice, "connect", id=f"{bob.node_id}@127.0.0.1:{bob.port}")
            two.channel_id = two.open(push_msat=push_msat)["channel_id"]
            yield two
            for node in (alice, bob):
                assert "Traceback" not in node.log_tail(10_000)
        finally:
            for node in (alice, bob):
                node.stop()


def until(node: Daemon, method: str, holds: Callable[[Any], object]) -> None:
    """Ask until the answer fits."""
    wait_for(lambda: bool(holds(node.call(method))), f"{method} to tell it")


@contextmanager
def silent(node: Daemon) -> Iterator[None]:
    """The node says nothing for a while: its process is stopped, its sockets stay."""
    process = node._process
    assert process is not None
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)


def refusal(node: Daemon, method: str, **params: Any) -> RpcError:
    """The error that a call must end with."""
    with pytest.raises(RpcError) as error:
        node.call(method, **params)
    return error.value


def command(node: Daemon, *words: str) -> tuple[int, Any]:
    """`leyden` as a script runs it: exit code, and stdout as JSON."""
    done = subprocess.run(
        [sys.executable, "-m", "wallet", "--rpc-file", str(node.socket), *words],
        capture_output=True,
        text=True,
        timeout=30,
        stdin=subprocess.DEVNULL,
    )
    assert not done.stderr, done.stderr
    return done.returncode, json.loads(done.stdout)
