"""What opens the terminal app, and on which core."""

from pathlib import Path


def attach(rpc_file: Path) -> int:
    """The app on a core that somebody else runs; the exit code."""
    from wallet.faces.tui.app import run as open_app

    return open_app(rpc_file, town=town_of(rpc_file))


def town_of(rpc_file: Path) -> Path | None:
    """The socket of the town that a node of the demo lives in: DIR/town-rpc of DIR/NODE/regtest."""
    around = rpc_file.parents
    town = around[2] / "town-rpc" if len(around) > 2 else None
    return town if town is not None and town.is_socket() else None
