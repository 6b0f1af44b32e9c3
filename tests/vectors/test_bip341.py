"""BIP 341, wallet-test-vectors.json: output keys of script trees, and key path digests."""

from typing import Any

from tests.support.published import load, tally
from wallet.base.bitcoin.address import encode_address
from wallet.base.bitcoin.chains import MAINNET
from wallet.base.bitcoin.script import p2tr
from wallet.base.bitcoin.sighash import taproot, taproot_message
from wallet.base.bitcoin.taproot import (
    branch_hash,
    control_block,
    leaf_hash,
    output_key,
    output_secret,
    tap_tweak,
    x_only,
)
from wallet.base.bitcoin.transaction import Transaction, TxOut
from wallet.base.crypto.curve import point_of, sign_schnorr, verify_schnorr
from wallet.base.values.amounts import Satoshi
from wallet.base.values.ids import Secret

DATA = load("bip341.json")

Leaf = tuple[bytes, int, tuple[bytes, ...]]
"""Hash, version, path to the root."""


def _walk(tree: Any) -> tuple[bytes, list[Leaf]]:
    """Root of a script tree, and its leaves in the order of the vectors."""
    if isinstance(tree, dict):
        leaf = leaf_hash(bytes.fromhex(tree["script"]), tree["leafVersion"])
        return leaf, [(leaf, tree["leafVersion"], ())]
    (left, left_leaves), (right, right_leaves) = (_walk(branch) for branch in tree)
    leaves = [(leaf, version, (*path, right)) for leaf, version, path in left_leaves]
    leaves += [(leaf, version, (*path, left)) for leaf, version, path in right_leaves]
    return branch_hash(left, right), leaves


def test_script_pubkeys() -> None:
    outcomes = []
    for row in DATA["scriptPubKey"]:
        given, intermediary, expected = row["given"], row["intermediary"], row["expected"]
        internal_key = bytes.fromhex(given["internalPubkey"])
        root, leaves = _walk(given["scriptTree"]) if given["scriptTree"] else (b"", [])
        tweaked, parity = output_key(internal_key, root)
        blocks = [control_block(internal_key, parity, path, v).hex() for _, v, path in leaves]
        holds = root.hex() == (intermediary["merkleRoot"] or "")
        holds &= tap_tweak(internal_key, root).hex() == intermediary["tweak"]
        holds &= tweaked.hex() == intermediary["tweakedPubkey"]
        holds &= [leaf.hex() for leaf, _, _ in leaves] == intermediary.get("leafHashes", [])
        holds &= p2tr(tweaked).hex() == expected["scriptPubKey"]
        holds &= encode_address(p2tr(tweaked), MAINNET) == expected["bip350Address"]
        holds &= blocks == expected.get("scriptPathControlBlocks", [])
        outcomes.append((expected["bip350Address"], holds))
    tally("BIP 341 scriptPubKey", 7, outcomes)


def test_key_path_spending() -> None:
    outcomes = []
    for case in DATA["keyPathSpending"]:
        tx = Transaction.decode(bytes.fromhex(case["given"]["rawUnsignedTx"]))
        signed = Transaction.decode(bytes.fromhex(case["auxiliary"]["fullySignedTx"]))
        assert signed.encode().hex() == case["auxiliary"]["fullySignedTx"]
        prevouts = [
            TxOut(Satoshi(spent["amountSats"]), bytes.fromhex(spent["scriptPubKey"]))
            for spent in case["given"]["utxosSpent"]
        ]
        for row in case["inputSpending"]:
            given, intermediary = row["given"], row["intermediary"]
            index, hash_type = given["txinIndex"], given["hashType"]
            secret = Secret(bytes.fromhex(given["internalPrivkey"]))
            tweaked = output_secret(secret, bytes.fromhex(given["merkleRoot"] or ""))
            message = taproot_message(tx, index, prevouts, hash_type, None, None, 0xFFFFFFFF)
            digest = taproot(tx, index, prevouts, hash_type)
            witness = bytes.fromhex(row["expected"]["witness"][0])
            holds = x_only(point_of(secret)).hex() == intermediary["internalPubkey"]
            holds &= tweaked.hex() == intermediary["tweakedPrivkey"]
            holds &= "00" + message.hex() == intermediary["sigMsg"]
            holds &= digest.hex() == intermediary["sigHash"]
            holds &= verify_schnorr(x_only(point_of(tweaked)), digest, witness[:64])
            holds &= sign_schnorr(tweaked, digest) == witness[:64]
            holds &= signed.inputs[index].witness == (witness,)
            holds &= witness[64:] == (bytes((hash_type,)) if hash_type else b"")
            outcomes.append((index, holds))
    tally("BIP 341 keyPathSpending", 7, outcomes)
