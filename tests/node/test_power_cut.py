"""A power cut at any moment: what was said on the wire, the disk knows.

Issue 2, point 7.  Two cores pay each other over sockets; beside each message that leaves is noted
how much of the database's log had been synced.  Then the log is cut at every frame and inside each:
what had left by then must follow from what a core finds when it opens that copy.
"""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.cores import Cores, channel_of, two_cores, until
from tests.support.ear import Ear
from tests.support.power_cut import cut, truncations, wal_of
from wallet.base.bitcoin.chains import REGTEST
from wallet.base.bitcoin.transaction import Transaction
from wallet.base.crypto.hashes import sha256
from wallet.base.invoices.bolt11 import decode_invoice
from wallet.base.values.amounts import FeeratePerKw, MilliSatoshi
from wallet.base.values.ids import PaymentHash
from wallet.base.wire.channel import (
    ClosingComplete,
    ClosingSig,
    CommitmentSigned,
    FundingSigned,
    RevokeAndAck,
    Shutdown,
    UpdateAddHtlc,
    UpdateFailHtlc,
    UpdateFee,
    UpdateFulfillHtlc,
)
from wallet.base.wire.message import Message
from wallet.machines.channel.htlc import Failed, Fulfilled, Htlc, HtlcKey
from wallet.machines.channel.state import Channel, Phase
from wallet.machines.payments.incoming import InvoiceRequest
from wallet.machines.payments.records import InvoiceStatus
from wallet.machines.payments.requests import PayRequest
from wallet.node import htlc_rows, persist
from wallet.node.api import Api
from wallet.node.build import make_board
from wallet.node.events import FeerateChanged
from wallet.node.memory import Memory
from wallet.services.store.sqlite import SqliteStore
from wallet.services.vault.signer import LocalSigner


async def test_the_writer_of_a_running_core_syncs_every_commit(tmp_path: Path) -> None:
    async with two_cores(tmp_path) as cores:
        writer = cores.alice.core.store._writer
        assert writer is not None
        for pragma, value in (("synchronous", 2), ("journal_mode", "wal")):
            assert list(await writer.execute_fetchall(f"PRAGMA {pragma}")) == [(value,)]


async def test_nothing_that_was_sent_is_missing_after_a_power_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with two_cores(tmp_path) as cores:
        ears = Ear(cores.alice), Ear(cores.bob)
        starts = [wal_of(ear.database).stat().st_size for ear in ears]
        for ear in ears:
            ear.listen(monkeypatch)
        await a_life(cores)
        signers = [ear.api.core.signer for ear in ears]
        kept = [ear.keep(tmp_path) for ear in ears]
    lengths = 0
    for ear, database, start, signer in zip(ears, kept, starts, signers, strict=True):
        for length in truncations(wal_of(database), start):
            copy = cut(database, tmp_path / "cut", length)
            words = [said.word for said in ear.said if said.synced <= length]
            await assert_known(copy, signer, ear.api, words)
            lengths += 1
        words = [said.word for said in ear.said]
        assert {type(w) for w in words} >= {CommitmentSigned, RevokeAndAck, UpdateFulfillHtlc}
    print(f"{lengths} lengths of two logs, {sum(len(ear.said) for ear in ears)} words sent")
    assert lengths > 300


async def a_life(cores: Cores) -> None:
    """Open, pay both ways at once, fail, change the fee, close."""
    await cores.open()
    await asyncio.gather(
        *(cores.pay(cores.alice, cores.bob, 1_000_000 + n, f"a{n}") for n in range(4)),
        *(cores.pay(cores.bob, cores.alice, 2_000_000 + n, f"b{n}") for n in range(4)),
    )
    await cores.pay(cores.alice, cores.bob, 3_000_000, "alone")
    with_wrong_secret = await _request(cores.bob, "wrong secret")
    invoice = replace(with_wrong_secret.invoice, payment_secret=bytes(32))
    done = await cores.alice.pay(replace(with_wrong_secret, invoice=invoice), 20)
    assert done.payment.failure_code is not None
    cores.alice.core.kernel.inbox.put(FeerateChanged(FeeratePerKw(900)))
    await until(lambda: channel_of(cores.bob).feerate == FeeratePerKw(900), "the new fee rate")
    await until(lambda: not channel_of(cores.alice).htlcs, "the last revocation")
    await cores.alice.close_channel(channel_of(cores.alice).id, None, None, None)
    await until(lambda: channel_of(cores.bob).phase is Phase.MUTUALLY_CLOSED, "the close")


