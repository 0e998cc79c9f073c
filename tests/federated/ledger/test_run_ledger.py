from __future__ import annotations

import errno
import os
import resource
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from fedzmq.errors import FedzmqError, RunChanged, RunFolderError, RunLocked
from fedzmq.federated.ledger import lasting
from fedzmq.federated.ledger.checkpoint import Checkpoint, Opened
from fedzmq.federated.ledger.randomness import restore
from fedzmq.federated.ledger.run_ledger import RunLedger
from tests.federated.ledger.kept import TERMS, checkpoint, report, run_to


def taken_up(path: Path) -> Checkpoint:
    with RunLedger(path) as ledger:
        found = ledger.take_up(TERMS, 10)
    assert found is not None
    return found


class Platter:
    """What is left of a run's folder where the power fails: what was waited for, and of the rest nothing."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[Path, bytes] = {}
        self._names: dict[Path, set[Path]] = {}

    def sync(self, path: Path) -> None:
        time.sleep(0.01)  # a disk is slow: whoever does not wait for it goes on before it is done
        if path.is_dir():
            self._names[path] = set(path.iterdir())
        else:
            self._files[path] = path.read_bytes()
            record = self._folder / "ledger.sqlite"  # SQLite waits itself for what it moves there out of its log
            self._files[record] = record.read_bytes()

    def left(self, into: Path) -> Path:
        for path, content in self._files.items():
            if path.parent == self._folder or path in self._names.get(path.parent, set()):
                copy = into / path.relative_to(self._folder)
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes(content)
        return into


def models(path: Path) -> set[str]:
    return {each.name for each in (path / "models").iterdir()}


def test_a_new_ledger_has_nothing_to_take_up(tmp_path: Path) -> None:
    with RunLedger(tmp_path / "run") as ledger:
        assert ledger.take_up(TERMS, 10) is None
        assert ledger.opened() is None
        assert ledger.reports == []


@pytest.mark.parametrize("memory", [False, True])
def test_what_was_committed_last_is_taken_up(tmp_path: Path, memory: bool) -> None:
    with RunLedger(tmp_path) as ledger:
        run_to(ledger, 5, memory)
    found, expected = taken_up(tmp_path), checkpoint(5, memory)

    assert (found.round, found.run) == (5, "a name")
    assert (found.counted, found.asked) == (expected.counted, expected.asked)
    for now, then in ((found.model, expected.model), (found.memory, expected.memory)):
        assert now.keys() == then.keys()
        assert all(torch.equal(now[name], then[name]) and now[name].dtype is then[name].dtype for name in then)


def test_a_power_cut_costs_no_round_that_took_longer_than_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    platter = Platter(tmp_path / "run")
    monkeypatch.setattr(lasting, "sync", platter.sync)
    monkeypatch.setattr(lasting, "WORTH", 0)  # every round is a long one
    with RunLedger(tmp_path / "run") as ledger:
        for number in range(5):
            run_to(ledger, number, memory=True)
            assert taken_up(platter.left(tmp_path / f"after {number}")).round == number


def test_the_state_before_the_first_round_is_taken_up(tmp_path: Path) -> None:
    with RunLedger(tmp_path) as ledger:
        run_to(ledger, 0)

    assert taken_up(tmp_path).round == 0


def test_reports_come_back_as_they_were(tmp_path: Path) -> None:
    with RunLedger(tmp_path) as ledger:
        run_to(ledger, 3)
    with RunLedger(tmp_path) as ledger:
        assert ledger.reports == [report(1), report(2), report(3)]


def test_the_last_three_states_are_kept_and_every_fourth(tmp_path: Path) -> None:
    with RunLedger(tmp_path, every=4) as ledger:
        run_to(ledger, 10, memory=True)
    with sqlite3.connect(tmp_path / "ledger.sqlite") as database:
        rounds = [row[0] for row in database.execute("SELECT round FROM states ORDER BY round")]
    database.close()

    assert rounds == [0, 4, 8, 9, 10]
    assert len(models(tmp_path)) == 10


def test_a_state_that_two_rounds_share_stays_for_the_later_one(tmp_path: Path) -> None:
    with RunLedger(tmp_path, keep=1) as ledger:
        run_to(ledger, 1)
        same = checkpoint(1)
        for number in (2, 3, 4):
            again = Checkpoint(number, same.run, same.model, same.memory, same.counted)
            ledger.commit(again, report(number))

    assert torch.equal(taken_up(tmp_path).model["weight"], same.model["weight"])


def test_whom_a_round_asked_is_known_when_it_is_interrupted(tmp_path: Path) -> None:
    opened = Opened(4, ("alice",), ("alice", "bob"))
    with RunLedger(tmp_path) as ledger:
        run_to(ledger, 3)
        ledger.open(Opened(4, ("bob",), ("alice", "bob")))
        ledger.open(opened)
    with RunLedger(tmp_path) as ledger:
        assert ledger.opened() == opened


def test_other_terms_are_refused_by_name(tmp_path: Path) -> None:
    with RunLedger(tmp_path) as ledger:
        run_to(ledger, 1)
    with (
        RunLedger(tmp_path) as ledger,
        pytest.raises(RunChanged, match=r"torch was 2\.13\.0 and is 2\.14\.0; with --f"),
    ):
        ledger.take_up({**TERMS, "torch": "2.14.0"}, 10)

    assert taken_up(tmp_path).round == 1


def test_other_terms_are_taken_by_force_and_are_the_runs_from_then_on(tmp_path: Path) -> None:
    other = {**TERMS, "torch": "2.14.0"}
    with RunLedger(tmp_path) as ledger:
        run_to(ledger, 1)
    with RunLedger(tmp_path, force=True) as ledger:
        assert ledger.take_up(other, 10) is not None
    with RunLedger(tmp_path) as ledger:
        assert ledger.take_up(other, 10) is not None


def test_a_run_that_is_worked_on_is_locked(tmp_path: Path) -> None:
    owner = f"is in use by process {os.getpid()} on "
    with RunLedger(tmp_path), pytest.raises(RunLocked, match=owner):
        RunLedger(tmp_path)
    RunLedger(tmp_path).close()


@contextmanager
def files_limited_to(size: int) -> Iterator[None]:
    """As on a disk that is full: no file of this process may grow beyond so many bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("size", [10, 100, 5000])
