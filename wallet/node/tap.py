"""One tap on the kernel: every event with its time and entropy, to be replayed on the same keys.

Regtest only: the tape holds secrets (preimages, session keys), because it holds their entropy.
Replaying it from the same start gives the same state hash: that the kernel's only inputs are the
ones on the tape is thereby a test, not a hope.
"""

import json
from collections.abc import Iterator
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import IO

from wallet.base.bitcoin.chains import REGTEST, Chain
from wallet.base.crypto.hashes import sha256
from wallet.base.errors import DecodeError, Refused
from wallet.base.values.encode import from_json, to_json
from wallet.machines.channel.state import Channel
from wallet.machines.step import Context
from wallet.node.board import Board
from wallet.node.events import NodeEvent
from wallet.node.memory import Memory
from wallet.node.persist import durable
from wallet.node.switchboard import absorb
from wallet.node.work import Work


@dataclass(frozen=True, slots=True)
class Taped:
    """One event as it was absorbed."""

    seq: int
    event: NodeEvent
    now: int
    entropy: bytes


class Tap:
    """Writes the tape, one line an event; an empty line ends a batch."""

    def __init__(self, path: Path, chain: Chain) -> None:
        if chain is not REGTEST:
            raise Refused("a tape holds secrets: it is made on regtest only")
        self._file: IO[str] = path.open("a", encoding="utf-8")
        path.chmod(0o600)
        self._seq = 0

    def record(self, event: NodeEvent, now: int, entropy: bytes) -> None:
        """Called before the event is absorbed."""
        self._seq += 1
        line = {"seq": self._seq, "now": now, "entropy": entropy.hex(), "event": to_json(event)}
        self._file.write(json.dumps(line) + "\n")

    def end_of_batch(self) -> None:
        """The events since the last call were one batch."""
        self._file.write("\n")
        self._file.flush()

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


def read_tape(path: Path) -> Iterator[list[Taped]]:
    """The batches of a tape. Raises `DecodeError`."""
    batch: list[Taped] = []
    with path.open(encoding="utf-8") as file:
        for text in file:
            if not text.strip():
                yield batch
                batch = []
                continue
            try:
                line = json.loads(text)
                event = from_json(NodeEvent, line["event"])
                batch.append(Taped(line["seq"], event, line["now"], bytes.fromhex(line["entropy"])))
            except (ValueError, KeyError, TypeError) as error:
                raise DecodeError(f"a line of the tape cannot be read: {error}") from None


def replay(tape: Path, board: Board) -> str:
    """Absorb a tape on `board`, which stands where the recording began; the state hash after it."""
    for batch in read_tape(tape):
        board.work = Work()
        for taped in batch:
            memory = board.memory
            board.ctx = Context(memory.height, memory.feerate, taped.now, taped.entropy)
            absorb(board, taped.event)
        board.flush()
    return state_hash(board.memory)


def state_hash(memory: Memory) -> str:
    """Hash of everything durable: equal if and only if a restart would find the same."""
    parts = [to_json(_in_order(durable(c))) for _, c in sorted(memory.channels.items())]
    parts += [to_json(i) for _, i in sorted(memory.invoices.items())]
    parts += [to_json(p) for _, p in sorted(memory.payments.items())]
    parts += [to_json(c) for _, c in sorted(memory.wallet.coins.items())]
    parts += [to_json(b) for b in memory.wallet.branches]
    parts += [to_json(t) for _, t in sorted(memory.transactions.items())]
    parts += [raw.hex() for raw in memory.gossip.everything()]
    parts += [f"{scid} spent at {height}" for scid, height in sorted(memory.gossip.spent.items())]
    parts += [to_json(update) for _, update in sorted(memory.channel_updates.items())]
    parts.append(to_json(memory.tip))
    return sha256("\n".join(parts).encode()).hex()


def _in_order(channel: Channel) -> Channel:
    """Rows come back by key, memory holds them as they came: neither order means anything."""
    return replace(
        channel,
        htlcs=dict(sorted(channel.htlcs.items(), key=lambda item: astuple(item[0]))),
        scids=tuple(sorted(channel.scids, key=lambda name: (name.scid, name.kind))),
    )
