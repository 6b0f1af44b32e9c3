"""What the first run asks for (tui/setup/port.py): words, checks, and a wallet made by a child.

The phrase is made here from the system's randomness and goes to `leyden init` on its standard
input, behind the password: neither is ever on a command line, in the environment or in a log, and
the keys that follow from them are only in that child.
"""

import asyncio
import json
import secrets
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from wallet.base.bitcoin.chains import CHAINS, REGTEST, chain_by_name
from wallet.base.crypto.mnemonic import entropy_of, phrase_of, word_list
from wallet.base.errors import DecodeError, Refused, ServiceFault
from wallet.faces.cli import start_file
from wallet.faces.cli.start_file import BUILT_IN, StartFile
from wallet.faces.core_rpc import CoreRpc
from wallet.faces.demo.programs import command, environment
from wallet.faces.tui.setup.port import ChainChoice, Order

_ENTROPY_BYTES: Final = {12: 16, 24: 32}
_QUESTIONS: Final = 3
_ASK_SECONDS: Final = 5.0


class FirstRunPort:
    """For one data directory and network."""

    def __init__(self, root: Path, network: str, *, has_wallet: bool) -> None:
        self._root = root
        self._chain = chain_by_name(network)
        self._network = network
        self.has_wallet = has_wallet
        self.password: str | None = None
        """Of the wallet that was made, until its node has it."""

    @property
    def directory(self) -> str:
        """Of the network, as a person writes it."""
        place = str(self._root / self._network)
        home = str(Path.home())
        return f"~{place.removeprefix(home)}" if place.startswith(f"{home}/") else place

    @property
    def network(self) -> str:
        """As it was asked for."""
        return self._network

    @property
    def has_built_in_chain(self) -> bool:
        """Regtest is what `leyden regtest` serves."""
        return self._chain is REGTEST

    @property
    def networks(self) -> Sequence[tuple[str, bool]]:
        """The open ones first."""
        return sorted(((c.name, c.unlocked) for c in CHAINS), key=lambda c: not c[1])

    @property
    def bitcoind(self) -> ChainChoice:
        """Core's own places."""
        chain = self._chain
        return ChainChoice(f"http://127.0.0.1:{chain.rpc_port}", f"~/.bitcoin/{chain.rpc_cookie}")

    def words(self) -> Sequence[str]:
        """BIP 39, English."""
        return word_list()

    def new_phrase(self, count: int) -> tuple[str, ...]:
        """From fresh entropy."""
        return tuple(phrase_of(secrets.token_bytes(_ENTROPY_BYTES[count])).split())

    def questions(self, count: int) -> Sequence[int]:
        """Three, that nobody can know before."""
        return sorted(secrets.SystemRandom().sample(range(1, count + 1), _QUESTIONS))

    def phrase_trouble(self, words: Sequence[str]) -> str:
        """The position of what is wrong, never the word."""
        try:
            entropy_of(" ".join(words))
        except DecodeError as fault:
            return str(fault)
        return ""

    async def chain_trouble(self, chain: ChainChoice) -> str:
        """Asks it for `getblockchaininfo`."""
        return await asyncio.to_thread(_trouble, chain, self._network)

    def keep_chain(self, chain: ChainChoice) -> None:
        """Into start.toml."""
        kept = StartFile(chain.url or BUILT_IN, str(_cookie(chain)) if chain.cookie else "")
        start_file.write(self._root / self._network, kept)

    async def make(self, order: Order) -> None:
        """`leyden init`, with the words and the password on its standard input."""
        words = ["--dir", str(self._root), "--network", self._network]
        words += ["--restore", "--json", "--password-fd", "0"]
        if not order.restored:
            words += ["--birthday", str(int(datetime.now(UTC).timestamp()))]
        process = await asyncio.create_subprocess_exec(
            *command("wallet", "init", *words),
            env=environment(),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        told = f"{order.password}\n{' '.join(order.phrase)}\n".encode()
        try:
            said, _ = await process.communicate(told)
        except asyncio.CancelledError:
            process.kill()
            raise
        if process.returncode != 0:
            raise Refused(_sentence(said))
        self.password = order.password
        self.keep_chain(order.chain)


def _sentence(said: bytes) -> str:
    try:
        return f"Nothing was written: {json.loads(said)['message']}"
    except (ValueError, KeyError, TypeError):
        return "Nothing was written, and leyden init did not say why."


def _cookie(chain: ChainChoice) -> Path:
    return Path(chain.cookie).expanduser().absolute()


def _trouble(chain: ChainChoice, network: str) -> str:
    """One call of bitcoind's RPC."""
    try:
        with closing(CoreRpc(chain.url, _cookie(chain), _ASK_SECONDS)) as core:
            found = core.call("getblockchaininfo")["chain"]
    except (Refused, ServiceFault) as fault:
        return str(fault)
    except RuntimeError as error:  # of a home that nobody has
        return f"The cookie file cannot be read ({error})."
    except (LookupError, TypeError):
        return f"What answers at {chain.url} is no bitcoind."
    return "" if found == network else f"It is on {found!r}, and this wallet on {network}."
