"""Everything that can go wrong, as one tree: each branch answers whose fault it is and whether a retry helps.

FedzmqError
├── UsageError                 the caller's: mend the call, a retry changes nothing
│   ├── AddressError           the address cannot be understood, or no transport serves its scheme
│   ├── InvalidName            a party or a topic cannot be called that
│   ├── MissingExtraError      an optional package is not installed
│   ├── DataError              a data set is missing, unreadable or of the wrong form
│   ├── FederatedMember        a data set is part of a federated one, which has to let it go first
│   ├── FunctionError          a function that clients are to call cannot be offered
│   ├── ModelError             a model or its loss cannot be used as asked
│   ├── JobFileError           a job file cannot be read, or names or sets an option wrongly
│   ├── RunFolderError         the folder of a run cannot be made or written
│   │   └── RunFolderFull      no room is left on its disk: once there is some, a retry helps
│   ├── RunNotFound            no run is kept in that folder, or under that name
│   ├── RunChanged             a run cannot go on as it began: its configuration or a version is another one
│   ├── PlanError              a computation cannot be recorded, or a plan does not check
│   │   ├── PlanNeedsValue     only the values of tensors decide it, which a recording has none of
│   │   ├── PlanNotBuilt       nobody has said yet what the plan's arguments look like
│   │   └── PlanArgumentError  an argument is not what the plan was built for
│   ├── OperationRefused       the operation is not on the closed list
│   │   └── IntegerTooLarge    a number has more than the 64 bits that tensors count in
│   ├── NeedsValueError        the program needs a value that lives on a worker
│   ├── TensorsNotCollocatedException   operands live in different places
│   ├── PointerError           a pointer cannot be used this way (fetched twice, released, pickled, ...)
│   │   ├── InvalidTensorForRemoteGet   it points to no pointer
│   │   └── NotInPlaceError    one tensor cannot become several in place
│   ├── NothingFound           a search found nothing on that worker
│   ├── WorkerExists           another kind of party has that name
│   └── WorkerNotFoundError    no worker of that name is known here
├── RemoteError                a command failed on the worker: the user's program, a retry repeats it
│   └── ObjectNotFoundError    it names a tensor that is not on the worker: it was cleared, or dropped
├── StrategyFailed             a strategy of the user's own raised: mended, it may go on with the same run
├── UpdateRefused              a worker's update would spoil the model; it is left out, and the worker is named
│   └── UpdateNotFinite        it holds NaN or infinity
├── GetNotPermittedError       the owner of the data does not let it leave
├── SendNotPermittedError      the owner of the data does not let this client send it on
├── ProtocolError              the peer sent what no fedzmq sends: a retry changes nothing
│   └── LimitExceeded          it was well formed and too large
├── UnavailableError           the machine's or the network's: a retry may help
│   ├── BrokerUnreachable      nothing answers at the broker's address
│   ├── AddressInUse           something else listens there already
│   ├── NameTaken              a living party already has that name
│   ├── WorkerLost             the worker died, left or was started anew; pointers into it are gone
│   ├── RequestTimeout         no answer in the time the caller gave
│   ├── NotEnoughWorkers       fewer workers than the job needs
│   ├── FolderLocked           a living process works in that folder
│   │   └── RunLocked          it works on that run
│   └── ClusterError           a process of a local cluster did not start or died
└── TransportClosed            you closed it
"""

from __future__ import annotations


class FedzmqError(Exception):
    """The root of everything that fedzmq raises on purpose.

    way_on: what goes on with the work that it ended, where something does; said after the message.
    """

    way_on: str = ""


class UsageError(FedzmqError):
    """The call cannot work as written; a retry changes nothing."""


class AddressError(UsageError):
    """An address that cannot be understood, or whose scheme no transport serves."""

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(f"cannot use the address {address!r}: {reason}")
        self.address = address
        self.reason = reason


class InvalidName(UsageError):
    """A name that no party, or no topic, can have."""

    def __init__(self, what: str, name: str, reason: str) -> None:
        super().__init__(f"{name!r} cannot be the name of a {what}: {reason}")
        self.what = what
        self.name = name
        self.reason = reason


