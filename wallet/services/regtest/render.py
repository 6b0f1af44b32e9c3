"""Blocks, transactions and scripts as the JSON objects that Core answers with.

Shapes and names are Core's (version 31), without `desc` and `coinbase_tx`. Hashes are reversed
hexadecimal, amounts BTC as `Decimal`.
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

from wallet.base.bitcoin.address import encode_address
from wallet.base.bitcoin.block import HEADER_SIZE, Block, BlockHeader
from wallet.base.bitcoin.chains import REGTEST
from wallet.base.bitcoin.script import Op
from wallet.base.bitcoin.transaction import Transaction, TxOut, encode_varint
from wallet.base.errors import DecodeError
from wallet.base.values.ids import BlockHash
from wallet.services.regtest.chain import Chain
from wallet.services.regtest.index import Coin
from wallet.services.regtest.json_text import btc
from wallet.services.regtest.policy import is_coinbase, script_items, script_type

Json = dict[str, Any]

# Core's names of the opcodes from 0x61 on, in order.
_OPCODE_NAMES: Final = """
    NOP VER IF NOTIF VERIF VERNOTIF ELSE ENDIF VERIFY RETURN TOALTSTACK FROMALTSTACK 2DROP 2DUP
    3DUP 2OVER 2ROT 2SWAP IFDUP DEPTH DROP DUP NIP OVER PICK ROLL ROT SWAP TUCK CAT SUBSTR LEFT
    RIGHT SIZE INVERT AND OR XOR EQUAL EQUALVERIFY RESERVED1 RESERVED2 1ADD 1SUB 2MUL 2DIV NEGATE
    ABS NOT 0NOTEQUAL ADD SUB MUL DIV MOD LSHIFT RSHIFT BOOLAND BOOLOR NUMEQUAL NUMEQUALVERIFY
    NUMNOTEQUAL LESSTHAN GREATERTHAN LESSTHANOREQUAL GREATERTHANOREQUAL MIN MAX WITHIN RIPEMD160
    SHA1 SHA256 HASH160 HASH256 CODESEPARATOR CHECKSIG CHECKSIGVERIFY CHECKMULTISIG
    CHECKMULTISIGVERIFY NOP1 CHECKLOCKTIMEVERIFY CHECKSEQUENCEVERIFY NOP4 NOP5 NOP6 NOP7 NOP8
    NOP9 NOP10 CHECKSIGADD
