"""The wallet on chain: addresses and funds."""

from wallet.base.bitcoin.address import encode_address
from wallet.faces.rpc import shapes
from wallet.faces.rpc.params import Args
from wallet.faces.rpc.signatures import ListFunds, NewAddr
from wallet.faces.rpc.table import Answer
from wallet.machines.channel.state import Phase
from wallet.machines.coins.wallet import P2TR, P2WPKH, CoinStatus, known_coins, status
from wallet.node.api import Api


async def newaddr(api: Api, args: Args) -> Answer:
    """A fresh address of each kind that was asked for; both when none was named."""
    wanted = args.get_or(NewAddr.ADDRESSTYPE, "all")
    kinds = {"bech32": P2WPKH, "p2tr": P2TR}
    return {
        kind: encode_address(await api.new_address(purpose), api.chain)
        for kind, purpose in kinds.items()
        if wanted in (kind, "all")
    }


async def listfunds(api: Api, args: Args) -> Answer:
    """Our coins on chain and our share of channels."""
    memory = await api.memory()
    height = memory.height.height
    coins = [(coin, status(memory.wallet, coin, height)) for coin in known_coins(memory.wallet)]
    with_spent = args.get_or(ListFunds.SPENT, False)
    return {
        "outputs": [
            shapes.output(coin, word, api.chain, height)
            for coin, word in coins
            if word is not CoinStatus.SPENT or with_spent
        ],
        "channels": [
            shapes.channel_funds(c, connected=c.terms.peer in memory.peers)
            for c in memory.channels.values()
            if c.phase is not Phase.CLOSED
        ],
    }
