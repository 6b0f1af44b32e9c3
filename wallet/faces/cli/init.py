"""`leyden init`: make a wallet, or restore one from its recovery phrase.

The phrase goes to the terminal once, or to standard output as one JSON object (`--json`, or when
that is not a terminal).  The password comes from the terminal or from a file descriptor, never from
the command line or the environment, where other processes could read it.
"""

import argparse
import getpass
import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from wallet.base.errors import Refused, ServiceFault, WalletError

if TYPE_CHECKING:
    from wallet.node.setup import MadeWallet

REFUSED: Final = 1
USAGE: Final = 3
INTERRUPTED: Final = 130
_MOST_TYPED: Final = 4_096


class _UsageError(WalletError):
    """The call itself is wrong; nothing was read or written."""


def run(args: argparse.Namespace) -> int:
    """Carry out `leyden init`; answers the exit code.

    `args` has `dir`, `network`, `no_encryption`, `password_fd`, `words`, `restore`, `birthday` and
    `json`.
    """
    as_json = bool(args.json) or not sys.stdout.isatty()
    try:
        made = _make(args)
    except _UsageError as error:
        print(f"leyden init: {error}", file=sys.stderr)
        return USAGE
    except (Refused, ServiceFault) as error:
        if as_json:
            code = error.code if isinstance(error, Refused) else -1
            print(json.dumps({"code": code, "message": str(error)}))
        print(f"leyden init: {error}", file=sys.stderr)
        return REFUSED
    except KeyboardInterrupt:
        print("\nleyden init: stopped; no wallet was made", file=sys.stderr)
        return INTERRUPTED
    print(_json_answer(made, restored=args.restore) if as_json else _page(made, args.restore))
    return 0


def _make(args: argparse.Namespace) -> "MadeWallet":
    if args.no_encryption and args.password_fd is not None:
        raise _UsageError(
            "--no-encryption and --password-fd contradict each other; give one of them"
        )
    if args.birthday is not None and not args.restore:
        raise _UsageError("--birthday is for --restore: a new wallet's is now")
    if not args.no_encryption and args.password_fd is None and not sys.stdin.isatty():
        raise _UsageError("without a terminal, give --password-fd FD or --no-encryption")
    from wallet.node.setup import check_new_wallet, create_wallet, restore_wallet

    directory = Path(args.dir).expanduser().absolute()
    network = args.network or "regtest"
    check_new_wallet(directory, network)
    password = None if args.no_encryption else _password(args.password_fd)
    if args.restore:
        return restore_wallet(
            directory, network, _phrase(), password=password, birthday=args.birthday or 0
        )
    return create_wallet(
        directory,
        network,
        password=password,
        now=int(datetime.now(UTC).timestamp()),
        words=args.words or 24,
    )


def _password(descriptor: int | None) -> str:
    if descriptor is not None:
        return _line_of(descriptor)
    try:
        password = getpass.getpass("Password for the wallet file: ")
        if getpass.getpass("The same again: ") != password:
            raise Refused("the two passwords differ; nothing was made")
    except EOFError:
        raise Refused("no password was given; nothing was made") from None
    return password


def _line_of(descriptor: int) -> str:
    """One line from a descriptor and no byte more: with FD 0 the phrase may follow."""
    line = bytearray()
    try:
        while len(line) <= _MOST_TYPED:
            byte = os.read(descriptor, 1)
            if byte in (b"", b"\n"):
                return line.decode().removesuffix("\r")
            line += byte
    except OSError as error:
        raise _UsageError(
            f"cannot read the password from FD {descriptor}: {error.strerror}"
        ) from None
    except UnicodeDecodeError:
        raise Refused("the password is not UTF-8 text") from None
    raise Refused(f"the password is longer than {_MOST_TYPED} bytes")


def _phrase() -> str:
    if sys.stdin.isatty():
        print("Recovery phrase, the words in order with spaces between:", file=sys.stderr)
        return sys.stdin.readline(_MOST_TYPED)
    try:
        return sys.stdin.read(_MOST_TYPED)
    except UnicodeDecodeError:
        raise Refused("the recovery phrase is not UTF-8 text") from None


def _json_answer(made: "MadeWallet", *, restored: bool) -> str:
    answer: dict[str, object] = {} if restored else {"words": list(made.words)}
    answer |= {"id": made.node_id.hex(), "network": made.network, "dir": str(made.directory)}
    return json.dumps(answer)


def _page(made: "MadeWallet", restored: bool) -> str:
    facts = f"wallet   {made.directory} ({made.network})\nnode id  {made.node_id.hex()}"
    if restored:
        return f"Restored from its recovery phrase.\n\n{facts}"
    numbered = [f"{n:>2}  {word:<10}" for n, word in enumerate(made.words, 1)]
    rows = ["   " + "".join(numbered[i : i + 4]).rstrip() for i in range(0, len(numbered), 4)]
    return "\n".join(
        (
            "Your recovery phrase. Write these words on paper, in this order, now:",
            "they are the only way back to your money, and whoever reads them can take it.",
            "",
            *rows,
            "",
            facts,
        )
    )
