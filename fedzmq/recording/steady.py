"""A function that does the same whenever it runs, recorded for batches of any size; what it changes here is put back.

What is assigned to a buffer is the buffer's next value. What counts elsewhere is an error, if anything depends on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.distributions import Distribution

from fedzmq.errors import PlanError
from fedzmq.pointers.effects import Effects
from fedzmq.pointers.metadata import Meta
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
