"""Cutting a stream of JSON texts, wherever its reads happen to end."""

import json
import time
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wallet.base.errors import DecodeError
from wallet.faces.rpc.filters import apply_filter
from wallet.faces.rpc.framing import JsonSplitter

VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
TEXTS = st.lists(st.dictionaries(st.text(), VALUES, max_size=3) | st.lists(VALUES), max_size=4)


@given(TEXTS, st.booleans(), st.lists(st.integers(0, 400), max_size=8))
def test_split__any_values_cut_anywhere(
    values: list[Any], ascii_only: bool, cuts: list[int]
) -> None:
    stream = " \n".join(json.dumps(v, ensure_ascii=ascii_only) for v in values).encode()
    ends = [0, *sorted(c for c in cuts if c < len(stream)), len(stream)]
    splitter = JsonSplitter()
    pieces = [stream[a:b] for a, b in pairwise(ends)]
    texts = [text for piece in pieces for text in splitter.feed(piece)]
    assert [json.loads(t) for t in texts] == values


@given(st.binary(max_size=200))
def test_split__any_bytes_end_in_texts_or_decode_error(data: bytes) -> None:
    try:
        for text in JsonSplitter().feed(data):
            assert text[:1] in (b"{", b"[")
    except DecodeError:
        pass


def test_split__limits() -> None:
    with pytest.raises(DecodeError, match="longer than 10 bytes"):
        list(JsonSplitter(max_bytes=10).feed(b'{"a": "bcdef'))
    with pytest.raises(DecodeError, match="nested deeper than 3"):
        list(JsonSplitter(max_depth=3).feed(b"[[[["))
    assert list(JsonSplitter(max_depth=3).feed(b"[[[]]]")) == [b"[[[]]]"]


@pytest.mark.parametrize("piece", [b'"\\', b"x", b"[]"])
def test_split__twice_the_bytes_take_about_twice_the_time(piece: bytes) -> None:
    def seconds(count: int) -> float:
        splitter = JsonSplitter()
        data = piece * 512
        began = time.perf_counter()
        for chunk in (b"[", *[data] * count):
            list(splitter.feed(chunk))
        return time.perf_counter() - began

    seconds(100)
    assert min(seconds(400) for _ in range(3)) < 12 * min(seconds(100) for _ in range(3)) + 0.01


@given(st.dictionaries(st.text(max_size=3), VALUES, max_size=4))
def test_filter__true_for_all_keeps_all(answer: dict[str, Any]) -> None:
    assert apply_filter(answer, dict.fromkeys(answer, True)) == answer
    assert apply_filter(answer, {}) == {}
