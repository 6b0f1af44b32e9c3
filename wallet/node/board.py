"""The board: every machine's state within reach of one batch, and the way between machines.

Rule 1: only `run` steps a channel; what it wishes goes to `work` or to a neighbour.
Rule 2: wishes are handled first in, first out, so messages leave in the order of the states.
Rule 3: a broken invariant freezes one channel: it says nothing more to its peer; the rest goes on,
and so does what the chain says of it, or a cheat would only have to find a bug.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from wallet.base.bitcoin.chains import Chain
from wallet.base.crypto.curve import point_of
from wallet.base.crypto.hashes import sha256
from wallet.base.errors import DecodeError, InvariantBroken, Refused
from wallet.base.values.amounts import Satoshi
from wallet.base.values.ids import ChannelId, NodeId, Txid
from wallet.machines.channel import actions, events
from wallet.machines.channel.htlc import Htlc, Split
from wallet.machines.channel.opening_rules import Policy
from wallet.machines.channel.state import Channel, ScidKind
from wallet.machines.channel.step import step
from wallet.machines.signing import DerivePoint, KeyAnswer, KeyRequest, ReleasedSecret
from wallet.machines.signing import ReleaseSecret as ReleaseRequest
from wallet.machines.step import Context
from wallet.node.config import NodeCard
from wallet.node.memory import Memory
from wallet.node.work import DropPeer, Notice, SendTo, Work
from wallet.services.ports import Signer

Listener = Callable[["Board", ChannelId, actions.Action], None]
CourtWish = actions.Broadcast | actions.FundHtlc | actions.FundCommitment | actions.ForgetBump
CourtDesk = Callable[["Board", ChannelId, CourtWish], None]


_HEARD_FROZEN = (
    events.FundingConfirmed
    | events.FundingUnconfirmed
    | events.FundingSought
    | events.FundingSpent
    | events.FundingUnspent
    | events.ClaimSpent
    | events.ClaimUnspent
    | events.ClaimFunded
    | events.BumpMade
    | events.NewTip
    | events.PeerDisconnected
)
"""The chain, and that the peer has left: a frozen channel says nothing to it until a restart."""

_FOUND = "the funding transaction is found again: all goes on over this channel"


@dataclass(slots=True)
class Board:
    """Memory, signer and the work of the present batch."""

    memory: Memory
    signer: Signer
    chain: Chain
    policy: Policy
    neighbour: Listener
    """Takes what a channel says about HTLCs (the payments desk)."""
    ctx: Context
    trusted: frozenset[NodeId] = frozenset()
    """Peers whose unconfirmed channels we take, as the command line names them."""
    work: Work = field(default_factory=Work)
    log: list[str] = field(default_factory=list)
    batch_ended: Callable[["Board"], None] = field(kw_only=True)
    """Looks at what the batch has touched, once every machine is at rest (our own gossip)."""
    card: NodeCard = field(kw_only=True)
    court: CourtDesk = field(kw_only=True)
    """Pays from the wallet for what channels must put on the chain."""
    recalled: dict[tuple[ChannelId, Txid], Split] = field(default_factory=dict)
    """Revoked commitments that the blocks of this batch hold, from disk."""
    _queue: deque[tuple[ChannelId, actions.Action]] = field(default_factory=deque)
    _running: bool = False
    _unflushed: set[ChannelId] = field(default_factory=set)

    def reset(self) -> None:
        """Forget what a failed batch had begun; memory is the caller's to replace."""
        self.work = Work()
        self._queue.clear()
        self._unflushed.clear()
        self.recalled.clear()
        self.log.clear()

    def ask(self, request: KeyRequest) -> KeyAnswer:
        """One question to the signer, answered within the batch."""
        (answer,) = self.signer.answer([request])
        return answer

    def entropy(self, purpose: str) -> bytes:
        """32 bytes of this event's entropy for one purpose."""
        return sha256(purpose.encode() + self.ctx.entropy)

    def add_channel(self, channel: Channel, wishes: tuple[actions.Action, ...]) -> None:
        """A channel has come to be."""
        self.memory.channels[channel.id] = channel
        self._name(channel)
        self._touch(channel.id)
        self._queue.extend((channel.id, wish) for wish in wishes)
        self._drain()

    def run(self, channel_id: ChannelId, event: events.Event) -> tuple[actions.Action, ...]:
        """Step one channel and see to its wishes. Raises `Refused`; then nothing has changed."""
        channel = self.memory.channels[channel_id]
        if channel_id in self.memory.frozen and not isinstance(event, _HEARD_FROZEN):
            raise Refused(f"this channel is frozen: {self.memory.frozen[channel_id]}")
        try:
            after = step(channel, event, self.ctx)
        except (InvariantBroken, DecodeError) as error:
            self._freeze(channel_id, str(error))
            return ()
        if after.state is not channel or after.actions:
            self.memory.channels[channel_id] = after.state
            if after.state.scids is not channel.scids:
                self._name(after.state)
            self._touch(channel_id)
        self._queue.extend((channel_id, wish) for wish in after.actions)
        self._drain()
        return after.actions

    def _name(self, channel: Channel) -> None:
        for name in channel.scids:
            # What a peer calls the channel is for its hints: it may have chosen any number.
            if name.kind is not ScidKind.THEIRS:
                self.memory.names[name.scid] = channel.id

    def _touch(self, channel_id: ChannelId) -> None:
        self.work.touched.add(channel_id)
        self._unflushed.add(channel_id)

    def tell(self, channel_id: ChannelId, event: events.Event) -> None:
        """`run` for events that nobody asked for: a frozen channel hears the chain alone."""
        if channel_id not in self.memory.frozen or isinstance(event, _HEARD_FROZEN):
            self.run(channel_id, event)

    def flush(self) -> None:
        """End of the batch: every channel that was touched commits what has gathered."""
        # One flush may touch another channel (a preimage goes upstream), so until nothing is new.
        while self._unflushed:
            waiting, self._unflushed = self._unflushed, set()
            for channel_id in sorted(waiting):
                self._flush_one(channel_id)
        self.batch_ended(self)

    def _flush_one(self, channel_id: ChannelId) -> None:
        self.tell(channel_id, events.Flush())
        self._unflushed.discard(channel_id)

    def _freeze(self, channel_id: ChannelId, reason: str) -> None:
        if channel_id in self.memory.frozen:
            self.log.append(f"channel {channel_id.hex()}, which is frozen: {reason}")
            return
        self.memory.frozen[channel_id] = reason
        self.log.append(f"channel {channel_id.hex()} is frozen: {reason}")
        peer = self.memory.channels[channel_id].terms.peer
        self.work.act(DropPeer(peer, "internal error"))
        self.work.act(Notice("channel_frozen", channel_id.hex()))

    def _drain(self) -> None:
        # Re-entered by the neighbour through `run`: the outermost call empties the queue.
        if self._running:
            return
        self._running = True
        try:
            while self._queue:
                self._see_to(*self._queue.popleft())
        finally:
            self._running = False
            self._queue.clear()

    def _see_to(self, channel_id: ChannelId, wish: actions.Action) -> None:
        terms = self.memory.channels[channel_id].terms
        match wish:
            case actions.Send(message, slots):
                self.work.act(SendTo(terms.peer, message, slots))
            case actions.Release(number):
                released = self.ask(ReleaseRequest(terms.keys_id, number))
                if not isinstance(released, ReleasedSecret):
                    raise InvariantBroken("the signer answered a release with something else")
                self.run(channel_id, events.SecretReleased(released))
            case actions.CheckProof(number, shown):
                ours = self.ask(DerivePoint(terms.keys_id, number))
                self.run(channel_id, events.ProofChecked(number, _is_secret_of(shown, ours)))
            case actions.Disconnect(reason):
                self.work.act(DropPeer(terms.peer, reason))
            case (
                actions.Broadcast()
                | actions.FundHtlc()
                | actions.FundCommitment()
                | actions.ForgetBump()
            ):
                self.court(self, channel_id, wish)
            case actions.Watch(outpoint):
                self.memory.watched[outpoint] = channel_id
            case actions.TheirCommitmentSigned():
                self.work.their_commitments.append((channel_id, wish))
            case actions.PhaseChanged():
                self.work.act(Notice("channel_state_changed", channel_id.hex()))
            case actions.HtlcGone(htlc):
                self.work.gone.append((channel_id, htlc))
                self.neighbour(self, channel_id, wish)
            case actions.FundingLost(message):
                self.work.act(Notice("funding_lost", channel_id.hex(), {"message": message}))
                self.neighbour(self, channel_id, wish)
            case actions.FundingBack():
                self.work.act(Notice("funding_back", channel_id.hex(), {"message": _FOUND}))
            case actions.HtlcCommitted() | actions.HtlcFulfilled() | actions.HtlcLapsed():
                self.neighbour(self, channel_id, wish)
            case actions.LossAccepted(htlc, cost):
                self.work.act(Notice("htlc_at_risk", channel_id.hex(), _loss(htlc, cost)))
            case actions.HtlcLost(htlc):
                self.work.act(Notice("htlc_lost", channel_id.hex(), _lost(htlc)))
            case actions.CloseSigned():
                self.work.act(Notice("close_signed", channel_id.hex(), _close(wish)))
            case actions.HtlcOffered() | actions.Announced():
                pass


