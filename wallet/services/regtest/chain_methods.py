"""RPC methods about blocks and the UTXO set."""

from hashlib import sha256
from typing import Any

from wallet.base.bitcoin.block import Block, BlockHeader
from wallet.base.bitcoin.chains import REGTEST
from wallet.base.values.ids import BlockHash, OutPoint
from wallet.services.regtest.context import (
    Context,
    block_hash_of,
    block_of,
    script_of,
    txid_of,
)
from wallet.services.regtest.index import Coin
from wallet.services.regtest.json_text import btc
from wallet.services.regtest.miner import subsidy
from wallet.services.regtest.render import (
    Json,
    block_json,
    chain_work,
    difficulty,
    header_json,
    script_json,
    shown,
)
from wallet.services.regtest.rpc import (
    INVALID_PARAMETER,
    MISC_ERROR,
    RpcError,
    method,
)


@method
def getblockcount(context: Context) -> int:
    """Height of the most-work fully-validated chain."""
    return context.node.chain.height


@method
def getbestblockhash(context: Context) -> str:
    """Hash of the best block."""
    return shown(context.node.chain.tip)


@method
def getblockhash(context: Context, height: int) -> str:
    """Hash of the block at a height of the best chain."""
    if not 0 <= height <= context.node.chain.height:
        raise RpcError(INVALID_PARAMETER, "Block height out of range")
    return shown(context.node.chain.hash_at(height))


@method
def getblockheader(context: Context, blockhash: str, verbose: bool | None = None) -> Json | str:
    """Header of a block, as an object or (verbose=false) as hexadecimal."""
    chain = context.node.chain
    block_hash = block_hash_of(context, blockhash)
    header, height = _header(context, block_hash)
    if verbose is False:
        return header.encode().hex()
    out = header_json(chain, block_hash, header, height)
    out["nTx"] = len(_block(context, block_hash).transactions)
    return out


@method
def getblock(context: Context, blockhash: str, verbosity: int | bool | None = None) -> Json | str:
    """A block: 0 hexadecimal, 1 with txids, 2 with transactions, 3 with what they spend."""
    block_hash = block_hash_of(context, blockhash)
    level = 1 if verbosity is None else int(verbosity)
    block = _block(context, block_hash)
    if level <= 0:
        return block.encode().hex()
    _, height = _header(context, block_hash)
    return block_json(context.node.chain, block, height, level)


def _header(context: Context, block_hash: BlockHash) -> tuple[BlockHeader, int]:
    found = context.node.chain.index.header(block_hash)
    if found is None:
        raise RpcError(MISC_ERROR, "Block not found on disk")
    return found


def _block(context: Context, block_hash: BlockHash) -> Block:
    raw = context.node.chain.index.raw_block(block_hash)
    if raw is None:
        raise RpcError(MISC_ERROR, "Block not found on disk")
    return Block.decode(raw)


@method
def getblockchaininfo(context: Context) -> Json:
    """State of the chain."""
    chain = context.node.chain
    header, height = _header(context, chain.tip)
    return {
        "chain": REGTEST.bip70_name,
        "blocks": height,
        "headers": height,
        "bestblockhash": shown(chain.tip),
        "bits": f"{header.bits:08x}",
        "target": f"{header.target:064x}",
        "difficulty": difficulty(header.bits),
        "time": header.time,
        "mediantime": chain.median_time_past,
        "verificationprogress": 1,
        "initialblockdownload": False,
        "chainwork": chain_work(height),
        "size_on_disk": 0,
        "pruned": False,
        "warnings": [],
    }


@method
def getchaintips(context: Context) -> list[Json]:
    """Tips of all known branches."""
    index, tip = context.node.chain.index, context.node.chain.tip
    family = index.family()
    parents = {previous for _, previous in family}
    held_back = index.held_back()
    tips: list[Json] = []
    for block_hash, _ in family:
        if block_hash in parents and block_hash != tip:
            continue
        height = _header(context, block_hash)[1]
        length, ancestor = 0, block_hash
        while index.active_height(ancestor) is None:
            length += 1
            ancestor = _header(context, ancestor)[0].previous
        status = "invalid" if block_hash in held_back else "valid-fork"
        tips.append(
            {
                "height": height,
                "hash": shown(block_hash),
                "branchlen": length,
                "status": "active" if block_hash == tip else status,
            }
        )
    return sorted(tips, key=lambda t: -t["height"])


@method
def submitblock(context: Context, hexdata: str, dummy: str | None = None) -> str | None:
    """Offer a block; null if it was accepted, else the reason."""
    del dummy  # Core takes and ignores it too.
    block = block_of(hexdata)
    node = context.node
    reason = node.submit(block)
    if reason is None:
        on_chain = node.chain.index.active_height(block.hash) is not None
        return None if on_chain else "inconclusive"
    # Core answers with the bare reason, without what its log adds after a comma.
    return reason.partition(", ")[0]


