"""Looks up the outputs that channel announcements name: there, unspent, deep enough?

Three questions for each, all of them Core's own: which block has this height, which transactions
are in it, and is this output unspent.  Announcements come in the order of their blocks, so what is
in the last blocks is kept.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Protocol, TypeAlias, TypeVar

from wallet.base.errors import DecodeError, ServiceFault
from wallet.base.values.amounts import SAT_PER_BTC, Satoshi
from wallet.base.values.ids import BlockHash, OutPoint, Txid
from wallet.machines.routing.gossip import ANNOUNCE_DEPTH, FundingQuery, Verdict
from wallet.machines.routing.gossip_book import FundingFound
from wallet.services.chain.answers import as_bytes, as_hash, as_members, as_text
from wallet.services.chain.bitcoind import Bitcoind, CoreError, Method

BLOCKS_KEPT: Final = 64
_BLOCKS_AT_ONCE: Final = 8
"""The ids of a full block are 200 kB of JSON."""
_OUTPUTS_AT_ONCE: Final = 64
_NOT_FOUND: Final = -5
_OUT_OF_RANGE: Final = -8

T = TypeVar("T")
Found: TypeAlias = FundingFound | Verdict
"""What an announcement is worth to the chain: its output, or why not (`NO_FUNDING`, `UNKNOWN`)."""


class FundingSeeker(Protocol):
    """Who can be asked for an output that no block may hold yet."""

    async def is_there(self, outpoint: OutPoint) -> bool | None:
        """Whether a block or the mempool has made it. Never raises `ServiceFault`."""


class FundingSource(Protocol):
    """Who can be asked for funding outputs."""

    async def look_up(self, queries: Sequence[FundingQuery]) -> list[Found]:
        """One answer for each query, in their order. Never raises `ServiceFault`."""


@dataclass(frozen=True, slots=True)
class _Unspent:
    """`gettxout`."""

    script_pubkey: bytes
    amount: Satoshi
    confirmations: int


class Fundings:
    """The funding outputs that one backend knows."""

    def __init__(self, backend: Bitcoind) -> None:
        self._backend = backend
        self._txids: OrderedDict[BlockHash, tuple[bytes, ...]] = OrderedDict()

    async def look_up(self, queries: Sequence[FundingQuery]) -> list[Found]:
        """One answer for each query, in their order."""
        answers: list[Found] = []
        for part in _parts(queries, _OUTPUTS_AT_ONCE):
            try:
                answers += await self._look_up(part)
            except ServiceFault:
                answers += [Verdict.UNKNOWN] * len(part)
        return answers

    async def is_there(self, outpoint: OutPoint) -> bool | None:
        """Whether a block or the mempool has made this output; None when the backend fails.

        A block that has spent it is not looked for: blocks are followed.  What the mempool has
        spent is there: a close may wait for its block together with the funding.
        """
        txid = str(outpoint.txid)
        try:
            asked = [(txid, outpoint.index, True)]
            [unspent] = await self._backend.ask_many(Method.GETTXOUT, asked, _as_unspent)
            if unspent is not None:
                return None if isinstance(unspent, CoreError) else True
            [entry] = await self._backend.ask_many(Method.GETMEMPOOLENTRY, [(txid,)], as_members)
        except ServiceFault:
            return None
        if isinstance(entry, CoreError):
            return False if entry.code == _NOT_FOUND else None
        return True

    async def _look_up(self, queries: Sequence[FundingQuery]) -> list[Found]:
        txids: dict[int, tuple[bytes, ...] | None] = {}
        for heights in _parts(sorted({q.scid.block for q in queries}), _BLOCKS_AT_ONCE):
            txids |= await self._blocks_at(heights)
        places = [_place(q, txids[q.scid.block]) for q in queries]
        known = [p for p in places if p is not None]
        asked = [(str(p.txid), p.index, False) for p in known]
        answers = await self._backend.ask_many(Method.GETTXOUT, asked, _as_unspent)
        unspent = dict(zip(known, answers, strict=True))
        return [
            Verdict.NO_FUNDING if place is None else _judge(query, place, unspent[place])
            for query, place in zip(queries, places, strict=True)
        ]

    async def _blocks_at(self, heights: Sequence[int]) -> dict[int, tuple[bytes, ...] | None]:
        """The transactions of the best chain's blocks; None where there is no such block."""
        asked = [(height,) for height in heights]
        hashes = await self._backend.ask_many(Method.GETBLOCKHASH, asked, as_hash)
        for answer in hashes:
            if isinstance(answer, CoreError) and answer.code != _OUT_OF_RANGE:
                raise answer
        known = [h for h in hashes if not isinstance(h, CoreError)]
        kept = await self._contents(known)
        return {
            height: None if isinstance(answer, CoreError) else kept[answer]
            for height, answer in zip(heights, hashes, strict=True)
        }

    async def _contents(self, blocks: Sequence[BlockHash]) -> dict[BlockHash, tuple[bytes, ...]]:
        missing = [block for block in blocks if block not in self._txids]
        asked = [(block[::-1].hex(), 1) for block in missing]
        answers = await self._backend.ask_many(Method.GETBLOCK, asked, _as_txids)
        for block, answer in zip(missing, answers, strict=True):
            if isinstance(answer, CoreError):
                # A backend that prunes cannot say: that is nobody's fault.
                raise answer
            self._txids[block] = answer
        found = {block: self._txids[block] for block in blocks}
        for block in blocks:
            self._txids.move_to_end(block)
        while len(self._txids) > BLOCKS_KEPT:
            self._txids.popitem(last=False)
        return found


def _place(query: FundingQuery, txids: tuple[bytes, ...] | None) -> OutPoint | None:
    if txids is None or query.scid.tx_index >= len(txids):
        return None
    return OutPoint(Txid(txids[query.scid.tx_index]), query.scid.output)


def _judge(query: FundingQuery, place: OutPoint, answer: _Unspent | CoreError | None) -> Found:
    if isinstance(answer, CoreError):
        return Verdict.UNKNOWN
    # BOLT 7: not "a P2WSH (using `bitcoin_key_1` and `bitcoin_key_2` […]) OR the output is
    # spent: MUST ignore the message"; with fewer than 6 confirmations, SHOULD.
    if (
        answer is None
        or answer.script_pubkey != query.script_pubkey
        or answer.confirmations < ANNOUNCE_DEPTH
    ):
        return Verdict.NO_FUNDING
    return FundingFound(place, answer.amount)


def _parts(items: Sequence[T], size: int) -> list[Sequence[T]]:
    return [items[at : at + size] for at in range(0, len(items), size)]


def _as_txids(value: object) -> tuple[bytes, ...]:
    """`getblock` with verbosity 1."""
    txids = as_members(value).get("tx")
    if not isinstance(txids, list):
        raise DecodeError("a block without its transactions")
    found = tuple(as_bytes(as_text(txid))[::-1] for txid in txids)
    if any(len(txid) != 32 for txid in found):
        raise DecodeError("a txid that is none")
    return found


def _as_unspent(value: object) -> _Unspent | None:
    """`gettxout`: null for what is spent or never was."""
    if value is None:
        return None
    members = as_members(value)
    amount, confirmations = members.get("value"), members.get("confirmations")
    if isinstance(amount, bool) or not isinstance(amount, int | Decimal):
        raise DecodeError("an output without an amount")
    if isinstance(confirmations, bool) or not isinstance(confirmations, int):
        raise DecodeError("an output without confirmations")
    script = as_bytes(as_members(members.get("scriptPubKey")).get("hex"))
    return _Unspent(script, Satoshi(int(amount * SAT_PER_BTC)), confirmations)
