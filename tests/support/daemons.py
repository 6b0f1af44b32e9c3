"""Daemons in a line, a channel between each and the next, on an embedded chain."""

import json
import select
import socket
import sqlite3
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from functools import partial
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.interop.ldk.daemon import Daemon, wait_for
from tests.support import faucet
from tests.support.chain_server import ChainServer
from tests.support.power_cut import cut, wal_of
from wallet.machines.channel.htlc_stages import FINAL

_FINAL = {stage.name for stage in FINAL}


class Pipe:
    """One connection to a daemon's socket on which many requests wait at once."""

    def __init__(self, daemon: Daemon) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(30)
        self._socket.connect(str(daemon.socket))
        self._reader = self._socket.makefile("rb")
        self._asked = 0

    def ask(self, method: str, **params: object) -> int:
        """Send a request and do not wait; the id of its answer. Raises `OSError`."""
        self._asked += 1
        request = {"jsonrpc": "2.0", "id": self._asked, "method": method, "params": params}
        self._socket.sendall(json.dumps(request).encode())
        return self._asked

    def answers(self, count: int) -> dict[int, dict[str, Any]]:
        """The next `count` answers by id, each with `result` or `error`."""
        found: dict[int, dict[str, Any]] = {}
        while len(found) < count:
            line = self._reader.readline()
            assert line, "the daemon hung up"
            if line.strip():
                answer = json.loads(line)
                found[answer["id"]] = answer
        return found

    def drain(self) -> None:
        """Throw away the answers that have come. Raises `OSError`; `answers` is of no use then."""
        while select.select([self._socket], [], [], 0)[0] and self._socket.recv(1 << 16):
            pass

    def close(self) -> None:
        """Hang up."""
        self._reader.close()
        self._socket.close()


def call_many(daemon: Daemon, method: str, params: Iterable[dict[str, object]]) -> list[Any]:
    """The results of many calls that were sent without waiting, in order."""
    with closing(Pipe(daemon)) as pipe:
        asked = [pipe.ask(method, **each) for each in params]
        answers = pipe.answers(len(asked))
    failed = [a["error"] for a in answers.values() if "error" in a]
    assert not failed, f"{len(failed)} of {len(asked)} calls failed: {failed[0]}"
    return [answers[number]["result"] for number in asked]


def database_of(daemon: Daemon) -> Path:
    """The daemon's database."""
    return daemon.socket.parent / "wallet.sqlite3"


def rows(database: Path, sql: str) -> list[tuple[Any, ...]]:
    """Ask a database, also one that is in use."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return connection.execute(sql).fetchall()


def stages_of(daemon: Daemon, scratch: Path) -> Counter[str]:
    """HTLCs in flight by stage, as the database says; what a killed daemon left is not touched."""
    database = database_of(daemon)
    if not daemon.running:
        database = cut(database, scratch, wal_of(database).stat().st_size)
    stages = Counter(stage for (stage,) in rows(database, "SELECT stage FROM htlcs"))
    return Counter({stage: n for stage, n in stages.items() if stage not in _FINAL})


def next_htlc(daemon: Daemon) -> int:
    """The number that the daemon's next HTLC will have, if it has one channel."""
    sql = "SELECT coalesce(max(htlc_id) + 1, 0) FROM htlcs WHERE offered_by_us = 1"
    [(number,)] = rows(database_of(daemon), sql)
    return int(number)


def in_flight(daemon: Daemon, since: int) -> int:
    """How many HTLCs that a running daemon offered, of the numbers from `since`, are not gone."""
    final = ", ".join(f"'{stage}'" for stage in _FINAL)
    [(count,)] = rows(
        database_of(daemon),
        "SELECT count(*) FROM htlcs WHERE offered_by_us = 1"
        f" AND htlc_id >= {since} AND stage NOT IN ({final})",
    )
    return int(count)


