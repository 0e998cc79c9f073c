"""Writes that torch does not count: some operations change a tensor and leave its version as it was, and all do that
when they fail half-way.

Who relies on versions is wrong then: a backward that reads what was changed after it was saved, and whoever asks what
a program wrote. Whatever runs an operation for somebody else runs it as `counted`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor
from torch.autograd.graph import increment_version

from fedzmq.operations.effects import writes, writes_now, written_keywords

_NORMALISATIONS = frozenset({"nn.functional.batch_norm", "torch.batch_norm", "torch.native_batch_norm"})
_FUSED = "torch._fused_"


def counted(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The function of that name in the catalog, so that all which it writes to has a new version afterwards."""
    if name in _NORMALISATIONS:
        return _normalisation(name, function)
    if name.startswith(_FUSED):
        return _always(name, function)
    return _half(name, function) if writes(name) else function


def _normalisation(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    names = written_keywords(name)

    def normalise(*arguments: Any, **keywords: Any) -> Any:
        positions = writes_now(name, arguments, keywords)
        if not positions:
            return function(*arguments, **keywords)
        # They are saved for a backward that does not read them: counted there, the next forward would spoil it.
        given = [_alias(each) if i in positions else each for i, each in enumerate(arguments)]
        named = {key: _alias(each) if key in names else each for key, each in keywords.items()}
        try:
            return function(*given, **named)
        finally:
            written = [each for i, each in enumerate(arguments) if i in positions]
            written += [each for key, each in keywords.items() if key in names]
            increment_version([each for each in written if isinstance(each, Tensor)])

    return normalise


def _always(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def step(*arguments: Any, **keywords: Any) -> Any:
        try:
            return function(*arguments, **keywords)
        finally:
            _count(name, arguments, keywords)

    return step


def _half(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Of one that fails half-way, at an index that is too large for example, torch counts nothing."""

    def write(*arguments: Any, **keywords: Any) -> Any:
        try:
            return function(*arguments, **keywords)
        except Exception:
            _count(name, arguments, keywords)
            raise

    return write


def _count(name: str, arguments: Sequence[Any], keywords: Mapping[str, Any]) -> None:
    written = [arguments[i] for i in writes_now(name, arguments, keywords) if i < len(arguments)]
    for group in [*written, *keywords.values()]:
        if isinstance(group, Tensor):
            increment_version(group)
        elif isinstance(group, (list, tuple)):
            increment_version([each for each in group if isinstance(each, Tensor)])


def _alias(value: Any) -> Any:
    """The same memory, with versions of its own."""
    return value.data if isinstance(value, Tensor) else value
