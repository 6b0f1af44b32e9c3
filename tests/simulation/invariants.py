"""What holds after every event, and what holds when all is over.

Always: no batch fails, no channel is frozen or failed without a reason of the story, nobody warns
an honest peer, nobody broadcasts what it has revoked, a forwarder never answers or offers too
early, "paid" means paid.  After peace: nothing is under way, both ends of a channel agree, and each
node has exactly what its own books say; once the channels are closed, that but for the fees.
"""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tests.simulation.house import House, Violation
from tests.simulation.model_chain import ScriptFailed
from tests.support import kernel_engine
from wallet.base.bitcoin.transaction import Transaction, TxOut
from wallet.base.channel_tx.commitment import commitment_number_of
from wallet.base.crypto.hashes import sha256
from wallet.base.values.amounts import FeeratePerKw, MilliSatoshi
from wallet.base.values.ids import ChannelId, OutPoint, PaymentHash, Txid
from wallet.machines.chain_events import BlockRef, BroadcastKind, BroadcastResult
from wallet.machines.channel.claims import FAIL_BACK_BY, GRACE
from wallet.machines.channel.deadlines import CLAIM_BLOCKS, forecast
from wallet.machines.channel.ending import SpendKind
from wallet.machines.channel.htlc import Failed, Fulfilled, Htlc, HtlcKey, Malformed
from wallet.machines.channel.htlc_stages import FINAL, ROWS
from wallet.machines.channel.onchain import RESOLVED_DEPTH
from wallet.machines.channel.state import LIVING, Channel, Phase
from wallet.machines.coins import wallet as coins
from wallet.machines.payments.records import InvoiceStatus, Payment, PaymentStatus

if TYPE_CHECKING:
    from tests.simulation.world import Link, World

ERROR, WARNING, REVOKE_AND_ACK = 17, 1, 133
ANCHOR_SAT = 330
_OVERDUE = re.compile(r"which expired at block (\d+)|it expires at block (\d+)")
DUST_SAT = 546
DEAREST = FeeratePerKw(5_000)
"""The highest estimate of a story."""

Name = tuple[ChannelId, int]
"""An HTLC: channel and id."""


def kernel_judge(tx: Transaction, prevouts: Sequence[TxOut]) -> None:
    """Bitcoin Core's script engine; a transaction from outside has no scripts."""
    try:
        kernel_engine.verify(tx, prevouts, kind="simulated")
    except kernel_engine.ScriptRefused as refused:
        raise ScriptFailed(f"mandatory-script-verify-flag-failed: {refused}") from refused


def column(house: House) -> str:
    """A node at a glance."""
    if not house.is_up:
        return "down".ljust(10)
    memory = house.memory
    living = [c for c in memory.channels.values() if c.phase in LIVING]
    htlcs = sum(len(c.htlcs) for c in memory.channels.values())
    return f"{len(living)}c {htlcs}h @{memory.height.height}".ljust(10)


