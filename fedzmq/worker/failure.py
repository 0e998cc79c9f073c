"""An exception of a worker as a message: names, shapes and places in the program, and no value of a tensor."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePath
from traceback import walk_tb

from torch import Tensor

from fedzmq.wire.messages import Failure

_PACKAGES = ("fedzmq", "torch")
_OWN_LOOP = ("executor.py", "operation_calls.py")  # whatever a client does comes through there
_MOST_TEXT = 1000  # characters; four bytes each at most
_MOST_FRAMES = 20
_MOST_SHAPES = 16


def failure_of(error: BaseException, command: int, operation: str, operands: Iterable[object] = ()) -> Failure:
    """Its traceback holds frames of torch and of fedzmq only, as paths inside the package."""
    shapes = [describe(operand) for operand in operands if isinstance(operand, Tensor)]
    return Failure(
        command=command,
        operation=_clean(operation),
        error=type(error).__name__,
        message=_clean(str(error)),
        traceback=_clean("\n".join(_frames(error)[-_MOST_FRAMES:])),
        shapes=tuple(shapes[:_MOST_SHAPES]),
    )


def describe(tensor: Tensor) -> str:
    """Such as "float32[2, 3]"."""
    return f"{str(tensor.dtype).removeprefix('torch.')}{list(tensor.shape)}"


def _frames(error: BaseException) -> list[str]:
    lines = []
    for frame, line in walk_tb(error.__traceback__):
        parts = PurePath(frame.f_code.co_filename).parts
        start = max((i for i, part in enumerate(parts) if part in _PACKAGES), default=None)
        if start is not None and parts[-1] not in _OWN_LOOP:
            lines.append(f"{'/'.join(parts[start:])}:{line} in {frame.f_code.co_name}")
    return lines


def _clean(text: str) -> str:
    return text[:_MOST_TEXT].encode(errors="replace").decode()
