"""`leyden mine`: coins on the built-in chain, from the command line alone."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.support import faucet
from tests.support.chain_server import ChainServer
from tests.support.screen import Terminal
from tests.support.terminal import LEYDEN, answer, piped, typed
from wallet.faces.cli import start_file
from wallet.faces.cli.exit_codes import Exit
from wallet.faces.cli.start_file import StartFile
from wallet.faces.rpc.client import call
from wallet.node.setup import create_wallet
from wallet.services.vault.seed_file import ScryptCost


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where the socket of a wallet's node would be; nothing runs."""
    home = tmp_path / "regtest"
    home.mkdir()
    return home / "lightning-rpc"


def test_leyden_alone__its_wallet_gets_coins(tmp_path: Path) -> None:
    create_wallet(tmp_path, "regtest", password=None, now=0, words=12, cost=ScryptCost(n=16))
    start_file.write(tmp_path / "regtest", StartFile())
    socket = tmp_path / "regtest" / "lightning-rpc"
    with Terminal(["--dir", str(tmp_path)]) as terminal:
        terminal.until("mine 101")
        code, seen = typed(socket, "mine")
        assert code == 0
        assert "mined 1 block" in seen
        assert "leyden mine 99 frees the first" in seen
        assert answer(socket, "balance")["onchain_msat"] == 0
        found = answer(socket, "mine", "99")
        assert (found["blocks"], found["height"], found["spendable"]) == (99, 100, 0)
        # Nobody waits between the two: `mine` comes back when the node knows the blocks.
        [coin] = [c for c in call(socket, "listfunds")["outputs"] if c["status"] == "confirmed"]
        assert coin["blockheight"] == 1
        sent = answer(socket, "withdraw", faucet.ELSEWHERE_ADDRESS, "1000000")
        assert answer(socket, "mine", "--to", faucet.ADDRESS)["address"] == faucet.ADDRESS
        assert sent["txid"] in json.dumps(call(socket, "listtransactions"))
        terminal.type("q")
        assert terminal.ended() == 0
    done = piped(socket, "mine")
    assert done.returncode == Exit.UNREACHABLE, "the chain went with the app"
    assert "no built-in chain runs in" in done.stderr


def test_a_chain_that_is_named(tmp_path: Path, place: Path) -> None:
    with ChainServer(tmp_path / "chain") as chain:
        named = ("--chain", chain.url, "--chain-cookie", str(chain.cookie))
        found = answer(place, "mine", "250", "--to", faucet.ADDRESS, *named)
        assert found == {
            "blocks": 250,
            "height": 250,
            "blockhash": chain.call("getbestblockhash"),
            "address": faucet.ADDRESS,
            "spendable": 151,
        }
        mature = [c for c in chain.call("listutxos")["utxos"] if c["height"] + 100 <= 251]
        assert len(mature) == found["spendable"]
        refused = piped(place, "mine", "--to", "bcrt1nonsense", *named)
        assert refused.returncode == Exit.REFUSED
        assert "the chain refused generatetoaddress" in json.loads(refused.stdout)["message"]
        nobody = piped(place, "mine", *named)
        assert nobody.returncode == Exit.UNREACHABLE, "the wallet's address is its node's to give"
        assert chain.call("getblockcount") == 250
        told = piped(place, "mine", "101", "--to", faucet.ADDRESS, "--progress", "json", *named)
        assert json.loads(told.stderr)["blocks"] == 100
        wrong = tmp_path / "wrong"
        wrong.write_text("__cookie__:no")
        named = ("--chain", chain.url, "--chain-cookie", str(wrong))
        done = piped(place, "mine", "--to", faucet.ADDRESS, *named)
        assert (done.returncode, done.stdout) == (Exit.UNREACHABLE, "")
        assert "refuses the cookie" in done.stderr


def test_locked_wallet__exit_7_and_no_block(tmp_path: Path) -> None:
    create_wallet(tmp_path, "regtest", password="x", now=0, words=12, cost=ScryptCost(n=16))
    with ChainServer(tmp_path) as chain:
        words = ("--dir", str(tmp_path), "--chain", chain.url, "--chain-cookie", str(chain.cookie))
        daemon = subprocess.Popen(
            [*LEYDEN, "daemon", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        with daemon:
            try:
                assert daemon.stdout is not None
                assert json.loads(daemon.stdout.readline())["locked"]
                done = piped(tmp_path / "regtest" / "lightning-rpc", "mine")
            finally:
                daemon.kill()
        assert done.returncode == Exit.LOCKED
        assert chain.call("getblockcount") == 0


@pytest.mark.parametrize(
    "words",
    [
        ("0",),
        ("-1",),
        ("many",),
        ("100000",),
        ("1", "2"),
        ("--to",),
        ("--chain", "http://127.0.0.1:1"),
        ("--chain-cookie", "/nowhere"),
        ("--chain", "http://u:p@h:1", "--chain-cookie", "/nowhere"),
        ("--chain", "/nowhere", "--chain-cookie", "/nowhere"),
    ],
)
def test_wrong_usage__exit_3(place: Path, words: tuple[str, ...]) -> None:
    done = piped(place, "mine", *words)
    assert (done.returncode, done.stdout) == (Exit.USAGE, "")
    assert "leyden mine --help" in done.stderr


def test_no_chain__says_what_there_is_instead(place: Path) -> None:
    done = piped(place, "mine")
    assert (done.returncode, done.stdout) == (Exit.UNREACHABLE, "")
    assert "leyden regtest starts the built-in chain" in done.stderr

    (place.parent / "chain").mkdir()
    left = {"url": "http://127.0.0.1:1", "cookie": str(place.parent / ".cookie")}
    (place.parent / "chain" / "rpc.json").write_text(json.dumps(left))
    (place.parent / ".cookie").write_text("__cookie__:of one that was killed")
    done = piped(place, "mine")
    assert done.returncode == Exit.UNREACHABLE
    assert "Nobody answers at http://127.0.0.1:1" in done.stderr

    (place.parent / "chain" / "rpc.json").unlink()
    start_file.write(place.parent, StartFile("http://127.0.0.1:18443", "/c"))
    done = piped(place, "mine")
    assert done.returncode == Exit.REFUSED
    assert "mined by its own means" in json.loads(done.stdout)["message"]
    done = piped(place, "--network", "signet", "mine")
    assert done.returncode == Exit.REFUSED
    assert "signet cannot be mined" in json.loads(done.stdout)["message"]
