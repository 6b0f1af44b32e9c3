"""`leyden doctor`: what is wrong here, and what to do about it. Changes nothing."""

import os
import shutil
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from wallet.base.values.text import safe_text
from wallet.faces.cli.exit_codes import Exit
from wallet.faces.cli.verbs import ink
from wallet.faces.cli.verbs.amount import whole_sat
from wallet.faces.cli.verbs.balance import balance, reserve_of, usable
from wallet.faces.cli.verbs.desk import Desk
from wallet.faces.cli.verbs.words import Flags
from wallet.faces.rpc.client import ConnectionLost, RpcError, TimedOut, Unreachable

FLAGS: Final[Flags] = {}
USAGE: Final = """\
leyden doctor

Looks at the data directory, the socket, the daemon, its chain, the clock, the disk, the channels
and the coins kept for closing them, and says what to do about what is wrong. Changes nothing.
0: nothing is wrong, 1: something is, 2: no daemon answers."""

OK, WARN, BAD = "ok", "warn", "bad"
_MARKS: Final = {OK: "✓", WARN: "!", BAD: "✗"}
_TONES: Final = {OK: ink.GOOD, WARN: ink.WARN, BAD: ink.BAD}
_LEAST_BYTES: Final = 100 << 20
_FEW_BYTES: Final = 1 << 30
_PATIENCE: Final = 10.0
_LEEWAY_SECONDS: Final = 120

Finding = tuple[str, str]
"""`OK`, `WARN` or `BAD`, and a sentence."""


def run(desk: Desk) -> int:
    """Carry it out."""
    desk.no_words()
    if desk.timeout is None:
        desk.timeout = _PATIENCE
    directory = desk.rpc_file.parent
    found: dict[str, Finding] = {
        "directory": look_at_directory(directory),
        "socket": look_at_socket(desk.rpc_file),
    }
    node, found["daemon"] = _node(desk)
    if node is not None and not node.get("locked"):
        found["chain"] = look_at_chain(node)
        found["clock"] = _asked(lambda: _look_at_clock(desk))
    found["disk"] = look_at_disk(directory)
    if node is not None and not node.get("locked"):
        found["channels"] = _asked(lambda: _look_at_channels(desk))
        found["reserve"] = _asked(lambda: _look_at_reserve(desk))
    checks = [{"name": n, "status": status, "said": said} for n, (status, said) in found.items()]
    wrong = any(status == BAD for status, _ in found.values())
    desk.show({"ok": not wrong, "checks": checks}, lambda: [_line(check) for check in checks])
    if node is None:
        return Exit.UNREACHABLE
    return Exit.REFUSED if wrong else Exit.DONE


def _line(check: dict[str, str]) -> str:
    mark = ink.in_tone(_MARKS[check["status"]], _TONES[check["status"]])
    return ink.joined((mark, f" {check['name']:<10} {safe_text(check['said'])}"))


def look_at_directory(directory: Path) -> Finding:
    """It exists, it is ours, and nobody else can read the wallet in it."""
    if not directory.is_dir():
        return BAD, f"{directory} is not there: make a wallet with leyden init"
    places = [directory, *(directory / n for n in ("seed.json", "wallet.sqlite3"))]
    for place in places:
        try:
            found = place.stat()
        except FileNotFoundError:
            continue
        except OSError as error:
            return BAD, f"{place} cannot be looked at: {error.strerror}"
        if found.st_uid != os.getuid():
            return BAD, f"{place} belongs to another user: chown it, or use your own --dir"
        if stat.S_IMODE(found.st_mode) & 0o077:
            mode = "700" if place == directory else "600"
            return BAD, f"others can read {place}: chmod {mode} {place}"
    return OK, f"{directory} is closed to others"


def look_at_socket(path: Path) -> Finding:
    """There is one, and only we may speak to it."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return BAD, f"{path} is not there: no daemon runs, or it runs elsewhere (--dir)"
    if not stat.S_ISSOCK(mode):
        return BAD, f"{path} is not a socket: move it away and start leyden daemon"
    return OK, str(path)


def _node(desk: Desk) -> tuple[dict[str, Any] | None, Finding]:
    try:
        node: dict[str, Any] = desk.ask("getinfo")
    except TimedOut:
        return None, (BAD, "it does not answer in time: look at its log, and start it again")
    except (Unreachable, ConnectionLost):
        return None, (BAD, "nobody answers: start one with leyden daemon")
    except RpcError as fault:
        return {"locked": True}, (BAD, str(fault))
    if node.get("locked"):
        return node, (WARN, "it is locked: leyden unlock")
    return node, (OK, f"{node.get('alias')}, {node.get('version')}")


def look_at_chain(node: dict[str, Any]) -> Finding:
    """The backend answers and all its blocks are read."""
    warning = node.get("warning_bitcoind_sync")
    if warning:
        return BAD, f"{warning} Payments that must be claimed in time depend on it."
    if node.get("warning_lightningd_sync"):
        return WARN, str(node["warning_lightningd_sync"])
    return OK, f"{node.get('network')}, block {node.get('blockheight')}"


def look_at_disk(directory: Path) -> Finding:
    """There is room for the next state of every channel."""
    place = next((p for p in (directory, *directory.parents) if p.is_dir()), Path("/"))
    free = shutil.disk_usage(place).free
    if free < _LEAST_BYTES:
        return BAD, f"only {free >> 20} MiB are free: the wallet stops when it cannot write"
    if free < _FEW_BYTES:
        return WARN, f"{free >> 20} MiB are free"
    return OK, f"{free >> 30} GiB are free"


def _asked(look: Callable[[], Finding]) -> Finding:
    try:
        return look()
    except (RpcError, Unreachable, ConnectionLost) as fault:
        return WARN, f"could not be looked at: {fault}"


def _look_at_clock(desk: Desk) -> Finding:
    now = int(datetime.now(UTC).timestamp())
    newest = desk.ask("history", limit=1)["history"]
    if newest and newest[0]["at"] > now + _LEEWAY_SECONDS:
        return BAD, "the clock was set back: what happened before lies in the future; correct it"
    return OK, datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _look_at_channels(desk: Desk) -> Finding:
    channels = desk.ask("listpeerchannels")["channels"]
    for channel in channels:
        for line in channel.get("status", ()):
            if line.startswith(("Frozen", "Failed", "The peer has a newer")):
                return BAD, f"{channel.get('short_channel_id') or channel['channel_id']}: {line}"
    away = [c for c in channels if c["state"] == "CHANNELD_NORMAL" and not usable(c)]
    if away:
        return WARN, f"{len(away)} of {len(channels)} wait for a peer that is away"
    return OK, f"{len(channels)} without complaint"


def _look_at_reserve(desk: Desk) -> Finding:
    channels = desk.ask("listpeerchannels")["channels"]
    found = balance(desk.ask("listfunds")["outputs"], channels)
    return look_at_reserve(found["onchain_msat"], reserve_of(desk, channels))


def look_at_reserve(onchain_msat: int, reserve_msat: int) -> Finding:
    """The coins are there that bring a commitment and its HTLCs into a block when fees are high."""
    needed = f"{whole_sat(reserve_msat)} sat on chain are for closing channels by force"
    if onchain_msat >= reserve_msat:
        return OK, needed if reserve_msat else "no channel is open that would need coins on chain"
    missing = whole_sat(reserve_msat - onchain_msat)
    return WARN, f"{needed}, and {missing} are missing: deposit them (leyden address)"
