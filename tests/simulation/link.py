"""A wire between two houses, and what is under way on it."""

from collections import deque
from dataclasses import dataclass, field

from tests.simulation.house import House
from wallet.base.wire.message import LAYOUTS


@dataclass
class Link:
    """A pair that may be linked, and what is under way between the two."""

    one: House
    other: House
    up: bool = False
    wire: dict[str, deque[bytes]] = field(default_factory=dict)
    """Messages on their way, by the name of who said them."""
    silent: set[str] = field(default_factory=set)
    """Whose words do not arrive for now."""

    def __post_init__(self) -> None:
        self.wire = {self.one.name: deque(), self.other.name: deque()}

    @property
    def ends(self) -> tuple[House, House]:
        """Both."""
        return self.one, self.other

    def beyond(self, house: House) -> House:
        """The peer."""
        return self.other if house is self.one else self.one

    def __str__(self) -> str:
        return f"{self.one.name}-{self.other.name}"


def name_of(data: bytes) -> str:
    """The BOLTs' word for a message."""
    layout = LAYOUTS.get(int.from_bytes(data[:2], "big"))
    return layout.cls.name if layout is not None else "?"
