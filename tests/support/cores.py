"""Two whole cores in this process, over real sockets, and a chain to stand on."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support import faucet
from tests.support.chain_server import ChainServer
from wallet.base.bitcoin.address import encode_address
from wallet.base.bitcoin.chains import REGTEST
from wallet.base.invoices.bolt11 import decode_invoice
from wallet.base.values.amounts import MilliSatoshi, Satoshi
from wallet.machines.channel.state import Channel, Link, Phase
from wallet.machines.payments.incoming import InvoiceRequest
from wallet.machines.payments.records import Payment
from wallet.machines.payments.requests import PayRequest
from wallet.node.api import Api
from wallet.node.config import Config
from wallet.node.setup import create_wallet
from wallet.services.directory import DataDirectory

SECONDS = 60.0


async def until(ask: Callable[[], bool], what: str) -> None:
    """Look every few milliseconds; an AssertionError says what never came."""
    try:
        async with asyncio.timeout(SECONDS):
            while not ask():
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"waited {SECONDS:.0f} s for {what}") from None


@dataclass
class Cores:
    """Alice, Bob and their chain."""

    chain: ChainServer
    alice: Api
    bob: Api

    async def mine(self, count: int = 1, address: str = faucet.ADDRESS) -> None:
        """Blocks that both cores have absorbed when this returns."""
        await asyncio.to_thread(self.chain.call, "generatetoaddress", count, address)
        height = await asyncio.to_thread(self.chain.call, "getblockcount")
        for api in (self.alice, self.bob):
            await until(lambda a=api: height_of(a) == height, "the blocks")  # type: ignore[misc]

    async def connect(self) -> None:
        """Alice dials Bob, and both know of it."""
        host, _, port = self.bob.listening.rpartition(":")
        await self.alice.connect(self.bob.node_id, host, int(port))
        peers = self.bob.core.kernel.board.memory.peers
        await until(lambda: self.alice.node_id in peers, "bob to know of the link")

    async def open(self, push: int = 300_000_000) -> Channel:
        """A channel of 1,000,000 sat from Alice, ready on both sides."""
        await self.alice.open_channel(
            self.bob.node_id, Satoshi(1_000_000), MilliSatoshi(push), None, announce=False
        )
        await self.mine()
        await until(lambda: ready(self.alice) and ready(self.bob), "the channel")
        return channel_of(self.alice)

    async def pay(self, payer: Api, payee: Api, amount_msat: int, label: str) -> Payment:
        """An invoice made and paid."""
        request = InvoiceRequest(label=label, amount=MilliSatoshi(amount_msat), description=label)
        invoice = await payee.create_invoice(request, None)
        asked = PayRequest(
            invoice=decode_invoice(invoice.bolt11, REGTEST),
            bolt11=invoice.bolt11,
            max_fee=MilliSatoshi(0),
        )
        return (await payer.pay(asked, SECONDS)).payment


def height_of(api: Api) -> int:
    """The block that a core stands on."""
    return api.core.kernel.board.memory.height.height


def channel_of(api: Api) -> Channel:
    """A core's newest channel."""
    return list(api.core.kernel.board.memory.channels.values())[-1]


def ready(api: Api) -> bool:
    """Whether its newest channel can pay."""
    channel = channel_of(api)
    return channel.phase is Phase.READY and channel.link is Link.LIVE


async def start(directory: Path, chain: ChainServer, *, record: bool = False) -> Api:
    """A core on a directory, made if there is none yet."""
    place = DataDirectory(directory, REGTEST.name)
    if not place.seed_file.exists():
        create_wallet(directory, REGTEST.name, password=None, now=0)
    config = Config(
        directory, REGTEST, chain.url, chain.cookie, "127.0.0.1:0", directory.name, record
    )
    api = Api(config, place)
    await api.unlock(None)
    return api


@asynccontextmanager
async def two_cores(home: Path, *, record: bool = False) -> AsyncIterator[Cores]:
    """Alice has 50 BTC on chain and a link to Bob."""
    with ChainServer(home / "chain") as chain:
        alice = await start(home / "alice", chain, record=record)
        bob = await start(home / "bob", chain, record=record)
        cores = Cores(chain, alice, bob)
        try:
            await cores.mine(1, encode_address(await alice.new_address(84), REGTEST))
            await cores.mine(100)
            await cores.connect()
            yield cores
        finally:
            await cores.alice.close()
            await cores.bob.close()
