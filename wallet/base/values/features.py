"""Feature bits of BOLT 9: what a node, an invoice or a channel type asks for.

A feature owns two bits: the even one says "required", the odd one "offered".  It is named here by
its even bit and by the BOLT's word.  What we advertise is a table at the end of this page; we set
only what works.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Self

from wallet.base.errors import InvariantBroken, PeerFault, Severity


class Feature(IntEnum):
    """BOLT 9's table: the even bit of each feature. `ASSUMED` ones can never be missed."""

    OPTION_DATA_LOSS_PROTECT = 0
    OPTION_UPFRONT_SHUTDOWN_SCRIPT = 4
    GOSSIP_QUERIES = 6
    VAR_ONION_OPTIN = 8
    GOSSIP_QUERIES_EX = 10
    OPTION_STATIC_REMOTEKEY = 12
    PAYMENT_SECRET = 14
    BASIC_MPP = 16
    OPTION_SUPPORT_LARGE_CHANNEL = 18
    OPTION_ANCHORS = 22
    OPTION_ROUTE_BLINDING = 24
    OPTION_SHUTDOWN_ANYSEGWIT = 26
    OPTION_DUAL_FUND = 28
    OPTION_QUIESCE = 34
    OPTION_ATTRIBUTION_DATA = 36
    OPTION_ONION_MESSAGES = 38
    OPTION_PROVIDE_STORAGE = 42
    OPTION_CHANNEL_TYPE = 44
    OPTION_SCID_ALIAS = 46
    OPTION_PAYMENT_METADATA = 48
    OPTION_ZEROCONF = 50
    OPTION_SIMPLE_CLOSE = 60
    OPTION_SPLICE = 62

    @property
    def word(self) -> str:
        """The BOLT's name."""
        return self.name.lower()


DEPENDENCIES: Final[dict[Feature, tuple[Feature, ...]]] = {
    Feature.BASIC_MPP: (Feature.PAYMENT_SECRET,),
    Feature.OPTION_ZEROCONF: (Feature.OPTION_SCID_ALIAS,),
    Feature.OPTION_SIMPLE_CLOSE: (Feature.OPTION_SHUTDOWN_ANYSEGWIT,),
}
"""BOLT 9's column "Dependencies". None is transitive today; the check does not rely on that."""

ASSUMED: Final = frozenset(
    {
        Feature.OPTION_DATA_LOSS_PROTECT,
        Feature.VAR_ONION_OPTIN,
        Feature.OPTION_STATIC_REMOTEKEY,
        Feature.PAYMENT_SECRET,
        Feature.OPTION_CHANNEL_TYPE,
    }
)
"""BOLT 9 `ASSUMED`: every node has them, so their absence in a vector means nothing."""


def name_of(bit: int) -> str:
    """A bit for people: `basic_mpp (bit 17)`, or `feature bit 201` where BOLT 9 names none."""
    try:
        return f"{Feature(bit & ~1).word} (bit {bit})"
    except ValueError:
        return f"feature bit {bit}"


