"""Tensors whose value is for certain clients alone. Said here, and held to by the worker that has the tensor.

A user is a client by its name. Here a rule is a mark on the tensor, which travels with it; it is enforced over there.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

import torch

from fedzmq.errors import GetNotPermittedError, SendNotPermittedError, UsageError
from fedzmq.pointers.origins import origin
from fedzmq.pointers.remote import Remote, gradient_of
from fedzmq.pointers.stream import Stream
from fedzmq.wire.messages import Restrict

T = TypeVar("T", bound=torch.Tensor)
_MARK = "_allowed_users"
_MOST_USERS = 64


def private(tensor: T, *users: str) -> T:
    """Let these clients alone take the value of the tensor, and of what is computed from it; nobody, if none is named.

    On a worker it holds from now on, for whoever can name the tensor, the caller too. A rule is only ever made
    narrower. A tensor that is here keeps its rule until it is sent. Returns the tensor.
    """
    wrong = [user for user in users if not isinstance(user, str) or not user]
    if wrong or len(users) > _MOST_USERS:
        raise UsageError(f"users are the names of clients, {_MOST_USERS} at most, and not {(wrong or users)[0]!r}")
    before = allowed_users(tensor)
    tensor.__dict__[_MARK] = frozenset(users) if before is None else before & frozenset(users)
    if isinstance(tensor, Remote):
        tell_rule(tensor)
    return tensor


def private_tensor(tensor: T, allowed_users: Iterable[str] = (), **_: Any) -> T:
    """`private_` by the name and with the arguments that it has in PySyft."""
    return private(tensor, *users_among(allowed_users))


def users_among(given: object) -> tuple[Any, ...]:
    """What was given as `allowed_users`, where several names can stand in it. One text would be read by its letters."""
    if isinstance(given, (str, bytes)) or not isinstance(given, Iterable):
        raise UsageError(f"allowed_users is a list of the names of clients, such as ['anna'], and not {given!r:.60}")
    return tuple(given)


def allow(tensor: torch.Tensor, user: str) -> bool:
    """Whether that client may take the value, as far as is known here; the worker decides."""
    users = allowed_users(tensor)
    return users is None or user in users


def allowed_users(tensor: torch.Tensor) -> frozenset[str] | None:
    found: frozenset[str] | None = tensor.__dict__.get(_MARK)
    return found


def copy_rule(source: torch.Tensor, target: torch.Tensor) -> None:
    if _MARK in source.__dict__:
        target.__dict__[_MARK] = source.__dict__[_MARK]


def tell_rule(pointer: Remote) -> None:
    """Have the worker hold to the tensor's rule, if it has one."""
    users = allowed_users(pointer)
    if users is None:
        return
    gradient = gradient_of(pointer._ref.leaf)
    for reference in (pointer._ref, *([] if gradient is None else [gradient._ref])):
        reference.stream.command(Restrict(reference.id, tuple(sorted(users))), origin())


def carry_rule(source: torch.Tensor, pointer: Remote) -> None:
    """For a tensor that has just been put on a worker. Raises SendNotPermittedError."""
    if _MARK in source.__dict__:
        check_send(source, pointer._ref.stream)
        copy_rule(source, pointer)
        tell_rule(pointer)


def check_send(tensor: torch.Tensor, stream: Stream, user: str | None = None) -> None:
    """Raises SendNotPermittedError where whoever sends the tensor may not have its value."""
    own = _client_of(stream)
    users = allowed_users(tensor)
    if user is not None and own is not None and user != own:
        raise SendNotPermittedError(f"{_other(user, own)}, and cannot send as that one")
    if users is not None and own is not None and own not in users:
        named = ", ".join(sorted(users)) or "nobody"
        raise SendNotPermittedError(
            f"this tensor is private: {named} may have it, and this client, {own!r}, not; send it first and make it "
            "private there, or with .send(worker, allowed_users=[...])"
        )


def check_get(stream: Stream, user: str | None) -> None:
    """Raises GetNotPermittedError for a user who is not this client."""
    own = _client_of(stream)
    if user is not None and own is not None and user != own:
        raise GetNotPermittedError(f"{_other(user, own)}, and cannot take values as that one")


def _other(user: str, own: str) -> str:
    return f"this client is {own!r} and not {user!r} (fedzmq.connect(address, name={user!r}) would be)"


def _client_of(stream: Stream) -> str | None:
    client = getattr(stream.location, "client", None)
    home = getattr(client, "home", None)
    return getattr(home, "name", None)
