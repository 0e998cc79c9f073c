"""Tensors of one client's: stored, given other data, read and forgotten."""

from __future__ import annotations

from contextlib import nullcontext

from torch import Tensor
from torch.autograd.graph import increment_version

from fedzmq.tensors.buffers import SHARE_FROM, export
from fedzmq.wire.messages import Drop, Fetch, Put, Restrict, SetData, TensorSpec, Value
from fedzmq.worker.answer import Answer
from fedzmq.worker.current_message import CurrentMessage
from fedzmq.worker.guarded import guarded_data
from fedzmq.worker.store import Inherited, Store


class TensorCalls:
    """Handles the commands about tensors on one client's store."""

    def __init__(self, store: Store, message: CurrentMessage) -> None:
        self._store = store
        self._message = message

    def put(self, command: Put) -> None:
        tensor = self._message.take(command.tensor)
        self._store.keep(command.id, tensor.requires_grad_(command.requires_grad))

    def drop(self, command: Drop) -> None:
        for id in command.ids:
            self._store.drop(id)

    def set_data(self, command: SetData) -> None:
        tensor, source = self._store.tensor(command.id), self._store.tensor(command.source)
        with guarded_data(self._store, tensor, source) if self._store.is_guarded else nullcontext():
            self._set_data(tensor, source)

    def restrict(self, command: Restrict) -> None:
        self._store.restrict(command.id, frozenset(command.users))

    def fetch(self, command: Fetch) -> Answer:
        """Raises Inherited where a failure has not been told that kept something from being written."""
        tensor = self._store.readable(command.id)
        failure = self._store.skipped
        if failure is not None:
            raise Inherited(failure)
        copy = tensor.nbytes < SHARE_FROM or self._message.goes_on_writing
        dtype, shape, view = export(tensor, copy=copy)
        return Answer(Value(command.request, TensorSpec(dtype, shape, 0)), [view], is_stable=copy)

    def _set_data(self, tensor: Tensor, source: Tensor) -> None:
        growth = source.nbytes - tensor.nbytes
        # What the graph has kept of the tensor is exchanged too, and kernels of backward trust its shape, and ints.
        is_number = tensor.is_floating_point() or tensor.is_complex()
        kept_is_sound = is_number and tensor.shape == source.shape
        tensor.data = source if is_number else source.clone()  # or writes to source, which nobody counts, reach it
        self._store.bytes += growth
        if not kept_is_sound:
            increment_version(tensor)  # now a backward that would read it raises
