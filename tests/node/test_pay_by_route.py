"""Alice finds her way to Carol by the map, and another one when the first is blocked."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import pytest

from tests.support.kernels import House, World, cut, link
from wallet.base.errors import Refused
from wallet.base.values.amounts import MilliSatoshi
from wallet.machines.payments.records import Payment, PaymentStatus
from wallet.machines.payments.requests import KeysendRequest, PayRequest
from wallet.machines.routing.graph import DirectedPolicy, GraphChannel
from wallet.node import router
from wallet.node.answers import PaymentDone
from wallet.node.events import Keysend
from wallet.node.forward_desk import name_of

CAPACITY = 1_000_000


@dataclass
class Diamond:
    """Alice – Bob – Carol and Alice – Dave – Carol; Dave is dearer."""

    world: World
    alice: House
    bob: House
    carol: House
    dave: House

    def draw(self, one: House, other: House, base_msat: int, delta: int = 34) -> None:
        """Put a channel on Alice's map."""
        [channel] = one.kernel.board.memory.channels_with(other.id)
        scid = name_of(channel)
        assert scid is not None
        terms = DirectedPolicy(1, delta, 1, CAPACITY * 1_000, base_msat, 10)
        first, second = sorted((one.id, other.id))
        self.alice.kernel.board.memory.graph.add_channel(
            GraphChannel(scid, first, second, CAPACITY, b"", (terms, terms))
        )

    async def request(self, label: str, sat: int, max_fee: int = 10_000) -> PayRequest:
        """An invoice of Carol's that Alice pays with a limit on the fee (msat)."""
        asked = await self.carol.invoice(label, sat * 1_000)
        return replace(asked, max_fee=MilliSatoshi(max_fee))

    def by(self, payment: Payment) -> list[list[str]]:
        """The nodes of each try."""
        names = {house.id: house.name for house in self.world.houses}
        return [[names[hop.node_id] for hop in part.hops] for part in payment.parts]


@pytest.fixture
async def diamond() -> AsyncIterator[Diamond]:
    """All four channels are usable, and on Alice's map."""
    async with World(others=("carol", "dave")) as world:
        alice, bob, carol, dave = world.houses
        for one, other in ((alice, bob), (bob, carol), (alice, dave), (dave, carol)):
            await world.give(one)
            link(one, other)
            await world.settle()
            await world.open(one, other)
        made = Diamond(world, alice, bob, carol, dave)
        made.draw(bob, carol, 1)
        made.draw(dave, carol, 1_000)
        yield made


async def test_the_cheaper_way(diamond: Diamond) -> None:
    done = await diamond.alice.pay(await diamond.request("a", 10_000))
    assert done.payment.status is PaymentStatus.COMPLETE
    assert diamond.by(done.payment) == [["bob", "carol"]]
    assert done.payment.amount_sent == MilliSatoshi(10_000_101)


async def test_a_way_with_room(diamond: Diamond) -> None:
    """Alice sees her own channels: what they cannot send goes by the other one, or not at all."""
    first = await diamond.alice.pay(await diamond.request("a", 400_000))
    assert diamond.by(first.payment) == [["bob", "carol"]]
    await diamond.world.settle()
    second = await diamond.alice.pay(await diamond.request("b", 400_000))
    assert diamond.by(second.payment) == [["dave", "carol"]]
    await diamond.world.settle()
    with pytest.raises(Refused, match="at most") as refused:
        await diamond.alice.pay(await diamond.request("c", 400_000))
    assert refused.value.code == 215


async def test_what_failed_is_learned(diamond: Diamond) -> None:
    cut(diamond.bob, diamond.carol)
    await diamond.world.settle()
    done = await diamond.alice.pay(await diamond.request("a", 10_000))
    assert diamond.by(done.payment) == [["bob", "carol"], ["dave", "carol"]]
    assert done.payment.status is PaymentStatus.COMPLETE
    failure = done.payment.parts[0].failure
    assert failure is not None
    assert (failure.name, failure.hop) == ("temporary_channel_failure", 0)
    # The next payment knows it, and goes by Dave at once.
    again = await diamond.alice.pay(await diamond.request("b", 10_000))
    assert diamond.by(again.payment) == [["dave", "carol"]]


