"""BOLT 8 transport encryption after the handshake: messages in, frames out, and back.

A frame is an encrypted 2-byte length and the encrypted message, each with a 16-byte tag.  Both
directions have their own key, which changes after 1,000 uses, that is every 500 messages: the
nonce is the count of uses and never repeats under one key.
"""

from dataclasses import dataclass
from typing import Final

# The cipher object itself and not `base.crypto.aead`: it is kept until the key rotates, because
# setting it up costs as much as encrypting a message.
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from wallet.base.crypto.hashes import hkdf_sha256
from wallet.base.errors import InvariantBroken, PeerFault, Severity
from wallet.base.values.ids import NodeId

MAX_MESSAGE: Final = 65_535
ROTATE_AFTER: Final = 1000
"""BOLT 8 "Lightning Message Key Rotation": uses of one key."""

_TAG_SIZE: Final = 16
_HEADER_SIZE: Final = 2 + _TAG_SIZE
_NONCES: Final = tuple(bytes(4) + n.to_bytes(8, "little") for n in range(ROTATE_AFTER))


def hkdf_pair(salt: bytes, secret: bytes) -> tuple[bytes, bytes]:
    """BOLT 8 `HKDF(salt, ikm)`: two times 32 bytes."""
    both = hkdf_sha256(salt, secret, b"", 64)
    return both[:32], both[32:]


class _RotatingCipher:
    """One direction's key, its chaining key and its nonce."""

    __slots__ = ("_chaining_key", "_cipher", "_key", "_nonce")

    def __init__(self, key: bytes, chaining_key: bytes) -> None:
        self._key = key
        self._chaining_key = chaining_key
        self._cipher = ChaCha20Poly1305(key)
        self._nonce = 0

    def _rotate(self) -> None:
        self._chaining_key, self._key = hkdf_pair(self._chaining_key, self._key)
        self._cipher = ChaCha20Poly1305(self._key)
        self._nonce = 0


class Encryptor(_RotatingCipher):
    """Turns messages into frames, in the order in which they will be sent."""

    __slots__ = ()

    def encrypt(self, message: bytes) -> bytes:
        """The frame of one message, 34 bytes longer; at most 65,535 bytes are allowed."""
        if len(message) > MAX_MESSAGE:
            raise InvariantBroken(f"a message of {len(message)} bytes; {MAX_MESSAGE} is the most")
        nonce, cipher = self._nonce, self._cipher
        frame = cipher.encrypt(_NONCES[nonce], len(message).to_bytes(2, "big"), None)
        frame += cipher.encrypt(_NONCES[nonce + 1], message, None)
        self._nonce = nonce + 2
        if self._nonce == ROTATE_AFTER:
            self._rotate()
        return frame


class Decryptor(_RotatingCipher):
    """Turns a stream of bytes, cut anywhere, back into messages."""

    __slots__ = ("_broken", "_buffer", "_size")

    def __init__(self, key: bytes, chaining_key: bytes) -> None:
        super().__init__(key, chaining_key)
        self._buffer = bytearray()
        self._size: int | None = None
        self._broken = False

    def feed(self, data: bytes) -> list[bytes]:
        """Take what has arrived; gives the messages that are complete now.

        Raises `PeerFault` (DISCONNECT) when a tag is wrong, and ever after: the stream cannot be
        picked up again.  Messages that came in the same piece are lost, as by a cut link.
        """
        if self._broken:
            raise PeerFault(Severity.DISCONNECT, "BOLT 8: the stream is broken")
        kept = self._buffer
        kept_any = bool(kept)
        if kept_any:
            kept += data
        # Most pieces are whole frames: those are read in place, only a cut one is copied and kept.
        source = kept if kept_any else data
        messages: list[bytes] = []
        try:
            at = self._take(source, messages)
        except InvalidTag:
            self._broken = True
            kept.clear()
            raise PeerFault(Severity.DISCONNECT, "BOLT 8: a frame is not authentic") from None
        if kept_any:
            del kept[:at]
        else:
            kept += data[at:]
        return messages

    def _take(self, source: bytes | bytearray, messages: list[bytes]) -> int:
        """Decrypt what is complete in `source`; gives how many bytes are done with."""
        at = 0
        while True:
            if self._size is None:
                end = at + _HEADER_SIZE
                if len(source) < end:
                    return at
                self._size = int.from_bytes(self._decrypt(source[at:end]), "big")
                at = end
            end = at + self._size + _TAG_SIZE
            if len(source) < end:
                return at
            messages.append(self._decrypt(source[at:end]))
            self._size = None
            at = end

    def _decrypt(self, sealed: bytes | bytearray) -> bytes:
        plaintext = self._cipher.decrypt(_NONCES[self._nonce], sealed, None)
        self._nonce += 1
        if self._nonce == ROTATE_AFTER:
            self._rotate()
        return plaintext


@dataclass(frozen=True, slots=True)
class Session:
    """An authenticated connection: what we send goes through `send`, what comes into `receive`."""

    send: Encryptor
    receive: Decryptor
    their_id: NodeId
