"""Two channels, two signers and the wire between them: what one sends, the other must accept.

Every step of the harness is what the kernel does with a batch: step, answer, flush, sign, store
and reload, then send.  Messages cross the wire encoded.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from tests.support.channel_kernel import judge, know
from wallet.base.bitcoin.chains import REGTEST
from wallet.base.bitcoin.script import p2wpkh
from wallet.base.bitcoin.transaction import Transaction, TxIn, TxOut
from wallet.base.crypto.curve import is_secret, point_of
from wallet.base.crypto.hashes import sha256
from wallet.base.values.amounts import FeeratePerKw, MilliSatoshi, Satoshi
from wallet.base.values.blocks import BlockHeight, CltvExpiry
from wallet.base.values.features import OUR_INIT, Feature, Features
from wallet.base.values.ids import (
    KeysId,
    OutPoint,
    Preimage,
    ShortChannelId,
    Txid,
)
from wallet.base.wire.channel import AcceptChannel, FundingCreated, FundingSigned, OpenChannel
from wallet.base.wire.message import Message, UnknownMessage, decode, encode
from wallet.machines.channel import actions, events, opening, opening_rules
from wallet.machines.channel.shutdown import broadcast_close
from wallet.machines.channel.state import LIVING, Channel
from wallet.machines.channel.step import step
from wallet.machines.signing import (
    ChannelKeys,
    DeriveChannel,
    DerivePoint,
    ReleasedSecret,
    UnsignedTx,
)
from wallet.machines.signing import ReleaseSecret as ReleaseRequest
from wallet.machines.step import Context
from wallet.node.filling import fill
from wallet.services.vault.signer import LocalSigner

FEERATE = FeeratePerKw(1_000)
FUNDING = Satoshi(1_000_000)
CLOSE_SCRIPT = {name: p2wpkh(point_of(sha256(name.encode()))) for name in ("alice", "bob")}
START_HEIGHT = 110
NO_PUSH = MilliSatoshi(0)
PUSH = MilliSatoshi(400_000_000)
AMOUNT = MilliSatoshi(10_000_000)
LEGACY = Features(OUR_INIT.bits - {Feature.OPTION_SIMPLE_CLOSE + 1})
"""Peers that close by `closing_signed`."""
COIN = OutPoint(Txid(sha256(b"coin")), 0)


def context(height: int = START_HEIGHT, seed: int = 0) -> Context:
    """A frozen world."""
    entropy = sha256(b"entropy" + seed.to_bytes(4, "big"))
    return Context(BlockHeight(height), FEERATE, 1_800_000_000, entropy)


def policy(minimum_depth: int = 1) -> opening_rules.Policy:
    """Regtest's."""
    return opening_rules.Policy(REGTEST.chain_hash, to_self_delay=6, minimum_depth=minimum_depth)


