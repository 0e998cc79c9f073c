from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fedzmq.files.whole_file import WholeFile, sweep


def write(folder: Path, content: bytes) -> None:
    with WholeFile(folder) as whole:
        whole.file.write(content)
        whole.become("file")


def fails(real: Callable[..., Any], at: int) -> Callable[..., Any]:
    """The same, but for the call with this number, which finds the disk full."""
    calls = iter(range(1, 100))

    def function(*arguments: Any) -> Any:
        if next(calls) == at:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(*arguments)

    return function


def test_a_file_is_there_whole(tmp_path: Path) -> None:
    write(tmp_path, b"content")

    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_bytes() == b"content"


def test_a_new_one_takes_the_place_of_the_old(tmp_path: Path) -> None:
    write(tmp_path, b"old")
    write(tmp_path, b"new")

    assert (tmp_path / "file").read_bytes() == b"new"


def test_one_that_became_nothing_leaves_nothing(tmp_path: Path) -> None:
    with WholeFile(tmp_path) as whole:
        whole.file.write(b"half of it")

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("step", "at"), [("fsync", 1), ("replace", 1), ("open", 1)])
def test_a_step_that_fails_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, at: int
) -> None:
    write(tmp_path, b"old")
    monkeypatch.setattr(os, step, fails(getattr(os, step), at))
    with pytest.raises(OSError, match="No space left"):
        write(tmp_path, b"new")
    monkeypatch.undo()

    old = b"new" if step == "open" else b"old"  # the folder is opened last of all, when the new file has its name
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"file": old}


def test_one_that_the_disk_has_no_room_for_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    write(tmp_path, b"old")
    with WholeFile(tmp_path) as whole:
        full = os.open("/dev/full", os.O_WRONLY)
        os.dup2(full, whole.file.fileno())
        os.close(full)
        whole.file.write(b"new")
        with pytest.raises(OSError, match="No space left"):
            whole.become("file")

    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"file": b"old"}


def test_what_a_killed_process_left_is_swept(tmp_path: Path) -> None:
    write(tmp_path, b"content")
    WholeFile(tmp_path).file.close()
    sweep(tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == ["file"]
