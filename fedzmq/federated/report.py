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

WIDTH = 120  # characters of a round's line where nothing says how wide a page is


@dataclass(frozen=True, slots=True)
class Answer:
    """A worker whose update is in the round's model.

    loss, metrics: the means over its last epoch, on its own data. steps: how often its optimizer stepped. way: how far
    a gradient of one in each of them would have led, such as the sum of the learning rates. fingerprint: of its
    data set, which tells it from what it was before in this run.
    """

    worker: str
    examples: int
    loss: float
    seconds: float
    steps: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict)
    way: float = 0.0
    fingerprint: str = ""


@dataclass(frozen=True, slots=True)
class Absence:
    """A worker that was asked and whose update is not in the round's model.

    is_late: it did nothing wrong, and the round did not wait for it.
    """

    worker: str
    reason: str
    is_late: bool = False


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a worker says of the new model, or all of them together say, on so many of their own examples.

    accuracy is None where classes are not guessed. metrics: others; those of a worker's own model, where it has one,
    begin with "personal_".
    """

    worker: str
    examples: int
    loss: float
    accuracy: float | None = None
    metrics: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0

    def figures(self) -> dict[str, float]:
        """All that is one number, by name."""
        accuracy = {} if self.accuracy is None else {"accuracy": self.accuracy}
        more = {name: value for name, value in self.metrics.items() if _is_one(value)}
        return {"loss": self.loss, **accuracy, **more}


@dataclass(frozen=True, slots=True)
class RoundReport:
    """One finished round, numbered from 1.

    loss, accuracy, metrics: of the new model on the examples held out at the coordinator, or else on those of the
    workers; accuracy is None in a regression, and where nobody evaluated, when loss is NaN.
    evaluated: what every worker found that evaluated the model. together: the same on all their examples, in one.
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
    metrics: Mapping[str, Any] = field(default_factory=dict)
    evaluated: tuple[Evaluation, ...] = ()
    together: Evaluation | None = None

    @property
    def examples(self) -> int:
        """How many examples the new model was trained on."""
        return sum(answer.examples for answer in self.answered)

    @property
    def workers(self) -> tuple[str, ...]:
        """Who answered, each once: where nobody waits for the others, one may have answered several times."""
        return tuple(dict.fromkeys(answer.worker for answer in self.answered))

    def score(self) -> str:
        """How good the model is, in words; where nobody evaluated it, what it was in training."""
        loss = f"loss {self.loss:.4f}" if math.isfinite(self.loss) else f"train loss {self.train_loss:.4f}"
        return loss + ("" if self.accuracy is None else f"  accuracy {self.accuracy:.4f}")

    def more(self) -> str:
        """The other metrics, in words."""
        return "  ".join(f"{name} {value:.4f}" for name, value in self.metrics.items() if _is_one(value))

    def spread(self) -> str:
        """What the workers found, in words: together, and from the worst to the best; empty where none evaluated."""
        if self.together is None:
            return ""
        if self.together.accuracy is not None:
            whole, each = self.together.accuracy, [one.accuracy for one in self.evaluated if one.accuracy is not None]
        else:
            whole, each = self.together.loss, [one.loss for one in self.evaluated]
        return f"workers {whole:.4f} ({min(each):.4f} to {max(each):.4f})"

    def line(self, of: int | None = None, width: int | None = None) -> str:
        """What fits into `width` characters: how good the model is and who is missing are always told.

        of: how many rounds there are to be.
        """
        number = f"{self.round}" if of is None else f"{self.round:{len(str(of))}d}/{of}"
        traffic = amount(self.bytes_sent + self.bytes_received)
        cost = f"{self.seconds:6.2f} s  {traffic:>9}"
        failed = f"; without {', '.join(absence.worker for absence in self.failed)}" if self.failed else ""
        names, many = ", ".join(self.workers), len(self.workers)
        count = "1 worker" if many == 1 else f"{many} workers"
        found = [f"round {number}", *filter(None, (self.score(), self.more(), self.spread()))]
        line = ""
        for rest in ([cost, names + failed], [cost, count + failed], [count + failed]):
            line = "  ".join([*found, *rest])
            if width is None or len(line) <= width:
                break
        return line

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
            whole = values.get("together")
            found = {
                "metrics": _figures(values.get("metrics", {})),
                "evaluated": tuple(map(_evaluation, values.get("evaluated", ()))),
                "together": None if whole is None else _evaluation(whole),
            }
            return cls(**{**values, **numbers, **found, "answered": answered, "failed": failed})
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
    numbers = {"loss": _number(values["loss"]), "way": _number(values.get("way", 0.0))}
    return Answer(**{**values, **numbers, "metrics": metrics})


def _evaluation(values: dict[str, Any]) -> Evaluation:
    return Evaluation(**{**values, "loss": _number(values["loss"]), "metrics": _figures(values["metrics"])})


def _figures(values: dict[str, Any]) -> dict[str, Any]:
    return {name: _number(value) for name, value in values.items()}


def _is_one(value: Any) -> bool:
    return isinstance(value, int | float)


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _finite(value: Any) -> Any:
    """The same with null for every number that JSON cannot hold."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
