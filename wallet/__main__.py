"""`leyden` and `python -m wallet`."""

import sys


def main() -> None:
    """Run the command line and exit with its code."""
    from wallet.faces.cli.main import run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
