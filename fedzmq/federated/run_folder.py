"""The folder that a run leaves behind: job.toml, rounds.jsonl, model.safetensors and plot.png.

A run gets a folder of its own, and each file is there whole or not at all, but for the rounds, which grow by the line.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import torch
from torch import nn

from fedzmq.errors import RunFolderError
from fedzmq.federated.ledger.folder_error import folder_error
from fedzmq.federated.ledger.record import NAME as LEDGER
from fedzmq.federated.pictures.plot import draw
from fedzmq.federated.report import RoundReport
from fedzmq.files.weights import write_weights
from fedzmq.files.whole_file import WholeFile


class RunFolder:
    """Open from its creation on; close it, or use it in a `with`."""

    def __init__(
        self, path: str | os.PathLike[str] | None = None, name: str = "run", now: datetime | None = None
    ) -> None:
        """Makes the folder: `path`, which must be new or empty, or else runs/<time>-<name> in the current folder.

        Raises RunFolderError.
        """
        try:
            self.path = _new_default(name, now or datetime.now()) if path is None else _new(path)
            self._rounds = (self.path / "rounds.jsonl").open("xb", buffering=0)
        except FileExistsError as error:
            raise RunFolderError(str(path), "another run has just begun there; name another folder") from error
        except OSError as error:
            raise RunFolderError(str(path or "runs"), f"it cannot be made: {error.strerror or error}") from error

    @classmethod
    def taken_up(cls, path: Path, reports: Sequence[RoundReport]) -> RunFolder:
        """The folder of a run that goes on after these reports: whatever rounds.jsonl had, it has them then.

        Raises RunFolderError.
        """
        folder = cls.__new__(cls)
        folder.path = path
        lines = "".join(f"{report.to_json()}\n" for report in reports)
        try:
            folder._rounds = folder._write("rounds.jsonl", lambda file: file.write(lines.encode())).open(
                "ab", buffering=0
            )
        except OSError as error:
            raise folder_error(path, "rounds.jsonl cannot be written", error) from error
        return folder

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Nothing can be added afterwards; twice is fine."""
        self._rounds.close()

    def write_job(self, text: str) -> Path:
        """What the run was asked to do, as a job file."""
        return self._write("job.toml", lambda file: file.write(text.encode()))

    def add(self, report: RoundReport) -> None:
        """One more line of rounds.jsonl, all of it or nothing, out of this process when the call returns."""
        end = self._rounds.seek(0, os.SEEK_END)
        left = memoryview(f"{report.to_json()}\n".encode())
        try:
            while left:
                left = left[self._rounds.write(left) :]
        except OSError as error:
            with suppress(OSError):
                self._rounds.truncate(end)
            raise folder_error(self.path, "rounds.jsonl cannot be written", error) from error

    def write_model(self, model: nn.Module | Mapping[str, torch.Tensor]) -> Path:
        """Parameters and buffers by name, as safetensors. Tied tensors are written once for each of their names, so
        that `load_state_dict(safetensors.torch.load_file(path))` finds every name."""
        tensors = model.state_dict() if isinstance(model, nn.Module) else model
        return self._write("model.safetensors", lambda file: write_weights(tensors, file))

    def write_plot(self, reports: Sequence[RoundReport], title: str) -> Path:
        """Loss and accuracy by round. Raises MissingExtraError without matplotlib."""
        picture = draw(reports, title)
        return self._write("plot.png", lambda file: file.write(picture))

    def _write(self, name: str, fill: Callable[[BinaryIO], object]) -> Path:
        """A file that is whole or absent, whenever the machine stops."""
        try:
            with WholeFile(self.path) as whole:
                fill(whole.file)
                return whole.become(name)
        except OSError as error:
            raise folder_error(self.path, f"{name} cannot be written", error) from error


def read_rounds(path: str | os.PathLike[str]) -> list[RoundReport]:
    """The reports in a run folder's rounds.jsonl; a last line that a killed run left unfinished is passed over."""
    text = (Path(path) / "rounds.jsonl").read_text(encoding="utf-8")
    return [RoundReport.from_json(line) for line in text.split("\n")[:-1]]


def check_free(path: str | os.PathLike[str]) -> Path:
    """Raises RunFolderError for what cannot become a run's folder, before anything is done for the run."""
    folder = Path(path).expanduser()
    try:
        if (folder / LEDGER).exists():
            reason = (
                f"a run is in it already: fedzmq train --resume {folder} goes on with it; for another, name a new one"
            )
            raise RunFolderError(str(folder), reason)
        if any(folder.iterdir()):
            raise RunFolderError(
                str(folder), "it is not empty, and a run's folder is never written over; name a new one"
            )
    except FileNotFoundError:
        pass
    except OSError as error:
        raise RunFolderError(str(folder), f"it cannot be made: {error.strerror or error}") from error
    return folder


def _new(path: str | os.PathLike[str]) -> Path:
    folder = check_free(path)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _new_default(name: str, now: datetime) -> Path:
    """Of two runs in one second, the second gets a number behind its name."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "run"
    first = Path("runs") / f"{now:%Y%m%d-%H%M%S}-{plain}"
    path, number = first, 1
    while True:
        try:
            path.mkdir(parents=True)
            return path
        except FileExistsError:
            number += 1
            path = first.with_name(f"{first.name}-{number}")
