"""`leyden daemon`: one core in the foreground, its socket, one ready line on stdout."""

import argparse
import asyncio
import json
import logging
import os
import signal
import sys
from pathlib import Path

from wallet.base.bitcoin.chains import REGTEST, Chain, chain_by_name, require_unlocked
from wallet.base.errors import Refused, ServiceFault
from wallet.faces.cli.arguments import UsageError
from wallet.faces.cli.exit_codes import Exit, of_error
from wallet.faces.cli.unlock import line_of
from wallet.faces.rpc.methods import METHODS
from wallet.faces.rpc.server import RpcServer
from wallet.faces.rpc.table import MethodTable
from wallet.node.api import Api
from wallet.node.build import check_config
from wallet.node.config import Config
from wallet.services.directory import DataDirectory


def run(args: argparse.Namespace) -> int:
    """Until SIGTERM, SIGINT or `stop`; answers the exit code."""
    level = os.environ.get("LEYDEN_LOG", "INFO").upper()
    if level not in logging.getLevelNamesMapping():
        raise UsageError("LEYDEN_LOG should be DEBUG, INFO, WARNING, ERROR or CRITICAL")
    logging.basicConfig(
        stream=sys.stderr,
        level=level,
        format="%(asctime)s %(levelname)-7s %(name)s: %(message)s",
    )
    try:
        config = _config(args)
        place = DataDirectory(config.directory, config.chain.name)
        place.prepare()
        with place.lock():
            return asyncio.run(_serve(config, place, args.password_fd))
    except (Refused, ServiceFault) as error:
        print(f"leyden daemon: {error}", file=sys.stderr)
        return of_error(error.code) if isinstance(error, Refused) else Exit.REFUSED


def _config(args: argparse.Namespace) -> Config:
    chain = chain_by_name(args.network)
    require_unlocked(chain)
    cookie = args.chain_cookie
    url = args.chain or f"http://127.0.0.1:{chain.rpc_port}"
    if cookie is None and "@" not in url:
        cookie = _usual_cookie(args.dir, chain)
    config = Config(
        directory=args.dir,
        chain=chain,
        chain_url=url,
        chain_cookie=cookie,
        listen=args.listen or "127.0.0.1:9735",
        alias=args.alias or "",
        trust_zeroconf=frozenset(args.trust_zeroconf),
        record=bool(os.environ.get("LEYDEN_RECORD")),
    )
    check_config(config)
    return config


def _usual_cookie(directory: Path, chain: Chain) -> Path:
    """Of `leyden regtest`, which lives beside the wallet, or of a bitcoind of this user."""
    root = directory if chain is REGTEST else Path("~/.bitcoin").expanduser()
    return root / chain.rpc_cookie


async def _serve(config: Config, place: DataDirectory, password_fd: int | None) -> int:
    api = Api(config, place)
    table = MethodTable(METHODS, api.stop_requested.set)
    server = RpcServer(table, api, lambda: api.locked)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, api.stop_requested.set)
    try:
        if password_fd is not None:
            await api.unlock(line_of(str(password_fd)))
        elif not api.needs_password():
            await api.unlock(None)
        await server.start(place.rpc_file)
        print(json.dumps(_ready_line(api, place.rpc_file)), flush=True)
        return await _until_stopped(api)
    finally:
        await server.close()
        await api.close()


def _ready_line(api: Api, rpc_file: Path) -> dict[str, object]:
    if api.locked:
        return {"ready": True, "locked": True, "rpc-file": str(rpc_file)}
    return {
        "ready": True,
        "id": api.node_id.hex(),
        "rpc-file": str(rpc_file),
        "listen": api.listening,
    }


async def _until_stopped(api: Api) -> int:
    await api.stop_requested.wait()
    if api.failure is not None:
        print(f"leyden daemon: {api.failure}", file=sys.stderr)
        return Exit.REFUSED
    return Exit.DONE
