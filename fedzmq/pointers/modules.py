"""What `send`, `get`, `move` and `copy` mean for a module: in place, and every Parameter stays the object it was.

An optimizer built before still holds the parameters that are trained after, because the tensors change inside the same
Parameter objects (`torch.utils.swap_tensors`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn.parameter import is_lazy
from torch.nn.utils.weight_norm import WeightNorm

from fedzmq.errors import ModelError, PointerError
from fedzmq.pointers.destination import Destination, Home, destination_of, worker_of
from fedzmq.pointers.lazy import follow, stay
from fedzmq.pointers.metadata import CONSTANT, LEAF, Kind
from fedzmq.pointers.order import at_home
from fedzmq.pointers.pointer import Pointer
from fedzmq.pointers.private import carry_rule, check_send
from fedzmq.pointers.putting import put
from fedzmq.pointers.reference import Reference
from fedzmq.pointers.stream import Stream
from fedzmq.pointers.swap import check_free, swap
from fedzmq.pointers.transfer import hand_over

Place = tuple[dict[str, torch.Tensor | None], str]  # where a module keeps a tensor: the table, and the key in it


def send_module(module: nn.Module, *places: Destination | Home | str) -> nn.Module:
    """Parameters, buffers and gradients to a worker. What is there already stays; what is on another one is refused."""
    destination = _one(places)
    _check_is_python(module)
    for name, tensor in _tensors(module):
        if isinstance(tensor, Pointer) and tensor._ref.stream is not destination.stream:
            raise PointerError(
                f"{name} of this module lives on worker {tensor._ref.stream.worker!r}; "
                f"use .move(...) to bring the module to {destination.name!r}"
            )
    follow(module, destination, send_module)
    buffers: dict[int, Pointer] = {}
    with _derived_released(module):
        for name, tensor in _tensors(module):
            if isinstance(tensor, Pointer):
                continue
            check_send(tensor, destination.stream)
            if isinstance(tensor, nn.Parameter):
                check_free(name, tensor)
        for name, (table, key) in _places(module):
            here = table[key]
            if here is None or isinstance(here, Pointer) or is_lazy(here):
                continue
            if isinstance(here, nn.Parameter):
                _send_parameter(name, here, destination)
                continue
            if id(here) not in buffers:
                buffers[id(here)] = _kept(Pointer.around(put(destination.stream, here, _kind(here))))
                carry_rule(here, buffers[id(here)])
            table[key] = buffers[id(here)]
    return module


def get_module(module: nn.Module) -> nn.Module:
    """Everything of it that is on workers, home again; a module that is here already is returned as it is."""
    stay(module)
    pointers = {id(tensor): tensor for _, tensor in _tensors(module) if isinstance(tensor, Pointer)}
    if not pointers:
        return module
    values = _values(list(pointers.values()))
    with _derived_released(module):
        for name, (table, key) in _places(module):
            tensor = table[key]
            if not isinstance(tensor, Pointer):
                continue  # none, or a tied parameter that is home already
            value = values[tensor._ref]
            if not isinstance(tensor, nn.Parameter):
                table[key] = value.requires_grad_(tensor.requires_grad)
                continue
            grad = tensor.grad
            home = nn.Parameter(value, requires_grad=tensor.requires_grad)
            if grad is not None:
                home.grad = values[grad._ref]  # type: ignore[attr-defined]  # a pointer's
            swap(name, tensor, home)
    return module


def move_module(module: nn.Module, place: Destination | Home | str) -> nn.Module:
    """To another worker, which its own one posts the tensors to. In place, and nothing is waited for."""
    destination = destination_of(place)
    if isinstance(destination, Home):
        return get_module(module)
    away = {id(tensor): (name, tensor) for name, tensor in _tensors(module) if _is_away(tensor, destination.stream)}
    if away:
        with _derived_released(module):
            moved = {key: _moved(name, pointer, destination) for key, (name, pointer) in away.items()}
            for _, (table, key) in _places(module):
                tensor = table[key]
                if tensor is not None and id(tensor) in moved:
                    table[key] = moved[id(tensor)]
    return send_module(module, destination)


def location_of(module: nn.Module) -> object:
    """Where the module's tensors live: None for here, or where it has none."""
    for _, tensor in _tensors(module):
        if isinstance(tensor, Pointer):
            return tensor.location
    return None


