"""Operations on one client's tensors. Most of what a client sends is a record for `apply`: nothing here runs as often.

An operation that fails leaves its failure in the place of its results and of what it may have written. One whose
operands had failed before does not begin: its results inherit that failure, and what it would have written to stays as
it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from torch import Tensor

from fedzmq.errors import OperationRefused, ProtocolError
from fedzmq.operations.arguments import Scope, unpack, unpack_keywords
from fedzmq.operations.catalog import Catalog, Operation
from fedzmq.operations.uncounted import counted
from fedzmq.wire.apply import results_of
from fedzmq.wire.messages import Failure, Probe
from fedzmq.worker.answer import Answer
from fedzmq.worker.failure import failure_of
from fedzmq.worker.guarded import guarded_record, withheld
from fedzmq.worker.outputs import described, only, tensors, within
from fedzmq.worker.randomness import Randomness
from fedzmq.worker.record import operands, written
from fedzmq.worker.store import Inherited, Store

_PLAIN = frozenset({int, float, bool, type(None)})
_INDEXING = frozenset({"Tensor.__getitem__", "Tensor.index_put", "torch.index_put"})


class OperationCalls:
    """Runs the operations of the catalog on one client's store."""

    def __init__(self, store: Store, scope: Scope, catalog: Catalog, randomness: Randomness) -> None:
        self._store = store
        self._scope = scope
        self._catalog = catalog
        self._randomness = randomness
        self._notable = store.products.notable
        self._indexing = {number for number, name in enumerate(catalog.names) if name in _INDEXING}
        self._functions = [self._prepared(number) for number in range(len(catalog))]

    def apply(self, record: list[Any]) -> None:
        """Run a record, in a store that holds nothing private."""
        store = self._store
        try:
            result, packed = record[1], record[3]
            if len(record) == 4 and record[2] + 1 == 1 << len(packed):
                # The commonest record: every argument is a stored tensor.
                stored = store.tensors
                values = [stored[id] for id in packed]
                if store.notable and len(packed) > 1 and not store.notable.isdisjoint(packed):
                    self._check_product(record[0], values)
                output = self._functions[record[0]](*values)
            else:
                output = self._compute(record)
            if type(result) is int:
                if result:
                    if type(output) is not Tensor:
                        output = only(output)
                    # As `store.keep` does, without the call.
                    size = output.nbytes  # first, as what has no plain memory has none
                    store.tensors[result] = output
                    store.bytes += size
                    if not 0 < size <= self._notable or output.numel() > size:
                        store.note(result)
                    if store.bytes > store.quota:
                        store.enforce_quota(result)
            else:
                self._keep_all(result, output)
        except Exception as error:
            self.fail(record, error)

    def apply_guarded(self, record: list[Any]) -> None:
        """Run a record where something private may be among its operands."""
        with guarded_record(self._store, record, results_of(record), self._catalog), self._drawing(record):
            self.apply(record)

    def probe(self, command: Probe) -> Answer:
        """Raises Inherited, after everything that it may have written to has that failure."""
        store, record = self._store, command.record
        if not store.is_guarded:
            return self._probe(command)
        for id in operands(record):  # how large the outputs are tells of the values
            store.readable(id)
        with guarded_record(store, record, range(command.first, command.first + command.room), self._catalog):
            return self._probe(command)

    def _probe(self, command: Probe) -> Answer:
        try:
            output = self._compute(command.record)
            self._store.keep_all(command.first, within(command.room, output))
        except Exception as error:
            failure, _ = self._failure_of(command.record, error)
            for id in written(command.record, self._catalog):
                self._store.poison(id, failure)
            raise Inherited(failure) from None
        return Answer(described(command.request, output))

    def _compute(self, record: list[Any]) -> Any:
        function, mask, stored = self._functions[record[0]], record[2], self._store.tensors
        values = [
            stored[value] if mask >> i & 1 else value if type(value) in _PLAIN else unpack(value, self._scope)
            for i, value in enumerate(record[3])
        ]
        keywords = unpack_keywords(record[4], self._scope) if len(record) == 5 else {}
        # Several tensors, or a list of them, or some by name. An index lies in a tuple beside its tensor.
        if self._store.notable and (mask & (mask - 1) or not mask or keywords or record[0] in self._indexing):
            self._check_product(record[0], values, keywords)
        return function(*values, **keywords)

    def _drawing(self, record: list[Any]) -> AbstractContextManager[None]:
        store = self._store
        if record[0] not in self._catalog.random:
            return nullcontext()
        used = [store.tensors.get(id) for id in operands(record)]
        return self._randomness.apart() if store.privacy.hides(used, store.client) else nullcontext()

    def _check_product(self, number: int, arguments: Sequence[Any], keywords: dict[str, Any] | None = None) -> None:
        """Raises LimitExceeded. What is written into the first argument is no larger than that."""
        catalog, products = self._catalog, self._store.products
        if catalog.writes[number] == (0,):
            return
        name, function, guard = catalog.names[number], catalog.functions[number], catalog.guard(number)
        if keywords is None:
            products.check_tensors(name, function, guard, arguments)
        else:
            products.check(name, function, guard, arguments, keywords)

    def _keep_all(self, results: Sequence[int], output: Any) -> None:
        outputs = list(tensors(output))
        if len(outputs) != len(results):
            raise ProtocolError(f"the operation gave {len(outputs)} tensors, and {len(results)} ids came for them")
        for result, tensor in zip(results, outputs):  # noqa: B905 - just compared
            if result:
                self._store.keep(result, tensor)

    def fail(self, record: list[Any], error: BaseException) -> None:
        """Its failure is in the place of its results, and of what it may have written."""
        failure, is_new = self._failure_of(record, error)
        targets = results_of(record)
        written_to = list(written(record, self._catalog))
        if is_new:
            self._store.remember(failure)
            targets += written_to  # it may have begun to write
        elif written_to:  # it did not begin: one bad batch must not cost the weights that its step would have changed
            self._store.skip_write(failure)
        for id in targets:
            if id:
                self._store.poison(id, failure)

    def _failure_of(self, record: list[Any], error: BaseException) -> tuple[Failure, bool]:
        """The failure, and whether it is this record's own: where an operand has failed, it is that one's."""
        store, found = self._store, []
        for id in operands(record):
            if id in store.tensors:
                found.append(store.tensors[id])
            elif id in store.failures:
                return store.failures[id], False
            elif isinstance(error, KeyError):
                try:
                    store.tensor(id)
                except Exception as missing:
                    error = missing
        number = record[0]
        if number >= len(self._catalog):
            name, error = f"operation number {number}", OperationRefused(f"operation number {number}")
        else:
            name = self._catalog.name(number)
        failure = failure_of(error, store.position, name, found)
        return withheld(store, failure, found) if store.is_guarded else failure, True

    def _prepared(self, number: int) -> Operation:
        """The operation with what it needs around it; most need nothing, and cost nothing more."""
        function = counted(self._catalog.names[number], self._catalog.functions[number])
        guard = self._catalog.guard(number)
        if guard is None and number not in self._catalog.random:
            return function
        draws, enter, quota = number in self._catalog.random, self._randomness.enter, self._store.quota

        def prepared(*arguments: Any, **keywords: Any) -> Any:
            if guard is not None:
                guard(quota, arguments, keywords)
            if draws:
                enter()
            return function(*arguments, **keywords)

        return prepared
