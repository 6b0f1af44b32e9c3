"""Routes and records as methods read them, parts and forwards as they are shown."""

from dataclasses import replace

import pytest

from tests.support.cln_schemas import check_answer
from wallet.base.crypto.curve import point_of
from wallet.base.values.amounts import MilliSatoshi
from wallet.base.values.blocks import BlockHeight, CltvDelta, CltvExpiry
from wallet.base.values.ids import ChannelId, NodeId, PaymentHash, Preimage, ShortChannelId
from wallet.base.wire.failures import FeeInsufficient
from wallet.faces.rpc import sending_shapes
from wallet.faces.rpc.params import Unfit
from wallet.faces.rpc.sending_signatures import (
    excluded,
    extra_tlvs,
    hint_hop,
    route_hop,
    u63,
)
from wallet.machines.payments import explain
from wallet.machines.payments.forwards import ForwardRecord, ForwardStatus
from wallet.machines.payments.records import (
    Hop,
    Part,
    PartFailure,
    Payment,
    PaymentStatus,
)

US, BOB, CAROL = (NodeId(point_of(bytes(31) + bytes([n]))) for n in (1, 2, 3))
FIRST, SECOND = ShortChannelId(101, 1, 0), ShortChannelId(102, 1, 0)
HOPS = (
    Hop(BOB, FIRST, 1, MilliSatoshi(1_011), CltvExpiry(150)),
    Hop(CAROL, SECOND, 0, MilliSatoshi(1_000), CltvExpiry(116)),
)
PART = Part(
    partid=1,
    channel_id=ChannelId(bytes(32)),
    htlc_id=4,
    amount=MilliSatoshi(1_000),
    amount_sent=MilliSatoshi(1_011),
    cltv_expiry=CltvExpiry(150),
    hops=HOPS,
    shared_secrets=(bytes(32), bytes(32)),
    status=PaymentStatus.PENDING,
    created_at=1_700_000_000,
    created_index=9,
)
PAYMENT = Payment(
    payment_hash=PaymentHash(b"\x11" * 32),
    groupid=2,
    bolt11="lnbcrt1",
    destination=CAROL,
    amount=MilliSatoshi(1_000),
    payment_secret=bytes(32),
    payment_metadata=None,
    min_final_cltv=CltvDelta(18),
    max_fee=MilliSatoshi(20),
    status=PaymentStatus.PENDING,
    created_at=1_700_000_000,
    created_index=9,
    description="tea",
    parts=(PART,),
)
FORWARD = ForwardRecord(
    in_channel=ChannelId(bytes(32)),
    in_htlc=3,
    in_scid=FIRST,
    in_amount=MilliSatoshi(1_011),
    in_expiry=CltvExpiry(150),
    payment_hash=PAYMENT.payment_hash,
    asked_scid=SECOND,
    amount=MilliSatoshi(1_000),
    expiry=CltvExpiry(116),
    shared_secret=bytes(32),
    received_at=1_700_000_000,
    created_index=5,
)


def _failed(failure: PartFailure) -> Part:
    return replace(PART, status=PaymentStatus.FAILED, failure=failure, completed_at=1_700_000_001)


def _said(hop: int | None) -> PartFailure:
    return PartFailure(FeeInsufficient.CODE, "fee_insufficient", "It came back.", hop, False, 204)


# --- shapes -------------------------------------------------------------------------------------


def test_part__in_every_state() -> None:
    complete = replace(
        PART, status=PaymentStatus.COMPLETE, updated_index=7, completed_at=1_700_000_001
    )
    paid = replace(
        PAYMENT, status=PaymentStatus.COMPLETE, preimage=Preimage(b"\x22" * 32), parts=(complete,)
    )
    failed = replace(_failed(_said(0)), updated_index=8)
    shown = [
        sending_shapes.sent_part(PAYMENT, PART),
        sending_shapes.sent_part(paid, complete),
        sending_shapes.sent_part(PAYMENT, failed),
    ]
    check_answer("listsendpays", {"payments": shown[1:2]})
    check_answer("listsendpays", {"payments": shown}, held=False)
    check_answer("waitsendpay", sending_shapes.waited_part(paid, complete))
    whole = sending_shapes.waited_part(paid, replace(complete, partid=0))
    assert "partid" not in whole, "part 0 is all there is"


def test_through__counts_what_was_sent() -> None:
    never_sent = replace(_failed(explain.local("full")), partid=2, htlc_id=None, created_index=0)
    paid = replace(
        PAYMENT,
        status=PaymentStatus.COMPLETE,
        preimage=Preimage(b"\x22" * 32),
        parts=(
            _failed(_said(0)),
            never_sent,
            replace(PART, partid=3, status=PaymentStatus.COMPLETE),
        ),
    )
    shown = sending_shapes.through(paid)
    check_answer("xpay", shown)
    check_answer("xkeysend", shown)
    assert (shown["failed_parts"], shown["successful_parts"]) == (1, 1)
    assert shown["amount_sent_msat"] == 1_011


