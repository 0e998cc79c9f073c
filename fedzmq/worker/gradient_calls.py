"""Gradients of one client's tensors, which torch computes here. What its hooks made of some comes with the command.

No code of the client's is here: it was given the gradients that its hooks look at before, and says what takes their
place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial

import torch
from torch import Tensor

from fedzmq.errors import OperationRefused, ProtocolError
from fedzmq.wire.messages import (
    Backward,
    Describe,
    Described,
    Description,
    Gradients,
    Replaced,
    RequireGrad,
    SetGrad,
)
from fedzmq.worker.answer import Answer
from fedzmq.worker.failure import failure_of
from fedzmq.worker.guarded import guarded_gradients
from fedzmq.worker.outputs import description_of
from fedzmq.worker.store import Inherited, Store

_MISSING = "no gradient reached this tensor: on the worker it is None"


class GradientCalls:
    """Handles the commands about gradients on one client's store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def require_grad(self, command: RequireGrad) -> None:
        self._store.tensor(command.id).requires_grad_(command.value)

    def set_grad(self, command: SetGrad) -> None:
        self._store.tensor(command.id).grad = self._optional(command.grad)

    def backward(self, command: Backward) -> None:
        with self._guarded(command):
            self._backward(command)

    def gradients(self, command: Gradients) -> None:
        with self._guarded(command):
            self._gradients(command)

    def describe(self, command: Describe) -> Answer:
        """Raises Inherited where a failure took the place of one of them."""
        return Answer(Described(command.request, tuple([self._described(id) for id in command.ids]), False))

    def _guarded(self, command: Backward | Gradients) -> AbstractContextManager[None]:
        return guarded_gradients(self._store, command) if self._store.is_guarded else nullcontext()

    def _backward(self, command: Backward) -> None:
        if len(command.leaves) != len(command.grads):
            raise ProtocolError(f"backward names {len(command.leaves)} leaves and {len(command.grads)} gradients")
        inner = [id for id in command.leaves if id in self._store.tensors and not self._store.tensors[id].is_leaf]
        retained: dict[int, Tensor] = {}
        if inner or command.replaced:
            with self._hooked(command.replaced), self._retained(inner) as retained:
                self._run(command)
        else:
            self._run(command)
        for leaf, grad in zip(command.leaves, command.grads):  # noqa: B905 - just compared
            try:
                if leaf not in inner:
                    self._bind_gradient(grad, self._store.tensor(leaf).grad)
                elif leaf in retained:
                    before = self._store.tensors.get(grad)
                    self._store.keep(grad, retained[leaf] if before is None else before + retained[leaf])
                elif grad not in self._store.tensors:
                    self._bind_gradient(grad, None)
            except Inherited as error:
                self._store.poison(grad, error.failure)

    def _run(self, command: Backward) -> None:
        torch.autograd.backward(
            [self._store.tensor(id) for id in command.roots],
            [self._optional(id) for id in command.gradients] or None,
            retain_graph=command.retain_graph,
            create_graph=command.create_graph,
        )

    def _gradients(self, command: Gradients) -> None:
        if len(command.results) != len(command.inputs) or len(command.grad_outputs) not in (0, len(command.outputs)):
            raise ProtocolError("the results of gradients are as many as its inputs, grad_outputs as its outputs")
        with self._hooked(command.replaced):
            gradients = torch.autograd.grad(
                [self._store.tensor(id) for id in command.outputs],
                [self._store.tensor(id) for id in command.inputs],
                [self._optional(id) for id in command.grad_outputs] or None,
                retain_graph=command.retain_graph,
                create_graph=command.create_graph,
                allow_unused=command.allow_unused,
            )
        for result, gradient in zip(command.results, gradients):  # noqa: B905 - as many as inputs
            if result:
                self._bind_gradient(result, gradient)

    def _described(self, id: int) -> Description:
        failure = self._store.failures.get(id)
        if failure is not None and failure.message == _MISSING:
            return Description("", (), (), False, 0)
        return description_of(self._store.tensor(id))

    @contextmanager
    def _hooked(self, replaced: Sequence[Replaced]) -> Iterator[None]:
        """Where gradients of some tensors are replaced on their way, by what the client's hooks made of them."""
        if not replaced:
            yield
            return
        handles = [self._store.tensor(each.tensor).register_hook(self._replacement(each)) for each in replaced]  # type: ignore[no-untyped-call]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    @contextmanager
    def _retained(self, ids: Sequence[int]) -> Iterator[dict[int, Tensor]]:
        """The gradients of these, which are in the middle of the graph. What hooks replaced comes replaced.

        Not `retain_grad`, which would go on with it at every gradient that is only looked at.
        """
        found: dict[int, Tensor] = {}
        handles = [self._store.tensor(id).register_hook(partial(found.__setitem__, id)) for id in ids]  # type: ignore[no-untyped-call]
        try:
            yield found
        finally:
            for handle in handles:
                handle.remove()

    def _replacement(self, replaced: Replaced) -> Callable[[Tensor], Tensor]:
        # Looked up when a gradient comes: where none does, there is nothing to replace either.
        return lambda gradient: self._store.tensor(replaced.gradient)

    def _bind_gradient(self, id: int, gradient: Tensor | None) -> None:
        if gradient is not None:
            if gradient.layout is not torch.strided:
                raise OperationRefused(f"a gradient that is {gradient.layout}", "embed with sparse=False")
            self._store.keep(id, gradient)
        else:
            # No error by itself, as little as a .grad of None is: only a program that uses it is told.
            error = RuntimeError(_MISSING)
            self._store.poison(id, failure_of(error, self._store.position, "backward"))

    def _optional(self, id: int) -> Tensor | None:
        return self._store.tensor(id) if id else None
