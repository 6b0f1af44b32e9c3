"""Commands that the program carries out itself: their options reach their bodies."""

import argparse
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from wallet.faces.cli.main import run


@pytest.fixture
def bodies(monkeypatch: pytest.MonkeyPatch) -> list[argparse.Namespace]:
    """Pretend bodies for all four, which remember their arguments and answer 6."""
    seen: list[argparse.Namespace] = []

    def body(args: argparse.Namespace) -> int:
        seen.append(args)
        return 6

    for name in ("cli.init", "cli.daemon", "cli.regtest", "demo.main"):
        module = ModuleType(f"wallet.faces.{name}")
        module.__dict__["run"] = body
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setenv("LEYDEN_DIR", "/data/leyden")
    return seen


HOME: dict[str, Any] = {"dir": Path("/data/leyden"), "network": "regtest"}
ONE = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
OTHER = "03" + ONE[2:]
CASES: list[tuple[str, dict[str, Any]]] = [
    (
        "init",
        {
            "no_encryption": False,
            "password_fd": None,
            "words": 24,
            "restore": False,
            "birthday": None,
            "json": False,
        },
    ),
    (
        "init --dir /d --network signet --password-fd 3 --words 12 --restore --json",
        {
            "dir": Path("/d"),
            "network": "signet",
            "no_encryption": False,
            "password_fd": 3,
            "words": 12,
            "restore": True,
            "birthday": None,
            "json": True,
        },
    ),
    (
        "--dir /d daemon --chain http://u:p@h:1 --chain-cookie /c --listen [::1]:0 --alias al",
        {
            "dir": Path("/d"),
            "chain": "http://u:p@h:1",
            "chain_cookie": Path("/c"),
            "listen": "[::1]:0",
            "alias": "al",
            "password_fd": None,
            "trust_zeroconf": [],
        },
    ),
    (
        f"daemon --trust-zeroconf {ONE} --trust-zeroconf {OTHER}",
        {
            "chain": None,
            "chain_cookie": None,
            "listen": None,
            "alias": None,
            "password_fd": None,
            "trust_zeroconf": [bytes.fromhex(ONE), bytes.fromhex(OTHER)],
        },
    ),
    ("regtest --rpc-port 18443", {"rpc_port": 18443}),
    (
        "demo --headless --json",
        {
            "dir": Path("/data/leyden/demo"),
            "action": "",
            "arguments": [],
            "headless": True,
            "json": True,
            "fresh": False,
        },
    ),
    (
        "demo up --dir /d --json --fresh",
        {
            "dir": Path("/d"),
            "action": "up",
            "arguments": [],
            "headless": False,
            "json": True,
            "fresh": True,
        },
    ),
    (
        "demo mine 6",
        {
            "dir": Path("/data/leyden/demo"),
            "action": "mine",
            "arguments": ["6"],
            "headless": False,
            "json": False,
            "fresh": False,
        },
    ),
]


@pytest.mark.parametrize(("line", "expected"), CASES)
def test_options__reach_the_body(
    bodies: list[argparse.Namespace], line: str, expected: dict[str, Any]
) -> None:
    assert run(line.split()) == 6
    assert vars(bodies[0]) == HOME | expected


@pytest.mark.parametrize(
    "line",
    [
        "init --words 13",
        "init --no-encryption --password-fd 3",
        "daemon --nonsense",
        f"daemon --trust-zeroconf {ONE[:-2]}",
        f"daemon --trust-zeroconf 02{'ff' * 32}",
        "regtest --rpc-port 65536",
        "daemon --lis 127.0.0.1:0",
    ],
)
def test_wrong_usage__is_3(
    bodies: list[argparse.Namespace], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        run(line.split())
    assert left.value.code == 3
    assert bodies == []
    err = capsys.readouterr().err
    assert err.startswith("leyden ")
    assert err.count("\n") == 1


def test_help__of_a_local_command(
    bodies: list[argparse.Namespace], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        run(["daemon", "--help"])
    assert left.value.code == 0
    assert "--chain-cookie" in capsys.readouterr().out
