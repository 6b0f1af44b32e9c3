"""The seed file: opens with its password, never overwritten, never half written, never shown."""

import errno
import json
import os
import stat
from pathlib import Path

import pytest

from wallet.base.errors import Refused, ServiceFault
from wallet.faces.rpc.errors import Code
from wallet.services.vault.seed_file import (
    DEFAULT_COST,
    LOCKED,
    WRONG_PASSWORD,
    Recovery,
    ScryptCost,
    create_seed_file,
    open_seed_file,
    read_seed_header,
)

RECOVERY = Recovery(bytes(range(32)), "an extra wörd")
QUICK = ScryptCost(n=16)

# A file of version 1 as it was written with this format's first commit: it must open for ever.
FIRST_FILE = (
    '{"version": 1, "network": "regtest", "birthday": 1700000000, "kdf": "scrypt",'
    ' "parameters": {"n": 16, "r": 8, "p": 1},'
    ' "salt": "becc7f5534fd5c00323bf5ecf104e2cc", "nonce": "445e431a30ab4b369de69153",'
    ' "ciphertext": "'
    "52fcba4577e477b434904ae147c626dedfa7b3546d1a0e1bfef360f7b521324ecdbae1074b9caf5927d6"
    "e1ad45941c07e4746b3b8bdf1acf5a226a8780b48be3c9a74f07463abd7470415fe0d799363c3e"
    '"}'
)


def make(path: Path, password: str | None = "pass wörd") -> None:
    create_seed_file(
        path, RECOVERY, network="regtest", birthday=1_700_000_000, password=password, cost=QUICK
    )


