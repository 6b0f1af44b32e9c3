"""Money through: what was passed on, every HTLC, and what we ask for passing one on."""

from typing import Final

from wallet.base.errors import Refused
from wallet.base.values.ids import ChannelId
from wallet.faces.rpc import sending_shapes as shapes
from wallet.faces.rpc.errors import Code
from wallet.faces.rpc.params import Args
from wallet.faces.rpc.sending_signatures import ListForwards, ListHtlcs, SetChannel
from wallet.faces.rpc.signatures import ChannelSelector
from wallet.faces.rpc.table import Answer, Method
from wallet.machines.channel.state import LIVING, Channel
from wallet.machines.payments.forwarding import TermsChange
from wallet.machines.payments.forwards import ForwardStatus
from wallet.node import lists
from wallet.node.api import Api
from wallet.node.lists import Page
from wallet.node.memory import Memory

DEFAULT_ENFORCE_SECONDS: Final = 600
_U32: Final = (1 << 32) - 1


async def listforwards(api: Api, args: Args) -> Answer:
    """HTLCs that came to be passed on, all or those that fit."""
    status = args.get(ListForwards.STATUS)
    found = await lists.forwards(
        api.core.store,
        Page(
            args.get(ListForwards.INDEX) == "updated",
            args.get(ListForwards.START),
            args.get(ListForwards.LIMIT),
        ),
        None if status is None else ForwardStatus(status),
        args.get(ListForwards.IN_CHANNEL),
        args.get(ListForwards.OUT_CHANNEL),
    )
    return {"forwards": [shapes.forward(record) for record in found]}


async def listhtlcs(api: Api, args: Args) -> Answer:
    """Every HTLC that we remember, all or those of a channel."""
    memory = await api.memory()
    selector = args.get(ListHtlcs.ID)
    chosen: tuple[ChannelId, ...] | None = None
    if selector is not None:
        chosen = tuple(c.id for c in memory.channels.values() if _fits(c, selector))
        if not chosen:
            raise Refused("id: there is no such channel", Code.INVALID_PARAMS)
    found = await lists.htlcs(
        api.core.store,
        Page(
            args.get(ListHtlcs.INDEX) == "updated",
            args.get(ListHtlcs.START),
            args.get(ListHtlcs.LIMIT),
        ),
        chosen,
    )
    return {"htlcs": [shapes.htlc(item, memory.channels[item.channel_id]) for item in found]}


async def setchannel(api: Api, args: Args) -> Answer:
    """Other terms for payments that leave by a channel, all with a peer, or all there are.

    For `enforcedelay` seconds the terms of before are accepted too: other nodes hear of a change
    late.  Only the last ones are remembered, and not over a restart.
    """
    if args.get_or(SetChannel.IGNOREFEELIMITS, False):
        raise Refused(
            "ignorefeelimits: a peer's fee rate is always held against limits here",
            Code.INVALID_PARAMS,
        )
    fee_base = args.get(SetChannel.FEEBASE)
    if fee_base is not None and fee_base.msat > _U32:
        raise Refused("feebase: should be an unsigned 32 bit integer", Code.INVALID_PARAMS)
    answered = await api.set_terms(
        _selected(await api.memory(), args[SetChannel.ID]),
        TermsChange(
            fee_base,
            args.get(SetChannel.FEEPPM),
            args.get(SetChannel.HTLCMIN),
            args.get(SetChannel.HTLCMAX),
        ),
        args.get_or(SetChannel.ENFORCEDELAY, DEFAULT_ENFORCE_SECONDS),
    )
    return {
        "channels": [
            {**shapes.terms(channel), **dict(warnings)} for channel, warnings in answered.channels
        ]
    }


def _selected(memory: Memory, selector: ChannelSelector | None) -> tuple[ChannelId, ...]:
    """A channel that is named, in whatever state; of several only those that live."""
    channels = memory.channels.values()
    found = [c for c in channels if selector is None or _fits(c, selector)]
    if selector is None or selector.node_id is not None:
        found = [c for c in found if c.phase in LIVING]
    if not found and selector is not None:
        raise Refused("id: there is no such channel", Code.INVALID_PARAMS)
    return tuple(channel.id for channel in found)


def _fits(channel: Channel, selector: ChannelSelector) -> bool:
    return (
        channel.id == selector.channel_id
        or channel.terms.peer == selector.node_id
        or selector.short_channel_id in {name.scid for name in channel.scids}
    )


FORWARDING: Final[tuple[Method[Api], ...]] = (
    Method("listforwards", ListForwards.PARAMS, listforwards, "lists what was passed on"),
    Method("listhtlcs", ListHtlcs.PARAMS, listhtlcs, "lists HTLCs"),
    Method("setchannel", SetChannel.PARAMS, setchannel, "changes what a channel asks for"),
)
"""The methods of this file."""
