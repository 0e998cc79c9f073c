from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from fedzmq.federated.ledger import lasting
from fedzmq.federated.ledger.lasting import MOST, Lasting


class Disk:
    """Takes as long as a test wants."""

    def __init__(self) -> None:
        self.synced: list[Path] = []
        self.turns = threading.Event()
        self.turns.set()
        self.error: OSError | None = None

    def sync(self, path: Path) -> None:
        self.turns.wait()
        if self.error is not None:
            raise self.error
        self.synced.append(path)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    disk = Disk()
    monkeypatch.setattr(lasting, "sync", disk.sync)
    yield disk
    disk.turns.set()


@pytest.fixture
def waits(disk: Disk) -> Iterator[Lasting]:
    waits = Lasting()
    yield waits
    disk.turns.set()
    waits.close()


def test_what_follows_is_done_once_all_is_there(disk: Disk, waits: Lasting) -> None:
    seen: list[list[Path]] = []
    waits.begin([Path("a"), Path("b")], lambda: seen.append(list(disk.synced)))
    waits.wait()

    assert seen == [[Path("a"), Path("b")]]


def test_it_is_not_waited_for_until_so_many_are_behind(disk: Disk, waits: Lasting) -> None:
    disk.turns.clear()
    for number in range(MOST):
        waits.begin([Path(str(number))], lambda: None)
    assert disk.synced == []

    disk.turns.set()
    waits.begin([Path("last")], lambda: None)
    waits.wait()
    assert disk.synced[-1] == Path("last")


def test_an_error_of_the_disk_is_raised_by_the_next_call_once(disk: Disk, waits: Lasting) -> None:
    disk.error = OSError("the disk is gone")
    waits.begin([Path("a")], lambda: None)

    with pytest.raises(OSError, match="the disk is gone"):
        waits.wait()
    waits.wait()


def test_closing_waits_for_what_was_begun(disk: Disk, waits: Lasting) -> None:
    waits.begin([Path("a")], lambda: None)
    waits.close()
    waits.close()

    assert disk.synced == [Path("a")]
