"""Core's JSON-RPC as a client: the embedded chain as backend, and backends that misbehave."""

import asyncio
import json
import math
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.chain_server import ChainServer
from tests.support.faucet import ADDRESS, SCRIPT, coinbase_of, output_of, spend
from tests.support.scripted_http import Answer, http, result, scripted
from wallet.base.bitcoin.chains import REGTEST, SIGNET
from wallet.base.bitcoin.script import P2A
from wallet.base.bitcoin.transaction import Transaction, TxIn, TxOut
from wallet.base.errors import DecodeError, Refused, ServiceFault
from wallet.base.values.amounts import FEERATE_FLOOR, SAT_PER_BTC, FeeratePerKw, Satoshi
from wallet.base.values.blocks import BlockHeight, CltvDelta
from wallet.base.values.ids import BlockHash, OutPoint, Txid
from wallet.machines.chain_events import BroadcastKind, BroadcastResult
from wallet.services.chain.answers import as_entry_feerate, as_feerate
from wallet.services.chain.bitcoind import Bitcoind, CoreError, Method
from wallet.services.chain.endpoint import CookieFile, Endpoint, UserPassword

# Bitcoin Core 30, `help`: its sections Blockchain, Rawtransactions, Util and Mining.
CORE_METHODS = """
    dumptxoutset getbestblockhash getblock getblockchaininfo getblockcount getblockfilter
    getblockfrompeer getblockhash getblockheader getblockstats getchainstates getchaintips
    getchaintxstats getdeploymentinfo getdescriptoractivity getdifficulty getmempoolancestors
    getmempooldescendants getmempoolentry getmempoolinfo getrawmempool gettxout gettxoutproof
    gettxoutsetinfo gettxspendingprevout importmempool loadtxoutset preciousblock pruneblockchain
    savemempool scanblocks scantxoutset verifychain verifytxoutproof waitforblock
    waitforblockheight waitfornewblock analyzepsbt combinepsbt combinerawtransaction
    converttopsbt createpsbt createrawtransaction decodepsbt decoderawtransaction decodescript
    descriptorprocesspsbt finalizepsbt fundrawtransaction getrawtransaction joinpsbts
    sendrawtransaction signrawtransactionwithkey submitpackage testmempoolaccept utxoupdatepsbt
    createmultisig deriveaddresses estimatesmartfee getdescriptorinfo getindexinfo
    signmessagewithprivkey validateaddress verifymessage getblocktemplate getmininginfo
    getnetworkhashps getprioritisedtransactions prioritisetransaction submitblock
    submitheader
"""


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChainServer]:
    """The embedded chain with 110 blocks."""
    with ChainServer(tmp_path_factory.mktemp("chain")) as server:
        server.call("generatetoaddress", 110, ADDRESS)
        yield server


@pytest.fixture
async def backend(chain: ChainServer) -> AsyncIterator[Bitcoind]:
    bitcoind = Bitcoind(Endpoint.parse(chain.url, chain.cookie))
    yield bitcoind
    await bitcoind.close()


@asynccontextmanager
async def misbehaving(
    script: Callable[[Any], Answer], timeout_seconds: float = 5
) -> AsyncIterator[tuple[Bitcoind, Any]]:
    async with scripted(script) as server:
        endpoint = Endpoint("127.0.0.1", server.port, UserPassword("me", "secret"))
        bitcoind = Bitcoind(endpoint, timeout_seconds)
        yield bitcoind, server
        await bitcoind.close()


def test_methods__are_all_of_core() -> None:
    assert {str(method) for method in Method} <= set(CORE_METHODS.split())
    assert len(Method) == 12


# --- a backend that behaves ---------------------------------------------------------------------


