"""What holds after every event; `books.py` says what holds when all is over.

No batch fails, no channel is frozen or failed without a reason of the story, nobody warns an honest
peer, nobody broadcasts what it has revoked or replaces what it sent by what pays less, a forwarder
never answers or offers too early, "paid" means paid.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.simulation.house import House, Violation
from tests.simulation.model_chain import ScriptFailed
from tests.support import kernel_engine
from wallet.base.bitcoin.script import Op, script
from wallet.base.bitcoin.transaction import Transaction, TxOut
from wallet.base.channel_tx.commitment import commitment_number_of
from wallet.base.crypto.hashes import sha256
from wallet.base.values.amounts import FeeratePerKw, MilliSatoshi
from wallet.base.values.ids import ChannelId, PaymentHash, Txid
from wallet.machines.chain_events import BroadcastKind, BroadcastResult
from wallet.machines.channel.claims import FAIL_BACK_BY, GRACE
from wallet.machines.channel.deadlines import CLAIM_BLOCKS, forecast
from wallet.machines.channel.ending import SpendKind
from wallet.machines.channel.htlc import Failed, Fulfilled, Htlc, HtlcKey, Malformed
from wallet.machines.channel.htlc_stages import FINAL, ROWS
from wallet.machines.channel.onchain import RESOLVED_DEPTH
from wallet.machines.channel.state import LIVING, Channel, Confirmation, Phase, is_unsent
from wallet.machines.payments.records import Payment, PaymentStatus

if TYPE_CHECKING:
    from tests.simulation.link import Link
    from tests.simulation.world import World

ERROR, WARNING, UPDATE_FEE, REVOKE_AND_ACK = 17, 1, 134, 133
_OVERDUE = re.compile(r"which expired at block (\d+)|it expires at block (\d+)")
ANCHOR_SAT = 330
_HTLC_SCRIPT = script(Op.DUP, Op.HASH160) + b"\x14"
"""With what both of BOLT 3's HTLC scripts begin, and no other script that is shown."""
DEAREST = FeeratePerKw(5_000)
"""The highest estimate of a story."""

Name = tuple[ChannelId, int]
"""An HTLC: channel and id."""


def kernel_judge(tx: Transaction, prevouts: Sequence[TxOut]) -> None:
    """Bitcoin Core's script engine; a transaction from outside has no scripts."""
    try:
        kernel_engine.verify(tx, prevouts, kind=kind_of(tx))
    except kernel_engine.ScriptRefused as refused:
        raise ScriptFailed(f"mandatory-script-verify-flag-failed: {refused}") from refused


def kind_of(tx: Transaction) -> str:
    """What a transaction is for the tally, by what it shows: BOLT 3's numbers and scripts."""
    first = tx.inputs[0]
    if tx.locktime >> 24 == 0x20 and first.sequence >> 24 == 0x80:
        return "commitment"
    shown = first.witness[-1] if first.witness else b""
    return "htlc" if shown.startswith(_HTLC_SCRIPT) else "simulated"


def is_small(amount: MilliSatoshi) -> bool:
    """Whether a transaction for it may cost more than it is worth."""
    return amount <= forecast(DEAREST).to_msat()


def is_stolen(channel: Channel) -> bool:
    """Whether the peer ended it with a commitment that it had revoked."""
    return channel.onchain is not None and channel.onchain.kind is SpendKind.REVOKED


def column(house: House) -> str:
    """A node at a glance."""
    if not house.is_up:
        return "down".ljust(10)
    if house.cheats:
        return "cheats".ljust(10)
    memory = house.memory
    living = [c for c in memory.channels.values() if c.phase in LIVING]
    htlcs = sum(len(c.htlcs) for c in memory.channels.values())
    return f"{len(living)}c {htlcs}h @{memory.height.height}".ljust(10)


def _look_at_outputs(house: House, channel: Channel, tx: Transaction) -> None:
    """Of our commitment: an output for every HTLC from the dust limit on, and none below it."""
    limit = channel.terms.ours.dust_limit.sat
    held = [h.amount.floor_to_sat().sat for h in channel.htlcs.values() if ROWS[h.stage].in_ours]
    there = Counter(output.amount.sat for output in tx.outputs)
    if missing := Counter(sat for sat in held if sat >= limit) - there:
        raise Violation(f"{house.name}: its commitment lacks HTLCs of {list(missing)} sat")
    if any(sat < limit and sat != ANCHOR_SAT for sat in there):
        raise Violation(f"{house.name}: its commitment has an output below the dust limit")


