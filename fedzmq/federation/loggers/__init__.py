"""Where a training is written down as it goes, for those who watch it with other programs."""

from __future__ import annotations

from fedzmq.federation.loggers.round_logger import Outcome, RoundLogger, scalars
from fedzmq.federation.loggers.table import LOGGERS, logger_by_name

__all__ = ["LOGGERS", "Outcome", "RoundLogger", "logger_by_name", "scalars"]
