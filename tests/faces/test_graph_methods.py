"""The map by RPC: what is listed, what strangers cannot do to a screen, and routes."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from tests.support.cln_schemas import check_answer
from tests.support.maps import ALICE, BOB, CAROL, DAVE, ERIN, US, Map, scid
from tests.support.two import CAPACITY, Two, refusal, two_daemons
from wallet.base.errors import Refused
from wallet.base.values.ids import NodeId
from wallet.faces.rpc.graph_shapes import addresses, alias
from wallet.faces.rpc.methods.graph import MAP
from wallet.faces.rpc.params import read_params
from wallet.machines.routing.graph import Graph, GraphNode
from wallet.machines.routing.knowledge import Knowledge
from wallet.node.api import Api

NOW = 1_800_000_000


@dataclass
class Known:
    """The part of a core's memory that these methods read."""

    graph: Graph
    knowledge: Knowledge = field(default_factory=Knowledge)
    channels: dict[bytes, Any] = field(default_factory=dict)


@dataclass
class Fake:
    """An api over a map."""

    known: Known
    node_id: NodeId = US

    async def memory(self) -> Known:
        return self.known

    def now(self) -> int:
        return NOW


def line() -> Fake:
    known = Map().both(1, ALICE, BOB).both(2, BOB, CAROL).both(3, CAROL, DAVE, disabled=True)
    known.graph.set_node(
        GraphNode(BOB, 1_700_000_000, b"\x80", b"\x0a\x0b\x0c", b"bob".ljust(32, b"\0"), b"")
    )
    return Fake(Known(known.graph))


def ask(fake: Fake, name: str, *given: object, **named: object) -> Any:
    """An answer that has Core Lightning's shape."""
    method = next(m for m in MAP if m.name == name)
    args = read_params(method.params, list(given) or named)

    async def answered() -> Any:
        return await method.handler(cast(Api, fake), args)

    answer = asyncio.run(answered())
    check_answer(name, answer)
    return answer


def refused(fake: Fake, name: str, **named: object) -> Refused:
    with pytest.raises(Refused) as caught:
        ask(fake, name, **named)
    return caught.value


# --- lists --------------------------------------------------------------------------------------


def test_every_node_with_a_channel_is_listed_and_what_it_says() -> None:
    nodes = ask(line(), "listnodes")["nodes"]
    by_id = {node["nodeid"]: node for node in nodes}
    assert by_id.keys() == {n.hex() for n in (ALICE, BOB, CAROL, DAVE)}
    assert by_id[ALICE.hex()] == {"nodeid": ALICE.hex()}
    assert by_id[BOB.hex()] == {
        "nodeid": BOB.hex(),
        "alias": "bob",
        "color": "0a0b0c",
        "last_timestamp": 1_700_000_000,
        "features": "80",
        "addresses": [],
    }
    assert ask(line(), "listnodes", BOB.hex())["nodes"] == [by_id[BOB.hex()]]
    assert ask(line(), "listnodes", ERIN.hex())["nodes"] == []


def test_each_direction_of_a_channel_is_listed() -> None:
    one, two = sorted((CAROL, DAVE))
    items = ask(line(), "listchannels", str(scid(3)))["channels"]
    assert [(item["source"], item["destination"], item["direction"]) for item in items] == [
        (one.hex(), two.hex(), 0),
        (two.hex(), one.hex(), 1),
    ]
    assert [item["channel_flags"] for item in items] == [2, 3]
    assert not any(item["active"] for item in items)
    assert items[0]["amount_msat"] == 500_000_000
    assert (items[0]["base_fee_millisatoshi"], items[0]["delay"]) == (1_000, 40)


def test_channels_are_listed_by_one_end_and_only_one_thing_is_asked() -> None:
    assert len(ask(line(), "listchannels")["channels"]) == 6
    leaving = ask(line(), "listchannels", source=BOB.hex())["channels"]
    assert {item["destination"] for item in leaving} == {ALICE.hex(), CAROL.hex()}
    arriving = ask(line(), "listchannels", destination=BOB.hex())["channels"]
    assert {item["source"] for item in arriving} == {ALICE.hex(), CAROL.hex()}
    assert ask(line(), "listchannels", source=ERIN.hex())["channels"] == []
    assert ask(line(), "listchannels", "1x1x1")["channels"] == []
    both = refused(line(), "listchannels", source=BOB.hex(), destination=CAROL.hex())
    assert "Can only specify one of" in both.message
    assert both.code == -32602


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"caf\xc3\xa9" + bytes(27), "café"),
        (b"\x1b[2Jgone\nline" + bytes(10), "\ufffd[2Jgone\ufffdline"),
        (b"\xff\xfe" + bytes(30), "\ufffd\ufffd"),
        ("a\u202eb\u200bc\u2028d".encode(), "a\ufffdb\ufffdc\ufffdd"),
        (b"a\0b" + bytes(29), "a\ufffdb"),
    ],
)
def test_an_alias_cannot_move_the_cursor_or_turn_the_text(raw: bytes, shown: str) -> None:
    assert alias(raw) == shown


