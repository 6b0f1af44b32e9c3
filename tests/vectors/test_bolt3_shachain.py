"""BOLT 3, appendix D: generation and storage of per-commitment secrets."""

from tests.support.published import load, tally
from wallet.base.crypto.shachain import Shachain, secret_at
from wallet.base.errors import DecodeError
from wallet.base.values.ids import Secret

DATA = load("bolt3_shachain.json")


def test_generation() -> None:
    tally(
        "BOLT 3 appendix D, generation",
        5,
        (
            (
                row["name"],
                secret_at(bytes.fromhex(row["seed"]), row["index"]).hex() == row["secret"],
            )
            for row in DATA["generation"]
        ),
    )


def _accepts(store: Shachain, index: int, secret: Secret) -> Shachain | None:
    try:
        return store.insert(index, secret)
    except DecodeError:
        return None


def test_storage() -> None:
    outcomes = []
    for case in DATA["storage"]:
        store = Shachain()
        for row in case["inserts"]:
            after = _accepts(store, row["index"], Secret(bytes.fromhex(row["secret"])))
            outcomes.append(((case["name"], row["index"]), (after is not None) == row["ok"]))
            store = after or store
        for row in case["inserts"]:
            if row["ok"] and case["name"].endswith("correct sequence"):
                found = store.get(row["index"])
                assert found is not None
                assert found.hex() == row["secret"]
    assert len(DATA["storage"]) == 9
    tally("BOLT 3 appendix D, storage", 56, outcomes)
