"""One core per directory; 0600 files in a 0700 directory; sentences instead of tracebacks."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from wallet.base.errors import Refused
from wallet.services.directory import DataDirectory


def test_prepare__makes_private_directories(tmp_path: Path) -> None:
    place = DataDirectory(tmp_path / "made" / "here", "regtest")
    place.prepare()
    assert place.path.stat().st_mode & 0o777 == 0o700
    assert place.root.stat().st_mode & 0o777 == 0o700
    place.prepare()  # Twice is harmless.


def test_prepare__closes_an_open_directory(tmp_path: Path) -> None:
    place = DataDirectory(tmp_path, "regtest")
    place.path.mkdir(mode=0o755)
    place.prepare()
    assert place.path.stat().st_mode & 0o777 == 0o700


def test_prepare__a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "wallet").write_text("")
    with pytest.raises(Refused, match="is not a directory"):
        DataDirectory(tmp_path / "wallet", "regtest").prepare()
    with pytest.raises(Refused, match="is not a directory"):
        DataDirectory(tmp_path / "wallet" / "below", "regtest").prepare()


def test_prepare__not_ours_to_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object) -> bool:
        return False

    monkeypatch.setattr(os, "access", denied)  # Root may write anywhere, so modes prove nothing.
    with pytest.raises(Refused, match="cannot write to"):
        DataDirectory(tmp_path, "regtest").prepare()


def test_prepare__a_name_too_long(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="the system cannot open"):
        DataDirectory(tmp_path / ("x" * 300), "regtest").prepare()


def test_lock__names_the_process_that_has_it(tmp_path: Path) -> None:
    place = DataDirectory(tmp_path, "regtest")
    place.prepare()
    with place.lock():
        assert place.lock_file.stat().st_mode & 0o777 == 0o600
        with pytest.raises(Refused, match=rf"another leyden \(process {os.getpid()}\)"):
            place.lock()
    place.lock().release()


def test_lock__ends_with_a_killed_process(tmp_path: Path) -> None:
    place = DataDirectory(tmp_path, "regtest")
    place.prepare()
    program = (
        "import sys, time; from pathlib import Path\n"
        "from wallet.services.directory import DataDirectory\n"
        "held = DataDirectory(Path(sys.argv[1]), 'regtest').lock()\n"
        "print('held', flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(Refused, match=f"process {other.pid}"):
            place.lock()
        other.kill()
    place.lock().release()
