"""What each method about the map takes (see signatures.py)."""

from typing import Final

from wallet.base.values.ids import NodeId, Point
from wallet.faces.rpc.params import AnyParam, Param, Unfit
from wallet.faces.rpc.parsers import (
    array,
    array_of,
    fraction,
    msat,
    node_id,
    short_channel_id,
    u32,
)
from wallet.faces.rpc.sending_signatures import excluded

LAYERS: Final = ("auto.localchans", "auto.sourcefree", "auto.no_mpp_support")
"""Of Core Lightning's own layers those that mean something here."""


Left = tuple[int, int] | NodeId
"""What a route is not to use: a direction of a channel, or a node."""


def edge_or_node(value: object) -> Left:
    """`103x1x0/1` as number and direction, or a node id."""
    scid, slash, direction = excluded(value).partition("/")
    if slash:
        return short_channel_id(scid).to_int(), int(direction)
    return NodeId(Point(bytes.fromhex(scid)))


def layers(value: object) -> frozenset[str]:
    """Names of layers; nobody can make one here."""
    names = array(value)
    unknown = [name for name in names if name not in LAYERS]
    if unknown:
        raise Unfit(f"should name layers that exist: {', '.join(LAYERS)}")
    return frozenset(str(name) for name in names)


class ListNodes:
    ID: Final = Param("id", node_id)
    PARAMS: Final[tuple[AnyParam, ...]] = (ID,)


class ListChannels:
    SHORT_CHANNEL_ID: Final = Param("short_channel_id", short_channel_id)
    SOURCE: Final = Param("source", node_id)
    DESTINATION: Final = Param("destination", node_id)
    PARAMS: Final[tuple[AnyParam, ...]] = (SHORT_CHANNEL_ID, SOURCE, DESTINATION)


class GetRoute:
    ID: Final = Param("id", node_id, required=True)
    AMOUNT_MSAT: Final = Param("amount_msat", msat, required=True)
    RISKFACTOR: Final = Param("riskfactor", fraction, required=True)
    CLTV: Final = Param("cltv", u32)
    FROMID: Final = Param("fromid", node_id)
    FUZZPERCENT: Final = Param("fuzzpercent", fraction)
    EXCLUDE: Final = Param("exclude", array_of(edge_or_node))
    MAXHOPS: Final = Param("maxhops", u32)
    PARAMS: Final[tuple[AnyParam, ...]] = (
        ID,
        AMOUNT_MSAT,
        RISKFACTOR,
        CLTV,
        FROMID,
        FUZZPERCENT,
        EXCLUDE,
        MAXHOPS,
    )


class GetRoutes:
    SOURCE: Final = Param("source", node_id, required=True)
    DESTINATION: Final = Param("destination", node_id, required=True)
    AMOUNT_MSAT: Final = Param("amount_msat", msat, required=True)
    LAYERS: Final = Param("layers", layers, required=True)
    MAXFEE_MSAT: Final = Param("maxfee_msat", msat, required=True)
    FINAL_CLTV: Final = Param("final_cltv", u32, required=True)
    MAXDELAY: Final = Param("maxdelay", u32)
    MAXPARTS: Final = Param("maxparts", u32)
    PARAMS: Final[tuple[AnyParam, ...]] = (
        SOURCE,
        DESTINATION,
        AMOUNT_MSAT,
        LAYERS,
        MAXFEE_MSAT,
        FINAL_CLTV,
        MAXDELAY,
        MAXPARTS,
    )
