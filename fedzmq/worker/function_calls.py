"""Functions of the worker's owner, on one client's tensors."""

from __future__ import annotations

from fedzmq.operations.arguments import Scope, unpack, unpack_keywords
from fedzmq.wire.messages import Call, FunctionsListed, ListFunctions
from fedzmq.worker.answer import Answer
from fedzmq.worker.functions import Functions
from fedzmq.worker.guarded import guarded_record
from fedzmq.worker.outputs import described, within
from fedzmq.worker.randomness import Randomness
from fedzmq.worker.record import operands
from fedzmq.worker.store import Store


class FunctionCalls:
    """Handles the commands about the owner's functions on one client's store."""

    def __init__(self, store: Store, scope: Scope, randomness: Randomness, functions: Functions) -> None:
        self._store = store
        self._scope = scope
        self._randomness = randomness
        self._functions = functions

    def names(self, command: ListFunctions) -> Answer:
        return Answer(FunctionsListed(command.request, self._functions.names))

    def call(self, command: Call) -> Answer:
        """What comes of it is as private as its operands.

        Raises GetNotPermittedError where the client may not take their values: how large the outputs are tells of them.
        """
        record, store = command.record, self._store
        for id in operands(record) if store.is_guarded else ():
            store.readable(id)
        with guarded_record(store, record, range(command.first, command.first + command.room)):
            values = [unpack(value, self._scope) for value in record[3]]
            keywords = unpack_keywords(record[4], self._scope) if len(record) == 5 else {}
            self._randomness.enter()
            output = self._functions.call(command.name, values, keywords)
            store.keep_all(command.first, within(command.room, output))
        return Answer(described(command.request, output))