@method
def invalidateblock(context: Context, blockhash: str) -> None:
    """Hold a block and its descendants back, as if they were invalid."""
    block_hash = block_hash_of(context, blockhash)
    if context.node.chain.hash_at(0) == block_hash:
        raise RpcError(INVALID_PARAMETER, "The genesis block cannot be invalidated")
    context.node.invalidate(block_hash)


@method
def reconsiderblock(context: Context, blockhash: str) -> None:
    """Undo invalidateblock for a block, its ancestors and its descendants."""
    context.node.reconsider(block_hash_of(context, blockhash))


@method
def gettxout(
    context: Context, txid: str, n: int, include_mempool: bool | None = None
) -> Json | None:
    """An unspent output, or null."""
    node = context.node
    outpoint = OutPoint(txid_of(txid), n)
    unconfirmed = include_mempool is not False
    coin = node.mempool.coin(outpoint) if unconfirmed else node.chain.index.coin(outpoint)
    if coin is None:
        return None
    return {
        "bestblock": shown(node.chain.tip),
        "confirmations": 0 if coin.height is None else node.chain.height - coin.height + 1,
        "value": btc(coin.output.amount.sat),
        "scriptPubKey": script_json(coin.output.script_pubkey),
        "coinbase": coin.coinbase,
    }


@method
def gettxoutsetinfo(context: Context, hash_type: str | None = None) -> Json:
    """Size and total of the UTXO set, with Core's `hash_serialized_3` unless hash_type is none."""
    kind = hash_type or "hash_serialized_3"
    if kind not in ("hash_serialized_3", "none"):
        raise RpcError(INVALID_PARAMETER, f"'{kind}' is not a valid hash_type")
    digest, total, count, bogosize = sha256(), 0, 0, 0
    transactions = set()
    for outpoint, coin in context.node.chain.index.coins():
        transactions.add(outpoint.txid)
        total += coin.output.amount.sat
        count += 1
        bogosize += 50 + len(coin.output.script_pubkey)
        digest.update(outpoint.txid + outpoint.index.to_bytes(4, "little"))
        code = 2 * (coin.height or 0) + coin.coinbase
        digest.update(code.to_bytes(4, "little") + coin.output.encode())
    out: Json = {
        "height": context.node.chain.height,
        "bestblock": shown(context.node.chain.tip),
        "txouts": count,
        "bogosize": bogosize,
    }
    if kind != "none":
        out["hash_serialized_3"] = shown(sha256(digest.digest()).digest())
    return {
        **out,
        "total_amount": btc(total),
        "transactions": len(transactions),
        "disk_size": 0,
    }


@method
def scantxoutset(
    context: Context, action: str, scanobjects: list[Any] | None = None
) -> Json | bool | None:
    """Unspent outputs of addresses: descriptors `addr(ADDRESS)` and `raw(HEX)` only."""
    if action in ("status", "abort"):
        return None if action == "status" else False
    if action != "start" or scanobjects is None:
        raise RpcError(INVALID_PARAMETER, f"Invalid action '{action}'")
    wanted: dict[bytes, str] = {}
    for item in scanobjects:
        text = str(item.get("desc")) if isinstance(item, dict) else str(item)
        inner = text.partition("#")[0]
        address = inner[5:-1] if inner.startswith("addr(") and inner.endswith(")") else inner
        wanted[script_of(address)] = text
    chain = context.node.chain
    found = [
        {**_coin_json(outpoint, coin, chain.height), "desc": wanted[coin.output.script_pubkey]}
        for outpoint, coin in chain.index.coins()
        if coin.output.script_pubkey in wanted
    ]
    return {
        "success": True,
        "height": chain.height,
        "bestblock": shown(chain.tip),
        "unspents": found,
        "total_amount": sum((u["amount"] for u in found), btc(0)),
    }


def _coin_json(outpoint: OutPoint, coin: Coin, tip: int) -> Json:
    height = coin.height or 0
    return {
        "txid": str(outpoint.txid),
        "vout": outpoint.index,
        "scriptPubKey": coin.output.script_pubkey.hex(),
        "amount": btc(coin.output.amount.sat),
        "coinbase": coin.coinbase,
        "height": height,
        "confirmations": tip - height + 1,
    }


@method
def listutxos(context: Context) -> Json:
    """Ours: the whole UTXO set in satoshi, with the sum of all subsidies, for a money check."""
    chain = context.node.chain
    coins = [
        {
            "txid": str(outpoint.txid),
            "vout": outpoint.index,
            "amount_sat": coin.output.amount.sat,
            "scriptPubKey": coin.output.script_pubkey.hex(),
            "height": coin.height,
            "coinbase": coin.coinbase,
        }
        for outpoint, coin in chain.index.coins()
    ]
    return {
        "height": chain.height,
        "bestblock": shown(chain.tip),
        "subsidies_sat": sum(subsidy(h).sat for h in range(1, chain.height + 1)),
        "total_sat": sum(coin["amount_sat"] for coin in coins),
        "utxos": coins,
    }