@pytest.mark.parametrize(
    ("hop", "index", "node", "channel", "direction"),
    [
        (None, 0, US, FIRST, 1),
        (0, 1, BOB, SECOND, 0),
        (1, 2, CAROL, SECOND, 0),
    ],
)
def test_routing_failure__who_and_where(
    hop: int | None, index: int, node: NodeId, channel: ShortChannelId, direction: int
) -> None:
    assert sending_shapes.routing_failure(_failed(_said(hop)), US) == {
        "erring_index": index,
        "failcode": 0x100C,
        "failcodename": "WIRE_FEE_INSUFFICIENT",
        "erring_node": node.hex(),
        "erring_channel": str(channel),
        "erring_direction": direction,
    }


def test_routing_failure__of_our_own_making() -> None:
    shown = sending_shapes.routing_failure(_failed(explain.local("The channel closed.")), US)
    assert (shown["erring_index"], shown["erring_node"]) == (0, US.hex())
    assert shown["failcodename"] == "WIRE_TEMPORARY_CHANNEL_FAILURE"


def test_routing_failure__that_nobody_can_read() -> None:
    unread = replace(explain.read(None, 2, BlockHeight(100)), reply=b"\xab" * 4)
    assert sending_shapes.routing_failure(_failed(unread), US) == {"onionreply": "abababab"}
    assert sending_shapes.routing_failure(PART, US) == {}


def test_forward__in_every_state() -> None:
    onward = replace(FORWARD, out_channel=ChannelId(b"\x01" * 32), out_htlc=0, out_scid=SECOND)
    settled = onward.ended(ForwardStatus.SETTLED, 1_700_000_001, 1)
    failed = onward.ended(ForwardStatus.FAILED, 1_700_000_001, 2)
    local = FORWARD.ended(
        ForwardStatus.LOCAL_FAILED, 1_700_000_001, None, FeeInsufficient(MilliSatoshi(1_011))
    )
    records = (settled, failed, onward, local)
    shown = [sending_shapes.forward(record) for record in records]
    check_answer("listforwards", {"forwards": shown[:2]})
    check_answer("listforwards", {"forwards": shown}, held=False)
    assert shown[3]["failreason"] == "WIRE_FEE_INSUFFICIENT"
    nameless = sending_shapes.forward(replace(local, in_scid=None))
    assert nameless["in_channel"] == "0x0x0"


def test_forward__an_onion_may_ask_for_more_than_there_is() -> None:
    greedy = replace(FORWARD, amount=MilliSatoshi(2_000))
    local = greedy.ended(ForwardStatus.LOCAL_FAILED, 1, None, FeeInsufficient(MilliSatoshi(1_011)))
    check_answer("listforwards", {"forwards": [sending_shapes.forward(local)]}, held=False)


# --- parsers ------------------------------------------------------------------------------------


def test_route_hop__old_names_and_new() -> None:
    old = {"id": BOB.hex(), "channel": str(FIRST), "amount_msat": 5, "delay": 9, "style": "tlv"}
    new = {
        "node_id_out": BOB.hex(),
        "short_channel_id_dir": f"{FIRST}/1",
        "amount_out_msat": "5msat",
        "cltv_out": 9,
    }
    assert route_hop(old) == route_hop(new)
    assert (route_hop(old).scid, route_hop(old).delay) == (FIRST, 9)


@pytest.mark.parametrize(
    "change", [{"id": "02"}, {"channel": "1x1"}, {"amount_msat": -1}, {"delay": 1 << 31}]
)
def test_route_hop__unfit(change: dict[str, object]) -> None:
    fit = {"id": BOB.hex(), "channel": str(FIRST), "amount_msat": 5, "delay": 9}
    with pytest.raises(Unfit):
        route_hop({**fit, **change})
    for name in change:
        with pytest.raises(Unfit, match=name):
            route_hop({n: v for n, v in fit.items() if n != name})


def test_hint_hop__as_an_invoice_has_it() -> None:
    given = {"id": BOB.hex(), "scid": str(FIRST), "feebase": 1, "feeprop": 10, "expirydelta": 34}
    hint = hint_hop(given)
    assert (hint.node_id, hint.short_channel_id) == (BOB, FIRST)
    assert hint.cltv_expiry_delta == CltvDelta(34)
    with pytest.raises(Unfit):
        hint_hop("hint")


def test_extra_tlvs__ascending() -> None:
    assert extra_tlvs({"65537": "", "65536": "ff"}) == ((65536, b"\xff"), (65537, b""))
    unfit: tuple[object, ...] = ([], {"1": "00"}, {"x": "00"}, {"65536": 5.5}, {str(1 << 64): "00"})
    for wrong in unfit:
        with pytest.raises(Unfit):
            extra_tlvs(wrong)


def test_excluded__a_direction_or_a_node() -> None:
    assert excluded("101x1x0/1") == "101x1x0/1"
    assert excluded(BOB.hex().upper()) == BOB.hex()
    for wrong in ("101x1x0", "101x1x0/2", "x/1", 5, "99999999x1x0/0"):
        with pytest.raises(Unfit):
            excluded(wrong)


def test_u63__what_the_database_can_hold() -> None:
    assert u63(str((1 << 63) - 1)) == (1 << 63) - 1
    with pytest.raises(Unfit):
        u63(1 << 63)