def test_a_full_disk_is_a_sentence_and_the_old_state_is_intact(tmp_path: Path, size: int) -> None:
    with RunLedger(tmp_path) as ledger:
        run_to(ledger, 2)
        with files_limited_to(size), pytest.raises(RunFolderError, match="round 3 cannot be committed: "):
            ledger.commit(checkpoint(3), report(3))
        assert not list((tmp_path / "models").glob(".tmp-*"))

    assert taken_up(tmp_path).round == 2


@pytest.mark.parametrize("step", ["replace", "unlink", "fsync"])
@pytest.mark.parametrize("at", range(1, 6))
def test_a_step_that_fails_leaves_a_state_that_was_committed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, at: int
) -> None:
    reached = 0

    def run() -> None:
        nonlocal reached
        with RunLedger(tmp_path) as ledger:
            run_to(ledger, 2, memory=True)
            monkeypatch.setattr(os, step, failing(getattr(os, step), at))
            for reached in (3, 4, 5):
                ledger.commit(checkpoint(reached, memory=True), report(reached))

    with pytest.raises(RunFolderError, match="no room is left on its disk"):
        run()
    monkeypatch.undo()
    found = taken_up(tmp_path)

    assert found.round in (reached - 1, reached)
    assert torch.equal(found.model["weight"], checkpoint(found.round).model["weight"])


def failing(real: Callable[..., None], at: int) -> Callable[..., None]:
    """The same, but from the call with this number on, which finds the disk full."""
    calls = iter(range(1, 1000))

    def function(*arguments: object, **named: object) -> None:
        if next(calls) >= at:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(*arguments, **named)

    return function


@pytest.mark.parametrize(
    ("table", "value"),
    [
        ("facts SET value", "{{"),
        ("facts SET value", "[1]"),
        ("states SET counted", "[1]"),
        ("states SET asked", "{"),
        ("states SET randomness", '{"torch": 1}'),
        ("openings SET workers", "3"),
        ("rounds SET report", "null"),
    ],
)
def test_a_text_of_the_record_that_is_damaged_is_a_sentence(tmp_path: Path, table: str, value: str) -> None:
    with RunLedger(tmp_path) as ledger:
        run_to(ledger, 2)
        ledger.open(Opened(3, ("bob",), ("bob",)))
    with sqlite3.connect(tmp_path / "ledger.sqlite") as database:
        database.execute(f"UPDATE {table} = ?", (value,))
    database.close()

    def read_all() -> None:
        with RunLedger(tmp_path) as ledger:
            found = ledger.take_up(TERMS, 10)
            assert found is not None
            restore(found.randomness)
            ledger.opened()
            assert ledger.reports

    with pytest.raises(FedzmqError) as caught:
        read_all()
    assert len(str(caught.value)) < 500


