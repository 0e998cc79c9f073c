"""Arguments and results as torch nests them: tensors inside tuples, lists and maps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any


def mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    """The same structure with every leaf of it changed. What torch returns as a named tuple stays one."""
    if isinstance(value, tuple):
        items = [mapped(each, change) for each in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    if isinstance(value, list):
        return [mapped(each, change) for each in value]
    if isinstance(value, dict):
        return {key: mapped(each, change) for key, each in value.items()}
    return change(value)


def leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, tuple | list):
        for each in value:
            yield from leaves(each)
    elif isinstance(value, dict):
        yield from leaves(list(value.values()))
    else:
        yield value
