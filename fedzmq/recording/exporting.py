"""A function that is told it is exported: what asks for that does what holds for all values, and looks at none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import compiler


def exported(function: Callable[..., Any]) -> Callable[..., Any]:
    """It is true for other threads too while it runs, so this is for functions that cannot be recorded otherwise."""

    def call(*args: Any) -> Any:
        before = compiler._is_compiling_flag, compiler._is_exporting_flag
        compiler._is_compiling_flag = compiler._is_exporting_flag = True
        try:
            return function(*args)
        finally:
            compiler._is_compiling_flag, compiler._is_exporting_flag = before

    return call
