"""An on-chain wallet for tests: its keys answered at once, payments into it at will."""

from collections.abc import Sequence
from functools import cache
from typing import cast

from wallet.base.bitcoin.chains import REGTEST
from wallet.base.bitcoin.script import p2wpkh
from wallet.base.bitcoin.transaction import Transaction, TxIn, TxOut
from wallet.base.crypto.curve import point_of
from wallet.base.crypto.hashes import sha256
from wallet.base.values.amounts import Satoshi
from wallet.base.values.ids import OutPoint, Point, Secret, Signature, Txid
from wallet.machines.coins import Coin, Wallet, wanted, with_addresses
from wallet.machines.signing import DerivePubkey, UnsignedTx, WalletKey
from wallet.services.vault.signer import LocalSigner

SIGNER = LocalSigner(bytes(range(64)), REGTEST)
ELSEWHERE = p2wpkh(point_of(Secret(bytes(31) + b"\x09")))


@cache
def pubkey(key: WalletKey) -> Point:
    """What the signer says of a key."""
    return cast(Point, SIGNER.answer([DerivePubkey(key)])[0])


def derived(wallet: Wallet) -> Wallet:
    """The wallet with every key that it wants."""
    return with_addresses(wallet, [(key, pubkey(key)) for key in wanted(wallet)])


@cache
def fresh() -> Wallet:
    """An empty wallet that watches its first addresses."""
    return derived(Wallet())


def script_of(purpose: int, change: int, index: int) -> bytes:
    """The output script of one of the wallet's keys."""
    return SIGNER.wallet_script(purpose, change, index)


def payment(*outputs: TxOut, seed: int = 0, spending: Sequence[OutPoint] = ()) -> Transaction:
    """A transaction of somebody, different for each seed, or one that spends given outputs."""
    inputs = tuple(spending) or (OutPoint(Txid(sha256(seed.to_bytes(8, "big"))), 0),)
    return Transaction(2, tuple(TxIn(outpoint) for outpoint in inputs), outputs)


def coinbase(*outputs: TxOut, height: int) -> Transaction:
    """The first transaction of a block."""
    null = TxIn(OutPoint(Txid(bytes(32)), 0xFFFFFFFF), script_sig=height.to_bytes(4, "little"))
    return Transaction(2, (null,), outputs)


def out(sat: int, script_pubkey: bytes = ELSEWHERE) -> TxOut:
    """An output; without a script, to somebody else."""
    return TxOut(Satoshi(sat), script_pubkey)


def coin(sat: int, purpose: int = 86, number: int = 0, height: int | None = 1) -> Coin:
    """A coin that no wallet knows: `number` tells it from others."""
    key = WalletKey(purpose, 0, number % 20)
    outpoint = OutPoint(Txid(sha256(number.to_bytes(8, "big"))), number % 3)
    script_pubkey = script_of(purpose, 0, number % 20)
    return Coin(outpoint, Satoshi(sat), script_pubkey, key, pubkey(key), height)


def signed(unsigned: UnsignedTx) -> Transaction:
    """The transaction with the signer's signatures."""
    answers = SIGNER.answer(unsigned.requests())
    return unsigned.finish([cast(Signature, answer) for answer in answers])
