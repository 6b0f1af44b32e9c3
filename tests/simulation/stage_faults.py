"""What may befall a payment at a stage, and how its story can end, to the millisatoshi."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, StrEnum
from functools import partial
from typing import Final

from tests.simulation.house import House
from tests.simulation.line import AMOUNT, CAPACITY, FEE, PUSHED, Line
from tests.simulation.stages import Side, Stage
from wallet.machines.channel.ending import SpendKind
from wallet.machines.payments.records import InvoiceStatus, PaymentStatus
from wallet.node.events import Tick

ANCHOR_SAT: Final = 330
_REORG_BLOCKS: Final = 3
_TOO_DEAR: Final = 1_000.0
"""Satoshi per vbyte: a block at this price is empty."""
_PAID: Final = AMOUNT.msat + FEE.msat
_ANNS_SHARE: Final = CAPACITY.sat * 1000 - PUSHED.msat
_CATS_SHARE: Final = PUSHED.msat


@dataclass(frozen=True, slots=True)
class Figures:
    """How a story ended. A cheat's own books say nothing: they are None."""

    gains: tuple[int, int, int]
    """What ann, bob and cat have more than before, but for what the chain cost each of them."""
    forwarded: bool
    """Whether bob's books have the forward as settled, with its fee."""
    payment: PaymentStatus | None
    """As ann has it."""
    invoice: InvoiceStatus | None
    """As cat has it."""


_DONE, _BACK = PaymentStatus.COMPLETE, PaymentStatus.FAILED
_RECEIVED, _OPEN = InvoiceStatus.PAID, InvoiceStatus.UNPAID


class Ending(Enum):
    """Every way in which it may end; bob never has less than before."""

    PAID = Figures((-_PAID, FEE.msat, AMOUNT.msat), True, _DONE, _RECEIVED)
    FAILED = Figures((0, 0, 0), False, _BACK, _OPEN)
    ANN_PUNISHED_PAID = Figures(
        (-_ANNS_SHARE, _ANNS_SHARE - AMOUNT.msat, AMOUNT.msat), True, None, _RECEIVED
    )
    """Ann lost all that she had in her channel; cat was paid out of it."""
    ANN_PUNISHED_FAILED = Figures((-_ANNS_SHARE, _ANNS_SHARE, 0), False, None, _OPEN)
    CAT_PUNISHED_PAID = Figures((-_PAID, _PAID + _CATS_SHARE, -_CATS_SHARE), True, _DONE, None)
    """Cat lost all that it had in its channel; ann has her proof of payment."""
    CAT_PUNISHED_FAILED = Figures((0, _CATS_SHARE, -_CATS_SHARE), False, _BACK, None)
    NO_NEXT = None
    """Nothing that bob has signed is unanswered: there is no such commitment."""


class Fault(StrEnum):
    """The columns of the table. "In" and "out" name the channel of bob's that it strikes."""

    CUT = "cut"
    CRASH_BEFORE_COMMIT = "crash before commit"
    CRASH_AFTER_COMMIT = "crash after commit"
    CRASH_WHILE_ACTING = "crash while acting"
    REORG_FUNDING = "reorg of the fundings"
    REORG_CLOSE_IN = "reorg of bob's close, in"
    REORG_CLOSE_OUT = "reorg of bob's close, out"
    REORG_TO_THEIRS_IN = "reorg to ann's close"
    REORG_TO_THEIRS_OUT = "reorg to cat's close"
    OURS_IN = "bob's close, in"
    OURS_OUT = "bob's close, out"
    THEIRS_IN = "ann's close"
    THEIRS_OUT = "cat's close"
    NEXT_IN = "ann's next"
    NEXT_OUT = "cat's next"
    REVOKED_IN = "ann's revoked"
    REVOKED_OUT = "cat's revoked"


# --- the wire and the power -----------------------------------------------------------------------


def cut(line: Line, _: int) -> bool:
    """Both links break, and nothing of what was on its way arrives."""
    for side in Side:
        line.break_link(side)
    return False


def _next_to_work(line: Line) -> House:
    """Whoever takes up the words that would bring the next stage, or else bob."""
    speaker = line.speaking()
    if speaker is None:
        assert line.bob.kernel is not None
        line.bob.kernel.inbox.put(Tick())
        return line.bob
    link, sender = speaker
    line.deliver(link, sender, len(link.wire[sender.name]))
    return link.beyond(sender)


