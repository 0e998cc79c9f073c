"""A plan on a worker: to call it is one command, and what it gives are pointers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn

from fedzmq.errors import PlanError, ProtocolError, TensorsNotCollocatedException
from fedzmq.plans.plan import from_bytes
from fedzmq.pointers.destination import Destination, worker_of
from fedzmq.pointers.meeting import apart, place
from fedzmq.pointers.metadata import CONSTANT, LEAF, Meta
from fedzmq.pointers.nesting import mapped
from fedzmq.pointers.origins import origin
from fedzmq.pointers.pointer import Pointer
from fedzmq.pointers.putting import put
from fedzmq.pointers.reference import Reference
from fedzmq.pointers.stream import Stream
from fedzmq.pointers.verbs import Place, owner_of
from fedzmq.recording.function_plan import FunctionPlan
from fedzmq.tensors.buffers import restore_all
from fedzmq.wire.messages import FetchPlan, PlanFetched, PlanMissing, PutPlan, RunPlan, SharePlan

if TYPE_CHECKING:
    from fedzmq.recording.plan import Plan

MOST_PLACED = 64  # forms of one plan that a worker keeps


class PlacedPlan:
    """One form of a plan in the store of a worker, until nobody here holds it."""

    def __init__(self, stream: Stream, plan: FunctionPlan, state: Sequence[Pointer]) -> None:
        self.id = stream.new_id()
        self._stream = stream
        ids = tuple(each._ref.id for each in state)
        stream.command(PutPlan(self.id, plan.body, ids, plan.writes), origin())

    def __del__(self) -> None:
        self._stream.released.append(self.id)


class Call(NamedTuple):
    """What a call with arguments of certain forms comes to."""

    plan: FunctionPlan
    placed: PlacedPlan
    results: tuple[Meta, ...]


class PlanPointer:
    """Call it with pointers to tensors on the worker, or with local tensors, which are shipped there.

    The plan is on the worker when this is made, and other clients can fetch it. No call waits for anything: what
    fails there is raised by whoever needs the results.
    """

    def __init__(self, plan: Plan, destination: Destination) -> None:
        self.plan = plan
        self.id_at_location = plan.id
        self._stream = destination.stream
        self._state = [self._brought(each) for each in plan.parameters()]
        self._placed: dict[FunctionPlan, PlacedPlan] = {}
        self._known: dict[tuple[Meta | None, ...], Call] = {}  # what calls of these forms come to
        declared = self._place(plan.declared)
        self._stream.command(SharePlan(declared.id, plan.id, plan.tags), origin())
        self._stream.settle()

    @property
    def location(self) -> object:
        """The worker that has the plan."""
        return self._stream.location

    @property
    def owner(self) -> object:
        """Whose pointer it is: that of a client in this process."""
        return owner_of(self)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """What the plan's function gives, as pointers. Raises PlanArgumentError for arguments that it cannot take.

        Raises PlanError for an argument that requires grad: a gradient would end at the plan, in silence.
        """
        known = None if kwargs else self._known.get(tuple([_form(each) for each in args]))
        if known is not None and all(each._ref.stream is self._stream for each in args):
            return self._run(known, [each._ref.id for each in args])
        tensors, bound = self.plan.bind(args, kwargs)
        given = [self._operand(each) for each in tensors]
        metas = tuple([each._ref.meta.of_kind(CONSTANT) for each in given])
        recorded = self.plan.recorded(metas, bound)
        results = tuple([each.at(recorded.rows(metas)) for each in recorded.results])
        call = Call(recorded, self._placed.get(recorded) or self._place(recorded), results)
        if len(tensors) == len(args) and all(map(_form, args)):
            self._known[metas] = call
        return self._run(call, [each._ref.id for each in given])

    def parameters(self) -> list[Pointer]:
        """The state, where it is."""
        return list(self._state)

    def get(self) -> Plan:
        """The plan at home again, with the state that it has there; the worker forgets it.

        The values of the state are written into the plan's own tensors.
        """
        plan = self.plan
        values = self._stream.fetch([each._ref.id for each in self._state])
        with torch.no_grad():
            for own, value in zip(plan.parameters(), values, strict=True):
                if not isinstance(own, Pointer):
                    own.copy_(value)
        plan._pointers.pop(self._stream, None)
        self._placed.clear()
        self._known.clear()
        return plan

    def __repr__(self) -> str:
        return f"<plan {self.plan.name!r} on worker {self._stream.worker!r}>"

    def _run(self, call: Call, given: Sequence[int]) -> Any:
        stream, plan = self._stream, call.plan
        references = [Reference(stream, stream.new_id(), each) for each in call.results]
        arguments = tuple([given[number] for number in plan.order])
        stream.command(RunPlan(call.placed.id, arguments, tuple([each.id for each in references])), origin())
        pointers = iter([Pointer.around(reference) for reference in references])
        return mapped(plan.skeleton, lambda leaf: next(pointers))

    def _place(self, plan: FunctionPlan) -> PlacedPlan:
        placed = self._placed[plan] = PlacedPlan(self._stream, plan, self._state)
        if len(self._placed) > MOST_PLACED:
            # The first one is shared under the plan's id.
            del self._placed[list(self._placed)[1]]
            self._known.clear()
        return placed

    def _brought(self, tensor: Tensor) -> Pointer:
        """A tensor of the state, on the worker. What is there already is used as it is."""
        if not isinstance(tensor, Pointer):
            kind = LEAF if isinstance(tensor, nn.Parameter) and tensor.requires_grad else CONSTANT
            return Pointer.around(put(self._stream, tensor.detach().contiguous(), kind))
        if tensor._ref.stream is not self._stream:
            raise apart(f"sending the plan {self.plan.name!r} to {self._stream.worker!r}", [tensor])
        return tensor

    def _operand(self, tensor: Tensor) -> Pointer:
        what = f"the plan {self.plan.name!r} on worker {self._stream.worker!r}"
        if torch.is_grad_enabled() and tensor.requires_grad:
            raise PlanError(
                f"{what} was given a tensor that requires grad, and gradients do not cross a plan's boundary; "
                "pass .detach(), or call it under torch.no_grad()"
            )
        if not isinstance(tensor, Pointer):
            if self._stream.strict and tensor.dim():
                raise apart(what, [tensor], "the hook is strict")
            return Pointer.around(put(self._stream, tensor.detach().contiguous()))
        if tensor._ref.stream is not self._stream:
            places = (f"worker {self._stream.worker!r}", place(tensor))
            raise TensorsNotCollocatedException(f"the plan {self.plan.name!r}", places)
        return tensor


def _form(argument: Any) -> Meta | None:
    """Of a pointer that has no gradient; None for all that needs a closer look."""
    if type(argument) is not Pointer:
        return None
    reference = argument._ref
    if reference.storage is not None:
        reference.catch_up()
    return None if reference.meta.kind else reference.meta


class PlanPointers:
    """A plan on several workers: a call runs it where its arguments are."""

    def __init__(self, plan: Plan, pointers: Sequence[PlanPointer]) -> None:
        self.plan = plan
        self.pointers = tuple(pointers)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        tensors, _ = self.plan.bind(args, kwargs)
        for tensor in tensors:
            if isinstance(tensor, Pointer):
                for pointer in self.pointers:
                    if pointer._stream is tensor._ref.stream:
                        return pointer(*args, **kwargs)
                raise TensorsNotCollocatedException(
                    f"the plan {self.plan.name!r}", (*self._places(), f"worker {tensor._ref.stream.worker!r}")
                )
        raise PlanError(
            f"the plan {self.plan.name!r} is on {' and '.join(self._places())}, and no argument is on either: "
            "call the pointer that plan.send(worker) gives for one of them"
        )

    def __repr__(self) -> str:
        return f"<plan {self.plan.name!r} on {' and '.join(self._places())}>"

    def _places(self) -> list[str]:
        return [f"worker {pointer._stream.worker!r}" for pointer in self.pointers]


def fetch_plan(name: str, location: Place, copy: bool = True) -> Plan:
    """A plan that was sent to a worker, by its id or by a tag of it, whoever sent it; one round trip.

    It comes with the values that its state has now, and without a function: it is run as it was recorded. What is
    fetched is always a copy, and the worker keeps its own. Raises PlanError where there is no such plan.
    """
    from fedzmq.recording.plan import Plan

    stream = worker_of(location).stream
    make: Callable[[int], FetchPlan] = lambda request: FetchPlan(request, name)  # noqa: E731
    reply, buffers = stream.answer(stream.ask(make, origin()))
    if isinstance(reply, PlanMissing):
        raise PlanError(
            f"worker {stream.worker!r} has no plan {name!r}: it was not sent there, or whoever sent it has left"
        )
    if not isinstance(reply, PlanFetched):
        raise ProtocolError(f"worker {stream.worker!r} answered a FetchPlan with {type(reply).__name__}")
    return Plan.of_recorded(reply.key, from_bytes(reply.plan), restore_all(reply.state, buffers))
