"""The fee rate of a transaction, chosen in a form: an estimate of the node's, or a figure."""

from collections.abc import Iterator
from typing import Final

from textual.dom import DOMNode
from textual.widget import Widget

from wallet.faces.tui.costs import Prices, Speed, read_per_vbyte
from wallet.faces.tui.sheets.fields import Choice, Digits, Named

CUSTOM: Final = "custom"


def rate_fields() -> Iterator[Widget]:
    """A row to choose from, and one for a figure."""
    yield Named("Fee rate", Choice([CUSTOM], id="rate"))
    own = Named("", Digits(id="custom", placeholder="satoshi per virtual byte, such as 2.5"))
    own.id = "own-rate"
    yield own


def offer(sheet: DOMNode, prices: Prices) -> None:
    """Show what the node estimates now, and the figure's field where it is wanted."""
    rates = sheet.query_one("#rate", Choice)
    rates.offer([*(speed.words for speed in prices.speeds), CUSTOM])
    sheet.query_one("#own-rate").display = rates.chosen >= len(prices.speeds)


def chosen(sheet: DOMNode, prices: Prices) -> Speed | None:
    """The one that was chosen; None when the figure is no fee rate."""
    number = sheet.query_one("#rate", Choice).chosen
    if number < len(prices.speeds):
        return prices.speeds[number]
    per_kw = read_per_vbyte(sheet.query_one("#custom", Digits).value)
    return Speed("your own", per_kw) if per_kw is not None else None
