"""The chains by name, with everything that differs between them.

One core serves one chain; whatever is chain-specific comes from a `Chain` value carried by state.
Mainnet is known, so that its invoices and addresses can be named in an error, but locked:
`require_unlocked` refuses it in code.
"""

from dataclasses import dataclass
from typing import Final

from wallet.base.errors import Refused
from wallet.base.values.blocks import CltvDelta
from wallet.base.values.ids import ChainHash

_INVALID_PARAMS: Final = -32602


@dataclass(frozen=True, slots=True)
class Chain:
    """A Bitcoin network.

    `name` is Core Lightning's, `bip70_name` Bitcoin Core's (`getblockchaininfo`), `chain_hash` the
    genesis block in wire order (BOLT 0), `hrp` the bech32 prefix of addresses, `invoice_prefix`
    BOLT 11's prefix without `ln`, `coin_type` SLIP 44's for derivation paths, `to_self_delay` what
    we ask of a peer by default (BOLT 2), `min_depth` the confirmations we ask of a funding.
    `rpc_port` and `rpc_cookie` (below Core's data directory) say where a bitcoind usually is.
    """

    name: str
    bip70_name: str
    chain_hash: ChainHash
    hrp: str
    invoice_prefix: str
    p2pkh_version: int
    p2sh_version: int
    coin_type: int
    block_interval_seconds: int
    to_self_delay: CltvDelta
    min_depth: CltvDelta
    rpc_port: int
    rpc_cookie: str
    unlocked: bool

    def __str__(self) -> str:
        return self.name


def _genesis(display: str) -> ChainHash:
    return ChainHash(bytes.fromhex(display)[::-1])


REGTEST: Final = Chain(
    name="regtest",
    bip70_name="regtest",
    chain_hash=_genesis("0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206"),
    hrp="bcrt",
    invoice_prefix="bcrt",
    p2pkh_version=111,
    p2sh_version=196,
    coin_type=1,
    block_interval_seconds=600,
    to_self_delay=CltvDelta(6),
    min_depth=CltvDelta(1),
    rpc_port=18443,
    rpc_cookie="regtest/.cookie",
    unlocked=True,
)
SIGNET: Final = Chain(
    name="signet",
    bip70_name="signet",
    chain_hash=_genesis("00000008819873e925422c1ff0f99f7cc9bbb232af63a077a480a3633bee1ef6"),
    hrp="tb",
    invoice_prefix="tbs",
    p2pkh_version=111,
    p2sh_version=196,
    coin_type=1,
    block_interval_seconds=600,
    to_self_delay=CltvDelta(144),
    min_depth=CltvDelta(3),
    rpc_port=38332,
    rpc_cookie="signet/.cookie",
    unlocked=True,
)
TESTNET4: Final = Chain(
    name="testnet4",
    bip70_name="testnet4",
    chain_hash=_genesis("00000000da84f2bafbbc53dee25a72ae507ff4914b867c565be350b0da8bf043"),
    hrp="tb",
    invoice_prefix="tb",
    p2pkh_version=111,
    p2sh_version=196,
    coin_type=1,
    block_interval_seconds=600,
    to_self_delay=CltvDelta(144),
    min_depth=CltvDelta(3),
    rpc_port=48332,
    rpc_cookie="testnet4/.cookie",
    unlocked=True,
)
MAINNET: Final = Chain(
    name="bitcoin",
    bip70_name="main",
    chain_hash=_genesis("000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f"),
    hrp="bc",
    invoice_prefix="bc",
    p2pkh_version=0,
    p2sh_version=5,
    coin_type=0,
    block_interval_seconds=600,
    to_self_delay=CltvDelta(144),
    min_depth=CltvDelta(3),
    rpc_port=8332,
    rpc_cookie=".cookie",
    unlocked=False,
)

CHAINS: Final = (REGTEST, SIGNET, TESTNET4, MAINNET)


def chain_by_name(name: str) -> Chain:
    """The chain that Core Lightning calls `name`; raises `Refused` for a name nobody knows."""
    for chain in CHAINS:
        if chain.name == name:
            return chain
    known = ", ".join(chain.name for chain in CHAINS)
    raise Refused(
        f"no network is called {name[:40]!r}; the known ones are {known}", _INVALID_PARAMS
    )


def require_unlocked(chain: Chain) -> None:
    """Raise `Refused` unless this version may run on `chain`."""
    if not chain.unlocked:
        raise Refused(
            f"the network {chain.name} is locked: this version refuses real money in code; "
            "regtest, signet and testnet4 are open",
            _INVALID_PARAMS,
        )