@dataclass(frozen=True, slots=True)
class Features:
    """A set of feature bits, known or not."""

    bits: frozenset[int] = frozenset()

    @classmethod
    def of(cls, *, required: Iterable[Feature] = (), optional: Iterable[Feature] = ()) -> Self:
        """A vector of our own.

        Raises `InvariantBroken` if a feature is both required and optional, or a dependency is
        missing (BOLT 9: MUST set all transitive feature dependencies).
        """
        even = {int(f) for f in required}
        odd = {int(f) for f in optional}
        if even & odd:
            raise InvariantBroken(f"both bits of {name_of(min(even & odd))}")
        made = cls(frozenset(even | {bit + 1 for bit in odd}))
        for feature, missing in made.missing_dependencies():
            raise InvariantBroken(f"{feature.word} without {missing.word}")
        return made

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Parse a feature field; bit 0 is the lowest bit of the last byte. Cannot fail."""
        return cls(
            frozenset(
                8 * place + shift
                for place, byte in enumerate(reversed(data))
                if byte
                for shift in range(8)
                if byte >> shift & 1
            )
        )

    def to_bytes(self) -> bytes:
        """The shortest field that holds the bits."""
        field = bytearray(max(self.bits, default=-1) // 8 + 1)
        for bit in self.bits:
            field[-1 - bit // 8] |= 1 << bit % 8
        return bytes(field)

    def __or__(self, other: "Features") -> "Features":
        if not isinstance(other, Features):
            return NotImplemented
        return Features(self.bits | other.bits)

    def supports(self, feature: Feature) -> bool:
        """Whether the feature is offered or required."""
        return feature in self.bits or feature + 1 in self.bits

    def requires(self, feature: Feature) -> bool:
        """Whether the even bit is set. BOLT 9: if both bits are set, it is required."""
        return feature in self.bits

    def required_bits(self) -> list[int]:
        """All even bits, known to BOLT 9 or not, ascending."""
        return sorted(bit for bit in self.bits if bit % 2 == 0)

    def unknown_required(self, known: "Features") -> list[int]:
        """Even bits whose feature `known` does not support: what must be refused."""
        return [
            bit
            for bit in self.required_bits()
            if bit not in ASSUMED and bit not in known.bits and bit + 1 not in known.bits
        ]

    def missing_dependencies(self) -> Iterator[tuple[Feature, Feature]]:
        """Pairs (feature that is set, dependency that is not)."""
        for feature, needed in DEPENDENCIES.items():
            if self.supports(feature):
                for dependency in needed:
                    if dependency not in ASSUMED and not self.supports(dependency):
                        yield feature, dependency

    def __str__(self) -> str:
        return ", ".join(name_of(bit) for bit in sorted(self.bits)) or "none"


def negotiate(ours: Features, theirs: Features) -> Features:
    """What holds on a connection, as even bits: ask it with `supports`.

    BOLT 1: a feature is negotiated if both offered it, or we offered it as even.  Raises
    `PeerFault` (DISCONNECT) with a reason that names the bits, when the peer requires what we do
    not support, lacks what we require, or leaves out a dependency.
    """
    if unknown := theirs.unknown_required(ours):
        names = ", ".join(map(name_of, unknown[:8]))
        raise PeerFault(Severity.DISCONNECT, f"the peer requires {names}, which we do not support")
    if lacking := ours.unknown_required(theirs):
        names = ", ".join(map(name_of, lacking[:8]))
        raise PeerFault(Severity.DISCONNECT, f"we require {names}, which the peer does not support")
    for feature, missing in theirs.missing_dependencies():
        reason = f"the peer sets {feature.word} without {missing.word}, on which it depends"
        raise PeerFault(Severity.DISCONNECT, reason)
    held = {f for f in Feature if ours.supports(f) and (ours.requires(f) or theirs.supports(f))}
    return Features(frozenset(map(int, held)))


# --- what we advertise --------------------------------------------------------------------------

# The assumed ones are set although BOLT 9 lets us leave them out: LDK drops a peer without them.
OUR_INIT: Final = Features.of(
    required=ASSUMED,
    optional=(
        Feature.OPTION_UPFRONT_SHUTDOWN_SCRIPT,
        Feature.GOSSIP_QUERIES,
        Feature.BASIC_MPP,
        Feature.OPTION_SUPPORT_LARGE_CHANNEL,
        Feature.OPTION_ANCHORS,
        Feature.OPTION_SHUTDOWN_ANYSEGWIT,
        Feature.OPTION_SCID_ALIAS,
        Feature.OPTION_ZEROCONF,
        Feature.OPTION_SIMPLE_CLOSE,
    ),
)
"""`init`: only what works."""

OUR_INVOICE: Final = Features.of(
    required=(Feature.VAR_ONION_OPTIN, Feature.PAYMENT_SECRET), optional=(Feature.BASIC_MPP,)
)
"""BOLT 11 field `9`: a payer must use the TLV onion and the payment secret, and may send parts."""

KEYSEND: Final = Features(frozenset({55}))
"""bLIP 3, not in BOLT 9: we take payments that nobody asked for."""

OUR_NODE: Final = OUR_INIT | OUR_INVOICE | KEYSEND
"""`node_announcement`: what a payer of ours may look for."""

CHANNEL_TYPE_ANCHORS: Final = Features.of(
    required=(Feature.OPTION_STATIC_REMOTEKEY, Feature.OPTION_ANCHORS)
)
"""BOLT 2 `channel_type` of anchors with zero-fee HTLC transactions (bits 22 and 12)."""
