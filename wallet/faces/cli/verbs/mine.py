"""`leyden mine`: blocks on the built-in chain, so that its wallet has coins to try things with.

Asks the chain itself, in the words of Core's RPC: a node cannot mine.
"""

import json
import re
import time
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from wallet.base.errors import Refused, ServiceFault
from wallet.base.values.text import safe_text
from wallet.faces.cli.arguments import UsageError, path_of
from wallet.faces.cli.exit_codes import Exit
from wallet.faces.cli.verbs.desk import Desk, Halt
from wallet.faces.cli.verbs.paper import facts
from wallet.faces.cli.verbs.words import Flags

if TYPE_CHECKING:
    from wallet.faces.core_rpc import CoreRpc

FLAGS: Final[Flags] = {"--to": True, "--chain": True, "--chain-cookie": True}
USAGE: Final = """\
leyden mine [BLOCKS] [--to ADDRESS] [--chain URL --chain-cookie FILE]

Mines blocks (one, unless told otherwise) on the built-in chain of the data directory while it
runs: leyden or leyden regtest starts it. A reward rests for 100 blocks before it can be spent, so
leyden mine 101 gives a new wallet its first coins.

  --to ADDRESS          who gets the rewards; else the wallet does, at a fresh address
  --chain URL           another regtest chain, http://host:port: a bitcoind's, or a town's
  --chain-cookie FILE   its cookie file

JSON: blocks, height, blockhash of the last, address, spendable: how many of these rewards can be
spent by now."""

NETWORK: Final = "regtest"
MATURITY: Final = 100
"""A reward can be spent in this block after its own, counted from 1."""
_BLOCKS: Final = re.compile(r"[1-9][0-9]{0,4}", re.ASCII)
_AT_ONCE: Final = 100
"""Blocks of one call: it answers soon, and Ctrl-C is heard between two."""
_READ_SECONDS: Final = 30.0
_LOOK_AGAIN_SECONDS: Final = 0.05


def run(desk: Desk) -> int:
    """Carry it out."""
    blocks = _count(desk.words)
    if desk.options.network != NETWORK:
        raise Halt(f"{desk.options.network} cannot be mined from here: only {NETWORK} can")
    given = _given(desk.flags)
    url, cookie = given or built_in(desk.rpc_file.parent) or _nowhere(desk.rpc_file.parent)
    if not url:
        return _no_chain(desk, f"no built-in chain runs in {desk.rpc_file.parent}.")
    # After the flags were read: a call that is wrong does not wait for this.
    from wallet.faces.core_rpc import CoreRpc, NoChain

    desk.nothing = "what was mined stays mined"
    try:
        with closing(CoreRpc(url, Path(cookie), desk.timeout or 60.0)) as chain:
            found = _mine(desk, chain, blocks)
    except Refused as fault:
        raise UsageError(f"--chain: {fault}") from None
    except NoChain as fault:
        return _no_chain(desk, str(fault))
    except ServiceFault as fault:
        raise Halt(str(fault)) from None
    return desk.show(found, lambda: lines(found))


def _count(words: list[str]) -> int:
    if len(words) > 1:
        raise UsageError("mine takes one number of BLOCKS, or none")
    if words and not _BLOCKS.fullmatch(words[0]):
        raise UsageError(f"not a number of blocks from 1 to 99999: {words[0][:40]!r}")
    return int(words[0]) if words else 1


def _given(flags: Mapping[str, str]) -> tuple[str, str] | None:
    """The chain that was named. Raises `UsageError` for half of one."""
    url, cookie = flags.get("--chain"), flags.get("--chain-cookie")
    if url is None and cookie is None:
        return None
    if not url or not cookie:
        raise UsageError("--chain and --chain-cookie go together")
    return url, str(path_of(cookie))


def built_in(place: Path) -> tuple[str, str] | None:
    """URL and cookie of the chain that runs in a network's directory; None when none does."""
    try:
        told = json.loads((place / "chain" / "rpc.json").read_text(encoding="utf-8"))
        return str(told["url"]), str(told["cookie"])
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _nowhere(place: Path) -> tuple[str, str]:
    """Nothing; raises `Halt` when the wallet's chain is one that others mine."""
    from wallet.faces.cli import start_file

    try:
        start = start_file.read(place)
    except Refused as fault:
        raise Halt(str(fault)) from None
    if start is not None and start.chain != start_file.BUILT_IN:
        raise Halt(
            f"the wallet in {place} is on the bitcoind at {start.chain}, which is mined by its own"
            " means (bitcoin-cli generatetoaddress); or give --chain and --chain-cookie"
        )
    return "", ""


def _no_chain(desk: Desk, why: str) -> int:
    desk.note(
        f"leyden mine: {safe_text(why)} leyden or leyden regtest starts the"
        " built-in chain; --chain URL --chain-cookie FILE names another"
    )
    return Exit.UNREACHABLE


def _mine(desk: Desk, chain: "CoreRpc", blocks: int) -> dict[str, Any]:
    name = chain.call("getblockchaininfo")["chain"]
    if name != NETWORK:
        raise Halt(f"that chain is {str(name)[:20]}, and only {NETWORK} can be mined from here")
    own = "--to" not in desk.flags
    address = str(desk.ask("newaddr")["bech32"]) if own else desk.flags["--to"]
    mined = 0
    last = ""
    while mined < blocks:
        last = chain.call("generatetoaddress", min(_AT_ONCE, blocks - mined), address)[-1]
        mined = min(mined + _AT_ONCE, blocks)
        if mined < blocks:
            desk.progress("mining", f"{mined:,} of {blocks:,} blocks", blocks=mined)
    height = int(chain.call("getblockcount"))
    if own and not _has_read(desk, height):
        desk.note("# the node has not read these blocks yet: leyden status")
    return {
        "blocks": blocks,
        "height": height,
        "blockhash": last,
        "address": address,
        "spendable": max(0, min(blocks, blocks + 1 - MATURITY)),
    }


def _has_read(desk: Desk, height: int) -> bool:
    """Wait until the node knows the new blocks: what comes next may be to spend them."""
    end = time.monotonic() + _READ_SECONDS
    while int(desk.ask("getinfo")["blockheight"]) < height:
        if time.monotonic() > end:
            return False
        time.sleep(_LOOK_AGAIN_SECONDS)
    return True


def lines(found: Mapping[str, Any]) -> Iterable[str]:
    """As a person reads it."""
    blocks, spendable = int(found["blocks"]), int(found["spendable"])
    yield f"mined {blocks:,} {'block' if blocks == 1 else 'blocks'}"
    yield from facts((("height", f"{found['height']:,}"), ("to", found["address"])))
    if spendable:
        some = "The first reward" if spendable == 1 else f"The first {spendable:,} rewards"
        yield f"{some} can be spent; each rests for {MATURITY} blocks before."
    else:
        yield (
            f"A reward rests for {MATURITY} blocks before it can be spent:"
            f" leyden mine {MATURITY - blocks} frees the first."
        )
