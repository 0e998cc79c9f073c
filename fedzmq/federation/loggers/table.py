"""The loggers by name, each imported when it is asked for: what they write with takes seconds to import."""

from __future__ import annotations

from difflib import get_close_matches

from fedzmq.errors import UsageError
from fedzmq.federation.loggers.round_logger import RoundLogger

LOGGERS = ("tensorboard", "mlflow")


def logger_by_name(name: str) -> RoundLogger:
    """A new one. Raises UsageError, and MissingExtraError where its package is not installed."""
    if name == "tensorboard":
        from fedzmq.federation.loggers.tensorboard import TensorBoard

        return TensorBoard()
    if name == "mlflow":
        from fedzmq.federation.loggers.mlflow import MLflow

        return MLflow()
    near = get_close_matches(name, LOGGERS, n=1, cutoff=0.0)
    raise UsageError(f"no logger {name!r} (known: {', '.join(LOGGERS)}); did you mean {near[0]!r}?")