@dataclass
class Side:
    """One peer: its channel, its keys, what it has sent and what it asked of the world."""

    name: str
    signer: LocalSigner
    keys_id: KeysId
    channel: Channel | None = None
    sent: deque[bytes] = field(default_factory=deque)
    acts: list[actions.Action] = field(default_factory=list)
    broadcasts: list[tuple[str, Transaction]] = field(default_factory=list)
    records: list[actions.TheirCommitmentSigned] = field(default_factory=list)
    store: Callable[[Channel], Channel] = field(default=lambda channel: channel)
    height: int = START_HEIGHT
    feerate: FeeratePerKw = FEERATE
    judging: bool = True
    judged: int = -1
    """Number of our last commitment that the kernel engine has seen."""
    fund: Callable[[Any], list[events.Event]] = field(default=lambda _: [])
    """The wallet: answers what a channel asks it to pay for."""
    wishes: list[actions.Action] = field(default_factory=list)
    """Of the latest batch: known when its state is stored."""

    def world(self) -> Context:
        """What this side sees of it."""
        return replace(context(self.height), feerate=self.feerate)

    @property
    def state(self) -> Channel:
        """The channel, which must exist."""
        assert self.channel is not None
        return self.channel

    def keys(self) -> ChannelKeys:
        """Public keys for this side's channel."""
        (answer,) = self.signer.answer([DeriveChannel(self.keys_id, 7)])
        assert isinstance(answer, ChannelKeys)
        return answer

    def perform(self, wishes: tuple[actions.Action, ...]) -> None:
        """Sign and send; keep the rest for the test to look at."""
        for action in wishes:
            self.acts.append(action)
            match action:
                case actions.Send(message, slots):
                    self.sent.append(encode(fill(message, self.signer.answer(slots))))
                case actions.Broadcast(transaction, kind):
                    self.broadcasts.append((kind, self.sign(transaction)))
                case actions.TheirCommitmentSigned():
                    self.records.append(action)
                case _:
                    pass

    @property
    def closes(self) -> set[Txid]:
        """The closing transactions that both have signed, as the state remembers them."""
        wishes = broadcast_close(self.state)
        return {wish.transaction.tx.txid for wish in wishes}

    def sign(self, transaction: UnsignedTx) -> Transaction:
        """Complete a transaction with this side's keys."""
        answers = self.signer.answer(transaction.requests())
        return transaction.finish([a for a in answers if isinstance(a, bytes)])  # type: ignore[misc]

    def step(self, *batch: events.Event) -> list[actions.Action]:
        """One batch of the kernel: events, the signer's answers, a flush; then store, then act."""
        state = self.state
        wishes: list[actions.Action] = []
        for event in (*batch, events.Flush()):
            queue = [event]
            while queue:
                after = step(state, queue.pop(0), self.world())
                state = after.state
                for action in after.actions:
                    if isinstance(action, actions.Release):
                        request = ReleaseRequest(self.keys_id, action.number)
                        (released,) = self.signer.answer([request])
                        assert isinstance(released, ReleasedSecret)
                        queue.append(events.SecretReleased(released))
                    elif isinstance(action, actions.CheckProof):
                        point = DerivePoint(self.keys_id, action.number)
                        (ours,) = self.signer.answer([point])
                        genuine = is_secret(action.shown) and ours == point_of(action.shown)
                        queue.append(events.ProofChecked(action.number, genuine))
                    else:
                        if isinstance(action, actions.FundHtlc | actions.FundCommitment):
                            queue.extend(self.fund(action))
                        wishes.append(action)
        assert not state.revoking, "a batch ended between a signature and its revocation"
        if self.judging and state.our_number != self.judged and state.phase in LIVING:
            judge(state, self.signer)
            self.judged = state.our_number
        self.wishes = wishes
        self.channel = self.store(state)
        self.perform(tuple(wishes))
        return wishes

    def receive(self, data: bytes) -> list[actions.Action]:
        """A message arrives."""
        message = decode(data)
        assert not isinstance(message, UnknownMessage)
        return self.step(events.MessageReceived(message))


@dataclass
class Pair:
    """Alice opened the channel to Bob."""

    alice: Side
    bob: Side

    def other(self, side: Side) -> Side:
        """The peer."""
        return self.bob if side is self.alice else self.alice

    def deliver(self, sender: Side) -> bool:
        """Let one message of `sender` arrive; False when there is none."""
        if not sender.sent:
            return False
        self.other(sender).receive(sender.sent.popleft())
        return True

    def settle(self) -> None:
        """Deliver until the wire is silent."""
        while self.deliver(self.alice) or self.deliver(self.bob):
            pass

    def cut(self) -> None:
        """Lose the connection and whatever is on it."""
        for side in (self.alice, self.bob):
            side.sent.clear()
            side.step(events.PeerDisconnected())

    def reconnect(self) -> None:
        """A new connection, after `init`."""
        for side in (self.alice, self.bob):
            side.step(events.PeerConnected())

    def mine(self, height: int) -> None:
        """The funding transaction is in block `height`, which is the tip."""
        for side in (self.alice, self.bob):
            side.height = height
            side.step(
                events.FundingConfirmed(height, 1, self.funding_tx),
                events.NewTip(CLOSE_SCRIPT[side.name]),
            )

    @property
    def funding_tx(self) -> Transaction:
        """Unsigned; its txid is what counts."""
        transaction = self.alice.state.funding.transaction
        assert transaction is not None
        return transaction.tx


