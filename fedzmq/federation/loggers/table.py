"""The loggers by name, each imported when it is asked for: what they write with takes seconds to import."""

from __future__ import annotations

from fedzmq.errors import UsageError
from fedzmq.federation.loggers.round_logger import RoundLogger
from fedzmq.suggestion import suggestion

LOGGERS = ("tensorboard", "mlflow")


def logger_by_name(name: str) -> RoundLogger:
    """A new one. Raises UsageError, and MissingExtraError where its package is not installed."""
    if name == "tensorboard":
        from fedzmq.federation.loggers.tensorboard import TensorBoard

        return TensorBoard()
    if name == "mlflow":
        from fedzmq.federation.loggers.mlflow import MLflow

        return MLflow()
    raise UsageError(f"no logger {name!r} (known: {', '.join(LOGGERS)}){suggestion(name, LOGGERS, 0.0)}")
