"""A shell at a pseudo-terminal in which somebody types, and presses Tab."""

import os
import pty
import select
import subprocess
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.terminal import environment

PROMPT = "ready> "
_START = {
    "bash": ("bash", "--norc", "--noprofile", "-i"),
    "zsh": ("zsh", "-f", "-i"),
}
_TEMPER = {
    # No bell, no question before many choices; the prompt is not yet seen where it is typed.
    "bash": "bind 'set bell-style none' 'set completion-query-items 0'; PS1='read''y> '",
    "zsh": "unsetopt beep prompt_sp; unset zle_bracketed_paste; LISTMAX=0; PROMPT='read''y> '",
}


class Shell:
    """What is typed, and what is seen since."""

    def __init__(self, control: int) -> None:
        self._control = control
        self.seen = ""

    def type(self, text: str) -> None:
        """Keys, as they come from a keyboard; what was seen before is forgotten."""
        self.seen = ""
        os.write(self._control, text.encode())

    def wait_for(self, text: str) -> str:
        """Until it is seen; answers all that was seen since the last key."""
        end = time.monotonic() + 60
        while text not in self.seen and time.monotonic() < end:
            if select.select([self._control], [], [], 0.2)[0]:
                self.seen += os.read(self._control, 65_536).decode(errors="replace")
        assert text in self.seen, self.seen
        return self.seen


@contextmanager
def shell(name: str, home: Path, path: Path, *lines: str) -> Iterator[Shell]:
    """An interactive shell without anybody's settings; `path` comes first in its PATH."""
    control, terminal = pty.openpty()
    # Wide, so that no line is scrolled or broken.
    termios.tcsetwinsize(terminal, (24, 500))
    env = {**environment(), "HOME": str(home), "PATH": f"{path}:{os.environ['PATH']}"}
    del env["COLUMNS"]
    process = subprocess.Popen(
        [*_START[name]],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        env={**env, "TERM": "dumb" if name == "bash" else "xterm"},
        start_new_session=True,
        cwd=home,
    )
    os.close(terminal)
    try:
        typed = Shell(control)
        for line in (_TEMPER[name], *lines):
            typed.type(line + "\r")
            typed.wait_for(PROMPT)
        yield typed
    finally:
        process.kill()
        process.wait()
        os.close(control)
