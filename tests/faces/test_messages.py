"""Links and words by RPC between two daemons: ping, disconnect, signed messages, configuration."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.interop.ldk.daemon import wait_for
from tests.support.daemons import Pipe
from tests.support.two import Two, refusal, silent, two_daemons

STRANGER = "02de60d194e1ca5947b59fe8e2efd6aadeabfb67f2e89e13ae1a799c1e08e4a43b"
THEIR_HI = (
    "rnrphcjswusbacjnmmmrynh9pqip7sy5cx695h6mfu64iac6qmcmsd8xnsyczwmpqp9shqkth3h4jmkgyqu5z47jfn1q7g"
    "pxtaqpx4xg"
)
"""What that lnd node once signed: "hi"."""


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    with two_daemons(tmp_path_factory.mktemp("messages"), push_msat=400_000_000) as pair:
        yield pair


# --- ping ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "total"),
    [
        ({}, 132),
        ({"len": 0, "pongbytes": 0}, 4),
        ({"len": 65_529, "pongbytes": 65_531}, 65_535),
        ({"pongbytes": 65_532}, 0),
    ],
)
def test_ping__tells_how_long_the_answer_was(two: Two, params: dict[str, int], total: int) -> None:
    assert two.ask(two.alice, "ping", id=two.bob.node_id, **params) == {"totlen": total}


@pytest.mark.parametrize(
    ("params", "code", "words"),
    [
        ({"id": STRANGER}, -1, "Peer not connected"),
        ({"len": 65_530}, -32602, "oversize ping"),
        ({"len": 65_536}, -32602, "len: should be"),
        ({}, -32602, "id"),
    ],
)
def test_ping__refuses(two: Two, params: dict[str, object], code: int, words: str) -> None:
    given = {"id": two.bob.node_id, **params} if params else {}
    error = refusal(two.alice, "ping", **given)
    assert (error.code, words in str(error)) == (code, True), error


def test_ping__one_at_a_time(two: Two) -> None:
    with closing(Pipe(two.alice)) as pipe:
        with silent(two.bob):
            first = pipe.ask("ping", id=two.bob.node_id)
            second = pipe.ask("ping", id=two.bob.node_id)
            error = pipe.answers(1)[second]["error"]
            assert error["code"] == -32602
            assert "already waiting" in error["message"]
        assert pipe.answers(1)[first]["result"] == {"totlen": 132}


def test_ping__ends_with_the_link(two: Two) -> None:
    with closing(Pipe(two.alice)) as pipe, silent(two.bob):
        asked = pipe.ask("ping", id=two.bob.node_id)
        two.alice.call("disconnect", id=two.bob.node_id, force=True)
        assert "no pong came" in pipe.answers(1)[asked]["error"]["message"]
    wait_for(lambda: _connected(two), "the link that a channel needs")


# --- links --------------------------------------------------------------------------------------


def test_disconnect__refuses_while_a_channel_lives_unless_forced(two: Two) -> None:
    error = refusal(two.alice, "disconnect", id=two.bob.node_id)
    assert (error.code, str(error)) == (
        -1,
        "Peer has (at least one) channel in state CHANNELD_NORMAL",
    )
    assert two.alice.call("disconnect", id=two.bob.node_id, force=True) == {}
    assert refusal(two.alice, "disconnect", id=STRANGER).code == -1
    wait_for(lambda: _connected(two), "the link that a channel needs")


def _connected(two: Two) -> bool:
    [peer] = two.alice.call("listpeers")["peers"]
    return bool(peer["connected"])


# --- signed messages ----------------------------------------------------------------------------


def test_messages__are_signed_and_checked(two: Two) -> None:
    signed = two.ask(two.alice, "signmessage", message="hello, ₿")
    assert len(signed["signature"]) == 128
    assert signed["recid"] in ("00", "01")
    said = two.ask(two.bob, "checkmessage", message="hello, ₿", zbase=signed["zbase"])
    assert said == {"verified": True, "pubkey": two.alice.node_id}
    again = two.ask(
        two.alice,
        "checkmessage",
        message="hello, ₿",
        zbase=signed["zbase"],
        pubkey=two.alice.node_id,
    )
    assert again == said
    other = two.bob.call(
        "checkmessage", message="hello", zbase=signed["zbase"], pubkey=two.alice.node_id
    )
    assert other["verified"] is False
    assert other["pubkey"] != two.alice.node_id


def test_checkmessage__of_a_node_that_nobody_knows(two: Two) -> None:
    named = two.ask(two.alice, "checkmessage", message="hi", zbase=THEIR_HI, pubkey=STRANGER)
    assert named["verified"]
    error = refusal(two.alice, "checkmessage", message="hi", zbase=THEIR_HI)
    assert (error.code, STRANGER in str(error)) == (1301, True)
    assert refusal(two.alice, "checkmessage", message="hi", zbase="nonsense").code == -32602
    assert refusal(two.alice, "signmessage", message="x" * 65_536).code == -32602


# --- configuration ------------------------------------------------------------------------------


def test_listconfigs__all_and_one(two: Two) -> None:
    configs = two.ask(two.alice, "listconfigs")["configs"]
    assert configs["network"]["value_str"] == "regtest"
    assert configs["regtest"]["set"] is True
    assert configs["min-emergency-msat"]["value_msat"] == 25_000_000
    assert str(two.alice.port) in configs["bind-addr"]["values_str"][0]
    one = two.ask(two.alice, "listconfigs", config="alias")["configs"]
    assert one == {"alias": configs["alias"]}
    assert refusal(two.alice, "listconfigs", config="colour").code == -32602
