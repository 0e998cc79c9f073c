"""A function that is told it is exported: what asks for that does what holds for all values, and looks at none."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from torch import compiler

_exporting = threading.RLock()  # torch has one flag for all threads: two at a time would put back each other's


def exported(function: Callable[..., Any]) -> Callable[..., Any]:
    """It is true for other threads too while it runs, so this is for functions that cannot be recorded otherwise."""

    def call(*args: Any) -> Any:
        with _exporting:
            before = compiler._is_compiling_flag, compiler._is_exporting_flag
            compiler._is_compiling_flag = compiler._is_exporting_flag = True
            try:
                return function(*args)
            finally:
                compiler._is_compiling_flag, compiler._is_exporting_flag = before

    return call