def test_addresses_are_read_up_to_what_is_unknown() -> None:
    port = (9735).to_bytes(2, "big")
    known = (
        b"\x01\x7f\0\0\x01" + port,
        b"\x02" + bytes(15) + b"\x01" + port,
        b"\x04" + bytes((0, *range(1, 33), 1, 2)) + port,
        b"\x05\x0bexample.com" + port,
    )
    shown = list(addresses(b"".join(known) + b"\x09rest"))
    assert [(a["type"], a["port"]) for a in shown] == [
        (kind, 9735) for kind in ("ipv4", "ipv6", "torv3", "dns")
    ]
    hosts = [str(a["address"]) for a in shown]
    assert (hosts[0], hosts[1], hosts[3]) == ("127.0.0.1", "::1", "example.com")
    assert hosts[2].endswith(".onion")
    assert len(hosts[2]) == 62
    for cut in range(1, len(known[0])):
        assert list(addresses(known[0][:cut])) == []


# --- routes -------------------------------------------------------------------------------------


def test_a_route_between_others_is_what_sendpay_takes() -> None:
    asked = {"id": CAROL.hex(), "amount_msat": 1_000_000, "riskfactor": 10, "fromid": ALICE.hex()}
    route = ask(line(), "getroute", **asked, cltv=12, fuzzpercent=5)["route"]
    assert [(hop["id"], hop["amount_msat"], hop["delay"]) for hop in route] == [
        (BOB.hex(), 1_011_000, 52),
        (CAROL.hex(), 1_000_000, 12),
    ]
    assert ask(line(), "getroute", **asked)["route"][-1]["delay"] == 9
    for changes, words in (
        ({"maxhops": 1}, "of at most 1 hops"),
        ({"exclude": [BOB.hex()]}, "Could not find a route"),
        ({"exclude": [f"{scid(2)}/{int(BOB > CAROL)}"]}, "Could not find a route"),
        ({"id": DAVE.hex()}, "Could not find a route"),
    ):
        none = refused(line(), "getroute", **{**asked, **changes})
        assert words in none.message
        assert none.code == 205


def test_routes_say_what_goes_into_and_out_of_each_hop() -> None:
    asked = {
        "source": ALICE.hex(),
        "destination": CAROL.hex(),
        "amount_msat": 1_000_000,
        "layers": ["auto.sourcefree"],
        "maxfee_msat": 11_000,
        "final_cltv": 18,
    }
    answer = ask(line(), "getroutes", **asked)
    (route,) = answer["routes"]
    assert answer["probability_ppm"] == route["probability_ppm"] == 998_000
    ins = [(hop["amount_in_msat"], hop["cltv_in"]) for hop in route["path"]]
    outs = [(hop["amount_out_msat"], hop["cltv_out"]) for hop in route["path"]]
    assert ins == [(1_011_000, 58), (1_011_000, 58)]
    assert outs == [(1_011_000, 58), (1_000_000, 18)]
    priced = ask(line(), "getroutes", **{**asked, "layers": []})["routes"][0]["path"]
    assert priced[0]["amount_in_msat"] == 1_011_000 + 1_000 + 10_110
    assert priced[0]["cltv_in"] == 98


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"maxfee_msat": 10_999}, 206, "costs 11 sat in fees"),
        ({"maxdelay": 57}, 206, "58 blocks, more than the limit of 57"),
        ({"maxdelay": 2_017}, -32602, "maxdelay: should be at most 2016"),
        ({"layers": ["mine"]}, -32602, "layers: should name layers that exist"),
        ({"source": ERIN.hex()}, 205, "No public channel"),
        ({"source": US.hex(), "layers": ["auto.localchans"]}, 215, "can send now"),
    ],
)
def test_routes_are_refused_with_the_limit(
    changes: dict[str, object], code: int, words: str
) -> None:
    asked = {
        "source": ALICE.hex(),
        "destination": CAROL.hex(),
        "amount_msat": 1_000_000,
        "layers": [],
        "maxfee_msat": 100_000,
        "final_cltv": 18,
    }
    none = refused(line(), "getroutes", **{**asked, **changes})
    assert words in none.message
    assert none.code == code


# --- with channels of our own -------------------------------------------------------------------


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    with two_daemons(tmp_path_factory.mktemp("map"), push_msat=400_000_000) as pair:
        yield pair


def test_a_route_from_us_begins_with_a_channel_of_ours_that_has_room(two: Two) -> None:
    asked: dict[str, Any] = {"id": two.bob.node_id, "amount_msat": 1_000_000, "riskfactor": 10}
    (hop,) = two.ask(two.alice, "getroute", **asked)["route"]
    assert hop["channel"] == two.channel(two.alice)["short_channel_id"]
    assert (hop["id"], hop["amount_msat"], hop["delay"]) == (two.bob.node_id, 1_000_000, 9)
    too_much = refusal(two.alice, "getroute", **{**asked, "amount_msat": CAPACITY * 1_000})
    assert "None of our channels can send" in str(too_much)
    invoice = two.invoice("along a route")
    final = two.ask(two.alice, "decode", string=invoice["bolt11"])["min_final_cltv_expiry"]
    route = two.ask(two.alice, "getroute", **asked, cltv=final)["route"]
    words = {name: invoice[name] for name in ("payment_hash", "payment_secret", "bolt11")}
    two.ask(two.alice, "sendpay", route=route, **words)
    paid = two.alice.call("waitsendpay", payment_hash=invoice["payment_hash"])
    assert paid["status"] == "complete"
