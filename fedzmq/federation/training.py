"""A training that runs: it goes on by a round whenever its next report is taken, and can be left at any."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import NoneType, TracebackType
from typing import Protocol, cast

import torch

from fedzmq.errors import FedzmqError, ProtocolError, RemoteError, RunFolderError, UpdateRefused, UsageError
from fedzmq.federated.pictures import canvas
from fedzmq.federated.report import RoundReport
from fedzmq.federated.strategies import Strategy
from fedzmq.federation.blame import blaming
from fedzmq.federation.books import Books
from fedzmq.federation.display import Display
from fedzmq.federation.history import History
from fedzmq.federation.keeping import Keeping

LASTING = (UsageError, RemoteError, UpdateRefused, ProtocolError)  # what a run that is taken up meets again


class Rounds(Protocol):
    """What a training runs: a Trainer, or an AsyncTrainer."""

    def rounds(self) -> Iterator[RoundReport]: ...


class Training(Iterator[RoundReport]):
    """`for report in training: ...`, and `training.history` has all reports so far; `run` takes them all.

    A `break` ends it when nobody holds it any more, as after a loop over `federation.train(...)`; `close` does at once.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        trainer: Rounds,
        strategy: Strategy,
        display: Display,
        history: History,
        keeping: Keeping | None,
        books: Books,
        then: Callable[[], None],
    ) -> None:
        self.model = model
        self.history = history
        self._keeping = keeping
        # It must not hold this object: then a loop that is left could not let it go.
        self._rounds = _run(model, trainer, strategy, display, history, keeping, books, then)

    @property
    def folder(self) -> Path | None:
        """What is left behind, from the first round on."""
        return None if self._keeping is None else self._keeping.path

    def run(self) -> History:
        """Train to the end, and give all reports."""
        for _ in self:
            pass
        return self.history

    def close(self) -> None:
        """Tell the workers to stop; the model stays as the last report says. Twice is fine."""
        self._rounds.close()

    def __next__(self) -> RoundReport:
        return next(self._rounds)

    def __repr__(self) -> str:
        return repr(self.history)

    def _repr_html_(self) -> str:
        return self.history._repr_html_()

    def __enter__(self) -> Training:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _run(
    model: torch.nn.Module,
    trainer: Rounds,
    strategy: Strategy,
    display: Display,
    history: History,
    keeping: Keeping | None,
    books: Books,
    then: Callable[[], None],
) -> Generator[RoundReport, None, None]:
    with display:
        failure: BaseException | None = None
        try:
            for report in keeping.start() if keeping is not None else ():
                history.add(report)
            is_told = keeping is not None and keeping.is_told
            with (
                blaming(strategy, lambda: len(history) + 1, is_told=is_told),
                books.opened(None if keeping is None else keeping.path),
                closing(cast(Generator[RoundReport, None, None], trainer.rounds())) as rounds,
            ):
                for report in rounds:
                    history.add(report)
                    if keeping is not None:
                        keeping.add(report)
                    books.enter(report)
                    display.show(report)
                    if keeping is not None and len(history) == 1:
                        threading.Thread(target=canvas.prepare, name="fedzmq-plot", daemon=True).start()
                    yield report
        except BaseException as error:
            failure = error
            raise
        finally:  # a training that was left, and one that failed, leave what they have
            _finish(model, display, history, keeping, then, failure)


def _finish(
    model: torch.nn.Module,
    display: Display,
    history: History,
    keeping: Keeping | None,
    then: Callable[[], None],
    failure: BaseException | None,
) -> None:
    if keeping is None:
        then()
    else:
        try:
            keeping.is_patient = failure is None  # else nobody waits: what is to be written now is for later
            is_worth_it = failure is None or keeping.has_new
            with _unless_failed(failure):
                if is_worth_it:
                    keeping.keep(model, history)
            then()  # so that the workers end while the picture is drawn
            with _unless_failed(failure):
                if is_worth_it:
                    keeping.draw(history)
        finally:
            keeping.end(failure)
    if history and (keeping is None or keeping.written):
        folder = None if keeping is None else str(keeping.path)
        display.finish(history[-1], folder, [] if keeping is None else keeping.written)
    if keeping is not None and keeping.can_go_on and _can_be_mended(failure, history):
        line = f"go on with: {keeping.way_on}"
        if keeping.is_told and isinstance(failure, FedzmqError):
            failure.way_on = line
        else:
            display.say(line)


def _can_be_mended(failure: BaseException | None, history: History) -> bool:
    """Whether the same run may get further than it did."""
    if isinstance(failure, FedzmqError):
        # The reason behind it counts too: too few workers may be left because all gave what cannot be used.
        reasons = (failure, failure.__cause__)
        return bool(history) and not any(map(_is_lasting, reasons))
    return not isinstance(failure, NoneType | GeneratorExit)


def _is_lasting(error: BaseException | None) -> bool:
    """A disk is none of it: the coordinator's, nor that of a worker, which says so by its own error."""
    is_a_disk = isinstance(error, RunFolderError) or (isinstance(error, RemoteError) and error.error == "OSError")
    return isinstance(error, LASTING) and not is_a_disk


@contextmanager
def _unless_failed(failure: BaseException | None) -> Iterator[None]:
    """After a failure, which may be that nothing can be written, it is that failure that counts."""
    try:
        yield
    except RunFolderError:
        if failure is None:
            raise
