"""A small table of methods for tests of the socket and of the command line."""

import asyncio
from dataclasses import dataclass, field
from typing import Final

from wallet.base.errors import Refused
from wallet.faces.rpc.errors import Code
from wallet.faces.rpc.params import Args, Param
from wallet.faces.rpc.parsers import label, msat, sat_or_all, string, u32
from wallet.faces.rpc.table import Answer, Method, MethodTable

TEXT: Final = Param("text", string, required=True)
TIMES: Final = Param("times", u32)
LABEL: Final = Param("label", label, required=True)
CODE: Final = Param("code", u32, required=True)
AMOUNT: Final = Param("amount_msat", msat, required=True)
INVSTRING: Final = Param("invstring", string, required=True, also=("bolt11",))
SATS: Final = Param("satoshi", sat_or_all)
PASSWORD: Final = Param("password", string, required=True)


@dataclass
class FakeApi:
    """Remembers what was asked; `release` ends every `waitinvoice` and `pay`."""

    calls: list[str] = field(default_factory=list)
    release: asyncio.Event = field(default_factory=asyncio.Event)
    abandoned: list[str] = field(default_factory=list)
    finished: list[str] = field(default_factory=list)


async def _getinfo(_api: FakeApi, _args: Args) -> Answer:
    return {
        "id": "02" * 33,
        "alias": "alice",
        "address": [{"type": "ipv4", "port": 9735}, {"type": "ipv6", "port": 9736}],
        "our_features": {"init": "80", "node": "00"},
    }


async def _echo(_api: FakeApi, args: Args) -> Answer:
    return {"text": args[TEXT] * args.get_or(TIMES, 1)}


async def _held(api: FakeApi, name: str) -> Answer:
    api.calls.append(name)
    try:
        await api.release.wait()
    except asyncio.CancelledError:
        api.abandoned.append(name)
        raise
    api.finished.append(name)
    return {"name": name}


async def _waitinvoice(api: FakeApi, args: Args) -> Answer:
    return await _held(api, f"waitinvoice {args[LABEL]}")


async def _pay(api: FakeApi, args: Args) -> Answer:
    return await _held(api, f"pay {args[INVSTRING]}")


async def _refuse(_api: FakeApi, args: Args) -> Answer:
    raise Refused("not today", args[CODE])


async def _break(_api: FakeApi, _args: Args) -> Answer:
    raise KeyError("secret")


async def _withdraw(_api: FakeApi, args: Args) -> Answer:
    return {"amount": str(args[AMOUNT]), "satoshi": str(args.get(SATS))}


async def _unlock(_api: FakeApi, args: Args) -> Answer:
    if args[PASSWORD] != "swordfish":
        raise Refused("wrong password", Code.WRONG_PASSWORD)
    return {}


METHODS: Final = (
    Method("getinfo", (), _getinfo, allowed_when_locked=True),
    Method("echo", (TEXT, TIMES), _echo),
    Method("waitinvoice", (LABEL,), _waitinvoice, waits=True),
    Method("pay", (INVSTRING,), _pay),
    Method("refuse", (CODE,), _refuse),
    Method("break", (), _break),
    Method("withdraw", (AMOUNT, SATS), _withdraw),
    Method("unlock", (PASSWORD,), _unlock, allowed_when_locked=True),
)


def fake_table(stop: asyncio.Event) -> MethodTable[FakeApi]:
    """The methods above; `stop` is set by `stop`."""
    return MethodTable(METHODS, stop.set)
