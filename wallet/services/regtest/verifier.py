"""`python -m wallet.services.regtest.verifier`: Bitcoin Core's code as a judge of scripts.

Standard input has a JSON list of `[transaction, [[amount_sat, script_pubkey], …]]`, transactions
and scripts in hexadecimal; standard output one of booleans.  A process of its own, so that the
core, which holds keys, never loads the engine.
"""

import json
import sys

from wallet.base.bitcoin.transaction import Transaction, TxOut
from wallet.base.values.amounts import Satoshi
from wallet.services.regtest.engine import verify_scripts


def main() -> None:
    """Judge what stands on standard input."""
    verdicts = [
        verify_scripts(
            Transaction.decode(bytes.fromhex(raw)),
            [TxOut(Satoshi(sat), bytes.fromhex(script)) for sat, script in spent],
        )
        is None
        for raw, spent in json.load(sys.stdin)
    ]
    json.dump(verdicts, sys.stdout)


if __name__ == "__main__":
    main()
