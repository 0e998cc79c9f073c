"""What a training leaves behind in its folder: its job, its rounds, its model, and a picture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from fedzmq.errors import MissingExtraError
from fedzmq.federated.report import RoundReport
from fedzmq.federated.run_folder import RunFolder
from fedzmq.federation.history import History


class Keeping:
    """`begin`, `add` for each round, `keep` the model and `end`. path: None for a new folder in runs/."""

    def __init__(self, path: Path | None, name: str, job: str | None) -> None:
        self.path = path
        self.written: list[str] = []
        self._name = name
        self._job = job
        self._folder: RunFolder | None = None

    def begin(self) -> None:
        """Make the folder. Raises RunFolderError."""
        self._folder = RunFolder(self.path, name=self._name)
        self.path = self._folder.path
        if self._job is not None:
            self._folder.write_job(self._job)

    def add(self, report: RoundReport) -> None:
        assert self._folder is not None
        self._folder.add(report)

    def keep(self, model: torch.nn.Module, history: History) -> None:
        """Write the model that the last report tells of, if there is one."""
        if self._folder is not None and history:
            self.written = [self._folder.write_model(model).name]

    def end(self, history: History, say: Callable[[str], None]) -> None:
        """Draw the picture, where there is something to see and to draw with."""
        if self._folder is None:
            return
        if history:
            try:
                self.written.append(self._folder.write_plot(history, history.title).name)
            except MissingExtraError as error:
                say(str(error))
            self.written += ["rounds.jsonl", *(["job.toml"] if self._job is not None else [])]
        self._folder.close()
