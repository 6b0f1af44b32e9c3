"""`leyden unlock`: hand the password to a locked daemon.

It is typed, or read from a file descriptor: never an argument, which other users can list, and
never the environment, which child processes inherit.
"""

import os
import sys
from typing import Final

from wallet.faces.cli.arguments import UsageError

_LONGEST: Final = 4096


def read_password(words: list[str]) -> str:
    """The password for the words after `unlock`: none, or `--password-fd FD`."""
    match words:
        case [] if sys.stdin.isatty():
            import getpass

            return getpass.getpass("password: ")
        case []:
            raise UsageError("without a terminal, give --password-fd FD")
        case ["--password-fd", descriptor]:
            return line_of(descriptor)
        case [word] if word.startswith("--password-fd="):
            return line_of(word.partition("=")[2])
        case _:
            raise UsageError("unlock takes no password as an argument: type it, or --password-fd")


def line_of(descriptor: str) -> str:
    """The first line, at most 4,096 bytes, without its newline."""
    if not (descriptor.isascii() and descriptor.isdigit()):
        raise UsageError("--password-fd should be the number of an open file")
    try:
        with os.fdopen(int(descriptor), "rb", closefd=False) as source:
            line = source.readline(_LONGEST)
        return line.removesuffix(b"\n").removesuffix(b"\r").decode()
    except (OSError, OverflowError):
        raise UsageError(f"file descriptor {descriptor} cannot be read") from None
    except UnicodeDecodeError:
        raise UsageError("the password is not UTF-8") from None
