"""Who paid for what stands in the chain, to the satoshi, from its blocks.

A commitment is paid by whoever opened its channel, anchors included; a closing transaction by its
closer; any other by the one wallet that knows it. Whoever spends an anchor has found 330 sat. A
commitment has a locktime (BOLT 3 hides its number there), a mutual close has none.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from wallet.base.bitcoin.block import Block
from wallet.base.bitcoin.transaction import Transaction
from wallet.base.values.ids import OutPoint, Txid

ANCHOR_SAT = 330


@dataclass(frozen=True, slots=True)
class Bill:
    """`paid`: satoshi by name. How many channels the chain has seen open and end."""

    paid: Counter[str]
    opened: int
    by_force: int
    mutual: int
    transactions: int


def bill(
    call: Callable[..., Any],
    above: int,
    openers: Mapping[OutPoint, str],
    known: Mapping[str, set[str]],
    closers: Mapping[str, str],
) -> Bill:
    """The bill of the blocks above a height; `call` asks the chain.

    `openers` has the opener's name by funding output, `known` the ids of the transactions that each
    wallet lists, `closers` who pays for a closing transaction, by its id.  Raises `AssertionError`
    for a transaction that nobody, or more than one, pays for.
    """
    made: dict[OutPoint, int] = {}
    anchors: set[OutPoint] = set()
    paid: Counter[str] = Counter()
    opened = by_force = mutual = count = 0
    for height, block in _blocks(call):
        for position, tx in enumerate(block.transactions):
            made.update((tx.outpoint(i), out.amount.sat) for i, out in enumerate(tx.outputs))
            if position == 0 or height <= above:
                continue
            count += 1
            fee = sum(made[i.outpoint] for i in tx.inputs)
            opened += sum(tx.outpoint(i) in openers for i in range(len(tx.outputs)))
            fee -= sum(out.amount.sat for out in tx.outputs)
            ended = [openers[i.outpoint] for i in tx.inputs if i.outpoint in openers]
            if ended:
                by_force += tx.locktime != 0
                mutual += tx.locktime == 0
                left = _anchors(tx)
                anchors |= left
                [opener] = ended
                name = closers.get(str(tx.txid), opener)
                paid[name] += fee + len(left) * ANCHOR_SAT
                continue
            owners = [name for name, txids in known.items() if str(tx.txid) in txids]
            assert len(owners) == 1, f"{tx.txid} is paid for by {owners}"
            found = sum(i.outpoint in anchors for i in tx.inputs)
            paid[owners[0]] += fee - found * ANCHOR_SAT
    return Bill(paid, opened, by_force, mutual, count)


def _anchors(tx: Transaction) -> set[OutPoint]:
    return {tx.outpoint(i) for i, out in enumerate(tx.outputs) if out.amount.sat == ANCHOR_SAT}


def _blocks(call: Callable[..., Any]) -> Iterator[tuple[int, Block]]:
    for height in range(int(call("getblockcount")) + 1):
        raw = call("getblock", call("getblockhash", height), 0)
        yield height, Block.decode(bytes.fromhex(raw))


def funding_of(channel: Mapping[str, Any]) -> OutPoint:
    """The funding output of a channel as `listpeerchannels` or `listclosedchannels` shows it."""
    return OutPoint(Txid.from_display(channel["funding_txid"]), channel["funding_outnum"])
