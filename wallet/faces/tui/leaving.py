"""Apps that a signal closes in order: the terminal is left as it was found."""

import asyncio
import os
import signal
import threading
from typing import Any, Final

from textual.app import App

_SECONDS: Final = 5.0
"""How long an app that has to go may take to put the terminal in order."""


async def until_closed(app: App[Any]) -> None:
    """Run an app; SIGTERM, SIGINT and SIGHUP close it, its code 128 and the signal's number."""
    loop = asyncio.get_running_loop()
    hurries: list[threading.Timer] = []

    def leave(number: signal.Signals) -> None:
        # A terminal that is gone must not hold us: what we started ends with us.
        hurries.append(threading.Timer(_SECONDS, os._exit, (128 + number,)))
        hurries[-1].daemon = True
        hurries[-1].start()
        app.exit(return_code=128 + number)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, leave, number)
    try:
        await app.run_async()
    finally:
        for hurry in hurries:
            hurry.cancel()
