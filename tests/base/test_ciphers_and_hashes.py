"""Hashes and ciphers against the papers that define them."""

import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.published import tally
from wallet.base.crypto.aead import chacha20_stream, open_sealed, seal
from wallet.base.crypto.hashes import hkdf_sha256, tagged_hash
from wallet.base.crypto.ripemd160 import hash160, ripemd160, ripemd160_pure
from wallet.base.errors import DecodeError

# RIPEMD-160's paper, appendix B: message, digest (without the million times "a").
RIPEMD160 = (
    (b"", "9c1185a5c5e9fc54612808977ee8f548b2258d31"),
    (b"a", "0bdc9d2d256b3ee9daae347be6f4dc835a467ffe"),
    (b"abc", "8eb208f7e05d987a9b044a8e98c6b087f15a0bfc"),
    (b"message digest", "5d0689ef49d2fae572b881b123a85ffa21595f36"),
    (b"abcdefghijklmnopqrstuvwxyz", "f71c27109c692c1b56bbdceb5b9d2865b3708dbc"),
    (
        b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
        "12a053384a9c0c88e405a06c27dcf49ada62eb2b",
    ),
    (
        b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
        "b0e20b6e3116640286ed3a87a5713079b21f5189",
    ),
    (b"1234567890" * 8, "9b752e45573d4b39f4dbd3323cab82bf63326bfb"),
)


def test_ripemd160_vectors() -> None:
    outcomes = [(text, ripemd160_pure(text).hex() == digest) for text, digest in RIPEMD160]
    tally("RIPEMD-160, appendix B", 8, outcomes)


def _openssl_has_ripemd160() -> bool:
    try:
        hashlib.new("ripemd160")
    except ValueError:
        return False
    return True


@given(st.binary(max_size=300))
def test_ripemd160_agrees_with_itself_and_openssl(data: bytes) -> None:
    assert ripemd160(data) == ripemd160_pure(data)
    if _openssl_has_ripemd160():
        assert hashlib.new("ripemd160", data).digest() == ripemd160_pure(data)


def test_hash160_without_openssls_ripemd160(monkeypatch: pytest.MonkeyPatch) -> None:
    real = hashlib.new

    def without(name: str, *rest: Any, **options: Any) -> Any:
        if name == "ripemd160":
            raise ValueError("unsupported hash type ripemd160")
        return real(name, *rest, **options)

    before = hash160(b"key")
    monkeypatch.setattr(hashlib, "new", without)
    assert hash160(b"key") == before


def test_chacha20_poly1305() -> None:
    # RFC 8439, 2.8.2
    key = bytes(range(0x80, 0xA0))
    nonce = bytes.fromhex("070000004041424344454647")
    associated = bytes.fromhex("50515253c0c1c2c3c4c5c6c7")
    plaintext = (
        b"Ladies and Gentlemen of the class of '99: If I could offer you "
        b"only one tip for the future, sunscreen would be it."
    )
    sealed = seal(key, nonce, plaintext, associated)
    assert sealed[:16].hex() == "d31a8d34648e60db7b86afbc53ef7ec2"
    assert sealed[-16:].hex() == "1ae10b594f09e26a7e902ecbd0600691"
    assert open_sealed(key, nonce, sealed, associated) == plaintext


@pytest.mark.parametrize("change", ["key", "nonce", "associated", "body", "short"])
def test_open_sealed__anything_changed(change: str) -> None:
    key, nonce, associated = bytes(32), bytes(12), b"header"
    sealed = seal(key, nonce, b"secret", associated)
    with pytest.raises(DecodeError):
        open_sealed(
            b"\1" * 32 if change == "key" else key,
            b"\1" * 12 if change == "nonce" else nonce,
            sealed[:3] if change == "short" else b"?" * (change == "body") + sealed,
            b"" if change == "associated" else associated,
        )


def test_chacha20_stream() -> None:
    # RFC 8439, A.1, test vector 1
    assert chacha20_stream(bytes(32), bytes(12), 64).hex() == (
        "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7"
        "da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586"
    )
    assert chacha20_stream(bytes(32), bytes(12), 0) == b""


def test_hkdf_sha256() -> None:
    # RFC 5869, A.1 and A.3
    assert hkdf_sha256(bytes(range(13)), b"\x0b" * 22, bytes(range(0xF0, 0xFA)), 42).hex() == (
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
    )
    assert hkdf_sha256(b"", b"\x0b" * 22, b"", 42).hex() == (
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"
    )


def test_tagged_hash() -> None:
    tag = hashlib.sha256(b"BIP0340/aux").digest()
    assert tagged_hash("BIP0340/aux", b"x") == hashlib.sha256(tag + tag + b"x").digest()
