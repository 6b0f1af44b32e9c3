"""BIP 341: leaves, branches, and the tweak that commits an output key to them."""

from typing import Final

from wallet.base.bitcoin.transaction import encode_varbytes
from wallet.base.crypto.curve import add_secrets, negate_secret, point_of, tweak_point
from wallet.base.crypto.hashes import tagged_hash
from wallet.base.values.ids import Point, Secret

TAPSCRIPT: Final = 0xC0
"""BIP 342's leaf version."""

_EVEN: Final = b"\x02"


def x_only(point: Point) -> bytes:
    """The 32 bytes of BIP 340 of a compressed point."""
    return point[1:]


def leaf_hash(script: bytes, version: int = TAPSCRIPT) -> bytes:
    """`TapLeaf` hash of one script."""
    return tagged_hash("TapLeaf", bytes((version,)) + encode_varbytes(script))


def branch_hash(one: bytes, other: bytes) -> bytes:
    """`TapBranch` hash of two nodes, whichever comes first."""
    return tagged_hash("TapBranch", min(one, other) + max(one, other))


def tap_tweak(internal_key: bytes, merkle_root: bytes = b"") -> bytes:
    """`TapTweak` of a 32-byte internal key and a root (empty: no scripts, as BIP 86 wants)."""
    return tagged_hash("TapTweak", internal_key + merkle_root)


def output_key(internal_key: bytes, merkle_root: bytes = b"") -> tuple[bytes, int]:
    """The 32-byte key for `script.p2tr`, and the parity of its point (for a control block)."""
    tweaked = tweak_point(_EVEN + internal_key, tap_tweak(internal_key, merkle_root))
    return tweaked[1:], tweaked[0] & 1


def output_secret(secret: Secret, merkle_root: bytes = b"") -> Secret:
    """The secret that signs for `output_key` of this secret's point (key path)."""
    point = point_of(secret)
    even = secret if point[:1] == _EVEN else negate_secret(secret)
    return add_secrets(even, tap_tweak(x_only(point), merkle_root))


def control_block(
    internal_key: bytes, parity: int, path: tuple[bytes, ...], version: int = TAPSCRIPT
) -> bytes:
    """The last witness item of a script path spend; `path` leads from beside the leaf upward."""
    return bytes((version | parity,)) + internal_key + b"".join(path)
