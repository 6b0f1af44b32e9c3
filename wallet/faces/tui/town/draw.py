"""The control room as rows: map, nodes, what moves, blocks, and what a story says."""

from datetime import datetime
from typing import Final

from wallet.faces.tui.paint import (
    BAD,
    EMPTY,
    GOOD,
    KEY,
    QUIET,
    STRONG,
    WARN,
    Row,
    beside,
    ends,
    folded,
    row,
)
from wallet.faces.tui.pane import WIDE
from wallet.faces.tui.safe_text import left, right
from wallet.faces.tui.state import State
from wallet.faces.tui.town.facts import Move, Town, TownNode
from wallet.faces.tui.town.map import town_map
from wallet.faces.tui.town.watch import TownState
from wallet.faces.tui.words import moment

MAP_NARROW: Final = 47
ROOMY: Final = 70
"""Columns from which a move is shown with everything that is known of it."""
_SIGNS: Final = {
    "add": ("▸", "pays", ""),
    "fulfill": ("◂", "proof", GOOD),
    "fail": ("◂", "fails", BAD),
}


def sentence(text: str) -> Row:
    """One line of words."""
    return row(f"   {text}")


def room(seen: TownState, state: State, cells: int, height: int) -> list[Row]:
    """Everything."""
    if cells < WIDE:
        return _narrow(seen, state, cells, height)
    at = cells * 56 // 100
    first = [
        _head(seen, at - 2),
        EMPTY,
        *town_map(seen.town, seen.playback.on_the_map, at - 2),
        EMPTY,
        *_nodes(seen.town, state, at - 2),
        EMPTY,
        *_keys(),
        EMPTY,
        *_money(seen, at - 2),
    ]
    wide = cells - at - 2
    told = _told(seen, wide, 9)
    blocks = _blocks(seen, state, wide)
    flow = _flow(seen, state, wide, max(6, height - len(told) - len(blocks) - 2))
    return beside(first, [*flow, EMPTY, *blocks, EMPTY, *told], at, cells, height)


def _narrow(seen: TownState, state: State, cells: int, height: int) -> list[Row]:
    drawn = town_map(seen.town, seen.playback.on_the_map, MAP_NARROW)
    nodes = [row(("   node    paid  got", QUIET)), *(_short(n) for n in seen.town.nodes)]
    top = [_head(seen, cells), *beside(drawn, nodes, MAP_NARROW + 1, cells)]
    told = _told(seen, cells, 4)
    return [*top, *_flow(seen, state, cells, height - len(top) - len(told)), *told]


def _head(seen: TownState, cells: int) -> Row:
    town, playback = seen.town, seen.playback
    height = f"block {town.height:,}" if town.height is not None else "no chain"
    rate = f"{town.rate:g} payments/s" if town.rate else "no traffic"
    speed = "picture held" if playback.paused else f"shown ×{playback.speed:g}"
    trouble = (f"   ! {seen.trouble}", WARN) if seen.trouble else ("", "")
    return ends(
        row("  ", (height, STRONG), f"   {rate}", trouble), row((f"{speed} ", QUIET)), cells
    )


def _state(node: TownNode) -> tuple[str, str]:
    if node.fault:
        return f"✗ {node.fault}", BAD if node.fault == "down" else WARN
    return "✓", GOOD


def _short(node: TownNode) -> Row:
    paid, got = right(str(node.paid), 4), right(str(node.received), 4)
    return row(f"   {left(_name(node), 8)}{paid} {got}  ", _state(node))


def _name(node: TownNode) -> str:
    return f"{node.alias} *" if node.key == "you" else node.alias


def _nodes(town: Town, state: State, cells: int) -> list[Row]:
    rows = [row((_columns("Node", "paid", "got", "passed", "earned") + "  State", QUIET))]
    for node in town.nodes:
        counts = (str(n) for n in (node.paid, node.received, node.forwarded))
        columns = _columns(_name(node), *counts, state.money.bare(node.fees))
        rows.append(row(f"{columns}  ", _state(node)))
    return rows


