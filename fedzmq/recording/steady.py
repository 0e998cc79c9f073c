"""A function that does the same whenever it runs, recorded for batches of any size; what it changes here is put back.

What is assigned to a buffer is the buffer's next value. What counts elsewhere is an error, if anything depends on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.distributions import Distribution
from torch.nn.parameter import is_lazy

from fedzmq.errors import PlanError
from fedzmq.pointers.effects import Effects
from fedzmq.pointers.metadata import Meta
from fedzmq.pointers.remote import Remote
from fedzmq.recording.any_rows import AnyRows, record_any_rows, record_once
from fedzmq.recording.batch_norm import make_recordable
from fedzmq.recording.counters import Attributes, Parts, check_counters, check_repeats, snapshot
from fedzmq.recording.dense import make_dense
from fedzmq.recording.tracing import Recording


def record_steady(
    function: Callable[..., object], inputs: Callable[[int], Sequence[Meta]], effects: Effects, parts: Parts
) -> AnyRows:
    """Record `function` on `inputs(rows)`; `parts` are what keeps anything for it. See `record_any_rows`."""

    def again() -> Recording:
        return record_once(function, inputs, effects)

    with _kept(parts) as before:
        try:
            recorded = record_any_rows(function, inputs, effects)
            check_repeats(recorded.first, recorded.again)
            return recorded
        finally:
            check_counters(parts, before, again)


def standing_in(tensors: Sequence[Tensor], own: Iterable[Tensor]) -> None:
    """Have pointers be parameters, as `layer.weight -= step` asks for, and pass the hooks of those they stand for."""
    for tensor, each in zip(tensors, own, strict=False):
        if not isinstance(tensor, Remote):
            continue
        if isinstance(each, torch.nn.Parameter):
            tensor._is_param = True
        if tensor.requires_grad:
            for hook in (each._backward_hooks or {}).values():
                tensor.register_hook(hook)  # type: ignore[no-untyped-call]


def check_recordable(module: torch.nn.Module) -> None:
    """Raises PlanError for a module of which no plan can be made, whatever it does."""
    if isinstance(module, torch.jit.ScriptModule):
        raise PlanError("a module that torch.jit compiled cannot be recorded: give the module that it was made from")
    for name, each in (*module.named_parameters(), *module.named_buffers()):
        if is_lazy(each):
            raise PlanError(f"{name!r} has no shape yet: call the module once, on an example, before it is recorded")


def check_unhooked(parts: Parts) -> None:
    """Raises PlanError for a module's backward hook, where gradients are taken."""
    for name, part in parts.items():
        if isinstance(part, torch.nn.Module) and (part._backward_hooks or part._backward_pre_hooks):
            raise PlanError(
                f"{f'the part {name!r} of the model' if name else 'the model'} has a backward hook, and a plan has no "
                "place for one: an autograd function of your own, applied in forward, says what its gradients become"
            )


@torch.no_grad()
def write_back(name: str, tensor: Tensor, new: object) -> None:
    """What was assigned to a buffer anew, as `self.count = self.count + 1` does, is the buffer's next value.

    Raises PlanError where it has another form.
    """
    if new is tensor:
        return
    if not isinstance(new, Tensor) or new.dtype is not tensor.dtype:
        kind = new.dtype if isinstance(new, Tensor) else type(new).__name__
        raise PlanError(
            f"{name!r} is assigned what is of {kind}, and is a tensor of {tensor.dtype}; what travels keeps its dtype: "
            "give it that of what is assigned before it is recorded"
        )
    if new.shape != tensor.shape:
        raise PlanError(
            f"the model assigns {tuple(new.shape)} to its buffer {name!r}, which has the shape {tuple(tensor.shape)}; "
            "what travels keeps its shape: where the first call settles it, call the model once, on an example, before "
            "it is recorded"
        )
    tensor.copy_(new)


@contextmanager
def _kept(parts: Parts) -> Iterator[Attributes]:
    """Gives the attributes of the parts, by name. Afterwards they are what they were."""
    before = [(name, dict(vars(each))) for name, each in parts.items()]
    values = [value for _, attributes in before for value in attributes.values()]
    held = [(value, value.copy()) for value in values if _holds(value)]
    tensors = [(value, value.detach().clone()) for value in values if type(value) is Tensor]
    validates = Distribution._validate_args
    try:
        make_recordable(parts.values())
        make_dense(parts.values())
        recordable = snapshot(parts)
        Distribution.set_default_validate_args(False)  # which looks at values
        yield recordable
    finally:
        Distribution.set_default_validate_args(validates)
        for tensor, numbers in tensors:
            if not torch.equal(tensor, numbers):
                tensor.data.copy_(numbers)
        for value, content in held:
            value.clear()
            value.extend(content) if isinstance(value, list) else value.update(content)
        for name, attributes in before:
            parts[name].__dict__.clear()
            parts[name].__dict__.update(attributes)


def _holds(value: object) -> bool:
    """It may have been given something, a recorded tensor for one."""
    return isinstance(value, dict | list | set)
