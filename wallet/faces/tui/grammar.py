"""What a person types to find payments, as the node's filter and as tests of what it gives.

Words match notes, names and hashes; `>100k` and `<1k` are satoshi; `fee>1%`, `fee<5`, `to:dave`,
`since:7d`, `until:2026-11-18`, `is:failed`; a leading `!` is the opposite.  All must hold.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from operator import ge, gt, le, lt
from typing import Any, Final, TypeAlias

from wallet.faces.tui.facts import Item
from wallet.faces.tui.words import name_of, what

EXAMPLE: Final = "words  >100k  <1k  fee>1%  to:dave  since:7d  is:failed  !not"

Names: TypeAlias = Mapping[str, str]
Test: TypeAlias = Callable[[Item, Names], bool]

_KIND, _STATUS, _WAY = "kind", "status", "direction"
IS: Final[dict[str, dict[str, list[str]]]] = {
    "failed": {_STATUS: ["failed"]},
    "pending": {_STATUS: ["pending"]},
    "done": {_STATUS: ["complete"]},
    "paid": {_STATUS: ["complete"], _KIND: ["payment"]},
    "received": {_KIND: ["invoice"]},
    "sent": {_KIND: ["payment"]},
    "in": {_WAY: ["in"]},
    "out": {_WAY: ["out"]},
    "forward": {_KIND: ["forward"]},
    "deposit": {_KIND: ["deposit"]},
    "withdrawal": {_KIND: ["withdrawal"]},
    "open": {_KIND: ["channel_open"]},
    "close": {_KIND: ["channel_close"]},
    "chain": {_KIND: ["deposit", "withdrawal", "channel_open", "channel_close"]},
}
_OURS: Final = (
    "on-chain deposit on-chain payment open channel: close channel: passed on for others to "
)
"""Words that this app says for the node, which therefore cannot look for them."""

_AMOUNT: Final = re.compile(r"(fee)?(>=|<=|>|<)(\d[\d,]*(?:\.\d+)?)(k|m|%)?")
_COMPARE: Final = {">": gt, "<": lt, ">=": ge, "<=": le}
_SCALE: Final = {None: 1, "k": 1_000, "m": 1_000_000}
_AGO: Final = re.compile(r"(\d{1,4})([mhdw])")
_SPANS: Final = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_DAY: Final = re.compile(r"(\d{4})-(\d\d)-(\d\d)")


@dataclass(slots=True)
class Query:
    """What was typed, understood."""

    asked: dict[str, Any] = field(default_factory=dict)
    """The filter of `history`: all that the node can look for."""
    tests: list[Test] = field(default_factory=list)
    problem: str = ""
    """What was not understood."""

    def fits(self, item: Item, names: Names) -> bool:
        """Whether an item is one of those."""
        return all(test(item, names) for test in self.tests)


def words_fit(sought: str, *texts: str) -> bool:
    """For short lists: every word is in one of the texts, and none that begins with `!`."""
    said = "\n".join(texts).casefold()
    return all(
        (word[1:] not in said) if word.startswith("!") and len(word) > 1 else word in said
        for word in sought.casefold().split()
    )


def parse(text: str, now: datetime, names: Names) -> Query:
    """A filter as it is typed, and so never refused: what is not understood is told and left."""
    query = Query()
    for token in text.casefold().split():
        turned = token.startswith("!") and len(token) > 1
        try:
            _add(query, token[turned:], now, names, turned=turned)
        except ValueError as error:
            query.problem = str(error)
    return query


def _add(query: Query, token: str, now: datetime, names: Names, *, turned: bool) -> None:
    asked: dict[str, Any] = {}
    name, _, value = token.partition(":")
    if found := _AMOUNT.fullmatch(token):
        test = _amount(found)
    elif name == "is":
        asked, test = _is(value)
    elif name in ("since", "until"):
        asked, test = _when(name, value, now)
    elif name == "to":
        test = _to(value)
    else:
        asked, test = _word(token, names)
    if turned:
        query.tests.append(lambda item, known: not test(item, known))
        return
    query.tests.append(test)
    for member, wanted in asked.items():
        # Of two that ask for the same, the node is told one; the tests know both.
        query.asked.setdefault(member, wanted)


def _amount(found: re.Match[str]) -> Test:
    of_fee, sign, digits, unit = found.groups()
    compare, figure = _COMPARE[sign], Decimal(digits.replace(",", ""))
    if unit == "%":
        if not of_fee:
            raise ValueError("% is for fees: fee>1%")
        return lambda item, _: (
            item.fee is not None and compare(Decimal(100 * item.fee), figure * item.amount)
        )
    msat = figure * _SCALE[unit] * 1_000
    if of_fee:
        return lambda item, _: item.fee is not None and compare(item.fee, msat)
    return lambda item, _: compare(item.amount, msat)


def _is(value: str) -> tuple[dict[str, Any], Test]:
    asked = IS.get(value)
    if asked is None:
        raise ValueError(f"is: one of {', '.join(IS)}")
    members = asked.items()
    return dict(asked), lambda item, _: all(getattr(item, m) in words for m, words in members)


def _when(name: str, value: str, now: datetime) -> tuple[dict[str, Any], Test]:
    if ago := _AGO.fullmatch(value):
        then = now - timedelta(**{_SPANS[ago[2]]: int(ago[1])})
    elif day := _DAY.fullmatch(value):
        then = datetime(*map(int, day.groups()), tzinfo=now.tzinfo)  # type: ignore[misc,arg-type]
        then += timedelta(days=1, seconds=-1) if name == "until" else timedelta()
    else:
        raise ValueError(f"{name}: 7d, 12h, 2w or 2026-11-18")
    at = int(then.timestamp())
    if name == "since":
        return {name: at}, lambda item, _: item.at >= at
    return {name: at}, lambda item, _: item.at <= at


def _to(value: str) -> Test:
    def test(item: Item, names: Names) -> bool:
        ids = (item.destination, item.peer_id)
        return any(
            i and (value in name_of(i, names).casefold() or i.startswith(value)) for i in ids
        )

    return test


def _word(word: str, names: Names) -> tuple[dict[str, Any], Test]:
    def test(item: Item, known: Names) -> bool:
        said = (
            what(item, known),
            item.label,
            item.description,
            item.payment_hash,
            item.txid,
            item.destination,
            item.peer_id,
            item.failure,
            known.get(item.destination, ""),
            known.get(item.peer_id, ""),
        )
        return any(word in text.casefold() for text in said)

    named = word in _OURS or any(word in name.casefold() for name in names.values())
    return ({} if named else {"text": word}), test
