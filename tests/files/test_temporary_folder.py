from __future__ import annotations

import signal
import tempfile
from pathlib import Path

import pytest

from fedzmq.errors import FolderLocked
from fedzmq.files import temporary_folder
from fedzmq.files.folder_lock import FolderLock
from fedzmq.files.temporary_folder import TemporaryFolder
from tests.processes import Spoken

OWNER = """
import time
from fedzmq.files.temporary_folder import TemporaryFolder
folder = TemporaryFolder("ours-")
(folder.path / "within").mkdir()
(folder.path / "within" / "log").write_text("said")
print("it is there", flush=True)
time.sleep(600)
"""


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "tmp").mkdir(exist_ok=True)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    return tmp_path / "tmp"


def test_it_is_gone_with_all_that_is_in_it_once_it_is_closed(temporary: Path) -> None:
    folder = TemporaryFolder("ours-")
    (folder.path / "within").mkdir()
    (folder.path / "within" / "log").write_text("said")
    folder.close()
    folder.close()

    assert list(temporary.iterdir()) == []


def test_what_a_link_in_it_leads_to_stays(temporary: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "kept").write_text("kept")
    folder = TemporaryFolder("ours-")
    (folder.path / "link").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    folder.close()

    assert (tmp_path / "elsewhere" / "kept").read_text() == "kept"


def test_what_a_killed_process_left_is_removed_by_the_next_and_what_a_living_one_has_is_not(
    temporary: Path, tmp_path: Path
) -> None:
    with Spoken(["-c", OWNER], tmp_path) as owner:
        owner.expect("it is there")
        (left,) = temporary.iterdir()
        TemporaryFolder("ours-").close()
        assert (left / "within" / "log").exists()

        owner.signal(signal.SIGKILL)
        owner.wait()
        assert left.exists()
        TemporaryFolder("ours-").close()
        assert not left.exists()


def test_folders_without_a_lock_and_with_another_name_stay(temporary: Path) -> None:
    (temporary / "ours-old").mkdir()
    (temporary / "theirs").mkdir()
    FolderLock(temporary / "theirs").close()
    (temporary / "ours-link").symlink_to(temporary / "theirs", target_is_directory=True)
    TemporaryFolder("ours-").close()

    assert sorted(path.name for path in temporary.iterdir()) == ["ours-link", "ours-old", "theirs"]


def test_one_that_was_tidied_away_before_its_lock_is_made_anew(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Overtaken(FolderLock):
        """Another process removes the folder between its making and its first lock."""

        taken = 0

        def __init__(self, folder: Path, patience: float = 1.0) -> None:
            super().__init__(folder, patience)
            Overtaken.taken += 1
            if Overtaken.taken == 1:
                temporary_folder._remove(folder)
            elif Overtaken.taken == 2:
                self.close()
                raise FolderLocked(str(folder), "one who tidies up")

    monkeypatch.setattr(temporary_folder, "FolderLock", Overtaken)
    folder = TemporaryFolder("ours-")
    assert Overtaken.taken == 3
    assert folder.path.is_dir()
    folder.close()
