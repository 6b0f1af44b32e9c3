"""A chain for two channels at war: blocks, rival spends, locktimes, reorganisations, wallets.

Every transaction that enters a block has its scripts judged by Bitcoin Core's engine and by a
second interpreter with relay policy; amounts, nLockTime and relative delays are checked here.  The
state goes through its stored form at every step.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from tests.support import kernel_engine
from tests.support.pair import Pair, Side
from tests.support.policy_engine import verify_policy
from wallet.base.bitcoin.script import p2wpkh
from wallet.base.bitcoin.transaction import Transaction, TxIn, TxOut
from wallet.base.channel_tx.scripts import funding_output
from wallet.base.crypto.hashes import sha256
from wallet.base.errors import Refused
from wallet.base.values.amounts import Satoshi
from wallet.base.values.encode import from_json, to_json
from wallet.base.values.ids import OutPoint, Point, Txid
from wallet.machines.channel import actions, events
from wallet.machines.channel.htlc import Htlc, HtlcKey, Split
from wallet.machines.channel.identify import number_of
from wallet.machines.channel.state import Channel
from wallet.machines.coins.bumping import bump_commitment, bump_htlc
from wallet.machines.coins.wallet import Coin
from wallet.machines.signing import DerivePubkey, WalletKey

COIN = Satoshi(100_000)
_LOCKTIME_IS_HEIGHT = 500_000_000
_SEQUENCE_OFF = 1 << 31


def split_of(side: Side, number: int) -> Split | None:
    """What the peer's commitment of that number holds, as the rows of the store say."""
    records = [r for r in side.records if r.number == number]
    if not records:
        return None
    rows: dict[HtlcKey, Htlc] = {
        a.htlc.key: a.htlc for a in side.acts if isinstance(a, actions.HtlcGone)
    }
    rows |= side.state.htlcs
    held = tuple(
        h
        for h in rows.values()
        if h.in_theirs.first is not None
        and h.in_theirs.first <= number
        and (h.in_theirs.last is None or number <= h.in_theirs.last)
    )
    record = records[-1]
    return Split(record.to_us, record.to_them, record.feerate, held)


@dataclass
class Party:
    """One side with a wallet: coins, and the transactions that spend them."""

    side: Side
    script: bytes
    pubkey: Point
    key: WalletKey
    unspent: dict[OutPoint, tuple[TxOut, int]]
    """Of the chain: what pays to `script` is a coin."""
    funded: dict[OutPoint, Transaction] = field(default_factory=dict)
    """By the output of the channel that each takes or spends."""
    heard: int = 0

    def fund(self, action: Any) -> list[events.Event]:
        """Pay for what a channel asks, if there are coins."""
        locked = {
            txin.outpoint
            for tx in self.funded.values()
            if tx.txid != action.replaces
            for txin in tx.inputs
        }
        free = [
            Coin(outpoint, output.amount, self.script, self.key, self.pubkey, height)
            for outpoint, (output, height) in self.unspent.items()
            if output.script_pubkey == self.script and outpoint not in locked
        ]
        height = self.side.height
        try:
            if isinstance(action, actions.FundHtlc):
                bumped = bump_htlc(
                    action.htlc,
                    action.their_signature,
                    action.key,
                    action.preimage,
                    free,
                    self.script,
                    action.feerate,
                    action.most,
                    pieces=self.pieces(len(free)),
                )
            else:
                bumped = bump_commitment(
                    action.commitment, action.key, free, self.script, action.feerate, action.most
                )
        except Refused:
            return []
        tx = self.side.sign(bumped.unsigned)
        self.funded[tx.inputs[0].outpoint] = tx
        if isinstance(action, actions.FundHtlc):
            made = events.ClaimFunded(action.outpoint, self.script, action.feerate, tx.txid, height)
            return [made]
        return [events.BumpMade(action.feerate, tx.txid, height)]

    def pieces(self, free: int) -> int:
        """As the court's desk asks for them."""
        end = self.side.state.onchain
        waiting = [c for c in end.claims if c.kind.is_funded and c.sweep is None] if end else []
        return 8 if len(waiting) > free else 1

    def offers(self) -> list[Transaction]:
        """What it would like to see in the next block."""
        said = [tx for _, tx in self.side.broadcasts[self.heard :]]
        self.heard = len(self.side.broadcasts)
        return [*said, *self.funded.values()]


