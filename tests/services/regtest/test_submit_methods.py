"""submitpackage and testmempoolaccept as Core's clients see them: parameters and shapes."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.support.faucet import SCRIPT, output_of, spend
from tests.support.regtest_node import TestClock, coin, funded
from wallet.base.bitcoin.script import P2A, op_return
from wallet.base.bitcoin.transaction import Transaction, TxOut
from wallet.base.values.amounts import Satoshi
from wallet.services.regtest.context import Context
from wallet.services.regtest.json_text import btc, dumps, loads
from wallet.services.regtest.node import Regtest
from wallet.services.regtest.rpc import answer
from wallet.services.regtest.server import node_methods, submit_methods, tx_methods

__all__ = ["node_methods", "submit_methods", "tx_methods"]  # They fill the table of methods.


@pytest.fixture
def node(chain_directory: Path, clock: TestClock) -> Iterator[Regtest]:
    made = funded(chain_directory, clock)
    yield made
    made.close()


async def reply(node: Regtest, method: str, *params: object) -> dict[str, Any]:
    request = {"id": 1, "method": method, "params": list(params)}
    made = await answer(Context(node), request)
    found: dict[str, Any] = loads(dumps(made).encode())
    return found


async def call(node: Regtest, method: str, *params: object) -> Any:
    """The result of a call that succeeds."""
    made = await reply(node, method, *params)
    assert made["error"] is None
    return made["result"]


async def fail(node: Regtest, method: str, *params: object) -> tuple[int, str]:
    """Code and message of a call that fails."""
    error = (await reply(node, method, *params))["error"]
    return error["code"], error["message"]


def raw(*txs: Transaction) -> list[str]:
    return [tx.encode().hex() for tx in txs]


def commitment_of(node: Regtest, height: int = 1) -> tuple[Transaction, Transaction]:
    """A commitment transaction without a fee and with a keyless anchor, and who pays for it."""
    anchor = TxOut(Satoshi(0), P2A)
    parent = spend([coin(node, height)], 0, outputs=[anchor], version=3)
    money = coin(node, height + 1)
    return parent, spend([output_of(parent, 0), money], 5_000, version=3)


async def test_submitpackage__shape(node: Regtest) -> None:
    parent, child = commitment_of(node)
    rate = btc(5_000 * 1000 // (parent.vsize + child.vsize))
    includes = [str(parent.wtxid), str(child.wtxid)]
    assert await call(node, "submitpackage", raw(parent, child)) == {
        "package_msg": "success",
        "tx-results": {
            str(tx.wtxid): {
                "txid": str(tx.txid),
                "vsize": tx.vsize,
                "fees": {
                    "base": btc(fee),
                    "effective-feerate": rate,
                    "effective-includes": includes,
                },
            }
            for tx, fee in ((parent, 0), (child, 5_000))
        },
        "replaced-transactions": [],
    }
    # The other side's commitment, and its child.
    rival = spend([coin(node, 1)], 0, outputs=[TxOut(Satoshi(0), P2A)], version=3, locktime=1)
    payer = spend([output_of(rival, 0), coin(node, 3)], 20_000, version=3)
    answered = await call(node, "submitpackage", raw(rival, payer))
    assert answered["package_msg"] == "success"
    assert answered["replaced-transactions"] == sorted(
        (str(parent.txid), str(child.txid)), key=lambda text: bytes.fromhex(text)[::-1]
    )
    # Once more, with another witness for the parent.
    stripped = rival.with_witness(0, ())
    assert await call(node, "submitpackage", raw(stripped, payer)) == {
        "package_msg": "success",
        "tx-results": {
            str(stripped.wtxid): {"txid": str(rival.txid), "other-wtxid": str(rival.wtxid)},
            str(payer.wtxid): {
                "txid": str(payer.txid),
                "vsize": payer.vsize,
                "fees": {"base": btc(20_000)},
            },
        },
        "replaced-transactions": [],
    }


async def test_submitpackage__partly(node: Regtest) -> None:
    parent = spend([coin(node, 1)], 1_000, parts=2)
    child = spend([output_of(parent, 0)], 1)
    answered = await call(node, "submitpackage", raw(parent, child))
    assert answered["package_msg"] == "transaction failed"
    assert answered["tx-results"][str(child.wtxid)] == {
        "txid": str(child.txid),
        "error": "min relay fee not met, 1 < 11",
    }
    assert "error" not in answered["tx-results"][str(parent.wtxid)]
    assert await call(node, "getrawmempool") == [str(parent.txid)]


async def test_submitpackage__not_validated(node: Regtest) -> None:
    one, other = (spend([coin(node, 1)], fee) for fee in (1_000, 2_000))
    child = spend([output_of(one, 0), output_of(other, 0)], 1_000)
    assert await call(node, "submitpackage", raw(one, other, child)) == {
        "package_msg": "conflict-in-package",
        "tx-results": {
            str(tx.wtxid): {"txid": str(tx.txid), "error": "package-not-validated"}
            for tx in (one, other, child)
        },
        "replaced-transactions": [],
    }


async def test_submitpackage__one_transaction(node: Regtest) -> None:
    tx = spend([coin(node, 1)], 1_000)
    answered = await call(node, "submitpackage", raw(tx))
    assert answered["package_msg"] == "success"
    assert answered["tx-results"][str(tx.wtxid)]["fees"]["effective-includes"] == [str(tx.wtxid)]


async def test_submitpackage__parameters(node: Regtest) -> None:
    parent = spend([coin(node, 1)], 1_000, parts=2)
    child = spend([output_of(parent, 0)], 1_000)
    third = spend([output_of(child, 0)], 1_000)
    count = (-8, "Array must contain between 1 and 25 transactions.")
    assert await fail(node, "submitpackage", []) == count
    assert await fail(node, "submitpackage", raw(parent) * 26) == count
    bad = raw(parent)[0][:-1] + "X"
    assert await fail(node, "submitpackage", [bad, *raw(child)]) == (
        -22,
        f"TX decode failed: {bad} Make sure the tx has at least one input.",
    )
    topology = (
        -25,
        "package topology disallowed. not child-with-parents or parents depend on each other.",
    )
    assert await fail(node, "submitpackage", raw(parent, child, third)) == topology
    assert await fail(node, "submitpackage", raw(child, parent)) == topology
    assert await fail(node, "submitpackage", raw(parent, child), "1") == (
        -8,
        "Fee rates larger than or equal to 1BTC/kvB are not accepted",
    )
    assert not node.mempool.entries


@pytest.mark.parametrize(
    ("fee", "maxfeerate", "failed"),
    [
        (1_200_000, None, True),
        (1_000_000, None, False),
        (1_200_000, 0, False),
        (1_200_000, "0.11", False),
        (2_000, "0.0001", True),
    ],
)
async def test_submitpackage__maxfeerate(
    node: Regtest, fee: int, maxfeerate: object, failed: bool
) -> None:
    """In BTC per 1,000 virtual bytes, 0.10 by default, 0 for any; the child is 110 of them."""
    parent = spend([coin(node, 1)], 0)
    child = spend([output_of(parent, 0)], fee)
    assert child.vsize == 110
    answered = await call(node, "submitpackage", raw(parent, child), maxfeerate)
    error = answered["tx-results"][str(child.wtxid)].get("error")
    assert error == ("max feerate exceeded" if failed else None)
    assert len(node.mempool.entries) == (0 if failed else 2)


async def test_submitpackage__maxburnamount(node: Regtest) -> None:
    parent = spend([coin(node, 1)], 0)
    burning = TxOut(Satoshi(500), op_return(b"gone"))
    child = spend([output_of(parent, 0)], 5_000, outputs=[burning])
    refusal = (-25, "Unspendable output exceeds maximum configured by user (maxburnamount)")
    assert await fail(node, "submitpackage", raw(parent, child)) == refusal
    assert await fail(node, "submitpackage", raw(parent, child), None, "0.00000499") == refusal
    answered = await call(node, "submitpackage", raw(parent, child), None, Decimal("0.000005"))
    assert answered["package_msg"] == "success"


async def test_testmempoolaccept__several(node: Regtest) -> None:
    parent = spend([coin(node, 1)], 1_000, parts=2)
    child = spend([output_of(parent, 0)], 2_000)
    accepted = [
        {
            "txid": str(tx.txid),
            "wtxid": str(tx.wtxid),
            "allowed": True,
            "vsize": tx.vsize,
            "fees": {
                "base": btc(fee),
                "effective-feerate": btc(fee * 1000 // tx.vsize),
                "effective-includes": [str(tx.wtxid)],
            },
        }
        for tx, fee in ((parent, 1_000), (child, 2_000))
    ]
    assert await call(node, "testmempoolaccept", raw(parent, child)) == accepted
    assert await call(node, "testmempoolaccept", raw(child, parent)) == [
        {"txid": str(tx.txid), "wtxid": str(tx.wtxid), "package-error": "package-not-sorted"}
        for tx in (child, parent)
    ]
    orphan = spend([output_of(spend([coin(node, 2)], 1), 0)], 1_000)
    assert await call(node, "testmempoolaccept", raw(parent, orphan)) == [
        {"txid": str(parent.txid), "wtxid": str(parent.wtxid)},
        {
            "txid": str(orphan.txid),
            "wtxid": str(orphan.wtxid),
            "allowed": False,
            "reject-reason": "missing-inputs",
        },
    ]
    # A fee taken for a mistake ends it for those that follow.
    dear = spend([coin(node, 2)], 1_200_000)
    assert await call(node, "testmempoolaccept", raw(parent, dear, child)) == [
        accepted[0],
        {
            "txid": str(dear.txid),
            "wtxid": str(dear.wtxid),
            "allowed": False,
            "reject-reason": "max-fee-exceeded",
        },
        {"txid": str(child.txid), "wtxid": str(child.wtxid)},
    ]
    assert not node.mempool.entries


async def test_relay_knobs(node: Regtest) -> None:
    """What relay asks always, and what a full mempool would ask now."""
    parent, child = commitment_of(node)
    await call(node, "setminrelayfee", Decimal("0.0005"))
    await call(node, "setmempoolminfee", Decimal("0.001"))
    info = await call(node, "getmempoolinfo")
    assert (info["minrelaytxfee"], info["mempoolminfee"]) == (Decimal("0.0005"), Decimal("0.001"))
    assert (await call(node, "getnetworkinfo"))["relayfee"] == Decimal("0.0005")
    answered = await call(node, "submitpackage", raw(parent, child))
    assert answered["tx-results"][str(child.wtxid)]["error"].startswith("mempool min fee not met")
    await call(node, "setmempoolminfee")
    answered = await call(node, "submitpackage", raw(parent, child))
    assert answered["tx-results"][str(child.wtxid)]["error"].startswith("min relay fee not met")
    await call(node, "setminrelayfee")
    info = await call(node, "getmempoolinfo")
    assert (info["minrelaytxfee"], info["mempoolminfee"]) == (Decimal("0.000001"),) * 2
    assert (await call(node, "submitpackage", raw(parent, child)))["package_msg"] == "success"
    node.generate(1, SCRIPT)
    assert await call(node, "getrawmempool") == []