def change(path: Path, **fields: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def refusal(path: Path, password: str | None = "pass wörd") -> Refused:
    with pytest.raises(Refused) as caught:
        open_seed_file(path, password, network="regtest")
    return caught.value


def test_codes__are_the_rpcs() -> None:
    assert (LOCKED, WRONG_PASSWORD) == (Code.LOCKED, Code.WRONG_PASSWORD)


def test_encrypted__opens_with_its_password(tmp_path: Path) -> None:
    path = tmp_path / "seed.json"
    make(path)
    header = read_seed_header(path)
    assert (header.network, header.birthday, header.encrypted) == ("regtest", 1_700_000_000, True)
    assert open_seed_file(path, "pass wörd", network="regtest").recovery == RECOVERY
    # The same letters, typed as o and a combining diaeresis.
    assert open_seed_file(path, "pass wo\u0308rd", network="regtest").recovery == RECOVERY
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["seed.json"]
    assert RECOVERY.entropy.hex() not in path.read_text()


def test_encrypted__without_and_with_a_wrong_password(tmp_path: Path) -> None:
    path = tmp_path / "seed.json"
    make(path)
    assert refusal(path, None).code == LOCKED
    assert refusal(path, "pass word").code == WRONG_PASSWORD
    assert "password" in refusal(path, "").message


def test_unencrypted__opens_without_a_password(tmp_path: Path) -> None:
    path = tmp_path / "seed.json"
    make(path, None)
    assert not read_seed_header(path).encrypted
    for password in (None, "anything"):
        assert open_seed_file(path, password, network="regtest").recovery == RECOVERY


def test_first_file__opens_for_ever(tmp_path: Path) -> None:
    path = tmp_path / "seed.json"
    path.write_text(FIRST_FILE)
    opened = open_seed_file(path, "correct horse", network="regtest")
    assert opened.recovery == Recovery(bytes(range(16)), "")
    assert opened.header.birthday == 1_700_000_000


def test_default_cost__is_expensive() -> None:
    assert 128 * DEFAULT_COST.n * DEFAULT_COST.r == 128 << 20  # bytes of memory
    assert DEFAULT_COST.is_sane


@pytest.mark.parametrize("password", ["pass wörd", None])
@pytest.mark.parametrize(
    "fields",
    [
        {"birthday": 1_800_000_000},
        {"salt": bytes(16).hex()},
        {"nonce": bytes(12).hex()},
        {"ciphertext": bytes(60).hex()},
    ],
)
def test_changed__any_authenticated_field(
    tmp_path: Path, password: str | None, fields: dict[str, object]
) -> None:
    path = tmp_path / "seed.json"
    make(path, password)
    change(path, **fields)
    refused = refusal(path)
    assert refused.code == (-1 if password is None else WRONG_PASSWORD)


def test_changed__the_network(tmp_path: Path) -> None:
    path = tmp_path / "seed.json"
    make(path)
    with pytest.raises(Refused, match="a wallet for 'regtest', not for bitcoin"):
        open_seed_file(path, "pass wörd", network="bitcoin")
    change(path, network="bitcoin")
    with pytest.raises(Refused) as caught:
        open_seed_file(path, "pass wörd", network="bitcoin")
    assert caught.value.code == WRONG_PASSWORD


@pytest.mark.parametrize("fields", [{"version": 2}, {"version": 2, "kdf": 7}, {"kdf": "argon2id"}])
def test_newer__is_refused(tmp_path: Path, fields: dict[str, object]) -> None:
    path = tmp_path / "seed.json"
    make(path)
    change(path, **fields)
    assert "newer leyden" in refusal(path).message


@pytest.mark.parametrize(
    "fields",
    [
        {"version": 0},
        {"version": "1"},
        {"version": True},
        {"network": 5},
        {"birthday": None},
        {"salt": "zz"},
        {"nonce": "00"},
        {"ciphertext": ""},
        {"parameters": []},
        {"parameters": {"n": 1 << 40, "r": 8, "p": 1}},
        {"parameters": {"n": 17, "r": 8, "p": 1}},
        {"parameters": {"n": 16, "r": 8}},
    ],
)
def test_malformed__is_damaged(tmp_path: Path, fields: dict[str, object]) -> None:
    path = tmp_path / "seed.json"
    make(path)
    change(path, **fields)
    assert "is damaged" in refusal(path).message


@pytest.mark.parametrize("text", [b"", b"\xff\xfe", b"[]", b"[" * 60_000, b"1", b'{"version"'])
def test_not_a_seed_file(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "seed.json"
    path.write_bytes(text)
    assert "is damaged" in refusal(path).message


def test_missing__says_how_to_make_one(tmp_path: Path) -> None:
    assert "leyden init" in refusal(tmp_path / "seed.json").message


def test_create__never_overwrites(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "seed.json"
    make(path)
    before = path.read_bytes()
    with pytest.raises(Refused, match="already holds a wallet"):
        make(path)

    def unseen(_: Path) -> bool:
        return False

    # Somebody else was first between our look and our write.
    monkeypatch.setattr(Path, "exists", unseen)
    with pytest.raises(Refused, match="already holds a wallet"):
        make(path)
    assert path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("failing", ["fsync", "link"])
def test_create__disk_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, failing, full)
    with pytest.raises(ServiceFault, match="No space left on device"):
        make(tmp_path / "seed.json")
    assert list(tmp_path.iterdir()) == []


def test_create__syncs_the_file_before_its_name_and_the_directory_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, seen = tmp_path / "seed.json", []
    real_fsync, real_link = os.fsync, os.link

    def fsync(descriptor: int) -> None:
        seen.append("directory" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        real_fsync(descriptor)

    def link(draft: Path, final: Path) -> None:
        seen.append("link")
        real_link(draft, final)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "link", link)
    make(path)
    assert seen == ["file", "link", "directory"]


def test_repr__shows_no_secret(tmp_path: Path) -> None:
    path = tmp_path / "seed.json"
    make(path)
    shown = repr(open_seed_file(path, "pass wörd", network="regtest"))
    for secret in (RECOVERY.entropy.hex(), repr(RECOVERY.entropy), "wörd", RECOVERY.words()[1]):
        assert secret not in shown
