"""SIGKILL with dozens of HTLCs in flight: who is complete was paid, and every sat is somewhere.

Each seed kills payer, forwarder and payee in turn under load; then peace, and all three, their
lists and their tables must tell the same story.
"""

import random
import signal
import time
from collections import deque
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.interop.ldk.daemon import Daemon
from tests.support.daemons import (
    Pipe,
    Trio,
    call_many,
    database_of,
    in_flight,
    next_htlc,
    rows,
    stages_of,
)
from wallet.machines.channel.htlc_stages import Stage, mirror

CAPACITY_SAT = 16_000_000
AMOUNT_MSAT = 1_500_000
"""Above the dust limit: every HTLC has an output in both commitments."""
FEE_MSAT = 16
"""The forwarder's: 1 msat and 10 millionths."""
SEEDS = (1, 2, 3)
KILLS = 3
PAYMENTS_A_KILL = 200
IN_FLIGHT = 30
SPARE = 60
"""HTLCs that may end between the last look and the blow."""
STAGES = 4
DELAYS = (0.05, 0.2, 0.5)
"""Seconds within which payer, forwarder or payee dies: so long does the crowd need to get there."""


@pytest.fixture(scope="module")
def trio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trio]:
    """The same three daemons for all seeds: their history grows, as it does in life."""
    with Trio(tmp_path_factory.mktemp("sigkill"), CAPACITY_SAT) as three:
        yield three


