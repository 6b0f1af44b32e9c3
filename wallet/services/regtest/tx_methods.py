"""RPC methods that tell of transactions and the mempool, set fees and mine."""

import asyncio
from decimal import Decimal
from typing import Any, Final

from wallet.base.bitcoin.block import Block
from wallet.base.bitcoin.transaction import Transaction
from wallet.base.values.ids import BlockHash, OutPoint, Txid
from wallet.services.regtest.clusters import MAX_CLUSTER_COUNT, MAX_CLUSTER_WEIGHT
from wallet.services.regtest.context import (
    Context,
    block_hash_of,
    feerate_of,
    script_of,
    strings_of,
    transaction_of,
    txid_of,
)
from wallet.services.regtest.index import Coin
from wallet.services.regtest.json_text import btc
from wallet.services.regtest.mempool import MIN_BLOCK_FEE, MIN_RELAY_FEE, Entry
from wallet.services.regtest.render import Json, shown, transaction_json
from wallet.services.regtest.rpc import (
    INVALID_ADDRESS_OR_KEY,
    INVALID_PARAMETER,
    RpcError,
    method,
)

_MAX_BLOCKS: Final = 10_000
_BLOCKS_AT_ONCE: Final = 50


@method
def getrawtransaction(
    context: Context,
    txid: str,
    verbosity: int | bool | None = None,
    blockhash: str | None = None,
) -> Json | str:
    """A transaction, of mempool or chain: 0 hexadecimal, 1 object, 2 with fee and prevouts."""
    name = txid_of(txid)
    tx, block_hash = _find(context, name, blockhash)
    level = 0 if verbosity is None else int(verbosity)
    if level <= 0:
        return tx.encode().hex()
    coins = _coins(context, tx) if level > 1 else None
    out = transaction_json(tx, coins, show_prevouts=level > 1)
    out["hex"] = tx.encode().hex()
    if block_hash is None:
        return out
    chain = context.node.chain
    height = chain.index.active_height(block_hash)
    if blockhash is not None:
        out["in_active_chain"] = height is not None
    out["blockhash"] = shown(block_hash)
    found = chain.index.header(block_hash)
    if found is not None and height is not None:
        out["confirmations"] = chain.height - height + 1
        out["time"] = out["blocktime"] = found[0].time
    elif found is not None:
        out["confirmations"] = 0
    return out


def _find(
    context: Context, txid: Txid, blockhash: str | None
) -> tuple[Transaction, BlockHash | None]:
    index = context.node.chain.index
    if blockhash is not None:
        block_hash = block_hash_of(context, blockhash)
        block = Block.decode(index.raw_block(block_hash) or b"")
        for tx in block.transactions:
            if tx.txid == txid:
                return tx, block_hash
        raise RpcError(
            INVALID_ADDRESS_OR_KEY,
            "No such transaction found in the provided block. "
            "Use gettransaction for wallet transactions.",
        )
    if (entry := context.node.mempool.entries.get(txid)) is not None:
        return entry.tx, None
    found = index.raw_transaction(txid)
    if found is None:
        raise RpcError(
            INVALID_ADDRESS_OR_KEY,
            "No such mempool or blockchain transaction. "
            "Use gettransaction for wallet transactions.",
        )
    return Transaction.decode(found[0]), found[1]


def _coins(context: Context, tx: Transaction) -> list[Coin] | None:
    found = [context.node.mempool.any_coin(txin.outpoint) for txin in tx.inputs]
    coins = [coin for coin in found if coin is not None]
    return coins if len(coins) == len(found) else None


@method
def decoderawtransaction(context: Context, hexstring: str, iswitness: bool | None = None) -> Json:
    """A transaction as an object."""
    del context, iswitness
    return transaction_json(transaction_of(hexstring))


@method
def getrawmempool(
    context: Context, verbose: bool | None = None, mempool_sequence: bool | None = None
) -> list[str] | Json:
    """Txids of the mempool; verbose: with what getmempoolentry says."""
    entries = context.node.mempool.entries
    if verbose:
        return {str(txid): _entry_json(context, entry) for txid, entry in entries.items()}
    txids = [str(txid) for txid in entries]
    if mempool_sequence:
        return {"txids": txids, "mempool_sequence": context.node.events.next}
    return txids


@method
def getmempoolentry(context: Context, txid: str) -> Json:
    """One transaction of the mempool."""
    entry = context.node.mempool.entries.get(txid_of(txid))
    if entry is None:
        raise RpcError(INVALID_ADDRESS_OR_KEY, "Transaction not in mempool")
    return _entry_json(context, entry)


def _entry_json(context: Context, entry: Entry) -> Json:
    pool = context.node.mempool
    txid = entry.tx.txid
    ancestors = [pool.entries[t] for t in pool.ancestors([txid])]
    descendants = [pool.entries[t] for t in pool.descendants([txid])]
    return {
        "vsize": entry.vsize,
        "weight": entry.weight,
        "time": entry.time,
        "height": entry.height,
        "descendantcount": len(descendants),
        "descendantsize": sum(e.vsize for e in descendants),
        "ancestorcount": len(ancestors),
        "ancestorsize": sum(e.vsize for e in ancestors),
        "wtxid": str(entry.tx.wtxid),
        "fees": {
            "base": btc(entry.fee),
            "modified": btc(entry.fee),
            "ancestor": btc(sum(e.fee for e in ancestors)),
            "descendant": btc(sum(e.fee for e in descendants)),
        },
        "depends": sorted(str(t) for t in pool.parents(txid)),
        "spentby": sorted(str(t) for t in pool.children(txid)),
        "unbroadcast": False,
    }


