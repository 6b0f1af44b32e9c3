"""A channel's rows hold the whole channel: written step by step, read back after each."""

import random
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest

from tests.support.archive import Archive
from tests.support.channel_kernel import PREIMAGES
from tests.support.pair import Pair, Side, offer, open_pair
from wallet.base.bitcoin.chains import REGTEST
from wallet.base.errors import Refused
from wallet.base.values.amounts import FeeratePerKw, MilliSatoshi
from wallet.base.values.ids import ShortChannelId
from wallet.base.wire.channel import ChannelReady
from wallet.machines.channel import events
from wallet.machines.channel.htlc_stages import Stage
from wallet.machines.channel.state import Channel, ScidKind
from wallet.node import persist
from wallet.node.build import make_board
from wallet.node.config import Config
from wallet.services.store.memory import MemoryStore

T = TypeVar("T")


def now(work: Coroutine[object, object, T]) -> T:
    """The result of a coroutine that never waits."""
    try:
        work.send(None)
    except StopIteration as stop:
        result: T = stop.value
        return result
    raise AssertionError("it waits")


class Keeper(Archive):
    """Stores one side's channel as the kernel does, and reads it back at every step."""

    def __init__(self, side: Side) -> None:
        super().__init__(side)
        self.store = MemoryStore()
        now(self.store.open())
        now(self.store.commit(*self.batches))
        self.steps = 0

    def keep(self, channel: Channel) -> Channel:
        now(self.store.commit(self.rows(channel, self.side.wishes)))
        (loaded,) = now(persist.load_channels(self.store))
        assert same(loaded) == same(persist.durable(channel))
        self.steps += 1
        return channel


def same(channel: Channel) -> Channel:
    """Two names for one thing may stand in any order; rows of HTLCs too (a mapping)."""
    by_name = sorted(channel.scids, key=lambda s: (s.scid, s.kind, s.until or 0))
    return replace(channel, scids=tuple(by_name))


def kept_pair() -> tuple[Pair, Keeper, Keeper]:
    pair = open_pair(MilliSatoshi(300_000_000))
    keepers = Keeper(pair.alice), Keeper(pair.bob)
    pair.mine(111)
    pair.settle()
    return pair, *keepers


def _act(pair: Pair, dice: random.Random, number: int) -> None:
    side = dice.choice((pair.alice, pair.bob))
    match dice.randrange(8):
        case 0 | 1:
            side.step(offer(number, MilliSatoshi(dice.choice((1, 353_999, 354_000, 20_000_123)))))
        case 2 | 3 | 4:
            for key, htlc in list(side.state.htlcs.items()):
                if not key.offered_by_us:
                    side.step(events.FulfillHtlc(key.id, PREIMAGES[htlc.payment_hash]))
                    return
        case 5:
            for key in list(side.state.htlcs):
                if not key.offered_by_us:
                    side.step(events.FailHtlc(key.id, b"no"))
                    return
        case 6:
            pair.alice.step(events.ChangeFeerate(FeeratePerKw(dice.randrange(300, 3_000))))
        case _:
            pair.cut()
            pair.reconnect()


@pytest.mark.parametrize("seed", range(4))
def test_rows__hold_the_channel_at_every_step(seed: int) -> None:
    dice = random.Random(seed)
    pair, ours, theirs = kept_pair()
    for number in range(60):
        try:
            _act(pair, dice, number)
        except Refused:
            continue
        for _ in range(dice.randrange(4)):
            pair.deliver(dice.choice((pair.alice, pair.bob)))
    pair.settle()
    pair.alice.step(events.CloseMutually(None, None))
    pair.settle()
    assert min(ours.steps, theirs.steps) > 60


def test_rows__names_end_and_names_collide() -> None:
    """A peer may choose as its alias a name of ours; a reorganisation moves the real one."""
    pair, _, _ = kept_pair()
    alice = pair.alice
    real, own = alice.state.scid(ScidKind.REAL), alice.state.scid(ScidKind.OURS)
    point = alice.state.their_points[1]
    for alias in (real, own, ShortChannelId(0xFFFFFF, 1, 1)):
        alice.step(events.MessageReceived(ChannelReady(alice.state.id, point, alias)))
        assert alice.state.scid(ScidKind.THEIRS) == alias
    for height in (112, 111):
        alice.step(events.FundingUnconfirmed())
        alice.step(events.FundingConfirmed(height, 1, pair.funding_tx))
    assert (alice.state.scid(ScidKind.REAL), alice.state.scid(ScidKind.OURS)) == (real, own)


def test_what_a_start_decides_is_on_disk_before_anything_is_done(tmp_path: Path) -> None:
    """An HTLC that waited for its answer gets it at the start: stored first, then said."""
    pair, _, keeper = kept_pair()
    pair.mine(111)
    pair.settle()
    pair.alice.step(offer(1))
    pair.settle()
    config = Config(tmp_path, REGTEST, "http://127.0.0.1:1", tmp_path, "127.0.0.1:0", "bob")
    board = make_board(config, pair.bob.signer)
    now(persist.load(keeper.store, board))
    (channel,) = board.memory.channels.values()
    (answered,) = channel.htlcs.values()
    assert answered.stage is Stage.SENT_REMOVE_HTLC
    (stored,) = now(persist.load_channels(keeper.store))
    assert list(stored.htlcs.values()) == [answered]
