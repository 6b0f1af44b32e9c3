"""What a core lets out of the house, and how much of its database was on disk by then."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.power_cut import wal_of
from wallet.base.bitcoin.transaction import Transaction
from wallet.base.values.ids import NodeId
from wallet.base.wire.message import Message, decode
from wallet.node.api import Api


@dataclass
class Said:
    """What a core let out of the house, and how long its log was then."""

    synced: int
    word: Message | Transaction


@dataclass
class Ear:
    """Listens at one core's door."""

    api: Api
    said: list[Said] = field(default_factory=list)

    @property
    def database(self) -> Path:
        """Of the core."""
        return self.api.place.database

    def listen(self, patch: pytest.MonkeyPatch) -> None:
        """From now on."""
        core = self.api.core
        send, broadcast = core.transport.send, core.chain.broadcast
        broadcast_package = core.chain.broadcast_package

        def heard_send(node_id: NodeId, data: bytes) -> bool:
            message = decode(data)
            assert isinstance(message, Message)
            self._note(message)
            return send(node_id, data)

        async def heard_broadcast(tx: Transaction) -> object:
            self._note(tx)
            return await broadcast(tx)

        async def heard_package(transactions: Sequence[Transaction]) -> object:
            for tx in transactions:
                self._note(tx)
            return await broadcast_package(transactions)

        patch.setattr(core.transport, "send", heard_send)
        patch.setattr(core.chain, "broadcast", heard_broadcast)
        patch.setattr(core.chain, "broadcast_package", heard_package)

    def _note(self, word: Message | Transaction) -> None:
        # The kernel acts before its next commit begins, so the file's length is what was synced.
        self.said.append(Said(wal_of(self.database).stat().st_size, word))

    def keep(self, into: Path) -> Path:
        """A copy of the database and its log, which closing it would empty; where it is."""
        there = into / f"kept {self.api.config.alias}"
        there.mkdir()
        for file in (self.database, wal_of(self.database)):
            shutil.copy(file, there)
        return there / self.database.name
