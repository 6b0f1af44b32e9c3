"""Home: can I pay, can I be paid, does anything need me?"""

from typing import ClassVar

from textual.binding import Binding

from wallet.faces.tui import starting
from wallet.faces.tui.copying import Thing
from wallet.faces.tui.deadlines import at_stake, nearest, presses, returns, waits
from wallet.faces.tui.facts import ChannelFacts, Facts, Item
from wallet.faces.tui.keys import OWN
from wallet.faces.tui.paint import (
    EMPTY,
    GOOD,
    KEY,
    PLAIN,
    QUIET,
    STRONG,
    WARN,
    Row,
    Span,
    bar,
    beside,
    ends,
    folded,
    row,
)
from wallet.faces.tui.pane import WIDE, Pane
from wallet.faces.tui.safe_text import left, right
from wallet.faces.tui.state import State
from wallet.faces.tui.words import brief, name_of, sign, state, status, what, when


class Home(Pane):
    """The first tab."""

    HINTS = "s send  r receive  o open channel  u unit  . hide  : palette  ? help  q quit"
    BINDINGS: ClassVar = [
        *(key.binding for key in OWN["home"]),
        Binding("escape", "look_around", show=False),
    ]

    def action_look_around(self) -> None:
        """Not wait for the chain."""
        self.state.caught_up = True
        self.refresh()

    async def main_thing(self) -> Thing | None:
        node_id = self.state.facts.node.node_id
        return Thing("Node id", node_id) if node_id else None

    def rows(self, cells: int, height: int) -> list[Row]:
        shown = self.state
        if shown.rising is not None:
            return starting.rows(shown.rising, cells)
        if not shown.told or shown.facts.node.locked:
            return _waiting(shown)
        if shown.facts.node.warning and not shown.caught_up:
            return starting.catching_up(shown.facts, cells)
        if cells < WIDE:
            return [EMPTY, *_left(shown, cells - 3, height - 1)]
        at = 70 * cells // 120
        first = [EMPTY, *_left(shown, at - 2, height - 1)]
        return beside(first, [EMPTY, *_right(shown, cells - at - 2)], at, cells, height)


def _waiting(state: State) -> list[Row]:
    if state.facts.node.locked:
        return [
            EMPTY,
            row(("  ! The wallet is locked", WARN)),
            EMPTY,
            row("  Your money is where it was. What it is, the node knows once it is opened."),
            row("  ", ("U", KEY), " opens it with its password."),
        ]
    if not state.trouble:
        return []
    return [
        EMPTY,
        row(("  ! The node does not answer", WARN)),
        EMPTY,
        row("  Your money is where it was. Start the node in another terminal:"),
        row(("      leyden daemon", STRONG)),
        row("  This screen goes on by itself once it is there."),
    ]


def _left(state: State, cells: int, height: int) -> list[Row]:
    facts, money = state.facts, state.money
    can_send, can_receive = facts.can_send, facts.can_receive
    unconfirmed = (
        f"+{money.bare(facts.unconfirmed)} unconfirmed" if facts.unconfirmed else "confirmed"
    )
    heads = ("Can send now", "Can receive now", "On-chain")
    amounts = (can_send, can_receive, facts.on_chain)
    small = (money.other(can_send), "receive limit", unconfirmed)
    rows = [
        row("  ", (_three(heads, cells), QUIET)),
        row("  ", (_three([money.shown(a) for a in amounts], cells), STRONG)),
        row("  ", (_three(small, cells), QUIET)),
        EMPTY,
        *_whole_bar(facts, state, cells),
        EMPTY,
    ]
    attention = _attention(state)
    if attention:
        rows += [row("  ", (f"Needs attention ({len(attention)})", WARN))]
        rows += [*_marked(("! ", WARN), attention, cells), EMPTY]
    on_chain = _on_chain(state)
    if on_chain:
        rows += [row(f"  On the chain ({len(on_chain)})")]
        rows += [*_marked(("… ", PLAIN), on_chain, cells), EMPTY]
    rows.append(ends(row("  Recent"), row(("2", KEY), "  all activity"), cells))
    recent = [_recent(item, state, cells) for item in facts.recent[: max(0, height - len(rows))]]
    return rows + (recent or [row("  ", ("No payments yet. r receive, s send", QUIET))])


def _three(words: tuple[str, ...] | list[str], cells: int) -> str:
    each = (cells - 2) // 3
    return "".join(left(word, each - 1) + " " for word in words)


def _whole_bar(facts: Facts, state: State, cells: int) -> list[Row]:
    usable = [c for c in facts.channels if c.usable]
    if not usable:
        command = "" if facts.on_chain or facts.unconfirmed else state.mining
        lines = starting.first_coins(command, cells - 3)
        none = ("No channel yet: open one to send and to receive.", QUIET)
        return [row("  ", none), *(row("  ", *line) for line in lines)]
    ours = sum(c.still for c in usable)
    moving, theirs = facts.in_flight, sum(c.theirs for c in usable)
    whole = max(1, ours + moving + theirs)
    money = state.money
    legend = f"█ yours  ▒ in flight {money.bare(moving)}  ░ theirs"
    return [
        row("  ", (bar(max(10, cells - 14), ours, moving, theirs), GOOD),
            f"  {100 * ours // whole} % yours"),
        ends(row("  ", (legend, QUIET)),
             row((f"{money.bare(facts.reserve)} is reserve", QUIET)), cells),
    ]  # fmt: skip


