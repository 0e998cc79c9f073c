from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from fedzmq.client.waiting import FIRST
from fedzmq.federated.ledger import lasting
from fedzmq.federated.ledger.lasting import MOST, WORTH, Lasting


class Disk:
    """Takes as long as a test wants, and says what time it is: only it lets time pass."""

    def __init__(self) -> None:
        self.synced: list[Path] = []
        self.now = 0.0
        self.takes = 1.0
        self.turns = threading.Event()
        self.turns.set()
        self.error: OSError | None = None

    def sync(self, path: Path) -> None:
        self.turns.wait()
        if self.error is not None:
            raise self.error
        self.now += self.takes
        self.synced.append(path)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    disk = Disk()
    monkeypatch.setattr(lasting, "sync", disk.sync)
    yield disk
    disk.turns.set()


@pytest.fixture
def waits(disk: Disk) -> Iterator[Lasting]:
    waits = Lasting(clock=lambda: disk.now)
    yield waits
    disk.turns.set()
    waits.close()


def test_what_follows_is_done_once_all_is_there(disk: Disk, waits: Lasting) -> None:
    seen: list[list[Path]] = []
    waits.begin([Path("a"), Path("b")], lambda: seen.append(list(disk.synced)))
    waits.wait()

    assert seen == [[Path("a"), Path("b")]]


def test_a_disk_that_takes_long_is_told_of(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lasting, "LOOK", 0.0)
    told: list[float] = []

    def slow(seconds: float) -> None:
        told.append(seconds)
        disk.turns.set()

    def clock() -> float:
        disk.now += 1.0
        return disk.now

    disk.turns.clear()
    waits = Lasting(clock, slow)
    waits.begin([Path("a")], lambda: None)
    waits.close()

    assert told
    assert told[0] >= FIRST


def test_after_long_work_the_disk_is_waited_for(disk: Disk, waits: Lasting) -> None:
    waits.begin([Path("a")], lambda: None)
    disk.now += WORTH * disk.takes
    waits.begin([Path("b"), Path("c")], lambda: None)

    assert disk.synced == [Path("a"), Path("b"), Path("c")]


def test_after_short_work_it_is_not_waited_for_until_so_many_are_behind(disk: Disk, waits: Lasting) -> None:
    waits.begin([Path("first")], lambda: None)
    disk.turns.clear()
    for number in range(MOST):
        waits.begin([Path(str(number))], lambda: None)
    assert disk.synced == [Path("first")]

    disk.turns.set()
    waits.begin([Path("last")], lambda: None)
    waits.wait()
    assert disk.synced[-1] == Path("last")


def test_a_disk_that_became_slow_is_waited_for_by_longer_work_alone(disk: Disk, waits: Lasting) -> None:
    waits.begin([Path("a")], lambda: None)
    disk.takes = 100.0
    disk.now += WORTH
    waits.begin([Path("b")], lambda: None)
    disk.turns.clear()
    disk.now += WORTH
    waits.begin([Path("c")], lambda: None)
    assert disk.synced == [Path("a"), Path("b")]

    disk.turns.set()
    waits.wait()
    disk.now += WORTH * disk.takes
    waits.begin([Path("d")], lambda: None)
    assert disk.synced[-1] == Path("d")


def test_an_error_of_the_disk_is_raised_where_it_is_waited_for_once(disk: Disk, waits: Lasting) -> None:
    disk.error = OSError("the disk is gone")
    with pytest.raises(OSError, match="the disk is gone"):
        waits.begin([Path("a")], lambda: None)
    waits.wait()


def test_an_error_of_the_disk_beside_short_work_is_raised_by_the_next_call_once(disk: Disk, waits: Lasting) -> None:
    waits.begin([Path("a")], lambda: None)
    disk.error = OSError("the disk is gone")
    waits.begin([Path("b")], lambda: None)

    with pytest.raises(OSError, match="the disk is gone"):
        waits.wait()
    waits.wait()


def test_closing_waits_for_what_was_begun(disk: Disk, waits: Lasting) -> None:
    waits.begin([Path("a")], lambda: None)
    waits.close()
    waits.close()

    assert disk.synced == [Path("a")]
