"""The served chain as Core's clients see it: protocol, codes, shapes."""

import asyncio
import base64
import json
import random
import stat
from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.support.faucet import (
    ADDRESS,
    ELSEWHERE_ADDRESS,
    SCRIPT,
    Spendable,
    coinbase_of,
    output_of,
    spend,
)
from tests.support.regtest_node import TestClock
from wallet.base.bitcoin.block import Block
from wallet.base.bitcoin.script import op_return
from wallet.base.bitcoin.transaction import TxOut
from wallet.base.errors import Refused
from wallet.base.values.amounts import Satoshi
from wallet.services.regtest.context import Context
from wallet.services.regtest.json_text import btc, dumps, loads, sat
from wallet.services.regtest.node import Regtest
from wallet.services.regtest.rpc import METHODS, answer
from wallet.services.regtest.server import serve


@dataclass
class Served:
    """A server in this process, reached over its socket."""

    port: int
    cookie: Path
    task: asyncio.Task[None]
    stop: asyncio.Event

    async def post(
        self, body: bytes, *, verb: str = "POST", cookie: str | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of one request on a connection of its own."""
        secret = self.cookie.read_text() if cookie is None else cookie
        credentials = base64.b64encode(secret.encode()).decode()
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        head = (
            f"{verb} / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            f"Authorization: Basic {credentials}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        answer = await reader.read()
        writer.close()
        top, _, rest = answer.partition(b"\r\n\r\n")
        lines = top.decode().split("\r\n")
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:])}
        return int(lines[0].split()[1]), headers, rest

    async def raw(self, request: object) -> tuple[int, Any]:
        """Status and parsed body for a JSON request."""
        status, _, body = await self.post(json.dumps(request).encode())
        return status, loads(body) if body else None

    async def call(self, method: str, *params: object) -> Any:
        """The result of a call that succeeds."""
        status, answer = await self.raw({"id": "t", "method": method, "params": params})
        assert status == 200, answer
        assert answer["error"] is None
        return answer["result"]

    async def fail(self, method: str, *params: object) -> tuple[int, str]:
        """Code and message of a call that fails."""
        _, answer = await self.raw({"id": "t", "method": method, "params": params})
        assert answer["error"] is not None, answer
        return answer["error"]["code"], answer["error"]["message"]

    async def coin(self, height: int) -> Spendable:
        """The faucet's coinbase at a height."""
        block_hash = await self.call("getblockhash", height)
        raw = await self.call("getblock", block_hash, 0)
        return coinbase_of(Block.decode(bytes.fromhex(raw)))


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    where: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
    stop = asyncio.Event()
    task = asyncio.create_task(serve(tmp_path, 0, ready=where.set_result, stop=stop))
    ready = await where
    made = Served(int(ready["url"].rsplit(":", 1)[1]), Path(ready["cookie"]), task, stop)
    yield made
    stop.set()
    await asyncio.wait_for(task, 30)


@pytest.fixture
async def funded(served: Served) -> Served:
    await served.call("generatetoaddress", 110, ADDRESS)
    return served


# HTTP and JSON-RPC.


async def test_cookie__where_core_has_it_and_for_its_owner_only(served: Served) -> None:
    assert served.cookie.parts[-2:] == ("regtest", ".cookie")
    user, _, secret = served.cookie.read_text().partition(":")
    assert user == "__cookie__"
    assert len(bytes.fromhex(secret)) == 32
    assert stat.S_IMODE(served.cookie.stat().st_mode) == 0o600
    for folder in (served.cookie.parent, served.cookie.parent / "chain"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("cookie", ["", "__cookie__:00", "__cookie__"])
async def test_http__401_without_the_cookie(served: Served, cookie: str) -> None:
    status, headers, body = await served.post(b'{"method":"stop"}', cookie=cookie)
    assert (status, body) == (401, b"")
    assert headers["www-authenticate"] == 'Basic realm="jsonrpc"'
    assert await served.call("getblockcount") == 0


async def test_http__only_post(served: Served) -> None:
    status, headers, _ = await served.post(b"", verb="GET")
    assert (status, headers["allow"]) == (405, "POST")


async def test_http__nonsense_ends_that_connection_only(served: Served) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(b"\x16\x03\x01 not http at all\r\n\r\n")
    assert await asyncio.wait_for(reader.read(), 30) == b""
    writer.close()
    assert await served.call("getblockcount") == 0


async def test_rpc__version_1(served: Served) -> None:
    assert await served.raw({"id": 7, "method": "getblockcount"}) == (
        200,
        {"result": 0, "error": None, "id": 7},
    )
    status, answer = await served.raw({"id": 7, "method": "nothing"})
    assert status == 404
    assert answer == {
        "result": None,
        "error": {"code": -32601, "message": "Method not found"},
        "id": 7,
    }
    status, answer = await served.raw({"id": 7, "method": "getblockhash", "params": [5]})
    assert (status, answer["error"]["code"]) == (500, -8)


async def test_rpc__version_2(served: Served) -> None:
    request = {"jsonrpc": "2.0", "id": 7, "method": "getblockcount"}
    assert await served.raw(request) == (200, {"jsonrpc": "2.0", "result": 0, "id": 7})
    status, answer = await served.raw({**request, "method": "nothing"})
    assert (status, answer) == (
        200,
        {"jsonrpc": "2.0", "error": {"code": -32601, "message": "Method not found"}, "id": 7},
    )
    del request["id"]
    assert await served.raw(request) == (204, None)
    assert (await served.raw({**request, "jsonrpc": "3.0", "id": 1}))[0] == 400


async def test_rpc__batch(served: Served) -> None:
    status, answers = await served.raw(
        [
            {"id": 1, "method": "getblockcount"},
            {"id": 2, "method": "nothing"},
            {"jsonrpc": "2.0", "method": "getblockcount"},
            "no request",
            {"jsonrpc": "2.0", "id": 3, "method": "uptime"},
        ]
    )
    assert status == 200
    assert [a["id"] for a in answers] == [1, 2, None, 3]
    assert [a.get("error") and a["error"]["code"] for a in answers] == [None, -32601, -32600, None]
    assert await served.raw([]) == (200, [])
    assert await served.raw([{"jsonrpc": "2.0", "method": "uptime"}]) == (204, None)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 500, -32700),
        (b"{", 500, -32700),
        (b"3", 500, -32700),
        (b"\xff\xfe", 500, -32700),
        (b"{}", 400, -32600),
        (b'{"method": 5}', 400, -32600),
        (b'{"method": "uptime", "params": 5}', 400, -32600),
    ],
)
async def test_rpc__bad_requests(served: Served, body: bytes, status: int, code: int) -> None:
    got, _, answer = await served.post(body)
    assert (got, loads(answer)["error"]["code"]) == (status, code)