def _one(places: tuple[Destination | Home | str, ...]) -> Destination:
    if len(places) != 1:
        raise PointerError(
            f"a module goes to one worker, in place, and {len(places)} were given; "
            ".copy().send(worker) makes another one for each"
        )
    return worker_of(places[0])


def _check_is_python(module: nn.Module) -> None:
    scripted = [name for name, each in module.named_modules() if isinstance(each, torch.jit.ScriptModule)]
    if scripted:
        name = scripted[0] or "the module"
        raise ModelError(name, "TorchScript is code, and no code travels; send the module that it was made of")


def _is_away(tensor: torch.Tensor, stream: Stream) -> bool:
    return isinstance(tensor, Pointer) and tensor._ref.stream is not stream


def _moved(name: str, tensor: torch.Tensor, destination: Destination) -> torch.Tensor:
    """A parameter, the same object, or a new buffer, on another worker."""
    assert isinstance(tensor, Pointer)
    grad = tensor.grad
    both = [tensor._ref] if grad is None else [tensor._ref, grad._ref]  # type: ignore[attr-defined]  # a pointer's
    new, *grads = hand_over(both, destination, [_kind(tensor), CONSTANT][: len(both)])
    made = _kept(Pointer.around(new))
    carry_rule(tensor, made)
    if grads:
        made.grad = Pointer.around(grads[0])
    if not isinstance(tensor, nn.Parameter):
        return made
    swap(name, tensor, made)
    return tensor


def _send_parameter(name: str, parameter: nn.Parameter, destination: Destination) -> None:
    pointer = _kept(Pointer.around(put(destination.stream, parameter, _kind(parameter))))
    carry_rule(parameter, pointer)
    grad = None if parameter.grad is None else Pointer.around(put(destination.stream, parameter.grad))
    parameter.grad = None  # it would stay behind, where nothing can reach it
    swap(name, parameter, pointer)
    if grad is not None:
        parameter.grad = grad


def _values(pointers: list[Pointer]) -> dict[Reference, torch.Tensor]:
    """The values of the pointers and of their gradients, in one round trip for each worker."""
    wanted = [*pointers, *(grad for pointer in pointers if isinstance(grad := pointer.grad, Pointer))]
    values: dict[Reference, torch.Tensor] = {}
    for stream in dict.fromkeys(pointer._ref.stream for pointer in wanted):
        references = [pointer._ref for pointer in wanted if pointer._ref.stream is stream]
        found = stream.fetch([each.id for each in references])
        for reference, value in zip(references, found, strict=True):
            values[reference] = at_home(value, reference.meta)
    return values


def _kept(pointer: Pointer) -> Pointer:
    pointer._ref.kept = True
    return pointer


def _kind(tensor: torch.Tensor) -> Kind:
    return LEAF if tensor.requires_grad else CONSTANT


def _places(module: nn.Module) -> Iterator[tuple[str, Place]]:
    for prefix, each in module.named_modules():
        for table in (each._parameters, each._buffers):
            for key in list(table):
                yield (f"{prefix}.{key}" if prefix else key), (table, key)


def _tensors(module: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    for name, (table, key) in _places(module):
        tensor = table[key]
        if tensor is not None:
            yield name, tensor


@contextmanager
def _derived_released(module: nn.Module) -> Iterator[None]:
    """What modules keep that was made from their parameters, and would keep these from being swapped.

    Recurrent layers have weak references to their weights, and `nn.utils.weight_norm` a weight that it computed.
    """
    recurrent = [each for each in module.modules() if isinstance(each, nn.RNNBase)]
    for each in recurrent:
        each._flat_weight_refs = []
        each._flat_weights = []
    norms = [
        (each, hook)
        for each in module.modules()
        for hook in each._forward_pre_hooks.values()
        if isinstance(hook, WeightNorm) and hook.name in each.__dict__
    ]
    for layer, norm in norms:
        delattr(layer, norm.name)
    try:
        yield
    finally:
        for layer, norm in norms:
            setattr(layer, norm.name, norm.compute_weight(layer))
        for each in recurrent:
            each._init_flat_weights()