@pytest.mark.parametrize("seed", SEEDS)
def test_no_payment_is_lost_or_doubled_by_kills(trio: Trio, seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    invoices = trio.invoices(f"seed {seed}", KILLS * PAYMENTS_A_KILL, AMOUNT_MSAT)
    to_us_before = our_msat(trio.payer)
    seen: set[str] = set()
    crowds: list[int] = []
    nodes = list(zip(trio.NAMES, trio.nodes, strict=True))
    at = trio.NAMES.index
    victims = [trio.payer, trio.forwarder, trio.payee]
    for number in range(KILLS):
        victim = victims[(seed + number) % 3]
        batch = invoices[number * PAYMENTS_A_KILL :][:PAYMENTS_A_KILL]
        kill_while_paying(trio, victim, batch, chance)
        stages = [stages_of(node, tmp_path / f"{number} {name}") for name, node in nodes]
        # The payer knows of every HTLC; the others say how far they had come with each.
        crowds.append(stages[0].total())
        name = trio.NAMES[trio.nodes.index(victim)]
        print(f"seed {seed}: {crowds[-1]} in flight; the {name} dies with {dict(stages[at(name)])}")
        seen.update(*stages)
        victim.start()
        trio.wait_live()

    trio.wait_quiet()
    paid = assert_same_story(trio, invoices)
    assert to_us_before - our_msat(trio.payer) == paid * (AMOUNT_MSAT + FEE_MSAT)
    # In peace every invoice can be paid; what was paid before is answered and not paid again.
    call_many(trio.payer, "pay", [{"bolt11": each["bolt11"]} for each in invoices[::4]])
    trio.wait_quiet()
    assert_same_story(trio, invoices)
    assert_money(trio)
    # And it was a crowd, in many different states.
    # A payee that dies last may have settled many in one batch, so the deaths count together.
    assert sum(crowds) >= KILLS * IN_FLIGHT, crowds
    assert len(seen) >= STAGES, seen


def kill_while_paying(
    trio: Trio, victim: Daemon, invoices: list[dict[str, Any]], chance: random.Random
) -> None:
    """Start payments without waiting for their ends; kill at a random moment in the crowd."""
    payer, payee = trio.payer, trio.payee
    crowd = chance.randrange(4 * IN_FLIGHT, len(invoices) * 3 // 4)
    since = next_htlc(payer)
    waiting = deque(each["bolt11"] for each in invoices)
    with closing(Pipe(payer)) as pipe:

        def start_some() -> None:
            for _ in range(min(4, len(waiting))):
                pipe.ask("pay", bolt11=waiting.popleft())

        # However quick the payee is on this machine: the crowd gathers while it holds its breath.
        with held(payee):
            while waiting and in_flight(payer, since) < crowd:
                start_some()
        # The crowd is with the payer: let it come as far as chance will have it.
        moment = time.monotonic() + chance.random() * DELAYS[trio.nodes.index(victim)]
        # However far it has come, it is a crowd when the blow falls.
        while time.monotonic() < moment and in_flight(payer, since) > IN_FLIGHT + SPARE:
            start_some()
        victim.kill()


@contextmanager
def held(daemon: Daemon) -> Iterator[None]:
    """SIGSTOP, and SIGCONT at the end."""
    daemon.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        daemon.signal(signal.SIGCONT)


def assert_same_story(trio: Trio, invoices: list[dict[str, Any]]) -> int:
    """Payer complete ⇔ payee paid, by hash; HTLC tables mirror each other. How many are paid."""
    hashes = {each["payment_hash"] for each in invoices}
    pays = trio.payer.call("listpays")["pays"]
    kept = trio.payee.call("listinvoices")["invoices"]
    complete = {p["payment_hash"]: p["preimage"] for p in pays if p["status"] == "complete"}
    paid = {i["payment_hash"]: i["payment_preimage"] for i in kept if i["status"] == "paid"}
    assert complete == paid
    assert {p["status"] for p in pays} <= {"complete", "failed"}
    assert len(complete) == sum(p["status"] == "complete" for p in pays), "a hash was paid twice"
    first = both_tables(trio.payer, trio.forwarder)
    second = both_tables(trio.forwarder, trio.payee)
    assert_forwards(trio.forwarder, first, second)
    return len(hashes & complete.keys())


Table = dict[int, list[Any]]


def both_tables(sender: Daemon, receiver: Daemon) -> Table:
    """Every HTLC that went from one to the other, as the sender has it; the receiver agrees."""
    [channel_id] = {c["channel_id"] for c in channels(sender)} & {
        c["channel_id"] for c in channels(receiver)
    }
    ours = htlcs(sender, channel_id, offered_by_us=1)
    theirs = htlcs(receiver, channel_id, offered_by_us=0)
    assert ours.keys() == theirs.keys()
    for number, (stage, *rest) in ours.items():
        their_stage, *their_rest = theirs[number]
        assert (stage, rest) == (mirror(Stage(their_stage)), their_rest), number
    return ours


def assert_forwards(forwarder: Daemon, first: Table, second: Table) -> None:
    """Each HTLC that came in has one record, and none was passed on twice."""
    records = rows(
        database_of(forwarder),
        "SELECT in_htlc, status, json_extract(state, '$.out_htlc') FROM forwards",
    )
    assert {number for number, *_ in records} == first.keys()
    onward = [out for *_, out in records if out is not None]
    assert sorted(onward) == sorted(second)
    for number, status, out in records:
        paid_in, paid_out = (b"preimage" in removal(first, number), False)
        if out is not None:
            paid_out = b"preimage" in removal(second, out)
        assert (status == "settled") is paid_in is paid_out, (number, status, out)


def removal(table: Table, number: int) -> bytes:
    """How an HTLC ended, as the database has it."""
    return str(table[number][4]).encode()


def htlcs(daemon: Daemon, channel_id: str, offered_by_us: int) -> Table:
    """Every HTLC ever, by id: stage, terms, removal, and in whose commitments it stood.

    The sender's commitments come first, whoever is asked.
    """
    first, second = ("ours", "theirs") if offered_by_us else ("theirs", "ours")
    sql = (
        "SELECT htlc_id, stage, amount_msat, payment_hash, cltv_expiry, removal,"
        f" {first}_first, {first}_last, {second}_first, {second}_last"
        f" FROM htlcs WHERE offered_by_us = {offered_by_us} AND hex(channel_id) ="
        f" '{channel_id.upper()}'"
    )
    return {number: list(rest) for number, *rest in rows(database_of(daemon), sql)}


def channels(daemon: Daemon) -> list[dict[str, Any]]:
    """As the daemon lists them."""
    return list(daemon.call("listpeerchannels")["channels"])


def our_msat(daemon: Daemon) -> int:
    """Of all channels together."""
    return sum(int(channel["to_us_msat"]) for channel in channels(daemon))


def assert_money(trio: Trio) -> None:
    """Both ends of each channel hold the same balances, and the capacity is all there."""
    capacity = CAPACITY_SAT * 1000
    shown: dict[str, list[dict[str, Any]]] = {}
    for node in trio.nodes:
        for channel in channels(node):
            shown.setdefault(channel["channel_id"], []).append(channel)
    assert len(shown) == 2
    for ours, theirs in shown.values():
        assert ours["total_msat"] == theirs["total_msat"] == capacity
        assert ours["to_us_msat"] + theirs["to_us_msat"] == capacity
        assert ours["out_fulfilled_msat"] == theirs["in_fulfilled_msat"]
        assert ours["out_payments_fulfilled"] == theirs["in_payments_fulfilled"]
        assert capacity - ours["out_fulfilled_msat"] == ours["to_us_msat"]
    fees = rows(
        database_of(trio.forwarder), "SELECT sum(fee_msat) FROM forwards WHERE status = 'settled'"
    )
    assert our_msat(trio.forwarder) == capacity + fees[0][0]
