"""One realistic value of each big class, built by hand: for codecs, stores and their benchmarks."""

from dataclasses import replace

from wallet.base.bitcoin.script import p2wpkh
from wallet.base.bitcoin.transaction import Transaction, TxIn, TxOut
from wallet.base.channel_tx.format import ANCHORS
from wallet.base.channel_tx.keys import Basepoints
from wallet.base.crypto.curve import point_of
from wallet.base.crypto.hashes import sha256
from wallet.base.crypto.shachain import FIRST_INDEX, Shachain, secret_at
from wallet.base.values.amounts import ZERO_MSAT, FeeratePerKw, MilliSatoshi, Satoshi
from wallet.base.values.blocks import CltvExpiry
from wallet.base.values.ids import (
    ChainHash,
    KeysId,
    NodeId,
    OutPoint,
    PaymentHash,
    Point,
    Preimage,
    Secret,
    ShortChannelId,
    Signature,
    Txid,
    channel_id_of,
)
from wallet.machines.channel.htlc import CommitmentRange, Fulfilled, Htlc, HtlcKey
from wallet.machines.channel.htlc_stages import Stage
from wallet.machines.channel.state import (
    Change,
    Channel,
    Confirmation,
    FeeUpdate,
    Funding,
    Link,
    Negotiation,
    Phase,
    Scid,
    ScidKind,
    SideTerms,
    Tally,
    Terms,
)
from wallet.machines.signing import FundingKey, InputToSign, SignDigest, Slot, UnsignedTx


def point(number: int) -> Point:
    """A valid point of its own for each number from 1 on."""
    return point_of(Secret(number.to_bytes(32, "big")))


def basepoints(first: int) -> Basepoints:
    """Four different ones."""
    return Basepoints(point(first), point(first + 1), point(first + 2), point(first + 3))


def revealed(count: int) -> Shachain:
    """A receiver's store after `count` revocations."""
    store = Shachain()
    for number in range(count):
        index = FIRST_INDEX - number
        store = store.insert(index, secret_at(sha256(b"their seed"), index))
    return store


SAMPLE_TX = Transaction(
    2,
    (TxIn(OutPoint(Txid(sha256(b"coin")), 1)),),
    (TxOut(Satoshi(1_000_000), p2wpkh(point(60))), TxOut(Satoshi(7_000), p2wpkh(point(61)))),
)

_KEYS_ID = KeysId(sha256(b"keys")[:16])
_FUNDING = OutPoint(SAMPLE_TX.txid, 0)

TERMS = Terms(
    channel_id=channel_id_of(_FUNDING),
    peer=NodeId(point(70)),
    keys_id=_KEYS_ID,
    payment_index=17,
    chain_hash=ChainHash(sha256(b"regtest")),
    format=ANCHORS,
    channel_type=(12, 22),
    we_opened=True,
    announce=False,
    minimum_depth=3,
    ours=SideTerms(
        dust_limit=Satoshi(354),
        max_htlc_value_in_flight=MilliSatoshi((1 << 64) - 1),
        channel_reserve=Satoshi(10_000),
        htlc_minimum=MilliSatoshi(1),
        to_self_delay=144,
        max_accepted_htlcs=483,
        basepoints=basepoints(1),
        upfront_shutdown_script=b"",
    ),
    theirs=SideTerms(
        dust_limit=Satoshi(546),
        max_htlc_value_in_flight=MilliSatoshi(450_000_000),
        channel_reserve=Satoshi(10_000),
        htlc_minimum=MilliSatoshi(1_000),
        to_self_delay=720,
        max_accepted_htlcs=30,
        basepoints=basepoints(11),
        upfront_shutdown_script=p2wpkh(point(62)),
    ),
    opened_at=1_700_000_000,
    close_to=p2wpkh(point(63)),
    their_features=bytes.fromhex("02aaa2"),
)

FUNDING = Funding(
    number=0,
    outpoint=_FUNDING,
    amount=Satoshi(1_000_000),
    our_pubkey=point(21),
    their_pubkey=point(22),
    our_contribution=MilliSatoshi(1_000_000_000),
    pushed=MilliSatoshi(400_000_000),
    least_to_us=MilliSatoshi(500_000_000),
    most_to_us=MilliSatoshi(600_000_000),
    to_us=MilliSatoshi(812_345_678),
    to_them=MilliSatoshi(187_654_322),
    signature=Signature(sha256(b"r") + sha256(b"s")),
    htlc_signatures=(Signature(sha256(b"r1") + sha256(b"s1")),),
    confirmed=Confirmation(120, 1),
    transaction=UnsignedTx(
        SAMPLE_TX,
        (
            InputToSign(
                0,
                SignDigest(FundingKey(_KEYS_ID, 0), sha256(b"digest")),
                (Slot.DER_ALL, point(60)),
            ),
        ),
    ),
)

CHANNEL = Channel(
    terms=TERMS,
    phase=Phase.READY,
    link=Link.OFFLINE,
    fundings=(FUNDING,),
    our_number=41,
    their_number=42,
    awaiting_revocation=True,
    revoking=False,
    commit_sent_last=True,
    our_points=(point(31), point(32)),
    their_points=(point(33), point(34)),
    their_secrets=revealed(41),
    htlcs={},
    fees=(FeeUpdate(FeeratePerKw(253), Stage.SENT_ADD_ACK_REVOCATION),),
    our_next_htlc_id=20,
    their_next_htlc_id=23,
    ready_sent=True,
    ready_received=True,
    scids=(
        Scid(ShortChannelId(16_000_000, 1, 2), ScidKind.OURS, 0),
        Scid(ShortChannelId(120, 1, 0), ScidKind.REAL, 0),
    ),
    our_shutdown=None,
    shutdown_sent=False,
    their_shutdown=None,
    negotiation=Negotiation(),
    close_feerates=None,
    signed_close=None,
    fell_behind=False,
    error=None,
    onchain=None,
    changes=(
        Change(1_700_000_000, None, Phase.AWAITING_CONFIRMATION, "user", "opened"),
        Change(1_700_000_600, Phase.AWAITING_CONFIRMATION, Phase.READY, "remote", "channel_ready"),
    ),
    in_tally=Tally(23, 4_000_000, 22, 3_900_000),
    out_tally=Tally(20, 500_000, 20, 500_000),
)
"""A channel in the middle of its life, without HTLCs."""


def htlc(number: int, *, ours: bool = True, onion: bytes = b"") -> Htlc:
    """One row of the table."""
    return Htlc(
        key=HtlcKey(ours, number),
        amount=MilliSatoshi(1_000 * (number + 1)),
        payment_hash=PaymentHash(sha256(b"hash %d" % number)),
        cltv_expiry=CltvExpiry(500 + number),
        onion=onion,
        stage=Stage.SENT_ADD_COMMIT if ours else Stage.RCVD_ADD_COMMIT,
        removal=None if number % 2 else Fulfilled(Preimage(sha256(b"preimage %d" % number))),
        in_ours=CommitmentRange(number, None),
    )


def busy_channel(count: int) -> Channel:
    """`CHANNEL` with `count` HTLCs in each direction."""
    rows = [htlc(n, ours=ours) for n in range(count) for ours in (True, False)]
    return replace(
        CHANNEL,
        htlcs={row.key: row for row in rows},
        fundings=(replace(FUNDING, to_them=ZERO_MSAT),),
    )
