"""What Core relays: context-free rules of one transaction, with Core's reject reasons.

Pure. First the consensus rules that need no coins (`CheckTransaction`), then standardness of the
transaction, of its inputs and of its witnesses. Script policy (LOW_S, MINIMALIF, NULLFAIL,
CLEANSTACK) needs a script interpreter and is not here: the kernel knows consensus only.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from wallet.base.bitcoin.script import P2A, Op, dust_limit, witness_program
from wallet.base.bitcoin.transaction import Transaction, TxIn, TxOut
from wallet.base.values.amounts import SAT_PER_BTC

MAX_MONEY: Final = 21_000_000 * SAT_PER_BTC
MAX_STANDARD_WEIGHT: Final = 400_000
MIN_STANDARD_SIZE: Final = 65
"""Non-witness bytes; 64 is the size of an inner node of a merkle tree."""
STANDARD_VERSIONS: Final = range(1, 4)

_NULL_TXID: Final = bytes(32)
_NULL_INDEX: Final = 0xFFFFFFFF
_MAX_SCRIPT_SIG: Final = 1650
_MAX_WITNESS_SCRIPT: Final = 3600
_MAX_WITNESS_ITEMS: Final = 100
_MAX_WITNESS_ITEM: Final = 80
_ANNEX_TAG: Final = 0x50
_TAPSCRIPT_LEAF: Final = 0xC0
_MAX_BARE_KEYS: Final = 3
_MAX_WEIGHT_OF_TX: Final = 4_000_000


class Rejected(Exception):
    """A transaction was not accepted. `reason` is Core's token, `detail` its debug message.

    `missing` says that inputs are not known here (now): Core answers those in other words.
    `underpaid` says that only its fee stands against it, so that a child may make up for it.
    """

    def __init__(
        self, reason: str, detail: str = "", *, missing: bool = False, underpaid: bool = False
    ) -> None:
        super().__init__(f"{reason}, {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail
        self.missing = missing
        self.underpaid = underpaid


def check_transaction(tx: Transaction) -> None:
    """Consensus rules that need neither coins nor chain; raises `Rejected`."""
    if not tx.outputs:
        raise Rejected("bad-txns-vout-empty")
    if len(tx.encode(witness=False)) * 4 > _MAX_WEIGHT_OF_TX:
        raise Rejected("bad-txns-oversize")
    total = 0
    for out in tx.outputs:
        if out.amount.sat >= 1 << 63:  # Signed on the wire, unsigned in our codec.
            raise Rejected("bad-txns-vout-negative")
        if out.amount.sat > MAX_MONEY:
            raise Rejected("bad-txns-vout-toolarge")
        total += out.amount.sat
        if total > MAX_MONEY:
            raise Rejected("bad-txns-txouttotal-toolarge")
    if len({txin.outpoint for txin in tx.inputs}) != len(tx.inputs):
        raise Rejected("bad-txns-inputs-duplicate")
    if is_coinbase(tx):
        if not 2 <= len(tx.inputs[0].script_sig) <= 100:
            raise Rejected("bad-cb-length")
    elif any(_is_null(txin) for txin in tx.inputs):
        raise Rejected("bad-txns-prevout-null")


def is_coinbase(tx: Transaction) -> bool:
    """Whether this is a block's first transaction, which spends nothing."""
    return len(tx.inputs) == 1 and _is_null(tx.inputs[0])


def _is_null(txin: TxIn) -> bool:
    return txin.outpoint.txid == _NULL_TXID and txin.outpoint.index == _NULL_INDEX


def check_standard(tx: Transaction) -> None:
    """Core's `IsStandardTx` and the least size; raises `Rejected`."""
    if tx.version not in STANDARD_VERSIONS:
        raise Rejected("version")
    if tx.weight > MAX_STANDARD_WEIGHT:
        raise Rejected("tx-size")
    for txin in tx.inputs:
        if len(txin.script_sig) > _MAX_SCRIPT_SIG:
            raise Rejected("scriptsig-size")
        if not is_push_only(txin.script_sig):
            raise Rejected("scriptsig-not-pushonly")
    # Core's limit for data (100,000 bytes in all) is above what the weight leaves room for.
    if any(script_type(out.script_pubkey) == "nonstandard" for out in tx.outputs):
        raise Rejected("scriptpubkey")
    if len(dust_outputs(tx)) > 1:
        raise Rejected("dust")
    if len(tx.encode(witness=False)) < MIN_STANDARD_SIZE:
        raise Rejected("tx-size-small")


def dust_outputs(tx: Transaction) -> list[int]:
    """Indices of outputs below the dust limit of their script."""
    return [
        index for index, out in enumerate(tx.outputs) if out.amount < dust_limit(out.script_pubkey)
    ]


def check_dust_spent(tx: Transaction, parents: Iterable[Transaction]) -> None:
    """A child of unconfirmed `parents` spends each one's dust; raises `Rejected`.

    Asked of every child, so that none can be mined that leaves the dust in the UTXO set.
    """
    spent = {txin.outpoint for txin in tx.inputs}
    for parent in parents:
        if any(parent.outpoint(index) not in spent for index in dust_outputs(parent)):
            raise Rejected(
                "missing-ephemeral-spends",
                f"{described(tx)} did not spend parent's ephemeral dust",
            )


