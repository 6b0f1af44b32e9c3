"""Background payments between random nodes of the town, at a chosen rate."""

import itertools
import secrets
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Final

from wallet.base.errors import WalletError
from wallet.faces.demo.town import Town
from wallet.faces.rpc.client import ConnectionLost, RpcError

MOST_PER_SECOND: Final = 1_000.0
_AT_ONCE: Final = 32
_LEAST_MSAT, _MOST_MSAT = 1_000, 2_000_000
_RETRY_SECONDS: Final = 20
_LOOK_AGAIN_SECONDS: Final = 0.02


class Traffic:
    """Pays while its rate is above zero; counts how it went."""

    def __init__(self, town: Town) -> None:
        self._town = town
        self._pool = ThreadPoolExecutor(_AT_ONCE)
        self._changed = threading.Condition()
        self._rate = 0.0
        self._paused = 0
        self._ended = False
        self._pending = 0
        self._counts = {"complete": 0, "failed": 0, "lost": 0, "skipped": 0}
        self._msat = 0
        self._last_failure: str | None = None
        # Two runs of one town must not make two invoices with one label.
        self._labels = (f"traffic {secrets.token_hex(4)} {n}" for n in itertools.count())
        self._clock = threading.Thread(target=self._run, name="traffic", daemon=True)
        self._clock.start()

    def set_rate(self, per_second: float) -> None:
        """From now on so many payments are begun each second; 0 ends it."""
        with self._changed:
            self._rate = per_second
            self._changed.notify_all()

    def counters(self) -> dict[str, Any]:
        """How it went so far. `skipped`: not begun, because too many were under way."""
        with self._changed:
            report: dict[str, Any] = {
                "rate": self._rate,
                "pending": self._pending,
                **self._counts,
                "complete_msat": self._msat,
            }
            if self._last_failure is not None:
                report["last_failure"] = self._last_failure
            return report

    @contextmanager
    def paused(self, patience: float | None = None) -> Iterator[None]:
        """Begin nothing inside; entered once all that was under way has ended.

        Or after so many seconds: a payment may wait for a node that does not answer.
        """
        with self._changed:
            self._paused += 1
            self._changed.wait_for(lambda: self._pending == 0, patience)
        try:
            yield
        finally:
            with self._changed:
                self._paused -= 1
                self._changed.notify_all()

    def close(self) -> None:
        """End it; what is under way ends by itself or with its nodes."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _run(self) -> None:
        due = time.monotonic()
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._ended or (self._rate > 0 and not self._paused))
                if self._ended:
                    return
                now, pause = time.monotonic(), 1 / self._rate
                if now < due:
                    # Woken earlier when the rate changes: then `due` is worked out anew.
                    self._changed.wait(min(due - now, pause))
                    due = min(due, now + pause)
                    continue
                # What could not be begun in time is not made up for.
                due = max(due + pause, now)
                self._begin()

    def _begin(self) -> None:
        if self._pending >= _AT_ONCE:
            self._counts["skipped"] += 1
        else:
            self._pending += 1
            self._pool.submit(self._pay)

    def _pay(self) -> None:
        outcome, msat, failure = "failed", 0, None
        try:
            outcome, msat = self._try()
        except ConnectionLost as lost:
            outcome, failure = "lost", str(lost)
        except (RpcError, WalletError) as error:
            failure = str(error)
        finally:
            with self._changed:
                self._pending -= 1
                self._counts[outcome] += 1
                self._msat += msat
                self._last_failure = failure or self._last_failure
                self._changed.notify_all()

    def _try(self) -> tuple[str, int]:
        others = list(self._town.nodes.values())
        payer = others.pop(secrets.randbelow(len(others)))
        payee = others[secrets.randbelow(len(others))]
        msat = _LEAST_MSAT + secrets.randbelow(_MOST_MSAT - _LEAST_MSAT)
        label = next(self._labels)
        invoice = payee.call("invoice", amount_msat=msat, label=label, description="traffic")
        paid = payer.call("pay", bolt11=invoice["bolt11"], retry_for=_RETRY_SECONDS)
        return ("complete", msat) if paid["status"] == "complete" else ("failed", 0)
