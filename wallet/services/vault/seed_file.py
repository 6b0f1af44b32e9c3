"""The seed file: the recovery phrase on disk, in a format kept for ever.

One JSON object: `version`, `network`, `birthday` (Unix seconds before which the seed had no money;
0 is unknown), `kdf`, `parameters`, `salt`, `nonce`, `ciphertext` (bytes in hexadecimal).  The key
is scrypt of the password; the ciphertext is ChaCha20-Poly1305 of a JSON payload with the BIP 39
`entropy` and `passphrase`.  The other fields are authenticated as associated data: whoever changes
the network or the birthday in the file makes it unreadable instead of hiding money.

With `kdf` `none` the key is SHA-256 of the salt: that notices damage, and hides nothing.
"""

import errno
import json
import os
import secrets
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from wallet.base.crypto.aead import TAG_SIZE, open_sealed, seal
from wallet.base.crypto.hashes import sha256
from wallet.base.crypto.mnemonic import phrase_of, seed_of
from wallet.base.errors import DecodeError, Refused, ServiceFault

VERSION: Final = 1
LOCKED: Final = -32001
"""RPC code of a `Refused` that a password would cure (exit code 7 on the command line)."""
WRONG_PASSWORD: Final = -32002
"""RPC code of a `Refused` password (exit code 7 too)."""

_MOST_BYTES: Final = 65_536


@dataclass(frozen=True, slots=True)
class ScryptCost:
    """RFC 7914 parameters; the default takes about half a second and 128 MiB."""

    n: int = 1 << 17
    r: int = 8
    p: int = 1

    @property
    def is_sane(self) -> bool:
        """Whether we could have written it: a forged file must not eat all memory or time."""
        power = 2 <= self.n <= 1 << 20 and self.n & (self.n - 1) == 0
        return power and 1 <= self.r <= 16 and 1 <= self.p <= 16


DEFAULT_COST: Final = ScryptCost()


@dataclass(frozen=True, slots=True)
class Recovery:
    """What a person writes down, as bytes: BIP 39 entropy, and the extra word (usually empty)."""

    entropy: bytes = field(repr=False)
    passphrase: str = field(default="", repr=False)

    def words(self) -> tuple[str, ...]:
        """The recovery phrase."""
        return tuple(phrase_of(self.entropy).split())

    def seed(self) -> bytes:
        """BIP 39 seed, 64 bytes: the root of every key."""
        return seed_of(phrase_of(self.entropy), self.passphrase)

    def encode(self) -> bytes:
        """The payload that is encrypted."""
        named = {"entropy": self.entropy.hex(), "passphrase": self.passphrase}
        return json.dumps(named).encode()

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        """Parse a payload; raises `DecodeError`."""
        fields = _Fields.parse(payload)
        recovery = cls(fields.data("entropy"), fields.text("passphrase"))
        recovery.words()
        return recovery


@dataclass(frozen=True, slots=True)
class SeedHeader:
    """What the file says without a password. `cost` None: not encrypted."""

    network: str
    birthday: int
    cost: ScryptCost | None
    salt: bytes

    @property
    def encrypted(self) -> bool:
        """Whether a password is needed."""
        return self.cost is not None

    def fields(self) -> dict[str, object]:
        """The header as it stands in the file."""
        cost = self.cost
        return {
            "version": VERSION,
            "network": self.network,
            "birthday": self.birthday,
            "kdf": "none" if cost is None else "scrypt",
            "parameters": {} if cost is None else {"n": cost.n, "r": cost.r, "p": cost.p},
            "salt": self.salt.hex(),
        }

    def associated_data(self) -> bytes:
        """All of the header in one spelling, whatever the layout of the file."""
        return json.dumps(self.fields(), sort_keys=True, separators=(",", ":")).encode()

    def key(self, password: str | None) -> bytes:
        """The 32-byte key; takes half a second when there is a cost. Raises `ServiceFault`."""
        cost = self.cost
        if cost is None or password is None:
            return sha256(self.salt)
        # The same letters typed on two systems can be different code points.
        typed = unicodedata.normalize("NFKD", password).encode("utf-8", "surrogatepass")
        try:
            return Scrypt(self.salt, length=32, n=cost.n, r=cost.r, p=cost.p).derive(typed)
        except MemoryError:
            memory = 128 * cost.n * cost.r >> 20
            raise ServiceFault(f"the password needs {memory} MiB of memory to check") from None


@dataclass(frozen=True, slots=True)
class OpenedSeed:
    """A decrypted seed file."""

    header: SeedHeader
    recovery: Recovery


def create_seed_file(
    path: Path,
    recovery: Recovery,
    *,
    network: str,
    birthday: int,
    password: str | None,
    cost: ScryptCost = DEFAULT_COST,
) -> None:
    """Write a new seed file, durable when this returns. `password` None leaves it readable.

    Never overwrites: raises `Refused` when the file exists, `ServiceFault` when the disk fails.
    """
    if path.exists():
        raise already_there(path)
    salt, nonce = secrets.token_bytes(16), secrets.token_bytes(12)
    header = SeedHeader(network, birthday, None if password is None else cost, salt)
    sealed = seal(header.key(password), nonce, recovery.encode(), header.associated_data())
    whole = {**header.fields(), "nonce": nonce.hex(), "ciphertext": sealed.hex()}
    _write_new(path, (json.dumps(whole, indent=1) + "\n").encode())


