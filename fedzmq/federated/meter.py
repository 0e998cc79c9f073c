"""What a round costs, from its first request on: seconds, and bytes between the coordinator and all workers."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

from fedzmq.federated.evaluation.score import Score
from fedzmq.federated.report import Absence, Answer, Evaluation, RoundReport
from fedzmq.session.endpoint import Endpoint


class Meter:
    """Runs from its making until `report`."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._began = time.monotonic()
        self._sent = endpoint.bytes_sent
        self._received = endpoint.bytes_received

    def report(
        self,
        number: int,
        score: Score,
        answered: Iterable[Answer],
        absent: Mapping[str, Absence],
        evaluated: Iterable[Evaluation] = (),
        together: Evaluation | None = None,
    ) -> RoundReport:
        """The report of a round that at least one worker answered, with the absent by name."""
        answers = tuple(answered)
        examples = sum(answer.examples for answer in answers)
        return RoundReport(
            number,
            score.loss,
            score.accuracy,
            sum(answer.loss * answer.examples for answer in answers) / examples,
            time.monotonic() - self._began,
            self._endpoint.bytes_sent - self._sent,
            self._endpoint.bytes_received - self._received,
            answers,
            tuple(absence for _, absence in sorted(absent.items())),
            score.metrics,
            tuple(evaluated),
            together,
        )