def test_rounds_without_a_state_after_them_are_done_again(tmp_path: Path) -> None:
    with RunLedger(tmp_path) as ledger:
        run_to(ledger, 3)
    with sqlite3.connect(tmp_path / "ledger.sqlite") as database:
        database.execute("DELETE FROM states WHERE round = 3")
    database.close()

    with RunLedger(tmp_path) as ledger:
        run_to(ledger, 4)
        assert len(ledger.reports) == 4


@pytest.mark.parametrize("damage", ["cut", "gone", "changed"])
def test_a_damaged_model_costs_its_round_and_not_the_run(tmp_path: Path, damage: str) -> None:
    said: list[str] = []
    with RunLedger(tmp_path) as ledger:
        run_to(ledger, 4)
        before = models(tmp_path)
        ledger.commit(checkpoint(5), report(5))
        (name,) = models(tmp_path) - before
    file = tmp_path / "models" / name
    content = file.read_bytes()
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes(content[:-5] if damage == "cut" else content[:-5] + b"other")
    with RunLedger(tmp_path, say=said.append) as ledger:
        found = ledger.take_up(TERMS, 10)
        assert found is not None
        assert found.round == 4
        assert ledger.reports == [report(number) for number in range(1, 5)]
        ledger.commit(checkpoint(5), report(5))

    assert said == ["the files of round 5 are damaged; going on from round 4"]
    assert taken_up(tmp_path).round == 5


def test_a_run_without_one_whole_model_is_a_sentence(tmp_path: Path) -> None:
    with RunLedger(tmp_path) as ledger:
        run_to(ledger, 4)
    for path in (tmp_path / "models").iterdir():
        path.write_bytes(b"")

    with pytest.raises(RunFolderError, match=r"no model in .* is as it was written"):
        RunLedger(tmp_path)


def test_a_record_that_is_none_is_a_sentence_and_lets_go_of_the_lock(tmp_path: Path) -> None:
    (tmp_path / "ledger.sqlite").write_bytes(b"this is not a database, whatever it is called; so be it")

    for _ in range(2):
        with pytest.raises(RunFolderError, match="its record cannot be opened: file is not a database"):
            RunLedger(tmp_path)


def test_a_record_of_a_later_version_is_refused(tmp_path: Path) -> None:
    RunLedger(tmp_path).close()
    with sqlite3.connect(tmp_path / "ledger.sqlite") as database:
        database.execute("PRAGMA user_version = 7")
    database.close()

    with pytest.raises(RunFolderError, match="its record is of version 7, and this fedzmq knows 1"):
        RunLedger(tmp_path)


def test_what_a_killed_process_left_unfinished_is_removed(tmp_path: Path) -> None:
    with RunLedger(tmp_path) as ledger:
        run_to(ledger, 1)
    (tmp_path / "models" / ".tmp-12345").write_bytes(b"half a model")

    assert taken_up(tmp_path).round == 1
    assert not list((tmp_path / "models").glob(".tmp-*"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)

    with pytest.raises(RunFolderError, match="it cannot be made: Permission denied"):
        RunLedger(tmp_path)


def test_the_record_tells_each_workers_figures_to_sql(tmp_path: Path) -> None:
    with RunLedger(tmp_path) as ledger:
        run_to(ledger, 2)
    with sqlite3.connect(tmp_path / "ledger.sqlite") as database:
        answers = database.execute("SELECT round, worker, examples, loss, metrics FROM answers").fetchall()
        failures = database.execute("SELECT round, worker, reason FROM failures").fetchall()
    database.close()

    assert answers == [(1, "bob", 100, 0.4, '{"accuracy":0.75}'), (2, "bob", 100, 0.4, '{"accuracy":0.75}')]
    assert failures == [(1, "alice", "it left"), (2, "alice", "it left")]