async def test_the_only_way_is_tried_by_each_payment_once(diamond: Diamond) -> None:
    """What failed is left alone while there is another way; it is better than none."""
    graph = diamond.alice.kernel.board.memory.graph
    [by_dave] = [c for c in graph.channels() if diamond.dave.id in (c.node_1, c.node_2)]
    graph.remove_channel(by_dave.scid)
    cut(diamond.bob, diamond.carol)
    await diamond.world.settle()
    for label in ("a", "b"):
        done = await diamond.alice.pay(await diamond.request(label, 10_000))
        assert diamond.by(done.payment) == [["bob", "carol"]]
        assert done.payment.status is PaymentStatus.FAILED
    link(diamond.bob, diamond.carol)
    await diamond.world.settle()
    done = await diamond.alice.pay(await diamond.request("c", 10_000))
    assert done.payment.status is PaymentStatus.COMPLETE


async def test_terms_that_changed(diamond: Diamond) -> None:
    """The map has an old, lower price: the refusal is read, and the channel left alone."""
    diamond.draw(diamond.bob, diamond.carol, 0)
    done = await diamond.alice.pay(await diamond.request("a", 10_000))
    assert diamond.by(done.payment) == [["bob", "carol"], ["dave", "carol"]]
    failure = done.payment.parts[0].failure
    assert failure is not None
    assert failure.name == "fee_insufficient"


async def test_excluded(diamond: Diamond) -> None:
    request = await diamond.request("a", 10_000)
    done = await diamond.alice.pay(replace(request, excluded=(diamond.bob.id.hex(),)))
    assert diamond.by(done.payment) == [["dave", "carol"]]


async def test_too_dear_leaves_no_trace(diamond: Diamond) -> None:
    with pytest.raises(Refused) as refused:
        await diamond.alice.pay(await diamond.request("a", 10_000, max_fee=50))
    assert refused.value.code == 206
    assert "fee" in refused.value.message
    assert diamond.alice.kernel.board.memory.payments == {}


async def test_keysend(diamond: Diamond) -> None:
    request = KeysendRequest(
        destination=diamond.carol.id,
        amount=MilliSatoshi(5_000_000),
        max_fee=MilliSatoshi(10_000),
        extra_tlvs=((133_773_311, b"hello"),),
    )
    done = await diamond.alice.kernel.command(lambda t: Keysend(t, request))
    assert isinstance(done, PaymentDone)
    assert done.payment.status is PaymentStatus.COMPLETE
    assert diamond.by(done.payment) == [["bob", "carol"]]
    invoice = diamond.carol.kernel.board.memory.invoices[done.payment.payment_hash]
    assert invoice.status == "paid"
    assert invoice.preimage == done.payment.preimage


@pytest.mark.parametrize("commits", range(9))
async def test_a_crash_at_any_commit_of_two_tries(diamond: Diamond, commits: int) -> None:
    """Nobody looks for the next route after a crash; the caller is told, and told the truth."""
    cut(diamond.bob, diamond.carol)
    await diamond.world.settle()
    request = await diamond.request("a", 10_000)
    alice, bob, carol, dave = (diamond.alice, diamond.bob, diamond.carol, diamond.dave)
    alice.store.fail_at = commits
    asked = alice.pay(request)
    await diamond.world.settle()
    alice.store.fail_at = None
    for peer in (bob, dave):
        cut(alice, peer)
        await diamond.world.settle()
        link(alice, peer)
        await diamond.world.settle()
    payments = alice.kernel.board.memory.payments
    paid = carol.kernel.board.memory.invoices[request.invoice.payment_hash].status == "paid"
    try:
        done = (await asked).payment
    except Refused as refused:
        assert "Nothing was sent" in refused.message
        assert payments == {}
        assert not paid
        return
    assert (done.status is PaymentStatus.COMPLETE) is paid
    assert done == payments[request.invoice.payment_hash, 1]
    assert not done.pending_parts


async def test_a_search_with_a_bug_ends_its_payment_and_nothing_else(
    diamond: Diamond, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ValueError("a bug")

    request = await diamond.request("a", 10_000)
    monkeypatch.setattr(router, "find_route", broken)
    with pytest.raises(Refused, match="internal error"):
        await diamond.alice.pay(request)
    monkeypatch.undo()
    done = await diamond.alice.pay(request)
    assert done.payment.status is PaymentStatus.COMPLETE


async def test_keysend_with_a_hint_of_no_hops(diamond: Diamond) -> None:
    request = KeysendRequest(
        destination=diamond.carol.id,
        amount=MilliSatoshi(5_000_000),
        max_fee=MilliSatoshi(10_000),
        hints=((),),
    )
    done = await diamond.alice.kernel.command(lambda t: Keysend(t, request))
    assert isinstance(done, PaymentDone)
    assert done.payment.status is PaymentStatus.COMPLETE