def make_side(name: str) -> Side:
    """A peer with keys from its name."""
    seed = sha256(name.encode()) + sha256(name.encode() + b"2")
    return Side(name, LocalSigner(seed, REGTEST), KeysId(sha256(name.encode())[:16]))


def _take(side: Side) -> Message:
    message = decode(side.sent.popleft())
    assert not isinstance(message, UnknownMessage)
    return message


def open_pair(
    push: MilliSatoshi = NO_PUSH,
    alices: opening_rules.Policy | None = None,
    bobs: opening_rules.Policy | None = None,
    *,
    features: Features = OUR_INIT,
    coin: OutPoint = COIN,
    **wish: Any,
) -> Pair:
    """Walk the open up to `funding_signed`; nothing is mined yet.

    `wish` changes the `OpenRequest`; `features` are what each has heard of the other; `coin` is
    what the funding transaction spends.
    """
    alice, bob = make_side("alice"), make_side("bob")
    alices, bobs = alices or policy(), bobs or policy()
    plain = opening_rules.OpenRequest(bob.signer.node_id, FUNDING, push, FEERATE, announce=False)
    request = replace(plain, **wish)
    started = opening.open_channel(
        request,
        alices,
        alice.keys_id,
        7,
        alice.keys(),
        CLOSE_SCRIPT["alice"],
        features,
        context(),
    )
    alice.perform(started.actions)
    proposed = _take(alice)
    assert isinstance(proposed, OpenChannel)
    accepted = opening.accept_channel(
        proposed,
        alice.signer.node_id,
        bobs,
        bob.keys_id,
        7,
        bob.keys(),
        CLOSE_SCRIPT["bob"],
        features,
    )
    bob.perform(accepted.actions)
    answer = _take(bob)
    assert isinstance(answer, AcceptChannel)
    waiting = opening.receive_accept(started.state, answer)
    tx = Transaction(2, (TxIn(coin),), (TxOut(request.amount, waiting.output_script),))
    created = opening.fund(waiting, UnsignedTx(tx, ()), 0, ShortChannelId(1, 2, 3), context())
    alice.perform(created.actions)
    message = _take(alice)
    assert isinstance(message, FundingCreated)
    theirs = opening.receive_funding_created(
        accepted.state, message, ShortChannelId(4, 5, 6), context()
    )
    bob.channel = theirs.state
    bob.perform(theirs.actions)
    signed = _take(bob)
    assert isinstance(signed, FundingSigned)
    ours = opening.receive_funding_signed(created.state, signed)
    alice.channel = ours.state
    alice.perform(ours.actions)
    return Pair(alice, bob)


def ready_pair(
    push: MilliSatoshi = PUSH,
    alices: opening_rules.Policy | None = None,
    bobs: opening_rules.Policy | None = None,
    *,
    features: Features = OUR_INIT,
    **wish: Any,
) -> Pair:
    """Both may send: by default Alice has 600,000 sat and Bob 400,000. `wish`: see `open_pair`."""
    pair = open_pair(push, alices, bobs, features=features, **wish)
    pair.mine(START_HEIGHT + 1)
    pair.settle()
    return pair


def preimage_of(number: int) -> Preimage:
    """A different preimage for each number."""
    return Preimage(sha256(b"preimage" + number.to_bytes(4, "big")))


def offer(number: int, amount: MilliSatoshi = AMOUNT, expiry: int = 500) -> events.OfferHtlc:
    """An HTLC that `preimage_of(number)` pays."""
    payment_hash = know(preimage_of(number))
    return events.OfferHtlc(amount, payment_hash, CltvExpiry(expiry), bytes(1366))


def link_up(pair: Pair) -> None:
    """Cut, connect again and let everything settle."""
    pair.cut()
    pair.reconnect()
    pair.settle()


__all__ = ["Pair", "Side", "link_up", "make_side", "offer", "open_pair", "ready_pair", "replace"]
