"""Whether it was a strategy that raised: then its user is told where, and not of all that called it."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from fedzmq.data.own_code import one_line
from fedzmq.errors import FedzmqError, StrategyFailed
from fedzmq.federated.strategies import Strategy


@contextmanager
def blaming(strategy: Strategy, number: Callable[[], int], *, is_told: bool) -> Iterator[None]:
    """Raises StrategyFailed where a command `is_told`; a program has its strategy's own error, with a note on it.

    `number` gives the round that it is then, and 0 before the first.
    """
    try:
        yield
    except Exception as error:
        failure = _failure(strategy, error, number())
        if failure is not None and is_told:
            raise failure from error
        if failure is not None and sys.version_info >= (3, 11):
            error.add_note(str(failure))
        raise


def _failure(strategy: Strategy, error: Exception, number: int) -> StrategyFailed | None:
    """What went wrong in that round, at the innermost line of the strategy's methods; None where it raised on purpose,
    and where it was not the strategy.
    """
    if isinstance(error, FedzmqError):
        return None
    for frame, line in reversed([*traceback.walk_tb(error.__traceback__)]):
        if _is_method_of(strategy, frame):
            where = f"{frame.f_code.co_filename}:{line}"
            return StrategyFailed(type(strategy).__name__, number, one_line(error), where)
    return None


def _is_method_of(strategy: Strategy, frame: FrameType) -> bool:
    code = frame.f_code
    is_given = code.co_argcount > 0 and frame.f_locals.get(code.co_varnames[0]) is strategy
    return is_given and code.co_filename != __file__  # `blaming` has it for its first argument, too
