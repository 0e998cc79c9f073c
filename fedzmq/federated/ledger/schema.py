"""The tables of a run's record, as SQL. A change gets another version, and a way from the one before."""

from __future__ import annotations

import sqlite3

VERSION = 1

_STRICT = "STRICT" if sqlite3.sqlite_version_info >= (3, 37) else ""
SCHEMA = (
    f"CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) {_STRICT}",
    f"""CREATE TABLE sittings (
        sitting INTEGER PRIMARY KEY, began REAL NOT NULL, process INTEGER NOT NULL, host TEXT NOT NULL,
        after INTEGER NOT NULL, ended REAL, ending TEXT) {_STRICT}""",
    f"""CREATE TABLE openings (
        round INTEGER PRIMARY KEY, attempt INTEGER NOT NULL, opened REAL NOT NULL,
        workers TEXT NOT NULL, present TEXT NOT NULL) {_STRICT}""",
    f"""CREATE TABLE rounds (
        round INTEGER PRIMARY KEY, committed REAL NOT NULL, attempts INTEGER NOT NULL,
        sitting INTEGER NOT NULL REFERENCES sittings, report TEXT NOT NULL) {_STRICT}""",
    f"""CREATE TABLE states (
        round INTEGER PRIMARY KEY, model TEXT NOT NULL, memory TEXT, run TEXT NOT NULL,
        counted TEXT NOT NULL, asked TEXT NOT NULL, randomness TEXT NOT NULL) {_STRICT}""",
    # For whoever looks with SQL: the reports are the truth.
    """CREATE VIEW answers AS SELECT rounds.round AS round,
        json_extract(value, '$.worker') AS worker, json_extract(value, '$.examples') AS examples,
        json_extract(value, '$.loss') AS loss, json_extract(value, '$.seconds') AS seconds,
        json_extract(value, '$.steps') AS steps, json_extract(value, '$.metrics') AS metrics
        FROM rounds, json_each(rounds.report, '$.answered')""",
    """CREATE VIEW failures AS SELECT rounds.round AS round,
        json_extract(value, '$.worker') AS worker, json_extract(value, '$.reason') AS reason,
        json_extract(value, '$.is_late') AS is_late
        FROM rounds, json_each(rounds.report, '$.failed')""",
    f"PRAGMA user_version = {VERSION}",
)