class MissingExtraError(UsageError):
    """An optional package that this call needs is not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs {package}, which is not installed: pip install '.[{extra}]'")
        self.package = package
        self.extra = extra
        self.purpose = purpose


class DataError(UsageError):
    """A data set that is missing, unreadable or of the wrong form."""

    def __init__(self, source: str, reason: str) -> None:
        super().__init__(f"cannot use the data {source!r}: {reason}")
        self.source = source
        self.reason = reason


class FederatedMember(UsageError, ValueError):
    """A data set that is part of a federated one cannot leave its worker by itself. A ValueError too, as in PySyft."""

    def __init__(self, worker: str) -> None:
        super().__init__(
            f"the data set on worker {worker!r} is part of a federated one, which would lose it; "
            f"take it out with .get_dataset({worker!r})"
        )
        self.worker = worker


class FunctionError(UsageError):
    """A function that clients are to call cannot be offered."""

    def __init__(self, source: str, reason: str) -> None:
        super().__init__(f"cannot offer the function {source!r}: {reason}")
        self.source = source
        self.reason = reason


class ModelError(UsageError):
    """A model, or its loss, that cannot be used as asked."""

    def __init__(self, source: str, reason: str) -> None:
        super().__init__(f"cannot use the model {source!r}: {reason}")
        self.source = source
        self.reason = reason


class JobFileError(UsageError):
    """A job file that cannot be read, or that names or sets an option wrongly. `line` is None where it is all of it."""

    def __init__(self, path: str, reason: str, line: int | None = None) -> None:
        place = "" if line is None else f", line {line}"
        super().__init__(f"cannot use the job file {path!r}{place}: {reason}")
        self.path = path
        self.reason = reason
        self.line = line


class RunFolderError(UsageError):
    """A folder of a run that is taken, or that cannot be made or written."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"cannot use the run folder {path!r}: {reason}")
        self.path = path
        self.reason = reason


class RunFolderFull(RunFolderError):
    """No room is left on the disk of a run's folder. What was there is whole, and the same call may be made again."""

    def __init__(self, path: str, failed: str) -> None:
        super().__init__(path, f"no room is left on its disk, and {failed}")


class RunNotFound(UsageError):
    """No run is kept in that folder, or under that name."""

    def __init__(self, run: str, reason: str) -> None:
        super().__init__(f"no run {run!r}: {reason}")
        self.run = run
        self.reason = reason


class RunChanged(UsageError):
    """A run that cannot go on as it began. `differences`: what it is, what it was, and what it would be now; both are
    None where they would tell nobody anything.
    """

    def __init__(self, run: str, differences: tuple[tuple[str, object, object], ...]) -> None:
        changed = ", ".join(
            f"{name} is not what it was" if then is now is None else f"{name} was {then} and is {now}"
            for name, then, now in differences
        )
        super().__init__(
            f"the run {run!r} cannot go on as it began: {changed}; with --force (force=True in Python) it goes on all "
            "the same, and ends with other bits"
        )
        self.run = run
        self.differences = differences


class PlanError(UsageError):
    """A computation that cannot be recorded as a plan, or a plan that does not check."""


class PlanNeedsValue(PlanError):
    """A step that only the values of tensors decide, which a recording has none of."""


class PlanNotBuilt(PlanError, RuntimeError):
    """A plan that does not know yet what its arguments look like. A RuntimeError too, as in PySyft."""

    def __init__(self, plan: str) -> None:
        super().__init__(
            f"the plan {plan!r} has not been built: call {plan}.build(...) with tensors like its arguments, or "
            f"declare it with args_shape=[...]"
        )
        self.plan = plan


class PlanArgumentError(PlanError, TypeError, ValueError):
    """An argument that is not what a plan was built for.

    A TypeError, as a wrong argument is everywhere, and a ValueError, as a wrong shape is in PySyft.
    """

    def __init__(self, plan: str, place: str, reason: str) -> None:
        super().__init__(f"the plan {plan!r}: {place} {reason}")
        self.plan = plan
        self.place = place
        self.reason = reason


class OperationRefused(UsageError):
    """An operation that is not on the closed list of what a worker runs."""

    def __init__(self, operation: str, reason: str = "it is not on the list of operations that a worker runs") -> None:
        super().__init__(f"{operation} cannot run on a worker: {reason}")
        self.operation = operation
        self.reason = reason


class IntegerTooLarge(OperationRefused, OverflowError):
    """A number of Python's that no worker computes with. An OverflowError too, as torch's own kernels say it."""

    def __init__(self, value: int) -> None:
        super().__init__(
            f"an int of {value.bit_length()} bits",
            "tensors count in 64 bits, from -2**63 to 2**63 - 1; float(...) of it may do",
        )


