"""A simple close as tests see it: what a side signed, what it said, and what a breach cost."""

from dataclasses import replace

from tests.support import kernel_engine
from tests.support.pair import CLOSE_SCRIPT, FUNDING, Pair, Side, ready_pair
from tests.support.policy_engine import verify_policy
from wallet.base.bitcoin.transaction import Transaction, TxOut
from wallet.base.channel_tx.closing import closing_weight
from wallet.base.channel_tx.scripts import funding_output
from wallet.base.channel_tx.simple_closing import (
    ClosingOutputs,
    SimpleTerms,
    build_simple_closing,
    offered_outputs,
)
from wallet.base.errors import Severity
from wallet.base.values.amounts import FeeratePerKw, MilliSatoshi, Satoshi
from wallet.base.values.encode import from_json, to_json
from wallet.base.values.features import OUR_INIT, Features
from wallet.base.values.ids import Signature
from wallet.base.wire.channel import ClosingComplete
from wallet.base.wire.message import Message, decode
from wallet.base.wire.setup import Error
from wallet.base.wire.setup import Warning as PeerWarning
from wallet.machines.channel import actions, events
from wallet.machines.channel.resume import resume
from wallet.machines.channel.state import Channel, Phase
from wallet.machines.signing import FundingKey, SignDigest
from wallet.node.persist import durable


def stored(channel: Channel) -> Channel:
    """Through its stored form, which promises the same."""
    kept: Channel = from_json(Channel, to_json(durable(channel)))
    assert resume(kept).actions == resume(channel).actions
    return channel


def ready(push: int = 400_000_000) -> Pair:
    """Alice has 600,000 sat and Bob 400,000; every state goes through its stored form."""
    pair = ready_pair(MilliSatoshi(push))
    pair.alice.store = pair.bob.store = stored
    return pair


def closed(push: int = 400_000_000) -> Pair:
    """Both versions are signed by both."""
    pair = ready(push)
    pair.alice.step(events.CloseMutually(None, None))
    pair.settle()
    return pair


def at(rate: int) -> events.CloseMutually:
    """A person wants to pay so much, in sat per 1000 weight units."""
    return events.CloseMutually(None, (FeeratePerKw(rate), FeeratePerKw(rate)))


def fee_at(rate: int) -> int:
    """Of a close to two P2WPKH outputs."""
    return FeeratePerKw(rate).fee_ceil(closing_weight(*CLOSE_SCRIPT.values())).sat


def fee_of(tx: Transaction) -> int:
    return FUNDING.sat - sum(output.amount.sat for output in tx.outputs)


def closes(side: Side) -> list[Transaction]:
    """What this side gave to the chain, each judged by consensus and by relay policy."""
    funding = side.state.funding
    spent = TxOut(funding.amount, funding_output(funding.our_pubkey, funding.their_pubkey))
    found = {tx.txid: tx for kind, tx in side.broadcasts if kind == "mutual close"}
    for tx in found.values():
        kernel_engine.verify(tx, [spent], kind="close")
        verify_policy(tx, [spent])
    return list(found.values())


def told(side: Side) -> list[actions.CloseSigned]:
    return [a for a in side.acts if isinstance(a, actions.CloseSigned)]


def said(side: Side) -> list[Message]:
    return [m for m in map(decode, side.sent) if isinstance(m, Message)]


def phases(pair: Pair) -> set[Phase]:
    return {pair.alice.state.phase, pair.bob.state.phase}


def hear(side: Side, message: Message) -> list[actions.Action]:
    """A message arrives out of the blue."""
    return side.step(events.MessageReceived(message))


def cost_of(wishes: list[actions.Action]) -> Severity | None:
    """What it cost the peer."""
    if any(isinstance(w, actions.Send) and isinstance(w.message, Error) for w in wishes):
        return Severity.FAIL_CHANNEL
    if any(isinstance(w, actions.Disconnect) for w in wishes):
        return Severity.DISCONNECT
    if any(isinstance(w, actions.Send) and isinstance(w.message, PeerWarning) for w in wishes):
        return Severity.WARN
    return None


def offering(features: Features = OUR_INIT, push: int = 400_000_000) -> Pair:
    """Bob has said `closing_complete`; Alice's own is on its way too, and nobody has answered."""
    pair = ready_pair(MilliSatoshi(push), features=features)
    pair.bob.step(events.CloseMutually(None, None))
    pair.deliver(pair.bob)
    pair.deliver(pair.alice)
    assert isinstance(said(pair.bob)[0], ClosingComplete)
    assert {s.state.phase for s in (pair.alice, pair.bob)} == {Phase.NEGOTIATING}
    return pair


def agreed() -> Pair:
    """Both versions are signed by both."""
    pair = offering()
    pair.settle()
    assert {s.state.phase for s in (pair.alice, pair.bob)} == {Phase.MUTUALLY_CLOSED}
    return pair


def terms_of(closer: Side, said: ClosingComplete) -> SimpleTerms:
    """As the closer sees what it says."""
    funding = closer.state.funding
    return SimpleTerms(
        funding.outpoint,
        funding.amount,
        funding.our_pubkey,
        funding.their_pubkey,
        funding.to_us,
        funding.to_them,
        said.closer_scriptpubkey,
        said.closee_scriptpubkey,
        said.fee_satoshis,
        said.locktime,
    )


def signed(side: Side, terms: SimpleTerms, outputs: ClosingOutputs) -> Signature:
    """A good signature of that side, whatever its machine thinks of it."""
    closing = build_simple_closing(terms, outputs)
    assert closing is not None
    key = FundingKey(side.state.terms.keys_id, 0)
    (signature,) = side.signer.answer([SignDigest(key, closing.digest)])
    assert isinstance(signature, bytes)
    return Signature(signature)


def complete(
    closer: Side,
    fee: int = 1_000,
    closer_script: bytes | None = None,
    closee_script: bytes | None = None,
    locktime: int = 0,
    *only: ClosingOutputs,
) -> ClosingComplete:
    """A `closing_complete` of that side with good signatures."""
    state = closer.state
    plain = ClosingComplete(
        state.id,
        closer_script or state.our_shutdown or b"",
        closee_script or state.their_shutdown or b"",
        Satoshi(fee),
        locktime,
    )
    terms = terms_of(closer, plain)
    made = {o: signed(closer, terms, o) for o in only or offered_outputs(terms)}
    return replace(
        plain,
        closer_output_only=made.get(ClosingOutputs.CLOSER),
        closee_output_only=made.get(ClosingOutputs.CLOSEE),
        closer_and_closee_outputs=made.get(ClosingOutputs.BOTH),
    )
