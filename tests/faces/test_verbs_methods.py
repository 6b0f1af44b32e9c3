"""Verbs that bear a method's name, over two daemons: in a pipe the method, on a terminal a yes."""

import json
from collections.abc import Iterator

import pytest

from tests.support.cln_schemas import check_answer
from tests.support.terminal import answer, piped, typed
from tests.support.two import Two, silent, two_daemons
from wallet.faces.cli.exit_codes import Exit

ADDRESS = "bcrt1q6rhpng9evdsfnn833a4f4vej0asu6dk5srld6x"


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    with two_daemons(tmp_path_factory.mktemp("methods"), push_msat=400_000_000) as pair:
        yield pair


def _state(two: Two, channel_id: str) -> str:
    return str(two.channel(two.alice, channel_id)["state"])


def _onchain_sat(two: Two) -> int:
    return sum(int(o["amount_msat"]) for o in two.alice.call("listfunds")["outputs"]) // 1000


def _error(two: Two, *words: str, code: int) -> str:
    """The sentence of a call without a terminal that must end with the code."""
    done = piped(two.alice.socket, *words)
    assert (done.returncode, done.stderr) == (code, ""), done.stdout + done.stderr
    return str(json.loads(done.stdout)["message"])


# --- close --------------------------------------------------------------------------------------


def test_close__in_a_pipe_is_the_method(two: Two) -> None:
    opened = two.open(amount=100_000)
    closed = answer(two.alice.socket, "close", opened["channel_id"], "60")
    check_answer("close", closed)
    assert closed["type"] == "mutual"
    two.mine()
    assert _error(two, "close", "9x9x9", code=Exit.REFUSED) == "there is no such channel"
    assert "id: should be" in _error(two, "close", "x", code=Exit.REFUSED)


def test_close__to_an_address_of_somebody_else_is_spending(two: Two) -> None:
    words = ("close", f"id={two.channel_id}", f"destination={ADDRESS}")
    assert answer(two.alice.socket, *words, "--dry-run")["destination"] == ADDRESS
    over = piped(two.alice.socket, *words, "--yes", LEYDEN_MAX_AMOUNT="5")
    assert over.returncode == Exit.NEEDS_CONFIRMATION
    code, seen = typed(two.alice.socket, *words, answers=("no",))
    assert (code, f"to          {ADDRESS}\n" in seen) == (Exit.NEEDS_CONFIRMATION, True)
    assert _state(two, two.channel_id) == "CHANNELD_NORMAL"


def test_close__reads_its_channel_from_stdin(two: Two) -> None:
    done = piped(two.alice.socket, "close", "-", "--dry-run", stdin=f"{two.channel_id}\n")
    assert json.loads(done.stdout)["channel_id"] == two.channel_id


def test_close__a_person_sees_what_comes_back_and_types_close(two: Two) -> None:
    opened = two.open(amount=300_000, push_msat=100_000_000)
    channel_id = opened["channel_id"]
    scid = two.channel(two.alice, channel_id)["short_channel_id"]
    preview = answer(two.alice.socket, "close", scid, "--dry-run")
    assert (preview["type"], preview["how"], preview["to_us_msat"]) == (
        "channel_close",
        "mutual",
        200_000_000,
    )
    for said in ("no", "yes", "", "\x04"):
        code, seen = typed(two.alice.socket, "close", scid, answers=(said,))
        assert code == Exit.NEEDS_CONFIRMATION, seen
        assert "stopped; nothing was closed" in seen
    assert _state(two, channel_id) == "CHANNELD_NORMAL"
    before_sat = _onchain_sat(two)
    code, seen = typed(two.alice.socket, "close", scid, answers=("close",))
    assert code == 0, seen
    for words in (
        f"channel     {scid}",
        f"about {preview['amount_msat'] // 1000:,} of your 200,000 sat",
        "this ends the channel: it can send ",
        "by force if that has not happened in 2 days",
        "type close to close the channel, anything else to stop: ",
        "closed together with the peer; the money comes with a block",
    ):
        assert words in seen, seen
    two.mine()
    fee_sat = 200_000 - (_onchain_sat(two) - before_sat)
    # Whose transaction the block took decides who paid.
    assert 0 <= fee_sat <= preview["fee_msat"] // 1000
    assert answer(two.alice.socket, "balance")["closing_msat"] == 0


