"""Two runs of the same calls, one here and one through pointers: whatever can be told of the two is equal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from typing import Any

import torch
from torch._C import DisableTorchFunction
from torch.overrides import TorchFunctionMode
from torch.testing import assert_close
from torch.utils._pytree import tree_flatten, tree_map

from fedzmq.errors import FedzmqError, NeedsValueError, OperationRefused, RemoteError, TensorsNotCollocatedException
from fedzmq.operations.catalog import CATALOG
from fedzmq.pointers.apply import create
from fedzmq.pointers.effects import Effects
from fedzmq.pointers.pointer import Pointer
from fedzmq.pointers.verbs import install
from fedzmq.wire.messages import Seed
from tests.pointers.databases.outcome import Different
from tests.pointers.loopback import Place

SEED = 42  # the wrappers of torch's own list seed with this number too, and only here


class Created(TorchFunctionMode):
    """What is made from numbers alone is made at a place."""

    def __init__(self, place: Place) -> None:
        super().__init__()
        self._place = place

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func not in CATALOG or any(isinstance(each, Pointer) for each in args):
            return func(*args, **(kwargs or {}))
        with DisableTorchFunction():
            return create(self._place.stream, Pointer, func, args, kwargs or {})


class Comparison:
    """Of one operation after another on one worker."""

    def __init__(self, effects: Effects | None = None) -> None:
        install()
        self.place = Place("bob", effects or Effects())
        self.strides = 0  # results whose strides the client did not foresee, which it calls advisory

    def check(self, form: Callable[..., Any], sample: Any, values: bool, gradients: bool, operands: str) -> None:
        """Raises Different, or the error of the package where it refuses the operation."""
        with self.settled():
            self._check(form, sample, values, gradients, operands)

    @contextmanager
    def settled(self) -> Iterator[None]:
        """Nothing that fails in here is told of afterwards."""
        try:
            yield
            self.place.stream.sync()
        except Exception:
            with suppress(RemoteError):
                self.place.stream.sync()
            raise

    def seed(self) -> None:
        """The same random numbers here and there, from now on."""
        torch.manual_seed(SEED)
        self.place.stream.command(Seed(SEED), None)

    def send(self, tensor: torch.Tensor) -> torch.Tensor:
        return tensor.send(self.place)  # type: ignore[attr-defined, no-any-return]  # installed

    def _check(self, form: Callable[..., Any], sample: Any, values: bool, gradients: bool, operands: str) -> None:
        given = (sample.input, sample.args, sample.kwargs)
        here: dict[int, torch.Tensor] = {}
        there: dict[int, torch.Tensor] = {}
        # A local operand that requires a gradient may not meet a pointer, which is no matter of this comparison.
        wants_grad = operands != "first"
        local = replaced(given, here, lambda tensor: self._turned(copied(tensor, wants_grad), operands))
        remote = replaced(given, there, lambda tensor: self._sent(copied(tensor, wants_grad), operands, not there))
        torch.manual_seed(SEED)
        wanted = outcome_of(form, local)
        self.place.stream.command(Seed(SEED), None)
        with nullcontext() if there else Created(self.place):
            found = outcome_of(form, remote)
        if isinstance(wanted, Exception):
            self.also_fails(wanted, found)
            return
        if isinstance(found, TensorsNotCollocatedException) and operands == "first":
            return  # a local operand that would be written to
        if isinstance(found, Exception):
            if isinstance(found, (OperationRefused, NeedsValueError)):
                raise found
            raise Different(f"through a pointer it raises {type(found).__name__}: {found}")
        self.compare(wanted, found, values)
        for key, tensor in here.items():
            self.compare(tensor, there[key], True)
        if gradients:
            leaves = [(tensor, there[key]) for key, tensor in here.items()]
            self._compare_gradients(sample, wanted, found, leaves)

    def _sent(self, tensor: torch.Tensor, operands: str, is_first: bool) -> torch.Tensor:
        if operands == "first" and not is_first:
            return tensor
        return self._turned(self.send(tensor), operands)

    def _turned(self, tensor: torch.Tensor, operands: str) -> torch.Tensor:
        if operands != "strided" or tensor.dim() < 2:
            return tensor
        with torch.no_grad():
            turned = tensor.detach().transpose(0, -1).contiguous().transpose(0, -1)
        return turned.requires_grad_(tensor.requires_grad)

    def also_fails(self, wanted: Exception, found: Any) -> None:
        if isinstance(found, Exception):
            return
        try:
            self.place.stream.sync()
        except RemoteError:
            return
        raise Different(f"here it raises {type(wanted).__name__}: {wanted}")

    def compare(self, wanted: Any, found: Any, values: bool = True, leaf: bool = True) -> None:
        """Raises Different. `leaf` says whether it matters that a tensor is one."""
        (tensors, shape), (pointers, other) = tree_flatten(wanted), tree_flatten(found)
        if shape != other:
            raise Different(f"it gives {other} and not {shape}")
        for tensor, pointer in zip(tensors, pointers, strict=True):
            if not isinstance(tensor, torch.Tensor):
                if tensor != pointer:
                    raise Different(f"it gives {pointer!r} and not {tensor!r}")
            elif not isinstance(pointer, Pointer):
                assert_close(pointer, tensor)  # an operand that was left here
            else:
                self._compare_tensor(tensor, pointer, values, leaf)

    def _compare_tensor(self, tensor: torch.Tensor, pointer: Pointer, values: bool, leaf: bool = True) -> None:
        known = 4 if leaf else 3
        if _known(tensor)[:known] != _known(pointer)[:known]:
            raise Different(f"the pointer tells {_known(pointer)} and not {_known(tensor)}")
        try:
            (value,) = self.place.stream.fetch([pointer._ref.id])
        except FedzmqError as error:
            raise Different(f"on the worker it raises {error}") from error
        stored = self.place.line.store.tensors[pointer._ref.id]
        if _known(stored)[:known] != _known(pointer)[:known]:
            raise Different(f"the pointer tells {_known(pointer)}, and on the worker is {_known(stored)}")
        self.strides += bool(stored.numel()) and stored.stride() != pointer.stride()
        if values:
            assert_close(value, _plain(tensor), equal_nan=True)

    def _compare_gradients(self, sample: Any, wanted: Any, found: Any, leaves: list[tuple[Any, Any]]) -> None:
        roots = differentiable(sample.output_process_fn_grad(wanted))
        pointers = differentiable(sample.output_process_fn_grad(found))
        if len(roots) != len(pointers):
            raise Different(f"{len(pointers)} results require a gradient and not {len(roots)}")
        leaves = [(tensor, pointer) for tensor, pointer in leaves if tensor.requires_grad]
        if not roots or not leaves:
            return
        directions = directions_of(roots)
        sent = [each.send(self.place) for each in directions]  # type: ignore[attr-defined]
        local = outcome_of(_backward, ((roots, directions, [tensor for tensor, _ in leaves]), (), {}))
        remote = outcome_of(_backward, ((pointers, sent, [pointer for _, pointer in leaves]), (), {}))
        if isinstance(local, Exception):
            self.also_fails(local, remote)
            return
        if isinstance(remote, Exception):
            raise Different(f"backward through a pointer raises {remote}")
        if [each is None for each in local] != [each is None for each in remote]:
            raise Different("another set of leaves has a gradient")
        for gradient, pointer in zip(local, remote, strict=True):
            if gradient is not None:
                self._compare_tensor(gradient.detach(), pointer, True)


def _backward(roots: Any, directions: Any, leaves: Any) -> list[Any]:
    if len(roots) == 1:
        torch.autograd.backward(roots, directions)
        return [leaf.grad for leaf in leaves]
    return list(torch.autograd.grad(roots, leaves, directions, allow_unused=True))


def outcome_of(function: Callable[..., Any], arguments: Any) -> Any:
    first, args, kwargs = arguments
    try:
        if isinstance(first, tuple) and function is _backward:
            return function(*first)
        return function(first, *args, **kwargs)
    except Exception as error:
        return error


def replaced(given: Any, made: dict[int, torch.Tensor], make: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    def one(value: Any) -> Any:
        if not isinstance(value, torch.Tensor):
            return value
        if id(value) not in made:
            made[id(value)] = make(value)
        return made[id(value)]

    return tree_map(one, given)


def copied(tensor: torch.Tensor, wants_grad: bool) -> torch.Tensor:
    copy = _plain(tensor).clone(memory_format=torch.contiguous_format)
    return copy.requires_grad_(tensor.requires_grad and wants_grad)


def _plain(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().resolve_conj().resolve_neg()


def _known(tensor: torch.Tensor) -> tuple[Any, ...]:
    return tuple(tensor.shape), tensor.dtype, tensor.requires_grad, tensor.is_leaf


def directions_of(roots: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(SEED)
    return [torch.randn(root.shape, generator=generator).to(root.dtype) for root in roots]


def differentiable(output: Any) -> list[torch.Tensor]:
    return [each for each in tree_flatten(output)[0] if isinstance(each, torch.Tensor) and each.requires_grad]
