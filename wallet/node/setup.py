"""Making and restoring a wallet on disk: what `leyden init` does, before any core runs.

A wallet exists once its seed file does; that file is written last, under the directory's lock, so
an interrupted or refused `init` leaves nothing that a second one would trip over.
"""

import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from wallet.base.bitcoin.chains import chain_by_name, require_unlocked
from wallet.base.crypto.mnemonic import entropy_of
from wallet.base.errors import DecodeError, Refused
from wallet.base.values.ids import NodeId
from wallet.services.directory import DataDirectory
from wallet.services.vault.seed_file import (
    DEFAULT_COST,
    Recovery,
    ScryptCost,
    already_there,
    create_seed_file,
)
from wallet.services.vault.signer import LocalSigner

ENTROPY_BYTES: Final = {12: 16, 24: 32}
"""BIP 39: entropy of a new phrase by its number of words."""

INVALID_PARAMS: Final = -32602
UNKNOWN_BIRTHDAY: Final = 0


@dataclass(frozen=True, slots=True)
class MadeWallet:
    """What a person is told about a wallet that now exists."""

    words: tuple[str, ...] = field(repr=False)
    node_id: NodeId
    network: str
    directory: Path


def check_new_wallet(directory: Path, network: str) -> None:
    """Raise `Refused` if a wallet cannot be made here, before a person is asked for anything."""
    chain = chain_by_name(network)
    require_unlocked(chain)
    place = DataDirectory(directory, chain.name)
    place.prepare()
    if place.seed_file.exists():
        raise already_there(place.seed_file)


def create_wallet(
    directory: Path,
    network: str,
    *,
    password: str | None,
    now: int,
    words: int = 24,
    cost: ScryptCost = DEFAULT_COST,
) -> MadeWallet:
    """Make a wallet with a new phrase of 12 or 24 words; `now` (Unix seconds) is its birthday.

    `password` None stores it unencrypted.  Raises `Refused` (existing wallet, locked network,
    place not writable) and `ServiceFault` (disk).
    """
    if words not in ENTROPY_BYTES:
        raise Refused(f"a new phrase has 12 or 24 words, not {words}", INVALID_PARAMS)
    recovery = Recovery(secrets.token_bytes(ENTROPY_BYTES[words]))
    return _make(directory, network, recovery, password=password, birthday=now, cost=cost)


def restore_wallet(
    directory: Path,
    network: str,
    phrase: str,
    *,
    password: str | None,
    birthday: int = UNKNOWN_BIRTHDAY,
    cost: ScryptCost = DEFAULT_COST,
) -> MadeWallet:
    """Make a wallet from a written-down phrase; before `birthday` (Unix seconds) it had no money.

    Raises as `create_wallet`, and `Refused` with the word or the checksum that is wrong.
    """
    try:
        recovery = Recovery(entropy_of(phrase))
    except DecodeError as error:
        raise Refused(str(error), INVALID_PARAMS) from None
    return _make(directory, network, recovery, password=password, birthday=birthday, cost=cost)


def _make(
    directory: Path,
    network: str,
    recovery: Recovery,
    *,
    password: str | None,
    birthday: int,
    cost: ScryptCost,
) -> MadeWallet:
    chain = chain_by_name(network)
    require_unlocked(chain)
    if password == "":
        raise Refused("the password is empty; give one, or ask for no encryption", INVALID_PARAMS)
    place = DataDirectory(directory, chain.name)
    place.prepare()
    with place.lock():
        create_seed_file(
            place.seed_file,
            recovery,
            network=chain.name,
            birthday=birthday,
            password=password,
            cost=cost,
        )
    signer = LocalSigner(recovery.seed(), chain)
    return MadeWallet(recovery.words(), signer.node_id, chain.name, directory)
