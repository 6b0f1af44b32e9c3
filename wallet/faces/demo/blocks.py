"""The newest blocks, and in words what their transactions are, where somebody in town knows it.

The chain says what was spent and paid; whose it was and which output is a channel, the nodes say.
What was once known stays known when its node is down.
"""

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from wallet.base.errors import WalletError
from wallet.faces.demo.chain import FAUCET_SCRIPT
from wallet.faces.demo.money import Coin
from wallet.faces.demo.sights import ask
from wallet.faces.demo.town import Node, Town, at_once

MOST_SHOWN: Final = 100
_FAUCET: Final = "the faucet"
_OTHERS: Final = "somebody"
_WITH_PREVOUTS: Final = 3
_TX_WITH_PREVOUTS: Final = 2

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Channel:
    """Between whom, by their keys; `closer` is the key of who closed it, if anybody has."""

    channel_id: str
    opener: str
    peer: str
    sat: int
    closer: str | None = None


class Register:
    """Which coins are channels, which transactions are commitments, which coins are whose."""

    def __init__(self) -> None:
        self.fundings: dict[Coin, Channel] = {}
        self.commitments: dict[str, Channel] = {}
        self.owners: dict[Coin, str] = {}

    def learn(self, town: Town) -> None:
        """Ask every node that answers."""
        keys = {node.id: node.key for node in town.nodes.values()}
        for key, answers in at_once(_ask, town.nodes.values()):
            for row in answers.get("channels", ()):
                self._add_channel(key, keys.get(row["peer_id"], row["peer_id"]), row)
            for row in answers.get("outputs", ()):
                self.owners[row["txid"], row["output"]] = key

    def _add_channel(self, key: str, peer: str, row: Json) -> None:
        opener, other = (key, peer) if row["opener"] == "local" else (peer, key)
        closer = {"local": key, "remote": peer}.get(row.get("closer", ""))
        sat = row["total_msat"] // 1000
        channel = Channel(row["channel_id"], opener, other, sat, closer)
        self.fundings[row["funding_txid"], row["funding_outnum"]] = channel
        last = row.get("scratch_txid") or row["last_commitment_txid"]
        self.commitments[last] = channel


def _ask(node: Node) -> tuple[str, Json]:
    if not node.answers:
        return node.key, {}
    try:
        open_, closed, funds = ask(
            node, listpeerchannels={}, listclosedchannels={}, listfunds={"spent": True}
        )
    except WalletError:
        return node.key, {}
    channels = [*open_["channels"], *closed["closedchannels"]]
    return node.key, {"channels": channels, "outputs": funds["outputs"]}


class Blocks:
    """Reads blocks once each; any thread may ask."""

    def __init__(self, town: Town) -> None:
        self._town = town
        self._register = Register()
        self._read: dict[str, Json] = {}
        self._reading = threading.Lock()

    def newest(self, limit: int) -> Json:
        """The newest `limit` blocks, newest first, and what waits for the next one."""
        chain = self._town.chain
        with self._reading:
            self._register.learn(self._town)
            found: list[Json] = []
            block_hash = str(chain.call("getbestblockhash"))
            while len(found) < limit and block_hash:
                block = self._block(block_hash)
                found.append(block)
                block_hash = block.get("previousblockhash", "")
            # Only what was shown is likely to be asked for again.
            self._read = {block["hash"]: block for block in found}
            waiting = [
                chain.call("getrawtransaction", txid, _TX_WITH_PREVOUTS)
                for txid in chain.call("getrawmempool")
            ]
            return {
                "blocks": [self._shown(block) for block in found],
                "waiting": [self._words(tx) for tx in waiting],
            }

    def _block(self, block_hash: str) -> Json:
        if block_hash not in self._read:
            read: Json = self._town.chain.call("getblock", block_hash, _WITH_PREVOUTS)
            return read
        return self._read[block_hash]

    def _shown(self, block: Json) -> Json:
        return {
            "height": block["height"],
            "hash": block["hash"],
            "time": block["time"],
            "transactions": block["nTx"],
            "what": [self._words(tx) for tx in block["tx"][1:]],
        }

    def _words(self, tx: Json) -> Json:
        names = {node.key: node.name for node in self._town.nodes.values()}
        return describe(tx, self._register, names)


