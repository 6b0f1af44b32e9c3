"""LDK forwards for us and we forward for LDK; parts from LDK; route hints both ways."""

from collections.abc import Iterator

import pytest

from tests.interop.ldk.line import Line
from wallet.base.invoices.bolt11 import decode_invoice
from wallet.faces.rpc.client import RpcError

AMOUNT_MSAT = 20_000_000
OUR_FEE_MSAT = 1 + AMOUNT_MSAT * 10 // 1_000_000


@pytest.fixture(scope="module")
def line(ldk_package: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    """Four nodes for all tests of this page."""
    made = Line(tmp_path_factory.mktemp("line"))
    yield made
    made.close()


def test_ldk_forwards_for_us(line: Line) -> None:
    """Alice's only channel is with L1, who passes it on to Bob over the announced one."""
    before = line.worth(line.bob)
    invoice = line.our_invoice(line.bob, AMOUNT_MSAT)
    paid = line.alice.call("pay", bolt11=invoice["bolt11"], maxfee=10_000)
    assert paid["status"] == "complete"
    assert paid["amount_sent_msat"] - AMOUNT_MSAT == 1_000, "LDK's base fee"
    assert line.worth(line.bob) == before + AMOUNT_MSAT


def test_we_forward_for_ldk__by_the_hint_of_an_ldk_invoice(line: Line) -> None:
    """L1 finds L2 by the hint that names the private channel between Bob and L2."""
    invoice = line.l2.call("create_invoice", amount_msat=AMOUNT_MSAT)
    hints = decode_invoice(invoice["invoice"]).route_hints
    assert {hint[-1].node_id.hex() for hint in hints} == {line.bob.node_id}
    before = line.worth(line.bob)
    done = line.ldk_pays(line.l1, invoice["invoice"])
    assert done["state"] == "sent", done
    assert line.worth(line.bob) - before == OUR_FEE_MSAT
    forward = line.bob.call("listforwards", status="settled")["forwards"][-1]
    assert (forward["fee_msat"], forward["out_msat"]) == (OUR_FEE_MSAT, AMOUNT_MSAT)


def test_over_both__by_the_hint_of_an_ldk_invoice(line: Line) -> None:
    """Alice pays L2: LDK forwards, then we do."""
    invoice = line.l2.call("create_invoice", amount_msat=AMOUNT_MSAT)
    paid = line.alice.call("pay", bolt11=invoice["invoice"], maxfee=10_000)
    assert paid["status"] == "complete"
    assert paid["amount_sent_msat"] == AMOUNT_MSAT + 1_000 + OUR_FEE_MSAT


def test_over_both__by_the_hint_of_our_invoice(line: Line) -> None:
    """L2 pays Alice, whom it finds by the hint with L1's alias for their channel."""
    invoice = line.our_invoice(line.alice, AMOUNT_MSAT)
    [hint] = decode_invoice(invoice["bolt11"]).route_hints
    [channel] = line.alice.call("listpeerchannels")["channels"]
    assert str(hint[0].short_channel_id) == channel["alias"]["remote"]
    done = line.ldk_pays(line.l2, invoice["bolt11"])
    assert done["state"] == "sent", done
    assert line.invoice_of(line.alice, invoice)["status"] == "paid"


def test_parts_from_ldk(line: Line) -> None:
    """More than either channel of L2 can send: it comes in parts, and is paid at once."""
    amount = 600_000_000
    largest = max(c["next_outbound_htlc_limit_msat"] for c in line.l2.call("list_channels"))
    assert largest < amount, "one HTLC would do"
    before = line.worth(line.bob)
    invoice = line.our_invoice(line.bob, amount)
    done = line.ldk_pays(line.l2, invoice["bolt11"])
    assert done["state"] == "sent", done
    paid = line.invoice_of(line.bob, invoice)
    assert (paid["status"], paid["amount_received_msat"]) == ("paid", amount)
    assert line.worth(line.bob) == before + amount


def test_a_failure_behind_ldk_is_read(line: Line) -> None:
    """Bob refuses; the reason passes L1's layer and Alice reads who said it."""
    invoice = line.our_invoice(line.bob, AMOUNT_MSAT)
    line.bob.call("delinvoice", label=invoice["label"], status="unpaid")
    with pytest.raises(RpcError, match=r"The money came back to you\. The payee's node"):
        line.alice.call("pay", bolt11=invoice["bolt11"], maxfee=10_000)


def test_a_failure_behind_us_is_read_by_ldk(line: Line) -> None:
    """L2 fails it; our layer around the reason is one that L1 can take off."""
    line.l2.call("set", autoclaim=False)
    invoice = line.l2.call("create_invoice", amount_msat=AMOUNT_MSAT)
    begun = line.l1.call("pay_invoice", invoice=invoice["invoice"])
    line.l2.call(
        "wait_event",
        types=["PaymentClaimable"],
        match={"payment_hash": invoice["payment_hash"]},
    )
    line.l2.call("fail", payment_hash=invoice["payment_hash"])
    done = line.l1.call("wait_payment", payment_hash=begun["payment_hash"])
    line.l2.call("set", autoclaim=True)
    assert (done["state"], done["reason"]) == ("failed", "RecipientRejected")


def test_keysend_through_ldk(line: Line) -> None:
    before = line.worth(line.bob)
    line.alice.call("keysend", destination=line.bob.node_id, amount_msat=5_000_000)
    assert line.worth(line.bob) == before + 5_000_000
