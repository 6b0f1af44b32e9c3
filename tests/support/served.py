"""A running RPC server over the fake methods."""

import asyncio
from pathlib import Path

from tests.support.fake_methods import FakeApi, fake_table
from wallet.faces.rpc.server import RpcServer


class Served:
    """The server, its fake api, and what a test may turn."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.api = FakeApi()
        self.stop = asyncio.Event()
        self.locked = False
        self.server = RpcServer(fake_table(self.stop), self.api, lambda: self.locked)

    async def until_called(self, count: int = 1) -> None:
        """Until so many held methods have begun."""
        async with asyncio.timeout(30):
            while len(self.api.calls) < count:
                await asyncio.sleep(0.01)
