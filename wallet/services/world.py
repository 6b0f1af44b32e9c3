"""The clock and the dice of this machine, and dice with a seed for regtest."""

import os
import time

from wallet.base.bitcoin.chains import REGTEST
from wallet.base.crypto.hashes import sha256
from wallet.base.errors import Refused
from wallet.base.values.ids import ChainHash


class SystemClock:
    """The `Clock` port."""

    def now(self) -> float:
        """Unix time in seconds."""
        return time.time()  # noqa: TID251 - the one place that asks the machine


class SystemEntropy:
    """The `Entropy` port: the operating system's generator."""

    def draw(self) -> bytes:
        """32 bytes."""
        return os.urandom(32)


class SeededEntropy:
    """The same dice each time: for simulation, and therefore for no chain but regtest."""

    def __init__(self, seed: bytes, chain_hash: ChainHash) -> None:
        if chain_hash != REGTEST.chain_hash:
            raise Refused("seeded randomness gives every key away: it is for regtest only")
        self._seed = seed
        self._drawn = 0

    def draw(self) -> bytes:
        """32 bytes, the next of the sequence."""
        self._drawn += 1
        return sha256(self._seed + self._drawn.to_bytes(8, "big"))
