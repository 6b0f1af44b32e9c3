"""Who lives in the town, which channels they have, and what a town's directory holds."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

NETWORK: Final = "regtest"

ALIASES: Final = {
    "you": "alice",
    "bob": "bob",
    "carol": "carol",
    "dave": "dave",
    "erin": "erin",
    "lsp": "lsp",
}
"""The nodes by their directories' names, and what each calls itself."""


@dataclass(frozen=True, slots=True)
class Edge:
    """A channel that a fresh town opens; half of its money is pushed to the other side."""

    opener: str
    peer: str
    sat: int
    announced: bool = True
    trusted: bool = False
    """The other side takes it before it is confirmed: zero-conf, from a peer trusted by name."""


EDGES: Final = (
    Edge("you", "bob", 2_000_000),
    Edge("bob", "carol", 5_000_000),
    Edge("carol", "dave", 5_000_000),
    Edge("dave", "erin", 4_000_000),
    Edge("bob", "erin", 3_000_000),
    Edge("lsp", "carol", 6_000_000),
    Edge("lsp", "you", 2_000_000, announced=False, trusted=True),
)

ZERO_CONF_TYPE: Final = (12, 22, 46, 50)
"""BOLT 9: static_remotekey, anchors, scid_alias, zeroconf."""

SPARE_SAT: Final = 3_000_000
"""What every wallet has on the chain beside its channels."""

LOCK: Final = "town.lock"
STATE: Final = "town.json"
PIDS: Final = "town.pids"
LOG: Final = "town.log"
SOCKET: Final = "town-rpc"
CHAIN: Final = "chain"
NURSERY: Final = "nursery"
OLD_COPY: Final = "old-copy"
"""An earlier state of a node, while a story is told in which it cheats."""

PARTS: Final = frozenset(
    {STATE, PIDS, f"{STATE}.new", f"{PIDS}.new", LOG, SOCKET, CHAIN, OLD_COPY, *ALIASES}
    | {f"{name}.log" for name in (CHAIN, NURSERY, *ALIASES)}
)
"""Everything a town leaves behind but its lock, and so everything that starting anew may delete."""


def rpc_file(directory: Path, name: str) -> Path:
    """The socket of a node of the town in `directory`."""
    return directory / name / NETWORK / "lightning-rpc"


def wallet_exists(node_directory: Path) -> bool:
    """Whether a node has its keys already."""
    return (node_directory / NETWORK / "seed.json").exists()
