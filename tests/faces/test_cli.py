"""The command line as a script meets it: words in, JSON and an exit code out."""

import asyncio
import json
import os
import signal
import sys
import tomllib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

import wallet
from tests.support.served import Served
from wallet.faces.cli.exit_codes import MOVES_MONEY, Exit, of_error
from wallet.faces.cli.main import run
from wallet.faces.rpc.errors import Code

LEYDEN = (sys.executable, "-m", "wallet")


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    (tmp_path / "regtest").mkdir()
    serving = Served(tmp_path / "regtest" / "lightning-rpc")
    await serving.server.start(serving.path)
    yield serving
    await serving.server.close()


class Leyden:
    """Runs `leyden` within this process, against the served directory."""

    def __init__(self, directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.directory = directory
        self.capsys = capsys

    async def __call__(self, *words: str) -> tuple[int, str, str]:
        code = await asyncio.to_thread(run, ["--dir", str(self.directory), *words])
        captured = self.capsys.readouterr()
        return code, captured.out, captured.err

    async def result(self, *words: str) -> Any:
        code, out, _ = await self(*words)
        assert code == 0
        return json.loads(out)


@pytest.fixture
def leyden(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Leyden:
    return Leyden(tmp_path, capsys)


async def spawn(served: Served, *words: str, stdin: bytes = b"") -> tuple[int, bytes, bytes]:
    process = await asyncio.create_subprocess_exec(
        *LEYDEN,
        "--rpc-file",
        str(served.path),
        *words,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate(stdin)
    return process.returncode or 0, out, err


async def test_method__prints_json_as_lightning_cli(served: Served, leyden: Leyden) -> None:
    code, out, err = await leyden("echo", "hi")
    assert (code, out, err) == (0, '{\n   "text": "hi"\n}\n', "")


async def test_process__code_output_and_light_imports(served: Served) -> None:
    code, out, err = await spawn(served, "echo", "hi")
    assert (code, json.loads(out), err) == (0, {"text": "hi"}, b"")
    script = (
        "import sys; from wallet.faces.cli.main import run;"
        f"assert run(['--rpc-file', {str(served.path)!r}, 'getinfo']) == 0;"
        "print('heavy:', [m for m in ('textual', 'rich', 'asyncio', 'aiosqlite', 'coincurve',"
        " 'argparse', 'dataclasses', 'logging', 'cryptography') if m in sys.modules])"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE
    )
    lines, _ = await process.communicate()
    assert lines.splitlines()[-1] == b"heavy: []"


async def test_params__by_order_and_by_name(served: Served, leyden: Leyden) -> None:
    assert await leyden.result("echo", "ab", "2") == {"text": "abab"}
    assert await leyden.result("echo", "text=ab", "times=2") == {"text": "abab"}
    assert await leyden.result("echo", "-k", "times=2", "text=a=b") == {"text": "a=ba=b"}
    assert await leyden.result("-o", "echo", "a=b") == {"text": "a=b"}
    assert await leyden.result("echo", "ab", "null") == {"text": "ab"}
    assert await leyden.result("rpc", "echo", "text=ab") == {"text": "ab"}
    assert await leyden.result("withdraw", "5sat", "all") == {
        "amount": "5,000 msat",
        "satoshi": "Special.ALL",
    }


@pytest.mark.parametrize(
    "text", ["0123", "12a", "{not json", "[x", '"', "trueish", "-5", "é", "a b", "lnbc1\u202e"]
)
async def test_params__words_that_are_no_json_are_text(
    served: Served, leyden: Leyden, text: str
) -> None:
    assert await leyden.result("echo", "-o", text) == {"text": text}


async def test_params__after_two_dashes_nothing_is_an_option(
    served: Served, leyden: Leyden
) -> None:
    assert await leyden.result("echo", "--", "--json") == {"text": "--json"}


async def test_output__raw_flat_field_and_filter(
    served: Served, leyden: Leyden, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await leyden("-R", "echo", "hi"))[1] == '{"text":"hi"}\n'
    assert (await leyden("getinfo", "-F"))[1].splitlines()[1:4] == [
        "alias=alice",
        "address[0].type=ipv4",
        "address[0].port=9735",
    ]
    assert (await leyden("getinfo", "--field", "alias"))[1] == "alice\n"
    assert (await leyden("getinfo", "--field=nothing"))[0] == Exit.USAGE
    assert await leyden.result("getinfo", "-l", '{"alias":true}') == {"alias": "alice"}
    monkeypatch.setenv("LEYDEN_OUTPUT", "raw")
    assert (await leyden("echo", "hi"))[1] == '{"text":"hi"}\n'
    assert (await leyden("-J", "echo", "hi"))[1] == '{\n   "text": "hi"\n}\n'
    monkeypatch.setenv("LEYDEN_OUTPUT", "table")
    assert (await leyden("echo", "hi"))[0] == Exit.USAGE


async def test_output__nothing_moves_the_cursor(served: Served, leyden: Leyden) -> None:
    evil = "a\x1b[2Jb\u202ec"
    for words in (("-J",), ("-R",), ("-F",), ("--field", "text")):
        _, out, _ = await leyden(*words, "echo", "--", evil)
        assert "\x1b" not in out
        assert "\u202e" not in out


async def test_stdin__is_one_value(served: Served) -> None:
    assert json.loads((await spawn(served, "echo", "-", stdin=b" hi \n"))[1]) == {"text": "hi"}
    assert json.loads((await spawn(served, "echo", "text=-", stdin=b"hi"))[1]) == {"text": "hi"}
    code, out, err = await spawn(served, "echo", "-", "-", stdin=b"hi")
    assert (code, out) == (Exit.USAGE, b"")
    assert b"only one value" in err


async def test_rpc_dash__sends_the_request_on_stdin(served: Served) -> None:
    text = b'{"method": "echo", "params": {"text": "raw"}}'
    assert json.loads((await spawn(served, "rpc", "-", stdin=text))[1]) == {"text": "raw"}
    text = b'{"jsonrpc":"2.0","id":7,"method":"refuse","params":[205]}'
    code, out, _ = await spawn(served, "rpc", "-", stdin=text)
    assert (code, json.loads(out)["code"]) == (Exit.REFUSED, 205)
    assert (await spawn(served, "rpc", "-", stdin=b"[]"))[0] == Exit.USAGE


EXIT_CODES = [
    (-1, Exit.REFUSED),
    (-32601, Exit.REFUSED),
    (-32602, Exit.REFUSED),
    (200, Exit.OUTCOME_OPEN),
    (205, Exit.REFUSED),
    (210, Exit.REFUSED),
    (301, Exit.REFUSED),
    (304, Exit.NOT_READY),
    (401, Exit.REFUSED),
    (900, Exit.REFUSED),
    (903, Exit.REFUSED),
    (904, Exit.TIMED_OUT),
    (2000, Exit.TIMED_OUT),
    (-32001, Exit.LOCKED),
    (-32002, Exit.LOCKED),
    (-32003, Exit.NOT_READY),
    (-32004, Exit.NEEDS_CONFIRMATION),
]


@pytest.mark.parametrize(("code", "exit_code"), EXIT_CODES)
def test_exit_code__of_each_error(code: int, exit_code: Exit) -> None:
    assert of_error(code) == exit_code


async def test_error__json_on_stdout_and_exit_code(served: Served, leyden: Leyden) -> None:
    code, out, err = await leyden("refuse", "904")
    assert (code, json.loads(out), err) == (5, {"code": 904, "message": "not today"}, "")
    code, out, _ = await leyden("nosuchcommand")
    assert (code, json.loads(out)["code"]) == (1, -32601)
    served.locked = True
    code, out, _ = await leyden("echo", "hi")
    assert (code, json.loads(out)["code"]) == (7, Code.LOCKED)


async def test_unreachable__is_2_with_one_sentence(leyden: Leyden) -> None:
    code, out, err = await leyden("getinfo")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "no daemon at" in err


@pytest.mark.parametrize(
    "words",
    [
        ("--nonsense", "getinfo"),
        ("--timeout", "0", "getinfo"),
        ("--filter", "{", "getinfo"),
        ("--network", "../x", "getinfo"),
        ("getinfo", "--filter"),
        ("-k", "echo", "hi"),
        ("echo", "text=a", "text=b"),
        ("rpc",),
        ("unlock", "swordfish"),
    ],
)
async def test_usage__is_3_and_nothing_is_contacted(leyden: Leyden, words: tuple[str, ...]) -> None:
    code, out, err = await leyden(*words)
    assert (code, out, err.count("\n")) == (3, "", 1)


async def test_alone_in_a_pipe__help_and_3(leyden: Leyden) -> None:
    code, out, err = await leyden()
    assert (code, err) == (3, "")
    assert "Exit codes: 0 done" in out


async def test_help__local_without_a_daemon_and_methods_with(
    served: Served, leyden: Leyden
) -> None:
    assert (await leyden("--help"))[0] == 0
    assert (await leyden.result("help"))["format-hint"] == "simple"
    assert (await leyden.result("help", "echo"))["help"] == [{"command": "echo text [times]"}]
    assert (await leyden("help", "-H", "echo"))[1] == "echo text [times]\n"
    assert "\npay invstring\n" in (await leyden("help", "-H"))[1]


async def test_version__is_the_packages(leyden: Leyden) -> None:
    assert (await leyden("--version"))[:2] == (0, f"leyden {wallet.__version__}\n")
    declared = tomllib.loads(Path("pyproject.toml").read_text())["project"]["version"]
    assert declared == wallet.__version__


async def test_leyden_dir__overrides_the_default(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEYDEN_DIR", str(tmp_path))
    assert await asyncio.to_thread(run, ["getinfo"]) == 0


async def test_unlock__reads_the_password_from_a_descriptor(served: Served, leyden: Leyden) -> None:
    for password, expected in ((b"swordfish\n", 0), (b"trout", 7)):
        read_end, write_end = os.pipe()
        os.write(write_end, password)
        os.close(write_end)
        assert (await leyden("unlock", "--password-fd", str(read_end)))[0] == expected
        os.close(read_end)
    assert (await leyden("unlock", "--password-fd", "987"))[0] == Exit.USAGE


@pytest.mark.parametrize(
    ("words", "timed_out", "cut", "interrupted"),
    [(("pay", "lnbcrt1"), 4, 4, 4), (("waitinvoice", "a"), 5, 2, 130)],
)
async def test_lost_answer__open_only_for_money(
    served: Served,
    leyden: Leyden,
    words: tuple[str, ...],
    timed_out: int,
    cut: int,
    interrupted: int,
) -> None:
    code, out, err = await leyden("--timeout", "0.2", *words)
    assert (code, out, err.count("\n")) == (timed_out, "", 1)
    process = await asyncio.create_subprocess_exec(
        *LEYDEN, "--rpc-file", str(served.path), *words, stderr=asyncio.subprocess.DEVNULL
    )
    await served.until_called(2)
    process.send_signal(signal.SIGINT)
    assert await process.wait() == interrupted
    running = asyncio.create_task(leyden(*words))
    await served.until_called(3)
    await served.server.close()
    assert (await running)[0] == cut


async def test_stop__ends_with_0(served: Served, leyden: Leyden) -> None:
    assert await leyden.result("stop") == {"result": "Shutdown complete"}
    assert served.stop.is_set()


async def test_closed_pipe__no_traceback(served: Served) -> None:
    process = await asyncio.create_subprocess_shell(
        f"{sys.executable} -m wallet --rpc-file {served.path} echo {'x' * 200} 300000"
        " | head -c 10 >/dev/null",
        stderr=asyncio.subprocess.PIPE,
    )
    _, err = await process.communicate()
    assert err == b""


def test_money_methods__are_named_as_core_lightning_names_them() -> None:
    assert {"pay", "xpay", "keysend", "sendpay", "fundchannel", "withdraw", "close"} <= MOVES_MONEY
    assert not {m for m in MOVES_MONEY if m.startswith(("list", "wait", "get", "decode"))}