async def test_rpc__named_parameters(served: Served) -> None:
    async def named(method: str, **params: object) -> Any:
        return (await served.raw({"id": 1, "method": method, "params": params}))[1]

    assert (await named("getblockhash", height=0))["error"] is None
    assert (await named("getblockhash", args=[0]))["error"] is None
    assert (await named("getblockhash", depth=0))["error"] == {
        "code": -8,
        "message": "Unknown named parameter depth",
    }
    twice = await named("getblockhash", args=[0], height=0)
    assert twice["error"]["code"] == -8


async def test_rpc__types_and_counts(served: Served) -> None:
    assert await served.fail("getblockhash", "0") == (
        -3,
        "JSON value of type string for field height is not of expected type number",
    )
    assert (await served.fail("getblockhash", 1.5))[0] == -3
    assert (await served.fail("getblockhash", True))[0] == -3
    assert (await served.fail("getblockhash"))[0] == -1
    assert (await served.fail("getblockhash", 0, 0))[0] == -1
    assert (await served.fail("getblock", "ab"))[0] == -8
    assert (await served.fail("getblock", "zz" * 32))[0] == -8
    assert await served.fail("getblock", "00" * 32) == (-5, "Block not found")
    assert "getblockhash height" in await served.call("help")
    assert await served.call("help", "x") == "help: unknown command: x"
    assert "Height of the most-work" in await served.call("help", "getblockcount")


def test_json__amounts_are_exact() -> None:
    assert dumps({"a": [btc(1), btc(0), btc(2_100_000_000_000_000), -1, None, True, "é"]}) == (
        '{"a":[0.00000001,0.00000000,21000000.00000000,-1,null,true,"\\u00e9"]}'
    )
    assert [sat(Decimal(t)) for t in ("0.00000001", "0.000000001", "-1", "NaN", "1e30")] == [
        1,
        None,
        None,
        None,
        None,
    ]