def test_close__again_pays_more_for_what_waits(two: Two) -> None:
    channel_id = two.open(amount=300_000, push_msat=100_000_000)["channel_id"]
    _, seen = typed(two.alice.socket, "close", channel_id, "--dry-run")
    assert "sat for your closing transaction, or nothing if a block takes the peer's" in seen
    [before] = answer(two.alice.socket, "close", channel_id)["txids"]
    code, seen = typed(two.alice.socket, "close", channel_id)
    assert (code, "A higher feerange makes it pay more" in seen) == (Exit.REFUSED, True), seen
    words = ("close", f"id={channel_id}", 'feerange=["8000perkb","8000perkb"]')
    waiting = two.channel(two.alice, channel_id)["scratch_txid"]
    assert answer(two.alice.socket, *words, "--dry-run")["replaces"] == waiting
    code, seen = typed(two.alice.socket, *words, answers=("close",))
    assert code == 0, seen
    assert f"replaces  {waiting}, which pays " in seen
    assert "type close to pay the higher fee, anything else to stop: " in seen
    [after] = two.chain.call("getrawmempool")
    assert after not in (before, waiting)
    assert after in seen
    told = two.alice.call("events", since=0)["events"]
    assert after in {e.get("txid") for e in told if e["topic"] == "close_signed"}
    two.mine()