class Watch:
    """Looks at everything, remembers what a node cannot take back."""

    def __init__(self, world: "World") -> None:
        self.world = world
        self._secrets: dict[tuple[str, ChannelId], dict[bytes, None]] = {}
        """What each has revealed, in order: commitments 0, 1, 2 … are revoked."""
        self._forwards: dict[tuple[str, Name], Name] = {}
        """From the HTLC that went on to the one that came in, at whoever forwards."""
        self._decided: set[tuple[str, Name]] = set()
        """HTLCs that went on, and that the chain has once decided against the peer."""
        self._paid_upstream: set[tuple[str, Name]] = set()
        self._ended: dict[tuple[str, ChannelId], dict[HtlcKey, Htlc]] = {}
        """The HTLCs with which a channel went on chain: a node forgets them in the end."""
        self._paid: set[tuple[str, PaymentHash]] = set()
        self._offers: dict[tuple[str, OutPoint, BlockRef], Transaction] = {}
        """What each gave to the chain last for an output of a channel's end, which is in that
        block: if that goes to another one, its claims begin anew."""
        self.sent_by: dict[Txid, str] = {}
        """Who first gave a transaction to the chain."""

    @property
    def honest(self) -> list[House]:
        """Those of whom everything is asked."""
        return [house for house in self.world.houses if house is not self.world.crook]

    # --- always -----------------------------------------------------------------------------------

    def said(self, house: House, to: House, data: bytes) -> None:
        """A message goes onto the wire."""
        kind = int.from_bytes(data[:2], "big")
        if kind == REVOKE_AND_ACK:
            known = self._secrets.setdefault((house.name, ChannelId(data[2:34])), {})
            known[data[34:66]] = None
        elif kind in (ERROR, WARNING):
            text = data[36:].decode(errors="replace")
            if not self._may_complain(house, to, ChannelId(data[2:34]), text):
                raise Violation(f"{house.name} complains to {to.name}: {text}")

    def unsaid(self, house: House, channel_id: ChannelId, number: int) -> None:
        """A node is back in its past, and nobody has heard its secrets from `number` on."""
        known = self._secrets.get((house.name, channel_id), {})
        for secret in list(known)[number:]:
            del known[secret]

    def _may_complain(self, house: House, to: House, channel_id: ChannelId, text: str) -> bool:
        """A close by force is told as an error; of an opening that was cut short one end knows."""
        if self.world.crook in (house, to):
            return True
        if channel_id in self.world.forced or self._is_late(house, channel_id, text):
            return True
        return not all(h.is_up and channel_id in h.memory.channels for h in (house, to))

    def _is_late(self, house: House, channel_id: ChannelId, reason: str) -> bool:
        """Whether a peer that was not heard has let an HTLC come too near its expiry."""
        late = _OVERDUE.search(reason)
        if late is None:
            return False
        slack = GRACE if "expired" in late[0] else -CLAIM_BLOCKS
        if house.memory.height.height < int(late[1] or late[2]) + slack:
            raise Violation(f"{house.name} closes a channel too early: {reason}")
        self.world.forced.add(channel_id)
        return True

    def hung_up(self, house: House, link: "Link", reason: str) -> None:
        """A node closes a link."""
        if "internal error" not in reason and self.world.crook not in link.ends:
            raise Violation(f"{house.name} hangs up on {link.beyond(house).name}: {reason}")

    def offered(self, house: House, tx: Transaction) -> None:
        """A transaction is about to be given to the chain."""
        if not house.is_up or house is self.world.crook:
            return
        self._not_lowered(house, tx)
        outpoint = tx.inputs[0].outpoint
        for channel in house.memory.channels.values():
            if channel.funding.outpoint == outpoint:
                self._not_revoked(house, channel, tx)

    def _not_revoked(self, house: House, channel: Channel, tx: Transaction) -> None:
        opener, accepter = channel.terms.ours.basepoints, channel.terms.theirs.basepoints
        if not channel.terms.we_opened:
            opener, accepter = accepter, opener
        number = commitment_number_of(tx, opener.payment, accepter.payment)
        revealed = self._secrets.get((house.name, channel.id), {})
        if number is not None and number < len(revealed):
            raise Violation(
                f"{house.name} broadcasts its commitment {number}, and has revoked {len(revealed)}"
            )

    def _not_lowered(self, house: House, tx: Transaction) -> None:
        """What takes the place of a claim in the mempool pays more than that."""
        first = tx.inputs[0].outpoint
        ends = (channel.onchain for channel in house.memory.channels.values())
        height = next((e.height for e in ends if e is not None and e.txid == first.txid), None)
        block = next((b for b in house.memory.blocks if b.height.height == height), None)
        if block is None:
            return
        waiting = self.world.chain.mempool
        before = self._offers.get((house.name, first, block))
        self._offers[house.name, first, block] = tx
        if before is None or before.txid == tx.txid or before.txid not in waiting:
            return
        self.world.met["replacement"] += 1
        fee = self.world.chain.fee_of(tx)
        if fee is not None and fee <= waiting[before.txid].fee:
            raise Violation(
                f"{house.name} lowers a fee from {waiting[before.txid].fee} to {fee} sat"
            )

    def held_by(self, depth: int) -> set[str]:
        """What the last blocks hold of channels: funding, close, claim."""
        chain = self.world.chain
        fundings = {c.funding.outpoint for _, c in self.world.channels()}
        opened = {outpoint.txid for outpoint in fundings}
        found: set[str] = set()
        for block in chain.blocks[-depth:]:
            for tx in block.event.transactions:
                spent = {txin.outpoint for txin in tx.inputs}
                if tx.txid in opened:
                    found.add("a funding")
                if spent & fundings:
                    found.add("a close")
                elif any(self._ends_at(outpoint.txid, fundings) for outpoint in spent):
                    found.add("a claim")
        return found

    def _ends_at(self, txid: Txid, fundings: set[OutPoint]) -> bool:
        tx = self.world.chain.seen.get(txid)
        return tx is not None and any(txin.outpoint in fundings for txin in tx.inputs)

    def broadcast(self, house: House, tx: Transaction, result: BroadcastResult) -> None:
        """What the chain made of it."""
        if house is self.world.crook:
            return
        if result.kind is BroadcastKind.ACCEPTED:
            self.sent_by.setdefault(tx.txid, house.name)
        elif result.kind is BroadcastKind.REJECTED and (
            "script" in result.reason or "belowout" in result.reason
        ):
            raise Violation(f"{house.name} broadcasts what nobody can mine: {result.reason}")

    def look(self, house: House) -> None:
        """A node after a batch."""
        if house is self.world.crook:
            return
        memory = house.memory
        for channel_id, reason in memory.frozen.items():
            raise Violation(f"{house.name} froze {channel_id.hex()[:8]}: {reason}")
        for channel in memory.channels.values():
            self._look_at(house, channel)
        for (channel_id, htlc_id), incoming in memory.forwarded.items():
            self._forwards[house.name, (channel_id, htlc_id)] = incoming
        self._look_at_forwards(house)
        for payment in memory.payments.values():
            if payment.status is PaymentStatus.COMPLETE:
                self._look_at_payment(house, payment)

    def _look_at(self, house: House, channel: Channel) -> None:
        funding = channel.funding
        if funding.to_us + funding.to_them != funding.amount.to_msat():
            raise Violation(f"{house.name}: balances are not the channel's capacity")
        if channel.phase is Phase.FAILED and not self._may_fail(house, channel):
            raise Violation(f"{house.name} failed {channel.id.hex()[:8]}: {channel.error}")

        end = channel.onchain
        if channel.htlcs and end is not None and end.kind is not SpendKind.MUTUAL:
            known = self._ended.setdefault((house.name, channel.id), {})
            known.update(channel.htlcs)

    def _may_fail(self, house: House, channel: Channel) -> bool:
        world = self.world
        if self._is_with_crook(house, channel):
            return True
        if channel.id in world.forced or self._is_late(house, channel.id, channel.error or ""):
            return True
        if channel.error is None and channel.changes[-1].cause == "onchain":
            # A reorganisation took a close away of which this node had only seen the transaction.
            world.forced.add(channel.id)
            return True
        told = (channel.error or "").startswith("the peer failed the channel")
        if told and not channel.terms.we_opened and channel.funding.confirmed is None:
            # Of an opening that was cut short one end knows: nothing was ever in it.
            return True
        link = world.link_of(house, channel.terms.peer)
        assert link is not None
        peer = link.beyond(house)
        return peer.is_up and channel.id not in peer.memory.channels

    def _is_with_crook(self, house: House, channel: Channel) -> bool:
        crook = self.world.crook
        return crook is not None and (house is crook or channel.terms.peer == crook.id)

    def _look_at_forwards(self, house: House) -> None:
        channels = house.memory.channels
        for (name, (out_channel, out_id)), (in_channel, in_id) in self._forwards.items():
            if name != house.name:
                continue
            onward = channels[out_channel].htlcs.get(HtlcKey(True, out_id))
            if onward is None or onward.stage in FINAL:
                continue
            came = channels[in_channel].htlcs.get(HtlcKey(False, in_id))
            if came is not None and isinstance(came.removal, Fulfilled):
                self._paid_upstream.add((name, (in_channel, in_id)))
            if (name, (in_channel, in_id)) in self._paid_upstream:
                continue
            out = (name, (out_channel, out_id))
            if self._is_lost(house, channels[out_channel], onward):
                # Whatever a deep reorganisation makes of it later: it was given back in good faith.
                self._decided.add(out)
            if came is None and out not in self._decided:
                raise Violation(f"{name}: an HTLC is gone upstream and not yet downstream")
            if came is None:
                continue
            if not ROWS[came.stage].added:
                raise Violation(f"{name} passed on an HTLC that is not irrevocable")
            if isinstance(came.removal, Failed | Malformed) and out not in self._decided:
                raise Violation(f"{name} gave an HTLC back that it may still have to pay")

    def _is_lost(self, house: House, channel: Channel, htlc: Htlc) -> bool:
        """Whether the chain has decided against the peer, deep enough; or the HTLC is let be."""
        height, end = house.memory.height.height, channel.onchain
        if self._is_small(htlc.amount) and height >= htlc.cltv_expiry.height + FAIL_BACK_BY:
            return True
        if end is None:
            return False
        outputs = [c for c in end.claims if c.htlc == htlc.key and c.outpoint.txid == end.txid]
        decided = outputs[0].resolved_at if outputs else end.height
        return decided is not None and height - decided + 1 >= RESOLVED_DEPTH

    def _look_at_payment(self, house: House, payment: Payment) -> None:
        key = (house.name, payment.payment_hash)
        if key in self._paid:
            return
        self._paid.add(key)
        if payment.preimage is None or sha256(payment.preimage) != payment.payment_hash:
            raise Violation(f"{house.name} says paid, and cannot prove it")

    # --- after peace ------------------------------------------------------------------------------

    def begun(self) -> None:
        """Channels are open: from here on the story counts."""
        for house in self.world.houses:
            for channel in house.memory.channels.values():
                if channel.phase is not Phase.READY:
                    raise Violation(f"{house.name}: a channel did not open ({channel.phase})")

    def settled(self) -> None:
        """Nothing is under way, both ends agree, everyone has what the books say."""
        for house in self.honest:
            for channel in house.memory.channels.values():
                self._look_settled(house, channel)
            for payment in house.memory.payments.values():
                if payment.status is PaymentStatus.PENDING:
                    raise Violation(f"{house.name}: a payment is still pending after peace")
            if house.memory.forwards:
                raise Violation(f"{house.name}: a forward never ended")
            self._books(house)
        self._receipts()

    def _look_settled(self, house: House, channel: Channel) -> None:
        if channel.phase in LIVING and channel.funding.confirmed is None:
            return
        if channel.htlcs and channel.phase in LIVING:
            stages = ", ".join(h.stage for h in channel.htlcs.values())
            raise Violation(f"{house.name}: HTLCs are stuck after peace: {stages}")
        if channel.phase in LIVING and len(channel.fees) > 1:
            raise Violation(f"{house.name}: a fee change is stuck after peace")
        link = self.world.link_of(house, channel.terms.peer)
        assert link is not None
        theirs = link.beyond(house).memory.channels.get(channel.id)
        if theirs is None or self._is_with_crook(house, channel):
            return
        if channel.phase in LIVING and theirs.phase in LIVING:
            ours = (channel.funding.to_us, channel.feerate, channel.our_number)
            if ours != (theirs.funding.to_them, theirs.feerate, theirs.their_number):
                raise Violation(f"{house.name} and its peer disagree about {channel.id.hex()[:8]}")

    def _receipts(self) -> None:
        """Paid by the payer, paid to the payee."""
        houses = {house.id: house for house in self.world.houses}
        paid: set[PaymentHash] = set()
        for house in self.world.houses:
            for payment in house.memory.payments.values():
                if payment.status is not PaymentStatus.COMPLETE:
                    continue
                paid.add(payment.payment_hash)
                if self.world.crook in (house, houses[payment.destination]):
                    continue
                invoice = houses[payment.destination].memory.invoices.get(payment.payment_hash)
                if invoice is None or invoice.status is not InvoiceStatus.PAID:
                    raise Violation(f"{house.name} has a proof of what was never received")
        for house in self.honest if self.world.crook is None else ():
            for invoice in house.memory.invoices.values():
                if invoice.status is not InvoiceStatus.PAID or invoice.payment_hash in paid:
                    continue
                parts_small = all(self._is_small(part.amount) for part in invoice.parts)
                if not (self.world.forced and parts_small):
                    raise Violation(f"{house.name} was paid by nobody")

    # --- money ------------------------------------------------------------------------------------

    def _books(self, house: House) -> None:
        """Wallet and channels against what the node itself says of payments."""
        due = self._due(house)
        has = self.wealth(house)
        allowed = self._fees_agreed(house)
        small = sum(self._let_be(house, channel) for channel in house.memory.channels.values())
        # The opener paid for both anchors; who spends its own has one more.  What a cheat loses is
        # its victims'.
        anchors = sum(
            ANCHOR_SAT * 1000 for channel in house.memory.channels.values() if channel.bump
        )
        most = due + small + anchors if self.world.crook is None else has
        if not due - allowed <= has <= most:
            raise Violation(
                f"{house.name} has {has:,} msat; its books say {due:,}, of which {allowed:,}"
                " may have gone into fees"
            )

    def _due(self, house: House) -> int:
        memory, chain = house.memory, self.world.chain
        due = 2 * self.world.given_sat * 1000
        for channel in memory.channels.values():
            funding = channel.funding
            if funding.outpoint.txid not in chain.confirmed:
                continue
            if channel.terms.we_opened:
                due -= funding.pushed.msat + chain.fees[funding.outpoint.txid] * 1000
            else:
                due += funding.pushed.msat
        for payment in memory.payments.values():
            for part in payment.parts:
                if part.status is PaymentStatus.COMPLETE:
                    due -= part.amount_sent.msat
        for invoice in memory.invoices.values():
            due += invoice.amount_received.msat
        return due + memory.fees_collected_msat

    def wealth(self, house: House) -> int:
        """Millisatoshi in the wallet, and in channels that no block has ended."""
        memory = house.memory
        total = coins.balance(memory.wallet, memory.height.height).total.sat * 1000
        for channel in memory.channels.values():
            if self._spend_of(channel) is None and channel.funding.confirmed is not None:
                total += channel.funding.to_us.msat
        return total

    def is_fought_out(self, house: House, channel: Channel) -> bool:
        """Whether nothing of a channel's end is left to be taken, by anybody."""
        end = channel.onchain
        if end is None:
            return channel.funding.confirmed is None or channel.phase in LIVING
        least = forecast(DEAREST)
        return all(
            claim.resolved_at is not None
            or claim.amount <= least
            or (claim.kind.wants_preimage and claim.sweep is None)
            for claim in end.claims
        )

    def is_settled(self) -> bool:
        """Whether nothing at all is under way."""
        return all(
            not house.memory.forwards
            and all(p.status is not PaymentStatus.PENDING for p in house.memory.payments.values())
            and all(self.is_fought_out(house, c) for c in house.memory.channels.values())
            for house in self.honest
        )

    def _spend_of(self, channel: Channel) -> Transaction | None:
        return self.world.chain.spender(channel.funding.outpoint)

    def _fees_agreed(self, house: House) -> int:
        """What the ends of channels on chain may have cost this node, in millisatoshi."""
        chain, allowed = self.world.chain, 0
        fundings = {c.funding.outpoint for c in house.memory.channels.values()}
        opened = {outpoint.txid for outpoint in fundings}
        for txid in chain.confirmed:
            if self.sent_by.get(txid) != house.name or txid in opened:
                continue
            if not any(i.outpoint in fundings for i in chain.seen[txid].inputs):
                allowed += chain.fees[txid] * 1000
        for channel in house.memory.channels.values():
            end = self._spend_of(channel)
            if end is None:
                continue
            # Fractions of a satoshi are the miners'; so is what is too small for an output.
            allowed += 1_000 + DUST_SAT * 1000 + self._let_be(house, channel)
            for claim in channel.onchain.claims if channel.onchain else ():
                if claim.resolved_at is None and self._is_small(claim.amount.to_msat()):
                    allowed += claim.amount.sat * 1000
            offered = channel.simple_close.highest_fee
            agreed = channel.onchain is not None and channel.onchain.kind is SpendKind.MUTUAL
            if agreed and offered is not None:
                # Of two closing transactions a block has one: its closer pays.
                allowed += min(chain.fees[end.txid], offered.sat) * 1000
            elif channel.terms.we_opened:
                allowed += (chain.fees[end.txid] + 2 * ANCHOR_SAT) * 1000
        return allowed

    def _let_be(self, house: House, channel: Channel) -> int:
        """HTLCs that are not worth a transaction of their own, or have no output at all."""
        known = self._ended.get((house.name, channel.id), {})
        return sum(h.amount.msat for h in known.values() if self._is_small(h.amount))

    def _is_small(self, amount: MilliSatoshi) -> bool:
        """Whether a transaction for it may cost more than it is worth."""
        return amount <= forecast(DEAREST).to_msat()

    def ended(self) -> None:
        """All channels are closed, and the money is in the wallets."""
        for house in self.honest:
            self._count(house)
            for channel in house.memory.channels.values():
                if self._spend_of(channel) is None and channel.funding.confirmed is not None:
                    raise Violation(f"{house.name}: a channel did not close ({channel.phase})")
            self._books(house)

    def _count(self, house: House) -> None:
        """How channels ended, and what was taken of them."""
        met = self.world.met
        for channel in house.memory.channels.values():
            end = channel.onchain
            if end is None or end.kind is None:
                continue
            met[f"end: {end.kind.value}"] += 1
            for claim in end.claims:
                took = self.world.chain.spender(claim.outpoint)
                if took is not None and self.sent_by.get(took.txid) == house.name:
                    met[f"{end.kind.value}: {claim.kind.value}"] += 1
