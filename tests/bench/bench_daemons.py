"""Payments between two daemons, and through a third: real sockets, SQLite FULL, through the RPC.

`python -m tests.bench.bench_daemons`.  The disk's fdatasync is printed beside the figures: each
payment waits for about five of them, whoever is quick.  Also the restart of a daemon with history.
"""

import json
import os
import socket
import statistics
import tempfile
import threading
import time
from pathlib import Path

from tests.interop.ldk.daemon import Daemon, wait_for
from tests.support import faucet
from tests.support.chain_server import ChainServer
from tests.support.daemons import Trio

# Payments a second, November 2026: Core Lightning's `xpay` sequential and `sendpay` with about 30
# in flight, and Electrum's, each between two of its own nodes.
CORE_LIGHTNING = {"sequential": 23.6, "30 in flight": 262.0}
ELECTRUM = {"sequential": 4.0, "30 in flight": 44.5}
MUST = {"sequential": 60.0, "30 in flight": 260.0}
MUST_FORWARDED = {"sequential": 25.0, "30 in flight": 100.0}
ELECTRUM_FORWARDED = 2.9
MUST_COMMITS = 6.0

AMOUNT_MSAT = 400_000


class Line:
    """One connection to a daemon's socket, asked by as many as like."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(path))
        self._reader = self._socket.makefile("rb")

    def call(self, method: str, **params: object) -> dict[str, object]:
        """Ask and wait."""
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        self._socket.sendall(json.dumps(request).encode())
        answer = json.loads(self._reader.readline())
        self._reader.readline()
        if "error" in answer:
            raise RuntimeError(str(answer["error"]))
        result: dict[str, object] = answer["result"]
        return result


def fdatasync_us(directory: Path) -> float:
    """The median of fifty one-page syncs."""
    figures = []
    with (directory / "sync").open("wb") as file:
        for _ in range(50):
            file.write(bytes(4096))
            file.flush()
            begun = time.perf_counter()
            os.fdatasync(file.fileno())
            figures.append(time.perf_counter() - begun)
    return statistics.median(figures) * 1e6


def channel_between(payer: Daemon, payee: Daemon, chain: ChainServer) -> None:
    """Fund the payer and open a channel large enough for the run."""
    chain.call("generatetoaddress", 1, payer.call("newaddr")["bech32"])
    chain.call("generatetoaddress", 100, faucet.ADDRESS)
    wait_for(lambda: payer.call("getinfo")["blockheight"] == 101, "the blocks")
    payer.call("connect", id=payee.node_id, host="127.0.0.1", port=payee.port)
    payer.call("fundchannel", id=payee.node_id, amount=10_000_000)
    chain.call("generatetoaddress", 1, faucet.ADDRESS)
    wait_for(lambda: _usable(payer) and _usable(payee), "a usable channel")


def _usable(node: Daemon) -> bool:
    channels = node.call("listpeerchannels")["channels"]
    return bool(channels) and channels[0]["state"] == "CHANNELD_NORMAL"


def invoices(payee: Daemon, first: int, count: int) -> list[str]:
    """Fresh invoices."""
    line = Line(payee.socket)
    made = (
        line.call("invoice", amount_msat=AMOUNT_MSAT, label=f"b{n}", description="bench")
        for n in range(first, first + count)
    )
    return [str(invoice["bolt11"]) for invoice in made]


def sequential(payer: Daemon, texts: list[str]) -> float:
    """Payments a second, each waiting for the one before."""
    line = Line(payer.socket)
    begun = time.perf_counter()
    for text in texts:
        line.call("pay", bolt11=text)
    return len(texts) / (time.perf_counter() - begun)


def in_flight(payer: Daemon, texts: list[str], width: int) -> float:
    """Payments a second with `width` outstanding."""
    left = list(texts)
    lock = threading.Lock()

    def work() -> None:
        line = Line(payer.socket)
        while True:
            with lock:
                if not left:
                    return
                text = left.pop()
            line.call("pay", bolt11=text)

    begun = time.perf_counter()
    threads = [threading.Thread(target=work) for _ in range(width)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(texts) / (time.perf_counter() - begun)


def commits(node: Daemon) -> int:
    """Durable commits since the daemon's start."""
    return int(node.call("metrics")["commits"])


def forwarded(home: Path) -> None:
    """Payer, forwarder and payee on this machine's cores."""
    with Trio(home, 16_000_000) as trio:
        sequential(trio.payer, invoices(trio.payee, 0, 20))
        texts = invoices(trio.payee, 100, 100)
        before = [commits(node) for node in trio.nodes]
        rate = sequential(trio.payer, texts)
        trio.wait_quiet()
        each = [
            (commits(node) - since) / len(texts)
            for node, since in zip(trio.nodes, before, strict=True)
        ]
        rates = {
            "sequential": rate,
            "30 in flight": in_flight(trio.payer, invoices(trio.payee, 1_000, 400), 30),
        }
        for kind, value in rates.items():
            print(
                f"forwarded, {kind:13}      {value:9.0f} payments/s"
                f"   {value / ELECTRUM_FORWARDED:5.1f}x electrum"
                f"   (must {MUST_FORWARDED[kind]:.0f}/s)"
            )
        shown = ", ".join(f"{name} {n:.1f}" for name, n in zip(trio.NAMES, each, strict=True))
        print(f"durable commits per payment    {shown}   (must {MUST_COMMITS:.0f})")
        for name, node in zip(trio.NAMES, trio.nodes, strict=True):
            mib = node.call("metrics")["memory_kib"] / 1024
            print(f"memory of the {name:13}    {mib:7.0f} MiB   (must 90 MiB)")


def main() -> None:
    """Print `name  value unit  ratio`."""
    with tempfile.TemporaryDirectory() as name:
        two(Path(name) / "two")
        forwarded(Path(name) / "three")


def two(home: Path) -> None:
    """Payer and payee with one channel."""
    home.mkdir()
    with ChainServer(home / "chain") as chain:
        nodes = [Daemon(home / word, chain.url, chain.cookie) for word in ("payer", "payee")]
        for node in nodes:
            node.create()
            node.start()
        payer, payee = nodes
        try:
            channel_between(payer, payee, chain)
            print(f"fdatasync of this disk         {fdatasync_us(home):7.0f} us")
            sequential(payer, invoices(payee, 0, 20))
            rates = {
                "sequential": sequential(payer, invoices(payee, 100, 150)),
                "30 in flight": in_flight(payer, invoices(payee, 1_000, 600), 30),
            }
            for kind, rate in rates.items():
                print(
                    f"two daemons, {kind:13}   {rate:9.0f} payments/s"
                    f"   {rate / CORE_LIGHTNING[kind]:4.1f}x core lightning"
                    f"   {rate / ELECTRUM[kind]:5.1f}x electrum   (must {MUST[kind]:.0f}/s)"
                )
            payer.kill()
            begun = time.perf_counter()
            payer.start()
            payer.call("getinfo")
            print(f"restart until the RPC answers  {time.perf_counter() - begun:7.2f} s")
            size = (home / "payer" / "regtest" / "wallet.sqlite3").stat().st_size
            print(f"database per payment           {size / 770 / 1000:7.1f} kB   (must 5 kB)")
        finally:
            for node in nodes:
                node.stop()


if __name__ == "__main__":
    main()
