"""The on-chain wallet: which outputs are ours, which to spend.

node/switchboard enters.
Never here: keys, broadcasts.
Read first: wallet.py, selection.py.
"""

from wallet.machines.coins.blocks import connect_block, disconnect_block
from wallet.machines.coins.building import Built, build
from wallet.machines.coins.bumping import Bumped, afforded, bump_commitment, bump_htlc, outbids
from wallet.machines.coins.selection import (
    EMERGENCY_RESERVE,
    Selection,
    input_weight,
    reserve_for,
    select,
    select_all,
)
from wallet.machines.coins.spending import forget, release, reserve, spent, unconfirmed
from wallet.machines.coins.wallet import (
    COINBASE_MATURITY,
    GAP,
    P2TR,
    P2WPKH,
    Address,
    Balance,
    Branch,
    Changes,
    Coin,
    CoinStatus,
    Sent,
    Wallet,
    balance,
    change_script,
    difference,
    known_coins,
    new_address,
    restored,
    spendable,
    status,
    wanted,
    with_address,
    with_addresses,
)

__all__ = [
    "COINBASE_MATURITY",
    "EMERGENCY_RESERVE",
    "GAP",
    "P2TR",
    "P2WPKH",
    "Address",
    "Balance",
    "Branch",
    "Built",
    "Bumped",
    "Changes",
    "Coin",
    "CoinStatus",
    "Selection",
    "Sent",
    "Wallet",
    "afforded",
    "balance",
    "build",
    "bump_commitment",
    "bump_htlc",
    "change_script",
    "connect_block",
    "difference",
    "disconnect_block",
    "forget",
    "input_weight",
    "known_coins",
    "new_address",
    "outbids",
    "release",
    "reserve",
    "reserve_for",
    "restored",
    "select",
    "select_all",
    "spendable",
    "spent",
    "status",
    "unconfirmed",
    "wanted",
    "with_address",
    "with_addresses",
]
