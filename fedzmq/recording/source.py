"""Where a plan's computation comes from: a function, a module, a class of the user's, or a plan recorded elsewhere.

Each knows the tensors that the plan brings along, its state, and runs with others in their place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.func import functional_call

from fedzmq.plans.check import check
from fedzmq.plans.compiled import compile_plan, constants
from fedzmq.plans.plan import Plan as Recorded
from fedzmq.plans.structure import assemble
from fedzmq.pointers.remote import Remote
from fedzmq.recording.arguments import Signature, expected_in, signature_of
from fedzmq.recording.counters import Parts
from fedzmq.recording.steady import check_recordable, standing_in, write_back

Arguments = tuple[Any, ...]
Keywords = dict[str, Any]


class State(tuple[Tensor, ...]):
    """The state that a function with a parameter called `state` is given."""

    def read(self) -> tuple[Tensor, ...]:
        return tuple(self)


class Source(Protocol):
    """`run` computes with `state` in place of the source's own, and what is assigned to that is written to its place.

    `here` computes with its own, as the program would. `parts` are what keeps anything else from one run to the next.
    """

    @property
    def signature(self) -> Signature: ...

    def state(self) -> dict[str, Tensor]: ...

    def parts(self) -> Parts: ...

    def run(self, args: Arguments, kwargs: Keywords, state: Sequence[Tensor]) -> Any: ...

    def here(self, args: Arguments, kwargs: Keywords) -> Any: ...


class OfFunction:
    """A function whose last parameters are the state: one for each tensor, or all in one that is called `state`."""

    def __init__(self, plan: str, function: Callable[..., Any], state: Sequence[Tensor]) -> None:
        self._function = function
        self._state = list(state)
        last = list(signature_of(function).parameters)[-1:]
        self._in_one = bool(state) and last == ["state"]
        self.signature = Signature(plan, function, without=1 if self._in_one else len(self._state))

    def state(self) -> dict[str, Tensor]:
        return {f"state[{index}]": each for index, each in enumerate(self._state)}

    def run(self, args: Arguments, kwargs: Keywords, state: Sequence[Tensor]) -> Any:
        return self._function(*args, *((State(state),) if self._in_one else state), **kwargs)

    def here(self, args: Arguments, kwargs: Keywords) -> Any:
        return self.run(args, kwargs, self._state)

    def parts(self) -> Parts:
        return {}


class OfModule:
    """A module: its parameters and buffers are the state."""

    def __init__(self, plan: str, module: nn.Module) -> None:
        check_recordable(module)
        self._module = module
        self.signature = Signature(plan, module.forward)

    def state(self) -> dict[str, Tensor]:
        return {**dict(self._module.named_parameters()), **dict(self._module.named_buffers())}

    def run(self, args: Arguments, kwargs: Keywords, state: Sequence[Tensor]) -> Any:
        own = self.state()
        standing_in(state, own.values())
        held = dict(zip(own, state, strict=True))
        after = dict(held)
        found = functional_call(self._module, after, args, kwargs)
        for name, tensor in held.items():
            write_back(name, tensor, after[name])
        return found

    def here(self, args: Arguments, kwargs: Keywords) -> Any:
        return self._module(*args, **kwargs)

    def parts(self) -> Parts:
        return dict(self._module.named_modules())


class OfObject:
    """An object with a method `forward`: the tensors and modules among its attributes are the state."""

    def __init__(self, plan: str, owner: object, forward: Callable[..., Any]) -> None:
        self._owner = owner
        self._forward = forward
        self.signature = Signature(plan, forward)

    def state(self) -> dict[str, Tensor]:
        return OfModule("", self._held()).state()

    def run(self, args: Arguments, kwargs: Keywords, state: Sequence[Tensor]) -> Any:
        return OfModule("", self._held()).run(args, kwargs, state)

    def here(self, args: Arguments, kwargs: Keywords) -> Any:
        return self._forward(*args, **kwargs)

    def parts(self) -> Parts:
        return {**OfModule("", self._held()).parts(), "": self._owner}

    def _held(self) -> _Held:
        return _Held(self._owner, self._forward)


class OfRecorded:
    """A plan that came from elsewhere, with its state. There is no function of it here."""

    def __init__(self, plan: str, recorded: Recorded, state: Sequence[Tensor]) -> None:
        self.recorded = recorded
        self._state = list(state)
        self._expected = expected_in(recorded)
        check(recorded)  # whoever sent it
        self._step = compile_plan(recorded)
        # Guards look at values, and a recording has none; whoever runs what is recorded puts them on again.
        self._unguarded = compile_plan(recorded, None)
        self.signature = Signature.of_names(plan, [each.place for each in self._expected])

    def state(self) -> dict[str, Tensor]:
        return {slot.name: each for slot, each in zip(self.recorded.buffers, self._state, strict=True)}

    def run(self, args: Arguments, kwargs: Keywords, state: Sequence[Tensor]) -> Any:
        _, tensors, _ = self.signature.bind(args, kwargs)
        numbers = [int(slot.name.partition(" ")[0]) for slot in (*self.recorded.parameters, *self.recorded.columns)]
        given = [tensors[number] for number in numbers]
        count = len(self.recorded.parameters)
        batches = given[count:]
        rows = batches[0].shape[0] if batches else 0
        step = self._unguarded if any(isinstance(each, Remote) for each in given) else self._step
        outputs = step(rows, *given[:count], *state, *batches, *constants(self.recorded))
        return assemble([output.name for output in self.recorded.outputs], outputs)

    def here(self, args: Arguments, kwargs: Keywords) -> Any:
        with torch.no_grad():
            return self.run(args, kwargs, self._state)

    def parts(self) -> Parts:
        return {}


class _Held(nn.Module):
    """An object's tensors and modules as a module, whose `forward` is the object's."""

    def __init__(self, owner: object, forward: Callable[..., Any]) -> None:
        super().__init__()
        self._attributes = vars(owner)
        self._own_forward = forward
        for name, value in self._attributes.items():
            if isinstance(value, nn.Module):
                self.add_module(name, value)
            elif isinstance(value, nn.Parameter):
                self.register_parameter(name, value)
            elif isinstance(value, Tensor):
                self.register_buffer(name, value)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        own = {name: self._attributes[name] for name in (*self._parameters, *self._buffers)}
        given = {name: getattr(self, name) for name in own}
        self._attributes.update(given)
        try:
            found = self._own_forward(*args, **kwargs)
            for name, tensor in given.items():
                write_back(name, tensor, self._attributes[name])
            return found
        finally:
            self._attributes.update(own)
