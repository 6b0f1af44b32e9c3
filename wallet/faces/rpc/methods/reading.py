"""What methods read alike: fee rates, pages of a list, invoices as people paste them."""

from collections.abc import Sequence
from typing import TypeVar

from wallet.base.errors import DecodeError, Refused
from wallet.base.invoices.uri import parse_request
from wallet.base.values.amounts import FeeratePerKw
from wallet.base.values.blocks import CltvDelta
from wallet.faces.rpc.errors import Code
from wallet.faces.rpc.params import AnyParam, Args
from wallet.faces.rpc.parsers import FeerateTarget
from wallet.node.api import Api

T = TypeVar("T")


def refuse_given(args: Args, params: Sequence[AnyParam]) -> None:
    """Refuse parameters that mean something we do not do: ignoring one could cost money."""
    for param in params:
        if args.get(param) is not None:
            raise Refused(f"{param.name} is not supported here", Code.INVALID_PARAMS)


async def feerate_of(api: Api, given: FeeratePerKw | FeerateTarget | None) -> FeeratePerKw | None:
    """A fee rate that was named, or the present estimate for a word; None when nothing was said.

    Raises `ServiceFault` when an estimate is needed and the chain backend is away.
    """
    if isinstance(given, FeerateTarget):
        return await api.estimate(CltvDelta(given.blocks))
    return given


def page(items: list[tuple[int, T]], start: int | None, limit: int | None) -> list[T]:
    """Items in the order of their numbers, from number `start` on, at most `limit` of them."""
    ordered = sorted(items, key=lambda item: item[0])
    kept = [item for number, item in ordered if start is None or number >= start]
    return kept if limit is None else kept[:limit]


def bare_invoice(text: str) -> str:
    """An invoice without the scheme that wallets and QR codes put before it, in lower case.

    Text of mixed case stays as it is: BOLT 11 forbids it, and the decoder says so.
    """
    try:
        text = parse_request(text).invoice or text
    except DecodeError:
        return text
    return text.lower() if text == text.upper() else text
