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
