"""`python -m tests.simulation --seed N [--profile real]`: play one seed again, event by event."""

from tests.simulation.play import main

if __name__ == "__main__":
    main()
