"""A node goes back to an earlier copy of its files: that is how the town makes a cheat.

What a node knows of its channels it knows from its disk alone, so with an old disk it takes an old
state for the newest one.  On any other network than regtest this would lose real money: refused.
"""

import shutil
from pathlib import Path

from wallet.base.errors import Refused
from wallet.faces.demo import layout
from wallet.faces.demo.town import Node


def keep_copy(node: Node, place: Path) -> None:
    """Stop the node and keep what is on its disk in `place`; it has to be started again.

    Raises `Refused` on another network than regtest.
    """
    network = node.call("getinfo")["network"]
    if network != layout.NETWORK:
        raise Refused(f"{node.name} is on {network}: only on {layout.NETWORK} may a node go back")
    node.stop()
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(_files(node), place)


def go_back(node: Node, place: Path) -> None:
    """Put the copy in the place of what is on the node's disk; it has to be started again.

    Raises `Refused` while the node runs.
    """
    if node.running:
        raise Refused(f"{node.name} runs: its files cannot be replaced")
    kept = {file.name for file in place.iterdir()}
    for file in _files(node).iterdir():
        # A log of the newer database would be read into the older one.
        if file.name not in kept:
            file.unlink()
    # One by one, each at once: killed anywhere here, the node has the newer database or the older.
    for file in place.iterdir():
        file.replace(_files(node) / file.name)
    place.rmdir()


def _files(node: Node) -> Path:
    return node.directory / layout.NETWORK
