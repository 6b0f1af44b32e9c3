"""Play seeds from the command line: one with its story, or new ones for as long as there is time.

`--seed N` tells every event; `--long SECONDS` and `--events N` print what was met.
"""

from tests.simulation.play import main

if __name__ == "__main__":
    main()
