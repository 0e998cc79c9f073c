"""Autograd functions of a program's own: forward and backward run here, on pointers, and no code travels.

Torch would run their forward and leave their part of the gradient out, without a word. In the worker's graph nothing
but zeros stand for a function; before a backward the gradients of its outputs are taken, its own backward says what the
gradients of its inputs are, and the worker's backward goes on with those. A recording keeps both, see
`fedzmq.recording.own_backward`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.autograd import Function
from torch.autograd.function import FunctionCtx, _SingleLevelFunction
from torch.utils.checkpoint import CheckpointFunction

from fedzmq.errors import OperationRefused
from fedzmq.pointers.graph import Gate
from fedzmq.pointers.hooks import watch
from fedzmq.pointers.meeting import GRADIENT_LOST, apart
from fedzmq.pointers.putting import put
from fedzmq.pointers.remote import Remote

_OURS = "fedzmq."


def follow_own_functions() -> None:
    """Have `torch.autograd.Function.apply` follow pointers that require grad, from now on.

    Below it, where it ends up: a program may have taken a function's `apply` aside before.
    """

    def apply(cls: type[Function], *args: Any, **kwargs: Any) -> Any:
        if torch.is_grad_enabled() and not cls.__module__.startswith(_OURS) and any(map(_is_wanted, args)):
            if cls is CheckpointFunction and _is_recorded(args):
                return args[0](*args[2:])  # to compute twice changes no number, and a plan keeps what it needs
            return Applied(cls, args, kwargs).outputs()
        return super(_SingleLevelFunction, cls).apply(*args, **kwargs)  # type: ignore[misc]  # torch's own

    _SingleLevelFunction.apply = classmethod(apply)  # type: ignore[attr-defined]  # on purpose


def _may_have_a_gradient(made: Any) -> bool:
    return isinstance(made, Remote) and (made.is_floating_point() or made.is_complex())


def _is_recorded(arguments: Sequence[Any]) -> bool:
    return any(isinstance(arg, Remote) and arg._ref.stream.is_recording for arg in arguments)


def _is_wanted(argument: Any) -> bool:
    return isinstance(argument, Remote) and argument.requires_grad


class Applied(FunctionCtx):
    """One application of a function, which its forward and backward know as `ctx`.

    What it keeps for itself begins with an underscore. `_made` is what forward gave, without a history, `_several` the
    same as a tuple, `_wanted` the places of the inputs that require grad and `_linked` those of outputs that are to.
    """

    def __init__(self, function: type[Function], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        separate = function.setup_context is not Function.setup_context
        self._function = function
        self._arguments = args
        self._check()
        self.needs_input_grad = tuple([_is_wanted(arg) for arg in args])
        self.to_save: tuple[Any, ...] = ()
        self.dirty_tensors: tuple[Any, ...] = ()
        self.non_differentiable: tuple[Any, ...] = ()
        self.materialize_grads = True
        with torch.no_grad():
            if separate:
                self._made = self._there(function.forward(*args, **kwargs))
                function.setup_context(self, args, self._made)
            else:
                self._made = self._there(function.forward(self, *args, **kwargs))
        if self.dirty_tensors:
            raise OperationRefused(
                f"{function.__name__}.apply", "it writes to its inputs; give new tensors instead of mark_dirty"
            )
        self._several = self._made if isinstance(self._made, tuple) else (self._made,)
        self._wanted = [place for place, is_needed in enumerate(self.needs_input_grad) if is_needed]
        constant = list(map(id, self.non_differentiable))
        differentiable = [_may_have_a_gradient(each) and id(each) not in constant for each in self._several]
        self._linked = [place for place, is_linked in enumerate(differentiable) if is_linked]

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """An output that was saved is in the graph again where a further derivative may ask for its own."""
        if not torch.is_grad_enabled():
            return self.to_save
        outputs = self.outputs()
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        again = dict(zip(map(id, self._several), outputs, strict=True))
        return tuple([again.get(id(each), each) for each in self.to_save])

    def _there(self, made: Any) -> Any:
        """What forward gave, with its tensors on the worker."""
        if isinstance(made, tuple):
            return tuple([self._there(each) for each in made])
        if isinstance(made, Remote) or not isinstance(made, torch.Tensor):
            return made
        first = next(arg for arg in self._arguments if _is_wanted(arg))
        return type(first).around(put(first._ref.stream, made))

    def outputs(self) -> Any:
        """What was made, as outputs in the graph: each call links them to the inputs anew."""
        first = next(arg for arg in self._arguments if _is_wanted(arg))
        linked = first._ref.stream.linked(self) if self._linked else {}
        results = [linked.get(place, each) for place, each in enumerate(self._several)]
        return tuple(results) if isinstance(self._made, tuple) else results[0]

    def linked_tensors(self) -> dict[int, Any]:
        """The outputs that are to take a gradient, by their places, as they were made."""
        return {place: self._several[place] for place in self._linked}

    def wanted_tensors(self) -> list[Any]:
        """The inputs that require grad."""
        return [self._arguments[place] for place in self._wanted]

    def gated(self) -> dict[int, Any]:
        """The outputs by their places, linked by a gate through which their gradients pass."""
        several, linked = self._several, self._linked
        with torch.enable_grad():
            # Copies: what is written into an input later is not to reach the place where its gradient is replaced.
            copies: dict[int, Any] = {place: self._arguments[place].clone() for place in self._wanted}
            zero = self._zero(list(copies.values()))
            zeros: dict[int, Any] = {
                place: _in(zero, several[place].dtype).expand_as(several[place]) for place in linked
            }
            results = {place: several[place].detach() + zeros[place] for place in linked}
        gate = Gate(tuple([zeros[place]._ref.node for place in linked]))
        gate.into = tuple([copy._ref.node for copy in copies.values()])
        gate.hooks.append(self.passed)
        for each in (*zeros.values(), *copies.values()):
            watch(each, each._ref.node)
        for each in zeros.values():
            each._ref.node.watched.gate = gate
        return results

    def _zero(self, copies: Sequence[torch.Tensor]) -> torch.Tensor:
        """A number that all inputs feed, and that takes note of what was saved: the worker sees it written to."""
        zero: torch.Tensor = sum(_empty(copy).sum() for copy in copies)  # type: ignore[assignment]  # there is one
        for saved in self.to_save:
            if isinstance(saved, Remote):
                nothing = _empty(saved.detach())
                zero = zero + (zero.expand(nothing.shape) * nothing).sum().to(zero.dtype)
        return zero

    def passed(self, gradients: Sequence[Remote | None]) -> list[torch.Tensor | None]:
        """The gradients of what is wanted, by the function's own backward, from those of what is linked."""
        given: list[Any] = [None] * len(self._several)
        for place, gradient in zip(self._linked, gradients, strict=True):
            given[place] = gradient
        if self.materialize_grads:
            given = [
                torch.zeros_like(each.detach()) if gradient is None and isinstance(each, torch.Tensor) else gradient
                for gradient, each in zip(given, self._several, strict=True)
            ]
        found = self._function.backward(self, *given)
        found = found if isinstance(found, tuple) else (found,)
        expected = len(self._arguments)
        if len(found) < expected or any(each is not None for each in found[expected:]):
            raise RuntimeError(
                f"function {self._function.__name__}Backward returned an incorrect number of gradients "
                f"(expected {expected}, got {len(found)})"
            )
        return [self._fitting(place, found[place]) for place in self._wanted]

    def _fitting(self, place: int, gradient: Any) -> torch.Tensor | None:
        argument = self._arguments[place]
        if gradient is None:
            return None
        if not isinstance(gradient, torch.Tensor):
            raise TypeError(f"expected Variable or None (got {type(gradient).__name__})")
        if not isinstance(gradient, Remote):
            gradient = type(argument).around(put(argument._ref.stream, gradient.detach()))
        if gradient._ref.stream is not argument._ref.stream:
            raise apart(f"the backward of {self._function.__name__}", [argument, gradient])
        if gradient.shape != argument.shape:
            try:
                gradient = gradient.sum_to_size(argument.shape)
            except RuntimeError:
                raise RuntimeError(
                    f"Function {self._function.__name__}Backward returned an invalid gradient at index {place} - got "
                    f"{list(gradient.shape)} but expected shape compatible with {list(argument.shape)}"
                ) from None
        result: torch.Tensor = gradient if gradient.dtype is argument.dtype else gradient.to(argument.dtype)
        return result

    def _check(self) -> None:
        tensors = [arg for arg in self._arguments if isinstance(arg, torch.Tensor)]
        if any(not isinstance(each, Remote) and each.requires_grad for each in tensors):
            raise apart(f"{self._function.__name__}.apply", tensors, GRADIENT_LOST)


def _empty(tensor: torch.Tensor) -> torch.Tensor:
    """No elements of it, in a view."""
    real = torch.view_as_real(tensor) if tensor.is_complex() else tensor
    return real.unsqueeze(0).narrow(0, 0, 0)


def _in(zero: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    return zero if zero.dtype is dtype else zero.to(dtype)