class NeedsValueError(UsageError, RuntimeError):
    """The program needs a value that lives on a worker.

    A RuntimeError too, because that is what torch raises where a tensor has no value to give.
    """

    def __init__(self, what: str, where: str) -> None:
        super().__init__(f"{what} needs the value, which lives on {where}: call .get() first")
        self.what = what
        self.where = where


class TensorsNotCollocatedException(UsageError, RuntimeError):
    """Operands of one operation live in different places and may not meet.

    It has the name under which users of PySyft look for it.
    """

    def __init__(self, operation: str, places: tuple[str, ...], reason: str = "") -> None:
        why = f" ({reason})" if reason else ""
        super().__init__(
            f"{operation}: the operands live in different places, {' and '.join(places)}{why}; "
            "bring them together with .move(worker), .send(worker) or .get()"
        )
        self.operation = operation
        self.places = places


class PointerError(UsageError):
    """A pointer used in a way that it cannot serve: fetched twice, released, pickled."""


class InvalidTensorForRemoteGet(PointerError):
    """`remote_get` on a pointer that points to a tensor. It has the name under which users of PySyft look for it."""

    def __init__(self, shown: str) -> None:
        super().__init__(
            f"{shown} points to a tensor and not to a pointer, so that its worker has nothing to get; "
            ".get() brings the tensor here"
        )
        self.shown = shown


class NotInPlaceError(PointerError, NotImplementedError):
    """One tensor cannot become several in place. A NotImplementedError too, as in PySyft."""

    def __init__(self, workers: tuple[str, ...]) -> None:
        super().__init__(
            f"one tensor cannot live on {' and '.join(workers)} in place; .send({', '.join(workers)}) gives a new "
            "pointer to a copy on each"
        )
        self.workers = workers


class WorkerExists(UsageError, RuntimeError):
    """A name that another kind of party has. A RuntimeError too, as in PySyft."""

    def __init__(self, name: str, taken_by: str) -> None:
        super().__init__(f"no worker can be called {name!r}, which is the name of {taken_by}; choose another id")
        self.name = name
        self.taken_by = taken_by


class WorkerNotFoundError(UsageError):
    """No worker of that name is known here."""

    def __init__(self, name: str, known: tuple[str, ...], hint: str = "") -> None:
        here = ", ".join(known) if known else "none"
        super().__init__(f"no worker {name!r} is here (known: {here}){'; ' + hint if hint else ''}")
        self.name = name
        self.known = known


class NothingFound(UsageError, KeyError):
    """What a search found is asked for by a worker where it found nothing."""

    def __init__(self, worker: str, terms: tuple[str, ...], found: tuple[str, ...]) -> None:
        wanted = " and ".join(map(repr, terms)) or "anything"
        elsewhere = (
            f"it is on {', '.join(found)}" if found else "it is nowhere; a search for nothing finds all there is"
        )
        super().__init__(f"nothing on {worker!r} fits {wanted}: {elsewhere}")
        self.worker = worker
        self.terms = terms
        self.found = found

    def __str__(self) -> str:
        return str(self.args[0])


class RemoteError(FedzmqError):
    """A command was delivered to a worker and failed there.

    It is of the type that was raised there too, where that is one of Python's own or derives from one: what a program
    does about an IndexError here, it does about one of a worker's.
    """

    def __new__(
        cls, worker: str = "", operation: str = "", error: str = "", *rest: object, **more: object
    ) -> RemoteError:
        return super().__new__(_ALIKE.get(error, cls) if cls is RemoteError else cls)

    def __init__(
        self,
        worker: str,
        operation: str,
        error: str,
        reason: str,
        *,
        shapes: tuple[str, ...] = (),
        origin: str = "",
        remote_traceback: str = "",
    ) -> None:
        text = f"{operation} failed on worker {worker!r}: {error}: {reason}"
        if shapes:
            text += f"\n  operands: {', '.join(shapes)}"
        if origin:
            text += f"\n  issued at {origin}"
        if remote_traceback:
            text += "\n  traceback on the worker:\n" + "\n".join(
                "    " + line for line in remote_traceback.splitlines()
            )
        super().__init__(text)
        self.worker = worker
        self.operation = operation
        self.error = error
        self.reason = reason
        self.shapes = shapes
        self.origin = origin
        self.remote_traceback = remote_traceback


def _alike(name: str, kind: type[Exception]) -> type[RemoteError]:
    return type(f"Remote{name}", (RemoteError, kind), {"__module__": __name__})