def describe(tx: Json, register: Register, names: Mapping[str, str]) -> Json:
    """One transaction, as the chain shows it with what it spends: `kind`, `text` and figures."""
    spent = [(i["txid"], i["vout"]) for i in tx["vin"]]
    paid = [((tx["txid"], o["n"]), o) for o in tx["vout"]]
    opened = next((register.fundings[c] for c, _ in paid if c in register.fundings), None)
    closed = next((register.fundings[c] for c in spent if c in register.fundings), None)
    claimed = next((register.commitments[t] for t, _ in spent if t in register.commitments), None)
    if opened is not None:
        kind, channel = "funding", opened
        text = "{opener} opens a channel with {peer}: {sat:,} sat"
    elif closed is not None and _is_commitment(tx):
        kind, channel = "force_close", closed
        text = "the channel of {opener} and {peer} is closed by force"
        if closed.closer is not None:
            other = closed.peer if closed.closer == closed.opener else closed.opener
            by, of = names.get(closed.closer, _OTHERS), names.get(other, _OTHERS)
            text = f"{by} closes the channel with {of} by force"
    elif closed is not None:
        kind, channel = "close", closed
        text = "{opener} and {peer} close their channel of {sat:,} sat"
    elif claimed is not None:
        kind, channel = "claim", claimed
        text = "a claim on what the channel of {opener} and {peer} has left"
    else:
        return {"txid": tx["txid"], **_payment(tx, spent, paid, register, names)}
    opener, peer = (names.get(key, _OTHERS) for key in (channel.opener, channel.peer))
    return {
        "txid": tx["txid"],
        "kind": kind,
        "text": text.format(opener=opener, peer=peer, sat=channel.sat),
        "nodes": [channel.opener, channel.peer],
        "channel_id": channel.channel_id,
        "amount_sat": channel.sat,
    }


def _is_commitment(tx: Json) -> bool:
    """BOLT 3 hides the commitment's number in these two fields, each behind a mark."""
    locktime, sequence = int(tx["locktime"]), int(tx["vin"][0]["sequence"])
    return (locktime >> 24, sequence >> 24) == (0x20, 0x80)


def _payment(
    tx: Json,
    spent: list[Coin],
    paid: list[tuple[Coin, Json]],
    register: Register,
    names: Mapping[str, str],
) -> Json:
    """Coins from one wallet to others; whatever comes back is change."""
    payers = [
        _FAUCET if _is_faucet(coin["prevout"]) else register.owners.get(name, _OTHERS)
        for name, coin in zip(spent, tx["vin"], strict=True)
    ]
    payers = list(dict.fromkeys(payers))
    taken: dict[str, int] = {}
    for name, output in paid:
        payee = _FAUCET if _is_faucet(output) else register.owners.get(name, _OTHERS)
        if payee not in payers:
            taken[payee] = taken.get(payee, 0) + _sat(output["value"])
    amount = sum(taken.values())
    one = _listed(names.get(key, key) for key in payers)
    text = f"{one} moves its own coins"
    if taken:
        verb = "gives" if payers == [_FAUCET] else "pays" if len(payers) == 1 else "pay"
        text = f"{one} {verb} {_listed(names.get(key, key) for key in taken)} {amount:,} sat"
    return {
        "kind": "deposit" if payers == [_FAUCET] else "payment",
        "text": text,
        "nodes": [key for key in (*payers, *taken) if key in names],
        "amount_sat": amount,
    }


def _is_faucet(output: Json) -> bool:
    script: str = output["scriptPubKey"]["hex"]
    return script == FAUCET_SCRIPT.hex()


def _sat(btc: Decimal) -> int:
    return int(btc * 100_000_000)


def _listed(names: Iterable[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last
