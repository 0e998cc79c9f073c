"""What a training leaves behind in its folder: its job, rounds, model and picture; and its ledger, to go on from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import torch

from fedzmq.errors import MissingExtraError
from fedzmq.federated.ledger.checkpoint import Checkpoint, Opened
from fedzmq.federated.ledger.ledger import Ledger, Term
from fedzmq.federated.ledger.record import NAME as LEDGER
from fedzmq.federated.ledger.run_history import way_on
from fedzmq.federated.ledger.run_ledger import RunLedger
from fedzmq.federated.report import RoundReport
from fedzmq.federated.run_folder import RunFolder
from fedzmq.federated.training_job import TrainingJob
from fedzmq.federation.history import History
from fedzmq.federation.room import Room

WORKERS = "workers"

_Kind = TypeVar("_Kind")


class Keeping(Ledger):
    """`start`, then `add` for each round that the trainer committed, `keep` the model and `end`.

    path: None for a new folder in runs/. terms: what the outcome depends on beside what the trainer knows. `keep_in` is
    given a folder for what workers that were started here keep from round to round.
    """

    def __init__(
        self,
        path: Path | None,
        asked: TrainingJob,
        job: str | None,
        terms: Mapping[str, Term],
        say: Callable[[str], None],
        keep_in: Callable[[Path], None],
    ) -> None:
        self.path = path
        self.written: list[str] = []
        self.has_new = False
        """A round was added: the model is no more what it was when it came here."""
        self.is_patient = True
        """Where the disk is full, it is waited for."""
        self._asked = asked
        self._job = job
        self._terms = terms
        self._say = say
        self._keep_in = keep_in
        self._folder: RunFolder | None = None
        self._ledger: RunLedger | None = None

    def start(self) -> list[RoundReport]:
        """Make the folder, and give the reports that it has already. Raises RunFolderError."""
        self._folder = RunFolder(self.path, name=self._asked.dataset)
        self.path = self._folder.path
        if self._job is not None:
            self._folder.write_job(self._job)
        self._ledger = RunLedger(self.path, notes={"job": self._job}, terms=self._terms)
        self._keep_in(self.path / WORKERS)
        return []

    def add(self, report: RoundReport) -> None:
        assert self._folder is not None
        self._patiently(partial(self._folder.add, report))
        self.has_new = True

    def keep(self, model: torch.nn.Module, history: History) -> None:
        """Write the model that the last report tells of, if there is one."""
        if self._folder is not None and history:
            self.written = [self._patiently(partial(self._folder.write_model, model)).name]

    @property
    def can_go_on(self) -> bool:
        """There is something that it can be taken up from."""
        return self._ledger is not None and (self._ledger.path / LEDGER).exists()

    def draw(self, history: History) -> None:
        """Draw the picture, where there is something to see and to draw with."""
        if self._folder is None or not history:
            return
        try:
            self.written.append(self._patiently(partial(self._folder.write_plot, history, history.title)).name)
        except MissingExtraError as error:
            self._say(str(error))
        self.written += ["rounds.jsonl", *(["job.toml"] if self._job is not None else [])]

    def end(self, failure: BaseException | None) -> None:
        """Note how it ended, and let others work on the run. Twice is fine."""
        if self._folder is not None:
            self._folder.close()
        if self._ledger is not None:
            if failure is None:
                self._ledger.finish()
            self._ledger.__exit__(None if failure is None else type(failure), failure, None)

    @property
    def is_told(self) -> bool:
        """A command keeps the run, and says what its errors say."""
        return self._job is not None

    @property
    def way_on(self) -> str:
        """How the run is taken up again."""
        if self._job is not None and self.path is not None:
            return way_on(self.path)
        return f"federation.train(..., resume={str(self.path)!r})"

    @property
    def reports(self) -> Sequence[RoundReport]:
        return self._kept.reports

    def take_up(self, terms: Mapping[str, Term], rounds: int) -> Checkpoint | None:
        return self._kept.take_up(terms, rounds)

    def begin(self, checkpoint: Checkpoint) -> None:
        self._patiently(partial(self._kept.begin, checkpoint))

    def opened(self) -> Opened | None:
        return self._kept.opened()

    def open(self, opened: Opened) -> None:
        self._patiently(partial(self._kept.open, opened))

    def commit(self, checkpoint: Checkpoint, report: RoundReport) -> None:
        self._patiently(partial(self._kept.commit, checkpoint, report))

    def _patiently(self, write: Callable[[], _Kind]) -> _Kind:
        return Room(str(self.path), self.way_on, self._say).patiently(write) if self.is_patient else write()

    @property
    def _kept(self) -> RunLedger:
        assert self._ledger is not None, "a training commits only once it was started"
        return self._ledger


class Resumed(Keeping):
    """Goes on in the folder of an earlier run. force: whatever has changed."""

    def __init__(
        self,
        path: Path,
        asked: TrainingJob,
        job: str | None,
        terms: Mapping[str, Term],
        say: Callable[[str], None],
        keep_in: Callable[[Path], None],
        *,
        force: bool,
    ) -> None:
        super().__init__(path, asked, job, terms, say, keep_in)
        self._resumed = path
        self._force = force

    def start(self) -> list[RoundReport]:
        """Raises RunLocked and RunFolderError."""
        notes = {"job": self._job}  # for one that was killed before it began
        self._ledger = RunLedger(self._resumed, notes=notes, terms=self._terms, force=self._force, say=self._say)
        reports = self._ledger.reports
        self._folder = RunFolder.taken_up(self._resumed, reports)
        self._keep_in(self._resumed / WORKERS)
        self._say(f"going on after round {len(reports)} of {self._asked.rounds}")
        return reports
