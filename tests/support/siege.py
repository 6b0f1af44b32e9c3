"""A town of daemons under load whose processes die by SIGKILL at random moments, then its books.

Ann, Bob and Cat stand in a line; each pair of neighbours shares channels that both have opened.
Everyone pays everyone at the same time, blocks come, channels are closed, by force too, and others
opened; meanwhile one daemon after the other is killed and started again, sometimes while it starts.

Rule 1: the seed decides what is tried and when; what the daemons make of it is theirs.
Rule 2: whoever asks does not wait for answers: most of them die with the daemon that owes them.
Rule 3: amounts are such that fees are whole satoshi, so that the books are exact.
"""

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any

from tests.interop.ldk.daemon import Daemon, wait_for
from tests.support import faucet
from tests.support.chain_server import ChainServer
from tests.support.daemons import Pipe, call_many
from tests.support.town_books import TownBooks
from wallet.faces.rpc.client import RpcError

NAMES = ("ann", "bob", "cat")
CAPACITY_SAT = 5_000_000
AMOUNTS_MSAT = (99_900_000, 199_900_000, 299_900_000)
"""A forwarder's fee, 1 msat and 10 millionths, is 1,000, 2,000 or 3,000 msat."""
INVOICES_A_ROUND = 20
"""Of each payee."""
CHANNELS_A_STREET = 2
NORMAL = "CHANNELD_NORMAL"
OPENING = {"CHANNELD_AWAITING_LOCKIN", NORMAL}
BLOCKS_TO_PEACE = 400
"""The last HTLC has expired by then, and what it left is forgotten."""


class Fate(Enum):
    """What befalls a channel in a round."""

    NOTHING = "nothing"
    MUTUAL = "one end asks for a close"
    BY_FORCE = "one end closes by force, and the other is there"
    GIVEN_UP = "one end closes by force when the other has died, with whatever is in flight"


class Caller:
    """A connection on which much is asked and nothing awaited."""

    def __init__(self, daemon: Daemon) -> None:
        self._pipe = Pipe(daemon)

    def ask(self, method: str, **params: object) -> None:
        """Ask, and throw away what has been answered before; a daemon that died hears nothing."""
        with suppress(OSError):
            self._pipe.ask(method, **params)
            self._pipe.drain()

    def close(self) -> None:
        """Hang up."""
        self._pipe.close()


@dataclass
class Figures:
    """What happened."""

    kills: int = 0
    kills_at_start: int = 0
    asked: int = 0
    complete: int = 0
    failed: int = 0
    forwarded: int = 0
    opened: int = 0
    by_force: int = 0
    mutual: int = 0
    transactions: int = 0
    """In blocks, after the beginning."""
    blocks: int = 0
    seconds: float = 0.0

    def __str__(self) -> str:
        return (
            f"{self.kills} kills ({self.kills_at_start} while starting): {self.asked} payments"
            f" asked for, {self.complete} complete, {self.failed} failed, {self.forwarded}"
            f" forwarded; {self.opened} channels opened, {self.by_force} closed by force and"
            f" {self.mutual} mutually; {self.transactions} transactions in {self.blocks} blocks;"
            f" {self.seconds:.0f} s"
        )


