"""The store of a peer's per-commitment secrets."""

import pytest

from wallet.base.crypto.shachain import FIRST_INDEX, Shachain, secret_at
from wallet.base.errors import DecodeError, InvariantBroken
from wallet.base.values.ids import Secret

SEED = bytes(range(32))


def test_every_secret_is_found_again() -> None:
    store = Shachain()
    for count in range(300):
        assert store.next_index == FIRST_INDEX - count
        store = store.insert(store.next_index, secret_at(SEED, store.next_index))
        assert store.get(FIRST_INDEX - count) == secret_at(SEED, FIRST_INDEX - count)
    assert len(store.known) == 9
    for index in range(FIRST_INDEX, FIRST_INDEX - 300, -1):
        assert store.get(index) == secret_at(SEED, index)
    assert store.get(FIRST_INDEX - 300) is None
    assert Shachain().get(FIRST_INDEX) is None


def test_insert__another_seed_leaves_the_store_alone() -> None:
    store = Shachain().insert(FIRST_INDEX, secret_at(SEED, FIRST_INDEX))
    with pytest.raises(DecodeError):
        store.insert(FIRST_INDEX - 1, Secret(bytes(32)))
    assert store.next_index == FIRST_INDEX - 1


@pytest.mark.parametrize("index", [FIRST_INDEX - 1, 0, -1, FIRST_INDEX + 1])
def test_insert__out_of_order_is_our_bug(index: int) -> None:
    with pytest.raises(InvariantBroken):
        Shachain().insert(index, Secret(bytes(32)))


def test_the_last_secret() -> None:
    """Index 0 is the seed itself: the 49th place."""
    assert secret_at(SEED, 0) == SEED
    for index in (-1, FIRST_INDEX + 1):
        with pytest.raises(InvariantBroken):
            secret_at(SEED, index)


def test_repr_has_no_secret() -> None:
    store = Shachain().insert(FIRST_INDEX, secret_at(SEED, FIRST_INDEX))
    assert repr(secret_at(SEED, FIRST_INDEX)) not in repr(store)
