"""The owner's own function, named `module:function` and run on the owner's own machine.

The name comes from this machine's command line and never from the wire.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from inspect import isfunction
from typing import Any

from fedzmq.errors import UsageError


def names_a_function(source: str) -> bool:
    """Whether this reads as `module:function`."""
    return ":" in source


def own_function(source: str, refuse: Callable[[str, str], UsageError]) -> Callable[..., Any]:
    """Imports what `module:function` names; `refuse(source, reason)` makes the error when that fails.

    Modules are looked for in the current folder too, as `python -m` does.
    """
    module_name, _, function_name = source.partition(":")
    if not module_name or not function_name:
        raise refuse(source, "expected module:function, such as my_data:load")
    if module_name.endswith(".py") or os.sep in module_name:
        asked = module_name.removesuffix(".py").strip(os.sep + ".").replace(os.sep, ".")
        raise refuse(source, f"expected a module's name and not a file's; write {asked}:{function_name}")
    if os.getcwd() not in sys.path and "" not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        module = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:
        if isinstance(error, ModuleNotFoundError) and f"{module_name}.".startswith(f"{error.name}."):
            raise refuse(
                source, f"no module {module_name!r} in {os.getcwd()} or among the installed packages"
            ) from None
        raise refuse(source, f"importing {module_name} failed with {one_line(error)}") from error
    function = vars(module).get(function_name)
    if not callable(function):
        what = "no such name" if function is None else f"it with the type {type(function).__name__}"
        there = sorted(
            name
            for name, value in vars(module).items()
            if isfunction(value) and value.__module__ == module_name and not name.startswith("_")
        )
        known = f" (its functions: {', '.join(there[:8])})" if there else ""
        raise refuse(source, f"{function_name!r} is to be a function, and {module_name} has {what}{known}")
    return function  # type: ignore[no-any-return]


def one_line(error: BaseException) -> str:
    """An exception as type and first line, to stand inside a sentence."""
    first = str(error).strip().split("\n")[0]
    return f"{type(error).__name__}: {first}" if first else type(error).__name__