@dataclass(frozen=True, slots=True)
class Paying:
    """The fee rates of what a node has sent to end a channel."""

    place: tuple[int, Confirmation | None]
    """How often the channel has changed, and where its funding is."""
    feerates: dict[object, FeeratePerKw]
    made: int = 0
    """The height of the child of the commitment."""

    @classmethod
    def of(cls, channel: Channel) -> "Paying":
        """As the channel says."""
        claims = channel.onchain.claims if channel.onchain is not None else ()
        found: dict[object, FeeratePerKw] = {
            claim.outpoint: claim.sweep.feerate for claim in claims if claim.sweep is not None
        }
        if channel.bump is not None:
            found["commitment"] = channel.bump.feerate
        made = channel.bump.at if channel.bump is not None else 0
        return cls((len(channel.changes), channel.funding.confirmed), found, made)


class Watch:
    """Looks at everything, remembers what a node cannot take back."""

    def __init__(self, world: "World") -> None:
        self.world = world
        self._secrets: dict[tuple[str, ChannelId], dict[bytes, None]] = {}
        """What each has revealed, in order: commitments 0, 1, 2 … are revoked."""
        self._forwards: dict[str, dict[Name, Name]] = {}
        """From HTLCs that went on to those that came in, by who forwards; while they are there."""
        self._paid_upstream: set[tuple[str, Name]] = set()
        self._lost: set[tuple[str, Name]] = set()
        self._contested: dict[tuple[str, ChannelId, HtlcKey], int] = {}
        """The height at which an HTLC was first seen that only the chain may decide for us."""
        self._paying: dict[tuple[str, ChannelId], Paying] = {}
        """What each pays to end a channel, as last seen."""
        self.ended: dict[tuple[str, ChannelId], dict[HtlcKey, Htlc]] = {}
        """The HTLCs with which a channel went on chain: a node forgets them in the end."""
        self._paid: set[tuple[str, PaymentHash]] = set()
        self.sent_by: dict[Txid, str] = {}
        """Who first gave a transaction to the chain."""

    # --- always -----------------------------------------------------------------------------------

    def said(self, house: House, to: House, data: bytes) -> None:
        """A message goes onto the wire."""
        if house.cheats:
            return
        kind = int.from_bytes(data[:2], "big")
        if kind == UPDATE_FEE:
            self.world.met["update_fee"] += 1
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
        if "internal error" not in reason:
            raise Violation(f"{house.name} hangs up on {link.beyond(house).name}: {reason}")

    def offered(self, house: House, tx: Transaction) -> None:
        """A transaction is about to be given to the chain."""
        if not house.is_up or house.cheats:
            return
        outpoint = tx.inputs[0].outpoint
        for channel in house.memory.channels.values():
            if channel.funding.outpoint == outpoint:
                self._not_revoked(house, channel, tx)
                if channel.phase is Phase.FAILED:
                    _look_at_outputs(house, channel, tx)

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

    def broadcast(self, house: House, tx: Transaction, result: BroadcastResult) -> None:
        """What the chain made of it."""
        if result.kind is BroadcastKind.ACCEPTED:
            self.sent_by.setdefault(tx.txid, house.name)
        elif house.cheats:
            return
        elif result.kind is BroadcastKind.REJECTED and (
            "script" in result.reason or "belowout" in result.reason
        ):
            raise Violation(f"{house.name} broadcasts what nobody can mine: {result.reason}")

    def look(self, house: House) -> None:
        """A node after a batch."""
        if house.cheats:
            return
        memory = house.memory
        for channel_id, reason in memory.frozen.items():
            raise Violation(f"{house.name} froze {channel_id.hex()[:8]}: {reason}")
        for channel in memory.channels.values():
            self._look_at(house, channel)
        self._forwards.setdefault(house.name, {}).update(memory.forwarded)
        self._look_at_forwards(house, self._forwards[house.name])
        for payment in memory.payments.values():
            if payment.status is PaymentStatus.COMPLETE:
                self._look_at_payment(house, payment)

    def _look_at(self, house: House, channel: Channel) -> None:
        funding = channel.funding
        if funding.to_us + funding.to_them != funding.amount.to_msat():
            raise Violation(f"{house.name}: balances are not the channel's capacity")
        if channel.phase is Phase.FAILED and not self._may_fail(house, channel):
            raise Violation(f"{house.name} failed {channel.id.hex()[:8]}: {channel.error}")

        if channel.phase in LIVING:
            self._look_at_deadlines(house, channel)
        self._look_at_fees(house, channel)
        end = channel.onchain
        if channel.htlcs and end is not None and end.kind is not SpendKind.MUTUAL:
            known = self.ended.setdefault((house.name, channel.id), {})
            known.update(channel.htlcs)

    def _look_at_deadlines(self, house: House, channel: Channel) -> None:
        """A channel that lives has no HTLC in it for which it should be on chain by now (BOLT 2).

        One that is signed for after its time, as its peer comes back late, or paid for then, has
        until the next block.
        """
        height = house.memory.height.height
        for htlc in channel.htlcs.values():
            paid, expiry = isinstance(htlc.removal, Fulfilled), htlc.cltv_expiry.height
            settled = paid is htlc.key.offered_by_us
            if settled or is_unsent(htlc) or is_small(htlc.amount):
                continue
            since = self._contested.setdefault((house.name, channel.id, htlc.key), height)
            latest = expiry + GRACE if htlc.key.offered_by_us else expiry - CLAIM_BLOCKS
            if height > max(latest, since):
                raise Violation(f"{house.name} lets a deadline go by: {htlc.amount} until {latest}")

    def _look_at_fees(self, house: House, channel: Channel) -> None:
        if channel.phase not in (Phase.FAILED, Phase.SPENT):
            return
        paying = Paying.of(channel)
        key = (house.name, channel.id)
        before, self._paying[key] = self._paying.get(key), paying
        # A reorganisation of the end, or of the funding, begins anew.
        if before is None or before.place != paying.place:
            return
        if paying.made <= before.made:
            # The same child, or the first after a reorganisation that the funding came back from.
            before.feerates.pop("commitment", None)
        for what, feerate in before.feerates.items():
            if paying.feerates.get(what, feerate) < feerate:
                raise Violation(f"{house.name} pays less for {what} than it did: {feerate}")
            if paying.feerates.get(what, feerate) > feerate:
                self.world.met["feerate raised"] += 1

    def _may_fail(self, house: House, channel: Channel) -> bool:
        world = self.world
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

    def _look_at_forwards(self, house: House, forwards: dict[Name, Name]) -> None:
        channels, name = house.memory.channels, house.name
        for out, came_in in list(forwards.items()):
            (out_channel, out_id), (in_channel, in_id) = out, came_in
            onward = channels[out_channel].htlcs.get(HtlcKey(True, out_id))
            if onward is None or onward.stage in FINAL:
                del forwards[out]
                continue
            came = channels[in_channel].htlcs.get(HtlcKey(False, in_id))
            if came is not None and isinstance(came.removal, Fulfilled):
                self._paid_upstream.add((name, came_in))
            if self._is_lost(house, channels[out_channel], onward):
                # A reorganisation may make it less deep again: what was given back then, is.
                self._lost.add((name, out))
            if (name, came_in) in self._paid_upstream or (name, out) in self._lost:
                continue
            upstream = channels[in_channel]
            if is_stolen(upstream) or (upstream.phase is Phase.CLOSED and is_small(onward.amount)):
                # Nothing is owed to a cheat; and what nobody pays to claim is forgotten in the end.
                continue
            if came is None:
                raise Violation(f"{name}: an HTLC is gone upstream and not yet downstream")
            if not ROWS[came.stage].added:
                raise Violation(f"{name} passed on an HTLC that is not irrevocable")
            if isinstance(came.removal, Failed | Malformed):
                raise Violation(f"{name} gave an HTLC back that it may still have to pay")

    def _is_lost(self, house: House, channel: Channel, htlc: Htlc) -> bool:
        """Whether the chain has decided against the peer, deep enough; or the HTLC is let be."""
        height, end = house.memory.height.height, channel.onchain
        if is_small(htlc.amount) and height >= htlc.cltv_expiry.height + FAIL_BACK_BY:
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

    def begun(self) -> None:
        """Channels are open: from here on the story counts."""
        for house in self.world.houses:
            for channel in house.memory.channels.values():
                if channel.phase is not Phase.READY:
                    raise Violation(f"{house.name}: a channel did not open ({channel.phase})")
