"""A plan on a worker: to call it is one command, and what it gives are pointers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import torch
from torch import Tensor, nn

from fedzmq.errors import PlanError, TensorsNotCollocatedException
from fedzmq.pointers.destination import Destination
from fedzmq.pointers.meeting import apart, place
from fedzmq.pointers.metadata import CONSTANT, LEAF, Meta
from fedzmq.pointers.nesting import mapped
from fedzmq.pointers.origins import origin
from fedzmq.pointers.pointer import Pointer
from fedzmq.pointers.putting import put
from fedzmq.pointers.reference import Reference
from fedzmq.pointers.stream import Stream
from fedzmq.pointers.verbs import owner_of
from fedzmq.recording.function_plan import FunctionPlan
from fedzmq.wire.messages import PutPlan, RunPlan, SharePlan

MOST_PLACED = 64  # forms of one plan that a worker keeps


class Sendable(Protocol):
    """A plan, as far as a pointer to it needs to know."""

    id: str
    name: str
    tags: tuple[str, ...]

    @property
    def declared(self) -> FunctionPlan:
        """Raises PlanNotBuilt."""

    def parameters(self) -> list[Tensor]:
        """The state."""

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[list[Tensor], Any]:
        """The tensors among the arguments of a call, and how they were given. Raises PlanArgumentError."""

    def recorded(self, metas: tuple[Meta, ...], bound: Any) -> FunctionPlan:
        """The plan for arguments of these forms, which were checked."""

    def _left(self, stream: Stream) -> None:
        """It is not on that worker any more."""


OfPlan = TypeVar("OfPlan", bound=Sendable)


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


class PlanPointer(Generic[OfPlan]):
    """Call it with pointers to tensors on the worker, or with local tensors, which are shipped there.

    The plan is on the worker when this is made, and other clients can fetch it. No call waits for anything: what
    fails there is raised by whoever needs the results.
    """

    def __init__(self, plan: OfPlan, destination: Destination) -> None:
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

    def get(self) -> OfPlan:
        """The plan at home again, with the state that it has there; the worker forgets it.

        The values of the state are written into the plan's own tensors.
        """
        plan = self.plan
        values = self._stream.fetch([each._ref.id for each in self._state])
        with torch.no_grad():
            for own, value in zip(plan.parameters(), values, strict=True):
                if not isinstance(own, Pointer):
                    own.copy_(value)
        plan._left(self._stream)
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


class PlanPointers(Generic[OfPlan]):
    """A plan on several workers: a call runs it where its arguments are."""

    def __init__(self, plan: OfPlan, pointers: Sequence[PlanPointer[OfPlan]]) -> None:
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
