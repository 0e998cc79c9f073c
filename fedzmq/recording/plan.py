"""A plan of the user's: a function that is recorded here, once for each form of its arguments, and runs on workers.

Whatever its length it is one message to call it. Gradients do not cross its boundary: what it gives has none.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from typing import Any, overload

from torch import Tensor, nn

from fedzmq.errors import PlanError, PlanNotBuilt
from fedzmq.plans.plan import Plan as Recorded
from fedzmq.pointers.destination import workers_of
from fedzmq.pointers.effects import Effects
from fedzmq.pointers.metadata import Meta
from fedzmq.pointers.remote import Remote
from fedzmq.pointers.stream import Stream
from fedzmq.pointers.verbs import Place, owner_of
from fedzmq.recording.arguments import Expected, check, expected_in, expected_like, expected_of, meta_for, values_in
from fedzmq.recording.function_plan import Argument, FunctionPlan, function_plan
from fedzmq.recording.module_modes import Modes, in_modes, modes_of
from fedzmq.recording.plan_pointer import PlanPointer, PlanPointers
from fedzmq.recording.source import OfFunction, OfModule, OfObject, OfRecorded, Source

MOST_FORMS = 64  # that are kept recorded


class Plan:
    """A function, or an nn.Module, that can be sent.

    Made by `fedzmq.plan`, or by a class of yours that derives from this one, sets modules and tensors as attributes and
    has a method `forward`. Numbers among the arguments are part of what is recorded, once for each. `args_shape` has
    the shape of each argument, -1 for any extent; `examples` are tensors like the arguments, or `build` is given some,
    or else the first call is. `state` are tensors that travel once and stay with the plan: the function is given them
    after its arguments, or all in one where that is called `state`.
    """

    forward: Callable[..., Any] | None

    def __init__(
        self,
        function: Callable[..., Any] | None = None,
        *,
        args_shape: Sequence[Any] | None = None,
        examples: Sequence[Any] = (),
        state: Sequence[Tensor] = (),
        name: str = "",
    ) -> None:
        if function is not None and not callable(function):
            raise PlanError(f"a plan is made of a function or module, and not {function!r:.60}")
        if args_shape is not None and not isinstance(args_shape, (list, tuple)):
            raise PlanError(f"args_shape is a list of shapes, such as [(-1, 2)], and not {args_shape!r:.60}")
        wrong = next((each for each in state if not isinstance(each, Tensor)), None)
        if wrong is not None:
            raise PlanError(f"the state of a plan is a list of tensors, and {wrong!r:.60} is none")
        self.id = os.urandom(8).hex()
        self.name = self.__name__ = name or getattr(function, "__name__", type(function or self).__name__)
        self.tags: tuple[str, ...] = ()
        self.description = ""
        self._effects = Effects("meta")  # where no import of torch's compiler makes the first call wait
        self._expected: tuple[Expected, ...] | None = None
        self._declared: FunctionPlan | None = None
        self._declared_values: tuple[Hashable, ...] = ()
        self._forms: OrderedDict[tuple[tuple[Meta, ...], tuple[Hashable, ...]], FunctionPlan] = OrderedDict()
        self._pointers: dict[Stream, PlanPointer[Plan]] = {}
        self._made: Source | None = None
        self._modes: Modes = ()  # of its modules when it was built
        if function is not None:
            self.forward = function
            self._made = (
                OfModule(self.name, function)
                if isinstance(function, nn.Module)
                else OfFunction(self.name, function, state)
            )
            self.__doc__ = getattr(function, "__doc__", None)
        if args_shape:
            names = self._source.signature.named(len(args_shape))
            self._build(expected_of(self.name, names, args_shape))
        elif examples:
            self.build(*examples)

    @classmethod
    def of_recorded(cls, id: str, recorded: Recorded, state: Sequence[Tensor]) -> Plan:
        """A plan that came from elsewhere: it has no function, and takes exactly what it was recorded for."""
        plan = Plan()
        plan.id = id
        plan.name = "a fetched plan"
        plan.forward = None
        plan._made = OfRecorded(plan.name, recorded, state)
        plan._build(expected_in(recorded))
        return plan

    @property
    def owner(self) -> object:
        """Whose it is: this process, as the client that was made last; None before there is one."""
        return owner_of(self)

    @property
    def is_built(self) -> bool:
        return self._expected is not None

    def build(self, *args: Any, **kwargs: Any) -> Plan:
        """Record the plan for arguments like these. Raises PlanError, which names your line, where it cannot be one."""
        names, tensors, bound = self._source.signature.bind(args, kwargs)
        self._build(expected_like(names, tensors), bound)
        return self

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run it here, as the function that it is. The first call builds the plan, if nothing else has.

        It runs on the worker that its arguments are on, if it was sent there and none of them requires grad.
        """
        source = self._source
        if self._pointers:
            _, tensors, _ = source.signature.bind(args, kwargs)
            there = self._where(tensors)
            if there is not None:
                return there(*args, **kwargs)
        if self._expected is None:
            names, tensors, bound = source.signature.bind(args, kwargs)
            if not any(isinstance(each, Remote) for each in tensors):  # those may be of a plan that calls this one
                self._build(expected_like(names, tensors), bound)
        if isinstance(source, OfRecorded):
            self.bind(args, kwargs)
        return source.here(args, kwargs)

    @overload
    def send(self, worker: Place, /) -> PlanPointer[Plan]: ...

    @overload
    def send(self, worker: Place, /, *others: Place) -> PlanPointer[Plan] | PlanPointers[Plan]: ...

    def send(self, worker: Place, /, *others: Place) -> PlanPointer[Plan] | PlanPointers[Plan]:
        """Bring the plan and its state to workers, held or named: the same pointer again for a worker that has it.

        The pointer to several runs the plan where its arguments are. Raises PlanNotBuilt.
        """
        if self._expected is None:
            raise PlanNotBuilt(self.name)
        pointers = []
        for each in workers_of((worker, *others)):
            pointer = self._pointers.get(each.stream)
            if pointer is None:
                pointer = self._pointers[each.stream] = PlanPointer(self, each)
            pointers.append(pointer)
        return PlanPointers(self, pointers) if others else pointers[0]

    def get(self) -> Plan:
        """The plan itself, which is here."""
        return self

    def get_pointers(self) -> dict[str, PlanPointer[Plan]]:
        """By the names of the workers that have the plan."""
        return {stream.worker: pointer for stream, pointer in self._pointers.items()}

    def _left(self, stream: Stream) -> None:
        """It is not on that worker any more."""
        self._pointers.pop(stream, None)

    def parameters(self) -> list[Tensor]:
        """The state."""
        return list(self._source.state().values())

    def tag(self, *tags: str) -> Plan:
        """Names under which other clients find the plan on a worker, as they do under its id. Before it is sent."""
        self.tags = tuple(dict.fromkeys((*self.tags, *tags)))
        return self

    def describe(self, description: str) -> Plan:
        self.description = description
        return self

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[list[Tensor], Any]:
        """The tensors among the arguments of a call, and how they were given. Raises PlanArgumentError."""
        names, tensors, bound = self._source.signature.bind(args, kwargs)
        check(self.name, self._expected or (), names, tensors, values_in(bound))
        return tensors, bound

    def recorded(self, metas: tuple[Meta, ...], bound: Any) -> FunctionPlan:
        """The plan for arguments of these forms, which were checked."""
        general, values = self._declared, values_in(bound)
        if general is not None and values == self._declared_values and general.rows(metas) >= 0:
            return general
        found = self._forms.get((metas, values))
        if found is None:
            assert self._expected is not None
            arguments = [Argument(each.place, of) for each, of in zip(self._expected, metas, strict=True)]
            found = self._forms[metas, values] = self._record(arguments, bound)
            if len(self._forms) > MOST_FORMS:
                self._forms.popitem(last=False)
        return found

    @property
    def declared(self) -> FunctionPlan:
        """The plan for arguments as they were declared: what others can fetch."""
        if self._declared is None:
            raise PlanNotBuilt(self.name)
        return self._declared

    def __repr__(self) -> str:
        takes = ", ".join(each.place for each in self._expected or ())
        return f"<plan {self.name!r} of ({takes})>" if self.is_built else f"<plan {self.name!r}, not built>"

    def _where(self, tensors: Sequence[Tensor]) -> PlanPointer[Plan] | None:
        pointers = [each for each in tensors if isinstance(each, Remote)]
        if not pointers or any(each.requires_grad for each in tensors):
            return None
        return self._pointers.get(pointers[0]._ref.stream)

    @property
    def _source(self) -> Source:
        if self._made is None:
            forward = getattr(self, "forward", None)
            if forward is None:
                raise PlanError(f"{type(self).__name__} has no method forward, which a plan runs")
            self._made = OfObject(self.name, self, forward)
        return self._made

    def _build(self, expected: tuple[Expected, ...], bound: Any = None) -> None:
        """Recorded at once, so that what cannot be a plan says so here."""
        arguments = [each.argument() for each in expected]
        declared = None
        self._modes = modes_of(each for each in self._source.parts().values() if isinstance(each, nn.Module))
        if any(argument.batch for argument in arguments):
            # Not the same for any number of rows, or not for those of the recording: it is recorded for each number.
            with suppress(Exception):
                declared = self._record(arguments, bound)
            arguments = [Argument(each.place, each.meta) for each in arguments]
        self._declared = declared or self._record(arguments, bound)
        self._declared_values = values_in(bound)
        self._expected = expected
        self._forms.clear()

    def _record(self, arguments: Sequence[Argument], bound: Any) -> FunctionPlan:
        source = self._source
        state = [(name, meta_for(each)) for name, each in source.state().items()]

        def function(tensors: Sequence[Tensor], held: Sequence[Tensor]) -> Any:
            args, kwargs = (tuple(tensors), {}) if bound is None else source.signature.filled(bound, tensors)
            return source.run(args, kwargs, held)

        with in_modes(self._modes):
            return function_plan(function, arguments, state, self._effects, source.parts())
