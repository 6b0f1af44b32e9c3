"""What two peers must agree on, looked at after every step of a pair.

A `Ledger` remembers every commitment that was ever signed, as each side has built it: for the peer
when it signed, for itself when it accepted the signature.  Rebuilding them once, when they are new,
is enough: the transactions never change afterwards.
"""

from dataclasses import dataclass, field

from tests.support.pair import Pair, Side
from wallet.base.values.ids import Txid
from wallet.machines.channel import actions
from wallet.machines.channel.commitments import (
    Column,
    in_ours,
    in_their_previous,
    in_theirs,
    our_commitment,
    split,
    their_commitment,
)
from wallet.machines.channel.htlc import Failed, Fulfilled, HtlcKey, Malformed
from wallet.machines.channel.htlc_stages import ROWS
from wallet.machines.channel.state import Channel, Phase


@dataclass
class Ledger:
    """Watches both sides; `look` after each step raises AssertionError for what must not be."""

    pair: Pair
    held: dict[tuple[str, int], Txid] = field(default_factory=dict)
    """(broadcaster, number): as the broadcaster built it."""
    signed: dict[tuple[str, int], Txid] = field(default_factory=dict)
    """(broadcaster, number): as the countersigner built it."""
    ends: dict[tuple[str, HtlcKey], str] = field(default_factory=dict)
    read: dict[str, int] = field(default_factory=dict)
    may_fail: bool = False

    def look(self) -> None:
        """Everything."""
        for side in (self.pair.alice, self.pair.bob):
            channel = side.state
            assert self.may_fail or channel.phase is not Phase.FAILED, channel.error
            _no_coin_is_made_or_lost(channel)
            self._note(side)
            self._no_two_ends(side)

    def _note(self, side: Side) -> None:
        channel, other = side.state, self.pair.other(side)
        self._same(self.held, (side.name, channel.our_number), channel, ours=True)
        self._same(self.signed, (other.name, channel.their_number), channel, ours=False)
        for key in ((side.name, channel.our_number), (other.name, channel.their_number)):
            if key in self.held and key in self.signed:
                assert self.held[key] == self.signed[key], f"two commitments {key}"

    def _same(
        self,
        known: dict[tuple[str, int], Txid],
        key: tuple[str, int],
        channel: Channel,
        *,
        ours: bool,
    ) -> None:
        funding = channel.funding
        built = our_commitment(channel, funding) if ours else their_commitment(channel, funding)
        txid = built.commitment.tx.txid
        assert known.setdefault(key, txid) == txid, f"commitment {key} has changed"

    def _no_two_ends(self, side: Side) -> None:
        """An HTLC ends once, and the word that went upstream is not taken back."""
        for wish in side.acts[self.read.get(side.name, 0) :]:
            match wish:
                case actions.HtlcFulfilled(htlc):
                    end = "fulfilled"
                case actions.HtlcGone(htlc, Fulfilled()):
                    end = "fulfilled"
                case actions.HtlcGone(htlc, Failed() | Malformed()):
                    end = "failed"
                case _:
                    continue
            known = self.ends.setdefault((side.name, htlc.key), end)
            assert known == end, f"{htlc.key} was {known}, now {end}"
        self.read[side.name] = len(side.acts)

    def both_ends(self) -> None:
        """At peace: what one side calls fulfilled the other calls so too."""
        mirrored = {
            (self.pair.other(side).name, HtlcKey(not key.offered_by_us, key.id)): self.ends[
                name, key
            ]
            for side in (self.pair.alice, self.pair.bob)
            for name, key in list(self.ends)
            if name == side.name
        }
        assert mirrored == self.ends


def _no_coin_is_made_or_lost(channel: Channel) -> None:
    funding = channel.funding
    capacity = funding.amount.to_msat().msat
    assert funding.to_us.msat + funding.to_them.msat == capacity
    columns: list[Column] = [in_ours, in_theirs]
    if channel.awaiting_revocation:
        columns.append(in_their_previous)
    for column in columns:
        content = split(channel, funding, column)
        flying = sum(h.amount.msat for h in content.htlcs)
        assert content.to_us.msat + content.to_them.msat + flying == capacity
        assert min(content.to_us.msat, content.to_them.msat) >= 0
    for htlc in channel.htlcs.values():
        row = ROWS[htlc.stage]
        assert row.removing is (htlc.removal is not None), htlc
        assert (htlc.in_ours.first is not None) >= row.in_ours, htlc
        assert (htlc.in_theirs.first is not None) >= row.in_theirs, htlc
    assert not channel.revoking
