"""States that two healthy daemons seldom show, in Core Lightning's JSON."""

from dataclasses import replace
from typing import Any

import pytest

from tests.support.cln_schemas import check_answer
from tests.support.samples import CHANNEL, busy_channel
from wallet.base.bitcoin.chains import REGTEST
from wallet.base.bitcoin.script import p2tr, p2wpkh
from wallet.base.values.amounts import FeeratePerKw, Satoshi
from wallet.base.values.ids import OutPoint, Point, Txid
from wallet.faces.rpc import shapes
from wallet.machines.channel.state import Channel, FeeUpdate, Link, Phase
from wallet.machines.coins.wallet import Coin, CoinStatus
from wallet.machines.signing import WalletKey

OUR_ID = b"\x02" * 33
COIN = Coin(
    OutPoint(Txid(bytes(32)), 1),
    Satoshi(5_000),
    p2wpkh(b"\x02" * 33),
    WalletKey(84, 0, 0),
    Point(b"\x02" * 33),
    height=101,
)


def shown(channel: Channel, frozen: str | None = None) -> dict[str, Any]:
    item = shapes.peer_channel(channel, REGTEST, OUR_ID, frozen, connected=True)
    check_answer("listpeerchannels", {"channels": [item]})
    return item


@pytest.mark.parametrize("phase", [p for p in Phase if p is not Phase.CLOSED])
@pytest.mark.parametrize("link", list(Link))
def test_channel__in_every_phase(phase: Phase, link: Link) -> None:
    item = shown(replace(CHANNEL, phase=phase, link=link))
    assert item["reestablished"] is (link is Link.LIVE)
    assert (item["spendable_msat"] > 0) is (phase is Phase.READY)
    check_answer(
        "listfunds", {"outputs": [], "channels": [shapes.channel_funds(CHANNEL, connected=True)]}
    )


def test_channel__htlcs_of_both_directions() -> None:
    channel = busy_channel(3)
    item = shown(channel)
    assert {(h["direction"], h["id"]) for h in item["htlcs"]} == {
        (way, n) for way in ("in", "out") for n in range(3)
    }
    assert all(h["local_trimmed"] for h in item["htlcs"])
    large = {k: replace(h, amount=Satoshi(10_000).to_msat()) for k, h in channel.htlcs.items()}
    assert not any("local_trimmed" in h for h in shown(replace(channel, htlcs=large))["htlcs"])


def test_channel__what_is_wrong_stands_in_its_status() -> None:
    first, *rest = shown(replace(CHANNEL, error="bad signature", fell_behind=True), "a bug")[
        "status"
    ]
    assert first == "CHANNELD_NORMAL:Channel ready for use."
    assert [line.split(":")[0] for line in rest] == [
        "Failed because",
        "The peer has a newer state",
        "Frozen by a fault of ours",
    ]
    assert shown(replace(CHANNEL, fell_behind=True))["lost_state"] is True


def test_channel__feerate_is_the_settled_one() -> None:
    settled = CHANNEL.fees[0]
    pending = FeeUpdate(FeeratePerKw(9_000), settled.stage)
    item = shown(replace(CHANNEL, fees=(settled, pending)))
    assert item["feerate"] == {"perkw": 253, "perkb": 1012}


@pytest.mark.parametrize("status", list(CoinStatus))
@pytest.mark.parametrize("reserved_by", [None, b"opening"])
def test_output__in_every_status(status: CoinStatus, reserved_by: bytes | None) -> None:
    coin = replace(COIN, reserved_by=reserved_by)
    item = shapes.output(coin, status, REGTEST, 200)
    check_answer("listfunds", {"outputs": [item], "channels": []})
    assert ("blockheight" in item) is (status is CoinStatus.CONFIRMED)
    assert ("reserved_to_block" in item) is (reserved_by is not None)


@pytest.mark.parametrize(
    ("text", "kind", "host", "port"),
    [
        ("127.0.0.1:9735", "ipv4", "127.0.0.1", 9735),
        ("[::1]:1", "ipv6", "::1", 1),
        ("node.example:9735", "dns", "node.example", 9735),
    ],
)
def test_host_port(text: str, kind: str, host: str, port: int) -> None:
    assert shapes.host_port(text) == {"type": kind, "address": host, "port": port}


def test_address_of__scripts_without_one() -> None:
    assert shapes.address_of(b"\x6a\x01\x00", REGTEST) is None
    assert str(shapes.address_of(p2tr(bytes(32)), REGTEST)).startswith("bcrt1p")
