"""The friendly verbs that only look, over two daemons: tables for people, JSON for scripts."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.terminal import LEYDEN, answer, environment, piped, typed
from tests.support.two import CAPACITY, Two, two_daemons
from wallet.faces.cli.exit_codes import Exit
from wallet.faces.cli.verbs.names import VERBS
from wallet.faces.rpc.methods import METHODS
from wallet.faces.tui import keys

HEAVY = (
    "textual",
    "rich",
    "asyncio",
    "aiosqlite",
    "coincurve",
    "argparse",
    "cryptography",
    "dataclasses",
    "inspect",
    "shutil",
    "segno",
)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    with two_daemons(tmp_path_factory.mktemp("verbs"), push_msat=400_000_000) as pair:
        yield pair


def test_balance__says_what_can_be_sent_and_received(two: Two) -> None:
    found = answer(two.alice.socket, "balance")
    channel = two.channel(two.alice)
    assert found["can_send_msat"] == channel["spendable_msat"]
    assert found["can_receive_msat"] == channel["receivable_msat"]
    coins = two.alice.call("listfunds")["outputs"]
    assert found["onchain_msat"] == sum(c["amount_msat"] for c in coins)
    code, seen = typed(two.alice.socket, "balance")
    assert code == 0
    assert f"{channel['spendable_msat'] // 1000:,} sat" in seen
    assert [line.split("  ")[0] for line in seen.splitlines()][1:] == [
        "can send",
        "can receive",
        "on chain",
        "reserve",
    ]
    assert found["reserve_msat"] == 25_000_000


def test_channels_and_peers__as_json_and_as_tables(two: Two) -> None:
    [channel] = answer(two.alice.socket, "channels")["channels"]
    assert channel["total_msat"] == CAPACITY * 1000
    assert answer(two.alice.socket, "channels", two.bob.node_id[:10])["channels"]
    assert answer(two.alice.socket, "channels", "nobody") == {"channels": []}
    _, seen = typed(two.alice.socket, "channels")
    assert channel["short_channel_id"] in seen
    assert "█" in seen
    assert "░" in seen
    _, seen = typed(two.alice.socket, "channels", "--ascii")
    assert seen.isascii()
    assert "##" in seen
    [peer] = answer(two.alice.socket, "peers")["peers"]
    assert peer["id"] == two.bob.node_id
    _, seen = typed(two.alice.socket, "peers")
    assert " here " in seen


def test_status_and_address(two: Two) -> None:
    assert answer(two.alice.socket, "status") == two.alice.call("getinfo")
    _, seen = typed(two.alice.socket, "status")
    assert f"id         {two.alice.node_id}" in seen
    made = answer(two.alice.socket, "address")
    assert made["bech32"].startswith("bcrt1q")
    _, seen = typed(two.alice.socket, "address", "--type", "p2tr")
    assert seen.startswith("bcrt1p")


def test_decode__takes_the_methods_parameters(two: Two) -> None:
    bolt11 = two.invoice("evil", description="lamp \u202e000,1\x1b[2J")["bolt11"]
    decoded = two.bob.call("decode", string=bolt11)
    assert answer(two.alice.socket, "decode", bolt11) == decoded
    assert answer(two.alice.socket, "decode", f"string={bolt11}") == decoded
    done = piped(two.alice.socket, "decodepayreq", bolt11)
    assert json.loads(done.stdout) == decoded
    assert done.stderr == "# decodepayreq is lncli's word; here it is: leyden decode\n"
    done = piped(two.alice.socket, "decode", "-", stdin=f"{bolt11}\n")
    assert json.loads(done.stdout) == decoded
    assert answer(two.alice.socket, "decode", bolt11, "-l", '{"valid":true}') == {"valid": True}
    code, seen = typed(two.alice.socket, "decode", bolt11)
    assert code == 0
    assert "1,000 sat" in seen
    assert "\\u202e000,1\\u001b[2J" in seen
    assert "\x1b" not in seen
    assert "\u202e" not in seen


def test_formats__as_for_methods(two: Two) -> None:
    assert "\n" not in piped(two.alice.socket, "balance", "-R").stdout.rstrip("\n")
    assert "can_send_msat=" in piped(two.alice.socket, "-F", "balance").stdout
    assert piped(two.alice.socket, "status", "--field", "network").stdout == "regtest\n"
    assert "can send" in piped(two.alice.socket, "balance", "-H").stdout
    assert "can send" in piped(two.alice.socket, "balance", LEYDEN_OUTPUT="human").stdout
    _, seen = typed(two.alice.socket, "balance", "-J")
    assert json.loads(seen)["channels"] == 1


@pytest.mark.parametrize(
    "words",
    ["balance 1", "channels a b", "peers --yes", "status --timeout x", "balance -l {}",
     "address --type", "channels --ascii=1"],
)  # fmt: skip
def test_usage__nothing_is_contacted(words: str, tmp_path: Path) -> None:
    done = piped(tmp_path / "nobody", *words.split())
    assert (done.returncode, done.stdout) == (Exit.USAGE, "")
    assert done.stderr.startswith("leyden: ")


def test_no_daemon__and_a_method_that_refuses(two: Two, tmp_path: Path) -> None:
    done = piped(tmp_path / "nobody", "balance")
    assert (done.returncode, done.stdout) == (Exit.UNREACHABLE, "")
    done = piped(two.alice.socket, "address", "--type", "p2sh")
    assert done.returncode == Exit.REFUSED
    assert json.loads(done.stdout)["code"] == -32602
    assert not done.stderr
    code, seen = typed(two.alice.socket, "address", "--type", "p2sh")
    assert code == Exit.REFUSED
    assert seen.startswith("leyden address: addresstype: should be")


def test_help__without_a_daemon(tmp_path: Path) -> None:
    for word in ("--help", "-h"):
        done = piped(tmp_path / "nobody", word)
        assert done.returncode == 0
        assert "leyden balance       what can be sent" in done.stdout
    # What is a method, too, stays one in a pipe.
    method = json.loads(piped(tmp_path / "nobody", "help", "close").stdout)
    assert method["help"][0]["command"].startswith("close id [unilateraltimeout]")
    assert piped(tmp_path / "nobody", "-H", "help", "close").stdout.startswith("leyden close ID")
    for words in (("channels", "--help"), ("help", "channels")):
        done = piped(tmp_path / "nobody", *words)
        assert done.returncode == 0
        assert done.stdout.startswith("leyden channels [PEER]\n")


def test_mistyped__a_person_is_told_what_was_perhaps_meant(two: Two, tmp_path: Path) -> None:
    code, seen = typed(two.alice.socket, "listchanels")
    assert code == Exit.REFUSED
    assert "# did you mean: leyden listchannels" in seen
    code, seen = typed(tmp_path / "nobody", "balanc")
    assert code == Exit.UNREACHABLE
    assert seen.endswith("# did you mean: leyden balance\n")
    assert not piped(two.alice.socket, "listchanels").stderr


def test_filter__on_a_terminal_is_json(two: Two) -> None:
    code, seen = typed(two.alice.socket, "history", "-l", '{"history":[{"kind":true}]}')
    assert (code, json.loads(seen)["history"][0]) == (0, {"kind": "channel_open"})


# --- what this program itself is ----------------------------------------------------------------


def test_keys__are_those_of_the_app(tmp_path: Path) -> None:
    found = answer(tmp_path / "nobody", "keys")["keys"]
    known = {(key["screen"], key["id"]) for key in found}
    assert len(known) == len(found)
    assert {("everywhere", key.id) for key in keys.EVERYWHERE} <= known
    assert {("lists", key.id) for key in keys.LIST} <= known
    assert {(tab, key.id) for tab, own in keys.OWN.items() for key in own} <= known
    code, seen = typed(tmp_path / "nobody", "keys")
    assert code == 0
    assert seen.splitlines()[0].split() == ["screen", "key", "does", "id"]


def test_spec__names_every_command_flag_and_code(tmp_path: Path) -> None:
    found = answer(tmp_path / "nobody", "spec")
    verbs = {verb["name"]: verb for verb in found["verbs"]}
    assert verbs.keys() == VERBS.keys()
    assert verbs["send"]["usage"] == "leyden send WHAT [AMOUNT]"
    assert {"name": "--max-fee", "takes_value": True} in verbs["send"]["flags"]
    methods = {method["name"]: method for method in found["methods"]}
    assert methods.keys() >= {m.name for m in METHODS}
    assert {name for name, verb in verbs.items() if verb["is_method"]} <= methods.keys()
    assert methods["withdraw"]["params"][0] == {"name": "destination", "required": True}
    assert {c["code"] for c in found["exit_codes"]} == {int(code) for code in Exit}
    code, seen = typed(tmp_path / "nobody", "spec")
    assert (code, "methods: " in seen) == (0, True)


@pytest.mark.parametrize("words", [["balance"], ["__complete", "channels", "peers"]])
def test_process__is_light(two: Two, words: list[str]) -> None:
    script = (
        "import sys; from wallet.faces.cli.main import run;"
        f"assert run(['--rpc-file', {str(two.alice.socket)!r}, *{words}]) == 0;"
        f"print('heavy:', [m for m in {HEAVY} if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment()
    )
    assert done.stdout.splitlines()[-1] == "heavy: []", done.stderr


def test_closed_stdin__is_no_traceback(two: Two) -> None:
    command = [*LEYDEN, "--rpc-file", str(two.alice.socket), "decode", "-"]
    done = subprocess.run(
        ["/bin/sh", "-c", 'exec "$@" <&-', "sh", *command],
        capture_output=True,
        text=True,
        env=environment(),
    )
    assert (done.returncode, done.stdout) == (Exit.USAGE, "")
    assert "Traceback" not in done.stderr
