"""What torch's tensors and modules are given: the verbs `send`, `get`, `move`, `copy`, and the property `location`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn

from fedzmq.errors import InvalidTensorForRemoteGet, NotInPlaceError, PointerError, UsageError
from fedzmq.pointers.copies import Copies
from fedzmq.pointers.destination import DIRECTORIES, Destination, Home, destination_of, worker_of, workers_of
from fedzmq.pointers.grouping import group_by_place
from fedzmq.pointers.labelling import add_tags, description_of, id_of, set_description, tags_of
from fedzmq.pointers.metadata import CONSTANT, LEAF, sent_meta
from fedzmq.pointers.module_hooks import watch_modules
from fedzmq.pointers.modules import get_module, location_of, move_module, send_module
from fedzmq.pointers.multi_pointer import MultiPointer
from fedzmq.pointers.optimizer_state import follow_parameters
from fedzmq.pointers.own_functions import follow_own_functions
from fedzmq.pointers.pointer import Pointer
from fedzmq.pointers.private import allow, allowed_users, private, private_tensor
from fedzmq.pointers.reference import Reference
from fedzmq.pointers.scripts import watch_scripts
from fedzmq.pointers.seeding import watch_seeds
from fedzmq.pointers.sending import send_tensor
from fedzmq.pointers.swap import check_free, swap

Place = Destination | Home | str


class Verb:
    """A method, or with `property` a property, that gives way to whatever a module of the user's has by that name.

    A submodule called `copy` is no attribute of its module but an entry in a table of it, which an ordinary method of
    nn.Module would hide.
    """

    def __init__(self, function: Callable[..., Any], name: str, *, property: bool = False) -> None:
        self.function = function
        self.name = name
        self._property = property

    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None:
            return self.function
        for table in ("_modules", "_parameters", "_buffers"):
            members = instance.__dict__.get(table)
            if members and self.name in members:
                return members[self.name]
        return self.function(instance) if self._property else self.function.__get__(instance, owner)


def install() -> None:
    """Once for a process; again is nothing."""
    if isinstance(vars(nn.Module).get("send"), Verb):
        return
    copies = Copies()
    copies.watch()
    watch_modules()
    follow_parameters()
    group_by_place()
    follow_own_functions()
    watch_scripts()
    watch_seeds()
    _give(nn.Module, "send", send_module)
    _give(nn.Module, "get", get_module)
    _give(nn.Module, "move", move_module)
    _give(nn.Module, "copy", copies.copy)
    _give(nn.Module, "location", location_of, property=True)
    for name, function in _OF_TENSORS.items():
        _give(torch.Tensor, name, function)
    for name, function in _ANSWERS_OF_TENSORS.items():
        _give(torch.Tensor, name, function, property=True)


def _give(to: type, name: str, function: Callable[..., Any], *, property: bool = False) -> None:
    # A bound method would be bound already: each verb is a plain function of the tensor or module.
    def verb(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    verb.__name__, verb.__qualname__, verb.__doc__ = name, f"{to.__name__}.{name}", function.__doc__
    setattr(to, name, Verb(verb, name, property=property))


def _send(
    tensor: torch.Tensor,
    *workers: Place,
    requires_grad: bool = False,
    garbage_collect_data: bool = True,
    allowed_users: Iterable[str] | None = None,
    user: str | None = None,
) -> torch.Tensor:
    """A pointer to a copy of the tensor on a worker, which is named or held; a multi-pointer for several workers.

    With `requires_grad` the gradient of a backward over there flows home, to the tensors that this one was computed
    from. Without `garbage_collect_data` the tensor stays there when its pointers are gone. With `allowed_users` its
    value leaves the worker for these clients alone (see `private_`); `user` is the sender's own name, if anything.
    Raises WorkerNotFoundError, and SendNotPermittedError where the tensor is private already and not for this client.
    """
    places = workers_of(workers)
    pointers = [
        send_tensor(
            tensor,
            place,
            requires_grad=requires_grad,
            garbage_collect_data=garbage_collect_data,
            allowed_users=allowed_users,
            user=user,
        )
        for place in places
    ]
    if not pointers:
        raise UsageError("a tensor is sent to a worker: .send(worker)")
    return pointers[0] if len(pointers) == 1 else MultiPointer.of(pointers)


def _send_in_place(tensor: torch.Tensor, *workers: Place, garbage_collect_data: bool = True) -> torch.Tensor:
    """Send the tensor in place: this very object is the pointer from now on, with its id and its tags."""
    places = workers_of(workers)
    if len(places) > 1:
        raise NotInPlaceError(tuple(place.name for place in places))
    if not places:
        raise UsageError("a tensor is sent to a worker: .send_(worker)")
    if not tensor.is_leaf:
        raise PointerError("this tensor is in the middle of a graph, and cannot leave it in place; use .send(worker)")
    grad = tensor.grad
    check_free("this tensor", tensor)
    pointer = send_tensor(tensor, places[0], garbage_collect_data=garbage_collect_data)
    if grad is not None:
        tensor.grad = None  # it would stay behind, where nothing can reach it
    swap("this tensor", tensor, pointer)
    return tensor


def _move(tensor: torch.Tensor, worker: Place, requires_grad: bool = False) -> torch.Tensor:
    """As `send`; the tensor itself where it is to be here."""
    if isinstance(destination_of(worker), Home):
        return tensor
    return _send(tensor, worker, requires_grad=requires_grad)


def _get(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor itself, which is here already."""
    return tensor


def _copy(tensor: torch.Tensor) -> torch.Tensor:
    """A second tensor in the same place; a leaf where the first is one."""
    if not tensor.is_leaf:
        return tensor.clone()
    return tensor.detach().clone().requires_grad_(tensor.requires_grad)


def _remote_get(tensor: torch.Tensor) -> torch.Tensor:
    raise InvalidTensorForRemoteGet("a tensor of this process")


def _here(tensor: torch.Tensor) -> None:
    """None: the tensor is in this process."""


def owner_of(held: object) -> object:
    """Whose a tensor or a plan is: this process, as the client that was made last; None before there is one."""
    return next((directory.home for directory in DIRECTORIES.newest_first()), None)


def _create_pointer(
    tensor: torch.Tensor,
    location: Place,
    id_at_location: int,
    owner: object = None,
    ptr_id: int | None = None,
    garbage_collect_data: bool = True,
) -> Pointer:
    """A pointer to what a worker stores under that number already, which is like this tensor. Nothing is sent."""
    stream = worker_of(location).stream
    kind = LEAF if tensor.requires_grad else CONSTANT
    reference = Reference(stream, id_at_location, sent_meta(tensor, kind))
    if kind:
        reference.become_leaf()
    reference.is_collected = garbage_collect_data
    pointer = Pointer.around(reference)
    if ptr_id is not None:
        pointer.__dict__["id"] = ptr_id
    return pointer


_OF_TENSORS: dict[str, Callable[..., Any]] = {
    "send": _send,
    "send_": _send_in_place,
    "get": _get,
    "get_": _get,
    "move": _move,
    "copy": _copy,
    "remote_get": _remote_get,
    "tag": add_tags,
    "describe": set_description,
    "create_pointer": _create_pointer,
    "private_": private,
    "private_tensor": private_tensor,
    "allow": allow,
}
_ANSWERS_OF_TENSORS: dict[str, Callable[..., Any]] = {
    "location": _here,
    "id": id_of,
    "owner": owner_of,
    "tags": tags_of,
    "description": description_of,
    "allowed_users": allowed_users,
}
