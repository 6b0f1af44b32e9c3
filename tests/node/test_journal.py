"""The journal: numbers that never come twice, rows that follow commits, and a bound."""

from tests.support.pair import ready_pair
from wallet.base.bitcoin.chains import REGTEST
from wallet.machines.coins.wallet import Wallet
from wallet.node.journal import KEPT, STRIDE, restored
from wallet.node.journal_desk import describe, write_up
from wallet.node.memory import Memory, genesis_ref
from wallet.node.work import Notice, Work
from wallet.services.store.tables import JOURNAL, Delete, Put, Row, Write


def _memory() -> Memory:
    return Memory(wallet=Wallet(), tip=genesis_ref(REGTEST.chain_hash))


def _rows(writes: list[Write]) -> list[Row]:
    return [w.row for w in writes if isinstance(w, Put)]


def _said(*subjects: str) -> Work:
    work = Work(at=77)
    for subject in subjects:
        work.act(Notice("something", subject, {"n": 1}))
    return work


def test_journal__writes_with_a_batch_that_writes() -> None:
    memory = _memory()
    assert write_up(memory, _said("a"), durable=False) == []
    [row] = _rows(write_up(memory, _said("b"), durable=True))
    assert row == (2, 77, "something", '{"n":1}')
    assert [e.seq for e in memory.journal.since(0, 10)] == [1, 2]
    assert [e.seq for e in memory.journal.since(2, 10)] == [2]
    assert memory.journal.since(3, 10) == []
    assert len(memory.journal.since(1, 1)) == 1


def test_journal__a_start_goes_on_beyond_every_number_that_was_given() -> None:
    memory = _memory()
    stored = _rows(write_up(memory, _said("a", "b"), durable=True))
    for _ in range(5):
        write_up(memory, _said("only in memory"), durable=False)
    again = restored(stored)
    assert [e.seq for e in again.since(0, 10)] == [1, 2]
    assert again.append(1, "x", {}).seq == STRIDE
    assert restored([*stored, (STRIDE, 1, "x", "{}")]).append(1, "x", {}).seq == 2 * STRIDE
    assert restored([]).append(1, "x", {}).seq == 1


def test_journal__keeps_the_last_ten_thousand_on_disk_too() -> None:
    memory = _memory()
    table: dict[object, Row] = {}
    for number in range(KEPT + 50):
        # Every other batch writes nothing else.
        for write in write_up(memory, _said(str(number)), durable=number % 2 == 0):
            assert write.table is JOURNAL
            if isinstance(write, Put):
                table[write.row[0]] = write.row
            else:
                del table[write.key[0]]
    journal = memory.journal
    assert len(journal.entries) == KEPT
    assert journal.entries[0].seq == 51
    assert journal.has_lost(50)
    assert not journal.has_lost(51)
    assert not journal.has_lost(0)
    assert min(int(str(seq)) for seq in table) >= 51
    assert len(table) == KEPT // 2
    assert len(restored(table.values()).entries) == KEPT // 2


def test_restored__drops_what_is_too_much() -> None:
    rows: list[Row] = [(n, 1, "x", "{}") for n in range(1, KEPT + 4)]
    journal = restored(rows)
    assert journal.entries[0].seq == 4
    gone = [w.key for w in journal.rows([]) if isinstance(w, Delete)]
    assert gone == [(1,), (2,), (3,)]


def test_describe__a_subject_that_memory_does_not_know() -> None:
    memory, work = _memory(), Work()
    assert describe(memory, work, Notice("unheard of", "s")) == {"subject": "s"}
    for topic, subject in (
        ("invoice_payment", "no such label"),
        ("payment", "00" * 32),
        ("channel_state_changed", "00" * 32),
        ("forward_event", "00" * 32 + "/7"),
    ):
        assert describe(memory, work, Notice(topic, subject)) == {"subject": subject}
    assert describe(memory, work, Notice("block_added", "3")) == {"height": 3}
    peer = "02" + "11" * 32
    assert describe(memory, work, Notice("disconnect", peer)) == {"id": peer}


def test_describe__what_the_court_tells_names_the_channel_and_its_peer() -> None:
    channel = ready_pair().alice.state
    memory = _memory()
    memory.channels[channel.id] = channel
    topics = ("htlc_at_risk", "htlc_lost", "court_needs_coins", "funding_lost", "funding_back")
    for topic in topics:
        told = describe(memory, Work(), Notice(topic, channel.id.hex(), {"message": "why"}))
        assert told["channel_id"] == channel.id.hex()
        assert told["peer_id"] == channel.terms.peer.hex()
        assert told["message"] == "why"
