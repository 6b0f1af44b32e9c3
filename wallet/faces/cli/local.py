"""Commands that this program carries out itself: their options, and where their bodies live.

Imported only when one of them is called; the bodies are imported after the options are read.
"""

import argparse
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Final, NoReturn

from wallet.base.crypto.curve import check_point
from wallet.base.errors import DecodeError
from wallet.base.values.ids import NodeId
from wallet.faces.cli.arguments import Options, UsageError, path_of
from wallet.faces.cli.exit_codes import Exit


class _Parser(argparse.ArgumentParser):
    """argparse leaves with 2 on wrong usage, which here means "daemon not reachable"."""

    def error(self, message: str) -> NoReturn:
        self.exit(Exit.USAGE, f"{self.prog}: {message} ({self.prog} --help says more)\n")


def _init(parser: argparse.ArgumentParser) -> None:
    parser.description = "Make a wallet, or restore one from its recovery phrase."
    secrecy = parser.add_mutually_exclusive_group()
    secrecy.add_argument("--no-encryption", action="store_true", help="keep the seed readable")
    secrecy.add_argument("--password-fd", type=int, metavar="FD", help="read the password from FD")
    parser.add_argument("--words", type=int, choices=(12, 24), default=24)
    parser.add_argument("--restore", action="store_true", help="read a recovery phrase")
    parser.add_argument(
        "--birthday", type=_unix, metavar="SECONDS", help="restored: it had no money before then"
    )
    parser.add_argument("--json", action="store_true", help="print the phrase as JSON")


def _daemon(parser: argparse.ArgumentParser) -> None:
    parser.description = "Run the node in the foreground."
    parser.add_argument("--chain", metavar="URL", help="http://[user:pass@]host:port of the chain")
    parser.add_argument("--chain-cookie", type=_path, metavar="FILE")
    parser.add_argument("--listen", metavar="HOST:PORT")
    parser.add_argument("--alias", metavar="NAME")
    parser.add_argument(
        "--trust-zeroconf",
        action="append",
        type=_node_id,
        default=[],
        metavar="ID",
        help="take channels of this peer before they are confirmed (repeat for more)",
    )
    parser.add_argument("--password-fd", type=int, metavar="FD", help="unlock at once")


def _regtest(parser: argparse.ArgumentParser) -> None:
    parser.description = "Run the embedded chain in the foreground."
    parser.add_argument("--rpc-port", type=_port, default=0, metavar="P", help="0: any free port")


def _demo(parser: argparse.ArgumentParser) -> None:
    parser.description = "Bring up a whole Lightning network on this machine and tell its story."
    parser.add_argument(
        "action",
        nargs="?",
        default="",
        help="up, down, status, blocks [LIMIT], money, mine [BLOCKS], traffic [RATE],"
        " give NODE SAT, fault NODE KIND, story [NAME]; none: tell the first story in a town that"
        " ends with it",
    )
    parser.add_argument("arguments", nargs="*", help="what the action needs")
    parser.add_argument("--headless", action="store_true", help="tell it without a terminal")
    parser.add_argument("--json", action="store_true", help="print one object at the end")
    parser.add_argument("--fresh", action="store_true", help="throw the last town away")


COMMANDS: Final[dict[str, tuple[Callable[[argparse.ArgumentParser], None], str]]] = {
    "init": (_init, "wallet.faces.cli.init"),
    "daemon": (_daemon, "wallet.faces.cli.daemon"),
    "regtest": (_regtest, "wallet.faces.cli.regtest"),
    "demo": (_demo, "wallet.faces.demo.main"),
}
"""Each command's options, and the module whose `run(args)` answers the exit code."""


def parse(name: str, words: list[str], options: Options) -> argparse.Namespace:
    """Read a local command's words; options given before its name are its defaults.

    Wrong usage leaves the program with 3.
    """
    declare, _ = COMMANDS[name]
    parser = _Parser(prog=f"leyden {name}", allow_abbrev=False)
    parser.add_argument("--dir", type=_path, default=None, metavar="DIR")
    parser.add_argument("--network", default=options.network, metavar="N")
    declare(parser)
    args = parser.parse_args(words)
    given = args.dir is not None or "dir" in options.values
    args.dir = args.dir or options.directory
    if name == "demo" and not (given and args.action):
        # The story's town lies in the wallets' directory; `up --dir` says where another lies.
        args.dir /= "demo"
    return args


def run(name: str, words: list[str], options: Options) -> int:
    """Carry out a local command; answers the exit code."""
    args = parse(name, words, options)
    body: Callable[[argparse.Namespace], int] = importlib.import_module(COMMANDS[name][1]).run
    return body(args)


def _path(text: str) -> Path:
    try:
        return path_of(text)
    except UsageError as fault:
        raise argparse.ArgumentTypeError(str(fault)) from None


def _node_id(text: str) -> NodeId:
    try:
        return NodeId(check_point(bytes.fromhex(text)))
    except (ValueError, DecodeError):
        raise argparse.ArgumentTypeError(f"not a node id: {text!r}") from None


def _unix(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 12):
        raise argparse.ArgumentTypeError(f"not seconds since 1970: {text!r}")
    return int(text)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) < 1 << 16):
        raise argparse.ArgumentTypeError(f"not a port: {text!r}")
    return int(text)
