"""`leyden regtest` as a process: starts quickly, survives a kill, stops cleanly."""

import json
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path

import pytest

from tests.support.chain_server import ChainServer, RpcClient
from tests.support.faucet import ADDRESS, ELSEWHERE_ADDRESS, coinbase_of, spend
from wallet.base.bitcoin.block import Block

ROOT = Path(__file__).resolve().parents[3]


def test_kill__loses_no_block(tmp_path: Path) -> None:
    """Killed while it mines, five times: every block that was answered is there."""
    answered: list[str] = []
    for _ in range(5):
        server = ChainServer(tmp_path)
        assert server.ready["height"] >= len(answered)
        for height, block_hash in enumerate(answered, 1):
            assert server.call("getblockhash", height) == block_hash
        # Blocks that were mined but not answered any more count too.
        for height in range(len(answered) + 1, server.ready["height"] + 1):
            answered.append(server.call("getblockhash", height))
        for _ in range(10):
            answered += server.call("generatetoaddress", 1, ADDRESS)
        other = server.another_client()
        digging = threading.Thread(target=_dig, args=(other,))
        digging.start()
        time.sleep(0.02)
        server.kill()
        digging.join()
        other.close()
    with ChainServer(tmp_path) as server:
        assert [server.call("getblockhash", h + 1) for h in range(len(answered))] == answered
        listed = server.call("listutxos")
        assert listed["total_sat"] == listed["subsidies_sat"]


def _dig(client: RpcClient) -> None:
    # Killed in the middle, as intended: the answer never comes.
    with suppress(OSError, HTTPException):
        client.call("generatetoaddress", 2_000, ADDRESS)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals__stop_it_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    server = ChainServer(tmp_path)
    server.call("generatetoaddress", 3, ADDRESS)
    began = time.monotonic()
    assert server.stop(number) == 0
    assert time.monotonic() - began < 2
    assert not server.cookie.exists()
    assert list((tmp_path / "regtest" / "chain" / "engines").iterdir()) == []
    with ChainServer(tmp_path) as again:
        assert again.ready["height"] == 3


def test_where_it_serves__is_written_while_it_does(tmp_path: Path) -> None:
    where = tmp_path / "regtest" / "chain" / "rpc.json"
    with ChainServer(tmp_path) as server:
        assert json.loads(where.read_text()) == {"url": server.url, "cookie": str(server.cookie)}
        assert where.stat().st_mode & 0o777 == 0o600
        server.kill()
    with ChainServer(tmp_path) as again:
        assert json.loads(where.read_text())["url"] == again.url
    assert not where.exists()


def test_second_server__refused_and_the_first_goes_on(tmp_path: Path) -> None:
    with ChainServer(tmp_path) as server:
        server.call("generatetoaddress", 5, ADDRESS)
        with pytest.raises(RuntimeError, match=r"^leyden regtest: .* in use by another process"):
            ChainServer(tmp_path)
        assert server.call("generatetoaddress", 1, ADDRESS)
        assert server.call("getblockcount") == 6
    with ChainServer(tmp_path) as server:
        assert server.ready["height"] == 6


def test_port_in_use__refused(tmp_path: Path) -> None:
    with ChainServer(tmp_path / "one") as server:
        port = int(server.url.rsplit(":", 1)[1])
        with pytest.raises(RuntimeError, match=f"port {port} on 127.0.0.1 is taken"):
            ChainServer(tmp_path / "other", port)


def test_unwritable_directory__one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("not a directory")
    with pytest.raises(RuntimeError, match=r"^leyden regtest: .*file") as refused:
        ChainServer(file)
    assert "\n" not in str(refused.value)


def test_another_network__refused(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "wallet", "regtest", "--dir", tmp_path, "--network", "signet"],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "leyden regtest: the embedded chain is always regtest; leave --network away\n"
    )


