"""ChaCha20-Poly1305 (RFC 8439) for BOLT 8 and the seed file, and the bare stream for BOLT 4.

Thin over `cryptography`.  Whoever calls chooses the nonce and never uses one twice with a key.
"""

from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20

from wallet.base.errors import DecodeError

TAG_SIZE: Final = 16

_COUNTER_ZERO: Final = bytes(4)


def seal(key: bytes, nonce: bytes, plaintext: bytes, associated: bytes = b"") -> bytes:
    """Encrypt and authenticate: key 32 bytes, nonce 12; ciphertext and a tag of 16 bytes."""
    return ChaCha20Poly1305(key).encrypt(nonce, plaintext, associated)


def open_sealed(key: bytes, nonce: bytes, sealed: bytes, associated: bytes = b"") -> bytes:
    """The plaintext of `seal`; raises `DecodeError` if anything was changed or the key is wrong."""
    try:
        return ChaCha20Poly1305(key).decrypt(nonce, sealed, associated)
    except InvalidTag:
        raise DecodeError("the tag does not match: wrong key, or changed bytes") from None


def chacha20(key: bytes, nonce: bytes, data: bytes) -> bytes:
    """`data` XOR the ChaCha20 key stream from block 0, unauthenticated: key 32 bytes, nonce 12."""
    return Cipher(ChaCha20(key, _COUNTER_ZERO + nonce), mode=None).encryptor().update(data)


def chacha20_stream(key: bytes, nonce: bytes, length: int) -> bytes:
    """`length` bytes of the ChaCha20 key stream from block 0: key 32 bytes, nonce 12."""
    return chacha20(key, nonce, bytes(length))
