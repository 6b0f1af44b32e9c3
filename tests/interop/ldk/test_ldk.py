"""Our daemon and a stock LDK node, on loopback: open, pay, crash, close, either way round.

After each step both sides must tell the same balances. What we offer in `init`, `open_channel` and
`accept_channel` is read from LDK's log, as LDK understood it.
"""

from functools import partial
from typing import Any

import pytest

from tests.interop.ldk.daemon import wait_for
from tests.interop.ldk.pair import CAPACITY_SAT, Balances, Pair, Side, in_background, pushed_msat
from wallet.base.bitcoin.transaction import Transaction

SIDES: tuple[Side, ...] = ("ours", "theirs")

# BOLT 9, by the even bit. LDK drops a peer that does not offer the first four, though the BOLT
# now says ASSUMED.
DATA_LOSS_PROTECT, VAR_ONION, STATIC_REMOTEKEY, PAYMENT_SECRET = 0, 8, 12, 14
UPFRONT_SHUTDOWN_SCRIPT, LARGE_CHANNEL, ANCHORS, SHUTDOWN_ANYSEGWIT = 4, 18, 22, 26
CHANNEL_TYPE, SCID_ALIAS, ZEROCONF = 44, 46, 50
OFFERED = {
    DATA_LOSS_PROTECT,
    VAR_ONION,
    STATIC_REMOTEKEY,
    PAYMENT_SECRET,
    UPFRONT_SHUTDOWN_SCRIPT,
    LARGE_CHANNEL,
    ANCHORS,
    SHUTDOWN_ANYSEGWIT,
    CHANNEL_TYPE,
    SCID_ALIAS,
    ZEROCONF,
}
# quiesce, onion_messages, splice: an offer that we do not keep would cost a peer its channel.
NOT_OFFERED = {34, 38, 62}
# What LDK 0.1 with anchors says of itself.
LDK_INIT_FEATURES = "08a0800a8a51a1"
# option_static_remotekey and option_anchors, both required (BOLT 2, channel types).
ANCHORS_CHANNEL_TYPE = "401000"

OUR_DUST_LIMIT_SAT = 354
OUR_TO_SELF_DELAY = 6  # what we ask of them on regtest; 144 elsewhere
LDK_TO_SELF_DELAY = 144
SMALLEST_RESERVE_SAT = 1_000
SMALLEST_FEERATE_PER_KW = 253
BURST = 12
# From above the dust limit, below it, with a part of a satoshi, and the smallest there is.
AMOUNTS_MSAT = (50_000_000, 20_000, 1_234_567, 1)


def even_bits(features: str) -> set[int]:
    """The features in this hex, each by its even bit."""
    number = int(features, 16)
    return {bit & ~1 for bit in range(number.bit_length()) if number >> bit & 1}


def is_connected(pair: Pair) -> bool:
    return any(
        peer["counterparty_node_id"] == pair.daemon.node_id for peer in pair.ldk.call("list_peers")
    )


# ---------------------------------------------------------------------- connecting


def test_connect__init_bits(pair: Pair) -> None:
    wait_for(lambda: is_connected(pair), "the connection in LDK's list")
    [us] = pair.ldk.call("list_peers")
    assert us["init_features"], us
    offered = even_bits(us["init_features"])
    assert offered >= OFFERED
    assert not offered & NOT_OFFERED
    [them] = pair.daemon.call("listpeers", id=pair.ldk.node_id)["peers"]
    assert them["connected"] is True
    assert even_bits(them["features"]) == even_bits(LDK_INIT_FEATURES)


def test_connect__from_their_side(pair: Pair) -> None:
    pair.ldk.call("disconnect", node_id=pair.daemon.node_id)
    wait_for(lambda: not is_connected(pair), "the connection's end")
    pair.ldk.call("connect", node_id=pair.daemon.node_id, port=pair.daemon.port)
    [them] = pair.daemon.call("listpeers", id=pair.ldk.node_id)["peers"]
    assert them["connected"] is True


# ---------------------------------------------------------------------- opening


# The second is so small that 1 % of it would be too little for a reserve.
CAPACITIES = [CAPACITY_SAT, 50_000]


@pytest.mark.parametrize("capacity_sat", CAPACITIES)
def test_open__ours(pair: Pair, capacity_sat: int) -> None:
    pushed = pushed_msat(capacity_sat)
    assert pair.open_anew("ours", capacity_sat) == Balances(
        ours=capacity_sat * 1000 - pushed, theirs=pushed
    )
    asked = pair.ldk.received("OpenChannel")[-1]
    assert asked["commitment_feerate_sat_per_1000_weight"] >= SMALLEST_FEERATE_PER_KW
    check_limits(pair, asked, capacity_sat)


@pytest.mark.parametrize("capacity_sat", CAPACITIES)
def test_open__theirs(pair: Pair, capacity_sat: int) -> None:
    pushed = pushed_msat(capacity_sat)
    assert pair.open_anew("theirs", capacity_sat) == Balances(
        ours=pushed, theirs=capacity_sat * 1000 - pushed
    )
    answered = pair.ldk.received("AcceptChannel")[-1]
    assert answered["minimum_depth"] == 1
    check_limits(pair, answered, capacity_sat)


