"""Asking the judge of scripts, who lives in a process of his own."""

import asyncio
import json
import sys
from collections.abc import Sequence
from typing import Final

from wallet.base.bitcoin.transaction import Transaction, TxOut

_SECONDS: Final = 20.0
_MODULE: Final = "wallet.services.regtest.verifier"

Case = tuple[Transaction, Sequence[TxOut]]


async def judge(cases: Sequence[Case]) -> list[bool] | None:
    """Whether each transaction may spend those outputs; None when there is no judge here.

    The engine is a wheel of its own that not every machine has; without it nothing is verified.
    """
    if not cases:
        return []
    asked = [
        [tx.encode().hex(), [[out.amount.sat, out.script_pubkey.hex()] for out in spent]]
        for tx, spent in cases
    ]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        _MODULE,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(_SECONDS):
            answer, _ = await process.communicate(json.dumps(asked).encode())
        verdicts = json.loads(answer)
    except (TimeoutError, ValueError):
        return None
    finally:
        if process.returncode is None:
            process.kill()
    return [bool(verdict) for verdict in verdicts]
