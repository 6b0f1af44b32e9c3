"""The judge of blocks and scripts: a small interface, and Bitcoin Core's own code behind it.

`KernelEngine` is the only place of the project that imports `pbk` (py-bitcoinkernel, an alpha).
It keeps everything in memory and is disposable: the block log in SQLite is the source of truth,
because the kernel flushes nothing before it is closed.

Five rules keep the kernel from aborting the process or losing data:
1. A block can be refused without any exception: the verdict is in the `block_checked` callback.
2. A scratch directory of its own for each engine; two on one overwrite each other.
3. Callbacks only append to a list. Submitting from inside a callback would hang for ever.
4. Lengths and indices are checked before `verify`; a wrong one is a C++ assertion, not an error.
5. Never fork after an engine was opened (spawn instead): the child's exit damages its files.
"""

import re
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Final, Protocol

import pbk
from pbk.script import PrecomputedTransactionData

from wallet.base.bitcoin.transaction import Transaction, TxOut
from wallet.base.errors import DecodeError, ensure
from wallet.base.values.ids import BlockHash

DUPLICATE: Final = "duplicate"
_REJECTION: Final = re.compile(
    r"(?:ConnectBlock [0-9a-f]{64} failed, (.*)|AcceptBlock FAILED \((.*)\))$"
)


class Engine(Protocol):
    """Validates blocks and scripts and follows the chain with the most work."""

    @property
    def height(self) -> int:
        """Height of the active chain's tip; 0 is genesis."""

    def hash_at(self, height: int) -> BlockHash:
        """Hash of the active chain's block at `height`, which must not be above the tip."""

    def block(self, block_hash: BlockHash) -> bytes:
        """A known block as it was submitted (genesis too); raises `KeyError`."""

    def submit(self, raw: bytes) -> str | None:
        """Offer a block. None: accepted (connected, or kept on a side branch); else Core's reason.

        A branch that overtakes the active chain is switched to before this returns. Raises
        `DecodeError` when the bytes are no block.
        """

    def verify(self, tx: Transaction, prevouts: Sequence[TxOut]) -> int | None:
        """Index of the first input whose script does not hold, or None; consensus rules only."""

    def close(self) -> None:
        """Give memory and scratch files back. The engine cannot be used afterwards."""


class KernelEngine:
    """Bitcoin Core's consensus code (libbitcoinkernel) on a fresh, in-memory regtest chain."""

    # One log connection for the life of the process: only the log says *why* a block was refused,
    # and dropping the connection while logging is disabled aborts the process.
    _log: ClassVar[list[str]] = []
    _connection: ClassVar[Any] = None

    def __init__(self, scratch: Path) -> None:
        """Open an engine with a directory of its own below `scratch` (created when missing)."""
        if KernelEngine._connection is None:
            pbk.logging_set_options(
                pbk.LoggingOptions(log_timestamps=False, always_print_category_levels=False)
            )
            KernelEngine._connection = pbk.LoggingConnection(_remember)
        scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._directory = Path(tempfile.mkdtemp(prefix="engine-", dir=scratch))
        self._refused: list[bytes] = []
        self._parameters = pbk.ChainParameters(pbk.ChainType.REGTEST)
        # Kept: the options own the callbacks' C pointers.
        self._options = pbk.ContextOptions()
        self._options.set_chainparams(self._parameters)
        self._options.set_validation_interface(
            pbk.ValidationInterfaceCallbacks(block_checked=self._block_checked)
        )
        self._context = pbk.Context(self._options)
        manager_options = pbk.ChainstateManagerOptions(
            self._context, str(self._directory), str(self._directory / "blocks")
        )
        manager_options.update_block_tree_db_in_memory(True)
        manager_options.update_chainstate_db_in_memory(True)
        self._manager = pbk.ChainstateManager(manager_options)
        self._chain = self._manager.get_active_chain()

    def _block_checked(self, _user_data: object, block: Any, state: Any) -> None:
        # `state` dies with the callback: copy what is needed, call nothing (rule 3).
        if state.validation_mode != pbk.ValidationMode.VALID:
            self._refused.append(bytes(block.block_hash))

    @property
    def height(self) -> int:
        """Height of the active chain's tip; 0 is genesis."""
        height: int = self._chain.height
        return height

    def hash_at(self, height: int) -> BlockHash:
        """Hash of the active chain's block at `height`."""
        return BlockHash(bytes(self._chain.block_tree_entries[height].block_hash))

    def block(self, block_hash: BlockHash) -> bytes:
        """A known block as it was submitted; raises `KeyError`."""
        entry = self._manager.block_tree_entries[pbk.BlockHash(block_hash)]
        return bytes(self._manager.blocks[entry])

    def submit(self, raw: bytes) -> str | None:
        """Offer a block; see `Engine.submit`."""
        self._log.clear()
        self._refused.clear()
        try:
            block = pbk.Block(raw)
        except RuntimeError:
            raise DecodeError("Block decode failed") from None
        try:
            new = self._manager.process_block(block)
        except pbk.ProcessBlockException:
            return self._reason()
        # Rule 1. The refused block may be an ancestor of the submitted one on a longer branch.
        if self._refused:
            return self._reason()
        return None if new else DUPLICATE

    def _reason(self) -> str:
        for line in reversed(self._log):
            if found := _REJECTION.search(line):
                reason: str = found[1] or found[2]
                return reason
        return "rejected"

    def verify(self, tx: Transaction, prevouts: Sequence[TxOut]) -> int | None:
        """Index of the first input whose script does not hold, or None; see `Engine.verify`."""
        return verify_scripts(tx, prevouts)

    def close(self) -> None:
        """Give memory and scratch files back."""
        self._chain = None
        self._manager.__exit__(None, None, None)
        self._context.__exit__(None, None, None)
        shutil.rmtree(self._directory, ignore_errors=True)


def _remember(message: str) -> None:
    KernelEngine._log.append(message.rstrip())


def verify_scripts(tx: Transaction, prevouts: Sequence[TxOut]) -> int | None:
    """Index of the first input that may not spend its output by script, or None if all may.

    `prevouts` are the outputs that the inputs spend, in their order. Consensus rules (taproot
    included); amounts, locks and double spends are not looked at.
    """
    ensure(len(prevouts) == len(tx.inputs), "one previous output for each input")  # rule 4
    parsed = pbk.Transaction(tx.encode())
    scripts = [pbk.ScriptPubkey(p.script_pubkey) for p in prevouts]
    outputs = [
        pbk.TransactionOutput(script, prevout.amount.sat)
        for script, prevout in zip(scripts, prevouts, strict=True)
    ]
    precomputed = PrecomputedTransactionData(parsed, outputs)
    flags = pbk.ScriptVerificationFlags.ALL
    for index, script in enumerate(scripts):
        if not script.verify(prevouts[index].amount.sat, parsed, precomputed, index, flags):
            return index
    return None
