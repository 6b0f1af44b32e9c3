"""BOLT 3's witness scripts, as bytes. No point arithmetic: keys come ready from `keys`.

Delays and expiries are numbers of blocks.  `settled_delay` of the format (one block with
`option_anchors`, none without) is what keeps every output but the anchors from being spent in the
commitment's own block or mempool.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Self

from wallet.base.bitcoin.script import Op, hash160, p2wsh, push, push_int, script
from wallet.base.channel_tx.keys import CommitmentKeys
from wallet.base.crypto.ripemd160 import ripemd160
from wallet.base.values.blocks import CltvExpiry
from wallet.base.values.ids import PaymentHash, Point


def funding_script(one: Point, other: Point) -> bytes:
    """BOLT 3 "Funding Transaction Output": two of two, the lesser `funding_pubkey` first."""
    pubkeys = sorted((one, other))
    return script(2, *pubkeys, 2, Op.CHECKMULTISIG)


def funding_output(one: Point, other: Point) -> bytes:
    """The script_pubkey of the funding output."""
    return p2wsh(funding_script(one, other))


def to_local_script(revocation_pubkey: Point, to_self_delay: int, delayed_pubkey: Point) -> bytes:
    """BOLT 3 `to_local` output, and the one output of every HTLC transaction."""
    return script(
        Op.IF,
        revocation_pubkey,
        Op.ELSE,
        to_self_delay,
        Op.CHECKSEQUENCEVERIFY,
        Op.DROP,
        delayed_pubkey,
        Op.ENDIF,
        Op.CHECKSIG,
    )


def to_remote_script(payment_pubkey: Point) -> bytes:
    """BOLT 3 `to_remote` output with `option_anchors`: one block of delay."""
    return script(payment_pubkey, Op.CHECKSIGVERIFY, 1, Op.CHECKSEQUENCEVERIFY)


def anchor_script(funding_pubkey: Point) -> bytes:
    """BOLT 3 anchor output: its owner at once, anyone after 16 blocks."""
    return script(
        funding_pubkey,
        Op.CHECKSIG,
        Op.IFDUP,
        Op.NOTIF,
        16,
        Op.CHECKSEQUENCEVERIFY,
        Op.ENDIF,
    )


@lru_cache(maxsize=4096)
def _push_payment_hash(payment_hash: bytes) -> bytes:
    # The same HTLC is written into many commitments, and RIPEMD-160 is slow where OpenSSL lacks it.
    return push(ripemd160(payment_hash))


@dataclass(frozen=True, slots=True)
class HtlcScripts:
    """The HTLC scripts of one commitment: what all its HTLCs share is put together once."""

    _offered: tuple[bytes, bytes]
    _received: tuple[bytes, bytes, bytes]

    @classmethod
    def of(cls, keys: CommitmentKeys, settled_delay: int) -> Self:
        """The scripts under `keys`; `settled_delay` is the format's, zero or one block."""
        # To the countersigner with the revocation key; every other way goes on behind it.
        head = script(
            *(Op.DUP, Op.HASH160, hash160(keys.revocation_pubkey), Op.EQUAL),
            *(Op.IF, Op.CHECKSIG, Op.ELSE),
            *(keys.countersigner_htlc_pubkey, Op.SWAP, Op.SIZE, 32, Op.EQUAL),
        )
        two_of_two = script(2, Op.SWAP, keys.broadcaster_htlc_pubkey, 2, Op.CHECKMULTISIG)
        delay = (settled_delay, Op.CHECKSEQUENCEVERIFY, Op.DROP) if settled_delay else ()
        settled = script(Op.CHECKSIG, Op.ENDIF, *delay, Op.ENDIF)
        return cls(
            # To the broadcaster by HTLC-timeout; else to the countersigner with the preimage.
            _offered=(
                head + script(Op.NOTIF, Op.DROP) + two_of_two + script(Op.ELSE, Op.HASH160),
                script(Op.EQUALVERIFY) + settled,
            ),
            # To the broadcaster by HTLC-success; else to the countersigner after the expiry.
            _received=(
                head + script(Op.IF, Op.HASH160),
                script(Op.EQUALVERIFY) + two_of_two + script(Op.ELSE, Op.DROP),
                script(Op.CHECKLOCKTIMEVERIFY, Op.DROP) + settled,
            ),
        )

    def offered(self, payment_hash: PaymentHash) -> bytes:
        """BOLT 3 "Offered HTLC Outputs": an HTLC that the broadcaster offered."""
        head, tail = self._offered
        return head + _push_payment_hash(payment_hash) + tail

    def received(self, payment_hash: PaymentHash, cltv_expiry: CltvExpiry) -> bytes:
        """BOLT 3 "Received HTLC Outputs": an HTLC that the countersigner offered."""
        head, middle, tail = self._received
        return (
            head + _push_payment_hash(payment_hash) + middle + push_int(cltv_expiry.height) + tail
        )
