"""An optimizer over a model drives the copies of that model that live on workers.

`model.copy()` remembers where it came from. When an optimizer over the original's parameters zeroes gradients or steps,
so do the copies that live on a worker and hold a gradient, each with optimizer state of its own, on its worker. A copy
with an optimizer of its own is left to that one: nothing is stepped twice.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

import torch
from torch import nn
from torch.optim.optimizer import Optimizer, register_optimizer_step_post_hook

from fedzmq.errors import ModelError
from fedzmq.pointers.pointer import Pointer

Pair = tuple[torch.Tensor, torch.Tensor]  # a parameter of the original, and of the copy


class Copies:
    """Who was copied from whom, and the twin optimizers that drive the copies.

    Modules and optimizers are held weakly. Parameters are never: a tensor with a weak reference cannot be swapped, and
    a swap is how a module comes to live on a worker.
    """

    def __init__(self) -> None:
        self._pairs: WeakKeyDictionary[nn.Module, list[Pair]] = WeakKeyDictionary()
        self._twins: WeakKeyDictionary[Optimizer, WeakKeyDictionary[nn.Module, Optimizer]] = WeakKeyDictionary()
        self._optimizers: WeakSet[Optimizer] = WeakSet()  # the user's own

    def copy(self, module: nn.Module) -> nn.Module:
        """A copy in the same place, with no gradients, that an optimizer over `module` will drive."""
        made = copy.deepcopy(module)
        pairs: list[Pair] = list(zip(module.parameters(), made.parameters(), strict=True))
        for _, parameter in pairs:
            parameter.grad = None
        self._pairs[made] = pairs
        return made

    def watch(self) -> None:
        """Follow every optimizer of this process from now on. Once for a process: torch gives no way to stop."""
        register_optimizer_step_post_hook(self._stepped)
        zero_grad, add_param_group = Optimizer.zero_grad, Optimizer.add_param_group

        def zero_grad_and_copies(optimizer: Optimizer, set_to_none: bool = True) -> None:
            zero_grad(optimizer, set_to_none)
            for twin in self._driven(optimizer):
                zero_grad(twin, set_to_none)

        def add_and_note(optimizer: Optimizer, param_group: dict[str, Any]) -> None:
            add_param_group(optimizer, param_group)
            self._optimizers.add(optimizer)

        Optimizer.zero_grad = zero_grad_and_copies  # type: ignore[method-assign, assignment]  # on purpose
        Optimizer.add_param_group = add_and_note  # type: ignore[method-assign, assignment]  # on purpose

    def _stepped(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        if self._is_twin(optimizer):
            return
        self._optimizers.add(optimizer)  # it may have been built before anyone watched
        for twin in self._driven(optimizer):
            twin.step()

    def _driven(self, optimizer: Optimizer) -> Iterator[Optimizer]:
        """The twins of this optimizer that have something to do, with its hyper-parameters of now."""
        if not self._pairs:
            return
        group_of = {
            id(parameter): index for index, group in enumerate(optimizer.param_groups) for parameter in group["params"]
        }
        owned = self._owned()
        for module, pairs in list(self._pairs.items()):
            groups: list[list[torch.Tensor]] = [[] for _ in optimizer.param_groups]
            for original, parameter in pairs:
                index = group_of.get(id(original))
                if index is not None and id(parameter) not in owned and isinstance(parameter, Pointer):
                    groups[index].append(parameter)
            if any(parameter.grad is not None for group in groups for parameter in group):
                yield self._twin(optimizer, module, groups)

    def _twin(self, optimizer: Optimizer, module: nn.Module, groups: list[list[torch.Tensor]]) -> Optimizer:
        twins = self._twins.setdefault(optimizer, WeakKeyDictionary())
        twin = twins.get(module)
        if twin is None:
            twin = twins[module] = built_like(optimizer, groups)
            self._optimizers.discard(twin)
        for group, of, parameters in zip(twin.param_groups, optimizer.param_groups, groups, strict=True):
            group.update({name: value for name, value in of.items() if name not in ("params", "param_names")})
            group["params"] = parameters
        return twin

    def _is_twin(self, optimizer: Optimizer) -> bool:
        return any(optimizer is twin for twins in self._twins.values() for twin in twins.values())

    def _owned(self) -> set[int]:
        """The parameters that optimizers of the user's hold."""
        return {
            id(parameter)
            for optimizer in self._optimizers
            for group in optimizer.param_groups
            for parameter in group["params"]
        }


def built_like(optimizer: Optimizer, groups: list[list[torch.Tensor]]) -> Optimizer:
    """A new optimizer of the same class, over one group for each of the groups."""
    cls = type(optimizer)
    accepted = inspect.signature(cls).parameters
    options = {name: value for name, value in optimizer.defaults.items() if name in accepted}
    try:
        return cls([{"params": parameters} for parameters in groups], **options)
    except (TypeError, ValueError) as error:
        raise ModelError(
            cls.__name__,
            f"an optimizer of this class cannot be built a second time to drive a copy on a worker ({error}); "
            "build one over the copy's own parameters",
        ) from error
