"""What a run's ledger tells to those who only look: how far it is, what happened, and who worked on it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from fedzmq.errors import RunFolderError, RunNotFound, UsageError
from fedzmq.federated.ledger.checkpoint import Opened
from fedzmq.federated.ledger.record import NAME, Record, Sitting, anew
from fedzmq.federated.report import RoundReport
from fedzmq.files.folder_lock import is_locked

RUNS = Path("runs")  # where runs are that nobody put elsewhere
JOB = "job.toml"
RUNNING, FINISHED, INTERRUPTED, FAILED = "running", "finished", "interrupted", "failed"
ON_PURPOSE = frozenset({None, "closed", "finished", "interrupted", "left"})  # endings that are no failure; None: killed


@dataclass(frozen=True, slots=True)
class RunHistory:
    """A run as it stands.

    rounds: how many it is to have. job: as a job file, "" for a run of one's own program. opened: the round that is
    under way, or that was when the run was interrupted. is_complete: there is nothing left to do. Times are in seconds
    since 1970.
    """

    path: Path
    state: str
    rounds: int
    done: int
    last: RoundReport | None
    began: float
    committed: float | None
    job: str
    is_complete: bool
    sittings: tuple[Sitting, ...]
    opened: Opened | None

    @property
    def name(self) -> str:
        return self.path.resolve().name

    def check_rounds(self, rounds: int) -> None:
        """Raises UsageError for fewer rounds than are done: none can be taken back."""
        if rounds < self.done:
            raise UsageError(f"{self.done} rounds of {str(self.path)!r} are done already; --rounds needs more")


def way_on(run: os.PathLike[str]) -> str:
    """The command by which a run of `fedzmq train` is taken up again."""
    return f"fedzmq train --resume {run}"


def find_run(run: str | os.PathLike[str], among: Path = RUNS) -> Path:
    """The folder of a run, given as such or by its name there. Raises RunNotFound."""
    given = Path(run).expanduser()
    for path in (given, among / given):
        if (path / NAME).is_file():
            return path
    for path in (given, among / given):
        if path.is_dir():
            why = f"{path} holds no {NAME}; it ended before its first round, or kept none{anew(path)}"
            raise RunNotFound(str(run), why)
    names = [path.name for path in runs_in(among)]
    near = get_close_matches(given.name, names, n=1)
    if near:
        raise RunNotFound(str(run), f"did you mean {near[0]!r}?")
    raise RunNotFound(str(run), f"neither a folder, nor a name in {among} ({len(names)} runs are there)")


def runs_in(folder: Path) -> list[Path]:
    """The folders of all runs there, by name."""
    return sorted(path.parent for path in folder.glob(f"*/{NAME}"))


def read_history(path: Path) -> RunHistory:
    """Raises RunFolderError."""
    is_running = is_locked(path)  # before the rest: a run that ends meanwhile is not called interrupted
    with _looking(path) as record:
        if record.is_new:
            return _before_it_began(path, RUNNING if is_running else INTERRUPTED)
        rounds, finished, job = record.fact("rounds", int), record.fact("finished", bool), record.fact("job", str)
        last, done = record.last_report(), record.done()
        sittings = tuple(record.sittings())
        opened = record.opened()
        committed = record.last_committed()
    is_done = rounds is not None and done >= rounds
    is_failed = bool(sittings) and sittings[-1].ending not in ON_PURPOSE
    state = RUNNING if is_running else FINISHED if is_done else FAILED if is_failed else INTERRUPTED
    return RunHistory(
        path,
        state,
        rounds or 0,
        done,
        last,
        sittings[0].began if sittings else 0.0,
        committed,
        job or "",
        bool(finished),
        sittings,
        opened if opened is not None and opened.round > done else None,
    )


def read_reports(path: Path) -> list[RoundReport]:
    """Of all rounds that count. Raises RunFolderError."""
    with _looking(path) as record:
        return [] if record.is_new else record.reports()


def _before_it_began(path: Path, state: str) -> RunHistory:
    """Of a run whose process was killed while it made the record: what it was asked for is all that is known."""
    job = path / JOB
    try:
        asked = job.read_text(encoding="utf-8") if job.is_file() else ""
        made = path.stat().st_mtime
    except (OSError, UnicodeDecodeError) as error:
        raise RunFolderError(str(path), f"{JOB} cannot be read: {error}") from error
    return RunHistory(path, state, 0, 0, None, made, None, asked, False, (), None)


@contextmanager
def _looking(path: Path) -> Iterator[Record]:
    record = Record(path, read_only=True)
    try:
        yield record
    finally:
        record.close()