async def test_blocks__hash_by_hash(chain: ChainServer, backend: Bitcoind) -> None:
    best = await backend.backend_tip()
    assert best.network == "regtest"
    assert not best.catching_up
    await backend.check_chain(REGTEST)
    height = best.tip.height.height
    hashes = await backend.block_hashes(BlockHeight(height - 4), 10)
    assert len(hashes) == 5
    assert hashes[-1] == best.tip.hash
    assert await backend.block_hash(BlockHeight(height + 1)) is None
    blocks = await backend.blocks(hashes)
    assert [block.hash for block in blocks] == hashes
    assert [block.header.previous for block in blocks[1:]] == hashes[:-1]
    assert await backend.parent_of(hashes[3]) == hashes[2]
    assert await backend.parent_of(BlockHash(bytes(32))) is None
    assert await backend.blocks([]) == []


async def test_check_chain__another_network(backend: Bitcoind) -> None:
    with pytest.raises(ServiceFault, match="is on regtest, this wallet is on signet"):
        await backend.check_chain(SIGNET)


async def test_blocks__unknown_hash(backend: Bitcoind) -> None:
    with pytest.raises(CoreError, match="Block not found") as error:
        await backend.blocks([BlockHash(bytes(32))])
    assert error.value.code == -5


async def test_feerate__never_below_the_floor(backend: Bitcoind) -> None:
    assert await backend.feerate(CltvDelta(6)) >= FEERATE_FLOOR


async def test_broadcast__every_kind(chain: ChainServer, backend: Bitcoind) -> None:
    first = await backend.blocks(await backend.block_hashes(BlockHeight(1), 2))
    coin = coinbase_of(first[0])
    tx = spend([coin], 1_000)
    assert (await backend.broadcast(tx)).kind is BroadcastKind.ACCEPTED
    again = await backend.broadcast(tx)
    assert again.is_known
    cheap = await backend.broadcast(spend([coinbase_of(first[1])], 0))
    assert cheap.kind is BroadcastKind.REJECTED
    assert "min relay fee not met" in cheap.reason
    rival = await backend.broadcast(spend([coin], 1_001))
    assert rival.kind is BroadcastKind.REJECTED
    assert "insufficient fee" in rival.reason
    dust = await backend.broadcast(
        spend([coinbase_of(first[1])], 1_000, outputs=[TxOut(Satoshi(1), SCRIPT)])
    )
    assert dust.kind is BroadcastKind.REJECTED
    assert not dust.is_known
    child = spend([output_of(tx, 0)], 1_000)
    chain.call("generatetoaddress", 1, ADDRESS)
    mined = await backend.broadcast(tx)
    assert mined.kind is BroadcastKind.CONFIRMED
    assert mined.is_known
    assert (await backend.broadcast(spend([coin], 5_000))).kind is BroadcastKind.MISSING_INPUTS
    orphan = spend([output_of(child, 0)], 1_000)
    assert (await backend.broadcast(orphan)).kind is BroadcastKind.MISSING_INPUTS


@pytest.fixture
def dear(chain: ChainServer) -> Iterator[None]:
    """Relay and a full mempool both ask more than a commitment transaction pays."""
    chain.call("setminrelayfee", 0.0005)
    chain.call("setmempoolminfee", 0.001)
    yield
    chain.call("setminrelayfee")
    chain.call("setmempoolminfee")


@pytest.mark.usefixtures("dear")
@pytest.mark.parametrize(
    ("height", "version", "fee", "anchor"),
    [(3, 2, 1_000, TxOut(Satoshi(330), SCRIPT)), (5, 3, 0, TxOut(Satoshi(0), P2A))],
    ids=["anchors", "zero-fee"],
)
async def test_package__a_child_pays_for_its_parent(
    chain: ChainServer, backend: Bitcoind, height: int, version: int, fee: int, anchor: TxOut
) -> None:
    """Alone a commitment stays out, and a child that pays too little does not help it."""
    blocks = await backend.blocks(await backend.block_hashes(BlockHeight(height), 2))
    coin, purse = (coinbase_of(block) for block in blocks)
    parent = spend([coin], fee, outputs=[anchor], version=version)
    poor, payer = (
        spend([output_of(parent, 0), purse], paid, version=version) for paid in (12_000, 60_000)
    )
    alone = await backend.broadcast(parent)
    assert alone.kind is BroadcastKind.REJECTED
    assert "mempool min fee not met" in alone.reason
    kinds = [result.kind for result in await backend.broadcast_package([parent, poor])]
    assert kinds == [BroadcastKind.REJECTED] * 2
    chain.call("generatetoaddress", 1, ADDRESS)
    assert chain.call("gettxout", str(parent.txid), 0) is None

    taken = await backend.broadcast_package([parent, payer])
    assert taken == (BroadcastResult(BroadcastKind.ACCEPTED),) * 2
    again = await backend.broadcast_package([parent, payer])
    assert all(result.is_known for result in again)
    resigned = await backend.broadcast_package([parent.with_witness(0, ()), payer])
    assert [result.kind for result in resigned] == [
        BroadcastKind.IN_MEMPOOL,
        BroadcastKind.ACCEPTED,
    ]
    [mined] = chain.call("generatetoaddress", 1, ADDRESS)
    assert {str(parent.txid), str(payer.txid)} < set(chain.call("getblock", mined)["tx"])
    # The parent is in a block: its next child goes by itself.
    later = spend([output_of(parent, 1)], 60_000)
    known, accepted = await backend.broadcast_package([parent, later])
    assert (known.kind, accepted.kind) == (BroadcastKind.CONFIRMED, BroadcastKind.ACCEPTED)


