"""Hash functions by the names Bitcoin and the BOLTs give them."""

import hashlib
import hmac
from functools import lru_cache


def sha256(data: bytes) -> bytes:
    """SHA-256, 32 bytes."""
    return hashlib.sha256(data).digest()


def sha256d(data: bytes) -> bytes:
    """Bitcoin's double SHA-256, 32 bytes."""
    return hashlib.sha256(hashlib.sha256(data).digest()).digest()


def hmac_sha256(key: bytes, data: bytes) -> bytes:
    """HMAC-SHA-256, 32 bytes."""
    return hmac.digest(key, data, "sha256")


def hkdf_sha256(salt: bytes, secret: bytes, info: bytes, length: int) -> bytes:
    """RFC 5869 HKDF with SHA-256, `length` bytes."""
    prk = hmac_sha256(salt, secret)
    out = block = b""
    counter = 1
    while len(out) < length:
        block = hmac_sha256(prk, block + info + bytes([counter]))
        out += block
        counter += 1
    return out[:length]


@lru_cache(maxsize=64)
def _tag_prefix(tag: str) -> "hashlib._Hash":
    digest = sha256(tag.encode())
    return hashlib.sha256(digest + digest)


def tagged_hash(tag: str, data: bytes) -> bytes:
    """BIP 340 tagged hash, 32 bytes."""
    state = _tag_prefix(tag).copy()
    state.update(data)
    return state.digest()
