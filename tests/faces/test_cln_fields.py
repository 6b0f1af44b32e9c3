"""The table of Core Lightning's answers, and that checking against it has teeth."""

from typing import Any

import pytest

from tests.support.cln_schemas import TABLE, check_answer, fields, known_methods

OF_THE_SPINE = {
    "check", "close", "connect", "decode", "feerates", "fundchannel", "getinfo", "help", "invoice",
    "listfunds", "listinvoices", "listpays", "listpeerchannels", "listpeers", "newaddr", "pay",
    "stop", "waitinvoice",
}  # fmt: skip

FUNDS: dict[str, Any] = {
    "outputs": [
        {
            "txid": "ab" * 32,
            "output": 0,
            "amount_msat": 5000,
            "scriptpubkey": "0014" + "00" * 20,
            "address": "bcrt1q",
            "status": "confirmed",
            "blockheight": 101,
            "reserved": False,
        }
    ],
    "channels": [],
}


def test_table__is_whole() -> None:
    lines = [x for x in TABLE.read_text().splitlines() if not x.startswith("#")][1:]
    assert len(lines) == sum(len(f) for f in fields().values()) == 947
    print(f"{len(lines)}/947 fields of Core Lightning's answers")
    assert known_methods() >= OF_THE_SPINE
    assert all(x.split("\t")[3] in ("yes", "held", "no") for x in lines)


def test_check__takes_a_right_answer() -> None:
    check_answer("listfunds", FUNDS)
    check_answer("stop", {"result": "Shutdown complete"})
    check_answer("help", {"help": [{"command": "stop "}], "format-hint": "simple"})
    check_answer("listfunds", {**FUNDS, "warning_anything": "x"})


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"txid": None}, r"outputs\[\].txid is no txid"),
        ({"txid": "AB" * 32}, "is no txid"),
        ({"output": True}, r"outputs\[\].output is no u32"),
        ({"amount_msat": "5000msat"}, "is no msat"),
        ({"amount_msat": -1}, "is no msat"),
        ({"status": "lost"}, "is no string:unconfirmed"),
        ({"reserved": True}, r"outputs\[\].reserved_to_block is missing"),
        ({"status": "spent"}, r"outputs\[\].blockheight is not Core Lightning's"),
        ({"colour": "red"}, r"outputs\[\].colour is not Core Lightning's"),
    ],
)
def test_check__names_each_fault(change: dict[str, Any], fault: str) -> None:
    answer = {**FUNDS, "outputs": [{**FUNDS["outputs"][0], **change}]}
    with pytest.raises(AssertionError, match=fault):
        check_answer("listfunds", answer)


def test_check__held_fields_only_when_asked() -> None:
    output = {k: v for k, v in FUNDS["outputs"][0].items() if k != "address"}
    answer = {**FUNDS, "outputs": [output]}
    check_answer("listfunds", answer, held=False)
    with pytest.raises(AssertionError, match="address is missing"):
        check_answer("listfunds", answer)
    with pytest.raises(AssertionError, match="channels is missing"):
        check_answer("listfunds", {"outputs": []})
