"""Bitcoin Core's JSON-RPC as a client: every method that the core ever calls is in `Method`.

A real bitcoind and `leyden regtest` look the same from here.  All our calls may be repeated, so a
connection that died while it lay idle is replaced without a word.  What goes wrong is a
`ServiceFault` whose sentence says what to do; `CoreError` is one that carries Core's own code.
"""

import asyncio
import json
import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from enum import StrEnum
from typing import Final, TypeVar

from wallet.base.bitcoin.block import Block
from wallet.base.bitcoin.chains import Chain
from wallet.base.bitcoin.transaction import Transaction
from wallet.base.errors import DecodeError, ServiceFault
from wallet.base.values.amounts import FEERATE_FLOOR, FeeratePerKw
from wallet.base.values.blocks import BlockHeight, CltvDelta
from wallet.base.values.ids import BlockHash
from wallet.machines.chain_events import BroadcastKind, BroadcastResult
from wallet.services.chain.answers import (
    BackendTip,
    as_backend_tip,
    as_block,
    as_entry_feerate,
    as_feerate,
    as_hash,
    as_members,
    as_text,
    as_time,
    parse_json,
    printable,
)
from wallet.services.chain.broadcasts import as_package_results, kind_of_reason, result_of_reason
from wallet.services.chain.endpoint import CookieFile, Endpoint
from wallet.services.chain.http import HttpAnswer, HttpConnection, HungUp

T = TypeVar("T")
Params = Sequence[object]

TIMEOUT_SECONDS: Final = 30.0
_CONNECTIONS: Final = 4
_POLL_SECONDS: Final = 1.0
_IN_THREAD_FROM: Final = 1 << 19
"""Characters of a block from which parsing would hold up the loop for tens of milliseconds."""


class Method(StrEnum):
    """The methods of Bitcoin Core that we call. There are no others."""

    GETBLOCKCHAININFO = "getblockchaininfo"
    GETBESTBLOCKHASH = "getbestblockhash"
    GETBLOCKHASH = "getblockhash"
    GETBLOCKHEADER = "getblockheader"
    GETBLOCK = "getblock"
    WAITFORNEWBLOCK = "waitfornewblock"
    ESTIMATESMARTFEE = "estimatesmartfee"
    GETMEMPOOLINFO = "getmempoolinfo"
    SENDRAWTRANSACTION = "sendrawtransaction"
    SUBMITPACKAGE = "submitpackage"
    GETTXOUT = "gettxout"
    GETMEMPOOLENTRY = "getmempoolentry"


_CANNOT_WAIT: Final = (-32601, -32602, -1, -8)
"""Unknown method, or one that knows no `current_tip`."""
_NO_PACKAGES: Final = (-32601, -1)
"""Unknown method (Core before 24), or one for regtest only (before 26)."""
_NOT_FOUND: Final = -5
_OUT_OF_RANGE: Final = -8
_UNDECODABLE: Final = -22
_VERIFY_ERROR: Final = -25
_VERIFY_REJECTED: Final = -26
_IN_UTXO_SET: Final = -27
_WARMING_UP: Final = -28


class CoreError(ServiceFault):
    """The backend answered with an error of its own."""

    def __init__(self, method: str, code: int, message: str) -> None:
        super().__init__(f"the chain backend answers {method} with: {message} (code {code})")
        self.code = code
        self.message = message