@method
def getmempoolinfo(context: Context) -> Json:
    """Size and limits of the mempool."""
    pool = context.node.mempool
    entries = pool.entries.values()
    return {
        "loaded": True,
        "size": len(entries),
        "bytes": sum(e.vsize for e in entries),
        "usage": sum(e.weight for e in entries),
        "total_fee": btc(sum(e.fee for e in entries)),
        "maxmempool": 300_000_000,
        "mempoolminfee": btc(max(pool.min_fee, pool.min_relay_fee)),
        "minrelaytxfee": btc(pool.min_relay_fee),
        "incrementalrelayfee": btc(MIN_RELAY_FEE),
        "unbroadcastcount": 0,
        "fullrbf": True,
        "permitbaremultisig": True,
        "maxdatacarriersize": 100_000,
        "limitclustercount": MAX_CLUSTER_COUNT,
        "limitclustersize": MAX_CLUSTER_WEIGHT // 4,
    }


@method
def gettxspendingprevout(context: Context, outputs: list[Any]) -> list[Json]:
    """Which transaction of the mempool spends each output."""
    out: list[Json] = []
    for item in outputs:
        if not isinstance(item, dict) or type(item.get("vout")) is not int:
            raise RpcError(INVALID_PARAMETER, "Invalid parameter, missing vout key")
        txid = txid_of(str(item.get("txid", "")))
        spender = context.node.mempool.spender(OutPoint(txid, item["vout"]))
        row: Json = {"txid": str(txid), "vout": item["vout"]}
        if spender is not None:
            row["spendingtxid"] = str(spender)
        out.append(row)
    return out


@method
def estimatesmartfee(context: Context, conf_target: int, estimate_mode: str | None = None) -> Json:
    """Core's answer on regtest (no estimate), or what setestimatedfee has set."""
    del estimate_mode
    if not 1 <= conf_target <= 1008:
        raise RpcError(INVALID_PARAMETER, "Invalid conf_target, must be between 1 and 1008")
    if context.estimated_fee is None:
        return {"errors": ["Insufficient data or no feerate found"], "blocks": 0}
    return {"feerate": btc(context.estimated_fee), "blocks": max(2, conf_target)}


@method
def setestimatedfee(context: Context, feerate: Decimal | None = None) -> None:
    """Ours: what estimatesmartfee shall answer, BTC per 1,000 virtual bytes; null: no estimate."""
    context.estimated_fee = None if feerate is None else feerate_of(feerate)


@method
def setmempoolminfee(context: Context, feerate: Decimal | None = None) -> None:
    """Ours: what a full mempool would ask now, BTC per 1,000 virtual bytes; null: nothing."""
    context.node.mempool.min_fee = 0 if feerate is None else feerate_of(feerate)


@method
def setminrelayfee(context: Context, feerate: Decimal | None = None) -> None:
    """Ours: Core's -minrelaytxfee, BTC per 1,000 virtual bytes; null: its default."""
    context.node.mempool.min_relay_fee = MIN_RELAY_FEE if feerate is None else feerate_of(feerate)


@method
def setminerminfee(context: Context, feerate: Decimal | None = None) -> None:
    """Ours: what the miner asks, BTC per 1,000 virtual bytes; null: next to nothing."""
    context.node.mempool.min_block_fee = MIN_BLOCK_FEE if feerate is None else feerate_of(feerate)


@method
async def generatetoaddress(
    context: Context, nblocks: int, address: str, maxtries: int | None = None
) -> list[str]:
    """Mine blocks with the best of the mempool, paying to an address."""
    del maxtries
    if not 0 <= nblocks <= _MAX_BLOCKS:
        raise RpcError(INVALID_PARAMETER, f"nblocks must be from 0 to {_MAX_BLOCKS}")
    script_pubkey = script_of(address)
    mined: list[str] = []
    for done in range(0, nblocks, _BLOCKS_AT_ONCE):
        count = min(_BLOCKS_AT_ONCE, nblocks - done)
        mined += [shown(h) for h in context.node.generate(count, script_pubkey)]
        await asyncio.sleep(0)  # Others are served between the blocks of a long run.
    return mined


@method
def generateblock(
    context: Context, output: str, transactions: list[Any], submit: bool | None = None
) -> Json:
    """Mine one block with exactly these transactions (txids of the mempool, or hexadecimal)."""
    txs: list[Transaction] = []
    for text in strings_of(transactions, "transactions"):
        if len(text) == 64:
            entry = context.node.mempool.entries.get(txid_of(text))
            if entry is None:
                raise RpcError(INVALID_ADDRESS_OR_KEY, f"Transaction {text} not in mempool.")
            txs.append(entry.tx)
        else:
            txs.append(transaction_of(text))
    block = context.node.generate_block(script_of(output), txs, submit=submit is not False)
    out: Json = {"hash": shown(block.hash)}
    if submit is False:
        out["hex"] = block.encode().hex()
    return out


@method
def reorg(context: Context, depth: int, address: str, extra: int | None = None) -> list[str]:
    """Ours: replace the last `depth` blocks by `depth + extra` (1) empty ones."""
    mined = context.node.reorg(depth, script_of(address), 1 if extra is None else extra)
    return [shown(h) for h in mined]
