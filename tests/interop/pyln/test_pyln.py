"""Core Lightning's own client drives our daemons, from an environment of its own."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.interop.pyln import suite
from tests.interop.pyln.suite import STORIES
from tests.support.two import Two

STORY_SECONDS = 60.0


@pytest.mark.parametrize("story", list(STORIES))
def test_pyln(story: str, two: Two, pyln_python: Path) -> None:
    given = {
        "alice": str(two.alice.socket),
        "bob": str(two.bob.socket),
        "bob_address": f"{two.bob.node_id}@127.0.0.1:{two.bob.port}",
        "channel_id": two.channel_id,
        "chain_url": two.chain.url,
        "chain_cookie": two.chain.cookie.read_text(),
    }
    done = subprocess.run(
        [str(pyln_python), str(Path(suite.__file__)), story, json.dumps(given)],
        capture_output=True,
        text=True,
        timeout=STORY_SECONDS,
        # Nothing of ours must be found on its path.
        env={k: v for k, v in os.environ.items() if not k.startswith("PYTHON")},
    )
    assert done.returncode == 0, f"story '{story}':\n{done.stdout}{done.stderr}"
