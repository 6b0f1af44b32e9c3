"""What people get wrong, and what the world does to a daemon: one clear sentence, the right code,
nothing half done.
"""

import json
import os
import resource
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.interop.ldk.daemon import Daemon, wait_for
from tests.support.chain_server import ChainServer
from tests.support.cln_schemas import check_answer
from wallet.base.bitcoin.chains import REGTEST, TESTNET4
from wallet.base.crypto.curve import sign_recoverable
from wallet.base.invoices.bolt11 import InvoiceFields, encode_invoice
from wallet.base.values.amounts import MilliSatoshi
from wallet.base.values.features import OUR_INVOICE, Features
from wallet.base.values.ids import PaymentHash
from wallet.faces.rpc.client import RpcError

_PAYEE = b"\x07" * 32


def invoice_text(
    *, prefix: str = REGTEST.invoice_prefix, age: int = 0, features: Features = OUR_INVOICE
) -> str:
    """An invoice of somebody else's, to be wrong in one respect."""
    import time

    fields = InvoiceFields(
        prefix=prefix,
        timestamp=int(time.time()) - age,
        payment_hash=PaymentHash(b"\x11" * 32),
        payment_secret=b"\x22" * 32,
        amount=MilliSatoshi(1_000_000),
        description="x",
        expiry=600,
        features=features,
    )
    return encode_invoice(fields, lambda digest: sign_recoverable(_PAYEE, digest))


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChainServer]:
    with ChainServer(tmp_path_factory.mktemp("chain")) as server:
        server.call("generatetoaddress", 1, "bcrt1q6rhpng9evdsfnn833a4f4vej0asu6dk5srld6x")
        yield server


@pytest.fixture(scope="module")
def node(chain: ChainServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    daemon = Daemon(tmp_path_factory.mktemp("node"), chain.url, chain.cookie)
    daemon.create()
    daemon.start()
    wait_for(lambda: daemon.call("getinfo")["blockheight"] == 1, "the first block")
    yield daemon
    assert "Traceback" not in daemon.log_tail(10_000)
    daemon.stop()


def refused(node: Daemon, method: str, **params: Any) -> RpcError:
    with pytest.raises(RpcError) as error:
        node.call(method, **params)
    return error.value


# --- invoices -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        (invoice_text(prefix=TESTNET4.invoice_prefix), -32602, "testnet4"),
        (invoice_text(age=7_000), 207, "expired 1 hour ago"),
        (invoice_text()[:-3] + "qqq", -32602, "Invalid bolt11 invoice"),
        (invoice_text(features=OUR_INVOICE | Features(frozenset({200}))), -32602, "200"),
        (invoice_text(), 205, "no channel"),
    ],
    ids=["another network", "expired", "bad checksum", "unknown feature", "no channel"],
)
def test_an_invoice_that_cannot_be_paid(node: Daemon, text: str, code: int, words: str) -> None:
    error = refused(node, "pay", bolt11=text)
    assert error.code == code, error
    assert words in str(error)
    assert node.call("listpays") == {"pays": []}, "a payment that was never tried left a trace"


def test_trap_6__control_characters_reach_no_terminal(node: Daemon, tmp_path: Path) -> None:
    """A description may hold escape sequences and bidi overrides; a person's terminal must not."""
    nasty = "pay \x1b[2J\u202eevil\u200b"
    made = node.call("invoice", amount_msat=1, label="nasty", description=nasty)
    assert node.call("decode", string=made["bolt11"])["description"] == nasty
    where = ["--rpc-file", str(node.socket), "decode", made["bolt11"]]
    shown = subprocess.run(
        [sys.executable, "-m", "wallet", *where], capture_output=True, timeout=20, check=True
    ).stdout
    assert not set(shown.decode("ascii")) & {"\x1b", "\u202e", "\u200b"}
    assert json.loads(shown)["description"] == nasty


# --- peers and coins ----------------------------------------------------------------------------


