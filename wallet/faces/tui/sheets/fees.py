"""What others pay for a payment through a channel of ours; `f` changes it."""

from collections.abc import Iterator
from typing import Any, ClassVar, Final

from textual.binding import Binding
from textual.widget import Widget

from wallet.faces.tui.errands import Words
from wallet.faces.tui.facts import ChannelFacts
from wallet.faces.tui.link import Link
from wallet.faces.tui.paint import QUIET, Row, row
from wallet.faces.tui.sheets.fields import Digits, Named
from wallet.faces.tui.sheets.review import Reviewed, line, lines, warning
from wallet.faces.tui.state import State
from wallet.faces.tui.words import name_of

EXAMPLE_MSAT: Final = 100_000_000
_MOST: Final = (1 << 32) - 1
_DEAR: Final = 50
"""A fee above one part in so many of the example is called dear."""


class Fees(Reviewed):
    """A base fee and a share."""

    NAME = "Fees"
    LETTER = "f"
    VERB = "change the fees"
    BINDINGS: ClassVar = [Binding("f", "act", show=False)]

    def __init__(self, state: State, channel: ChannelFacts) -> None:
        super().__init__(state)
        self._channel = channel
        self._base, self._ppm = channel.fee_base, channel.fee_ppm

    def fields(self) -> Iterator[Widget]:
        base = f"{self._channel.fee_base / 1000:.3f}".rstrip("0").rstrip(".")
        yield Named("Base", Digits(base, id="base", placeholder="satoshi for each payment"))
        ppm = str(self._channel.fee_ppm)
        yield Named("Share", Digits(ppm, id="ppm", placeholder="millionths of the amount"))

    def check(self) -> str:
        base = _read_msat(self.query_one("#base", Digits).value)
        share = self.query_one("#ppm", Digits).value.replace(",", "").strip()
        if base is None:
            return "The base fee is no figure: satoshi, at most three decimals."
        if not (share.isascii() and share.isdigit()) or int(share[:11]) > _MOST:
            return "The share is no figure: whole millionths of the amount."
        self._base, self._ppm = base, int(share)
        return ""

    def form(self, cells: int) -> list[Row]:
        del cells
        name = name_of(self._channel.peer_id, self.state.names)
        return [
            row((f"What others pay you for a payment through the channel with {name}:", QUIET)),
            row(("a base in satoshi, and millionths (ppm) of the amount.", QUIET)),
        ]

    def review(self, cells: int) -> list[Row]:
        channel = self._channel
        before = channel.fee_base + EXAMPLE_MSAT * channel.fee_ppm // 1_000_000
        after = self._base + EXAMPLE_MSAT * self._ppm // 1_000_000
        shown = self.money.shown(EXAMPLE_MSAT)
        found = [
            line("Channel", name_of(channel.peer_id, self.state.names), channel.scid),
            line("Before", _terms(channel.fee_base, channel.fee_ppm),
                 f"{self.money.shown(before, up=True)} for {shown}"),
            line("After", _terms(self._base, self._ppm),
                 f"{self.money.shown(after, up=True)} for {shown}"),
        ]  # fmt: skip
        if after * _DEAR > EXAMPLE_MSAT:
            found.append(warning("That is dear: others will go another way."))
        worst = "others hear of it late: for ten minutes the fees of before are taken too."
        return found + lines("At worst", worst, cells)

    def words(self) -> Words:
        name = name_of(self._channel.peer_id, self.state.names)
        return Words(
            doing=f"Changing the fees of the channel with {name}",
            done=f"The channel with {name} asks for {_terms(self._base, self._ppm)}",
            not_done="Not changed. The fees are as they were.",
            look="3 Channels shows them.",
        )

    async def act(self, link: Link) -> Any:
        return await link.ask(
            "setchannel", id=self._channel.channel_id, feebase=self._base, feeppm=self._ppm
        )


def _terms(base_msat: int, ppm: int) -> str:
    return f"{base_msat / 1000:,.3f}".rstrip("0").rstrip(".") + f" sat + {ppm:,} ppm"


def _read_msat(text: str) -> int | None:
    whole, point, fraction = text.replace(",", "").strip().partition(".")
    if not ((whole or fraction) and (whole + fraction).isascii() and (whole + fraction).isdigit()):
        return None
    if len(whole) > 8 or len(fraction) > 3 or (point and not fraction):
        return None
    msat = int(whole or "0") * 1000 + int(fraction.ljust(3, "0"))
    return msat if msat <= _MOST else None
