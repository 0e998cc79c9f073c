from __future__ import annotations

import errno
from pathlib import Path

import pytest

from fedzmq.errors import UsageError
from fedzmq.worker.training import kept_files
from fedzmq.worker.training.kept_files import KeptFiles
from tests.worker.training.test_memory import NAME, kept


def test_a_folder_that_is_not_there_yet_is_fine_and_is_not_made(tmp_path: Path) -> None:
    KeptFiles(tmp_path / "a" / "b").check()

    assert list(tmp_path.iterdir()) == []


def test_where_nothing_can_be_kept_is_said_before_anything_else(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UsageError, match=r"nothing can be kept in .*: /.*/file is no folder that can be written to"):
        KeptFiles(tmp_path / "file" / "bob").check()


def test_a_full_disk_is_told_of_with_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*given: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(kept_files, "write_weights", full)
    files = KeptFiles(tmp_path / "bob")
    with pytest.raises(OSError, match=r"No space left on device: '/.*/bob'"):
        files.write(NAME, 1, kept(1.0))
    files.close()