def test_a_peer_that_is_not_there(node: Daemon) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    error = refused(node, "connect", id="02" * 33, host="127.0.0.1", port=port)
    assert error.code == 401
    assert str(port) in str(error)


def test_an_amount_below_dust_and_one_above_the_balance(
    chain: ChainServer, node: Daemon, tmp_path: Path
) -> None:
    peer = Daemon(tmp_path / "peer", chain.url, chain.cookie)
    peer.create()
    peer.start()
    try:
        node.call("connect", id=peer.node_id, host="127.0.0.1", port=peer.port)
        small = refused(node, "fundchannel", id=peer.node_id, amount=200)
        assert (small.code, "too small" in str(small)) == (-32602, True)
        large = refused(node, "fundchannel", id=peer.node_id, amount=5_000_000)
        assert large.code == 301
        assert "0 sat can be spent" in str(large)
        assert node.call("listpeerchannels") == {"channels": []}
    finally:
        peer.stop()


# --- starting -----------------------------------------------------------------------------------


def start(*words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """A daemon that is expected to refuse."""
    return subprocess.run(
        [sys.executable, "-m", "wallet", *words],
        capture_output=True,
        text=True,
        timeout=30,
        stdin=subprocess.DEVNULL,
        **options,
    )


def _sentence(done: subprocess.CompletedProcess[str]) -> str:
    assert "Traceback" not in done.stderr
    [line] = [row for row in done.stderr.splitlines() if row.startswith("leyden")]
    return line


def test_a_directory_in_use(node: Daemon, chain: ChainServer) -> None:
    where = ["--dir", str(node.log.parent), "--chain", chain.url]
    done = start("daemon", *where, "--chain-cookie", str(chain.cookie), "--listen", "127.0.0.1:0")
    assert done.returncode == 1
    assert "another leyden" in _sentence(done)


def test_a_port_in_use(node: Daemon, chain: ChainServer, tmp_path: Path) -> None:
    other = Daemon(tmp_path, chain.url, chain.cookie)
    other.create()
    where = ["--dir", str(tmp_path), "--chain", chain.url, "--chain-cookie", str(chain.cookie)]
    done = start("daemon", *where, "--listen", f"127.0.0.1:{node.port}")
    assert done.returncode == 1
    assert str(node.port) in _sentence(done)
    other.start()
    other.stop()


def test_real_money(tmp_path: Path) -> None:
    done = start("init", "--dir", str(tmp_path / "x"), "--network", "bitcoin", "--no-encryption")
    assert done.returncode == 1
    assert "refuses real money" in done.stderr
    assert not (tmp_path / "x").exists()
    done = start("daemon", "--dir", str(tmp_path), "--network", "bitcoin")
    assert done.returncode == 1
    assert "refuses real money" in _sentence(done)


def test_no_wallet_in_the_directory(tmp_path: Path) -> None:
    done = start("daemon", "--dir", str(tmp_path), "--listen", "127.0.0.1:0")
    assert done.returncode == 1
    assert "leyden init" in _sentence(done)


def test_a_socket_path_over_107_bytes(chain: ChainServer, tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    node = Daemon(deep, chain.url, chain.cookie)
    node.create()
    node.start()
    assert len(str(node.socket)) > 107
    assert node.call("getinfo")["id"] == node.node_id
    node.stop()


# --- the password -------------------------------------------------------------------------------


def test_a_locked_wallet_and_a_wrong_password(chain: ChainServer, tmp_path: Path) -> None:
    read, write = os.pipe()
    os.write(write, b"correct horse\n")
    os.close(write)
    made = start(
        "init", "--dir", str(tmp_path), "--password-fd", str(read), "--json", pass_fds=(read,)
    )
    os.close(read)
    assert made.returncode == 0, made.stderr
    node = Daemon(tmp_path, chain.url, chain.cookie)
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "wallet", "daemon", "--dir", str(tmp_path)),
            *("--chain", chain.url, "--chain-cookie", str(chain.cookie)),
            *("--listen", "127.0.0.1:0"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        assert ready["locked"] is True
        assert "id" not in ready
        node.socket = Path(ready["rpc-file"])
        assert node.call("getinfo")["locked"] is True
        assert node.call("help", command="unlock")
        closed = refused(node, "newaddr")
        assert closed.code == -32001
        by_command = start("--rpc-file", str(node.socket), "newaddr")
        assert by_command.returncode == 7
        wrong = refused(node, "unlock", password="incorrect horse")
        assert wrong.code == -32002
        opened = node.call("unlock", password="correct horse", timeout=30)
        assert opened["id"] == node.call("getinfo")["id"]
        assert node.call("newaddr")["bech32"].startswith("bcrt1q")
        node.call("stop")
        assert process.wait(timeout=60) == 0
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


# --- the chain ----------------------------------------------------------------------------------


def test_a_chain_that_is_down_and_comes_back(tmp_path: Path) -> None:
    server = ChainServer(tmp_path / "chain")
    server.stop()
    node = Daemon(tmp_path / "node", server.url, server.cookie)
    node.create()
    node.start()
    try:
        wait_for(lambda: "warning_bitcoind_sync" in node.call("getinfo"), "the warning")
        away = refused(node, "fundchannel", id="02" * 33, amount=100_000)
        assert away.code in (304, -32003)
        by_command = start("--rpc-file", str(node.socket), "fundchannel", "02" * 33, "100000")
        assert by_command.returncode == 8
        worded = refused(node, "fundchannel", id="02" * 33, amount=100_000, feerate="urgent")
        assert (worded.code, "chain backend" in str(worded)) == (-32003, True), worded
        unknown = node.call("feerates", style="perkw")
        check_answer("feerates", unknown, held=False)
        assert "No fee estimates" in unknown["warning_missing_feerates"]
        again = ChainServer(tmp_path / "chain", int(server.url.rpartition(":")[2]))
        try:
            wait_for(lambda: "warning_bitcoind_sync" not in node.call("getinfo"), "the chain")
        finally:
            again.stop()
    finally:
        node.stop()


def test_a_chain_that_answers_nonsense(tmp_path: Path) -> None:
    with socket.socket() as liar:
        liar.bind(("127.0.0.1", 0))
        liar.listen()
        cookie = tmp_path / ".cookie"
        cookie.write_text("__cookie__:00")
        url = f"http://127.0.0.1:{liar.getsockname()[1]}"
        node = Daemon(tmp_path / "node", url, cookie)
        node.create()
        node.start()
        try:
            connection, _ = liar.accept()
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nmoo!\n")
            warned = "warning_bitcoind_sync"
            wait_for(lambda: warned in node.call("getinfo"), "the warning")
            connection.close()
        finally:
            node.stop()
        assert "Traceback" not in node.log_tail(10_000)


# --- the disk -----------------------------------------------------------------------------------


def test_a_full_disk(chain: ChainServer, tmp_path: Path) -> None:
    """No file may grow beyond 800 kB: invoices are refused then, and none is half made."""
    node = Daemon(tmp_path, chain.url, chain.cookie)
    node.create()

    log = node.log.open("w")
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "wallet", "daemon", "--dir", str(tmp_path)),
            *("--chain", chain.url, "--chain-cookie", str(chain.cookie)),
            *("--listen", "127.0.0.1:0"),
        ],
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
    )
    made = 0
    try:
        assert process.stdout is not None
        node.socket = Path(json.loads(process.stdout.readline())["rpc-file"])
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (800_000, 800_000))
        with pytest.raises(RpcError) as full:
            for made in range(2_000):
                node.call("invoice", amount_msat=1, label=f"n{made}", description="d" * 600)
        assert "Nothing was sent or changed" in str(full.value)
        assert made > 10
    finally:
        process.kill()
        process.wait()
        log.close()
        if process.stdout is not None:
            process.stdout.close()
    assert "Traceback" not in node.log_tail(10_000)
    node.start()
    labels = [i["label"] for i in node.call("listinvoices")["invoices"]]
    assert labels == [f"n{number}" for number in range(made)]
    node.stop()