async def test_package__one_that_cannot_be(backend: Bitcoind) -> None:
    """Core's word about the whole is the reason of those that it did not look at."""
    blocks = await backend.blocks(await backend.block_hashes(BlockHeight(7), 1))
    one, other = (spend([coinbase_of(blocks[0])], fee) for fee in (1_000, 2_000))
    child = spend([output_of(one, 0), output_of(other, 0)], 1_000)
    refused = BroadcastResult(BroadcastKind.REJECTED, "conflict-in-package")
    assert await backend.broadcast_package([one, other, child]) == (refused,) * 3
    strangers = await backend.broadcast_package([one, other])
    assert [result.kind for result in strangers] == [BroadcastKind.REJECTED] * 2
    assert all("topology" in result.reason for result in strangers)


async def test_wait__ends_with_the_next_block(chain: ChainServer, backend: Bitcoind) -> None:
    tip = (await backend.backend_tip()).tip.hash
    waiting = asyncio.create_task(backend.wait_for_block(20, tip))
    await asyncio.sleep(0.2)
    assert not waiting.done()
    chain.call("generatetoaddress", 1, ADDRESS)
    async with asyncio.timeout(30):
        await waiting
    # The block is there already: whoever still names the old tip does not wait.
    async with asyncio.timeout(30):
        await backend.wait_for_block(60, tip)
    async with asyncio.timeout(30):
        await backend.wait_for_block(0.1, (await backend.backend_tip()).tip.hash)


async def test_restart__the_new_cookie_is_read(tmp_path: Path) -> None:
    with ChainServer(tmp_path) as server:
        port = int(server.url.rpartition(":")[2])
        old = server.cookie.read_text()
        backend = Bitcoind(Endpoint.parse(server.url, server.cookie))
        await backend.backend_tip()
        server.kill()
        with pytest.raises(ServiceFault, match="no chain backend answers"):
            await backend.backend_tip()
    with ChainServer(tmp_path, port) as server:
        assert server.cookie.read_text() != old
        assert (await backend.backend_tip()).tip.height == BlockHeight(0)
        await backend.close()


# --- backends that are not there, or not what they should be ------------------------------------


async def test_down__the_sentence_says_what_to_do() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    backend = Bitcoind(Endpoint("127.0.0.1", port, UserPassword("me", "secret")))
    with pytest.raises(ServiceFault, match="start it") as fault:
        await backend.backend_tip()
    assert f"127.0.0.1:{port}" in str(fault.value)
    assert "secret" not in str(fault.value)


async def test_cookie__missing(tmp_path: Path) -> None:
    backend = Bitcoind(Endpoint("127.0.0.1", 1, CookieFile(tmp_path / ".cookie")))
    with pytest.raises(ServiceFault, match="cannot read the chain backend's cookie"):
        await backend.backend_tip()