def test_two_servers__follow_each_other(tmp_path: Path) -> None:
    with ChainServer(tmp_path / "one") as one, ChainServer(tmp_path / "other") as other:
        one.call("generatetoaddress", 104, ADDRESS)
        money = coinbase_of(_block(one, 1))
        tx = spend([money], 5_000)
        one.call("sendrawtransaction", tx.encode().hex())
        one.call("generatetoaddress", 1, ADDRESS)
        other.call("generatetoaddress", 50, ELSEWHERE_ADDRESS)
        for height in range(1, 106):
            raw = one.call("getblock", one.call("getblockhash", height), 0)
            # Behind the longer branch of its own it has no verdict to give.
            assert other.call("submitblock", raw) == (None if height > 50 else "inconclusive")
        assert other.call("getbestblockhash") == one.call("getbestblockhash")
        sets = [s.call("gettxoutsetinfo") for s in (one, other)]
        assert sets[0] == sets[1]


def _block(server: ChainServer, height: int) -> Block:
    return Block.decode(
        bytes.fromhex(server.call("getblock", server.call("getblockhash", height), 0))
    )


def test_replaced_cookie__a_restart_makes_another(tmp_path: Path) -> None:
    with ChainServer(tmp_path) as server:
        first = server.cookie.read_text()
    with ChainServer(tmp_path) as server:
        assert server.cookie.read_text() != first


def test_listens_on_loopback_only(tmp_path: Path) -> None:
    with ChainServer(tmp_path) as server:
        port = int(server.url.rsplit(":", 1)[1])
        listening = Path("/proc/net/tcp")
        if listening.exists():
            rows = [line.split() for line in listening.read_text().splitlines()[1:]]
            local = [row[1] for row in rows if row[1].endswith(f":{port:04X}") and row[3] == "0A"]
            assert local == [f"0100007F:{port:04X}"]
        assert server.url == f"http://127.0.0.1:{port}"


def test_speed__reported(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    """Figures beside their budgets; machines are noisy, so they are told and not asserted."""
    began = time.perf_counter()
    with ChainServer(tmp_path) as server:
        start = time.perf_counter() - began
        began = time.perf_counter()
        server.call("generatetoaddress", 110, ADDRESS)
        blocks = time.perf_counter() - began
        poller, delays = server.another_client(), []
        for _ in range(10):
            mined_at: list[float] = []

            def mine(at: list[float] = mined_at) -> None:
                time.sleep(0.01)
                at.append(time.perf_counter())
                server.call("generatetoaddress", 1, ADDRESS)

            thread = threading.Thread(target=mine)
            thread.start()
            poller.call("waitfornewblock", 5_000)
            delays.append(time.perf_counter() - mined_at[0])
            thread.join()
        poller.close()
    record_property(
        "figure",
        f"regtest: start {start:.2f} s (budget 0.3), 110 blocks {blocks:.3f} s (0.1), "
        f"block to waitfornewblock {1000 * statistics.median(delays):.1f} ms (5)",
    )
    assert len(delays) == 10


def test_closed_stdout__does_not_stop_it(tmp_path: Path) -> None:
    """A parent that reads the ready line and hangs up leaves the server running."""
    with ChainServer(tmp_path) as server:
        assert server._process.stdout is not None
        server._process.stdout.close()
        server._process.stdout = None
        assert server.call("getblockcount") == 0


def test_ready_line__is_one_json_object(tmp_path: Path) -> None:
    with ChainServer(tmp_path) as server:
        assert server.ready == {
            "ready": True,
            "url": server.url,
            "cookie": str(tmp_path / "regtest" / ".cookie"),
            "height": 0,
        }
        assert json.dumps(server.ready)


def test_imports__only_the_engine_knows_the_kernel() -> None:
    """A wallet must run where the kernel has no wheel; only faces may start this room."""
    sources = {path: path.read_text() for path in (ROOT / "wallet").rglob("*.py")}
    room = ROOT / "wallet" / "services" / "regtest"
    assert [p for p, text in sources.items() if "import pbk" in text or "from pbk" in text] == [
        room / "engine.py"
    ]
    visitors = [p for p, text in sources.items() if "wallet.services.regtest" in text]
    # It starts the judge of scripts, by his name, as a process of his own.
    visitors.remove(ROOT / "wallet" / "services" / "judge.py")
    assert {p.relative_to(ROOT).parts[1] for p in visitors if room not in p.parents} <= {"faces"}
