"""A town in one directory: the chain, the nodes, their ports; started and stopped as a whole."""

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from wallet.base.errors import Refused, ServiceFault, WalletError
from wallet.faces.demo import layout
from wallet.faces.demo.chain import ChainClient
from wallet.faces.demo.children import Child, Children
from wallet.faces.demo.grounds import Grounds
from wallet.faces.demo.programs import Keeper, Program, command
from wallet.faces.rpc.client import call

T = TypeVar("T")
R = TypeVar("R")

_CALL_SECONDS: Final = 60.0
_SETTLE_SECONDS: Final = 60.0
_LOOK_AGAIN_SECONDS: Final = 0.02
_AT_ONCE: Final = 8


class Node:
    """One of the town's daemons. The demo knows it by its socket and its process only."""

    def __init__(self, key: str, directory: Path) -> None:
        self.key = key
        """Its name in the town, which is its directory's."""
        self.name = layout.ALIASES[key]
        self.directory = directory / key
        self.rpc_file = layout.rpc_file(directory, key)
        self.id = ""
        self.listen = ""
        self.child: Child | None = None
        self.frozen = False

    @property
    def running(self) -> bool:
        """Whether its process lives."""
        return self.child is not None and self.child.running

    @property
    def answers(self) -> bool:
        """Whether it lives and is not frozen."""
        return self.running and not self.frozen

    def call(self, method: str, **params: object) -> Any:
        """A method of the daemon; raises what `faces.rpc.client.call` raises."""
        return call(self.rpc_file, method, params, timeout=_CALL_SECONDS)

    def has_read(self, height: int) -> bool:
        """Whether it knows that block; one that is down or frozen is not waited for."""
        try:
            return not self.answers or self.call("getinfo")["blockheight"] >= height
        except WalletError:
            return not self.answers

    def connect(self, other: "Node") -> None:
        """A link to another node of the town."""
        host, port = other.listen.rsplit(":", 1)
        self.call("connect", id=other.id, host=host, port=int(port))

    def stop(self) -> None:
        """In order; returns when it has ended."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """As if the power had failed; returns when it has ended."""
        self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> None:
        if self.child is not None:
            self.child.signal(number)
            self.child.signal(signal.SIGCONT)
            self.child.wait()
        self.frozen = False

    def freeze(self) -> None:
        """It keeps its memory and its links and does nothing."""
        if self.child is not None:
            self.child.signal(signal.SIGSTOP)
            self.frozen = True

    def thaw(self) -> None:
        """It goes on."""
        if self.child is not None:
            self.child.signal(signal.SIGCONT)
            self.frozen = False


class Town:
    """Starts with nothing running; a context manager that stops whatever was started in it."""

    def __init__(self, directory: Path, *, fresh: bool = False) -> None:
        """Take `directory` over; raises `Refused` when another demo has it or it is not ours."""
        self._grounds = Grounds(directory)
        self.directory = directory
        self.fresh = fresh or not self._grounds.opened
        """Whether there is no town yet: its channels have to be opened."""
        if self.fresh:
            self._grounds.clear()
        self.nodes = {key: Node(key, directory) for key in layout.ALIASES}
        self._listens: dict[str, str] = self._grounds.listens
        self._chain_program: Program | None = None
        self._chain: ChainClient | None = None
        self._birthplace: tuple[str, Path] | None = None
        self._children: Children | None = None
        self._stopping = threading.Lock()
        self._stopped = False
        self._keeper = Keeper(directory)

    # --- life ---------------------------------------------------------------------------------

    @property
    def chain(self) -> ChainClient:
        """The chain's RPC; raises `ServiceFault` before `start_chain`."""
        if self._chain is None:
            raise ServiceFault("the chain does not run")
        return self._chain

    def start_chain(self) -> None:
        """Start the embedded chain, and meanwhile the nodes' nursery."""
        self._children = Children(self.directory, self._log(layout.NURSERY), self._keeper)
        home = self.directory / layout.CHAIN
        words = command("wallet", "regtest", "--dir", str(home), "--rpc-port", "0")
        self._chain_program = Program("chain", words, self._log(layout.CHAIN), self._keeper)
        self._note_pids()
        ready = self._chain_program.ready()
        self._chain = ChainClient(ready["url"], Path(ready["cookie"]))
        self._birthplace = ready["url"], Path(ready["cookie"])

    def start_nodes(self) -> None:
        """Start every daemon, with a new wallet where there is none."""
        for node in self.nodes.values():
            self._bear(node)
        for node in self.nodes.values():
            self._await(node)
        self._remember()

    def start(self, node: Node) -> None:
        """Start a node that does not run, where it listened before."""
        if node.running:
            raise Refused(f"{node.key} is running already")
        self._bear(node)
        self._await(node)
        self._remember()
        # Its peers would find it by themselves, but the longer it was away the later they look.
        for edge in layout.EDGES:
            if node.key in (edge.opener, edge.peer):
                other = self.nodes[edge.peer if node.key == edge.opener else edge.opener]
                if other.answers:
                    with suppress(WalletError):
                        node.connect(other)

    def _bear(self, node: Node) -> None:
        if self._children is None or self._birthplace is None:
            raise ServiceFault("the chain does not run")
        url, cookie = self._birthplace
        listen = self._listens.get(node.key, "")
        options = {
            "--dir": node.directory,
            "--chain": url,
            "--chain-cookie": cookie,
            "--listen": listen if _is_free(listen) else "127.0.0.1:0",
            "--alias": node.name,
        }
        words = [str(word) for option in options.items() for word in option]
        node.child = self._children.bear(node.key, self._log(node.key), words)

    def _await(self, node: Node) -> None:
        if node.child is None:
            raise ServiceFault(f"{node.key} was not started")
        ready = node.child.ready()
        node.id, node.listen = ready["id"], ready["listen"]
        self._listens[node.key] = node.listen

    def _remember(self) -> None:
        self._note_pids()
        self._grounds.remember(opened=not self.fresh, listens=self._listens)

    def settled(self) -> None:
        """The channels are open: from now on this town is started again, not anew."""
        self.fresh = False
        self._remember()

    def _note_pids(self) -> None:
        pids = {"town": os.getpid(), "keeper": self._keeper.pid}
        if self._chain_program is not None:
            pids["chain"] = self._chain_program.pid
        if self._children is not None:
            pids["nursery"] = self._children.pid
        for node in self.nodes.values():
            if node.child is not None and node.running:
                pids[node.key] = node.child.pid
        self._grounds.note_pids(pids)

    def _log(self, name: str) -> Path:
        return self.directory / f"{name}.log"

    @property
    def whole(self) -> bool:
        """Whether what all nodes need still runs; without it the town has to be started again."""
        children, chain = self._children, self._chain_program
        return bool(children and children.running and chain and chain.running)

    def stop(self) -> None:
        """Stop the nodes, then the chain; harmless when nothing runs."""
        with self._stopping:
            if self._stopped:
                return
            self._stopped = True
            if self._children is not None:
                self._children.stop()
            if self._chain is not None:
                self._chain.close()
            if self._chain_program is not None:
                self._chain_program.ask_to_stop()
                self._chain_program.wait()
            self._keeper.dismiss()
            self._grounds.leave()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    # --- what others do in it -----------------------------------------------------------------

    def node(self, key: str) -> Node:
        """By its name in the town; raises `Refused`."""
        if key not in self.nodes:
            raise Refused(f"nobody is called {key!r} here: {', '.join(self.nodes)}", -32602)
        return self.nodes[key]

    def description(self) -> dict[str, Any]:
        """What `demo up` prints: PRODUCT's contract."""
        url, cookie = self._birthplace or ("", Path())
        return {
            "chain": {"url": url, "cookie": str(cookie)},
            "town-rpc": str(self.directory / layout.SOCKET),
            "nodes": {
                node.key: {
                    "id": node.id,
                    "dir": str(node.directory),
                    "rpc-file": str(node.rpc_file),
                    "listen": node.listen,
                }
                for node in self.nodes.values()
            },
        }

    def mine(self, blocks: int) -> int:
        """Mine blocks and wait until every node has read them; the new height."""
        height = self.chain.mine(blocks)
        self.wait_until(
            f"every node has read block {height}",
            lambda: all(node.has_read(height) for node in self.nodes.values()),
        )
        return height

    def wait_until(self, what: str, happened: Callable[[], bool]) -> None:
        """Look until `happened`; raises `ServiceFault` when it takes too long."""
        deadline = time.monotonic() + _SETTLE_SECONDS
        while not happened():
            if time.monotonic() > deadline:
                raise ServiceFault(f"waited {_SETTLE_SECONDS:.0f} s in vain: {what}")
            if self._stopped:
                raise ServiceFault(f"the town stops, so nobody waits any more: {what}")
            time.sleep(_LOOK_AGAIN_SECONDS)


def at_once(do: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """`do` each of them side by side; raises what the first that fails raises."""
    pool = ThreadPoolExecutor(_AT_ONCE)
    try:
        return list(pool.map(do, items))
    finally:
        # Not waited for: after Ctrl-C the nodes are stopped, which ends what still runs.
        pool.shutdown(wait=False, cancel_futures=True)


def _is_free(listen: str) -> bool:
    """Whether a node may listen where it did before."""
    if not listen:
        return False
    host, port = listen.rsplit(":", 1)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, int(port)))
        except OSError:
            return False
    return True
