"""Starting something in steps on a thread of its own, for a screen that looks on."""

import threading
import time
from collections.abc import Callable, Sequence

from wallet.base.errors import WalletError
from wallet.faces.rpc.client import RpcError
from wallet.faces.tui.starting import Step

Act = Callable[[], None]


class Rise:
    """Carries out steps one after the other until one fails. Nobody waits for it to look."""

    def __init__(self, steps: Sequence[tuple[str, Act]]) -> None:
        """`steps`: what a person reads, and what blocks until it is done."""
        self._steps = tuple(steps)
        self._begun: list[float] = []
        self._ended: list[float] = []
        self.fault = ""
        """Why it will not come up; empty while it may."""
        self._thread = threading.Thread(target=self._run, name="rise", daemon=True)

    def begin(self) -> None:
        """Returns at once."""
        self._thread.start()

    def wait(self) -> None:
        """Until every step is done, or one has failed."""
        self._thread.join()

    @property
    def up(self) -> bool:
        """Whether every step is done."""
        return len(self._ended) == len(self._steps)

    @property
    def steps(self) -> tuple[Step, ...]:
        """As they stand now."""
        now = time.monotonic()
        begun, ended = tuple(self._begun), tuple(self._ended)
        return tuple(
            Step(
                name,
                (ended[n] if n < len(ended) else now) - begun[n] if n < len(begun) else None,
                n < len(ended),
            )
            for n, (name, _) in enumerate(self._steps)
        )

    def _run(self) -> None:
        for _, act in self._steps:
            self._begun.append(time.monotonic())
            try:
                act()
            except (WalletError, RpcError) as fault:
                self.fault = str(fault)
                return
            except Exception as fault:
                # Whatever it is, a person reads it; a traceback would cross the screen.
                self.fault = f"{type(fault).__name__}: {fault}"
                return
            self._ended.append(time.monotonic())
