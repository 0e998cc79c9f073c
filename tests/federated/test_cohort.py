"""Who can take part, and what is said while too few can."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from fedzmq.data.data import Data
from fedzmq.errors import NotEnoughWorkers
from fedzmq.federated import cohort
from fedzmq.federated.cohort import Cohort
from tests.worker.hub import Meeting


@pytest.fixture
def meeting() -> Iterator[Meeting]:
    with Meeting() as meeting:
        yield meeting


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cohort, "TELL_AFTER", 0.0)


def data(name: str = "data") -> Data:
    return Data(name, torch.ones(2, 1), torch.ones(2, 1), None)


def test_who_is_here_and_how_long_is_waited_is_said_at_once(meeting: Meeting) -> None:
    meeting.worker("bob", [data()])
    meeting.worker("alice", [data()])
    meeting.worker("carol", [data("other")])
    said: list[str] = []
    waits = Cohort(meeting.client(), "data", said.append)
    waits.gather(2, 60.0)
    with pytest.raises(NotEnoughWorkers, match=r"2 can take part \(alice, bob\)"):
        waits.gather(4, 0.3)

    told = "2 of 4 are here (alice, bob); without the data 'data': carol; for 'other', ask by dataset (--dataset other)"
    assert f"waiting for workers with the data 'data': {told}; 0 s left" in said


def test_whoever_went_is_named(meeting: Meeting) -> None:
    bob = meeting.worker("bob", [data()])
    meeting.worker("alice", [data()])
    waits = Cohort(meeting.client(), "data", lambda line: None)
    assert sorted(waits.gather(2, 60.0)) == ["alice", "bob"]
    bob.close()

    with pytest.raises(NotEnoughWorkers, match=r"1 can take part \(alice\); waited 0.1 s; gone: bob"):
        waits.gather(2, 0.1)


def test_many_workers_are_not_all_named() -> None:
    names = [f"w{number:02d}" for number in range(15)]

    assert cohort._listed(" (", names, ")") == f" ({', '.join(names[:12])} and 3 more)"