class Duo:
    """A payer that funded one channel, and a payee. A context manager that ends all processes."""

    NAMES: tuple[str, ...] = ("payer", "payee")
    ANNOUNCED = False

    def __init__(self, home: Path, capacity: int, push_msat: int = 0) -> None:
        self.chain = ChainServer(home / "chain")
        self.nodes = tuple(Daemon(home / n, self.chain.url, self.chain.cookie) for n in self.NAMES)
        self.payer, self.payee = self.nodes[0], self.nodes[-1]
        try:
            for node in self.nodes:
                node.create()
                node.start()
            self._open(capacity, push_msat)
        except BaseException as error:
            self.close()
            self.explain(error)
            raise

    def _open(self, capacity: int, push_msat: int) -> None:
        """Each node but the last funds a channel to the next."""
        funders = self.nodes[:-1]
        for node in funders:
            self.mine(1, node.call("newaddr")["bech32"])
        self.mine(100)
        for node, following in pairwise(self.nodes):
            node.call("connect", id=following.node_id, host="127.0.0.1", port=following.port)
            node.call(
                "fundchannel",
                id=following.node_id,
                amount=capacity,
                push_msat=push_msat,
                announce=self.ANNOUNCED,
            )
        self.mine(6 if self.ANNOUNCED else 1)
        self.wait_live()

    def mine(self, blocks: int = 1, address: str = faucet.ADDRESS) -> None:
        """Mine, and wait until every daemon that runs has seen it."""
        self.chain.call("generatetoaddress", blocks, address)
        self.wait_synced()

    def wait_synced(self) -> None:
        """Every daemon that runs is at the chain's tip."""
        height = self.chain.call("getblockcount")
        for node in self.nodes:
            if node.running:
                wait_for(partial(_is_at, node, height), "the blocks")

    def wait_live(self) -> None:
        """Every channel can be used from both sides."""
        ends = len(self.nodes) - 1
        for place, node in enumerate(self.nodes):
            count = 1 if place in (0, ends) else 2
            wait_for(partial(_are_live, node, count), f"{count} channels that can be used")

    def wait_quiet(self) -> None:
        """No HTLC and no payment is under way on either side."""
        for node in self.nodes:
            wait_for(partial(_is_quiet, node), "the end of what is under way", 30)

    def invoices(self, name: str, count: int, amount_msat: int) -> list[dict[str, Any]]:
        """Fresh invoices of the payee; their labels begin with `name`."""
        asked: list[dict[str, object]] = [
            {"amount_msat": amount_msat, "label": f"{name} {n}", "description": "test"}
            for n in range(count)
        ]
        return call_many(self.payee, "invoice", asked)

    def explain(self, error: BaseException) -> None:
        """Add what both said last to a failure."""
        for name, node in zip(self.NAMES, self.nodes, strict=True):
            error.add_note(f"{name}, last:\n{node.log_tail()}")

    def close(self) -> None:
        """End all processes."""
        for node in self.nodes:
            node.stop()
        self.chain.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
        if error is not None:
            self.explain(error)


class Trio(Duo):
    """A payer, a forwarder and a payee, with announced channels that the payer knows of."""

    NAMES = ("payer", "forwarder", "payee")
    ANNOUNCED = True

    @property
    def forwarder(self) -> Daemon:
        """The one in the middle."""
        return self.nodes[1]

    def _open(self, capacity: int, push_msat: int) -> None:
        super()._open(capacity, push_msat)
        self.wait_routes()

    def wait_routes(self) -> None:
        """Payer and payee know the terms of both channels."""
        for node in (self.payer, self.payee):
            wait_for(partial(_knows, node, 4), "both channels on the map")


def _is_at(node: Daemon, height: int) -> bool:
    return int(node.call("getinfo")["blockheight"]) == height


def _are_live(node: Daemon, count: int) -> bool:
    channels = node.call("listpeerchannels")["channels"]
    live = [c for c in channels if c["state"] == "CHANNELD_NORMAL" and c["reestablished"]]
    return len(live) >= count


def _knows(node: Daemon, directions: int) -> bool:
    return len(node.call("listchannels")["channels"]) >= directions


def _is_quiet(node: Daemon) -> bool:
    channels = node.call("listpeerchannels")["channels"]
    pending = node.call("listpays", status="pending")["pays"]
    return not pending and not any(c["htlcs"] for c in channels)
