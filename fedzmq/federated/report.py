"""What happened in one round: how good the model is, what it cost, and who took part.

A report is one line of JSON and back without loss; a number that is not finite becomes null, as JSON has none.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from fedzmq.errors import DataError


@dataclass(frozen=True, slots=True)
class Answer:
    """A worker whose update is in the round's model.

    loss, metrics: the means over its last epoch, on its own data. steps: how often its optimizer stepped.
    """

    worker: str
    examples: int
    loss: float
    seconds: float
    steps: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Absence:
    """A worker that was asked and whose update is not in the round's model.

    is_late: it did nothing wrong, and the round did not wait for it.
    """

    worker: str
    reason: str
    is_late: bool = False


@dataclass(frozen=True, slots=True)
class RoundReport:
    """One finished round, numbered from 1.

    loss, accuracy: of the new model on the held-out examples; accuracy is None in a regression, and where nothing is
    held out, when loss is NaN.
    train_loss: the answers' own, weighted by their examples. seconds: from the first request to the evaluated model.
    bytes_sent, bytes_received: between the coordinator and all workers.
    """

    round: int
    loss: float
    accuracy: float | None
    train_loss: float
    seconds: float
    bytes_sent: int
    bytes_received: int
    answered: tuple[Answer, ...]
    failed: tuple[Absence, ...] = ()

    @property
    def examples(self) -> int:
        """How many examples the new model was trained on."""
        return sum(answer.examples for answer in self.answered)

    def score(self) -> str:
        """How good the model is, in words."""
        loss = self.loss if math.isfinite(self.loss) else self.train_loss
        return f"loss {loss:.4f}" + ("" if self.accuracy is None else f"  accuracy {self.accuracy:.4f}")

    def line(self, of: int | None = None, width: int | None = None) -> str:
        """All of it that fits into `width` characters. of: how many rounds there are to be."""
        number = f"{self.round}" if of is None else f"{self.round:{len(str(of))}d}/{of}"
        traffic = amount(self.bytes_sent + self.bytes_received)
        begin = f"round {number}  {self.score()}  {self.seconds:6.2f} s  {traffic:>9}  "
        failed = f"; without {', '.join(absence.worker for absence in self.failed)}" if self.failed else ""
        names = ", ".join(answer.worker for answer in self.answered)
        if width is not None and len(begin) + len(names) + len(failed) > width:
            names = f"{len(self.answered)} workers"
        return begin + names + failed

    def __str__(self) -> str:
        return self.line()

    def to_json(self) -> str:
        """One line, without its end."""
        return json.dumps(_finite(asdict(self)), ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_json(cls, line: str) -> RoundReport:
        """The report that to_json wrote. Raises DataError."""
        try:
            values = json.loads(line)
            numbers = {name: _number(values[name]) for name in ("loss", "train_loss")}
            answered = tuple(map(_answer, values["answered"]))
            failed = tuple(Absence(**absence) for absence in values["failed"])
            return cls(**{**values, **numbers, "answered": answered, "failed": failed})
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            named = ", ".join(field.name for field in fields(cls))
            raise DataError(line[:60], f"expected the report of a round as JSON, with {named}") from error


def amount(count: int) -> str:
    """So many bytes, in words."""
    for unit, size in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} B"


def _answer(values: dict[str, Any]) -> Answer:
    metrics = {name: _number(value) for name, value in values.get("metrics", {}).items()}
    return Answer(**{**values, "loss": _number(values["loss"]), "metrics": metrics})


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _finite(value: Any) -> Any:
    """The same with null for every number that JSON cannot hold."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
