"""A town in one directory: the chain, the nodes, their ports; started and stopped as a whole."""

import fcntl
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from wallet.base.errors import Refused, ServiceFault
from wallet.faces.demo.chain import ChainClient
from wallet.faces.demo.programs import Keeper, Program, run_once
from wallet.faces.rpc.client import call

NAMES: Final = {"you": "alice", "bob": "bob", "carol": "carol"}
"""The nodes' directories and their aliases."""

_CALL_SECONDS: Final = 60.0
_SETTLE_SECONDS: Final = 30.0
_LOOK_AGAIN_SECONDS: Final = 0.02
_LOCK: Final = "town.lock"
_PARTS: Final = {"chain", "chain.log", *NAMES, *(f"{name}.log" for name in NAMES)}
"""Everything a town leaves behind, and so everything that starting anew may delete."""


class Node:
    """One of the town's daemons. The demo knows it by its socket and nothing else."""

    def __init__(self, name: str, directory: Path, program: Program) -> None:
        self.name = NAMES[name]
        self.program = program
        self._key = name
        self._rpc_file = directory / name / "regtest" / "lightning-rpc"
        self.id = ""
        self.listen = ""

    @property
    def key(self) -> str:
        """Its name in the town, which is its directory's."""
        return self._key

    def await_ready(self) -> None:
        """Until the daemon serves its socket."""
        ready = self.program.ready()
        self.id, self.listen = ready["id"], ready["listen"]

    def call(self, method: str, **params: object) -> Any:
        """A method of the daemon; raises what `faces.rpc.client.call` raises."""
        return call(self._rpc_file, method, params, timeout=_CALL_SECONDS)


class Town:
    """Starts empty; a context manager that stops whatever was started in it."""

    def __init__(self, directory: Path) -> None:
        """Take `directory` over; raises `Refused` when another demo has it or it is not ours."""
        self.directory = directory
        self._lock = _take(directory)
        self._chain_program: Program | None = None
        self._chain: ChainClient | None = None
        self._chain_words: list[str] = []
        self._ports: dict[str, str] = {}
        self.nodes: dict[str, Node] = {}
        self._keeper = Keeper()

    @property
    def chain(self) -> ChainClient:
        """The chain's RPC; raises `ServiceFault` before `start_chain`."""
        if self._chain is None:
            raise ServiceFault("the chain does not run")
        return self._chain

    def start_chain(self) -> None:
        """Start the embedded chain."""
        words = ["regtest", "--dir", str(self.directory / "chain"), "--rpc-port", "0"]
        self._chain_program = self._program("chain", words)
        ready = self._chain_program.ready()
        self._chain = ChainClient(ready["url"], Path(ready["cookie"]))
        self._chain_words = ["--chain", ready["url"], "--chain-cookie", ready["cookie"]]

    def start_nodes(self) -> None:
        """Make a wallet for each name and start its daemon; the system chooses the ports."""
        for name in NAMES:
            run_once("init", "--dir", str(self.directory / name), "--no-encryption", "--json")
        for name in NAMES:
            self.nodes[name] = Node(name, self.directory, self._daemon(name))
        for node in self.nodes.values():
            node.await_ready()
            self._ports[node.key] = node.listen

    def restart(self, node: Node) -> None:
        """Start a node's daemon again where it listened before."""
        node.program = self._daemon(node.key)
        node.await_ready()

    def _daemon(self, name: str) -> Program:
        listen = self._ports.get(name, "127.0.0.1:0")
        words = ["daemon", "--dir", str(self.directory / name), *self._chain_words]
        return self._program(name, [*words, "--listen", listen, "--alias", NAMES[name]])

    def _program(self, name: str, words: list[str]) -> Program:
        return Program(name, words, self.directory / f"{name}.log", self._keeper)

    def mine(self, blocks: int) -> int:
        """Mine blocks and wait until every node has read them; the new height."""
        height = self.chain.mine(blocks)
        self.wait_until(
            f"every node has read block {height}",
            lambda: all(n.call("getinfo")["blockheight"] == height for n in self.nodes.values()),
        )
        return height

    def wait_until(self, what: str, happened: Callable[[], bool]) -> None:
        """Look until `happened`; raises `ServiceFault` when it takes too long."""
        deadline = time.monotonic() + _SETTLE_SECONDS
        while not happened():
            if time.monotonic() > deadline:
                raise ServiceFault(f"waited {_SETTLE_SECONDS:.0f} s in vain: {what}")
            time.sleep(_LOOK_AGAIN_SECONDS)

    def stop(self) -> None:
        """Stop the nodes, then the chain; harmless when nothing runs."""
        nodes = [node.program for node in self.nodes.values()]
        for program in nodes:
            program.ask_to_stop()
        for program in nodes:
            program.wait()
        if self._chain is not None:
            self._chain.close()
        if self._chain_program is not None:
            self._chain_program.ask_to_stop()
            self._chain_program.wait()
        self._keeper.dismiss()
        os.close(self._lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def _take(directory: Path) -> int:
    """Lock the directory and clear the last town out of it; the lock's descriptor."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        strange = {entry.name for entry in directory.iterdir()} - _PARTS - {_LOCK}
        if strange:
            raise Refused(
                f"{directory} holds {sorted(strange)[0]!r}, which no demo made; give another --dir"
            )
        lock = os.open(directory / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise Refused(f"cannot use {directory}: {error.strerror}; give another --dir") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise Refused(f"another demo is running in {directory}; give another --dir") from None
    for part in _PARTS:
        path = directory / part
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    return lock
