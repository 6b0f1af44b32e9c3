"""How one core is to run: what the command line and the network say."""

from dataclasses import dataclass
from pathlib import Path

from wallet.base.bitcoin.chains import Chain
from wallet.base.values.ids import NodeId
from wallet.machines.channel.opening_rules import Policy


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


def policy_for(chain: Chain) -> Policy:
    """What we ask of channels on this chain."""
    return Policy(
        chain_hash=chain.chain_hash,
        to_self_delay=chain.to_self_delay.blocks,
        minimum_depth=chain.min_depth.blocks,
    )
