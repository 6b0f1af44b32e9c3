"""`leyden` alone on a terminal: attach to the node of the data directory, start it, or make one.

Whatever is started here ends with us: in order when the app is closed, and by the keeper of
demo/keeper.py when we are killed.
"""

import getpass
import json
import os
import shlex
import termios
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from wallet.base.bitcoin.chains import chain_by_name, require_unlocked
from wallet.base.errors import ServiceFault, WalletError
from wallet.base.values.text import safe_text
from wallet.faces.cli.arguments import SOCKET_NAME, USUAL_PLACE, Options, path_of
from wallet.faces.cli.exit_codes import Exit
from wallet.faces.cli.talking import say
from wallet.faces.cli.verbs.mine import NETWORK as REGTEST
from wallet.faces.cli.verbs.mine import built_in
from wallet.faces.rpc.client import ConnectionLost, RpcError, Unreachable, call

if TYPE_CHECKING:
    from wallet.faces.cli.rising import Act, Rise
    from wallet.faces.cli.start_file import StartFile
    from wallet.faces.demo.programs import Program

SEED: Final = "seed.json"
_LOOK_SECONDS: Final = 5.0
_UNLOCK_SECONDS: Final = 60.0
_TRIES: Final = 3
_WRONG_PASSWORD: Final = -32002
_ANY_PORT: Final = "127.0.0.1:0"


def attach(rpc_file: Path, start: "Callable[[], Rise] | None" = None) -> int:
    """The app on a core that somebody else runs; the exit code.

    `start`: starts it when whoever ran it has ended it, if that is for us to do.
    """
    from wallet.faces.tui.app import run as open_app

    return open_app(
        rpc_file,
        town=town_of(rpc_file),
        start=start,
        mining=mining_on(rpc_file) if built_in(rpc_file.parent) else "",
    )


def mining_on(rpc_file: Path) -> str:
    """What a person types in another terminal for the first coins of the built-in chain."""
    root = rpc_file.parent.parent
    if rpc_file != root / REGTEST / SOCKET_NAME:
        where = f"--rpc-file {shlex.quote(str(rpc_file))} "
    else:
        # What LEYDEN_DIR says here the other terminal may not know.
        where = "" if root == path_of(USUAL_PLACE) else f"--dir {shlex.quote(str(root))} "
    return f"leyden {where}mine 101"


def town_of(rpc_file: Path) -> Path | None:
    """The socket of the town that a node of the demo lives in: DIR/town-rpc of DIR/NODE/regtest."""
    around = rpc_file.parents
    town = around[2] / "town-rpc" if len(around) > 2 else None
    return town if town is not None and town.is_socket() else None


def launch(options: Options) -> int:
    """Whatever leads to the app; the exit code when it is closed."""
    if "rpc_file" in options.values:
        return attach(options.rpc_file)
    try:
        if _is_served(options.rpc_file):
            return _attach_to_own(options.directory, options.network)
        require_unlocked(chain_by_name(options.network))
        return _start_own(options.directory, options.network)
    except WalletError as fault:
        return say(f"leyden: {safe_text(str(fault))}", Exit.REFUSED)


def _is_served(rpc_file: Path) -> bool:
    """Whether a core is there; one that says nothing may be busy, and is one."""
    try:
        call(rpc_file, "getinfo", timeout=_LOOK_SECONDS)
    except Unreachable:
        return False
    except (RpcError, ConnectionLost):
        pass
    return True


def _attach_to_own(root: Path, network: str) -> int:
    """On the node of the data directory: it may end with whoever started it, and then is ours."""
    from wallet.faces.cli import start_file
    from wallet.faces.cli.rising import Rise

    rpc_file = root / network / SOCKET_NAME
    start = start_file.read(root / network)
    if start is None:
        return attach(rpc_file)
    with ExitStack() as ours:

        def begin() -> Rise:
            rise = Rise(ours.enter_context(OwnNode(root, network, start)).steps)
            rise.begin()
            return rise

        return attach(rpc_file, begin)


def _start_own(root: Path, network: str) -> int:
    from wallet.faces.cli import start_file

    place = root / network
    has_wallet = (place / SEED).exists()
    start = start_file.read(place)
    if has_wallet and start is not None:
        if not _is_encrypted(place / SEED):
            return _open(root, network, start, None)
        return _ask_and_open(root, network, start)
    return _first_run(root, network, has_wallet=has_wallet)


def _first_run(root: Path, network: str, *, has_wallet: bool) -> int:
    """Ask a person what is missing, then go on."""
    from wallet.faces.cli.first_run import FirstRunPort
    from wallet.faces.tui.setup.app import run as ask
    from wallet.faces.tui.setup.port import Outcome

    port = FirstRunPort(root, network, has_wallet=has_wallet)
    outcome, code = ask(port)
    if outcome is None:
        if code == 0 and not (root / network / SEED).exists():
            say("Left; no wallet was made.", Exit.DONE)
        return code
    if outcome is Outcome.DEMO:
        from wallet.faces.demo.visit import visit

        return visit(root / "demo", fresh=False, say=lambda text: say(text, Exit.DONE))
    if port.password is None:
        return _start_own(root, network)
    from wallet.faces.cli import start_file

    start = start_file.read(root / network)
    if start is None:
        raise ServiceFault(f"{root / network / start_file.NAME} has gone; leyden asks again")
    return _open(root, network, start, port.password)