def test_open__announced(pair: Pair) -> None:
    """Each takes the other's half of the announcement: LDK fails a channel over a wrong one."""
    pair.open_anew("ours", announce=True)
    assert pair.daemon.channel()["private"] is False
    halves, warnings = (len(pair.ldk.received(n)) for n in ("AnnouncementSignatures", "Warning"))
    pair.mine(5)
    wait_for(lambda: len(pair.ldk.received("AnnouncementSignatures")) > halves, "our half")
    assert pair.ldk.sent("AnnouncementSignatures")
    pair.we_pay(1_000_000)
    assert pair.ldk.channel()["is_usable"] is True
    assert len(pair.ldk.received("Warning")) == warnings, "we warned of LDK's half"


def check_limits(pair: Pair, sent: dict[str, int], capacity_sat: int) -> None:
    """The interop table: what we sent at the open, and what each side made of the other's."""
    reserve_sat = max(capacity_sat // 100, SMALLEST_RESERVE_SAT)
    assert sent["dust_limit_satoshis"] == OUR_DUST_LIMIT_SAT
    assert sent["channel_reserve_satoshis"] == reserve_sat
    assert sent["to_self_delay"] == OUR_TO_SELF_DELAY
    theirs, ours = pair.ldk.channel(), pair.daemon.channel()
    assert theirs["channel_type"] == ANCHORS_CHANNEL_TYPE
    assert theirs["is_announced"] is False
    assert ours["private"] is True
    assert theirs["force_close_spend_delay"] == ours["their_to_self_delay"] == OUR_TO_SELF_DELAY
    assert ours["our_to_self_delay"] == LDK_TO_SELF_DELAY
    assert theirs["unspendable_punishment_reserve"] == reserve_sat
    assert ours["their_reserve_msat"] == reserve_sat * 1000
    assert theirs["feerate_sat_per_1000_weight"] >= SMALLEST_FEERATE_PER_KW


# ---------------------------------------------------------------------- paying


@pytest.mark.parametrize("opener", SIDES)
def test_pay__both_ways(pair: Pair, opener: Side) -> None:
    before = pair.open_anew(opener)
    for amount in AMOUNTS_MSAT:
        pair.we_pay(amount)
        paid = pair.balances()
        assert paid == Balances(before.ours - amount, before.theirs + amount)
        pair.they_pay(amount)
        assert pair.balances() == before


def test_pay__they_refuse(pair: Pair) -> None:
    before = pair.open_anew("ours")
    pair.ldk.call("set", autoclaim=False)
    invoice = pair.their_invoice(5_000_000)
    paying = in_background(lambda: pair.daemon.call("pay", bolt11=invoice["invoice"], retry_for=1))
    held(pair, invoice)
    pair.ldk.call("fail", payment_hash=invoice["payment_hash"])
    assert paying.exception(timeout=60) is not None
    assert pair.pay_status(invoice["invoice"]) == "failed"
    assert pair.balances() == before


def test_pay__we_refuse(pair: Pair) -> None:
    """Our refusal reaches LDK as a failure of the payment, in an onion that it can read."""
    before = pair.open_anew("ours")
    invoice = pair.our_invoice(3_000_000)
    pair.ldk.call("pay_invoice", invoice=invoice["bolt11"], payment_secret="5e" * 32)
    done = pair.ldk.call("wait_payment", payment_hash=invoice["payment_hash"])
    assert (done["state"], done["reason"]) == ("failed", "RecipientRejected")
    assert pair.invoice_status(invoice) == "unpaid"
    assert pair.balances() == before


def test_invoice__as_ldk_reads_it(pair: Pair) -> None:
    invoice = pair.our_invoice(7_000)
    read = pair.ldk.call("decode_invoice", invoice=invoice["bolt11"])
    assert read["payee"] == pair.daemon.node_id
    assert read["payment_hash"] == invoice["payment_hash"]
    assert read["payment_secret"] == invoice["payment_secret"]
    assert read["amount_msat"] == 7_000
    assert read["min_final_cltv_expiry"] == 24
    assert even_bits(read["features"]) >= {VAR_ONION, PAYMENT_SECRET}


# ---------------------------------------------------------------------- crashing


def held(pair: Pair, invoice: dict[str, Any]) -> str:
    """Wait until LDK holds the HTLC for its invoice; the preimage it would take it with."""
    event = pair.ldk.call(
        "wait_event",
        types=["PaymentClaimable"],
        match={"payment_hash": invoice["payment_hash"]},
    )
    return str(event["purpose"]["payment_preimage"])


def crash(pair: Pair, victim: Side) -> None:
    """SIGKILL, then start again from what is on disk, and connect."""
    process = pair.daemon if victim == "ours" else pair.ldk
    process.kill()
    process.start()
    pair.connect()
    pair.wait_usable()


@pytest.mark.parametrize("victim", SIDES)
def test_crash__while_they_hold_our_htlc(pair: Pair, victim: Side) -> None:
    before = pair.open_anew("ours")
    pair.ldk.call("set", autoclaim=False)
    amount = 21_000_000
    invoice = pair.their_invoice(amount)
    in_background(lambda: pair.daemon.call("pay", bolt11=invoice["invoice"], timeout=30))
    preimage = held(pair, invoice)
    crash(pair, victim)
    assert pair.pay_status(invoice["invoice"]) == "pending"
    pair.ldk.call("claim", preimage=preimage)
    pair.ldk.call("set", autoclaim=True)
    wait_for(lambda: pair.pay_status(invoice["invoice"]) == "complete", "the payment's end")
    assert pair.balances() == Balances(before.ours - amount, before.theirs + amount)
    pair.they_pay(1_000_000)


@pytest.mark.parametrize("victim", SIDES)
def test_crash__while_they_pay(pair: Pair, victim: Side) -> None:
    before = pair.open_anew("theirs")
    invoices = [pair.they_start_to_pay(1_000_000 + i) for i in range(BURST)]
    wait_for(lambda: pair.invoice_status(invoices[0]) == "paid", "the first payment")
    crash(pair, victim)
    after = pair.balances()

    def settled() -> dict[str, str] | None:
        states = {p["payment_hash"]: p["state"] for p in pair.ldk.call("list_payments")}
        return None if "pending" in states.values() else states

    states = wait_for(settled, "the end of LDK's payments")
    paid = [i for i in invoices if pair.invoice_status(i) == "paid"]
    assert {i["payment_hash"] for i in paid} == {
        i["payment_hash"] for i in invoices if states.get(i["payment_hash"]) == "sent"
    }
    received = sum(1_000_000 + invoices.index(i) for i in paid)
    assert after == Balances(before.ours + received, before.theirs - received)


@pytest.mark.parametrize("victim", SIDES)
def test_crash__while_we_pay(pair: Pair, victim: Side) -> None:
    before = pair.open_anew("ours")
    invoices = [pair.their_invoice(1_000_000 + i)["invoice"] for i in range(BURST)]
    for invoice in invoices:
        in_background(partial(pair.daemon.call, "pay", bolt11=invoice, timeout=30))
    wait_for(lambda: any(pair.pay_status(i) == "complete" for i in invoices), "the first payment")
    crash(pair, victim)
    after = pair.balances()

    def settled() -> list[str] | None:
        states = [pair.pay_status(i) for i in invoices]
        return None if "pending" in states else states

    states = wait_for(settled, "the end of our payments")
    spent = sum(1_000_000 + i for i, state in enumerate(states) if state == "complete")
    assert after == Balances(before.ours - spent, before.theirs + spent)


# ---------------------------------------------------------------------- closing


@pytest.mark.parametrize("opener", SIDES)
@pytest.mark.parametrize("closer", SIDES)
def test_close(pair: Pair, opener: Side, closer: Side) -> None:
    pair.open_anew(opener)
    pair.we_pay(1_234_000)
    pair.they_pay(777_000)
    last = pair.balances()
    channel_id = pair.daemon.channel()["channel_id"]
    funding_txid = pair.daemon.channel()["funding_txid"]
    since = len(pair.ldk.call("events"))
    if closer == "ours":
        told = pair.daemon.call("close", id=channel_id)
        assert told["type"] == "mutual"
    else:
        told = pair.ldk.call("close", channel_id=channel_id)
    ended = pair.ldk.call(
        "wait_event", types=["ChannelClosed"], match={"channel_id": channel_id}, since=since
    )
    assert ended["reason"]["type"].endswith("CooperativeClosure"), ended["reason"]
    closing = closing_transaction(pair, funding_txid)
    if closer == "ours":
        assert told["txids"] == [str(closing.txid)]

    # Who opened the channel pays for its end, out of a balance rounded down to whole satoshis.
    amounts = {output.amount.sat for output in closing.outputs}
    payer, other = (last.ours, last.theirs) if opener == "ours" else (last.theirs, last.ours)
    assert other // 1000 in amounts
    [rest] = amounts - {other // 1000}
    assert 0 < payer // 1000 - rest < 2_000

    pair.mine(6)
    pair.ldk.call("wait_event", types=["SpendableOutputs"], since=since)
    ours = rest if opener == "ours" else other // 1000
    found = [
        output
        for output in pair.daemon.call("listfunds")["outputs"]
        if output["txid"] == str(closing.txid)
    ]
    assert [(f["amount_msat"], f["status"]) for f in found] == [(ours * 1000, "confirmed")]


def closing_transaction(pair: Pair, funding_txid: str) -> Transaction:
    """The transaction in the mempool that spends this funding output."""

    def spender() -> Transaction | None:
        for txid in pair.chain.call("getrawmempool"):
            raw = bytes.fromhex(pair.chain.call("getrawtransaction", txid))
            transaction = Transaction.decode(raw)
            if str(transaction.inputs[0].outpoint.txid) == funding_txid:
                return transaction
        return None

    return wait_for(spender, "the closing transaction")