def read_seed_header(path: Path) -> SeedHeader:
    """What the file says without a password. Not yet authenticated.

    Raises `Refused` when there is no file, or it is damaged, or from a newer version.
    """
    return _read(path)[0]


def open_seed_file(path: Path, password: str | None, *, network: str) -> OpenedSeed:
    """Decrypt the wallet of `network`; `password` is ignored when the file is not encrypted.

    Takes half a second: not for an event loop's thread.  Raises `Refused` with code -32001 when a
    password is needed, -32002 when it is wrong, -1 otherwise.
    """
    header, nonce, ciphertext = _read(path)
    if header.network != network:
        raise Refused(f"{path} is a wallet for {header.network[:40]!r}, not for {network}")
    if header.encrypted and password is None:
        raise Refused("the wallet is locked; unlock it with its password", LOCKED)
    try:
        payload = open_sealed(header.key(password), nonce, ciphertext, header.associated_data())
    except DecodeError:
        if not header.encrypted:
            raise _damaged(path) from None
        # A wrong password and a changed file look the same to the cipher.
        raise Refused(
            "this password does not open the wallet; if it is the right one, the seed file was "
            "changed: restore it from the recovery phrase",
            WRONG_PASSWORD,
        ) from None
    try:
        return OpenedSeed(header, Recovery.decode(payload))
    except DecodeError:
        raise _damaged(path) from None


def already_there(path: Path) -> Refused:
    """What to tell somebody who would make a second wallet in the same place."""
    return Refused(
        f"{path.parent} already holds a wallet; give another --dir (a seed is never overwritten)"
    )


def _damaged(path: Path) -> Refused:
    return Refused(f"{path} is damaged; restore the wallet from its recovery phrase elsewhere")


@dataclass(frozen=True, slots=True)
class _Fields:
    """A JSON object read field by field; each accessor raises `DecodeError` on another type."""

    named: dict[str, object] = field(repr=False)

    @classmethod
    def parse(cls, data: bytes) -> Self:
        try:
            return cls.of(json.loads(data))
        except (ValueError, RecursionError):
            raise DecodeError("not JSON") from None

    @classmethod
    def of(cls, value: object) -> Self:
        if not isinstance(value, dict):
            raise DecodeError("not a JSON object")
        return cls(value)

    def number(self, name: str) -> int:
        value = self.named.get(name)
        if not isinstance(value, int) or isinstance(value, bool):
            raise DecodeError(f"{name} is not a number")
        return value

    def text(self, name: str) -> str:
        value = self.named.get(name)
        if not isinstance(value, str):
            raise DecodeError(f"{name} is not a text")
        return value

    def data(self, name: str) -> bytes:
        try:
            return bytes.fromhex(self.text(name))
        except ValueError:
            raise DecodeError(f"{name} is not hexadecimal") from None

    def below(self, name: str) -> "_Fields":
        return _Fields.of(self.named.get(name))


def _read(path: Path) -> tuple[SeedHeader, bytes, bytes]:
    """Header, nonce and ciphertext of a file."""
    try:
        with path.open("rb") as file:
            text = file.read(_MOST_BYTES)
    except FileNotFoundError:
        raise Refused(f"there is no wallet in {path.parent}; make one with `leyden init`") from None
    except OSError as error:
        raise ServiceFault(f"cannot read {path}: {error.strerror}") from None
    try:
        fields = _Fields.parse(text)
        version = fields.number("version")
        if version > VERSION or (kdf := fields.text("kdf")) not in ("none", "scrypt"):
            raise Refused(f"{path} was written by a newer leyden; update leyden to open it")
        nonce, ciphertext = fields.data("nonce"), fields.data("ciphertext")
        cost = None if kdf == "none" else _cost(fields.below("parameters"))
        header = SeedHeader(
            fields.text("network"), fields.number("birthday"), cost, fields.data("salt")
        )
    except DecodeError:
        raise _damaged(path) from None
    if version != VERSION or len(nonce) != 12 or len(ciphertext) < TAG_SIZE:
        raise _damaged(path)
    return header, nonce, ciphertext


def _cost(fields: _Fields) -> ScryptCost:
    cost = ScryptCost(fields.number("n"), fields.number("r"), fields.number("p"))
    if not cost.is_sane:
        raise DecodeError("nobody writes such a cost")
    return cost


def _write_new(path: Path, data: bytes) -> None:
    """Make `path` with `data`, wholly and durably or not at all, and never over another file."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        try:
            _write_durably(draft, data)
            # Unlike a rename, a link fails when somebody else was first.
            os.link(draft, path)
        finally:
            draft.unlink(missing_ok=True)
        # Without this the file's name may be lost in a power cut although its bytes are not.
        _sync_directory(path.parent)
    except FileExistsError:
        raise already_there(path) from None
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise Refused(f"cannot write to {path.parent}; give another --dir") from None
        raise ServiceFault(f"cannot write {path}: {error.strerror}") from None


def _write_durably(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