def _open(root: Path, network: str, start: "StartFile", password: str | None) -> int:
    """Start the node while the app shows it, which needs nothing that is asked here."""
    from wallet.faces.cli.rising import Rise

    with OwnNode(root, network, start) as node:
        steps = node.steps
        if password is not None:
            steps += (("the wallet is opened", lambda: node.unlock(password)),)
        rise = Rise(steps)
        rise.begin()
        return _show(node, rise)


def _ask_and_open(root: Path, network: str, start: "StartFile") -> int:
    """The password on the plain terminal; meanwhile the node starts and the app is loaded."""
    from wallet.faces.cli.rising import Rise

    with OwnNode(root, network, start) as node:
        rise = Rise(node.steps)
        rise.begin()
        threading.Thread(target=_load_app, daemon=True).start()
        with _no_echo():
            code = _unlock(node, rise)
        return _show(node, rise) if code == Exit.DONE else code


def _unlock(node: "OwnNode", rise: "Rise") -> int:
    for tries_left in reversed(range(_TRIES)):
        try:
            password = getpass.getpass(f"password of the wallet in {safe_text(str(node.root))}: ")
        except EOFError:
            return say("no password was given; the node was not opened", Exit.LOCKED)
        rise.wait()
        if rise.fault:
            return say(f"leyden: {safe_text(rise.fault)}", Exit.REFUSED)
        try:
            node.unlock(password)
        except RpcError as fault:
            if fault.code != _WRONG_PASSWORD:
                raise
        else:
            return Exit.DONE
        more = f"{tries_left} more" if tries_left else "the node was not opened"
        say(f"wrong password; {more}", Exit.DONE)
    return Exit.LOCKED


@contextmanager
def _no_echo() -> Iterator[None]:
    """What is typed while nobody asks, too early or between two tries, is not shown either."""
    before = termios.tcgetattr(0)
    quiet = termios.tcgetattr(0)
    quiet[3] &= ~termios.ECHO
    termios.tcsetattr(0, termios.TCSADRAIN, quiet)
    try:
        yield
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)


def _load_app() -> None:
    import wallet.faces.tui.app  # noqa: F401


def _show(node: "OwnNode", rise: "Rise") -> int:
    from wallet.faces.tui.app import run as open_app

    mining = mining_on(node.rpc_file) if node.has_own_chain else ""
    code = open_app(node.rpc_file, rising=rise, mining=mining)
    if rise.fault:
        return say(f"leyden: {safe_text(rise.fault)}", Exit.REFUSED)
    if code == 0:
        say("# stopping the node", Exit.DONE)
    return code


def _is_encrypted(seed_file: Path) -> bool:
    """Whether a password will be asked: known before a node is there to ask."""
    try:
        return bool(json.loads(seed_file.read_text())["kdf"] != "none")
    except (OSError, ValueError, KeyError, TypeError):
        return False  # the node says what is wrong with it


class OwnNode:
    """A daemon, and the embedded chain if it is on that: children that end with us."""

    def __init__(self, root: Path, network: str, start: "StartFile") -> None:
        """Nothing runs yet but the keeper."""
        from wallet.faces.demo.programs import Keeper

        self.root = root
        self._place = root / network
        self._network = network
        self._start = start
        self._programs: list[Program] = []
        self._starting = threading.Lock()
        self._closed = False
        self._url, self._cookie = start.chain, start.cookie
        self._keeper = Keeper(root)

    @property
    def rpc_file(self) -> Path:
        """The daemon's socket."""
        return self._place / "lightning-rpc"

    @property
    def has_own_chain(self) -> bool:
        """Whether it is on the embedded chain."""
        from wallet.faces.cli.start_file import BUILT_IN

        return self._start.chain == BUILT_IN

    @property
    def steps(self) -> tuple[tuple[str, "Act"], ...]:
        """What a person reads, and what waits for it. They run on another thread."""
        chain = (("the built-in chain", self._start_chain),)
        return (*(chain if self.has_own_chain else ()), ("the node", self._start_daemon))

    def _start_chain(self) -> None:
        words = ("regtest", "--dir", str(self.root), "--rpc-port", "0")
        ready = self._run("the chain", "chain.log", words)
        self._url, self._cookie = ready["url"], ready["cookie"]

    def _start_daemon(self) -> None:
        options = {
            "--dir": str(self.root),
            "--network": self._network,
            "--chain": self._url,
            "--chain-cookie": self._cookie,
            "--listen": self._start.listen or _ANY_PORT,
            "--alias": self._start.alias,
        }
        words = [word for name, value in options.items() if value for word in (name, value)]
        self._run("the node", "daemon.log", ("daemon", *words))

    def _run(self, name: str, log: str, words: tuple[str, ...]) -> dict[str, Any]:
        """Start a program and wait until it serves; its ready line. Raises `ServiceFault`."""
        from wallet.faces.demo.programs import Program, command

        place = self._place / log
        with self._starting:
            if self._closed:
                raise ServiceFault(f"{name} was not started: leyden is being closed")
            os.close(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600))
            program = Program(name, command("wallet", *words), place, self._keeper)
            self._programs.append(program)
        return program.ready()

    def unlock(self, password: str) -> None:
        """Hand it to the daemon. Raises `RpcError`."""
        call(self.rpc_file, "unlock", {"password": password}, timeout=_UNLOCK_SECONDS)

    def close(self) -> None:
        """Stop the daemon, then the chain; returns when they have ended."""
        with self._starting:
            self._closed = True
        for program in reversed(self._programs):
            program.ask_to_stop()
            program.wait()
        self._keeper.dismiss()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
