"""BOLT 8 handshake, Noise_XK on secp256k1: three acts, bytes in and bytes out.

    initiator                                responder
    act_one()            -- 50 bytes -->     act_one(received)
    act_two(received)    <-- 50 bytes --       its answer
      its answer         -- 66 bytes -->     act_three(received)

The secret of the node key stays with its holder: `ecdh` is a function that multiplies by it.  The
ephemeral secret is an argument and must be fresh for every connection.  Whatever the other side
gets wrong is a `PeerFault` of severity DISCONNECT; nothing is answered after it.
"""

from collections.abc import Callable
from typing import Final

from wallet.base.crypto.aead import open_sealed, seal
from wallet.base.crypto.curve import check_point, ecdh, point_of
from wallet.base.crypto.hashes import sha256
from wallet.base.errors import DecodeError, InvariantBroken, PeerFault, Severity
from wallet.base.values.ids import NodeId, Point, Secret
from wallet.machines.noise.session import Decryptor, Encryptor, Session, hkdf_pair

ACT_ONE_SIZE: Final = 50
ACT_TWO_SIZE: Final = 50
ACT_THREE_SIZE: Final = 66

StaticEcdh = Callable[[Point], bytes]
"""SHA-256 of the compressed product of the node's secret and a point, 32 bytes."""

_VERSION: Final = b"\0"
_TAG_SIZE: Final = 16
_NONCE_0: Final = bytes(12)
_NONCE_1: Final = bytes(4) + (1).to_bytes(8, "little")
_PROTOCOL: Final = sha256(b"Noise_XK_secp256k1_ChaChaPoly_SHA256")
_START: Final = sha256(_PROTOCOL + b"lightning")


class _Transcript:
    """`h`, `ck` and the temporary key of BOLT 8 "Handshake State"."""

    __slots__ = ("_hash", "_key", "chaining_key")

    def __init__(self, responder_id: NodeId) -> None:
        self.chaining_key = _PROTOCOL
        self._hash = sha256(_START + responder_id)
        self._key = b""

    def mix(self, data: bytes) -> None:
        """Everything sent and received goes into `h`."""
        self._hash = sha256(self._hash + data)

    def mix_key(self, shared: bytes) -> None:
        """An ECDH result goes into `ck` and gives the next temporary key."""
        self.chaining_key, self._key = hkdf_pair(self.chaining_key, shared)

    def seal(self, nonce: bytes, plaintext: bytes) -> bytes:
        """Encrypt under `h` as associated data; the ciphertext goes into `h`."""
        sealed = seal(self._key, nonce, plaintext, self._hash)
        self.mix(sealed)
        return sealed

    def open(self, nonce: bytes, sealed: bytes, failure: str) -> bytes:
        """Undo `seal`; raises `PeerFault` with the reason `failure`."""
        try:
            plaintext = open_sealed(self._key, nonce, sealed, self._hash)
        except DecodeError:
            raise _fault(failure) from None
        self.mix(sealed)
        return plaintext

    def keys(self) -> tuple[bytes, bytes]:
        """The initiator's sending key and its receiving key."""
        return hkdf_pair(self.chaining_key, b"")


def _fault(reason: str) -> PeerFault:
    return PeerFault(Severity.DISCONNECT, f"BOLT 8 handshake: {reason}")


def _check_frame(act: str, received: bytes, size: int) -> None:
    if len(received) != size:
        raise _fault(f"{act} has {size} bytes, not {len(received)}")
    # BOLT 8: Clients MUST reject handshake attempts initiated with an unknown version.
    if received[:1] != _VERSION:
        raise _fault(f"{act} has the unknown version {received[0]}")


def _point(act: str, data: bytes) -> Point:
    try:
        return check_point(data)
    except DecodeError:
        raise _fault(f"the public key in {act} is not a point") from None


class Initiator:
    """The side that connects and knows whom it calls. Each act is called once, in order."""

    __slots__ = ("_ecdh", "_ephemeral", "_our_id", "_sent", "_their_id", "_transcript")

    def __init__(
        self, our_id: NodeId, static_ecdh: StaticEcdh, ephemeral: Secret, their_id: NodeId
    ) -> None:
        self._our_id = our_id
        self._ecdh = static_ecdh
        self._ephemeral = ephemeral
        self._their_id = their_id
        self._transcript = _Transcript(their_id)
        self._sent = False

    def act_one(self) -> bytes:
        """What to send first, 50 bytes."""
        if self._sent:
            raise InvariantBroken("act one was made already")
        self._sent = True
        public = point_of(self._ephemeral)
        transcript = self._transcript
        transcript.mix(public)
        transcript.mix_key(ecdh(self._their_id, self._ephemeral))
        return _VERSION + public + transcript.seal(_NONCE_0, b"")

    def act_two(self, received: bytes) -> tuple[bytes, Session]:
        """Take the answer; gives act three (66 bytes, to be sent) and the session."""
        _check_frame("act two", received, ACT_TWO_SIZE)
        public = _point("act two", received[1:34])
        transcript = self._transcript
        transcript.mix(public)
        transcript.mix_key(ecdh(public, self._ephemeral))
        transcript.open(_NONCE_0, received[34:], "act two is not authentic")
        sealed_id = transcript.seal(_NONCE_1, self._our_id)
        transcript.mix_key(self._ecdh(public))
        act_three = _VERSION + sealed_id + transcript.seal(_NONCE_0, b"")
        send, receive = transcript.keys()
        chaining_key = transcript.chaining_key
        return act_three, Session(
            Encryptor(send, chaining_key), Decryptor(receive, chaining_key), self._their_id
        )


class Responder:
    """The side that is called and learns by whom. Each act is called once, in order."""

    __slots__ = ("_ecdh", "_ephemeral", "_transcript")

    def __init__(self, our_id: NodeId, static_ecdh: StaticEcdh, ephemeral: Secret) -> None:
        self._ecdh = static_ecdh
        self._ephemeral = ephemeral
        self._transcript = _Transcript(our_id)

    def act_one(self, received: bytes) -> bytes:
        """Take the first 50 bytes; gives act two (50 bytes, to be sent)."""
        _check_frame("act one", received, ACT_ONE_SIZE)
        theirs = _point("act one", received[1:34])
        transcript = self._transcript
        transcript.mix(theirs)
        transcript.mix_key(self._ecdh(theirs))
        transcript.open(_NONCE_0, received[34:], "the caller does not know our node id")
        public = point_of(self._ephemeral)
        transcript.mix(public)
        transcript.mix_key(ecdh(theirs, self._ephemeral))
        return _VERSION + public + transcript.seal(_NONCE_0, b"")

    def act_three(self, received: bytes) -> Session:
        """Take the last 66 bytes; gives the session, which names the caller."""
        _check_frame("act three", received, ACT_THREE_SIZE)
        tag_at = ACT_THREE_SIZE - _TAG_SIZE
        transcript = self._transcript
        raw_id = transcript.open(_NONCE_1, received[1:tag_at], "the caller's id was altered")
        their_id = NodeId(_point("act three", raw_id))
        transcript.mix_key(ecdh(their_id, self._ephemeral))
        transcript.open(_NONCE_0, received[tag_at:], "the caller does not hold its node key")
        receive, send = transcript.keys()
        chaining_key = transcript.chaining_key
        return Session(Encryptor(send, chaining_key), Decryptor(receive, chaining_key), their_id)