JUNK: list[Any] = [
    *(None, True, 0, 1, -1, 7, 10**30, Decimal("0.1"), Decimal("1e400"), "", "0", "\ud800"),
    *("11" * 32, " " * 64, "00" * 40, ADDRESS, [], ["00"], [{}], [{"txid": "11" * 32, "vout": -1}]),
    *({}, {"a": []}, [[[]]]),
]


async def test_rpc__junk_is_always_answered(tmp_path: Path, clock: TestClock) -> None:
    """Whatever the parameters: a result or an error with a code, and the node goes on."""
    context = Context(Regtest(tmp_path / "chain", clock))
    context.node.generate(3, SCRIPT)
    deck = random.Random(7)
    for method in METHODS.values():
        if method.name.startswith("wait"):
            continue
        calls = [deck.choices(JUNK, k=deck.randint(0, 4)) for _ in range(60)]
        for params in [[junk] for junk in JUNK] + calls:
            reply = await answer(context, {"id": 1, "method": method.name, "params": params})
            assert reply is not None
            assert reply["error"] is None or isinstance(reply["error"]["code"], int)
            assert loads(dumps(reply).encode())["id"] == 1
    assert context.node.chain.engine.height == context.node.chain.height
    context.node.close()


async def test_http__deep_nesting_and_100_continue(served: Served) -> None:
    assert (await served.post(b"[" * 100_000))[0] == 500
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    credentials = base64.b64encode(served.cookie.read_bytes()).decode()
    body = b'{"method": "getblockcount"}'
    head = (
        f"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nExpect: 100-continue\r\n"
        f"Authorization: Basic {credentials}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    writer.write(head.encode())
    assert (await reader.readline()).startswith(b"HTTP/1.1 100")
    writer.write(body)
    assert b'"result":0' in await reader.read()
    writer.close()


# Blocks.


async def test_genesis(served: Served) -> None:
    genesis = "0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206"
    assert await served.call("getblockhash", 0) == genesis
    block = await served.call("getblock", genesis)
    assert (block["height"], block["nTx"], block["time"]) == (0, 1, 1296688602)
    assert block["chainwork"] == f"{2:064x}"
    assert "previousblockhash" not in block
    assert (await served.call("gettxoutsetinfo"))["txouts"] == 0


async def test_blocks(funded: Served) -> None:
    assert await funded.call("getblockcount") == 110
    tip = await funded.call("getbestblockhash")
    header = await funded.call("getblockheader", tip)
    assert header["confirmations"] == 1
    assert len(await funded.call("getblockheader", tip, False)) == 160
    below = await funded.call("getblockheader", header["previousblockhash"])
    assert (below["nextblockhash"], below["confirmations"]) == (tip, 2)
    raw = await funded.call("getblock", tip, 0)
    assert Block.decode(bytes.fromhex(raw)).encode().hex() == raw
    whole = await funded.call("getblock", tip, 2)
    assert [tx["txid"] for tx in whole["tx"]] == (await funded.call("getblock", tip, 1))["tx"]
    assert whole["tx"][0]["vout"][0]["scriptPubKey"]["address"] == ADDRESS
    assert whole["size"] == len(raw) // 2
    info = await funded.call("getblockchaininfo")
    assert (info["chain"], info["blocks"], info["bestblockhash"]) == ("regtest", 110, tip)
    assert not info["initialblockdownload"]


async def test_submitblock(funded: Served, tmp_path: Path) -> None:
    tip = await funded.call("getbestblockhash")
    raw = await funded.call("getblock", tip, 0)
    assert await funded.call("submitblock", raw) == "duplicate"
    assert await funded.fail("submitblock", "00") == (-22, "Block decode failed")
    made = await funded.call("generateblock", ADDRESS, [], False)
    await funded.call("generatetoaddress", 1, ADDRESS)
    assert await funded.call("submitblock", made["hex"]) == "inconclusive"
    await funded.call("invalidateblock", tip)
    assert await funded.call("getblockcount") == 109
    assert await funded.call("submitblock", raw) == "duplicate-invalid"
    await funded.call("reconsiderblock", tip)
    assert await funded.call("getblockcount") == 111
    assert (await funded.fail("invalidateblock", await funded.call("getblockhash", 0)))[0] == -8


async def test_reorg_and_tips(funded: Served) -> None:
    old = await funded.call("getbestblockhash")
    mined = await funded.call("reorg", 3, ELSEWHERE_ADDRESS)
    assert await funded.call("getbestblockhash") == mined[-1]
    assert await funded.call("getchaintips") == [
        {"height": 111, "hash": mined[-1], "branchlen": 0, "status": "active"},
        {"height": 110, "hash": old, "branchlen": 3, "status": "valid-fork"},
    ]
    assert (await funded.call("getblockheader", old))["confirmations"] == -1
    assert (await funded.fail("reorg", 500, ADDRESS))[1].startswith("a reorg replaces 1 to 111")
    assert (await funded.fail("generatetoaddress", 1, "bc1q"))[0] == -5


async def test_utxo_set(funded: Served) -> None:
    info = await funded.call("gettxoutsetinfo")
    assert (info["txouts"], info["total_amount"]) == (110, Decimal(5500))
    assert "hash_serialized_3" not in await funded.call("gettxoutsetinfo", "none")
    listed = await funded.call("listutxos")
    assert listed["total_sat"] == listed["subsidies_sat"] == 550_000_000_000
    assert len(listed["utxos"]) == 110
    scanned = await funded.call("scantxoutset", "start", [f"addr({ADDRESS})"])
    assert (len(scanned["unspents"]), scanned["total_amount"]) == (110, Decimal(5500))
    assert scanned["unspents"][0]["desc"] == f"addr({ADDRESS})"


# Transactions.


async def test_a_payment(funded: Served) -> None:
    money = await funded.coin(1)
    tx = spend([money], 10_000, parts=2)
    assert await funded.call("gettxout", str(tx.txid), 0) is None
    tested = (await funded.call("testmempoolaccept", [tx.encode().hex()]))[0]
    assert (tested["allowed"], tested["vsize"]) == (True, tx.vsize)
    assert tested["fees"]["base"] == Decimal("0.0001")
    assert await funded.call("sendrawtransaction", tx.encode().hex()) == str(tx.txid)
    assert await funded.call("sendrawtransaction", tx.encode().hex()) == str(tx.txid)
    assert await funded.call("getrawmempool") == [str(tx.txid)]
    child = spend([output_of(tx, 0)], 500)
    await funded.call("sendrawtransaction", child.encode().hex())
    entry = await funded.call("getmempoolentry", str(child.txid))
    assert (entry["depends"], entry["ancestorcount"]) == ([str(tx.txid)], 2)
    assert entry["fees"]["ancestor"] == Decimal("0.000105")
    assert set(await funded.call("getrawmempool", True)) == {str(tx.txid), str(child.txid)}
    assert (await funded.call("getmempoolinfo"))["size"] == 2
    assert await funded.call(
        "gettxspendingprevout", [{"txid": str(tx.txid), "vout": n} for n in (0, 1)]
    ) == [
        {"txid": str(tx.txid), "vout": 0, "spendingtxid": str(child.txid)},
        {"txid": str(tx.txid), "vout": 1},
    ]
    assert (await funded.call("gettxout", str(tx.txid), 1))["confirmations"] == 0
    assert await funded.call("gettxout", str(tx.txid), 1, False) is None
    assert await funded.call("gettxout", str(tx.txid), 0) is None

    mined = (await funded.call("generatetoaddress", 1, ADDRESS))[0]
    out = await funded.call("gettxout", str(tx.txid), 1)
    assert (out["confirmations"], out["coinbase"], out["bestblock"]) == (1, False, mined)
    assert out["value"] == btc(tx.outputs[1].amount.sat)
    assert await funded.call("getrawtransaction", str(tx.txid)) == tx.encode().hex()
    shown = await funded.call("getrawtransaction", str(tx.txid), 2)
    assert (shown["blockhash"], shown["confirmations"]) == (mined, 1)
    assert shown["fee"] == Decimal("0.0001")
    assert shown["vin"][0]["prevout"]["generated"]
    in_block = (await funded.call("getblock", mined, 3))["tx"]
    assert [t["txid"] for t in in_block[1:]] == [str(tx.txid), str(child.txid)]
    assert in_block[2]["vin"][0]["prevout"]["height"] == 111
    assert (await funded.call("getrawtransaction", str(tx.txid), True, mined))["in_active_chain"]
    decoded = await funded.call("decoderawtransaction", tx.encode().hex())
    assert (decoded["txid"], decoded["weight"]) == (str(tx.txid), tx.weight)


async def test_sendrawtransaction__codes(funded: Served) -> None:
    """-22 does not decode, -25 unknown inputs or absurd fee, -26 rejected, -27 confirmed."""
    money = await funded.coin(1)
    tx = spend([money], 1_000)

    async def sent(hexstring: str, *rest: object) -> tuple[int, str]:
        return await funded.fail("sendrawtransaction", hexstring, *rest)

    assert (await sent("00"))[0] == -22
    assert (await sent(tx.encode().hex() + "00"))[0] == -22
    orphan = spend([output_of(tx, 0)], 1_000)
    assert await sent(orphan.encode().hex()) == (-25, "bad-txns-inputs-missingorspent")
    assert await sent(spend([money], 1).encode().hex()) == (-26, "min relay fee not met, 1 < 11")
    absurd = spend([money], 10_000_000).encode().hex()
    assert await sent(absurd) == (
        -25,
        "Fee exceeds maximum configured by user (e.g. -maxtxfee, maxfeerate)",
    )
    tested = (await funded.call("testmempoolaccept", [absurd]))[0]
    assert tested["reject-reason"] == "max-fee-exceeded"
    assert (await funded.call("testmempoolaccept", [absurd], 0))[0]["allowed"]
    burning = spend([money], 1_000, outputs=[TxOut(Satoshi(5), op_return(b""))]).encode().hex()
    assert await sent(burning) == (
        -25,
        "Unspendable output exceeds maximum configured by user (maxburnamount)",
    )
    assert (await sent(burning, 0.1, "x"))[0] == -3
    await funded.call("sendrawtransaction", tx.encode().hex(), 0, "0.00000005")
    await funded.call("generatetoaddress", 1, ADDRESS)
    assert await sent(tx.encode().hex()) == (-27, "Transaction outputs already in utxo set")
    tested = (await funded.call("testmempoolaccept", [orphan.encode().hex()]))[0]
    assert tested["allowed"]
    unknown = spend([Spendable(orphan.outpoint(0), orphan.outputs[0].amount)], 500)
    tested = (await funded.call("testmempoolaccept", [unknown.encode().hex()]))[0]
    assert tested["reject-reason"] == "missing-inputs"


async def test_unknown_transactions(funded: Served) -> None:
    assert (await funded.fail("getrawtransaction", "11" * 32))[0] == -5
    tip = await funded.call("getbestblockhash")
    assert (await funded.fail("getrawtransaction", "11" * 32, 0, tip))[0] == -5
    assert (await funded.fail("getmempoolentry", "11" * 32)) == (-5, "Transaction not in mempool")


async def test_generateblock(funded: Served) -> None:
    pooled, own = spend([await funded.coin(1)], 1_000), spend([await funded.coin(2)], 1_000)
    await funded.call("sendrawtransaction", pooled.encode().hex())
    made = await funded.call("generateblock", ADDRESS, [str(pooled.txid), own.encode().hex()])
    block = await funded.call("getblock", made["hash"])
    assert block["tx"][1:] == [str(pooled.txid), str(own.txid)]
    orphan = spend([Spendable(own.outpoint(5), Satoshi(10_000))], 1_000)
    code, message = await funded.fail(
        "generateblock", f"raw({SCRIPT.hex()})", [orphan.encode().hex()]
    )
    assert (code, message.partition(", ")[0]) == (
        -25,
        "TestBlockValidity failed: bad-txns-inputs-missingorspent",
    )
    assert (await funded.fail("generateblock", ADDRESS, ["22" * 32]))[0] == -5


async def test_fee_knobs(funded: Served) -> None:
    assert await funded.call("estimatesmartfee", 6) == {
        "errors": ["Insufficient data or no feerate found"],
        "blocks": 0,
    }
    await funded.call("setestimatedfee", 0.00005)
    assert (await funded.call("estimatesmartfee", 6))["feerate"] == Decimal("0.00005")
    await funded.call("setestimatedfee")
    assert "errors" in await funded.call("estimatesmartfee", 6, "ECONOMICAL")
    assert (await funded.fail("estimatesmartfee", 0))[0] == -8

    tx = spend([await funded.coin(1)], 200)
    await funded.call("setmempoolminfee", 0.0001)
    assert (await funded.call("getmempoolinfo"))["mempoolminfee"] == Decimal("0.0001")
    code, message = await funded.fail("sendrawtransaction", tx.encode().hex())
    assert (code, message.partition(",")[0]) == (-26, "mempool min fee not met")
    await funded.call("setmempoolminfee", None)
    await funded.call("sendrawtransaction", tx.encode().hex())
    await funded.call("setminerminfee", 0.001)
    await funded.call("generatetoaddress", 1, ADDRESS)
    assert await funded.call("getrawmempool") == [str(tx.txid)]
    await funded.call("setminerminfee", None)
    await funded.call("generatetoaddress", 1, ADDRESS)
    assert await funded.call("getrawmempool") == []


# Waiting.


async def test_waitfornewblock(served: Served) -> None:
    waiting = asyncio.create_task(served.call("waitfornewblock", 5_000))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    mined = await served.call("generatetoaddress", 1, ADDRESS)
    assert await asyncio.wait_for(waiting, 30) == {"hash": mined[0], "height": 1}
    genesis = await served.call("getblockhash", 0)
    at_once = await served.call("waitfornewblock", 5_000, genesis)
    assert at_once["height"] == 1
    assert (await served.call("waitfornewblock", 20))["height"] == 1
    assert (await served.call("waitforblock", mined[0], 20))["height"] == 1
    assert (await served.fail("waitfornewblock", -1))[0] == -1


async def test_waitforblockheight(served: Served) -> None:
    waiting = asyncio.create_task(served.call("waitforblockheight", 3))
    await served.call("generatetoaddress", 2, ADDRESS)
    await asyncio.sleep(0.02)
    assert not waiting.done()
    await served.call("generatetoaddress", 2, ADDRESS)
    assert (await asyncio.wait_for(waiting, 30))["height"] == 4


async def test_waitforevents(funded: Served) -> None:
    start = (await funded.call("waitforevents", 0, 10))["next"]
    waiting = asyncio.create_task(funded.call("waitforevents", start, 5_000))
    tx = spend([await funded.coin(1)], 1_000)
    await funded.call("sendrawtransaction", tx.encode().hex())
    first = await asyncio.wait_for(waiting, 30)
    assert first["events"] == [{"seq": start, "kind": "tx", "height": None, "name": str(tx.txid)}]
    old = await funded.call("getbestblockhash")
    mined = await funded.call("reorg", 1, ADDRESS)
    rest = await funded.call("waitforevents", first["next"], 5_000)
    assert [(e["kind"], e["height"], e["name"]) for e in rest["events"]] == [
        ("disconnect", 110, old),
        ("connect", 110, mined[0]),
        ("connect", 111, mined[1]),
    ]
    # A number from before a restart is in the future: such a client sees everything.
    assert len((await funded.call("waitforevents", 10**6, 10))["events"]) == rest["next"]


async def test_stop__ends_long_polls_and_removes_the_cookie(served: Served) -> None:
    waiting = asyncio.create_task(served.call("waitfornewblock", 0))
    await asyncio.sleep(0.02)
    assert "stopping" in await served.call("stop")
    assert (await asyncio.wait_for(waiting, 30))["height"] == 0
    await asyncio.wait_for(served.task, 30)
    assert not served.cookie.exists()


async def test_port_in_use__one_sentence(served: Served, tmp_path: Path) -> None:
    def ready(_: object) -> None:
        raise AssertionError

    with pytest.raises(Refused, match=f"port {served.port} on 127.0.0.1 is taken"):
        await serve(tmp_path / "other", served.port, ready=ready)


async def test_node_information(served: Served) -> None:
    assert "libbitcoinkernel" in (await served.call("getnetworkinfo"))["subversion"]
    assert (await served.call("getnetworkinfo"))["relayfee"] == Decimal("0.000001")
    assert (await served.call("getindexinfo"))["txindex"]["synced"]
    assert await served.call("uptime") >= 0
    assert (await served.call("validateaddress", ADDRESS))["isvalid"]
    assert not (await served.call("validateaddress", "nowhere"))["isvalid"]
