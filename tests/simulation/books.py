"""What holds after peace: nothing is under way, only fees are lost, every coin has an owner.

Every node has exactly what its own records of payments say; once its channels are closed, that but
for fees that it agreed to.  Whoever was cheated has everything that was in the channel.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from tests.simulation.house import House, Violation
from tests.simulation.invariants import ANCHOR_SAT, DEAREST, is_small, is_stolen
from wallet.base.bitcoin.transaction import Transaction
from wallet.base.values.ids import OutPoint, PaymentHash
from wallet.machines.channel.deadlines import forecast
from wallet.machines.channel.ending import SpendKind
from wallet.machines.channel.state import LIVING, Channel
from wallet.machines.coins import wallet as coins
from wallet.machines.payments.records import InvoiceStatus, PaymentStatus

if TYPE_CHECKING:
    from tests.simulation.invariants import Watch
    from tests.simulation.world import World

ANCHORS_SAT: Final = 2 * ANCHOR_SAT
DUST_SAT: Final = 546


class Books:
    """The accounts of a world."""

    def __init__(self, world: "World", watch: "Watch") -> None:
        self.world = world
        self.watch = watch

    @property
    def honest(self) -> list[House]:
        """Those whose money counts."""
        return [house for house in self.world.houses if not house.cheats]

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
        link = self.world.link_of(house, channel.terms.peer)
        assert link is not None
        peer = link.beyond(house)
        # With a cheat nobody can come to terms; and nothing is in what no block has funded.
        living = channel.phase in LIVING and channel.funding.confirmed is not None
        if peer.cheats or not living:
            return
        if channel.htlcs:
            stages = ", ".join(h.stage for h in channel.htlcs.values())
            raise Violation(f"{house.name}: HTLCs are stuck after peace: {stages}")
        if len(channel.fees) > 1:
            raise Violation(f"{house.name}: a fee change is stuck after peace")
        theirs = peer.memory.channels.get(channel.id)
        if theirs is not None and theirs.phase in LIVING:
            ours = (channel.funding.to_us, channel.feerate, channel.our_number)
            if ours != (theirs.funding.to_them, theirs.feerate, theirs.their_number):
                raise Violation(f"{house.name} and its peer disagree about {channel.id.hex()[:8]}")

    def _receipts(self) -> None:
        """Paid by the payer, paid to the payee. A cheat has forgotten what it did."""
        if self.world.cheat is not None:
            return
        houses = {house.id: house for house in self.world.houses}
        paid: set[PaymentHash] = set()
        for house in self.world.houses:
            for payment in house.memory.payments.values():
                if payment.status is not PaymentStatus.COMPLETE:
                    continue
                paid.add(payment.payment_hash)
                invoice = houses[payment.destination].memory.invoices.get(payment.payment_hash)
                if invoice is None or invoice.status is not InvoiceStatus.PAID:
                    raise Violation(f"{house.name} has a proof of what was never received")
        for house in self.world.houses:
            for invoice in house.memory.invoices.values():
                if invoice.status is not InvoiceStatus.PAID or invoice.payment_hash in paid:
                    continue
                parts_small = all(is_small(part.amount) for part in invoice.parts)
                if not (self.world.forced and parts_small):
                    raise Violation(f"{house.name} was paid by nobody")

    def _books(self, house: House) -> None:
        """Wallet and channels against what the node itself says of payments."""
        due = self._due(house)
        has = self.wealth(house)
        allowed = self._fees_agreed(house)
        gains = sum(self._gains(house, channel) for channel in house.memory.channels.values())
        if not due - allowed <= has <= due + gains:
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
            if self.watch.sent_by.get(txid) != house.name or txid in opened:
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
                if claim.resolved_at is None and is_small(claim.amount.to_msat()):
                    allowed += claim.amount.sat * 1000
            offered = channel.simple_close.highest_fee
            agreed = channel.onchain is not None and channel.onchain.kind is SpendKind.MUTUAL
            if agreed and offered is not None:
                # Of two closing transactions a block has one: its closer pays.
                allowed += min(chain.fees[end.txid], offered.sat) * 1000
            elif channel.terms.we_opened or is_stolen(channel):
                allowed += (chain.fees[end.txid] + ANCHORS_SAT) * 1000
        return allowed

    def _let_be(self, house: House, channel: Channel) -> int:
        """HTLCs that are not worth a transaction of their own, or have no output at all."""
        known = self.watch.ended.get((house.name, channel.id), {})
        return sum(h.amount.msat for h in known.values() if is_small(h.amount))

    def _gains(self, house: House, channel: Channel) -> int:
        """What may come in beside payments: an HTLC that was not worth fighting for, or a spoil."""
        link = self.world.link_of(house, channel.terms.peer)
        if link is not None and link.beyond(house).cheats:
            # It may also have forgotten what it was about to claim.
            return channel.funding.amount.sat * 1000
        # The opener paid for both anchors; who spends its own has one more.
        anchor = ANCHOR_SAT * 1000 if channel.bump is not None else 0
        return anchor + self._let_be(house, channel)

    def ended(self) -> None:
        """All channels are closed, and the money is in the wallets."""
        for house in self.honest:
            for channel in house.memory.channels.values():
                if self._spend_of(channel) is None and channel.funding.confirmed is not None:
                    raise Violation(f"{house.name}: a channel did not close ({channel.phase})")
                if is_stolen(channel):
                    self._look_at_spoils(house, channel)
            self._books(house)
        if self.world.cheat is None:
            self._look_for_lost_coins()

    def _look_at_spoils(self, house: House, channel: Channel) -> None:
        """Of a revoked commitment its victim has every output that is worth its fee."""
        end = self._spend_of(channel)
        assert end is not None
        for kept in self._not_taken(house, end):
            raise Violation(f"{house.name} lets a cheat have {kept}")

    def _not_taken(self, house: House, tx: Transaction) -> Iterator[str]:
        chain = self.world.chain
        for index, output in enumerate(tx.outputs):
            if is_small(output.amount.to_msat()):
                continue
            spend = chain.spender(tx.outpoint(index))
            if spend is None:
                yield f"{output.amount} in output {index} of {tx.txid}"
            elif self.watch.sent_by.get(spend.txid) != house.name:
                # A second stage of the cheat's: its coins paid for it, its output is not its own.
                place = next(
                    i for i, txin in enumerate(spend.inputs) if txin.outpoint == tx.outpoint(index)
                )
                after = chain.spender(spend.outpoint(place))
                if after is None or self.watch.sent_by.get(after.txid) != house.name:
                    yield f"{output.amount}, which {spend.txid} took"
            self.world.met["output of a cheat taken"] += 1

    def _look_for_lost_coins(self) -> None:
        """Every coin of the chain is in somebody's wallet, or not worth the fee of its spend."""
        there = self.world.chain.coins
        owned: set[OutPoint] = set()
        for house in self.world.houses:
            wallet = house.memory.wallet
            for outpoint, own in wallet.coins.items():
                if not coins.is_spent(wallet, own):
                    owned.add(outpoint)
                    if own.height is not None and outpoint not in there:
                        raise Violation(f"{house.name} counts {own.amount} that are not there")
        for outpoint, coin in there.items():
            amount = coin.output.amount
            if outpoint not in owned and not is_small(amount.to_msat()):
                raise Violation(f"{amount} at {outpoint} belong to nobody")