def test_close__with_force_needs_its_own_words(two: Two) -> None:
    channel_id = two.open(amount=200_000, push_msat=50_000_000)["channel_id"]
    words = ("close", channel_id, "--force")
    assert "give --yes" in _error(two, *words, code=Exit.NEEDS_CONFIRMATION)
    for said in ("close", "force", "force close it", "pay"):
        code, _ = typed(two.alice.socket, *words, answers=(said,))
        assert code == Exit.NEEDS_CONFIRMATION
    # The method's own way to say it asks no less.
    code, seen = typed(two.alice.socket, "close", channel_id, "1", answers=("close",))
    assert (code, "type force close to " in seen) == (Exit.NEEDS_CONFIRMATION, True)
    done = piped(two.alice.socket, "close", channel_id, "5", "--force", "--yes")
    assert done.returncode == Exit.USAGE
    assert _state(two, channel_id) == "CHANNELD_NORMAL"
    preview = answer(two.alice.socket, *words, "--dry-run")
    delay = two.channel(two.alice, channel_id)["our_to_self_delay"]
    assert (preview["how"], preview["delay_blocks"]) == ("unilateral", delay)
    before_sat = _onchain_sat(two)
    code, seen = typed(two.alice.socket, *words, answers=("force close",))
    assert code == 0, seen
    assert f"{delay} blocks" in seen
    assert "its fee cannot be raised later" in seen
    assert "our commitment is on its way to the chain" in seen
    assert "closing already" in typed(two.alice.socket, *words)[1]
    for count in (1, delay, 1):
        two.mine(count)
    came_sat = _onchain_sat(two) - before_sat
    assert abs(came_sat - preview["amount_msat"] // 1000) < 100


def test_close__without_a_terminal_by_force_with_yes_while_the_peer_is_silent(two: Two) -> None:
    channel_id = two.open(amount=100_000)["channel_id"]
    bolt11 = two.invoice("flying", 5_000_000)["bolt11"]
    with silent(two.bob):
        flying = piped(two.alice.socket, "send", bolt11, "--yes", "--no-wait")
        assert flying.returncode == Exit.OUTCOME_OPEN
        [held] = [c for c in two.alice.call("listpeerchannels")["channels"] if c["htlcs"]]
        _, seen = typed(two.alice.socket, "close", held["channel_id"], "--force", "--dry-run")
        assert "1 payment is in flight with 5,000 sat, which may be lost" in seen
        assert "cannot settle payments in flight on chain yet" in seen
        asked = piped(two.alice.socket, "close", channel_id, "--timeout", "0.5")
        assert asked.returncode == Exit.OUTCOME_OPEN
        assert asked.stderr.endswith("do not repeat it: leyden channels\n")
        done = answer(two.alice.socket, "close", channel_id, "--force", "--yes")
        assert done["type"] == "unilateral"
    payment_hash = json.loads(flying.stdout)["payment_hash"]
    assert answer(two.alice.socket, "wait", payment_hash)["status"] == "complete"
    two.mine()


# --- withdraw -----------------------------------------------------------------------------------


def test_withdraw__in_a_pipe_is_the_method(two: Two) -> None:
    done = answer(two.alice.socket, "withdraw", ADDRESS, "20000")
    check_answer("withdraw", done)
    raw = two.chain.call("getrawtransaction", done["txid"], True)
    paid = {o["scriptPubKey"].get("address"): round(o["value"] * 10**8) for o in raw["vout"]}
    assert paid[ADDRESS] == 20_000
    two.mine()
    # With the flag the ceilings of scripts hold.
    words = ("withdraw", ADDRESS, "20000", "--yes")
    over = piped(two.alice.socket, *words, LEYDEN_MAX_AMOUNT="19_999")
    assert over.returncode == Exit.NEEDS_CONFIRMATION
    assert not two.chain.call("getrawmempool")


def test_withdraw__a_person_sees_the_facts_and_types_withdraw(two: Two) -> None:
    words = ("withdraw", ADDRESS, "30000sat", "500perkw")
    preview = answer(two.alice.socket, *words, "--dry-run")
    assert (preview["amount_msat"], preview["feerate"]) == (30_000_000, "500perkw")
    code, seen = typed(two.alice.socket, *words, answers=("pay",))
    assert code == Exit.NEEDS_CONFIRMATION
    assert "stopped; nothing was sent" in seen
    assert not two.chain.call("getrawmempool")
    code, seen = typed(two.alice.socket, *words, answers=("withdraw",))
    assert code == 0, seen
    for said in (ADDRESS, "30,000 sat", "at most ", " at 500perkw", "cannot be taken back"):
        assert said in seen
    [txid] = two.chain.call("getrawmempool")
    assert seen.endswith(f"txid  {txid}\n")
    fee = two.chain.call("getmempoolentry", txid)["fees"]["base"]
    assert 0 < round(fee * 10**8) <= preview["max_fee_msat"] // 1000
    two.mine()
    code, seen = typed(two.alice.socket, "withdraw", ADDRESS)
    assert code == Exit.REFUSED
    assert "satoshi (leyden withdraw --help)" in seen


# --- links --------------------------------------------------------------------------------------


def test_connect_and_disconnect(two: Two) -> None:
    place = f"{two.bob.node_id}@127.0.0.1:{two.bob.port}"
    check_answer("connect", answer(two.alice.socket, "connect", place))
    code, seen = typed(two.alice.socket, "connect", place)
    assert code == 0
    assert seen.startswith("connected, ")
    assert f"at  127.0.0.1:{two.bob.port}\n" in seen
    words = ("disconnect", two.bob.node_id)
    assert _error(two, *words, code=Exit.REFUSED).startswith("Peer has (at least one) channel")
    code, seen = typed(two.alice.socket, *words)
    assert code == Exit.REFUSED
    assert "leyden disconnect ID true does it" in seen
    code, seen = typed(two.alice.socket, *words, "true")
    assert (code, seen) == (0, "disconnected; its channels stay open\n")
    code, seen = typed(two.alice.socket, "connect", "02aa")
    assert code == Exit.REFUSED
    assert seen.startswith("leyden connect: id: should be a node id")