class Bitcoind:
    """The chain backend at one endpoint. `close` it when done."""

    def __init__(self, endpoint: Endpoint, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._endpoint = endpoint
        self._timeout_seconds = timeout_seconds
        self._authorization: str | None = None
        self._idle: list[HttpConnection] = []
        self._slots = asyncio.Semaphore(_CONNECTIONS)
        self._can_wait = True

    @property
    def endpoint(self) -> Endpoint:
        """Where it is."""
        return self._endpoint

    async def close(self) -> None:
        """Drop the idle connections."""
        while self._idle:
            self._idle.pop().close()
        # asyncio lets go of a socket one turn of the loop after it was told to.
        await asyncio.sleep(0)

    # What the core asks.

    async def backend_tip(self) -> BackendTip:
        """The backend's network, best block and best header."""
        return await self._ask(Method.GETBLOCKCHAININFO, (), as_backend_tip)

    async def check_chain(self, chain: Chain) -> None:
        """Raise `ServiceFault` unless the backend serves `chain`."""
        found = await self.backend_tip()
        genesis = bytes(await self.block_hash(BlockHeight(0)) or b"")
        if found.network != chain.bip70_name or genesis != chain.chain_hash:
            raise ServiceFault(
                f"the chain backend at {self._endpoint} is on {found.network[:20]}, "
                f"this wallet is on {chain.bip70_name}: give the right --chain"
            )

    async def block_hash(self, height: BlockHeight) -> BlockHash | None:
        """The best chain's block at `height`, None above its tip."""
        hashes = await self.block_hashes(height, 1)
        return hashes[0] if hashes else None

    async def block_hashes(self, first: BlockHeight, count: int) -> list[BlockHash]:
        """The best chain's blocks from `first` on, at most `count`; fewer where it ends."""
        heights = range(first.height, first.height + count)
        hashes: list[BlockHash] = []
        for answer in await self._batch(Method.GETBLOCKHASH, [(h,) for h in heights]):
            if isinstance(answer, CoreError):
                if answer.code == _OUT_OF_RANGE:
                    break
                raise answer
            hashes.append(self._read(Method.GETBLOCKHASH, answer, as_hash))
        return hashes

    async def parent_of(self, block: BlockHash) -> BlockHash | None:
        """The block before `block`, which need not be on the best chain; None if unknown."""
        try:
            header = await self._ask(Method.GETBLOCKHEADER, (_shown(block), True), as_members)
        except CoreError as error:
            if error.code == _NOT_FOUND:
                return None
            raise
        return self._read(Method.GETBLOCKHEADER, header.get("previousblockhash"), as_hash)

    async def block_time(self, block: BlockHash) -> int:
        """What a block's header says of its time: Unix seconds, up to two hours off."""
        header = await self._ask(Method.GETBLOCKHEADER, (_shown(block), True), as_members)
        return self._read(Method.GETBLOCKHEADER, header.get("time"), as_time)

    async def blocks(self, hashes: Sequence[BlockHash]) -> list[Block]:
        """Whole blocks, in the order asked for, checked against their hashes."""
        asked = [(_shown(block), 0) for block in hashes]
        blocks: list[Block] = []
        for wanted, answer in zip(hashes, await self._batch(Method.GETBLOCK, asked), strict=True):
            if isinstance(answer, CoreError):
                raise answer
            if isinstance(answer, str) and len(answer) >= _IN_THREAD_FROM:
                block = await asyncio.to_thread(self._read_block, answer, wanted)
            else:
                block = self._read_block(answer, wanted)
            blocks.append(block)
        return blocks

    async def wait_for_block(self, seconds: float, tip: BlockHash) -> None:
        """Return when the tip is another than `tip`, or after `seconds`.

        Core takes `current_tip` since version 29; a backend that does not is polled.
        """
        if self._can_wait:
            try:
                params = (int(seconds * 1000), _shown(tip))
                await self._call(Method.WAITFORNEWBLOCK, params, extra_seconds=seconds)
            except CoreError as error:
                if error.code not in _CANNOT_WAIT:
                    raise
                self._can_wait = False
            else:
                return
        for _ in range(math.ceil(seconds / _POLL_SECONDS)):
            if await self._ask(Method.GETBESTBLOCKHASH, (), as_hash) != tip:
                return
            await asyncio.sleep(_POLL_SECONDS)

    async def feerate(self, target: CltvDelta) -> FeeratePerKw:
        """What confirms within `target` blocks: Core's estimate, or what its mempool demands.

        The larger of them, never below `FEERATE_FLOOR`.  A young chain has no estimate; on regtest
        it never comes.
        """
        answer = await self._ask(Method.ESTIMATESMARTFEE, (target.blocks,), as_members)
        estimate = self._read(Method.ESTIMATESMARTFEE, answer.get("feerate", 0), as_feerate)
        least = await self._ask(Method.GETMEMPOOLINFO, (), as_entry_feerate)
        return max(FEERATE_FLOOR, estimate, least)

    async def broadcast(self, tx: Transaction) -> BroadcastResult:
        """Offer a transaction. Core takes one that it has already without a complaint."""
        try:
            await self._ask(Method.SENDRAWTRANSACTION, (tx.encode().hex(),), as_text)
        except CoreError as error:
            return _refusal(error)
        return BroadcastResult(BroadcastKind.ACCEPTED)

    async def broadcast_package(
        self, transactions: Sequence[Transaction]
    ) -> tuple[BroadcastResult, ...]:
        """Offer parents and, last, the child that pays for them: one result each, in order.

        To a Core that knows no packages they are offered one by one: what it takes is better in
        its mempool than nowhere.
        """
        raw = [tx.encode().hex() for tx in transactions]
        wtxids = [tx.wtxid for tx in transactions]
        try:
            return await self._ask(
                Method.SUBMITPACKAGE, (raw,), lambda answer: as_package_results(answer, wtxids)
            )
        except CoreError as error:
            if error.code in _NO_PACKAGES:
                return tuple([await self.broadcast(tx) for tx in transactions])
            return (_refusal(error),) * len(transactions)

    # How it asks.

    async def ask_many(
        self, method: Method, calls: Sequence[Params], read: Callable[[object], T]
    ) -> list[T | CoreError]:
        """One value for each call, in their order, or the backend's error in its place."""
        answers = await self._batch(method, calls)
        return [a if isinstance(a, CoreError) else self._read(method, a, read) for a in answers]

    async def _ask(self, method: Method, params: Params, read: Callable[[object], T]) -> T:
        return self._read(method, await self._call(method, params), read)

    def _read(self, method: Method, value: object, read: Callable[[object], T]) -> T:
        try:
            return read(value)
        except DecodeError as error:
            raise self._nonsense(f"{method}: {error}") from None

    def _read_block(self, answer: object, wanted: BlockHash) -> Block:
        return self._read(Method.GETBLOCK, answer, lambda value: as_block(value, wanted))

    async def _call(self, method: Method, params: Params, *, extra_seconds: float = 0.0) -> object:
        answer = await self._exchange(method, _request(0, method, params), extra_seconds)
        result = self._result(method, answer)
        if isinstance(result, CoreError):
            raise result
        return result

    async def _batch(self, method: Method, calls: Sequence[Params]) -> list[object]:
        """Results in the order of `calls`; an error stands in its place as a `CoreError`."""
        if not calls:
            return []
        asked = [_request(n, method, params) for n, params in enumerate(calls)]
        answers = await self._exchange(method, asked, 0.0)
        if isinstance(answers, dict):  # One error about the whole batch.
            raise self._as_error(method, answers)
        results: dict[object, object] = {}
        for answer in answers if isinstance(answers, list) else ():
            if isinstance(answer, dict) and isinstance(answer.get("id"), int):
                results[answer["id"]] = self._result(method, answer)
        if set(results) != set(range(len(calls))):
            raise self._nonsense(f"{method}: not as many answers as questions")
        return [results[n] for n in range(len(calls))]

    def _result(self, method: Method, answer: object) -> object:
        if not isinstance(answer, dict) or not ("result" in answer or "error" in answer):
            raise self._nonsense(f"{method}: neither a result nor an error")
        return answer["result"] if answer.get("error") is None else self._as_error(method, answer)

    def _as_error(self, method: Method, answer: dict[str, object]) -> CoreError:
        error = answer.get("error")
        if not isinstance(error, dict) or not isinstance(error.get("code"), int):
            raise self._nonsense(f"{method}: an error without a code")
        message = printable(str(error.get("message", "no reason")))
        if error["code"] == _WARMING_UP:
            message = f"it is still starting, {message}"
        return CoreError(method, error["code"], message)

    def _nonsense(self, what: str) -> ServiceFault:
        return ServiceFault(
            f"what answers at {self._endpoint} does not behave like Bitcoin Core "
            f"({printable(what)}): is --chain the right address?"
        )

    # HTTP.

    async def _exchange(self, method: Method, request: object, extra_seconds: float) -> object:
        """Post one JSON value and give the value that comes back; raises `ServiceFault`."""
        body = json.dumps(request, separators=(",", ":")).encode()
        seconds = self._timeout_seconds + extra_seconds
        try:
            async with self._slots, asyncio.timeout(seconds):
                answer = await self._authorized(body)
        except TimeoutError:
            raise ServiceFault(
                f"the chain backend at {self._endpoint} has not answered {method} "
                f"within {seconds:.0f} s"
            ) from None
        except DecodeError as error:
            raise self._nonsense(str(error)) from None
        except OSError as error:
            reason = error.strerror or str(error) or type(error).__name__
            raise ServiceFault(
                f"no chain backend answers at {self._endpoint} ({reason}): start it "
                "(Bitcoin Core or `leyden regtest`), or give another --chain"
            ) from None
        return self._body(method, answer)

    async def _authorized(self, body: bytes) -> HttpAnswer:
        known = self._authorization
        if known is not None:
            answer = await self._post(body, known)
            if answer.status != 401 or not isinstance(self._endpoint.auth, CookieFile):
                return answer
        # The first time, and whenever a restarted backend has written another cookie.
        self._authorization = self._endpoint.authorization()
        return await self._post(body, self._authorization)

    async def _post(self, body: bytes, authorization: str) -> HttpAnswer:
        while True:
            # A kept connection that has died is dropped and the next one tried; a new one is last.
            connection = (
                self._idle.pop()
                if self._idle
                else HttpConnection(self._endpoint.host, self._endpoint.port)
            )
            with suppress(HungUp):
                answer = await connection.post([("Authorization", authorization)], body)
                if connection.usable:
                    self._idle.append(connection)
                return answer

    def _body(self, method: Method, answer: HttpAnswer) -> object:
        match answer.status:
            # JSON-RPC 1.x puts errors of a method under 500, 404 and 400.
            case 200 | 400 | 404 | 500:
                try:
                    return parse_json(answer.body)
                except DecodeError as error:
                    raise self._nonsense(f"{method}: {error}") from None
            case 401:
                means = "cookie" if isinstance(self._endpoint.auth, CookieFile) else "password"
                raise ServiceFault(
                    f"the chain backend at {self._endpoint} refuses our {means}: "
                    "give the one that belongs to it"
                )
            case 403:
                raise ServiceFault(
                    f"the chain backend at {self._endpoint} refuses our address: see rpcallowip"
                )
            case 503:
                raise ServiceFault(f"the chain backend at {self._endpoint} is overloaded")
            case status:
                raise self._nonsense(f"{method}: HTTP status {status}")


def _refusal(error: CoreError) -> BroadcastResult:
    """What Core's error says of what it was offered; raises it when it says nothing."""
    if error.code == _IN_UTXO_SET:
        return BroadcastResult(BroadcastKind.CONFIRMED)
    about_it = error.code in (_UNDECODABLE, _VERIFY_ERROR, _VERIFY_REJECTED)
    if about_it or kind_of_reason(error.message) is BroadcastKind.CONFIRMED:
        return result_of_reason(error.message)
    raise error


def _request(number: int, method: Method, params: Params) -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": number, "method": str(method), "params": list(params)}


def _shown(block: BlockHash) -> str:
    return block[::-1].hex()
