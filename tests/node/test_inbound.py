"""wallet/node/inbound.py: what an invoice of a running node tells of the node's own channels."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from tests.support.kernels import World, cut
from wallet.base.bitcoin.chains import REGTEST
from wallet.base.crypto.curve import point_of
from wallet.base.errors import Refused
from wallet.base.invoices.bolt11 import decode_invoice
from wallet.base.invoices.tagged import HintHop
from wallet.base.values.amounts import MilliSatoshi
from wallet.base.values.blocks import CltvDelta
from wallet.base.values.features import Feature
from wallet.base.values.ids import NodeId, ShortChannelId, Signature
from wallet.base.wire.gossip import ChannelUpdate
from wallet.machines.channel.limits import receivable
from wallet.machines.channel.state import ScidKind
from wallet.machines.payments.hints import Exposure
from wallet.machines.payments.incoming import InvoiceRequest
from wallet.machines.routing.graph import GraphChannel
from wallet.node.answers import InvoiceCreated
from wallet.node.events import CreateInvoice
from wallet.node.inbound import inbound_channels

ELSEWHERE = ShortChannelId(7, 7, 7)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """Bob has a private channel with Alice, who has told him what she asks for a forward."""
    async with World() as made:
        await made.opened()
        tell_terms(made)
        yield made


def node(number: int) -> NodeId:
    """A stranger."""
    return NodeId(point_of(bytes([number]) * 32))


def tell_terms(world: World, most: int = 900_000_000) -> None:
    """As Alice's `channel_update` leaves them in Bob's memory."""
    channel = world.bob.channel
    alias = channel.scid(ScidKind.THEIRS)
    assert alias is not None
    world.bob.kernel.board.memory.channel_updates[channel.id, False] = ChannelUpdate(
        signature=Signature(bytes(64)),
        chain_hash=REGTEST.chain_hash,
        short_channel_id=alias,
        timestamp=1,
        message_flags=1,
        channel_flags=0,
        cltv_expiry_delta=CltvDelta(34),
        htlc_minimum_msat=MilliSatoshi(1),
        fee_base_msat=MilliSatoshi(1_000),
        fee_proportional_millionths=10,
        htlc_maximum_msat=MilliSatoshi(most),
    )


async def invoice(
    world: World, exposure: Exposure, amount: int = 1_000_000
) -> tuple[list[HintHop], list[str]]:
    """The hints that a payer reads in Bob's invoice, and what Bob is warned of."""
    request = InvoiceRequest(
        label=f"{exposure} {amount}", amount=MilliSatoshi(amount), description=""
    )
    made = await world.bob.kernel.command(lambda t: CreateInvoice(t, request, None, exposure))
    assert isinstance(made, InvoiceCreated)
    read = decode_invoice(made.invoice.bolt11, REGTEST)
    return [hop for (hop,) in read.route_hints], [name for name, _ in made.warnings]


async def test_the_hint_of_a_private_channel_bears_the_alias_that_the_peer_gave(
    world: World,
) -> None:
    alias = world.alice.channel.scid(ScidKind.OURS)
    assert alias is not None
    assert alias != world.bob.channel.scid(ScidKind.REAL)
    hop = HintHop(world.alice.id, alias, MilliSatoshi(1_000), 10, CltvDelta(34))
    assert await invoice(world, Exposure()) == ([hop], [])
    assert await invoice(world, Exposure(private=True)) == ([hop], [])
    assert await invoice(world, Exposure(private=False)) == ([], ["warning_private_unused"])


async def test_a_hidden_channel_whose_peer_gave_no_alias_is_in_no_invoice(world: World) -> None:
    # BOLT 2: if `channel_type` has `option_scid_alias` set: MUST NOT use the real
    # `short_channel_id` in BOLT 11 `r` fields.
    memory, channel = world.bob.kernel.board.memory, world.bob.channel
    kept = tuple(name for name in channel.scids if name.kind is not ScidKind.THEIRS)
    bare = replace(channel, scids=kept)
    hidden = (*channel.terms.channel_type, Feature.OPTION_SCID_ALIAS.value)
    memory.channels[channel.id] = bare
    [seen] = inbound_channels(memory)
    assert seen.hint is not None
    assert seen.hint.short_channel_id == channel.scid(ScidKind.REAL)
    memory.channels[channel.id] = replace(bare, terms=replace(bare.terms, channel_type=hidden))
    [seen] = inbound_channels(memory)
    assert seen.hint is None


@pytest.mark.parametrize("kind", list(ScidKind))
async def test_a_channel_is_named_by_any_of_its_names(world: World, kind: ScidKind) -> None:
    name = world.bob.channel.scid(kind)
    assert name is not None
    hops, warned = await invoice(world, Exposure(only=(ELSEWHERE, name)))
    assert ([hop.node_id for hop in hops], warned) == ([world.alice.id], [])


async def test_a_name_of_no_channel_makes_no_invoice(world: World) -> None:
    with pytest.raises(Refused, match="suitable local channels") as refused:
        await invoice(world, Exposure(only=(ELSEWHERE,)))
    assert refused.value.code == 902
    assert world.bob.kernel.board.memory.invoices == {}


async def test_without_terms_there_is_no_hint(world: World) -> None:
    world.bob.kernel.board.memory.channel_updates.clear()
    assert await invoice(world, Exposure()) == ([], [])


async def test_what_can_come_in_is_what_both_sides_allow(world: World) -> None:
    memory = world.bob.kernel.board.memory
    [seen] = inbound_channels(memory)
    assert seen.receivable == receivable(world.bob.channel)
    tell_terms(world, most=500_000)
    [seen] = inbound_channels(memory)
    assert seen.receivable == MilliSatoshi(500_000)
    assert await invoice(world, Exposure(), 500_001) == (
        [hop for hop in [seen.hint] if hop],
        ["warning_capacity"],
    )


async def test_a_peer_that_is_away_or_that_nobody_reaches_is_warned_of(world: World) -> None:
    graph = world.bob.kernel.board.memory.graph
    one, other, third = sorted([world.alice.id, node(2), node(3)])
    strangers = [n for n in (one, other, third) if n != world.alice.id]
    graph.add_channel(GraphChannel(ELSEWHERE, strangers[0], strangers[1], 1_000, b""))
    assert await invoice(world, Exposure()) == ([], ["warning_deadends"])
    first, second = sorted([world.alice.id, strangers[0]])
    graph.add_channel(GraphChannel(ShortChannelId(8, 8, 8), first, second, 1_000, b""))
    hops, warned = await invoice(world, Exposure(), 1_000_001)
    assert (len(hops), warned) == (1, [])
    cut(world.alice, world.bob)
    await world.settle()
    assert await invoice(world, Exposure(), 1_000_002) == ([], ["warning_offline"])
