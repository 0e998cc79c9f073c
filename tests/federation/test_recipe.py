from __future__ import annotations

from fedzmq.data.data import Data
from fedzmq.federation.recipe import sample_of
from tests.federation.test_federation import points
from tests.worker.hub import Meeting


def test_a_worker_that_lacks_the_last_classes_does_not_decide_how_many_there_are() -> None:
    with Meeting() as meeting:
        for name, classes in (("alice", 2), ("bob", 4), ("carol", 3)):
            meeting.worker(name, [Data("points", *points(1), classes)])
        sample = sample_of(meeting.client("client"), "points", 3, 5.0, lambda line: None)

    assert sample.classes == 4