"""
_OPCODES: Final = _OPCODE_NAMES.split()
_FIRST_OPCODE: Final = 0x61


def shown(block_hash: bytes) -> str:
    """A hash as people see it: reversed hexadecimal."""
    return block_hash[::-1].hex()


def asm(script: bytes) -> str:
    """A script in words, as Core writes it."""
    words: list[str] = []
    for opcode, data in script_items(script):
        index = opcode - _FIRST_OPCODE
        if 0 < opcode <= Op.PUSHDATA4:
            words.append(_pushed(data))
        elif opcode in (0, Op.OP_1NEGATE) or Op.OP_1 <= opcode <= Op.OP_16:
            words.append(str(opcode and opcode - Op.OP_1 + 1))
        elif 0 <= index < len(_OPCODES):
            words.append(f"OP_{_OPCODES[index]}")
        else:
            words.append("OP_UNKNOWN")
    return " ".join(words)


def _pushed(data: bytes) -> str:
    """Up to four bytes are shown as the number that they are, longer ones as hexadecimal."""
    if len(data) > 4:
        return data.hex()
    if not data:
        return "0"
    magnitude = int.from_bytes(data, "little") & ~(0x80 << 8 * (len(data) - 1))
    return str(-magnitude if data[-1] & 0x80 else magnitude)


def script_json(script_pubkey: bytes) -> Json:
    """An output script."""
    out: Json = {"asm": asm(script_pubkey), "hex": script_pubkey.hex()}
    kind = script_type(script_pubkey)
    with suppress(DecodeError):  # No address: Core leaves the field out too.
        out["address"] = encode_address(script_pubkey, REGTEST)
    out["type"] = kind
    return out


def transaction_json(
    tx: Transaction, prevouts: Sequence[Coin] | None = None, *, show_prevouts: bool = False
) -> Json:
    """A transaction; with its coins also its fee, and with `show_prevouts` each of them."""
    raw = tx.encode()
    inputs: list[Json] = []
    for index, txin in enumerate(tx.inputs):
        item: Json
        if is_coinbase(tx):
            item = {"coinbase": txin.script_sig.hex()}
        else:
            item = {
                "txid": str(txin.outpoint.txid),
                "vout": txin.outpoint.index,
                "scriptSig": {"asm": asm(txin.script_sig), "hex": txin.script_sig.hex()},
            }
        if txin.witness:
            item["txinwitness"] = [w.hex() for w in txin.witness]
        if prevouts is not None and show_prevouts:
            coin = prevouts[index]
            item["prevout"] = {
                "generated": coin.coinbase,
                "height": coin.height,
                "value": btc(coin.output.amount.sat),
                "scriptPubKey": script_json(coin.output.script_pubkey),
            }
        item["sequence"] = txin.sequence
        inputs.append(item)
    out: Json = {
        "txid": str(tx.txid),
        "hash": str(tx.wtxid),
        "version": tx.version,
        "size": len(raw),
        "vsize": tx.vsize,
        "weight": tx.weight,
        "locktime": tx.locktime,
        "vin": inputs,
        "vout": [{"value": btc(o.amount.sat), "n": n, **_script(o)} for n, o in _numbered(tx)],
    }
    if prevouts is not None:
        spent = sum(coin.output.amount.sat for coin in prevouts)
        out["fee"] = btc(spent - sum(o.amount.sat for o in tx.outputs))
    return out


def _numbered(tx: Transaction) -> list[tuple[int, TxOut]]:
    return list(enumerate(tx.outputs))


def _script(out: TxOut) -> Json:
    return {"scriptPubKey": script_json(out.script_pubkey)}


def header_json(chain: Chain, block_hash: BlockHash, header: BlockHeader, height: int) -> Json:
    """What getblockheader and getblock say about a logged block."""
    active = chain.index.active_height(block_hash) is not None
    out: Json = {
        "hash": shown(block_hash),
        "confirmations": chain.height - height + 1 if active else -1,
        "height": height,
        "version": header.version,
        "versionHex": f"{header.version & 0xFFFFFFFF:08x}",
        "merkleroot": shown(header.merkle_root),
        "time": header.time,
        "mediantime": chain.index.median_time_past(block_hash),
        "nonce": header.nonce,
        "bits": f"{header.bits:08x}",
        "target": f"{header.target:064x}",
        "difficulty": difficulty(header.bits),
        "chainwork": chain_work(height),
        "nTx": 0,
    }
    if height > 0:
        out["previousblockhash"] = shown(header.previous)
    if active and height < chain.height:
        out["nextblockhash"] = shown(chain.hash_at(height + 1))
    return out


def block_json(chain: Chain, block: Block, height: int, verbosity: int) -> Json:
    """A block: 1 txids, 2 whole transactions with fees, 3 with the outputs they spend."""
    out = header_json(chain, block.hash, block.header, height)
    count = len(block.transactions)
    frame = HEADER_SIZE + len(encode_varint(count))
    out["nTx"] = count
    out["strippedsize"] = frame + sum(len(t.encode(witness=False)) for t in block.transactions)
    out["size"] = frame + sum(len(t.encode()) for t in block.transactions)
    out["weight"] = block.weight
    if verbosity == 1:
        out["tx"] = [str(tx.txid) for tx in block.transactions]
        return out
    out["tx"] = [
        {
            **transaction_json(tx, _spent(chain, tx, block), show_prevouts=verbosity > 2),
            "hex": tx.encode().hex(),
        }
        for tx in block.transactions
    ]
    return out


def _spent(chain: Chain, tx: Transaction, block: Block) -> list[Coin] | None:
    """The coins that a confirmed transaction spent; None for a coinbase or a side branch."""
    if is_coinbase(tx) or chain.index.active_height(block.hash) is None:
        return None
    found = [chain.index.spent_coin(txin.outpoint) for txin in tx.inputs]
    coins = [spent[0] for spent in found if spent is not None]
    return coins if len(coins) == len(found) else None


def difficulty(bits: int) -> float:
    """How much harder than the easiest mainnet target."""
    exponent, mantissa = bits >> 24, bits & 0xFFFFFF
    return float(0xFFFF / mantissa * 256.0 ** (29 - exponent))


def chain_work(height: int) -> str:
    """Expected hashes up to `height`: two for every regtest block."""
    return f"{2 * (height + 1):064x}"