async def _request(payee: Api, label: str) -> PayRequest:
    asked = InvoiceRequest(label=label, amount=MilliSatoshi(4_000_000), description=label)
    text = (await payee.create_invoice(asked, None)).bolt11
    return PayRequest(invoice=decode_invoice(text, REGTEST), bolt11=text, max_fee=MilliSatoshi(0))


# --- what the disk must know --------------------------------------------------------------------


async def assert_known(
    database: Path, signer: LocalSigner, api: Api, words: list[Message | Transaction]
) -> None:
    """Open the copy as a core would, and look for every word in what it remembers."""
    store = SqliteStore(database)
    await store.open()
    try:
        memory, _ = await persist.load(store, make_board(api.config, signer))
        rows = await store.query("SELECT * FROM htlcs")
    finally:
        await store.close()
    htlcs = {htlc.key: htlc for _, htlc in map(htlc_rows.read, rows)}
    channels = list(memory.channels.values())
    channel = channels[0] if channels else None
    for word in words:
        if needs_channel(word):
            assert channel is not None, (
                f"{type(word).__name__} was said about a channel nobody knows"
            )
            assert_word_known(word, channel, htlcs, memory)
    if channel is not None:
        signed = {w.signature for w in words if isinstance(w, CommitmentSigned)}
        revoked = {w.per_commitment_secret for w in words if isinstance(w, RevokeAndAck)}
        assert channel.their_number >= len(signed), "a commitment that we signed is forgotten"
        assert channel.our_number >= len(revoked), "a commitment that we revoked is our latest"


def needs_channel(word: Message | Transaction) -> bool:
    """Whether it can only be said about a stored channel; the talk before it is not stored."""
    return isinstance(word, Transaction | FundingSigned) or type(word) in _ABOUT_CHANNELS


_ABOUT_CHANNELS = {
    UpdateAddHtlc,
    UpdateFulfillHtlc,
    UpdateFailHtlc,
    UpdateFee,
    CommitmentSigned,
    RevokeAndAck,
    Shutdown,
    ClosingComplete,
    ClosingSig,
}


def assert_word_known(
    word: Message | Transaction, channel: Channel, htlcs: dict[HtlcKey, Htlc], memory: Memory
) -> None:
    """What a core must remember of a word."""
    match word:
        case UpdateAddHtlc():
            assert htlcs[HtlcKey(True, word.id)].payment_hash == word.payment_hash
            assert channel.our_next_htlc_id > word.id
            assert any(hash_ == word.payment_hash for hash_, _ in memory.payments)
        case UpdateFulfillHtlc(id=number, payment_preimage=preimage):
            htlc = htlcs[HtlcKey(False, number)]
            assert htlc.removal == Fulfilled(preimage)
            invoice = memory.invoices[PaymentHash(sha256(preimage))]
            assert invoice.status is InvoiceStatus.PAID
        case UpdateFailHtlc(id=number, reason=reason):
            assert htlcs[HtlcKey(False, number)].removal == Failed(reason)
        case UpdateFee(feerate_per_kw=feerate):
            assert feerate in {fee.feerate for fee in channel.fees}
        case Shutdown(scriptpubkey=script):
            assert channel.our_shutdown == script
        case ClosingComplete(fee_satoshis=fee):
            offered = channel.simple_close.highest_fee
            assert offered is not None
            assert offered >= fee, "an offer that was signed is forgotten"
        case ClosingSig(fee_satoshis=fee):
            theirs = channel.simple_close.theirs
            assert theirs is not None
            assert theirs.fee == fee, "a close that we signed is forgotten"
        case Transaction() if any(i.outpoint == channel.funding.outpoint for i in word.inputs):
            assert channel.phase is Phase.MUTUALLY_CLOSED
        case Transaction():
            assert channel.funding.outpoint.txid == word.txid
        case _:
            pass
