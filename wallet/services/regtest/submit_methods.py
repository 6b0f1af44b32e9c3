"""RPC methods that offer transactions to the mempool, alone and in packages."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Final

from wallet.base.bitcoin.script import is_unspendable
from wallet.base.bitcoin.transaction import Transaction
from wallet.base.values.amounts import SAT_PER_BTC
from wallet.base.values.ids import Txid
from wallet.services.regtest import packages
from wallet.services.regtest.context import Context, feerate_of, strings_of, transaction_of
from wallet.services.regtest.json_text import btc
from wallet.services.regtest.mempool import fee_at
from wallet.services.regtest.packages import Accepted, AlreadyHere, Verdict
from wallet.services.regtest.policy import Rejected
from wallet.services.regtest.render import Json
from wallet.services.regtest.rpc import (
    DESERIALIZATION_ERROR,
    INVALID_PARAMETER,
    TYPE_ERROR,
    VERIFY_ALREADY_IN_UTXO_SET,
    VERIFY_ERROR,
    VERIFY_REJECTED,
    RpcError,
    method,
)

DEFAULT_MAX_FEERATE: Final = 10_000_000
"""0.10 BTC per 1,000 virtual bytes: above that a fee is taken for a mistake."""
_MAX_FEE_EXCEEDED: Final = "max-fee-exceeded"


@method
def sendrawtransaction(
    context: Context,
    hexstring: str,
    maxfeerate: Decimal | str | None = None,
    maxburnamount: Decimal | str | None = None,
) -> str:
    """Put a transaction into the mempool and announce it."""
    node = context.node
    tx = transaction_of(hexstring)
    _check_burnt([tx], maxburnamount)
    limit = _max_feerate(maxfeerate)
    if tx.txid in node.mempool.entries:
        return str(tx.txid)  # Core announces it once more and is content.
    if node.chain.index.has_unspent_of(tx.txid):
        raise RpcError(VERIFY_ALREADY_IN_UTXO_SET, "Transaction outputs already in utxo set")
    try:
        accepted = node.check(tx)
    except Rejected as rejected:
        code = VERIFY_ERROR if rejected.missing else VERIFY_REJECTED
        raise RpcError(code, str(rejected)) from None
    if _above(accepted.entry.fee, accepted.entry.vsize, limit):
        raise RpcError(
            VERIFY_ERROR,
            "Fee exceeds maximum configured by user (e.g. -maxtxfee, maxfeerate)",
        )
    node.accept(accepted)
    return str(tx.txid)


@method
def submitpackage(
    context: Context,
    package: list[Any],
    maxfeerate: Decimal | str | None = None,
    maxburnamount: Decimal | str | None = None,
) -> Json:
    """Put a child and its parents into the mempool: all that may enter, alone or together."""
    txs = _transactions(package, "package")
    limit = _max_feerate(maxfeerate)
    _check_burnt(txs, maxburnamount)
    if not packages.is_child_with_parents(txs):
        raise RpcError(
            VERIFY_ERROR,
            "package topology disallowed. not child-with-parents or parents depend on each other.",
        )
    verdict = context.node.submit_package(txs, limit)
    replaced: set[Txid] = set()
    for outcome in verdict.outcomes.values():
        if isinstance(outcome, Accepted):
            replaced |= outcome.replaced
    return {
        "package_msg": verdict.failure or "success",
        "tx-results": {
            str(tx.wtxid): {"txid": str(tx.txid), **_submitted(tx, verdict)} for tx in txs
        },
        "replaced-transactions": [str(txid) for txid in sorted(replaced)],
    }


def _submitted(tx: Transaction, verdict: Verdict) -> Json:
    match verdict.outcomes.get(tx.wtxid):
        case None:
            return {"error": "package-not-validated"}
        case Rejected() as rejected:
            return {"error": str(rejected)}
        case AlreadyHere(entry) if entry.tx.wtxid != tx.wtxid:
            return {"other-wtxid": str(entry.tx.wtxid)}
        case AlreadyHere(entry):
            return {"vsize": entry.vsize, "fees": {"base": btc(entry.fee)}}
        case Accepted() as accepted:
            return _paid(accepted)


def _paid(accepted: Accepted) -> Json:
    return {
        "vsize": accepted.entry.vsize,
        "fees": {
            "base": btc(accepted.entry.fee),
            "effective-feerate": btc(accepted.feerate),
            "effective-includes": [str(wtxid) for wtxid in accepted.includes],
        },
    }


@method
def testmempoolaccept(
    context: Context, rawtxs: list[Any], maxfeerate: Decimal | str | None = None
) -> list[Json]:
    """Whether transactions would be accepted now; several of them one on top of the other."""
    txs = _transactions(rawtxs, "rawtxs")
    limit = _max_feerate(maxfeerate)
    verdict = context.node.rehearse(txs) if len(txs) > 1 else _alone(context, txs[0])
    out: list[Json] = []
    exceeded = False
    for tx in txs:
        row: Json = {"txid": str(tx.txid), "wtxid": str(tx.wtxid)}
        if verdict.malformed:
            row["package-error"] = verdict.failure
        outcome = verdict.outcomes.get(tx.wtxid)
        if isinstance(outcome, Accepted | Rejected) and not exceeded:
            row |= _tested(outcome, limit)
            # What builds on a transaction that would not be sent needs no answer.
            exceeded = row.get("reject-reason") == _MAX_FEE_EXCEEDED
        out.append(row)
    return out


def _alone(context: Context, tx: Transaction) -> Verdict:
    try:
        accepted = context.node.check(tx)
    except Rejected as rejected:
        return Verdict({tx.wtxid: rejected}, packages.FAILED)
    return Verdict({tx.wtxid: packages.by_itself(accepted)})


def _tested(outcome: Accepted | Rejected, limit: int | None) -> Json:
    if isinstance(outcome, Rejected):
        if outcome.missing:
            return {"allowed": False, "reject-reason": "missing-inputs"}
        return {
            "allowed": False,
            "reject-reason": outcome.reason,
            "reject-details": str(outcome),
        }
    if _above(outcome.entry.fee, outcome.entry.vsize, limit):
        return {"allowed": False, "reject-reason": _MAX_FEE_EXCEEDED}
    return {"allowed": True, **_paid(outcome)}


def _transactions(texts: list[Any], name: str) -> list[Transaction]:
    if not 1 <= len(texts) <= packages.MAX_COUNT:
        raise RpcError(
            INVALID_PARAMETER,
            f"Array must contain between 1 and {packages.MAX_COUNT} transactions.",
        )
    txs: list[Transaction] = []
    for text in strings_of(texts, name):
        try:
            txs.append(transaction_of(text))
        except RpcError:
            raise RpcError(
                DESERIALIZATION_ERROR,
                f"TX decode failed: {text} Make sure the tx has at least one input.",
            ) from None
    return txs


def _check_burnt(txs: Iterable[Transaction], maxburnamount: Decimal | str | None) -> None:
    most = 0 if maxburnamount is None else _amount(maxburnamount)
    for tx in txs:
        for out in tx.outputs:
            if is_unspendable(out.script_pubkey) and out.amount.sat > most:
                raise RpcError(
                    VERIFY_ERROR,
                    "Unspendable output exceeds maximum configured by user (maxburnamount)",
                )


def _max_feerate(maxfeerate: Decimal | str | None) -> int | None:
    """Satoshi per 1,000 virtual bytes; None: anything goes (Core's 0)."""
    if maxfeerate is None:
        return DEFAULT_MAX_FEERATE
    limit = _amount(maxfeerate)
    if limit >= SAT_PER_BTC:
        raise RpcError(
            INVALID_PARAMETER, "Fee rates larger than or equal to 1BTC/kvB are not accepted"
        )
    return limit or None


def _amount(amount: Decimal | int | str) -> int:
    """Core takes amounts as numbers and as strings."""
    try:
        return feerate_of(Decimal(amount))
    except ArithmeticError:
        raise RpcError(TYPE_ERROR, "Invalid amount") from None


def _above(fee: int, vsize: int, limit: int | None) -> bool:
    return limit is not None and fee > fee_at(limit, vsize)
