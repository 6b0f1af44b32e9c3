"""`python -m tests.tools.siege [--kills N] [--seed N] [--dir DIR]`: a town under SIGKILL.

Prints a line for each kill and the figures; exit code 1 with the reason where the books are wrong.
"""

import argparse
import secrets
import tempfile
from pathlib import Path

from tests.support.siege import besieged


def main() -> None:
    """Play it."""
    parser = argparse.ArgumentParser(prog="python -m tests.tools.siege")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000))
    parser.add_argument("--dir", type=Path, help="kept afterwards; otherwise a temporary one")
    options = parser.parse_args()
    print(f"seed {options.seed}")
    with (
        tempfile.TemporaryDirectory() as scratch,
        besieged(options.dir or Path(scratch), options.seed) as town,
    ):
        figures = town.run(options.kills)
    print(f"seed {options.seed}: {figures}; the books are right")


if __name__ == "__main__":
    main()
