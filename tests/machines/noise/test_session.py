"""Transport encryption: streams cut anywhere, broken streams, sizes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wallet.base.errors import InvariantBroken, PeerFault
from wallet.machines.noise import Decryptor, Encryptor

KEY, CHAINING_KEY = b"\x01" * 32, b"\x02" * 32


def _pair() -> tuple[Encryptor, Decryptor]:
    return Encryptor(KEY, CHAINING_KEY), Decryptor(KEY, CHAINING_KEY)


@settings(max_examples=50, deadline=None, database=None)
@given(st.lists(st.binary(max_size=200), max_size=12), st.data())
def test_feed__cut_anywhere(messages: list[bytes], data: st.DataObject) -> None:
    send, receive = _pair()
    stream = b"".join(map(send.encrypt, messages))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=20)))
    arrived = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        arrived += receive.feed(stream[start:end])
    assert arrived == messages


def test_feed__across_rotations_in_one_piece() -> None:
    send, receive = _pair()
    messages = [n.to_bytes(2, "big") for n in range(1600)]
    assert receive.feed(b"".join(map(send.encrypt, messages))) == messages


@pytest.mark.parametrize("flipped", [0, 17, 18, 40])
def test_feed__altered_byte(flipped: int) -> None:
    send, receive = _pair()
    frame = bytearray(send.encrypt(b"seven bytes or so"))
    frame[flipped] ^= 1
    with pytest.raises(PeerFault, match="not authentic"):
        receive.feed(bytes(frame))
    with pytest.raises(PeerFault, match="broken"):
        receive.feed(send.encrypt(b"again"))


def test_feed__replayed_frame() -> None:
    send, receive = _pair()
    frame = send.encrypt(b"once")
    assert receive.feed(frame) == [b"once"]
    with pytest.raises(PeerFault):
        receive.feed(frame)


def test_encrypt__sizes() -> None:
    send, receive = _pair()
    assert receive.feed(send.encrypt(b"")) == [b""]
    frame = send.encrypt(bytes(65_535))
    assert len(frame) == 65_569
    assert receive.feed(frame) == [bytes(65_535)]
    with pytest.raises(InvariantBroken, match="65536"):
        send.encrypt(bytes(65_536))
