from __future__ import annotations

from pathlib import Path

import pytest

from fedzmq.errors import FolderLocked
from fedzmq.files.folder_lock import FolderLock, is_locked
from tests.processes import Spoken

HOLDER = """
import pathlib, sys, time
from fedzmq.files.folder_lock import FolderLock
lock = FolderLock(pathlib.Path(sys.argv[1]))
print("it is held", flush=True)
time.sleep(600)
"""


def test_a_folder_without_a_lock_is_not_locked(tmp_path: Path) -> None:
    assert not is_locked(tmp_path)


def test_a_lock_is_seen_while_it_is_held(tmp_path: Path) -> None:
    with FolderLock(tmp_path):
        assert is_locked(tmp_path)
    assert not is_locked(tmp_path)


def test_a_process_that_holds_it_is_named_and_holds_it_no_more_once_it_is_killed(tmp_path: Path) -> None:
    with Spoken(["-c", HOLDER, str(tmp_path)], tmp_path) as holder:
        holder.expect("it is held")
        assert is_locked(tmp_path)
        with pytest.raises(FolderLocked, match=r"is in use by process \d+ on "):
            FolderLock(tmp_path)

    assert not is_locked(tmp_path)
    FolderLock(tmp_path).close()


def test_a_folder_that_is_none_is_an_error_of_the_disk(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        FolderLock(tmp_path / "nothing")
