"""What all screens share: the facts told last, how amounts are shown, what the notice row says."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from wallet.faces.rpc.client import ConnectionLost
from wallet.faces.tui.facts import Facts
from wallet.faces.tui.journal import Journal
from wallet.faces.tui.link import Link
from wallet.faces.tui.paint import BAD, GOOD, PLAIN, QUIET, WARN, Span
from wallet.faces.tui.starting import Rising
from wallet.faces.tui.units import Money


@dataclass(slots=True)
class State:
    """Changed by the app only; screens read it whenever they draw."""

    clock: Callable[[], datetime]
    facts: Facts = field(default_factory=Facts)
    names: dict[str, str] = field(default_factory=dict)
    """What nodes call themselves, by id; safe."""
    money: Money = field(default_factory=Money)
    journal: Journal = field(default_factory=Journal)
    """What happened since the app was opened, and before as far as it was asked for."""
    link: Link | None = None
    rising: Rising | None = None
    """What is being started, as long as there is no core to ask."""
    start: Callable[[], Rising] | None = None
    """Starts the core when it has gone; None where that is not ours to do."""
    mining: str = ""
    """The command that mines for this wallet; empty where its chain is not ours to mine."""
    told: bool = False
    """Whether the core has been heard at all."""
    caught_up: bool = False
    """Whether the core has once read the chain to its end, or the person does not wait for it."""
    trouble: str = ""
    """Why the core is not heard now."""
    notice: Span = ("", PLAIN)
    paid: dict[str, int] = field(default_factory=dict)
    """Invoices paid since the app was opened: millisatoshi by label."""
    made: int = 0
    """Invoices made by this app."""
    errands: int = 0
    """What the node was asked to do and has not answered yet, beside payments."""

    @property
    def connected(self) -> Link:
        """The connection; raises `ConnectionLost` when there is none."""
        if self.link is None:
            raise ConnectionLost("not connected to the node")
        return self.link

    def can(self, *methods: str) -> bool:
        """Whether the core knows all of these; True while nobody is connected."""
        return self.link is None or self.link.can(*methods)

    def allows(self, *methods: str) -> bool:
        """As `can`; when it cannot, the notice row says what is missing."""
        missing = [m for m in methods if not self.can(m)]
        if missing:
            self.say(f"! This node cannot do that: it has no {' and no '.join(missing)}", WARN)
        return not missing

    def say(self, sentence: str, style: str = GOOD) -> None:
        """Put a sentence on the notice row."""
        self.notice = (sentence, style)

    @property
    def _gone(self) -> str:
        way = "R starts it here" if self.start else "1 Home says what to do"
        return f"The node has gone. Your money is where it was; {way}"

    @property
    def notice_row(self) -> Span:
        """Trouble first, then what was said last."""
        if self.rising is not None:
            return ("! It did not start", BAD) if self.rising.fault else ("… starting", QUIET)
        if self.trouble:
            return f"! {self._gone if self.told else self.trouble}", WARN
        if self.facts.node.locked:
            return "! Locked: the node does nothing until it is opened. U unlocks it", WARN
        if self.facts.node.warning:
            return f"! {self.facts.node.warning}", WARN
        if not self.told:
            return "… connecting to the node", QUIET
        return self.notice
