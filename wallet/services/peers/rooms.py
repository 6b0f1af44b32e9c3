"""Places for connections that others made to us. Pure: no socket and no clock.

Rule 1: a newcomer always gets a place, and somebody leaves for it.  Were it the newcomer that is
refused, whoever fills the room first would keep everybody out, at no cost, for ever.
Rule 2: who leaves is the oldest of the newcomer's own address when that has its share already,
else the oldest of the address that holds most: a flood from one address ends only its own.
"""

import ipaddress
from collections.abc import Callable, Iterator

IPV6_HOME = 64
"""Bits of an IPv6 address that one subscriber is given; it may choose the others freely."""


def neighbourhood(host: str) -> str:
    """What counts as one address: an IPv4 address, or an IPv6 network of 64 bits."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((int(address), IPV6_HOME), strict=False))
    return str(address)


class Place:
    """One connection in a room; `leave` may be called more than once."""

    __slots__ = ("_room", "address", "evict", "stays")

    def __init__(
        self,
        room: "Room",
        address: str,
        evict: Callable[[], None],
        stays: Callable[[], bool],
    ) -> None:
        self._room = room
        self.address = address
        self.evict = evict
        self.stays = stays

    def leave(self) -> None:
        """Free the place."""
        self._room.remove(self)


class Room:
    """At most `most` connections, at most `share` of them from one address."""

    def __init__(self, most: int, share: int) -> None:
        self._most = most
        self._share = share
        self._by_address: dict[str, dict[Place, None]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._by_address.values()))

    def __iter__(self) -> Iterator[Place]:
        return (place for places in self._by_address.values() for place in places)

    def enter(
        self,
        address: str,
        evict: Callable[[], None],
        stays: Callable[[], bool] = lambda: False,
    ) -> Place:
        """A place; `evict` is called if it is needed for another.

        Who `stays` (asked only when a place is needed) gives up counting and is never evicted.
        """
        own = self._by_address.get(address, {})
        if len(own) >= self._share or len(self) >= self._most:
            for place in [p for p in self if p.stays()]:
                place.leave()
        own = self._by_address.get(address, {})
        if len(own) >= self._share:
            self._turn_out(own)
        elif len(self) >= self._most:
            self._turn_out(max(self._by_address.values(), key=len))
        place = Place(self, address, evict, stays)
        self._by_address.setdefault(address, {})[place] = None
        return place

    def remove(self, place: Place) -> None:
        """Forget a place; nothing happens if it is gone already."""
        places = self._by_address.get(place.address, {})
        places.pop(place, None)
        if not places:
            self._by_address.pop(place.address, None)

    def _turn_out(self, places: dict[Place, None]) -> None:
        oldest = next(iter(places))
        self.remove(oldest)
        oldest.evict()
