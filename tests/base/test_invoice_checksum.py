"""wallet/base/invoices/checksum.py, against the `bech32` package."""

import pytest
from bech32 import CHARSET, bech32_decode, bech32_encode, bech32_polymod
from hypothesis import given
from hypothesis import strategies as st

from wallet.base.errors import DecodeError
from wallet.base.invoices.checksum import DIGITS, polymod, read_digits, write_number

words_lists = st.lists(st.integers(0, 31), min_size=1, max_size=700)


@given(words_lists)
def test_polymod__equals_the_package(words: list[int]) -> None:
    assert polymod(bytes(words)) == bech32_polymod(words)


@given(words_lists, st.sampled_from(["lnbc", "lnbcrt2500u", "a"]))
def test_write__equals_the_package(words: list[int], hrp: str) -> None:
    number = int("".join(chr(DIGITS[w]) for w in words), 32)
    text = write_number(hrp, number, len(words))
    assert text == bech32_encode(hrp, words)
    for form in (text, text.upper()):
        assert read_digits(form) == (hrp, bytes(DIGITS[w] for w in words))


def test_write__no_digits() -> None:
    assert write_number("a", 0, 0) == "a12uel5l"  # BIP 173, a valid string
    assert read_digits("A12UEL5L") == ("a", b"")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no 1 stands"),
        ("1qqqqqq", "no 1 stands"),
        ("lnbcqqqqqqq", "no 1 stands"),
        ("lnbc1qqqqq", "too short"),
        ("lnbc1qqqqbqqqqqq", "character b'b' does not exist"),
        ("lnbc1qqqqéqqqqqq", "does not exist"),
        ("lnbc1qqqqqqqqqqQ", "mixed"),
        ("ln\x7fc1qqqqqqqqqq", "no 1 stands"),
        ("lnbçc1qqqqqqqqqq", "no 1 stands"),
        ("lnbc1qqqqqqqqqqq", "checksum"),
    ],
)
def test_refused(text: str, reason: str) -> None:
    with pytest.raises(DecodeError, match=reason):
        read_digits(text)


@given(words_lists, st.data())
def test_one_wrong_character__is_noticed(words: list[int], data: st.DataObject) -> None:
    text = bech32_encode("lnbcrt", words)
    place = data.draw(st.integers(len("lnbcrt1"), len(text) - 1))
    other = data.draw(st.sampled_from(CHARSET.replace(text[place], "")))
    wrong = text[:place] + other + text[place + 1 :]
    assert bech32_decode(wrong) == (None, None)
    with pytest.raises(DecodeError, match="checksum"):
        read_digits(wrong)
