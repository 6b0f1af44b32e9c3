"""`leyden regtest`: serve the embedded chain in the foreground."""

import argparse
import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import Any

from wallet.base.bitcoin.chains import REGTEST
from wallet.base.errors import Refused
from wallet.services.regtest.server import serve


def run(args: argparse.Namespace) -> int:
    """Serve until SIGTERM, SIGINT or RPC `stop`; `args`: `dir`, `network`, `rpc_port` (0: any).

    Prints one JSON line when it serves. Exit code 1, with one sentence on stderr, if it cannot.
    """
    try:
        if args.network not in (None, REGTEST.name):
            raise Refused("the embedded chain is always regtest; leave --network away")
        asyncio.run(_serve(Path(args.dir), args.rpc_port))
    except Refused as refused:
        print(f"leyden regtest: {refused.message}", file=sys.stderr)
        return 1
    except OSError as error:
        print(
            f"leyden regtest: cannot use {args.dir} or the port: {error.strerror or error};"
            " give another --dir or --rpc-port",
            file=sys.stderr,
        )
        return 1
    return 0


async def _serve(directory: Path, port: int) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await serve(directory, port, ready=_print_ready, stop=stop)


def _print_ready(where: dict[str, Any]) -> None:
    print(json.dumps(where), flush=True)
