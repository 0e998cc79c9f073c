"""The record of a run in SQLite: how it was configured, who worked on it, what became of each round.

What is noted of the run is on the disk when the call returns. What is noted of its rounds outlives this process, and
the machine once `log` has been waited for.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from fedzmq.errors import DataError, RunFolderError
from fedzmq.federated.ledger.checkpoint import Opened
from fedzmq.federated.ledger.folder_error import folder_error
from fedzmq.federated.ledger.schema import SCHEMA, VERSION
from fedzmq.federated.report import RoundReport

NAME = "ledger.sqlite"
_PATIENCE = 10.0  # seconds for a reader to be done

_Kind = TypeVar("_Kind")


class Kept(NamedTuple):
    """Where a state is: the names of its files, and beside them what fits into the record."""

    round: int
    model: str
    memory: str | None
    run: str
    counted: dict[str, int]
    asked: dict[str, int]
    randomness: str


class Sitting(NamedTuple):
    """A process that worked on the run, after so many rounds, until it `ended` as the ending says; killed, it says
    nothing. Times are in seconds since 1970.
    """

    began: float
    process: int
    host: str
    after: int
    ended: float | None
    ending: str | None


class Record:
    """`Record(path)` belongs to one process; with `read_only`, others may look on. Its methods raise RunFolderError."""

    def __init__(self, folder: Path, *, read_only: bool = False) -> None:
        self._folder = folder
        self._is_owner = not read_only
        self._sitting = 0
        with self._explained("its record cannot be opened"):
            self._database = _open(folder / NAME, read_only)
            version = self._one("PRAGMA user_version")
        if version > VERSION:
            self._database.close()
            raise RunFolderError(str(folder), f"its record is of version {version}, and this fedzmq knows {VERSION}")
        self.is_new = version == 0
        """Nothing was begun yet: it has no tables."""
        if self.is_new and any((folder / "models").glob("*.safetensors")):
            self._database.close()
            raise RunFolderError(
                str(folder), f"its record is empty: {NAME}-wal, which belonged to it, is lost{anew(folder)}"
            )

    @property
    def log(self) -> Path:
        """Where SQLite has what was written last."""
        return self._folder / f"{NAME}-wal"

    def close(self) -> None:
        """Twice is fine."""
        if self._is_owner:
            self._is_owner = False
            with contextlib.suppress(sqlite3.Error):  # somebody looks on, or the disk is full: it is read as it is
                self._database.execute("PRAGMA journal_mode = DELETE")  # one file, for a folder that nobody may write
        self._database.close()

    def make(self, **facts: object) -> None:
        """The tables, with these facts, all or nothing."""
        with self._transaction("its record cannot be made"):
            for statement in SCHEMA:
                self._database.execute(statement)
            self._note(facts)

    def check(self) -> None:
        """Raises RunFolderError where a page of the record is damaged."""
        with self._explained("its record cannot be read"):
            found = self._one("PRAGMA integrity_check")
        if found != "ok":
            raise RunFolderError(str(self._folder), f"its record is damaged: {found}")

    def fact(self, name: str, kind: type[_Kind]) -> _Kind | None:
        """What was noted under that name; None where nothing was."""
        with self._explained("its record cannot be read"):
            text = self._one("SELECT value FROM facts WHERE name = ?", name)
            return None if text in (None, "null") else _read(text, kind)

    def note(self, **facts: object) -> None:
        with self._transaction("its record cannot be written"):
            self._note(facts)

    def sit_down(self, process: int, host: str) -> None:
        """A process begins to work on the run."""
        with self._transaction("its record cannot be written"):
            after = self._one("SELECT max(round) FROM rounds") or 0
            self._sitting = (
                self._database.execute(
                    "INSERT INTO sittings (began, process, host, after) VALUES (?, ?, ?, ?)",
                    (time.time(), process, host, after),
                ).lastrowid
                or 0
            )

    def get_up(self, ending: str, **facts: object) -> None:
        """It ends its work."""
        with self._transaction("its record cannot be written"):
            values = (time.time(), ending, self._sitting)
            self._database.execute("UPDATE sittings SET ended = ?, ending = ? WHERE sitting = ?", values)
            self._note(facts)

    def sittings(self) -> list[Sitting]:
        with self._explained("its record cannot be read"):
            rows = self._database.execute(
                "SELECT began, process, host, after, ended, ending FROM sittings ORDER BY sitting"
            )
            return [Sitting(*row) for row in rows]

    def open(self, opened: Opened) -> None:
        """A round begins, or begins again."""
        values = (opened.round, time.time(), json.dumps(opened.workers), json.dumps(opened.present))
        with self._transaction(f"round {opened.round} cannot be opened", lasting=False):
            self._database.execute(
                "INSERT INTO openings VALUES (?, 1, ?, ?, ?) ON CONFLICT DO UPDATE SET attempt = attempt + 1, "
                "opened = excluded.opened, workers = excluded.workers, present = excluded.present",
                values,
            )

    def opened(self) -> Opened | None:
        """The round that was opened last."""
        with self._explained("its record cannot be read"):
            row = self._database.execute(
                "SELECT round, workers, present FROM openings ORDER BY round DESC LIMIT 1"
            ).fetchone()
            return None if row is None else Opened(row[0], tuple(_read(row[1], list)), tuple(_read(row[2], list)))

    def commit(self, kept: Kept, report: RoundReport | None, keep: int, every: int) -> set[str]:
        """A round, and the state after it; gives the names of all files that are still kept.

        Of the states, the last `keep` stay, and of each `every` rounds one, where that is not 0. It may be committed
        again, where the disk did not take all of it.
        """
        with self._transaction(f"round {kept.round} cannot be committed", lasting=False):
            values = (
                kept.round,
                kept.model,
                kept.memory,
                kept.run,
                json.dumps(kept.counted),
                json.dumps(kept.asked),
                kept.randomness,
            )
            self._database.execute("INSERT OR REPLACE INTO states VALUES (?, ?, ?, ?, ?, ?, ?)", values)
            if report is not None:
                attempts = self._one("SELECT attempt FROM openings WHERE round = ?", kept.round) or 1
                row = (kept.round, time.time(), attempts, self._sitting, report.to_json())
                self._database.execute("INSERT OR REPLACE INTO rounds VALUES (?, ?, ?, ?, ?)", row)
                self._database.execute("DELETE FROM openings WHERE round < ?", (kept.round,))
            self._database.execute(
                "DELETE FROM states WHERE round <= ? AND (? = 0 OR round % max(1, ?) <> 0)",
                (kept.round - keep, every, every),
            )
            return self._files()

    def states(self) -> list[Kept]:
        """Those that are kept, the latest first."""
        with self._explained("its record cannot be read"):
            rows = self._database.execute("SELECT * FROM states ORDER BY round DESC").fetchall()
            return [
                Kept(round, model, memory, run, _read(counted, dict), _read(asked, dict), randomness)
                for round, model, memory, run, counted, asked, randomness in rows
            ]

    def reports(self) -> list[RoundReport]:
        """Of all rounds that count."""
        with self._explained("its record cannot be read"):
            rows = self._database.execute("SELECT report FROM rounds ORDER BY round").fetchall()
            return [RoundReport.from_json(text) for (text,) in rows]

    def last_report(self) -> RoundReport | None:
        """Of the last round that counts."""
        with self._explained("its record cannot be read"):
            text = self._one("SELECT report FROM rounds ORDER BY round DESC LIMIT 1")
            return None if text is None else RoundReport.from_json(text)

    def done(self) -> int:
        """How many rounds count."""
        with self._explained("its record cannot be read"):
            return int(self._one("SELECT count(*) FROM rounds"))

    def last_committed(self) -> float | None:
        """When, in seconds since 1970."""
        with self._explained("its record cannot be read"):
            found: float | None = self._one("SELECT max(committed) FROM rounds")
        return found

    def rewind(self, round: int) -> None:
        """As if the rounds after this one had not been."""
        with self._transaction("its record cannot be written"):
            for table in ("states", "rounds", "openings"):
                self._database.execute(f"DELETE FROM {table} WHERE round > ?", (round,))

    def _files(self) -> set[str]:
        rows = self._database.execute("SELECT model, memory FROM states")
        return {name for row in rows for name in row if name is not None}

    def _note(self, facts: dict[str, object]) -> None:
        rows = [(name, json.dumps(value, default=str)) for name, value in facts.items()]
        self._database.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", rows)

    def _one(self, statement: str, *values: object) -> Any:
        row = self._database.execute(statement, values).fetchone()
        return None if row is None else row[0]

    @contextlib.contextmanager
    def _transaction(self, failed: str, *, lasting: bool = True) -> Iterator[None]:
        with self._explained(failed):
            self._database.execute(f"PRAGMA synchronous = {'FULL' if lasting else 'NORMAL'}")
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def _explained(self, failed: str) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, ValueError, DataError) as error:
            raise folder_error(self._folder, failed, error) from error


def anew(folder: Path) -> str:
    """The end of a sentence: how what was to be done there is begun again."""
    job = folder / "job.toml"
    return f"; fedzmq train --config {job} begins it in a new folder" if job.is_file() else ""


def _read(text: str, kind: type[_Kind]) -> _Kind:
    """What was kept as JSON. Raises ValueError."""
    value = json.loads(text)
    if not isinstance(value, kind):
        raise ValueError(f"it has {text[:60]!r} where a {kind.__name__} is expected")
    return value


def _open(path: Path, read_only: bool) -> sqlite3.Connection:
    if not read_only:
        database = sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False)
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA foreign_keys = ON")
        return database
    uri = path.absolute().as_uri()
    try:
        database = sqlite3.connect(f"{uri}?mode=ro", timeout=_PATIENCE, isolation_level=None, uri=True)
        database.execute("PRAGMA user_version")
    except sqlite3.OperationalError:
        if path.with_name(f"{path.name}-wal").exists():
            raise
        # A folder that nobody can write into is one that nobody writes into.
        database = sqlite3.connect(f"{uri}?immutable=1", isolation_level=None, uri=True)
    return database
