"""A worker's account of a failure, as the error that the user's program gets."""

from __future__ import annotations

from fedzmq.errors import FedzmqError, GetNotPermittedError, ObjectNotFoundError, RemoteError
from fedzmq.wire.messages import Failure
from fedzmq.worker.store import TensorNotStored


def error_of(failure: Failure, worker: str, origin: str, others: int = 0) -> FedzmqError:
    """`origin` is where the user's program issued the command; `others` how many more have failed beside it."""
    if failure.error == GetNotPermittedError.__name__:
        return GetNotPermittedError(failure.message)
    more = f" (and {others} more command{'s' if others > 1 else ''} failed since)" if others else ""
    kind = ObjectNotFoundError if failure.error == TensorNotStored.__name__ else RemoteError
    return kind(
        worker,
        failure.operation,
        failure.error,
        failure.message + more,
        shapes=failure.shapes,
        origin=origin,
        remote_traceback=failure.traceback,
    )