def _marked(mark: Span, sentences: list[str], cells: int) -> list[Row]:
    return [
        row("  ", "  " if number else mark, line)
        for said in sentences
        for number, line in enumerate(folded(said, cells - 4))
    ]


def _gone(state: State) -> list[str]:
    """Of a core that was there: what is known of it, where the money is, what to do."""
    if not state.trouble:
        return []
    way = "R starts it here" if state.start else "Start it where it ran, or with leyden daemon"
    return [
        f"The node has gone: {state.trouble}. What is shown is what it said last.",
        f"Your money is where it was. What is under way waits, but not beyond its deadline. {way}.",
    ]


def _attention(state: State) -> list[str]:
    facts = state.facts
    found = _gone(state)
    for channel in facts.channels:
        name = brief(channel.peer_id, state.names)
        if channel.usable and not channel.connected:
            inside = f"; {channel.moving} payment(s) inside wait" if channel.moving else ""
            found.append(f"{name} is offline{inside}")
        elif "Frozen" in channel.status or "Failed" in channel.status:
            found.append(f"{name}: {channel.status}")
        if pressing := presses(channel, facts.node.height, state.money):
            found.append(f"{name} {pressing}")
    if not facts.channels and facts.on_chain:
        found.append("You have coins but no channel: o opens one")
    return found


def _on_chain(state: State) -> list[str]:
    """What each channel that ended waits for, the next of it."""
    found = []
    for channel in state.facts.channels:
        docket = state.facts.dockets.get(channel.channel_id, ())
        line = nearest(docket)
        if line is not None:
            words = waits(line, state.facts.node.height, state.money, short=True)
            count = at_stake(docket)
            of = f", 1 of {count}" if count > 1 else ""
            found.append(f"{brief(channel.peer_id, state.names)}{of}: {words}")
    return found


def _recent(item: Item, state: State, cells: int) -> Row:
    word, style = status(item)
    amount = state.money.signed(item.amount, sign(item))
    fee = f"fee {state.money.bare(item.fee, up=True)}" if item.fee else ""
    room = max(8, cells - 2 - 8 - 13 - 2 - 14 - 9)
    return row(
        f"  {left(when(item.at, state.clock()), 8)}{right(amount, 13)}  ",
        left(what(item, state.names), room - 1) + " ",
        (left(word, 14), style),
        (right(fee, 9), QUIET),
    )


def _in_flight(state: State) -> list[Row]:
    """Payments on their way, and when each ends at the latest."""
    facts, money = state.facts, state.money
    moving = [i for i in facts.recent if i.status == "pending" and i.kind == "payment"]
    rows = [EMPTY, row(f"In flight ({len(moving)})")]
    sent = [one for c in facts.channels for one in c.inside if one.outgoing]
    for item in moving[:3]:
        parts = [one for one in sent if one.payment_hash == item.payment_hash != ""]
        last = max(parts, key=lambda one: one.expiry or 0, default=None)
        words = (
            returns(last, facts.node.height, short=True)
            if last
            else "arrives, or comes back by itself"
        )
        rows.append(row(f"  {money.signed(item.amount, '-')} {what(item, state.names)}"))
        rows.append(row((f"  {words}", QUIET)))
    return rows


def _right(state: State, cells: int) -> list[Row]:
    facts = state.facts
    rows = [ends(row("Channels"), row(("3", KEY), "  all"), cells)]
    rows += [_channel(channel, state, cells) for channel in facts.channels[:8]] or [
        row(("none yet", QUIET))
    ]
    rows += _in_flight(state)
    online = len({c.peer_id for c in facts.channels if c.connected})
    rows += [
        EMPTY,
        row("Network"),
        row(f"  chain     block {facts.node.height:,}, {facts.node.warning or 'synced'}"),
        row(f"  peers     {online} of {len({c.peer_id for c in facts.channels})} connected"),
        EMPTY,
        row("Quick actions"),
        row("  ", ("s", KEY), " send           paste anything payable"),
        row("  ", ("r", KEY), " receive        an invoice, or an address"),
        row("  ", ("o", KEY), " open channel   from coins on chain"),
    ]
    return rows


def _channel(channel: ChannelFacts, state_: State, cells: int) -> Row:
    word, style = state(channel)
    whole = max(1, channel.capacity)
    share = f"{100 * channel.still // whole:3} %" if channel.usable else "     "
    drawn = (
        bar(20, channel.still, channel.sent_on + channel.coming, channel.theirs)
        if channel.usable
        else bar(20, 0, 0, 0)
    )
    return row(
        left(name_of(channel.peer_id, state_.names), 11) + " ",
        (drawn, GOOD),
        f" {share} ",
        (word, style),
    )
