"""RPC methods about the node itself: waiting for the chain, versions, help, the end."""

import asyncio
from collections.abc import Callable
from typing import Final

from wallet.services.regtest.context import Context, hash_of, script_of
from wallet.services.regtest.json_text import btc
from wallet.services.regtest.mempool import MIN_RELAY_FEE
from wallet.services.regtest.render import Json, shown
from wallet.services.regtest.rpc import METHODS, MISC_ERROR, RpcError, method

CORE_VERSION: Final = 319900
"""The version of the Core tree that the kernel was built from (31.99)."""
_LONGEST_MS: Final = 10**9


async def _until(context: Context, timeout_ms: int | None, done: Callable[[], object]) -> None:
    """Wait until `done()` or the time is over (0 or none: for ever) or the server stops."""
    if (timeout_ms or 0) < 0:
        raise RpcError(MISC_ERROR, "Negative timeout")
    try:
        async with asyncio.timeout(min(timeout_ms, _LONGEST_MS) / 1000 if timeout_ms else None):
            while not done() and not context.stop.is_set():
                await context.node.events.wait()
    except TimeoutError:
        return


def _tip(context: Context) -> Json:
    return {"hash": shown(context.node.chain.tip), "height": context.node.chain.height}


@method
async def waitfornewblock(
    context: Context, timeout: int | None = None, current_tip: str | None = None
) -> Json:
    """Wait for another tip (than current_tip, if given); milliseconds, 0 for no limit."""
    chain = context.node.chain
    start = chain.tip if current_tip is None else hash_of(current_tip, "current_tip")
    await _until(context, timeout, lambda: chain.tip != start)
    return _tip(context)


@method
async def waitforblock(context: Context, blockhash: str, timeout: int | None = None) -> Json:
    """Wait until a block is the tip."""
    wanted = hash_of(blockhash, "blockhash")
    await _until(context, timeout, lambda: context.node.chain.tip == wanted)
    return _tip(context)


@method
async def waitforblockheight(context: Context, height: int, timeout: int | None = None) -> Json:
    """Wait until the chain is at least this high."""
    await _until(context, timeout, lambda: context.node.chain.height >= height)
    return _tip(context)


@method
async def waitforevents(
    context: Context, since: int | None = None, timeout: int | None = None
) -> Json:
    """Ours: events from number `since` on (blocks and transactions), waiting for the first."""
    events = context.node.events
    start = since or 0
    await _until(context, timeout, lambda: events.since(start))
    return {
        "next": events.next,
        "events": [
            {"seq": e.seq, "kind": e.kind, "height": e.height, "name": e.name}
            for e in events.since(start)
        ],
    }


@method
def getnetworkinfo(context: Context) -> Json:
    """Version and relay settings; there is no network."""
    return {
        "version": CORE_VERSION,
        "subversion": "/libbitcoinkernel:31.99.0/Leyden:embedded/",
        "protocolversion": 70016,
        "localservices": "0000000000000009",
        "localservicesnames": ["NETWORK", "WITNESS"],
        "localrelay": True,
        "timeoffset": 0,
        "networkactive": False,
        "connections": 0,
        "connections_in": 0,
        "connections_out": 0,
        "networks": [],
        "relayfee": btc(context.node.mempool.min_relay_fee),
        "incrementalfee": btc(MIN_RELAY_FEE),
        "localaddresses": [],
        "warnings": [],
    }


@method
def getindexinfo(context: Context, index_name: str | None = None) -> Json:
    """The transaction index is always complete."""
    if index_name not in (None, "txindex"):
        return {}
    return {"txindex": {"synced": True, "best_block_height": context.node.chain.height}}


@method
def uptime(context: Context) -> int:
    """Seconds since the server started."""
    return context.node.now() - context.node.started


@method
def stop(context: Context) -> str:
    """Stop the server."""
    context.stop.set()
    context.node.events.ring()
    return "Leyden regtest stopping"


@method
def help(context: Context, command: str | None = None) -> str:  # noqa: A001 - Core's name
    """All methods, or one of them."""
    del context
    if command is None:
        return "\n".join(m.usage for m in sorted(METHODS.values(), key=lambda m: m.name))
    found = METHODS.get(command)
    if found is None:
        return f"help: unknown command: {command}"
    return f"{found.usage}\n\n{found.summary}"


@method
def validateaddress(context: Context, address: str) -> Json:
    """Whether an address is one of this chain."""
    del context
    try:
        script_pubkey = script_of(address)
    except RpcError as error:
        return {"isvalid": False, "error_locations": [], "error": error.message}
    return {"isvalid": True, "address": address, "scriptPubKey": script_pubkey.hex()}
