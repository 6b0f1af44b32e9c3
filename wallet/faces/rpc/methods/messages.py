"""Links and words: disconnect, ping, signed messages, and how this node is set up."""

from typing import Final

from wallet.base.crypto.signed_message import signer_of
from wallet.base.errors import DecodeError, Refused
from wallet.base.values.ids import NodeId
from wallet.faces.rpc.errors import Code
from wallet.faces.rpc.more_signatures import (
    CheckMessage,
    Disconnect,
    ListConfigs,
    Ping,
    SignMessage,
)
from wallet.faces.rpc.params import Args
from wallet.faces.rpc.table import Answer
from wallet.machines.coins import EMERGENCY_RESERVE
from wallet.node import errands
from wallet.node.api import Api
from wallet.node.memory import Memory

PING_BYTES: Final = 128
LONGEST_MESSAGE: Final = 65_535
"""Core Lightning's limits."""


async def disconnect(api: Api, args: Args) -> Answer:
    """End a link; with a channel that lives only by `force` (and then we dial again)."""
    await errands.disconnect(api, args[Disconnect.ID], force=args.get_or(Disconnect.FORCE, False))
    return {}


async def ping(api: Api, args: Args) -> Answer:
    """Whether a peer is there: `totlen` is how long its answer was, 0 if it had to give none."""
    total = await errands.ping(
        api,
        args[Ping.ID],
        args.get_or(Ping.LEN, PING_BYTES),
        args.get_or(Ping.PONGBYTES, PING_BYTES),
    )
    return {"totlen": total}


async def signmessage(api: Api, args: Args) -> Answer:
    """Sign text with the node's key."""
    message = args[SignMessage.MESSAGE]
    if len(message.encode()) > LONGEST_MESSAGE:
        raise Refused(f"message: must be < {LONGEST_MESSAGE + 1} bytes", Code.INVALID_PARAMS)
    signature, recovery_id, zbase = errands.sign_message(api, message)
    return {"signature": signature.hex(), "recid": f"{recovery_id:02x}", "zbase": zbase}


async def checkmessage(api: Api, args: Args) -> Answer:
    """Whether a node signed a text: the one that is named, else any that we know of."""
    try:
        signer = signer_of(args[CheckMessage.MESSAGE], args[CheckMessage.ZBASE])
    except DecodeError as error:
        raise Refused(f"zbase: {error}", Code.INVALID_PARAMS) from None
    wanted = args.get(CheckMessage.PUBKEY)
    if wanted is None and not _is_known(api, await api.memory(), NodeId(signer)):
        raise Refused(
            f"pubkey not found in the graph: the signature claims to be {signer.hex()}'s. Name the"
            " key that you expect with pubkey=",
            Code.SIGNMESSAGE_PUBKEY_NOT_FOUND,
        )
    return {"verified": wanted in (None, signer), "pubkey": signer.hex()}


def _is_known(api: Api, memory: Memory, node_id: NodeId) -> bool:
    return (
        node_id == api.node_id
        or node_id in memory.peers
        or node_id in memory.known_peers
        or bool(memory.channels_with(node_id))
        or memory.gossip.knows_node(node_id)
    )


async def listconfigs(api: Api, args: Args) -> Answer:
    """How this daemon was started, under Core Lightning's names; one entry, or all."""
    config, network = api.config, api.chain.name
    flags = {name: {"set": name == network, "source": "cmdline"} for name in ("regtest", "signet")}
    node_id = api.node_id.hex()
    shown: dict[str, Answer] = {
        "lightning-dir": {"value_str": str(api.place.path), "source": "cmdline"},
        "network": {"value_str": network, "source": "cmdline"},
        **flags,
        "rpc-file": {"value_str": api.place.rpc_file.name, "source": "default"},
        "rgb": {"value_str": node_id[:6], "source": "default"},
        "alias": {
            "value_str": config.alias or f"leyden-{node_id[:8]}",
            "source": "cmdline" if config.alias else "default",
        },
        "funding-confirms": {"value_int": api.chain.min_depth.blocks, "source": "default"},
        "watchtime-blocks": {"value_int": api.chain.to_self_delay.blocks, "source": "default"},
        "min-emergency-msat": {
            "value_msat": EMERGENCY_RESERVE.to_msat().msat,
            "source": "default",
        },
        "bind-addr": {"values_str": [api.listening], "sources": ["cmdline"]},
        "plugin": {"values_str": [], "sources": []},
    }
    wanted = args.get(ListConfigs.CONFIG)
    if wanted is None:
        return {"configs": shown}
    if wanted not in shown:
        raise Refused(f"Unknown config option '{wanted[:100]}'", Code.INVALID_PARAMS)
    return {"configs": {wanted: shown[wanted]}}