def _close(signed: actions.CloseSigned) -> dict[str, str | int]:
    payer = "we pay" if signed.we_pay else "the peer pays"
    return {
        "txid": str(signed.txid),
        "fee_msat": signed.fee.to_msat().msat,
        "fee_payer": "local" if signed.we_pay else "remote",
        "message": f"closing transaction {signed.txid} is signed by both; {payer} its fee of"
        f" {signed.fee}",
    }


def _loss(htlc: Htlc, cost: Satoshi) -> dict[str, str | int]:
    ours = htlc.key.offered_by_us
    what = "the peer does not answer a payment" if ours else "the peer does not settle a payment"
    return {
        "htlc_id": htlc.key.id,
        "direction": "out" if ours else "in",
        "amount_msat": htlc.amount.msat,
        "cost_sat": cost.sat,
        "message": f"{what} of {htlc.amount}. Closing the channel for it would cost about {cost},"
        " so it stays open; the amount may be lost. A peer that does this again is worth closing",
    }


def _lost(htlc: Htlc) -> dict[str, str | int]:
    return {
        "htlc_id": htlc.key.id,
        "direction": "in",
        "amount_msat": htlc.amount.msat,
        "message": f"the peer took {htlc.amount} back on chain before our claim was in a block, and"
        " the preimage is out. Keep more coins on chain: they pay for claims that come in time",
    }


def _is_secret_of(shown: bytes, point: KeyAnswer) -> bool:
    try:
        return point_of(shown) == point
    except DecodeError:
        return False
