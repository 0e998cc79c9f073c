"""The ledger of a run on disk, in the run's folder: ledger.sqlite, models/ and lock.

What a round made is written first: its weights, then their place in the record. That one transaction is what makes it
count, and only after it are older weights removed. So whatever stops the process, and whenever, the last round that was
committed is there whole. The disk is waited for, so that a stop of the machine itself costs none either; but where
rounds are so short that they would take a tenth longer, that is done beside the next rounds: up to four may then be
lost, as their names tell of incomplete files, and workers no longer have what they kept for rounds before.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from fedzmq.errors import RunChanged, RunFolderError, RunLocked
from fedzmq.federated.ledger.checkpoint import Checkpoint, Opened
from fedzmq.federated.ledger.folder_error import folder_error
from fedzmq.federated.ledger.lasting import Lasting
from fedzmq.federated.ledger.ledger import Ledger, Term
from fedzmq.federated.ledger.randomness import Randomness
from fedzmq.federated.ledger.record import Kept, Record, anew
from fedzmq.federated.ledger.tensor_files import TensorFiles
from fedzmq.federated.ledger.terms import differences
from fedzmq.federated.report import RoundReport
from fedzmq.files.folder_lock import FolderLock
from fedzmq.files.whole_file import sync

KEEP = 3  # states: the last one is what counts, the others are for a disk that loses what it had


class RunLedger(Ledger):
    """`with RunLedger("runs/mine") as ledger: Trainer(..., ledger=ledger)` begins a run, or goes on with it.

    notes: facts to be kept with a new run, by name. terms: what its outcome depends on beside what the trainer knows.
    keep, every: the models of so many last rounds stay, and of each so many rounds one, where that is not 0.
    force: go on although the terms differ. `say` is given a line where something is not as it was left.

    Raises RunLocked while another process works on the run, and RunFolderError. Where the files of the last rounds are
    damaged, it goes back to one whose are not. A ledger is of one process, and the
    folder not on a network's file system.
    """

    is_durable = True

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        notes: Mapping[str, object] | None = None,
        terms: Mapping[str, Term] | None = None,
        keep: int = KEEP,
        every: int = 0,
        force: bool = False,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.path = Path(path).expanduser()
        self._terms = dict(terms or {})
        self._keep = max(1, keep)
        self._every = every
        self._force = force
        self._say = say
        self._ending = "closed"
        self._lasting = Lasting(slow=lambda seconds: say(f"waiting for the disk of {self.path} for {seconds:.0f} s"))
        self._randomness = Randomness()
        self._is_open = False
        try:
            (self.path / "models").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunFolderError(str(self.path), f"it cannot be made: {error.strerror or error}") from error
        with _explained(self.path, "it cannot be locked"):
            self._lock = FolderLock(self.path, locked=RunLocked)
        try:
            self._record = Record(self.path)
            self._files = TensorFiles(self.path / "models")
            self._prepare(notes or {})
        except BaseException:
            self._lock.close()
            raise
        self._is_open = True

    @property
    def reports(self) -> list[RoundReport]:
        """Of all rounds that count."""
        return self._record.reports()

    def take_up(self, terms: Mapping[str, Term], rounds: int) -> Checkpoint | None:
        terms = {**terms, **self._terms}
        changed = differences(self._record.fact("terms", dict) or terms, terms)
        if changed and not self._force:
            raise RunChanged(str(self.path), changed)
        self._record.note(terms=terms, rounds=rounds, finished=False)
        states = self._record.states()
        return self._checkpoint(states[0]) if states else None

    def begin(self, checkpoint: Checkpoint) -> None:
        self._commit(checkpoint, None)

    def opened(self) -> Opened | None:
        return self._record.opened()

    def open(self, opened: Opened) -> None:
        self._record.open(opened)

    def commit(self, checkpoint: Checkpoint, report: RoundReport) -> None:
        self._commit(checkpoint, report)

    def finish(self) -> None:
        """Nothing is left to do in this run."""
        self._ending = "finished"

    def fail(self, reason: str) -> None:
        """What the record is to say of how this process ended."""
        self._ending = reason

    def close(self) -> None:
        """Let others work on the run. Twice is fine."""
        if not self._is_open:
            return
        self._is_open = False
        try:
            self._lasting.close()
            with _explained(self.path, "the last round cannot be brought to the disk"):
                self._lasting.wait()
            self._record.get_up(self._ending, **({"finished": True} if self._ending == "finished" else {}))
        finally:
            self._record.close()
            self._lock.close()

    def __enter__(self) -> RunLedger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            how = "left" if isinstance(error, GeneratorExit) else "interrupted"
            is_wanted = isinstance(error, GeneratorExit | KeyboardInterrupt)
            self.fail(how if is_wanted else str(error) or type(error).__name__)
        try:
            self.close()
        except RunFolderError:
            if error is None:  # else the folder is what went wrong, and was told of
                raise

    def _prepare(self, notes: Mapping[str, object]) -> None:
        try:
            if self._record.is_new:
                self._record.make(**notes)
                with _explained(self.path, "its record cannot be made"):
                    sync(self.path)
            else:
                self._record.check()
                self._go_back_to_whole_files()
            with _explained(self.path, "what was left unfinished cannot be removed"):
                self._files.sweep()
            self._record.sit_down(os.getpid(), platform.node())
        except BaseException:
            self._record.close()
            raise

    def _go_back_to_whole_files(self) -> None:
        states = self._record.states()
        whole = next((kept.round for kept in states if self._is_whole(kept)), None)
        if whole is None and states:
            where = self.path / "models"
            raise RunFolderError(str(self.path), f"no model in {where} is as it was written{anew(self.path)}")
        done = self._record.done()
        if whole is not None and whole < max(states[0].round, done):
            self._say(f"the files of round {max(states[0].round, done)} are damaged; going on from round {whole}")
            self._record.rewind(whole)

    def _commit(self, checkpoint: Checkpoint, report: RoundReport | None) -> None:
        with _explained(self.path, f"round {checkpoint.round} cannot be committed"):
            model = self._files.write(checkpoint.model)
            memory = self._files.write(checkpoint.memory) if checkpoint.memory else None
        kept = Kept(
            checkpoint.round,
            model,
            memory,
            checkpoint.run,
            dict(checkpoint.counted),
            dict(checkpoint.asked),
            self._randomness.snapshot(),
        )
        still_kept = self._record.commit(kept, report, self._keep, self._every)
        self._files.need(still_kept)
        files = [self._files.path(name) for name in (model, memory) if name is not None]
        lasting = [*files, self.path / "models", self._record.log]
        with _explained(self.path, "the rounds before cannot be brought to the disk"):
            self._lasting.begin(lasting, then=lambda: self._files.keep(still_kept))

    def _is_whole(self, kept: Kept) -> bool:
        with _explained(self.path, "its models cannot be read"):
            return all(self._files.is_whole(name) for name in (kept.model, kept.memory) if name is not None)

    def _checkpoint(self, kept: Kept) -> Checkpoint:
        with _explained(self.path, "its models cannot be read"):
            model = self._files.read(kept.model)
            memory = {} if kept.memory is None else self._files.read(kept.memory)
        return Checkpoint(kept.round, kept.run, model, memory, kept.counted, kept.asked, kept.randomness)


@contextmanager
def _explained(path: Path, failed: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise folder_error(path, failed, error) from error
