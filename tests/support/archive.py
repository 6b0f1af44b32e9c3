"""A side's channel as rows: what the kernel writes with each batch, kept until a store takes it."""

from collections.abc import Sequence

from tests.support.pair import Side
from wallet.base.bitcoin.chains import REGTEST
from wallet.machines.channel import actions
from wallet.machines.channel.state import Channel
from wallet.machines.coins.wallet import Wallet
from wallet.node import persist
from wallet.node.memory import Memory, genesis_ref
from wallet.node.work import Work
from wallet.services.store.tables import Write


class Archive:
    """The rows of each batch of a side, from now on; `Side.store` calls `keep` at every step."""

    def __init__(self, side: Side) -> None:
        self.side = side
        self.memory = Memory(wallet=Wallet(), tip=genesis_ref(REGTEST.chain_hash))
        self.batches: list[list[Write]] = [self.rows(side.state, side.records)]
        side.store = self.keep

    def keep(self, channel: Channel) -> Channel:
        """One batch more."""
        self.batches.append(self.rows(channel, self.side.wishes))
        return channel

    def rows(self, channel: Channel, wishes: Sequence[actions.Action]) -> list[Write]:
        """What a batch writes that ended with this state and these wishes."""
        before = persist.Before(self.memory)
        self.memory.channels[channel.id] = channel
        work = Work()
        work.touched.add(channel.id)
        for wish in wishes:
            if isinstance(wish, actions.HtlcGone):
                work.gone.append((channel.id, wish.htlc))
            elif isinstance(wish, actions.TheirCommitmentSigned):
                work.their_commitments.append((channel.id, wish))
        return persist.writes(self.memory, before, work)