def _columns(name: str, *figures: str) -> str:
    widths = (7, 7, 8, 10)
    return f"  {left(name, 9)}" + "".join(
        right(figure, wide) for figure, wide in zip(figures, widths, strict=True)
    )


def _keys() -> list[Row]:
    pairs = (
        (("i", "an invoice to pay"), ("b", "break or mend a node")),
        (("f", "coins from the faucet"), ("t", "traffic")),
        (("m M", "mine one, more"), ("S", "a story")),
    )
    return [
        row("  ", (left(a, 4), KEY), left(words, 26), (left(b, 4), KEY), others)
        for (a, words), (b, others) in pairs
    ]


def _money(seen: TownState, cells: int) -> list[Row]:
    money = seen.money
    if money is None:
        return [row(("  c  counts every coin of the chain: whose is it?", QUIET))]
    if not money.checked:
        return [row(("  … Not counted: ", WARN), (money.why, QUIET))]
    if money.ok:
        return [row(("  ✓ ", GOOD), f"{money.found_sat:,} sat, every one of them somebody's")]
    rows = [row(("  ✗ ", BAD), f"mined {money.mined_sat:,} sat, found {money.found_sat:,}")]
    return rows + [row(f"    {line}") for line in folded(money.why, cells - 4)]


def _flow(seen: TownState, state: State, cells: int, height: int) -> list[Row]:
    """Newest last, as a person reads what happened."""
    title = ends(row("  What moves"), row(("● on the map ", QUIET)), cells)
    told = seen.playback.told(max(0, height - 1))
    if not told:
        return [title, row(("  Nothing yet. i: buy something; t: let them pay each other", QUIET))]
    return [title, *(_move(move, seen.town, state, cells) for move in told)]


def _move(move: Move, town: Town, state: State, cells: int) -> Row:
    at = datetime.fromtimestamp(move.at, state.clock().tzinfo)
    sign, word, style = _SIGNS.get(move.kind, ("·", move.kind, ""))
    amount = state.money.bare(move.amount, up=True) if move.kind == "add" else ""
    # The payer stands at the left whichever way the message goes.
    payer, payee = move.source, move.target
    if move.kind != "add":
        payer, payee = payee, payer
    roomy = cells >= ROOMY
    clock = f"{at:%H:%M:%S}" if roomy else f"{at:%M:%S}"
    return row(
        (f"  {clock}.{at.microsecond // 10_000:02}  ", QUIET),
        left(town.alias(payer), 6),
        (f"{sign} ", style),
        left(town.alias(payee), 6),
        (left(word, 6), style),
        right(amount, 10),
        (f"  {move.payment_hash[:6]}", QUIET),
        (f"  #{move.htlc_id}  until block {move.expiry:,}" if roomy and amount else "", QUIET),
    )


def _blocks(seen: TownState, state: State, cells: int) -> list[Row]:
    rows = [row("  Blocks")]
    for block in seen.blocks[:4]:
        at = moment(block.at, state.clock())[-8:]
        words = folded("; ".join(block.words) or "only its reward", cells - 20, 2)
        rows.append(row((f"  {block.height:>6,}  ", STRONG), (f"{at}  ", QUIET), words[0]))
        rows += [row(f"{'':20}{line}") for line in words[1:]]
    return rows


_TOLD: Final = {"step": STRONG, "fault": BAD, "end": GOOD}


def _told(seen: TownState, cells: int, most: int) -> list[Row]:
    """The end of what a story has said so far."""
    rows: list[Row] = []
    for caption in seen.captions[-most:]:
        text = f"{caption.number}  {caption.text}" if caption.kind == "step" else caption.text
        style = _TOLD.get(caption.kind, "")
        rows += [row((f"  {line}", style)) for line in folded(text, cells - 3, 4)]
    if not rows:
        return []
    return [row((f"  The story {seen.town.telling}", QUIET)), *rows[-most:]]