async def test_cookie__not_one(tmp_path: Path) -> None:
    (tmp_path / ".cookie").write_text("nothing")
    backend = Bitcoind(Endpoint("127.0.0.1", 1, CookieFile(tmp_path / ".cookie")))
    with pytest.raises(ServiceFault, match="is not a cookie file"):
        await backend.backend_tip()


ODD_ANSWERS: dict[str, tuple[Answer, str]] = {
    "another protocol": (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", "does not behave like Bitcoin Core"),
    "a web page": (http(b"<html>hello</html>"), "not JSON"),
    "nothing": (http(b""), "not JSON"),
    "not UTF-8": (http(b'{"result": "\xff\xfe"}'), "not JSON"),
    "deep nesting": (http(b"[" * 100_000), "not JSON"),
    "a number": (http(b"5"), "neither a result nor an error"),
    "an empty object": (http(b"{}"), "neither a result nor an error"),
    "a list": (http(b"[1, 2]"), "neither a result nor an error"),
    "null": (http(b'{"result": null}'), "an object was expected"),
    "no members": (http(b'{"result": {}}'), "a height was expected"),
    "wrong types": (
        http(b'{"result": {"blocks": "1", "bestblockhash": 2, "headers": []}}'),
        "a height was expected",
    ),
    "huge height": (http(b'{"result": {"blocks": 1e30}}'), "a height was expected"),
    "endless digits": (http(b'{"result": {"blocks": ' + b"9" * 5000 + b"}}"), "not JSON"),
    "short hash": (
        http(b'{"result": {"blocks": 1, "headers": 1, "bestblockhash": "00ff"}}'),
        "a block hash was expected",
    ),
    "error without code": (http(b'{"error": "no"}', 500), "an error without a code"),
    "control characters": (http(b'{"error": {"code": 1, "message": "\\u001b[2J"}}'), r"\?\[2J"),
    "redirect": (http(b"", 301, "Location: /x"), "HTTP status 301"),
    "wrong password": (http(b"", 401), "refuses our password"),
    "forbidden": (http(b"", 403), "rpcallowip"),
    "busy": (http(b"Work queue depth exceeded", 503), "overloaded"),
    "starting": (
        http(b'{"error": {"code": -28, "message": "Verifying blocks"}}', 500),
        "still starting, Verifying blocks",
    ),
    "hung up": (b"", "no chain backend answers"),
    "cut short": (http(b"{" * 50)[:-20], "has not answered"),
    "silence": (None, "has not answered getblockchaininfo"),
}


@pytest.mark.parametrize("name", ODD_ANSWERS)
async def test_nonsense__is_one_clear_sentence(name: str) -> None:
    answer, told = ODD_ANSWERS[name]
    patience = 0.3 if "has not answered" in told else 5
    async with misbehaving(lambda _: answer, patience) as (backend, _):
        with pytest.raises(ServiceFault, match=told) as fault:
            await backend.backend_tip()
        assert "secret" not in str(fault.value)
        assert str(fault.value).isprintable()


@pytest.mark.parametrize(
    "answer",
    [b"[]", b"{}", b"7", b'[{"id": 0, "result": "00"}]', b'[{"id": 5, "result": "00"}]'],
)
async def test_nonsense__batches(answer: bytes) -> None:
    async with misbehaving(lambda _: http(answer)) as (backend, _):
        with pytest.raises(ServiceFault, match="getblockhash"):
            await backend.block_hashes(BlockHeight(0), 2)


async def test_nonsense__another_block_than_asked_for(
    chain: ChainServer, backend: Bitcoind
) -> None:
    one, other = await backend.block_hashes(BlockHeight(1), 2)
    raw = (await backend.blocks([one]))[0].encode()
    tampered = raw[:-1] + bytes([raw[-1] ^ 1])
    for block in (raw, tampered, raw + b"\0", raw[:100]):
        asked = other if block is raw else one

        def script(requests: Any, block: bytes = block) -> Answer:
            return http(json.dumps([{"id": 0, "result": block.hex()}]).encode())

        async with misbehaving(script) as (liar, _):
            with pytest.raises(ServiceFault, match="does not behave like Bitcoin Core"):
                await liar.blocks([asked])


TIP = {"chain": "regtest", "blocks": 0, "headers": 0, "bestblockhash": "00" * 32}


async def test_keep_alive__one_connection_serves_many_calls() -> None:
    async with misbehaving(lambda request: result(request, TIP)) as (backend, server):
        for _ in range(5):
            await backend.backend_tip()
        assert server.connections == 1
        assert set(server.authorizations) == {"Basic bWU6c2VjcmV0"}


async def test_keep_alive__a_connection_that_died_is_replaced() -> None:
    async with misbehaving(lambda request: result(request, TIP)) as (backend, server):
        await asyncio.gather(*(backend.backend_tip() for _ in range(3)))
        server.cut_all()
        await asyncio.sleep(0.05)
        await backend.backend_tip()
        assert server.connections == 4


async def test_keep_alive__the_server_may_refuse_it() -> None:
    def script(request: Any) -> Answer:
        body = json.dumps({"id": 0, "result": TIP}).encode()
        return http(body, 200, "Connection: close")

    async with misbehaving(script) as (backend, server):
        await backend.backend_tip()
        await backend.backend_tip()
        assert server.connections == 2


async def test_give_up__the_next_call_gets_its_own_answer() -> None:
    silent = True

    def script(request: Any) -> Answer:
        return None if silent else result(request, TIP)

    async with misbehaving(script, 0.2) as (backend, _):
        with pytest.raises(ServiceFault):
            await backend.backend_tip()
        silent = False
        assert (await backend.backend_tip()).tip.height == BlockHeight(0)


async def test_wait__a_backend_that_cannot_is_polled() -> None:
    asked: list[str] = []

    def script(request: Any) -> Answer:
        asked.append(request["method"])
        if request["method"] == "waitfornewblock":
            error = {"code": -32601, "message": "Method not found"}
            return http(json.dumps({"id": 0, "error": error}).encode(), 404)
        return result(request, f"{max(len(asked), 3):064x}")

    async with misbehaving(script) as (backend, _):
        await backend.wait_for_block(5, BlockHash(bytes.fromhex(f"{3:064x}")[::-1]))
        await backend.wait_for_block(5, BlockHash(bytes(32)))
    assert asked == ["waitfornewblock", *["getbestblockhash"] * 4]


PACKAGE = [Transaction(2, (TxIn(OutPoint(Txid(bytes(32)), n)),), (), 0) for n in range(2)]


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (-32601, "Method not found"),
        (-1, "submitpackage is for regression testing (-regtest mode) only"),
    ],
)
async def test_package__a_core_that_knows_none_gets_one_by_one(code: int, message: str) -> None:
    def script(request: Any) -> Answer:
        if request["method"] == "submitpackage":
            return result(request, None, error={"code": code, "message": message})
        if request["params"] == [PACKAGE[0].encode().hex()]:
            error = {"code": -26, "message": "mempool min fee not met, 1 < 2"}
            return result(request, None, error=error)
        return result(request, "00" * 32)

    async with misbehaving(script) as (backend, server):
        first, second = await backend.broadcast_package(PACKAGE)
    assert first == BroadcastResult(BroadcastKind.REJECTED, "mempool min fee not met, 1 < 2")
    assert second == BroadcastResult(BroadcastKind.ACCEPTED)
    raw = [tx.encode().hex() for tx in PACKAGE]
    assert [(r["method"], r["params"]) for r in server.requests] == [
        ("submitpackage", [raw]),
        ("sendrawtransaction", [raw[0]]),
        ("sendrawtransaction", [raw[1]]),
    ]