_ALIKE = {
    kind.__name__: _alike(kind.__name__, kind)
    for kind in (
        ArithmeticError,
        AssertionError,
        IndexError,
        MemoryError,
        NotImplementedError,
        OverflowError,
        RuntimeError,
        TypeError,
        ValueError,
        ZeroDivisionError,
    )
}


class ObjectNotFoundError(RemoteError):
    """A command names a tensor that is not on the worker: it was cleared, or dropped."""


class StrategyFailed(FedzmqError):
    """A strategy of the user's own raised. `where`: in which file and line. `number`: in which round, and 0 before."""

    def __init__(self, strategy: str, number: int, reason: str, where: str) -> None:
        when = f"in round {number}" if number else "before the first round"
        super().__init__(f"the strategy {strategy} failed {when}: {reason} ({where})")
        self.strategy = strategy
        self.number = number
        self.reason = reason
        self.where = where


class UpdateRefused(FedzmqError):
    """A worker's update differs in form from the model, or holds numbers that are none."""


class UpdateNotFinite(UpdateRefused):
    """A worker's update holds NaN or infinity in the tensor of that name, or what is next to it."""

    def __init__(self, tensor: str) -> None:
        super().__init__(f"{tensor!r} holds NaN or infinity, or all but that (is the learning rate too high?)")
        self.tensor = tensor


class GetNotPermittedError(FedzmqError):
    """The owner of the data does not let this value leave the worker."""


class SendNotPermittedError(FedzmqError):
    """The owner of the tensor does not let this client send it to a worker."""


class ProtocolError(FedzmqError):
    """Bytes that no fedzmq sends."""


class LimitExceeded(ProtocolError):
    """Well formed, and larger than this side accepts."""

    def __init__(self, what: str, value: int, limit: int) -> None:
        super().__init__(f"{what} is {value}, and the limit is {limit}")
        self.what = what
        self.value = value
        self.limit = limit


class UnavailableError(FedzmqError):
    """Something that may be there later: a retry may help."""


class BrokerUnreachable(UnavailableError):
    """Nothing that speaks fedzmq answers at the broker's address."""

    def __init__(self, address: str, waited: float) -> None:
        super().__init__(
            f"no broker answered at {address} within {waited:g} s; "
            f"is `fedzmq broker --listen {address}` running, and is the address right?"
        )
        self.address = address
        self.waited = waited


class AddressInUse(UnavailableError):
    """Something else listens at that address already."""

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(f"cannot listen at {address}: {reason}")
        self.address = address
        self.reason = reason


class NameTaken(UnavailableError):
    """A living party already has that name."""

    def __init__(self, name: str, address: str) -> None:
        super().__init__(
            f"the name {name!r} is taken: a living party at {address} already has it; "
            "choose another (`--id`, or `name` of `connect`), or stop the first one"
        )
        self.name = name
        self.address = address


class WorkerLost(UnavailableError):
    """The worker died, left, or was started anew; what was stored there is gone."""

    def __init__(self, worker: str, reason: str) -> None:
        super().__init__(f"worker {worker!r} is lost: {reason}")
        self.worker = worker
        self.reason = reason


class RequestTimeout(UnavailableError):
    """No answer in the time that the caller gave."""

    def __init__(self, what: str, waited: float) -> None:
        super().__init__(f"{what}: no answer within {waited:g} s")
        self.what = what
        self.waited = waited


class NotEnoughWorkers(UnavailableError):
    """Fewer workers answer than the job needs."""

    def __init__(self, wanted: int, present: tuple[str, ...], reason: str = "") -> None:
        here = f" ({', '.join(present)})" if present else ""
        needed = "1 worker is needed" if wanted == 1 else f"{wanted} workers are needed"
        super().__init__(f"{needed}, and {len(present)} can take part{here}{'; ' + reason if reason else ''}")
        self.wanted = wanted
        self.present = present


class FolderLocked(UnavailableError):
    """A living process works in that folder. `owner`: which."""

    def __init__(self, path: str, owner: str, what: str = "folder") -> None:
        super().__init__(f"the {what} {path!r} is in use by {owner}: wait for it to end, or stop it")
        self.path = path
        self.owner = owner


class RunLocked(FolderLocked):
    """A living process works on that run."""

    def __init__(self, path: str, owner: str) -> None:
        super().__init__(path, owner, "run")


class ClusterError(UnavailableError):
    """A process of a local cluster did not start, or died."""


class TransportClosed(FedzmqError):
    """The connection was closed on this side."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the connection of {name!r} was closed here")
        self.name = name