def described(tx: Transaction) -> str:
    """Both names of a transaction, as Core's messages have them."""
    return f"tx {tx.txid} (wtxid={tx.wtxid})"


def check_inputs_standard(tx: Transaction, prevouts: Sequence[TxOut]) -> None:
    """Spends of outputs and witnesses that Core does not relay; raises `Rejected`."""
    for prevout in prevouts:
        if script_type(prevout.script_pubkey) in ("nonstandard", "witness_unknown"):
            raise Rejected("bad-txns-nonstandard-inputs")
    for txin, prevout in zip(tx.inputs, prevouts, strict=True):
        if txin.witness and not _is_witness_standard(txin, prevout.script_pubkey):
            raise Rejected("bad-witness-nonstandard")


def _is_witness_standard(txin: TxIn, script_pubkey: bytes) -> bool:
    """Core's `IsWitnessStandard` for one input that has a witness."""
    nested = script_type(script_pubkey) == "scripthash"
    if nested:
        pushes = list(script_items(txin.script_sig))
        script_pubkey = pushes[-1][1] if pushes else b""
    program = witness_program(script_pubkey)
    if program is None or script_pubkey == P2A:
        return False
    version, digest = program
    if version == 0 and len(digest) == 32:
        *items, script = txin.witness
        return (
            len(script) <= _MAX_WITNESS_SCRIPT
            and len(items) <= _MAX_WITNESS_ITEMS
            and all(len(item) <= _MAX_WITNESS_ITEM for item in items)
        )
    if version == 1 and len(digest) == 32 and not nested:
        return _is_taproot_witness_standard(txin.witness)
    return True


def _is_taproot_witness_standard(witness: tuple[bytes, ...]) -> bool:
    if len(witness) >= 2 and witness[-1][:1] == bytes((_ANNEX_TAG,)):
        return False
    if len(witness) >= 2:
        *items, _script, control = witness
        if control and control[0] & 0xFE == _TAPSCRIPT_LEAF:
            return all(len(item) <= _MAX_WITNESS_ITEM for item in items)
    return True


def script_type(script_pubkey: bytes) -> str:
    """Core's name for the form of an output script."""
    size = len(script_pubkey)
    if script_pubkey == P2A:
        return "anchor"
    if (program := witness_program(script_pubkey)) is not None:
        return _witness_type(program)
    if size == 25 and script_pubkey[:3] == b"\x76\xa9\x14" and script_pubkey[23:] == b"\x88\xac":
        return "pubkeyhash"
    if size == 23 and script_pubkey[:2] == b"\xa9\x14" and script_pubkey[22] == Op.EQUAL:
        return "scripthash"
    if size in (35, 67) and script_pubkey[0] == size - 2 and script_pubkey[-1] == Op.CHECKSIG:
        return "pubkey"
    if script_pubkey[:1] == bytes((Op.RETURN,)):
        return "nulldata" if is_push_only(script_pubkey[1:]) else "nonstandard"
    return "multisig" if _is_bare_multisig(script_pubkey) else "nonstandard"


def _witness_type(program: tuple[int, bytes]) -> str:
    match program[0], len(program[1]):
        case 0, 20:
            return "witness_v0_keyhash"
        case 0, 32:
            return "witness_v0_scripthash"
        case 0, _:
            return "nonstandard"
        case 1, 32:
            return "witness_v1_taproot"
        case _:
            return "witness_unknown"


def _is_bare_multisig(script_pubkey: bytes) -> bool:
    items = list(script_items(script_pubkey))
    if len(items) < 4 or items[-1][0] != Op.CHECKMULTISIG:
        return False
    required, total = (items[i][0] - Op.OP_1 + 1 for i in (0, -2))
    keys = [data for _, data in items[1:-2]]
    return 1 <= required <= total == len(keys) <= _MAX_BARE_KEYS and all(
        len(key) in (33, 65) for key in keys
    )


def script_items(script: bytes) -> Iterator[tuple[int, bytes]]:
    """(opcode, pushed data) of each item; stops silently before an item that is cut short."""
    at = 0
    while at < len(script):
        opcode = script[at]
        at += 1
        size = 0
        if opcode < Op.PUSHDATA1:
            size = opcode
        elif opcode <= Op.PUSHDATA4:
            width = 1 << opcode - Op.PUSHDATA1
            size = int.from_bytes(script[at : at + width], "little")
            at += width
        if at + size > len(script):
            return
        yield opcode, script[at : at + size]
        at += size


def is_push_only(script: bytes) -> bool:
    """Whether a script only pushes data, and is not cut short."""
    end = 0
    for opcode, data in script_items(script):
        if opcode > Op.OP_16:
            return False
        width = (1 << opcode - Op.PUSHDATA1) if Op.PUSHDATA1 <= opcode <= Op.PUSHDATA4 else 0
        end += 1 + width + len(data)
    return end == len(script)
