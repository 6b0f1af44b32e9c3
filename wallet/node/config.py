"""How one core is to run: what the command line and the network say."""

from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from wallet.base.bitcoin.chains import REGTEST, Chain
from wallet.base.values.features import OUR_NODE
from wallet.base.values.ids import NodeId
from wallet.machines.channel.opening_rules import Policy

_ALIAS_BYTES: Final = 32
_TYPES: Final = {4: 1, 6: 2}
"""BOLT 7 address descriptor types by IP version."""


@dataclass(frozen=True, slots=True)
class Config:
    """Everything a core needs to know before it starts.

    `chain_url` is `http://[user:pass@]host:port` of Core's JSON-RPC; `chain_cookie` its cookie
    file, if it is not named in the URL.
    """

    directory: Path
    chain: Chain
    chain_url: str
    chain_cookie: Path | None
    listen: str
    alias: str
    record: bool = False
    """Write a tape of every event (regtest only: it holds secrets)."""
    trust_zeroconf: frozenset[NodeId] = frozenset()
    """Peers that may open channels which are used before their funding is confirmed."""


@dataclass(frozen=True, slots=True)
class NodeCard:
    """What we say of ourselves in a `node_announcement` (BOLT 7)."""

    alias: bytes
    rgb_color: bytes
    features: bytes
    addresses: bytes = b""


def card_for(config: Config, node_id: NodeId) -> NodeCard:
    """Our card, without an address: where we listen is known later."""
    alias = config.alias.encode()[:_ALIAS_BYTES]
    # BOLT 7: a valid UTF-8 string; cutting it may have split a character.
    alias = alias.decode(errors="ignore").encode().ljust(_ALIAS_BYTES, b"\0")
    # Core Lightning's colour of a node that chose none, which `getinfo` shows.
    return NodeCard(alias, node_id[:3], OUR_NODE.to_bytes())


def address_descriptors(chain: Chain, host: str, port: int) -> bytes:
    """BOLT 7 `addresses` of a place where we listen; empty when nobody could reach us there."""
    try:
        address = ip_address(host)
    except ValueError:
        return b""
    # A town on one machine is reached by its loopback address; the world is not.
    reachable = address.is_global or (chain is REGTEST and not address.is_unspecified)
    if not reachable or not port:
        return b""
    return bytes([_TYPES[address.version]]) + address.packed + port.to_bytes(2, "big")


def policy_for(chain: Chain) -> Policy:
    """What we ask of channels on this chain."""
    return Policy(
        chain_hash=chain.chain_hash,
        to_self_delay=chain.to_self_delay.blocks,
        minimum_depth=chain.min_depth.blocks,
        keeps_reserve=chain is not REGTEST,
    )
