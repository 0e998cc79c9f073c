from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path

import pytest
import torch

from fedzmq.errors import RunFolderError, RunFolderFull
from fedzmq.federated.ledger.folder_error import folder_error
from fedzmq.federated.run_folder import read_rounds
from fedzmq.federation import room
from fedzmq.federation.display import Display
from fedzmq.federation.federation import Federation
from tests.federation.test_federation import linear, points

ROUNDS = {"rounds": 3, "batch_size": 8, "lr": 0.5}


class Full(Display):
    """A disk that is full from the second model on, until somebody has said that there is no room `often` enough."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, often: int) -> None:
        self.said: list[str] = []
        self._models = self._failures = 0
        self._often = often
        self._replace = os.replace
        monkeypatch.setattr(os, "replace", self.replace)
        monkeypatch.setattr(room, "LOOK", 0.0)

    def replace(self, source: Path, target: Path) -> None:
        self._models += target.parent.name == "models"
        if self._models > 1 and self._failures < self._often:
            self._failures += 1
            raise OSError(errno.ENOSPC, "No space left on device")
        self._replace(source, target)

    def say(self, line: str) -> None:
        self.said.append(line)


def test_a_training_waits_for_room_on_its_disk_and_ends_with_the_same_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, other = linear(), linear()
    with Federation(workers={"bob": points(1)}) as federation:
        federation.train(other, evaluate=False, **ROUNDS).run()
        display = Full(monkeypatch, often=2)
        run = tmp_path / "run"
        federation.train(model, evaluate=False, out=run, progress=display, **ROUNDS).run()

    assert display.said == [
        f"{run}: no room is left on its disk, and round 1 cannot be committed; waiting until there is some "
        f"(after Ctrl-C, federation.train(..., resume={str(run)!r}) goes on)",
        f"{run}: there is room again",
    ]
    assert torch.equal(model.weight, other.weight)  # type: ignore[arg-type]
    assert [report.round for report in read_rounds(run)] == [1, 2, 3]


class Impatient(Full):
    def say(self, line: str) -> None:
        super().say(line)
        raise KeyboardInterrupt


def test_one_that_is_stopped_while_it_waits_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, other = linear(), linear()
    with Federation(workers={"bob": points(1)}) as federation:
        federation.train(other, evaluate=False, **ROUNDS).run()
        with monkeypatch.context() as full:
            training = federation.train(
                linear(), evaluate=False, out=tmp_path / "run", progress=Impatient(full, often=1000), **ROUNDS
            )
            with pytest.raises(KeyboardInterrupt):
                training.run()
        federation.train(model, evaluate=False, resume=tmp_path / "run", **ROUNDS).run()

    assert torch.equal(model.weight, other.weight)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), RunFolderFull),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), RunFolderFull),
        (sqlite3.OperationalError("database or disk is full"), RunFolderFull),
        (sqlite3.OperationalError("disk I/O error"), RunFolderError),
        (PermissionError(errno.EACCES, "Permission denied"), RunFolderError),
    ],
)
def test_a_full_disk_is_told_from_what_lasts(error: Exception, kind: type[RunFolderError]) -> None:
    assert type(folder_error(Path("run"), "it cannot be written", error)) is kind
