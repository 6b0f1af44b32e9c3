"""What people see, line by line: each verb's lines from answers that never change."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from wallet.faces.cli.arguments import Options, UsageError
from wallet.faces.cli.verbs import balance, channels, decode, fees, history, peers, show, status
from wallet.faces.cli.verbs.desk import Desk, Halt
from wallet.faces.cli.verbs.doctor import look_at_chain, look_at_directory, look_at_reserve
from wallet.faces.cli.verbs.ending import Ending, chosen
from wallet.faces.cli.verbs.paper import facts
from wallet.faces.cli.verbs.target import ADDRESS, INVOICE, NODE, read_target

BOB = "02" + "ab" * 32
HASH = "9f2c" + "00" * 30
AT = 1_795_536_000


@pytest.fixture(autouse=True)
def in_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def _channel(**more: Any) -> dict[str, Any]:
    return {
        "peer_id": BOB,
        "state": "CHANNELD_NORMAL",
        "peer_connected": True,
        "reestablished": True,
        "spendable_msat": 580_000_999,
        "receivable_msat": 390_000_000,
        "to_us_msat": 600_000_000,
        "total_msat": 1_000_000_000,
        "short_channel_id": "103x1x0",
        "channel_id": "cc" * 32,
        **more,
    }


def test_balance() -> None:
    outputs = [
        {"status": "confirmed", "amount_msat": 4_998_999_000},
        {"status": "unconfirmed", "amount_msat": 5_000},
        {"status": "spent", "amount_msat": 7_000},
        {"status": "immature", "amount_msat": 8_000},
    ]
    held = [{"direction": "out", "amount_msat": 1_000}, {"direction": "in", "amount_msat": 9_000}]
    several = [
        _channel(htlcs=held),
        _channel(peer_connected=False, to_us_msat=11_000),
        _channel(state="CHANNELD_AWAITING_LOCKIN", to_us_msat=12_000),
        _channel(state="ONCHAIN", to_us_msat=99_000),
    ]
    closes = [{"channel_id": "cc" * 32, "waiting_msat": 13_000}]
    assert list(balance.lines(balance.balance(outputs, several, closes))) == [
        "███████████████████░░░░░░░░░░░░░  1 channel",
        "can send      580,000 sat",
        "can receive   390,000 sat",
        "in flight           1 sat  on its way",
        "peer away          11 sat  ours, in channels whose peer is not here",
        "opening            12 sat  ours, until the chain has confirmed it",
        "closing            13 sat  ours, on its way back to the chain",
        "on chain    4,998,999 sat",
        "immature            8 sat  mined; a reward rests for 100 blocks",
        "unconfirmed         5 sat  on chain, without a block",
    ]
    poor = balance.balance(outputs[1:2], several, closes) | {"reserve_msat": 25_000_000}
    assert list(balance.lines(poor))[-2] == (
        "reserve      25,000 sat  is needed there to close channels by force: deposit 25,000 more"
    )
    # A Core Lightning node has no history; what was closed together is among its coins.
    together = [{"old_state": "CLOSINGD_COMPLETE", "new_state": "ONCHAIN"}]
    several.append(_channel(state="ONCHAIN", state_changes=together))
    assert balance.balance(outputs, several, None)["closing_msat"] == 99_000
    assert list(balance.lines(balance.balance([], []))) == [
        "can send    0 sat",
        "can receive 0 sat",
        "on chain    0 sat",
        "no channel can be used: leyden open PEER AMOUNT",
    ]


def test_channels() -> None:
    rows = [
        _channel(peer_alias="bob\u202e"),
        _channel(state="FUNDING_SPEND_SEEN", spendable_msat=0, receivable_msat=0, to_us_msat=0),
        _channel(peer_connected=False),
        _channel(state="NOVEL_STATE", short_channel_id=None),
    ]
    assert channels.lines(rows, 100) == [
        "peer           state        can send  yours / theirs    can receive  channel",
        "bob\\u202e      open          580,000  ██████████░░░░░░      390,000  103x1x0",
        "02ababab…abab  on chain            0  ░░░░░░░░░░░░░░░░            0  103x1x0",
        "02ababab…abab  peer away     580,000  ██████████░░░░░░      390,000  103x1x0",
        "02ababab…abab  novel_state   580,000  ██████████░░░░░░      390,000  cccccccc…cccc",
    ]
    assert max(map(len, channels.lines(rows, 70))) <= 80
    assert channels.lines([], 80) == ["no channels: leyden open PEER AMOUNT"]


def test_peers_and_fees() -> None:
    here = {"id": BOB, "connected": True, "num_channels": 2, "netaddr": ["127.0.0.1:9735"]}
    away = {"id": BOB, "connected": False, "num_channels": 1, "alias": "b\x1b[0mb"}
    assert peers.lines([here, away], 100) == [
        "peer         is    channels  address         id",
        "-            here         2  127.0.0.1:9735  02ababab…abab",
        "b\\u001b[0mb  away         1  -               02ababab…abab",
    ]
    terms = {
        "peer_id": BOB,
        "short_channel_id": "103x1x0",
        "fee_base_msat": 1_000,
        "fee_proportional_millionths": 10,
        "minimum_htlc_out_msat": 1,
        "maximum_htlc_out_msat": 990_000_000,
    }
    assert fees.lines([terms], 100) == [
        "base fee  millionths  least     most  peer           channel",
        "       1          10  0.001  990,000  02ababab…abab  103x1x0",
    ]


def test_history() -> None:
    base = {"at": AT, "amount_msat": 250_000_000, "status": "complete"}
    items = [
        {**base, "kind": "payment", "direction": "out", "fee_msat": 212_500, "payment_hash": HASH,
         "label": "lamp", "description": "Desk lamp"},
        {**base, "kind": "payment", "direction": "out", "status": "failed", "payment_hash": HASH,
         "failure": "no route\n"},
        {**base, "kind": "invoice", "direction": "in", "description": "tea", "label": "x1",
         "payment_hash": HASH},
        {**base, "kind": "forward", "direction": "through", "in_channel": "1x1x1",
         "out_channel": "2x2x2", "status": "pending"},
        {**base, "kind": "channel_open", "direction": "self", "peer_id": BOB, "txid": "77" * 32},
    ]  # fmt: skip
    assert list(history.lines({"history": items, "next": "1.2.3"}, 100)) == [
        "when              what            amount      fee  money       id        about",
        "2026-11-24 16:00  payment       -250,000  212.500  arrived     9f2c0000  lamp",
        "2026-11-24 16:00  payment       -250,000           not sent    9f2c0000  no route\\n",
        "2026-11-24 16:00  invoice       +250,000           arrived     9f2c0000  tea",
        "2026-11-24 16:00  forward        250,000           on its way  -         1x1x1 to 2x2x2",
        "2026-11-24 16:00  channel open   250,000           arrived     77777777  02ababab…abab",
        "more: leyden history --start 1.2.3",
    ]
    assert list(history.lines({"history": []}, 80)) == ["nothing has happened yet"]


def test_history__times() -> None:
    assert history.read_time("1795536000") == AT
    assert history.read_time("2026-11-24") == AT - 16 * 3600
    assert history.read_time("2026-11-24T16:00") == AT
    for text in ("", "tomorrow", "2026-13-01", "2026-11-24 16:00", "-5", "9" * 20):
        with pytest.raises(UsageError):
            history.read_time(text)


def test_show__a_payment_in_parts() -> None:
    payment = {
        "payment_hash": HASH,
        "status": "complete",
        "amount_msat": 250_000_000,
        "amount_sent_msat": 250_212_000,
        "destination": BOB,
        "created_at": AT,
        "completed_at": AT + 4,
        "preimage": "6f" * 32,
        "description": "Desk lamp",
        "attempts": [
            {"status": "failed", "amount_sent_msat": 250_100_000, "erring_node": BOB,
             "erring_channel": "103x1x0", "reason": "temporary channel failure"},
            {"status": "complete", "amount_sent_msat": 250_212_000},
        ],
    }  # fmt: skip
    assert list(show.payment_lines(payment, 100)) == [
        "money   arrived",
        "amount  250,000 sat",
        "fee     212 sat",
        "for     Desk lamp",
        f"to      {BOB}",
        "began   2026-11-24 16:00",
        "ended   2026-11-24 16:00",
        f"hash    {HASH}",
        f"proof   {'6f' * 32}",
        "",
        "part     sent  money     said by        of channel  reason",
        "   1  250,100  not sent  02ababab…abab  103x1x0     temporary channel failure",
        "   2  250,212  arrived",
    ]


def test_status_and_decode() -> None:
    locked = {"locked": True, "network": "regtest", "lightning-dir": "/data/regtest"}
    assert list(status.lines(locked)) == [
        "node       locked: leyden unlock",
        "network    regtest",
        "directory  /data/regtest",
    ]
    node = {
        "alias": "alice",
        "id": BOB,
        "network": "regtest",
        "blockheight": 107,
        "num_active_channels": 1,
        "num_pending_channels": 2,
        "num_inactive_channels": 0,
        "num_peers": 0,
        "warning_bitcoind_sync": "The chain backend has not answered yet.",
    }
    assert list(status.lines(node)) == [
        "node      alice",
        f"id        {BOB}",
        "network   regtest, block 107",
        "chain     The chain backend has not answered yet.",
        "channels  1 open, 2 opening",
        "peers     0",
    ]
    invoice = {"type": "bolt11 invoice", "valid": False, "created_at": AT, "expiry": 60}
    assert list(decode.lines(invoice)) == [
        "what     bolt11 invoice",
        "amount   the payer chooses",
        "made     2026-11-24 16:00",
        "expires  2026-11-24 16:01",
        "valid    no: do not pay this",
    ]


class Rated(Desk):
    """A desk at which nobody is known, and a kiloweight costs 1,000 sat."""

    def __init__(self, ours: int = 0, theirs: int | None = 0) -> None:
        super().__init__("close", [], {}, Options())
        self._ours, self._theirs = ours, theirs

    def ask(self, method: str, **_: Any) -> Any:
        here = [] if self._theirs is None else [{"features": f"{self._theirs:x}"}]
        return {
            "feerates": {"perkw": {"mutual_close": 1_000}},
            "getinfo": {"our_features": {"init": f"{self._ours:x}"}},
            "listnodes": {"nodes": []},
            "listpeers": {"peers": here},
        }[method]


def _ending(
    *, force: bool, params: dict[str, Any] | None = None, desk: Rated | None = None, **channel: Any
) -> list[str]:
    return facts(Ending(desk or Rated(), _channel(**channel), params or {}, force=force).facts())


def test_close__together() -> None:
    assert _ending(force=False, opener="local", close_to_addr="bcrt1qours") == [
        "with        02ababab…abab",
        "channel     103x1x0",
        "comes back  about 599,230 of your 600,000 sat",
        "to          bcrt1qours",
        "when        once both have signed, with the next block; by force if that has not happened"
        " in 2 days",
        "costs       about 770 sat, at most 7,700 sat",
        "!           this ends the channel: it can send 580,000 and receive 390,000 sat now",
    ]
    away: dict[str, Any] = {"opener": "remote", "peer_connected": False, "dust_limit_msat": 354_000}
    held = [{"direction": "out", "amount_msat": 599_700_000}]
    lines = _ending(force=False, params={"unilateraltimeout": 0}, htlcs=held, **away)
    assert lines[2:] == [
        "comes back  nothing of your 300 sat",
        "when        once the peer is back, which is away now; until then it is waited for",
        "costs       nothing: the peer opened the channel and pays the fee",
        "!           this ends the channel: it can send 580,000 and receive 390,000 sat now",
        "!           1 payment is in flight with 599,700 sat: that ends first",
    ]


SIMPLE = 1 << 61
EACH = "about 770 sat for your closing transaction, or nothing if a block takes the peer's"


@pytest.mark.parametrize(
    ("opener", "ours", "theirs", "costs"),
    [
        ("local", SIMPLE, SIMPLE, EACH),
        ("remote", SIMPLE, 1 << 60, EACH),
        ("remote", SIMPLE, 0, "nothing: the peer opened the channel and pays the fee"),
        ("remote", 0, SIMPLE, "nothing: the peer opened the channel and pays the fee"),
        ("local", SIMPLE, None, "about 770 sat, at most 7,700 sat"),
        (
            "remote",
            SIMPLE,
            None,
            "nothing if the peer pays, which opened the channel; it may ask each to pay",
        ),
    ],
)
def test_close__each_pays_where_both_offer_it(
    opener: str, ours: int, theirs: int | None, costs: str
) -> None:
    lines = _ending(force=False, desk=Rated(ours, theirs), opener=opener)
    assert [line.split(maxsplit=1)[1] for line in lines if line.startswith("costs")] == [costs]


def test_close__by_force() -> None:
    held = [{"direction": way, "amount_msat": 5_000_000} for way in ("out", "in")]
    ours: dict[str, Any] = {
        "opener": "local",
        "last_tx_fee_msat": 1_124_000,
        "our_to_self_delay": 144,
    }
    assert _ending(force=True, htlcs=held, peer_connected=False, **ours)[2:] == [
        "comes back  about 592,685 of your 595,000 sat",
        "when        144 blocks, about 1 day, after the block of our commitment; then taken",
        "costs       about 2,315 sat, for our commitment, and taking what is ours",
        "!           this ends the channel: it can send 580,000 and receive 390,000 sat now",
        "!           it cannot be taken back, and its fee cannot be raised later",
        "!           2 payments are in flight with 10,000 sat, which may be lost",
        "!           this node cannot settle payments in flight on chain yet",
    ]


def test_close__what_cannot_be() -> None:
    with pytest.raises(Halt, match="would lose"):
        _ending(force=True, lost_state=True)
    for state, force in (("ONCHAIN", True), ("AWAITING_UNILATERAL", False)):
        with pytest.raises(Halt, match="closing already"):
            _ending(force=force, state=state)
    # A close that no mempool takes may still be forced, and not asked for again.
    with pytest.raises(Halt, match="closing already"):
        _ending(force=False, state="CLOSINGD_COMPLETE")
    assert _ending(force=True, state="CLOSINGD_COMPLETE")


def test_close__which_channel_is_meant() -> None:
    living, gone = _channel(), _channel(state="ONCHAIN", channel_id="dd" * 32)
    assert chosen([gone, living], BOB) is living
    assert chosen([gone, living], "dd" * 32) is gone
    assert chosen([_channel(alias={"local": "1x2x3"})], "1x2x3")
    for channels_, name in (([living, living], BOB), ([living], "9x9x9")):
        with pytest.raises(Halt):
            chosen(channels_, name)


@pytest.mark.parametrize(
    ("text", "kind", "of", "amount_msat"),
    [
        (BOB.upper(), NODE, BOB, None),
        (" lnbcrt1abc\n", INVOICE, "lnbcrt1abc", None),
        ("LIGHTNING:LNBCRT1ABC", INVOICE, "LNBCRT1ABC", None),
        ("bitcoin:bcrt1qabcdefghijkl?amount=0.5", ADDRESS, "bcrt1qabcdefghijkl", 50_000_000_000),
        ("bitcoin:bcrt1qabcdefghijkl?lightning=lnbcrt1abc", INVOICE, "lnbcrt1abc", None),
    ],
)
def test_target(text: str, kind: str, of: str, amount_msat: int | None) -> None:
    target = read_target(text)
    assert (target.kind, target.text, target.amount_msat) == (kind, of, amount_msat)


@pytest.mark.parametrize(
    "text", ["", "lno1qabc", "lightning:", "bitcoin:", "bitcoin:x?req-y=1", "a b", "04" * 33 + "!",
             "bcrt1\u202eq", "https://a"],
)  # fmt: skip
def test_target__what_cannot_be_paid(text: str) -> None:
    with pytest.raises(UsageError):
        read_target(text)


def test_doctor__sentences(tmp_path: Any) -> None:
    tmp_path.chmod(0o700)
    assert look_at_directory(tmp_path)[0] == "ok"
    seed = tmp_path / "seed.json"
    seed.touch(0o640)
    seed.chmod(0o640)
    assert look_at_directory(tmp_path) == ("bad", f"others can read {seed}: chmod 600 {seed}")

    assert look_at_chain({"warning_bitcoind_sync": "Gone."})[0] == "bad"
    assert look_at_chain({"warning_lightningd_sync": "Reading."})[0] == "warn"

    assert look_at_reserve(0, 0)[0] == "ok"
    assert look_at_reserve(25_000_000, 25_000_000)[0] == "ok"
    status, said = look_at_reserve(1_000_000, 25_000_000)
    assert (status, "24,000 are missing: deposit them" in said) == ("warn", True)