def crash_before_commit(line: Line, _: int) -> bool:
    """Everything was worked out and signed, and nothing is on disk."""
    house = _next_to_work(line)
    house.disk.cut_before = True
    _die(line, house)
    return False


def crash_after_commit(line: Line, _: int) -> bool:
    """All is on disk, and nobody has heard of it."""
    house = _next_to_work(line)
    house.disk.cut_after = True
    _die(line, house)
    return False


def _die(line: Line, house: House) -> None:
    if line.turn(house):
        assert line.stage is Stage.OVER, "a batch without a commit"
        line.kill(house)


def crash_while_acting(line: Line, variation: int) -> bool:
    """So many actions were done; with all of them done there is no further variation."""
    house = _next_to_work(line)
    house.acts_left = variation
    if line.turn(house):
        line.kill(house)
        return False
    return True


# --- the chain ------------------------------------------------------------------------------------


def reorg_funding(line: Line, _: int) -> bool:
    """The blocks with both fundings go; they come again, later and in another block."""
    fundings = [line.of(line.bob, side).funding.outpoint.txid for side in Side]
    heights = [line.chain.confirmed[txid] for txid in fundings]
    depth = line.chain.height - min(heights) + 1
    line.chain.unmine(depth)
    for _ in range(depth + 1):
        line.chain.mine(_TOO_DEAR)
    line.pump()
    assert all(line.of(h, s).funding.confirmed is None for s in Side for h in line.link(s).ends)
    return False


def ours(side: Side, line: Line, _: int) -> bool:
    """Bob broadcasts his commitment."""
    line.break_link(side)
    line.close(line.bob, side)
    return False


def reorg_close(side: Side, line: Line, _: int) -> bool:
    """Bob's commitment is in a block, and what may follow at once; then all that goes."""
    ours(side, line, 0)
    _take_back_close(side, line)
    line.pump()
    assert line.spend_kind(side) is None
    return False


def reorg_to_theirs(side: Side, line: Line, _: int) -> bool:
    """Likewise, and the peer's commitment takes the place of bob's."""
    line.break_link(side)
    line.go_back(side, line.number_known_to_bob(side))
    line.close(line.bob, side)
    _take_back_close(side, line)
    line.chain.forget()
    peer = line.peer(side)
    while peer.is_behind:
        peer.hear_of_blocks(100)
        line.turn(peer)
    line.mine()
    return False


def _take_back_close(side: Side, line: Line) -> None:
    line.mine(_REORG_BLOCKS - 1)
    assert line.spend_kind(side) is SpendKind.OURS
    line.chain.unmine(_REORG_BLOCKS)
    for _ in range(_REORG_BLOCKS + 1):
        line.chain.mine(_TOO_DEAR)


def theirs(side: Side, line: Line, _: int) -> bool:
    """The peer broadcasts the commitment that bob thinks it has."""
    line.break_link(side)
    line.go_back(side, line.number_known_to_bob(side))
    line.close(line.peer(side), side)
    return False


def their_next(side: Side, line: Line, _: int) -> bool:
    """The peer broadcasts what bob has just signed; bob has not heard that it has it."""
    peer, wanted = line.peer(side), line.of(line.bob, side).their_number
    if line.of(peer, side).our_number != wanted:
        line.hear(side, line.bob.name, len(line.link(side).wire[line.bob.name]))
    assert line.of(peer, side).our_number == wanted
    line.break_link(side)
    line.close(peer, side)
    return False


def revoked(side: Side, line: Line, variation: int) -> bool:
    """An old copy of the peer broadcasts what it has revoked; if it can, it takes the HTLC too."""
    past = line.revoked(side)
    line.break_link(side)
    line.publish(side, past, goes_on=variation == 2)
    return past.has_preimage and variation == 1