@pytest.mark.parametrize(
    "answer",
    [
        [],
        {},
        {"tx-results": {}},
        {"tx-results": {str(tx.wtxid): [] for tx in PACKAGE}},
        {"tx-results": {str(tx.wtxid): {"error": 5} for tx in PACKAGE}},
    ],
)
async def test_package__nonsense(answer: object) -> None:
    async with misbehaving(lambda request: result(request, answer)) as (backend, _):
        with pytest.raises(ServiceFault, match="does not behave like Bitcoin Core"):
            await backend.broadcast_package(PACKAGE)


async def test_package__a_core_that_starts_says_nothing_of_it() -> None:
    error = {"code": -28, "message": "Loading block index"}
    async with misbehaving(lambda r: result(r, None, error=error)) as (backend, _):
        with pytest.raises(ServiceFault, match="it is still starting"):
            await backend.broadcast_package(PACKAGE)


async def test_package__what_a_stranger_writes_is_printable() -> None:
    outcomes = {str(tx.wtxid): {"error": "bad\x1b[2J\n"} for tx in PACKAGE}
    async with misbehaving(lambda r: result(r, {"tx-results": outcomes})) as (backend, _):
        results = await backend.broadcast_package(PACKAGE)
    assert results == (BroadcastResult(BroadcastKind.REJECTED, "bad?[2J?"),) * 2


