"""Closed, full and abandoned streams, and homes that are not there: no traceback, a true code."""

import asyncio
import shlex
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.served import Served
from wallet.faces.cli.arguments import UsageError
from wallet.faces.cli.exit_codes import Exit
from wallet.faces.cli.output import render_field
from wallet.faces.cli.talking import put_field


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    (tmp_path / "regtest").mkdir()
    serving = Served(tmp_path / "regtest" / "lightning-rpc")
    await serving.server.start(serving.path)
    yield serving
    await serving.server.close()


async def shell(served: Served, words: str, before: str = "") -> tuple[int, str]:
    """What a shell makes of `leyden WORDS`: the exit code and standard error."""
    line = f"{shlex.quote(sys.executable)} -m wallet --rpc-file {shlex.quote(str(served.path))}"
    process = await asyncio.create_subprocess_exec(
        "/bin/sh",
        "-c",
        f"{before} {line} {words}",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, err = await process.communicate()
    return process.returncode or 0, err.decode()


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("echo hi >&-", Exit.DONE),
        ("echo hi >&- 2>&-", Exit.DONE),
        ("nosuch 2>&-", Exit.REFUSED),
        ("echo hi <&-", Exit.DONE),
        ("echo - <&-", Exit.USAGE),
        ("--dir '~nobody-is-called-so/x' --rpc-file '~nobody-is-called-so/y' getinfo", Exit.USAGE),
        ("init --dir '~nobody-is-called-so/x' --no-encryption", Exit.USAGE),
    ],
)
async def test_closed_streams_and_lost_homes__a_code_and_no_traceback(
    served: Served, words: str, code: Exit
) -> None:
    got, err = await shell(served, words)
    assert "Traceback" not in err
    assert got == code, err


async def test_full_disk__said_in_a_sentence(served: Served, tmp_path: Path) -> None:
    # A file that may not grow fails as a full disk does.
    got, err = await shell(served, f"echo hi >{tmp_path}/out", before="ulimit -f 0;")
    assert (got, err.count("\n")) == (Exit.REFUSED, 1), err
    assert "cannot be printed" in err


def test_missing_field__what_was_paid_is_not_called_wrong_usage(
    capsys: pytest.CaptureFixture[str],
) -> None:
    paid = {"status": "complete", "payment_preimage": "00"}
    assert put_field(paid, "preimage", "pay") == Exit.OUTCOME_OPEN
    assert "status, payment_preimage" in capsys.readouterr().err
    assert put_field({"alias": "a"}, "alas", "getinfo") == Exit.USAGE
    with pytest.raises(UsageError):
        render_field([], "alias")


@pytest.mark.parametrize(
    "words",
    ["init --dir {here}/new", "init --dir {here}/new --restore --no-encryption", "unlock"],
)
async def test_closed_input__where_a_secret_would_be_typed(
    served: Served, tmp_path: Path, words: str
) -> None:
    got, err = await shell(served, f"{words.format(here=tmp_path)} <&-")
    assert "Traceback" not in err
    assert got in (Exit.USAGE, Exit.REFUSED), err


async def test_dash_without_input__is_no_empty_value(served: Served) -> None:
    got, err = await shell(served, "echo - </dev/null")
    assert (got, "is empty" in err) == (Exit.USAGE, True)


async def test_daemon__password_and_log_level_that_cannot_be_read(
    served: Served, tmp_path: Path
) -> None:
    words = f"init --no-encryption --dir {tmp_path}/new 2>/dev/null"
    assert (await shell(served, words))[0] == Exit.DONE
    got, err = await shell(served, f"daemon --dir {tmp_path}/new --password-fd 77")
    assert (got, err) == (Exit.USAGE, "leyden: file descriptor 77 cannot be read\n")
    got, err = await shell(served, f"daemon --dir {tmp_path}/new", before="LEYDEN_LOG=loud")
    assert (got, "Traceback" in err, "LEYDEN_LOG" in err) == (Exit.USAGE, False, True)


async def test_daemon__a_wrong_password_is_7(served: Served, tmp_path: Path) -> None:
    words = f"init --password-fd 0 --dir {tmp_path}/new"
    assert (await shell(served, words, before="echo right |"))[0] == Exit.DONE
    words = f"daemon --password-fd 0 --listen 127.0.0.1:0 --dir {tmp_path}/new"
    assert (await shell(served, words, before="echo wrong |"))[0] == Exit.LOCKED
