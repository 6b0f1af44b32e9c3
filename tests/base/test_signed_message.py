"""Signed messages: signatures of other people's nodes, and text that is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wallet.base.crypto.curve import point_of, sign_recoverable
from wallet.base.crypto.signed_message import (
    encode_signed,
    from_zbase32,
    signed_digest,
    signer_of,
    zbase32,
)
from wallet.base.errors import DecodeError

# Signatures that lnd nodes published in 2018, and one of Core Lightning v26.06.
PUBLISHED = [
    (
        "hi",
        "rnrphcjswusbacjnmmmrynh9pqip7sy5cx695h6mfu64iac6qmcmsd8xnsyczwmpqp9shqkth3h4jmkgyqu5z47jfn"
        "1q7gpxtaqpx4xg",
        "02de60d194e1ca5947b59fe8e2efd6aadeabfb67f2e89e13ae1a799c1e08e4a43b",
    ),
    (
        "hi",
        "ry8bbsopmduhxy3dr5d9ekfeabdpimfx95kagdem7914wtca79jwamtbw4rxh69hg7n6x9ty8cqk33knbxaqftgxsf"
        "saeprxkn1k48p3",
        "022b8ece90ee891cbcdac0c1cc6af46b73c47212d8defbce80265ac81a6b794931",
    ),
    (
        "hello",
        "rbcqbbuacg3qtp5esstxszgqtus7gyuzmws6bkezf37s9hyy1cjx47kqdn8du8f1khwna5ighkjuq5dr7in7mo6dq6"
        "gmtmkobq3utz91",
        "022d630fb8129b46ffe6ee75c6571395b86e17e45f5d44630a648c12cfd5e066aa",
    ),
]


@pytest.mark.parametrize(("message", "zbase", "key"), PUBLISHED)
def test_signer__of_published_signatures(message: str, zbase: str, key: str) -> None:
    assert signer_of(message, zbase).hex() == key
    assert signer_of(message + "modified", zbase).hex() != key


@given(message=st.text(max_size=100), secret=st.binary(min_size=32, max_size=32))
def test_signer__is_whoever_signed(message: str, secret: bytes) -> None:
    secret = secret[:31] + b"\x01"
    text = encode_signed(*sign_recoverable(secret, signed_digest(message)))
    assert len(text) == 104
    assert signer_of(message, text) == point_of(secret)


@given(data=st.binary(max_size=80))
def test_zbase32__there_and_back(data: bytes) -> None:
    assert from_zbase32(zbase32(data)) == data


@pytest.mark.parametrize(
    "text",
    ["", "y", "yy", "yb", "l" * 104, "y" * 103, "y" * 104, "Y" * 104, "9" * 104],
)
def test_signer__refuses_what_is_no_signature(text: str) -> None:
    with pytest.raises(DecodeError):
        signer_of("hello", text)
