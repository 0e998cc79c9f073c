"""What one client keeps on a worker: tensors by id, and in place of some of them the failure that took it.

Each client has a store of its own, so that ids of different clients never meet.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from fedzmq.errors import FedzmqError, LimitExceeded
from fedzmq.operations.guards.guard import extent
from fedzmq.operations.guards.products import Products
from fedzmq.wire.messages import Failure
from fedzmq.worker.footprint import OBJECT_BYTES, footprint
from fedzmq.worker.privacy import Privacy
from fedzmq.worker.stored_plan import StoredPlan

DEFAULT_QUOTA = 8 * 1024**3  # bytes
MOST_UNREPORTED = 256


class Inherited(Exception):
    """An operand is the outcome of something that failed; never reported anew."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class TensorNotStored(FedzmqError):
    """A command names a tensor that is not here: it was dropped, or never made."""

    def __init__(self, id: int) -> None:
        super().__init__(f"no tensor number {id} is stored here: it was dropped, or never made")
        self.id = id


class Store:
    """Tensors and failures by id, and the failures that the client has not been told of.

    `bytes` counts every named tensor in full, views too, until it passes the quota: then memory that several share is
    counted once. What only a graph for backward holds is not counted.
    """

    def __init__(self, quota: int = DEFAULT_QUOTA, *, client: str = "client", privacy: Privacy | None = None) -> None:
        self.quota = quota
        self.client = client
        self.privacy = privacy or Privacy()
        self.is_guarded = False
        """Something in it may be private: every command is looked at."""
        self.tensors: dict[int, Tensor] = {}
        self.failures: dict[int, Failure] = {}
        self.plans: dict[int, StoredPlan] = {}
        self.bytes = 0
        self.notable: set[int] = set()
        """The ids of tensors of more than `products.notable` bytes, or whose extent has more."""
        self.products = Products(quota)
        self.position = 0
        """How many records of this client have been run."""
        self._unreported: list[Failure] = []
        self.skipped: Failure | None = None
        """The failure that kept a write from happening, as long as nobody was told of it."""

    def __len__(self) -> int:
        return len(self.tensors)

    def tensor(self, id: int) -> Tensor:
        """Raises Inherited where a failure took its place, and TensorNotStored where nothing is."""
        found = self.tensors.get(id)
        if found is not None:
            return found
        failure = self.failures.get(id)
        if failure is not None:
            raise Inherited(failure)
        raise TensorNotStored(id)

    def readable(self, id: int) -> Tensor:
        """As `tensor`, for a value that is to leave. Raises GetNotPermittedError where this client may not take it."""
        found = self.tensor(id)
        if self.is_guarded:
            self.privacy.check(found, self.client)
        return found

    def restrict(self, id: int, users: frozenset[str]) -> None:
        """Let no others take the value of this tensor, nor of what will be computed from it."""
        tensor = self.tensor(id)
        self.privacy.check_owner(tensor, self.client)
        self.is_guarded = True
        self.privacy.restrict(tensor, users)

    def keep(self, id: int, tensor: Tensor) -> None:
        """Bind an id. Raises, and binds nothing, where that would pass the quota or the tensor has no plain memory."""
        self.drop(id)
        size = tensor.nbytes
        self.tensors[id] = tensor
        self.bytes += size
        if not 0 < size <= self.products.notable or tensor.numel() > size:
            self.note(id)
        if self.bytes > self.quota:
            self.enforce_quota(id)

    def note(self, id: int) -> None:
        """Of a tensor that is large or has no elements: what is made of it is looked at closer, where it must be.

        Raises LimitExceeded for one without elements that by its extent is larger than any may be, and for one of which
        there are more than its number of bytes tells, as torch counts them in 64 bits; and forgets it.
        """
        tensor = self.tensors[id]
        size = extent(tensor) * tensor.element_size()
        if size > self.products.notable:
            self.notable.add(id)
        if size > self.quota and tensor.nbytes != size:
            self.drop(id)
            raise LimitExceeded("the bytes of a tensor, were its empty dimensions 1", size, self.quota)

    def keep_all(self, first: int, tensors: Sequence[Tensor]) -> None:
        """Bind as many ids from the first on. Raises as `keep` does, and none is bound then."""
        for offset, tensor in enumerate(tensors):
            try:
                self.keep(first + offset, tensor)
            except Exception:
                for id in range(first, first + offset):
                    self.drop(id)
                raise

    def enforce_quota(self, id: int) -> None:
        """Count exactly; where it still is too much, forget the tensor that was bound last and raise LimitExceeded.

        A tensor that would be too large alone, were it written out, is refused even where it is a view of little.
        """
        wanted = self.tensors[id].nbytes
        self.bytes = self._recounted()
        if max(self.bytes, wanted) > self.quota:
            size = max(self.bytes, wanted)
            del self.tensors[id]
            self.notable.discard(id)
            self.bytes = self._recounted()
            raise LimitExceeded("the bytes that this client keeps on the worker", size, self.quota)

    def drop(self, id: int) -> None:
        """Forget whatever the id names."""
        tensor = self.tensors.pop(id, None)
        if tensor is not None:
            self.bytes -= tensor.nbytes
            if self.notable:
                self.notable.discard(id)
        elif self.failures or self.plans:
            self.failures.pop(id, None)
            self.plans.pop(id, None)

    def poison(self, id: int, failure: Failure) -> None:
        """Put a failure in a tensor's place."""
        self.drop(id)
        self.failures[id] = failure

    def remember(self, failure: Failure) -> None:
        """Keep a failure for the next report. Of very many the first are kept: the rest follow from them."""
        if len(self._unreported) < MOST_UNREPORTED:
            self._unreported.append(failure)

    def skip_write(self, failure: Failure) -> None:
        """A write did not happen because of this failure: the next fetch tells of it, whatever it fetches."""
        if any(other is failure for other in self._unreported):
            self.skipped = failure

    def told(self, failure: Failure) -> None:
        """The client learnt of this failure another way."""
        self._unreported = [other for other in self._unreported if other is not failure]
        if self.skipped is failure:
            self.skipped = None

    def report(self) -> tuple[Failure, ...]:
        """The failures that nobody has been told of, each once."""
        failures, self._unreported = tuple(self._unreported), []
        self.skipped = None
        return failures

    def footprint(self) -> int:
        """The bytes of all that is kept, with what graphs hold."""
        objects = len(self.failures) + len(self._unreported) + len(self.plans)
        constants = [each for plan in list(self.plans.values()) for each in plan.constants]
        return OBJECT_BYTES * objects + footprint([*self.tensors.values(), *constants])

    def _recounted(self) -> int:
        storages = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage() for tensor in self.tensors.values()}
        return sum(storage.nbytes() for storage in storages.values())