@pytest.mark.parametrize(
    ("estimate", "pool", "wanted"),
    [
        ('{"feerate": 0.00001000, "blocks": 2}', "{}", 253),
        ('{"feerate": 0.00020000}', "{}", 5_000),
        ('{"feerate": 0.00020001}', "{}", 5_001),
        ('{"feerate": 2e-4}', "{}", 5_000),
        ('{"errors": ["Insufficient data or no feerate found"]}', "{}", 253),
        # What must enter pays for the rounding to virtual bytes as well.
        ('{"errors": ["x"]}', '{"mempoolminfee": 0.00004000}', 1_012),
        ('{"feerate": 0.00003000}', '{"mempoolminfee": 0.00004000}', 1_012),
        ('{"feerate": 0.00003000}', '{"minrelaytxfee": 0.00004000, "mempoolminfee": 0.0}', 1_012),
        ('{"feerate": 0.00020000}', '{"mempoolminfee": 0.00004000}', 5_000),
    ],
)
async def test_feerate__from_core(estimate: str, pool: str, wanted: int) -> None:
    def script(request: Any) -> Answer:
        text = estimate if request["method"] == "estimatesmartfee" else pool
        return http(b'{"id": 0, "result": ' + text.encode() + b"}")

    async with misbehaving(script) as (backend, _):
        assert await backend.feerate(CltvDelta(2)) == FeeratePerKw(wanted)


@given(st.integers(0, 10_000_000), st.integers(250, 400_000))
def test_feerate__what_pays_it_enters(asked_per_kvb: int, weight: int) -> None:
    """However the weight is rounded up to virtual bytes."""
    asked = Decimal(asked_per_kvb) / SAT_PER_BTC
    fee = as_entry_feerate({"mempoolminfee": asked}).fee_ceil(weight)
    assert fee.sat >= math.ceil(asked_per_kvb * math.ceil(weight / 4) / 1000)


@pytest.mark.parametrize("value", [None, True, "0.1", -1, 21_000_001, float("nan"), [1]])
def test_feerate__absurd(value: object) -> None:
    with pytest.raises(DecodeError, match="a fee rate was expected"):
        as_feerate(value)


# --- where it is --------------------------------------------------------------------------------


def test_endpoint__parse(tmp_path: Path) -> None:
    cookie = tmp_path / ".cookie"
    endpoint = Endpoint.parse("http://127.0.0.1:18443", cookie)
    assert endpoint == Endpoint("127.0.0.1", 18443, CookieFile(cookie))
    assert Endpoint.parse("http://a:b%40c@[::1]:1/") == Endpoint("::1", 1, UserPassword("a", "b@c"))
    assert str(Endpoint.parse("http://a:b@[::1]:1")) == "[::1]:1"
    assert "secret" not in repr(Endpoint.parse("http://me:secret@localhost:1"))


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:18443",
        "https://h:1",
        "http://h",
        "http://h:x",
        "http://h:1/x",
        "http://a..b:1",
    ],
)
def test_endpoint__refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="the chain's URL"):
        Endpoint.parse(url, tmp_path / ".cookie")


def test_endpoint__one_way_to_authenticate(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="a cookie file"):
        Endpoint.parse("http://127.0.0.1:18443")
    with pytest.raises(Refused, match="not both"):
        Endpoint.parse("http://a:secret@127.0.0.1:18443", tmp_path / ".cookie")
