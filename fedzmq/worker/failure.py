"""An exception of a worker as a message: names, shapes and places in the program, and no value of a tensor."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import PurePath
from sysconfig import get_path
from traceback import walk_tb

from torch import Tensor

from fedzmq.wire.messages import Failure

_PACKAGES = ("fedzmq", "torch")
_OWN_LOOP = ("executor.py", "operation_calls.py")  # whatever a client does comes through there
_INSTALLED = tuple(map(get_path, ("stdlib", "platstdlib", "purelib", "platlib")))
_MOST_TEXT = 1000  # characters; four bytes each at most
_MOVED = ", before the move)"
_MOST_FRAMES = 20
_MOST_SHAPES = 16


def failure_of(error: BaseException, command: int, operation: str, operands: Iterable[object] = ()) -> Failure:
    """Its traceback holds frames of torch and of fedzmq, as paths inside the package, and of the owner's own code, by
    the names of its files: not of whatever else is installed.
    """
    shapes = [describe(operand) for operand in operands if isinstance(operand, Tensor)]
    return Failure(
        command=command,
        operation=_clean(operation),
        error=type(error).__name__,
        message=_clean(str(error)),
        traceback=_clean("\n".join(_frames(error)[-_MOST_FRAMES:])),
        shapes=tuple(shapes[:_MOST_SHAPES]),
    )


def carried_on(failure: Failure, worker: str, position: int) -> Failure:
    """As it is told where the tensor went that failed on `worker`; `command` counts the commands that came there.

    It says where it happened, and grows at the first move alone: who knows how many follow.
    """
    message = failure.message
    if not message.endswith(_MOVED):
        where = f" (on worker {worker!r}{_MOVED}"
        message = message[: max(0, _MOST_TEXT - len(where))] + where
    return replace(failure, command=position, message=_clean(message))


def describe(tensor: Tensor) -> str:
    """Such as "float32[2, 3]"."""
    return f"{str(tensor.dtype).removeprefix('torch.')}{list(tensor.shape)}"


def _frames(error: BaseException) -> list[str]:
    lines = []
    for frame, line in walk_tb(error.__traceback__):
        parts = PurePath(frame.f_code.co_filename).parts
        start = max((i for i, part in enumerate(parts) if part in _PACKAGES), default=None)
        if parts[-1] in _OWN_LOOP or (start is None and _is_installed(frame.f_code.co_filename)):
            continue
        lines.append(f"{'/'.join(parts[-1 if start is None else start :])}:{line} in {frame.f_code.co_name}")
    return lines


def _is_installed(file: str) -> bool:
    """It is Python's own, or a package's, or no file."""
    return file.startswith(("<", *_INSTALLED))


def _clean(text: str) -> str:
    return text[:_MOST_TEXT].encode(errors="replace").decode()
