"""A tape is the whole truth about a run: one other bit on it, and the run ends elsewhere.

That a whole life of two cores replays to the same hash stands in test_two_cores.py.
"""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.cores import channel_of, two_cores, until
from wallet.base.bitcoin.chains import MAINNET, REGTEST, SIGNET, TESTNET4, Chain
from wallet.base.errors import DecodeError, Refused
from wallet.node import coin_desk
from wallet.node.build import make_board
from wallet.node.config import Config
from wallet.node.tap import Tap, read_tape, replay, state_hash
from wallet.services.vault.signer import LocalSigner

Lines = list[dict[str, Any]]


class Recording:
    """Bob's tape of a channel, an invoice and its payment; and what he was at the end."""

    def __init__(self, tape: Path, config: Config, signer: LocalSigner, ended: str) -> None:
        self.tape, self.config, self.signer, self.ended = tape, config, signer, ended

    def replayed(self, tape: Path | None = None) -> str:
        """The state hash after a tape, his own by default."""
        board = make_board(self.config, self.signer)
        coin_desk.derive(board)
        return replay(tape or self.tape, board)

    def changed(self, change: Callable[[Lines], None]) -> Path:
        """The tape with its lines changed; the ends of batches stay where they are."""
        texts = self.tape.read_text().splitlines()
        lines = [json.loads(text) for text in texts if text]
        change(lines)
        left = iter(lines)
        copy = self.tape.with_suffix(".changed")
        copy.write_text("".join(json.dumps(next(left)) + "\n" if t else "\n" for t in texts))
        return copy


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    return asyncio.run(_record(tmp_path_factory.mktemp("recording")))


async def _record(home: Path) -> Recording:
    async with two_cores(home, record=True) as cores:
        await cores.open()
        await cores.pay(cores.alice, cores.bob, 5_000_000, "taped")
        await until(lambda: not channel_of(cores.bob).htlcs, "the last revocation")
        bob, ended = cores.bob, state_hash(await cores.bob.memory())
        signer = bob.core.signer
    return Recording(bob.place.path / "tape.ndjson", bob.config, signer, ended)


def line_of(lines: Lines, kind: str) -> dict[str, Any]:
    """The last event of a kind."""
    return [line for line in lines if json.loads(line["event"])["type"] == kind][-1]


def flip_entropy(lines: Lines) -> None:
    line = line_of(lines, "CreateInvoice")
    line["entropy"] = f"{int(line['entropy'], 16) ^ 1:064x}"


def shift_time(lines: Lines) -> None:
    line_of(lines, "CreateInvoice")["now"] += 1


def lose_the_last_block(lines: Lines) -> None:
    # In its place stands an event that changes nothing.
    line_of(lines, "BlockConnected")["event"] = line_of(lines, "PeerDown")["event"]


def test_a_tape_replays_to_the_state_that_was_recorded(recording: Recording) -> None:
    assert recording.replayed() == recording.ended
    assert recording.replayed(recording.changed(lambda lines: None)) == recording.ended


@pytest.mark.parametrize("change", [flip_entropy, shift_time, lose_the_last_block])
def test_any_other_tape_ends_elsewhere(
    recording: Recording, change: Callable[[Lines], None]
) -> None:
    assert recording.replayed(recording.changed(change)) != recording.ended


def test_a_board_of_other_keys_ends_elsewhere(recording: Recording) -> None:
    board = make_board(recording.config, LocalSigner(bytes(64), REGTEST))
    coin_desk.derive(board)
    assert replay(recording.tape, board) != recording.ended


@pytest.mark.parametrize("line", ["no json", "{}", '{"seq":1,"now":1,"entropy":"zz","event":"{}"}'])
def test_a_damaged_tape_is_refused(tmp_path: Path, line: str) -> None:
    tape = tmp_path / "tape"
    tape.write_text(line + "\n\n")
    with pytest.raises(DecodeError):
        list(read_tape(tape))


@pytest.mark.parametrize("chain", [MAINNET, TESTNET4, SIGNET], ids=lambda chain: chain.name)
def test_no_tape_is_made_elsewhere_than_on_regtest(tmp_path: Path, chain: Chain) -> None:
    with pytest.raises(Refused, match="regtest only"):
        Tap(tmp_path / "tape", chain)
    assert not (tmp_path / "tape").exists()
