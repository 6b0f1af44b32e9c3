"""Key paths and recovery phrases: what a person may type, and what they are told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wallet.base.crypto.hd import HARDENED, ExtendedKey, parse_path
from wallet.base.crypto.mnemonic import entropy_of, phrase_of, seed_of
from wallet.base.errors import DecodeError

PHRASE = "abandon " * 11 + "about"


def test_parse_path() -> None:
    assert parse_path("m") == ()
    assert parse_path("m/84'/1h/0H/0/5") == (84 | HARDENED, 1 | HARDENED, HARDENED, 0, 5)


@pytest.mark.parametrize("text", ["", "84'", "m/", "m/x", "m/-1", "m/2147483648", "m/1''", "m/١"])
def test_parse_path__malformed(text: str) -> None:
    with pytest.raises(DecodeError):
        parse_path(text)


def test_extended_key__no_secret_in_its_repr() -> None:
    key = ExtendedKey.from_seed(bytes(16))
    assert key.secret.hex() not in repr(key)
    assert repr(key.secret) not in repr(key)
    assert repr(key.chain_code) not in repr(key)


@pytest.mark.parametrize("size", [0, 15, 65])
def test_extended_key__seed_of_wrong_size(size: int) -> None:
    with pytest.raises(DecodeError):
        ExtendedKey.from_seed(bytes(size))


def test_extended_key__limits() -> None:
    key = ExtendedKey.from_seed(bytes(16))
    with pytest.raises(DecodeError, match="32 bits"):
        key.child(1 << 32)
    with pytest.raises(DecodeError, match="hardened"):
        key.neuter().child(HARDENED)
    with pytest.raises(DecodeError, match="255 steps"):
        key.derive([0] * 256)


@given(st.sampled_from((16, 20, 24, 28, 32)).flatmap(lambda n: st.binary(min_size=n, max_size=n)))
def test_phrase__there_and_back(entropy: bytes) -> None:
    assert entropy_of(phrase_of(entropy)) == entropy


def test_phrase__case_and_space_do_not_matter() -> None:
    typed = "  " + PHRASE.upper().replace(" ", " \n\t ") + "\n"
    assert entropy_of(typed) == bytes(16)
    assert seed_of(typed) == seed_of(PHRASE)
    assert seed_of(PHRASE) != seed_of(PHRASE, "word")


@pytest.mark.parametrize(
    ("phrase", "why"),
    [
        ("", "12, 15, 18, 21 or 24 words, not 0"),
        ("abandon " * 11, "not 11"),
        ("abandon " * 10 + "abandom about", "word 11 is not in"),
        ("abandon " * 12, "is the order right"),
    ],
)
def test_phrase__wrong(phrase: str, why: str) -> None:
    with pytest.raises(DecodeError, match=why) as raised:
        entropy_of(phrase)
    assert "abando" not in str(raised.value)  # a word of the phrase must not reach a log


def test_phrase__entropy_of_wrong_size() -> None:
    with pytest.raises(DecodeError):
        phrase_of(bytes(15))
