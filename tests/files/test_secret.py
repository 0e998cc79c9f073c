from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fedzmq.files.secret import BYTES, secret_in, user_secret


def test_a_secret_stays_and_nobody_else_reads_it(tmp_path: Path) -> None:
    first = secret_in(tmp_path / "fedzmq")

    assert secret_in(tmp_path / "fedzmq") == first
    assert secret_in(tmp_path / "other") != first
    assert len(first) == BYTES
    assert [path.name for path in (tmp_path / "fedzmq").iterdir()] == ["secret"]
    assert stat.S_IMODE((tmp_path / "fedzmq" / "secret").stat().st_mode) == 0o600


def test_those_who_make_it_at_once_have_the_same(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(secret_in, [tmp_path / "fedzmq"] * 8))) == 1


def test_it_has_its_name_once_the_disk_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_the_disk: list[os.stat_result] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: on_the_disk.append(os.fstat(descriptor)))
    link = os.link

    def named(source: str, path: Path) -> None:
        assert [(each.st_ino, each.st_size) for each in on_the_disk] == [(os.stat(source).st_ino, BYTES)]
        link(source, path)

    monkeypatch.setattr(os, "link", named)
    assert len(secret_in(tmp_path)) == BYTES


def test_a_user_has_one_where_the_state_of_programs_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))

    assert user_secret() == (tmp_path / "fedzmq" / "secret").read_bytes()


def test_where_none_can_be_kept_it_is_another_one_every_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "fedzmq").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))

    assert user_secret() != user_secret()
