"""The town's own process: owns chain and nodes, and serves `town-rpc` until it is told to stop.

`python -m wallet.faces.demo.serve DIR [fresh] [attended]`; prints one JSON line: the town's
description when it is up, or `error` with a sentence (and `taken` when another town has the
directory).  Attended, it ends when standard input does, however that came about, and before that
line it prints one with `done` for each step.
"""

import asyncio
import json
import logging
import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from wallet.base.errors import WalletError
from wallet.faces.demo import layout
from wallet.faces.demo.desk import METHODS, Desk
from wallet.faces.demo.grounds import Taken
from wallet.faces.demo.opening import bring_up
from wallet.faces.demo.town import Town
from wallet.faces.rpc.server import RpcServer
from wallet.faces.rpc.table import MethodTable

_THREADS: Final = 32
_log: Final = logging.getLogger("leyden.town")


def main(directory: Path, *, fresh: bool, attended: bool) -> int:
    """Until SIGTERM, SIGINT or `stop`; answers the exit code."""
    logging.basicConfig(
        stream=sys.stderr, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s"
    )
    try:
        with Town(directory, fresh=fresh) as town:
            log = os.open(directory / layout.LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.dup2(log, 2)
            asyncio.run(_serve(town, attended=attended))
    except WalletError as error:
        _tell({"error": str(error), "taken": isinstance(error, Taken)})
        return 1
    return 0


async def _serve(town: Town, *, attended: bool) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    # A story or a money check holds one for seconds, and nobody's glance may wait for that.
    loop.set_default_executor(ThreadPoolExecutor(_THREADS))
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if attended:
        loop.add_reader(0, _listen, stop)
    stopping = asyncio.ensure_future(stop.wait())
    done = _tell_done if attended else lambda _: None
    rising = asyncio.ensure_future(asyncio.to_thread(bring_up, town, done))
    await asyncio.wait((rising, stopping), return_when=asyncio.FIRST_COMPLETED)
    desk = Desk(town)
    server = RpcServer(MethodTable(METHODS, stop.set), desk)
    try:
        if rising.done():
            rising.result()
            await server.start(town.directory / layout.SOCKET)
            _tell(town.description())
            await stopping
    finally:
        await server.close()
        desk.close()
        # The threads that still wait for a node end with it.
        await asyncio.to_thread(town.stop)


def _listen(stop: asyncio.Event) -> None:
    if not os.read(0, 1 << 16):
        asyncio.get_running_loop().remove_reader(0)
        stop.set()


def _tell_done(step: str) -> None:
    _tell({"done": step})


def _tell(what: dict[str, object]) -> None:
    try:
        print(json.dumps(what), flush=True)
    except BrokenPipeError:
        # Whoever started us has gone; the town is found by its socket.
        _log.warning("nobody reads: %s", what)


if __name__ == "__main__":
    words = sys.argv[2:]
    sys.exit(main(Path(sys.argv[1]), fresh="fresh" in words, attended="attended" in words))