@dataclass
class Block:
    """What a block holds and what it took out of the set of unspent outputs."""

    transactions: list[Transaction]
    spent: dict[OutPoint, tuple[TxOut, int]]


class Courtroom:
    """The chain under a pair whose channel is open. `silent` parties get nothing into a block."""

    def __init__(self, pair: Pair, coins: int = 6) -> None:
        self.pair = pair
        self.unspent: dict[OutPoint, tuple[TxOut, int]] = {}
        self.parties = [self._party(side, coins) for side in (pair.alice, pair.bob)]
        self.alice, self.bob = self.parties
        self.height = pair.alice.height
        funding = pair.alice.state.funding
        script = funding_output(funding.our_pubkey, funding.their_pubkey)
        self.unspent[funding.outpoint] = (TxOut(funding.amount, script), self.height)
        self.blocks: list[Block] = []
        self.silent: set[str] = set()
        self.refuses: Callable[[Transaction], bool] = lambda _: False
        """What miners leave out."""
        self.least = 0.0
        """Satoshi per weight unit below which miners take nothing, packages counted whole."""
        self.extra: list[Transaction] = []
        """Put into the next block before all others, if valid."""

    def _party(self, side: Side, count: int) -> Party:
        key = WalletKey(84, 0, 0)
        (pubkey,) = side.signer.answer([DerivePubkey(key)])
        assert isinstance(pubkey, bytes)
        script = p2wpkh(pubkey)
        party = Party(side, script, Point(pubkey), key, self.unspent)
        for number in range(count):
            outpoint = OutPoint(Txid(sha256(f"{side.name} {number}".encode())), 0)
            self.unspent[outpoint] = (TxOut(COIN, script), 1)
        side.fund = party.fund
        side.store = lambda channel: from_json(Channel, to_json(channel))
        return party

    # --- blocks -----------------------------------------------------------------------------------

    def mine(self, count: int = 1) -> None:
        """Blocks of whatever is offered and valid; each is told to both sides."""
        for _ in range(count):
            self._mine()

    def mine_to(self, height: int) -> None:
        """Until the tip is there."""
        while self.height < height:
            self._mine()

    def _mine(self) -> None:
        self.height += 1
        block = Block([], {})
        offered = [
            tx
            for party in self.parties
            for tx in party.offers()
            if party.side.name not in self.silent
        ]
        ranked = sorted(offered, key=self._feerate, reverse=True)
        worth = self._worth(ranked) if self.least else ranked
        waiting = [*self.extra, *worth]
        self.extra = []
        while taken := [tx for tx in waiting if self._enters(tx, block)]:
            waiting = [tx for tx in waiting if tx not in taken]
        self.blocks.append(block)
        for party in self.parties:
            self._tell(party.side, block)

    def _worth(self, offered: list[Transaction]) -> list[Transaction]:
        """What pays enough, alone or together with the child that is offered beside it."""
        enough = [tx for tx in offered if self._feerate(tx) >= self.least]
        for parent in offered:
            for child in offered:
                if child.inputs[0].outpoint.txid != parent.txid or parent in enough:
                    continue
                outputs = {parent.outpoint(i): o for i, o in enumerate(parent.outputs)}
                known = [
                    outputs[i.outpoint] if i.outpoint in outputs else self.unspent[i.outpoint][0]
                    for i in child.inputs
                ]
                fee = sum(o.amount.sat for o in known) - sum(o.amount.sat for o in child.outputs)
                fee += round(self._feerate(parent) * parent.weight)
                if fee / (child.weight + parent.weight) >= self.least:
                    enough += [parent, child]
        return enough

    def _feerate(self, tx: Transaction) -> float:
        known = [self.unspent.get(txin.outpoint) for txin in tx.inputs]
        paid = sum(entry[0].amount.sat for entry in known if entry is not None)
        return (paid - sum(o.amount.sat for o in tx.outputs)) / tx.weight

    def _enters(self, tx: Transaction, block: Block) -> bool:
        entries = [self.unspent.get(txin.outpoint) for txin in tx.inputs]
        if any(entry is None for entry in entries) or self.refuses(tx):
            return False
        known = [entry for entry in entries if entry is not None]
        if not self._is_final(tx, [height for _, height in known]):
            return False
        prevouts = [output for output, _ in known]
        fee = sum(o.amount.sat for o in prevouts) - sum(o.amount.sat for o in tx.outputs)
        assert fee >= 0, "a transaction that makes money"
        kernel_engine.verify(tx, prevouts, kind="court")
        verify_policy(tx, prevouts)
        for txin, entry in zip(tx.inputs, known, strict=True):
            block.spent[txin.outpoint] = entry
            del self.unspent[txin.outpoint]
        for index, output in enumerate(tx.outputs):
            self.unspent[tx.outpoint(index)] = (output, self.height)
        block.transactions.append(tx)
        return True

    def _is_final(self, tx: Transaction, heights: Iterable[int]) -> bool:
        if 0 < tx.locktime < _LOCKTIME_IS_HEIGHT and tx.locktime >= self.height:
            return False
        return all(
            self.height - height >= _delay(txin)
            for txin, height in zip(tx.inputs, heights, strict=True)
        )

    def _tell(self, side: Side, block: Block) -> None:
        side.height = self.height
        for tx in block.transactions:
            for txin in tx.inputs:
                if txin.outpoint == side.state.funding.outpoint:
                    number = number_of(side.state.terms, tx)
                    recalled = split_of(side, number) if number is not None else None
                    side.step(events.FundingSpent(tx, self.height, recalled))
                else:
                    spent = txin.outpoint
                    side.step(events.ClaimSpent(spent.txid, spent.index, tx, self.height))
        side.step(events.NewTip(self.party(side).script))

    def party(self, side: Side) -> Party:
        """Whose side that is."""
        return next(party for party in self.parties if party.side is side)

    def reorg(self, depth: int) -> None:
        """Take blocks off; what was in them may come back from who still offers it."""
        for _ in range(depth):
            block = self.blocks.pop()
            for tx in reversed(block.transactions):
                for index in range(len(tx.outputs)):
                    self.unspent.pop(tx.outpoint(index), None)
            made = {tx.txid for tx in block.transactions}
            self.unspent |= {o: e for o, e in block.spent.items() if o.txid not in made}
            self.height -= 1
            for party in self.parties:
                self._take_back(party.side)

    def _take_back(self, side: Side) -> None:
        """As the node does it when a block is disconnected."""
        gone = self.height + 1
        end = side.state.onchain
        side.height = self.height
        if end is not None:
            for claim in end.claims:
                if claim.resolved_at == gone:
                    side.step(events.ClaimUnspent(claim.outpoint.txid, claim.outpoint.index))
            if end.height == gone:
                side.step(events.FundingUnspent())
        side.step(events.NewTip(self.party(side).script))

    # --- the reckoning ----------------------------------------------------------------------------

    def holds(self, party: Party) -> int:
        """Satoshi that pay to the party's wallet now."""
        scripts = (party.script, party.side.state.terms.close_to)
        return sum(o.amount.sat for o, _ in self.unspent.values() if o.script_pubkey in scripts)

    def fees(self) -> int:
        """Satoshi that the blocks have cost."""
        spent = sum(e[0].amount.sat for block in self.blocks for e in block.spent.values())
        made = sum(
            o.amount.sat for block in self.blocks for tx in block.transactions for o in tx.outputs
        )
        return spent - made

    def swap_for(self, side: Side, old: Channel) -> None:
        """The cheat: this side goes on from a state of its past."""
        side.channel = replace(old, link=side.state.link)


def _delay(txin: TxIn) -> int:
    return 0 if txin.sequence & _SEQUENCE_OFF else txin.sequence & 0xFFFF