FAULTS: Final[dict[Fault, Callable[[Line, int], bool]]] = {
    Fault.CUT: cut,
    Fault.CRASH_BEFORE_COMMIT: crash_before_commit,
    Fault.CRASH_AFTER_COMMIT: crash_after_commit,
    Fault.CRASH_WHILE_ACTING: crash_while_acting,
    Fault.REORG_FUNDING: reorg_funding,
    Fault.REORG_CLOSE_IN: partial(reorg_close, Side.IN),
    Fault.REORG_CLOSE_OUT: partial(reorg_close, Side.OUT),
    Fault.REORG_TO_THEIRS_IN: partial(reorg_to_theirs, Side.IN),
    Fault.REORG_TO_THEIRS_OUT: partial(reorg_to_theirs, Side.OUT),
    Fault.OURS_IN: partial(ours, Side.IN),
    Fault.OURS_OUT: partial(ours, Side.OUT),
    Fault.THEIRS_IN: partial(theirs, Side.IN),
    Fault.THEIRS_OUT: partial(theirs, Side.OUT),
    Fault.NEXT_IN: partial(their_next, Side.IN),
    Fault.NEXT_OUT: partial(their_next, Side.OUT),
    Fault.REVOKED_IN: partial(revoked, Side.IN),
    Fault.REVOKED_OUT: partial(revoked, Side.OUT),
}
"""Each gets a line at its stage and the number of the variation; True: there is one more."""

ON_CHAIN: Final = {
    Fault.REORG_CLOSE_IN: (Side.IN, SpendKind.OURS),
    Fault.REORG_CLOSE_OUT: (Side.OUT, SpendKind.OURS),
    Fault.REORG_TO_THEIRS_IN: (Side.IN, SpendKind.THEIRS),
    Fault.REORG_TO_THEIRS_OUT: (Side.OUT, SpendKind.THEIRS),
    Fault.OURS_IN: (Side.IN, SpendKind.OURS),
    Fault.OURS_OUT: (Side.OUT, SpendKind.OURS),
    Fault.THEIRS_IN: (Side.IN, SpendKind.THEIRS),
    Fault.THEIRS_OUT: (Side.OUT, SpendKind.THEIRS),
    Fault.NEXT_IN: (Side.IN, SpendKind.THEIR_NEXT),
    Fault.NEXT_OUT: (Side.OUT, SpendKind.THEIR_NEXT),
    Fault.REVOKED_IN: (Side.IN, SpendKind.REVOKED),
    Fault.REVOKED_OUT: (Side.OUT, SpendKind.REVOKED),
}
"""What bob must see in a block at the end; of other faults, both channels live."""

# --- the reckoning --------------------------------------------------------------------------------


def figures_of(line: Line, ending: Figures) -> Figures:
    """What the chain and the books say; of a cheat's own books nothing, as in `ending`."""
    costs = chain_costs(line)
    ann, bob, cat = (
        line.books.wealth(house) - line.wealth[house.name] + costs[house.name]
        for house in line.houses
    )
    [payment] = line.ann.memory.payments.values()
    [invoice] = line.cat.memory.invoices.values()
    fees = line.bob.memory.fees_collected_msat
    assert fees in (0, FEE.msat)
    return Figures(
        (ann, bob, cat),
        fees > 0,
        None if ending.payment is None else payment.status,
        None if ending.invoice is None else invoice.status,
    )


def chain_costs(line: Line) -> dict[str, int]:
    """Millisatoshi that went to miners and into anchors, by who has to bear them (BOLT 3 and 5)."""
    chain, costs = line.chain, dict.fromkeys((house.name for house in line.houses), 0)
    fundings = {line.of(line.bob, side).funding.outpoint: side for side in Side}
    opening = {outpoint.txid for outpoint in fundings}
    later = [chain.seen[txid] for txid in chain.confirmed if txid in chain.seen]
    commitments = {
        tx.txid: fundings[tx.inputs[0].outpoint]
        for tx in later
        if tx.inputs[0].outpoint in fundings
    }
    for txid, side in commitments.items():
        # The opener pays for a commitment, unless all that it had in there was taken from it.
        punished = line.spend_kind(side) is SpendKind.REVOKED
        payer = line.bob if punished else line.link(side).one
        costs[payer.name] += (chain.fees[txid] + 2 * ANCHOR_SAT) * 1000
    for tx in later:
        if tx.txid in commitments or tx.txid in opening:
            continue
        # A child that pays for a commitment spends an anchor, which has been counted.
        spent = [i.outpoint for i in tx.inputs if i.outpoint.txid in commitments]
        amounts = [chain.seen[o.txid].outputs[o.index].amount.sat for o in spent]
        anchors = ANCHOR_SAT * amounts.count(ANCHOR_SAT)
        costs[line.watch.sent_by[tx.txid]] += (chain.fees[tx.txid] - anchors) * 1000
    return costs