class Siege:
    """The town. `run` plays it and raises `AssertionError` where the books are wrong."""

    def __init__(self, home: Path, seed: int, say: Callable[[str], None] = print) -> None:
        self.chance = random.Random(seed)
        self.figures = Figures()
        self._say = say
        self.chain = ChainServer(home / "chain")
        self.nodes = {n: Daemon(home / n, self.chain.url, self.chain.cookie) for n in NAMES}
        self.streets = (("ann", "bob"), ("bob", "cat"))
        self._callers: dict[str, list[Caller]] = {name: [] for name in NAMES}
        self._labels = 0
        self._deck: list[Fate] = []
        self._begun = 0
        """The height from which on nobody is given anything."""

    # --- the town ---------------------------------------------------------------------------------

    def build(self) -> None:
        """Coins, links, and a channel from each side of each street."""
        with ThreadPoolExecutor() as pool:
            list(pool.map(_begin, self.nodes.values()))
        for node in self.nodes.values():
            self.chain.call("generatetoaddress", 1, node.call("newaddr")["bech32"])
        self.mine(100)
        self._begun = int(self.chain.call("getblockcount"))
        for one, other in self.streets:
            self._connect(one, other)
            self._open(one, other)
            self._open(other, one)
        self.mine(6)
        self.wait_live()
        for name in ("ann", "cat"):
            wait_for(partial(self._knows, name, 8), f"{name} to know the map")

    def _connect(self, one: str, other: str) -> None:
        there = self.nodes[other]
        self.nodes[one].call("connect", id=there.node_id, host="127.0.0.1", port=there.port)

    def _open(self, one: str, other: str) -> None:
        self.nodes[one].call("fundchannel", id=self.nodes[other].node_id, amount=CAPACITY_SAT)

    def _knows(self, name: str, directions: int) -> bool:
        return len(self.nodes[name].call("listchannels")["channels"]) >= directions

    def running(self) -> list[str]:
        """Who is alive, as far as we know."""
        return [name for name, node in self.nodes.items() if node.running]

    def mine(self, blocks: int = 1) -> None:
        """Blocks that everyone alive has seen when this returns."""
        self._generate(blocks)
        height = self.chain.call("getblockcount")
        for name in self.running():
            wait_for(partial(self._is_at, name, height), f"{name} to see block {height}", 30)

    def _generate(self, blocks: int) -> None:
        self.chain.call("generatetoaddress", blocks, faucet.ADDRESS)
        self.figures.blocks += blocks

    def _is_at(self, name: str, height: int) -> bool:
        return int(self.nodes[name].call("getinfo")["blockheight"]) == height

    def channels(self, name: str) -> list[dict[str, Any]]:
        """As a node lists them."""
        return list(self.nodes[name].call("listpeerchannels")["channels"])

    def wait_live(self) -> None:
        """Every open channel can be used, from both sides."""
        for name in NAMES:
            wait_for(partial(self._is_live, name), f"{name}'s links", 30)

    def _is_live(self, name: str) -> bool:
        return all(c["reestablished"] for c in self.channels(name) if c["state"] == NORMAL)

    # --- faults -----------------------------------------------------------------------------------

    def run(self, kills: int) -> Figures:
        """So many kills, then peace, then the books."""
        begun = time.monotonic()
        while self.figures.kills < kills:
            self._round()
        self._make_peace()
        self._close_all()
        self.figures.seconds = time.monotonic() - begun
        return self.figures

    def _round(self) -> None:
        """Load, something that befalls a channel, a death in the midst of it, and a new start."""
        fate = self._fate()
        victims = self.chance.sample(NAMES, 1 if self.chance.random() < 0.85 else 2)
        load = self._load()
        self._befall(fate)
        self._pay_until(load, self.chance.random() * 0.7)
        if self.chance.random() < 0.25:
            # The blow falls while everyone reads a block.
            self._generate(1)
            self._pay_until(load, self.chance.random() * 0.03)
        for victim in victims:
            self._kill(victim)
        if fate is Fate.GIVEN_UP:
            one, other = self._survivor_and_victim(victims)
            self._close(one, other, force=True)
        self._pay_until(load, self.chance.random() * 0.1)
        self.mine(self.chance.choice((1, 1, 2)))
        for victim in victims:
            self._restart(victim)
        if self.chance.random() < 0.7:
            self.wait_live()
        self._say(f"kill {self.figures.kills}: {' and '.join(victims)}; {self._sight()}")

    def _load(self) -> Iterator[tuple[str, str]]:
        """Payer and invoice: everyone pays everyone, now and then the same invoice again."""
        found: list[tuple[str, str]] = []
        for payee in self.running():
            wanted = []
            for _ in range(INVOICES_A_ROUND):
                self._labels += 1
                amount = self.chance.choice(AMOUNTS_MSAT)
                wanted.append(
                    {"amount_msat": amount, "label": f"{self._labels}", "description": "siege"}
                )
            for made in call_many(self.nodes[payee], "invoice", wanted):
                payer = self.chance.choice([name for name in NAMES if name != payee])
                found += [(payer, made["bolt11"])] * self.chance.choice((1, 1, 1, 2))
        self.chance.shuffle(found)
        for name in self.running():
            self._callers[name].append(Caller(self.nodes[name]))
        return iter(found)

    def _pay_until(self, load: Iterator[tuple[str, str]], seconds: float) -> None:
        """Ask for one payment after the other, at the pace at which the load lasts for a while."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            for payer, invoice in (pair for pair, _ in zip(load, range(3), strict=False)):
                if self._callers[payer]:
                    self.figures.asked += 1
                    self._callers[payer][-1].ask("pay", bolt11=invoice)
            time.sleep(min(0.03, left))

    def _fate(self) -> "Fate":
        """Of one round; each comes once before any comes again."""
        if not self._deck:
            self._deck = [*Fate]
            self.chance.shuffle(self._deck)
        return self._deck.pop()

    def _befall(self, fate: "Fate") -> None:
        """A channel is closed, and others opened, while payments run."""
        street = self.chance.choice(self.streets)
        one, other = street if self.chance.random() < 0.5 else street[::-1]
        if fate in (Fate.BY_FORCE, Fate.MUTUAL):
            self._close(one, other, force=fate is Fate.BY_FORCE)
        for a, b in self.streets:
            here, there = (a, b) if self.chance.random() < 0.5 else (b, a)
            if sum(c["state"] in OPENING for c in self._between(here, there)) < CHANNELS_A_STREET:
                peer = self.nodes[there]
                # Whose last channel is closed is not dialled any more.
                with suppress(RpcError):
                    self._connect(here, there)
                self._callers[here][-1].ask("fundchannel", id=peer.node_id, amount=CAPACITY_SAT)

    def _between(self, one: str, other: str) -> list[dict[str, Any]]:
        peer = self.nodes[other].node_id
        return [c for c in self.channels(one) if c["peer_id"] == peer]

    def _close(self, one: str, other: str, *, force: bool) -> None:
        """One asks for the end of a channel with the other, if there is one that can be closed."""
        found = [c for c in self._between(one, other) if c["state"] == NORMAL]
        if found:
            channel_id = self.chance.choice(found)["channel_id"]
            caller = self._callers[one][-1]
            caller.ask("close", id=channel_id, unilateraltimeout=1 if force else 0)

    def _survivor_and_victim(self, victims: list[str]) -> tuple[str, str]:
        """The two ends of a street of which one has died."""
        pairs = [pair for a, b in self.streets for pair in ((a, b), (b, a))]
        return self.chance.choice([(a, b) for a, b in pairs if a not in victims and b in victims])

    def _kill(self, name: str) -> None:
        self.nodes[name].kill()
        self.figures.kills += 1
        self._hang_up(name)

    def _hang_up(self, name: str) -> None:
        for caller in self._callers[name]:
            caller.close()
        self._callers[name].clear()

    def _restart(self, name: str) -> None:
        node = self.nodes[name]
        while self.chance.random() < 0.2:
            node.launch()
            time.sleep(self.chance.random())
            self._kill(name)
            self.figures.kills_at_start += 1
        node.start()

    def _sight(self) -> str:
        """One line: the channels' states, by node."""
        shown = []
        for name in self.running():
            states = Counter(c["state"].removeprefix("CHANNELD_") for c in self.channels(name))
            flying = sum(len(c["htlcs"]) for c in self.channels(name))
            shown.append(f"{name} {dict(states)} {flying} HTLCs")
        return "; ".join(shown)

    # --- peace ------------------------------------------------------------------------------------

    def _make_peace(self) -> None:
        """No more faults; blocks until nothing is under way, then the books."""
        for _ in range(BLOCKS_TO_PEACE):
            self.wait_live()
            self._wait_still()
            if self._in_the_way() is None:
                break
            # Where only time helps, more of it: no deadline is as near as that.
            self.mine(1 if self.chain.call("getrawmempool") else 5)
        else:
            raise AssertionError(f"no peace: {self._in_the_way()}")
        self._judge()

    def _wait_still(self) -> None:
        """Blocks must not come quicker than payments move: expiries would come near."""
        seen = None
        while (now := self._flying()) and now != seen:
            seen = now
            time.sleep(0.1)

    def _flying(self) -> list[tuple[str, int, str, str]]:
        """HTLCs of channels that both ends can use, as each end has them."""
        return [
            (name, htlc["id"], htlc["direction"], htlc["state"])
            for name in NAMES
            for channel in self.channels(name)
            for htlc in channel["htlcs"]
            if channel["state"] == NORMAL
        ]

    def _in_the_way(self) -> str | None:
        """What is not over yet."""
        if waiting := self.chain.call("getrawmempool"):
            return f"{len(waiting)} transactions are in no block"
        for name in NAMES:
            for channel in self.channels(name):
                if (channel["state"] != NORMAL or channel["htlcs"]) and not never_was(channel):
                    return f"{name}: {channel['channel_id']} is {channel['status']}"
            if pending := self.nodes[name].call("listpays", status="pending")["pays"]:
                return f"{name}: {len(pending)} payments are under way"
            if held := self.nodes[name].call("listforwards", status="offered")["forwards"]:
                return f"{name}: {len(held)} forwards are under way"
        return None

    def _judge(self) -> None:
        """The books; raises `AssertionError`."""
        books = TownBooks(self.chain, self.nodes, self._begun)
        receipts, costs = books.receipts(), books.costs()
        figures = self.figures
        figures.complete, figures.failed = receipts.complete, receipts.failed
        figures.forwarded = receipts.forwarded
        figures.opened, figures.transactions = costs.opened, costs.transactions
        figures.by_force, figures.mutual = costs.by_force, costs.mutual

    def _close_all(self) -> None:
        """In the end every satoshi comes home."""
        for name in NAMES:
            for channel in self.channels(name):
                if channel["opener"] == "local" and channel["state"] == NORMAL:
                    self.nodes[name].call("close", id=channel["channel_id"], timeout=30)
        for _ in range(BLOCKS_TO_PEACE):
            left = [channel for name in NAMES for channel in self.channels(name)]
            if not left:
                break
            patience = 100 if all(map(never_was, left)) else 10
            self.mine(1 if self.chain.call("getrawmempool") else patience)
        assert not any(self.channels(name) for name in NAMES), self._sight()
        self._judge()

    # --- the end ----------------------------------------------------------------------------------

    def assert_calm_logs(self) -> None:
        """Nobody met a bug of its own."""
        for name, node in self.nodes.items():
            said = node.log_tail(100_000)
            for word in ("Traceback", "internal error"):
                assert word not in said, f"{name}:\n{said[said.index(word) - 500 :][:3_000]}"

    def close(self) -> None:
        """End all processes."""
        for name, node in self.nodes.items():
            self._hang_up(name)
            node.stop()
        self.chain.stop()


def never_was(channel: dict[str, Any]) -> bool:
    """Whether its opener died before it knew of it: no money can be in it.

    BOLT 2: the other side waits for 2,016 blocks, for the opener might have lost its memory later.
    """
    failed = channel["state"] == "AWAITING_UNILATERAL"
    return failed and channel["opener"] == "remote" and "short_channel_id" not in channel


def _begin(node: Daemon) -> None:
    node.create()
    node.start()


@contextmanager
def besieged(home: Path, seed: int, say: Callable[[str], None] = print) -> Iterator[Siege]:
    """A town, ended whatever happens; a failure tells what the daemons said last."""
    town = Siege(home, seed, say)
    try:
        town.build()
        yield town
        town.assert_calm_logs()
    except BaseException as error:
        for name, node in town.nodes.items():
            error.add_note(f"{name}, last:\n{node.log_tail()}")
        raise
    finally:
        town.close()
