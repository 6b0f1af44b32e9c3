"""SIGKILL with dozens of HTLCs in flight: who is complete was paid, and every sat is somewhere.

Issue 2, point 7.  Each seed kills payer and payee in turn under load; then peace, and both sides,
their lists and their tables must tell the same story.
"""

import random
import signal
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.interop.ldk.daemon import Daemon
from tests.support.daemons import (
    Duo,
    Pipe,
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
SEEDS = (1, 2, 3, 4, 5)
KILLS = 4
PAYMENTS_A_KILL = 200
IN_FLIGHT = 30
STAGES = 4


@pytest.fixture(scope="module")
def duo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Duo]:
    """The same two daemons for all seeds: their history grows, as it does in life."""
    with Duo(tmp_path_factory.mktemp("sigkill"), CAPACITY_SAT) as both:
        yield both


@pytest.mark.parametrize("seed", SEEDS)
def test_no_payment_is_lost_or_doubled_by_kills(duo: Duo, seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    invoices = duo.invoices(f"seed {seed}", KILLS * PAYMENTS_A_KILL, AMOUNT_MSAT)
    to_us_before = our_msat(duo.payer)
    seen: Counter[str] = Counter()
    victims = [duo.payer, duo.payee] if seed % 2 else [duo.payee, duo.payer]
    for number in range(KILLS):
        victim = victims[number % 2]
        batch = invoices[number * PAYMENTS_A_KILL :][:PAYMENTS_A_KILL]
        kill_while_paying(duo, victim, batch, chance)
        payers = stages_of(duo.payer, tmp_path / f"payer {number}")
        payees = stages_of(duo.payee, tmp_path / f"payee {number}")
        # The payer knows of every HTLC; the victim says how far it had come with each.
        assert payers.total() >= IN_FLIGHT, payers
        stages = payers if victim is duo.payer else mirrored(payees)
        print(f"seed {seed}: {payers.total()} in flight, the victim's: {dict(stages)}")
        seen |= stages
        victim.start()
        duo.wait_live()
    assert len(seen) >= STAGES, seen

    duo.wait_quiet()
    paid = assert_same_story(duo, invoices)
    assert to_us_before - our_msat(duo.payer) == paid * AMOUNT_MSAT
    # In peace every invoice can be paid; what was paid before is answered and not paid again.
    call_many(duo.payer, "pay", [{"bolt11": each["bolt11"]} for each in invoices[::4]])
    duo.wait_quiet()
    assert_same_story(duo, invoices)
    assert_money(duo)


def mirrored(stages: Counter[str]) -> Counter[str]:
    """The payee's stages in the payer's words."""
    return Counter({mirror(Stage(stage)).value: n for stage, n in stages.items()})


def kill_while_paying(
    duo: Duo, victim: Daemon, invoices: list[dict[str, Any]], chance: random.Random
) -> None:
    """Start payments without waiting for their ends; kill at a random moment in the crowd."""
    payer, payee = duo.payer, duo.payee
    crowd = chance.randrange(2 * IN_FLIGHT, len(invoices) // 2)
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
        moment = time.monotonic() + chance.random() * 0.06
        while time.monotonic() < moment:
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


def assert_same_story(duo: Duo, invoices: list[dict[str, Any]]) -> int:
    """Payer complete ⇔ payee paid, by hash; HTLC tables mirror each other. How many are paid."""
    hashes = {each["payment_hash"] for each in invoices}
    pays = duo.payer.call("listpays")["pays"]
    kept = duo.payee.call("listinvoices")["invoices"]
    complete = {p["payment_hash"]: p["preimage"] for p in pays if p["status"] == "complete"}
    paid = {i["payment_hash"]: i["payment_preimage"] for i in kept if i["status"] == "paid"}
    assert complete == paid
    assert {p["status"] for p in pays} <= {"complete", "failed"}
    assert len(complete) == sum(p["status"] == "complete" for p in pays), "a hash was paid twice"
    ours, theirs = htlcs(duo.payer, offered_by_us=1), htlcs(duo.payee, offered_by_us=0)
    assert ours.keys() == theirs.keys()
    for number, (stage, *rest) in ours.items():
        their_stage, *their_rest = theirs[number]
        assert (stage, rest) == (mirror(Stage(their_stage)), their_rest), number
    return len(hashes & complete.keys())


def htlcs(daemon: Daemon, offered_by_us: int) -> dict[int, list[Any]]:
    """Every HTLC ever, by id: stage, terms, removal, and in whose commitments it stood.

    The payer's commitments come first, whoever is asked.
    """
    first, second = ("ours", "theirs") if offered_by_us else ("theirs", "ours")
    sql = (
        "SELECT htlc_id, stage, amount_msat, payment_hash, cltv_expiry, removal,"
        f" {first}_first, {first}_last, {second}_first, {second}_last"
        f" FROM htlcs WHERE offered_by_us = {offered_by_us}"
    )
    return {number: list(rest) for number, *rest in rows(database_of(daemon), sql)}


def our_msat(daemon: Daemon) -> int:
    [channel] = daemon.call("listpeerchannels")["channels"]
    return int(channel["to_us_msat"])


def assert_money(duo: Duo) -> None:
    """Both commitments hold the same balances, and the capacity is all there."""
    [ours] = duo.payer.call("listpeerchannels")["channels"]
    [theirs] = duo.payee.call("listpeerchannels")["channels"]
    capacity = CAPACITY_SAT * 1000
    assert ours["total_msat"] == theirs["total_msat"] == capacity
    assert ours["to_us_msat"] + theirs["to_us_msat"] == capacity
    assert ours["out_fulfilled_msat"] == theirs["in_fulfilled_msat"]
    assert ours["out_payments_fulfilled"] == theirs["in_payments_fulfilled"]
    assert capacity - ours["out_fulfilled_msat"] == ours["to_us_msat"]
