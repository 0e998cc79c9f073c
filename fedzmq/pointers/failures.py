"""A worker's account of a failure, as the error that the user's program gets."""

from __future__ import annotations

from typing import Any

import torch

from fedzmq.errors import FedzmqError, GetNotPermittedError, ObjectNotFoundError, RemoteError
from fedzmq.wire.messages import Failure
from fedzmq.worker.store import TensorNotStored

_LINALG: Any = torch.linalg.LinAlgError  # type: ignore[attr-defined]  # torch declares it in its kernels


class RemoteLinAlgError(RemoteError, _LINALG):  # type: ignore[misc]  # and so it is no class to mypy
    """A matrix on a worker has no inverse, no factorisation or no solution: torch's own error, as here."""


_KINDS: dict[str, type[RemoteError]] = {
    TensorNotStored.__name__: ObjectNotFoundError,
    _LINALG.__name__: RemoteLinAlgError,
}


def error_of(failure: Failure, worker: str, origin: str, others: int = 0) -> FedzmqError:
    """`origin` is where the user's program issued the command; `others` how many more have failed beside it."""
    if failure.error == GetNotPermittedError.__name__:
        return GetNotPermittedError(failure.message)
    more = f" (and {others} more command{'s' if others > 1 else ''} failed since)" if others else ""
    return _KINDS.get(failure.error, RemoteError)(
        worker,
        failure.operation,
        failure.error,
        failure.message + more,
        shapes=failure.shapes,
        origin=origin,
        remote_traceback=failure.traceback,
    )
