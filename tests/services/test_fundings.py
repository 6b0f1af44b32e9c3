"""The outputs that channel announcements name, as the embedded chain knows them."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.chain_server import ChainServer
from tests.support.faucet import ADDRESS, coinbase_of, output_of, spend
from tests.support.gossip import ANN, BEN, CAT
from tests.support.scripted_http import Answer, http, scripted
from wallet.base.bitcoin.block import Block
from wallet.base.bitcoin.transaction import TxOut
from wallet.base.channel_tx.scripts import funding_output
from wallet.base.values.amounts import Satoshi
from wallet.base.values.ids import OutPoint, ShortChannelId, Txid
from wallet.machines.routing.gossip import FundingQuery, Verdict
from wallet.machines.routing.gossip_book import FundingFound
from wallet.services.chain.bitcoind import Bitcoind
from wallet.services.chain.endpoint import Endpoint, UserPassword
from wallet.services.chain.fundings import BLOCKS_KEPT, Fundings

SCRIPT = funding_output(ANN.funding_key, BEN.funding_key)
OTHER = funding_output(ANN.funding_key, CAT.funding_key)
AMOUNT = Satoshi(123_456_789)


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChainServer]:
    """At height 111, transaction 1: a funding output, another, and change; then five blocks."""
    with ChainServer(tmp_path_factory.mktemp("chain")) as server:
        server.call("generatetoaddress", 110, ADDRESS)
        coin = coinbase_of(_block(server, 1))
        outputs = [TxOut(AMOUNT, SCRIPT), TxOut(Satoshi(50_000), OTHER)]
        tx = spend([coin], 1_000, outputs=outputs)
        server.call("sendrawtransaction", tx.encode().hex())
        server.call("generatetoaddress", 1, ADDRESS)
        change = spend([output_of(tx, 2)], 1_000)
        server.call("sendrawtransaction", change.encode().hex())
        server.call("generatetoaddress", 5, ADDRESS)
        yield server


def _block(server: ChainServer, height: int) -> Block:
    block_hash = server.call("getblockhash", height)
    return Block.decode(bytes.fromhex(server.call("getblock", block_hash, 0)))


@pytest.fixture
async def fundings(chain: ChainServer) -> AsyncIterator[Fundings]:
    backend = Bitcoind(Endpoint.parse(chain.url, chain.cookie))
    yield Fundings(backend)
    await backend.close()


def _query(block: int, index: int, output: int, script: bytes = SCRIPT) -> FundingQuery:
    return FundingQuery(ShortChannelId(block, index, output), script)


async def test_look_up__one_answer_for_each(chain: ChainServer, fundings: Fundings) -> None:
    tx = _block(chain, 111).transactions[1]
    queries = {
        _query(111, 1, 0): FundingFound(tx.outpoint(0), AMOUNT),
        _query(111, 1, 1, OTHER): FundingFound(tx.outpoint(1), Satoshi(50_000)),
        # Keys that are not the output's, and outputs, transactions and blocks that are not there.
        _query(111, 1, 1): Verdict.NO_FUNDING,
        _query(111, 1, 3): Verdict.NO_FUNDING,
        _query(111, 9, 0): Verdict.NO_FUNDING,
        _query(4_000_000, 1, 0): Verdict.NO_FUNDING,
        # Spent: the change that went into the next block.
        _query(111, 1, 2, tx.outputs[2].script_pubkey): Verdict.NO_FUNDING,
    }
    assert await fundings.look_up(list(queries)) == list(queries.values())


async def test_look_up__six_confirmations(chain: ChainServer, fundings: Fundings) -> None:
    # The coinbases of the last six blocks: only the first of them is deep enough.
    scripts = {h: _block(chain, h).transactions[0].outputs[0].script_pubkey for h in (111, 112)}
    answers = await fundings.look_up([_query(h, 0, 0, s) for h, s in scripts.items()])
    assert isinstance(answers[0], FundingFound)
    assert answers[1] is Verdict.NO_FUNDING


async def test_look_up__more_than_fits_into_one_request(fundings: Fundings) -> None:
    heights = list(range(1, BLOCKS_KEPT + 40))
    answers = await fundings.look_up([_query(height, 0, 0) for height in heights])
    assert answers == [Verdict.NO_FUNDING] * len(heights)


ANSWERS: dict[str, object] = {
    "getblockhash": "11" * 32,
    "getblock": {"tx": ["22" * 32]},
    "gettxout": None,
}
BROKEN = {"code": -1, "message": "Block not available (pruned data)"}


@asynccontextmanager
async def scripted_fundings(
    asked: list[str], results: dict[str, object], broken: str = ""
) -> AsyncIterator[Fundings]:
    """A backend that answers each method with the same, `broken` with an error."""

    def one(call: Any) -> dict[str, object]:
        asked.append(call["method"])
        if call["method"] == broken:
            return {"id": call["id"], "error": BROKEN}
        return {"id": call["id"], "result": results[call["method"]]}

    def script(request: Any) -> Answer:
        return http(json.dumps([one(call) for call in request]).encode())

    async with scripted(script) as server:
        backend = Bitcoind(Endpoint("127.0.0.1", server.port, UserPassword("me", "secret")))
        yield Fundings(backend)
        await backend.close()


async def test_look_up__a_block_is_read_once() -> None:
    asked: list[str] = []
    async with scripted_fundings(asked, ANSWERS) as fundings:
        for output in (0, 1):
            assert await fundings.look_up([_query(7, 0, output)]) == [Verdict.NO_FUNDING]
    assert asked.count("getblock") == 1
    # A reorganisation may have put another block there.
    assert asked.count("getblockhash") == 2


@pytest.mark.parametrize("method", list(ANSWERS))
async def test_look_up__a_backend_that_fails_is_nobodys_fault(method: str) -> None:
    async with scripted_fundings([], ANSWERS, broken=method) as fundings:
        assert await fundings.look_up([_query(7, 0, 0)]) == [Verdict.UNKNOWN]


@pytest.mark.parametrize(
    "nonsense",
    [7, {}, {"value": 1, "confirmations": 9}, {"value": "1", "confirmations": 9}],
)
async def test_look_up__nonsense_is_no_proof(nonsense: object) -> None:
    async with scripted_fundings([], ANSWERS | {"gettxout": nonsense}) as fundings:
        assert await fundings.look_up([_query(7, 0, 0)]) == [Verdict.UNKNOWN]


async def test_look_up__nobody_answers() -> None:
    backend = Bitcoind(Endpoint("127.0.0.1", 1, UserPassword("me", "secret")))
    assert await Fundings(backend).look_up([_query(7, 0, 0)]) == [Verdict.UNKNOWN]
    assert await Fundings(backend).is_there(OutPoint(Txid(bytes(32)), 0)) is None
    await backend.close()


# --- outputs that no block may hold ---------------------------------------------------------------


async def test_is_there__in_the_mempool_in_a_block_or_nowhere(tmp_path: Path) -> None:
    with ChainServer(tmp_path / "chain") as chain:
        chain.call("generatetoaddress", 101, ADDRESS)
        first = coinbase_of(_block(chain, 1))
        tx = spend([first], 1_000, outputs=[TxOut(AMOUNT, SCRIPT)])
        rival = spend([first], 90_000)
        backend = Bitcoind(Endpoint.parse(chain.url, chain.cookie))
        fundings = Fundings(backend)
        assert await fundings.is_there(tx.outpoint(1)) is False
        chain.call("sendrawtransaction", tx.encode().hex())
        assert await fundings.is_there(tx.outpoint(1)) is True
        # A close may wait together with its funding: what the mempool has spent is there.
        chain.call("sendrawtransaction", spend([output_of(tx, 1)], 1_000).encode().hex())
        assert chain.call("gettxout", str(tx.txid), 1, True) is None
        assert await fundings.is_there(tx.outpoint(1)) is True
        chain.call("generateblock", ADDRESS, [tx.encode().hex()])
        assert await fundings.is_there(tx.outpoint(0)) is True
        chain.call("invalidateblock", chain.call("getbestblockhash"))
        chain.call("generateblock", ADDRESS, [rival.encode().hex()])
        assert await fundings.is_there(tx.outpoint(0)) is False
        await backend.close()


SOUGHT: dict[str, object] = {"gettxout": None, "getmempoolentry": {}}


@pytest.mark.parametrize("method", list(SOUGHT))
async def test_is_there__an_error_says_nothing(method: str) -> None:
    async with scripted_fundings([], SOUGHT, broken=method) as fundings:
        assert await fundings.is_there(OutPoint(Txid(bytes(32)), 0)) is None
