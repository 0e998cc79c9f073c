"""torch's own samples of its operations, each run here and through pointers: whatever can be told of the two is equal.

`python -m tests.pointers.opinfo`, or bin/opinfo, runs all of them, in several dtypes and forms. A test runs some.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from itertools import islice
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
from tests.pointers.loopback import Place
from tests.pointers.outside_opinfo import OUTSIDE, REGROUPED, UNWRITTEN

FORMS = {
    "function": "op",
    "method": "method_variant",
    "operator": "operator_variant",
    "in place": "inplace_variant",
    "operator in place": "inplace_operator_variant",
}
OPERANDS = ("all", "first", "strided")  # which are sent: all, or the first alone, or all and then turned
SEED = 42  # the wrappers of torch's own list seed with this number too, and only here


class Different(AssertionError):
    """The two runs differ, or the client's idea of a result and the worker's do."""


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
        given = (sample.input, sample.args, sample.kwargs)
        here: dict[int, torch.Tensor] = {}
        there: dict[int, torch.Tensor] = {}
        # A local operand that requires a gradient may not meet a pointer, which is no matter of this comparison.
        wants_grad = operands != "first"
        local = _replaced(given, here, lambda tensor: self._turned(_copied(tensor, wants_grad), operands))
        remote = _replaced(given, there, lambda tensor: self._sent(_copied(tensor, wants_grad), operands, not there))
        torch.manual_seed(SEED)
        wanted = _outcome(form, local)
        self.place.stream.command(Seed(SEED), None)
        with nullcontext() if there else Created(self.place):
            found = _outcome(form, remote)
        if isinstance(wanted, Exception):
            self._also_fails(wanted, found)
            return
        if isinstance(found, TensorsNotCollocatedException) and operands == "first":
            return  # a local operand that would be written to
        if isinstance(found, Exception):
            if isinstance(found, (OperationRefused, NeedsValueError)):
                raise found
            raise Different(f"through a pointer it raises {type(found).__name__}: {found}")
        self._compare(wanted, found, values)
        for key, tensor in here.items():
            self._compare(tensor, there[key], True)
        if gradients:
            leaves = [(tensor, there[key]) for key, tensor in here.items()]
            self._compare_gradients(sample, wanted, found, leaves)
        self.place.stream.sync()

    def _sent(self, tensor: torch.Tensor, operands: str, is_first: bool) -> torch.Tensor:
        if operands == "first" and not is_first:
            return tensor
        return self._turned(tensor.send(self.place), operands)  # type: ignore[attr-defined]  # installed

    def _turned(self, tensor: torch.Tensor, operands: str) -> torch.Tensor:
        if operands != "strided" or tensor.dim() < 2:
            return tensor
        with torch.no_grad():
            turned = tensor.detach().transpose(0, -1).contiguous().transpose(0, -1)
        return turned.requires_grad_(tensor.requires_grad)

    def _also_fails(self, wanted: Exception, found: Any) -> None:
        if isinstance(found, Exception):
            return
        try:
            self.place.stream.sync()
        except RemoteError:
            return
        raise Different(f"here it raises {type(wanted).__name__}: {wanted}")

    def _compare(self, wanted: Any, found: Any, values: bool) -> None:
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
                self._compare_tensor(tensor, pointer, values)

    def _compare_tensor(self, tensor: torch.Tensor, pointer: Pointer, values: bool) -> None:
        if _known(tensor) != _known(pointer):
            raise Different(f"the pointer tells {_known(pointer)} and not {_known(tensor)}")
        try:
            (value,) = self.place.stream.fetch([pointer._ref.id])
        except FedzmqError as error:
            raise Different(f"on the worker it raises {error}") from error
        stored = self.place.line.store.tensors[pointer._ref.id]
        if _known(stored) != _known(pointer):
            raise Different(f"the pointer tells {_known(pointer)}, and on the worker is {_known(stored)}")
        self.strides += bool(stored.numel()) and stored.stride() != pointer.stride()
        if values:
            assert_close(value, _plain(tensor), equal_nan=True)

    def _compare_gradients(self, sample: Any, wanted: Any, found: Any, leaves: list[tuple[Any, Any]]) -> None:
        roots = _differentiable(sample.output_process_fn_grad(wanted))
        pointers = _differentiable(sample.output_process_fn_grad(found))
        if len(roots) != len(pointers):
            raise Different(f"{len(pointers)} results require a gradient and not {len(roots)}")
        leaves = [(tensor, pointer) for tensor, pointer in leaves if tensor.requires_grad]
        if not roots or not leaves:
            return
        generator = torch.Generator().manual_seed(SEED)
        directions = [torch.randn(root.shape, generator=generator).to(root.dtype) for root in roots]
        sent = [each.send(self.place) for each in directions]  # type: ignore[attr-defined]
        local = _outcome(_backward, ((roots, directions, [tensor for tensor, _ in leaves]), (), {}))
        remote = _outcome(_backward, ((pointers, sent, [pointer for _, pointer in leaves]), (), {}))
        if isinstance(local, Exception):
            self._also_fails(local, remote)
            return
        if isinstance(remote, Exception):
            raise Different(f"backward through a pointer raises {remote}")
        if [each is None for each in local] != [each is None for each in remote]:
            raise Different("another set of leaves has a gradient")
        for gradient, pointer in zip(local, remote, strict=True):
            if gradient is not None:
                self._compare_tensor(gradient.detach(), pointer, True)


def samples(op: Any, dtype: torch.dtype, form: str, most: int | None) -> list[Any]:
    """All samples of the operation, or at most so many, not all of them the first and simplest."""
    in_place = "in place" in form
    differentiable = op.supports_autograd and (dtype.is_floating_point or dtype.is_complex)
    made = iter(op.sample_inputs("cpu", dtype, requires_grad=differentiable and not in_place))
    found = list(made if most is None else islice(made, 4 * most))
    if in_place:
        found = [each for each in found if not each.broadcasts_input and isinstance(each.input, torch.Tensor)]
    return found if most is None or len(found) <= most else found[:: -(-len(found) // most)]


def name_of(op: Any) -> str:
    return ".".join(filter(None, (op.name, op.variant_test_name)))


def run(
    ops: Sequence[Any], dtype: torch.dtype, form: str, operands: str, gradients: bool, most: int | None
) -> Iterator[tuple[str, str]]:
    """Each operation that has this dtype and form: its name, and what is wrong with it or nothing."""
    comparison = Comparison()
    for op in ops:
        function = getattr(op, FORMS[form])
        name = name_of(op)
        if function is None or dtype not in op.supported_dtypes("cpu") or name in OUTSIDE:
            continue
        if name in REGROUPED and dtype.itemsize < 4:
            continue
        yield name, _check(comparison, function, name, samples(op, dtype, form, most), gradients, operands)


def _check(
    comparison: Comparison, function: Any, name: str, inputs: Sequence[Any], gradients: bool, operands: str
) -> str:
    for sample in inputs:
        try:
            comparison.check(function, sample, name not in UNWRITTEN, gradients, operands)
        except (AssertionError, FedzmqError) as error:
            return f"{sample.summary()}: {error}"
    return ""


def _backward(roots: Any, directions: Any, leaves: Any) -> list[Any]:
    if len(roots) == 1:
        torch.autograd.backward(roots, directions)
        return [leaf.grad for leaf in leaves]
    return list(torch.autograd.grad(roots, leaves, directions, allow_unused=True))


def _outcome(function: Callable[..., Any], arguments: Any) -> Any:
    first, args, kwargs = arguments
    try:
        if isinstance(first, tuple) and function is _backward:
            return function(*first)
        return function(first, *args, **kwargs)
    except Exception as error:
        return error


def _replaced(given: Any, made: dict[int, torch.Tensor], make: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    def one(value: Any) -> Any:
        if not isinstance(value, torch.Tensor):
            return value
        if id(value) not in made:
            made[id(value)] = make(value)
        return made[id(value)]

    return tree_map(one, given)


def _copied(tensor: torch.Tensor, wants_grad: bool) -> torch.Tensor:
    copy = _plain(tensor).clone(memory_format=torch.contiguous_format)
    return copy.requires_grad_(tensor.requires_grad and wants_grad)


def _plain(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().resolve_conj().resolve_neg()


def _known(tensor: torch.Tensor) -> tuple[Any, ...]:
    return tuple(tensor.shape), tensor.dtype, tensor.requires_grad, tensor.is_leaf


def _differentiable(output: Any) -> list[torch.Tensor]:
    return [each for each in tree_flatten(output)[0] if isinstance(each, torch.Tensor) and each.requires_grad]


DTYPES = ("float32", "float64", "bfloat16", "int64", "bool", "complex64")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="opinfo", description=__doc__)
    parser.add_argument("--dtype", action="append", choices=DTYPES, help="of the samples; all of them by default")
    parser.add_argument("--form", action="append", choices=list(FORMS), help="of the call; all of them by default")
    parser.add_argument("--operands", action="append", choices=OPERANDS, help="which are sent; all by default")
    parser.add_argument("--samples", type=int, metavar="N", help="at most so many of each operation")
    parser.add_argument("--name", default="", metavar="PART", help="only operations with this in their name")
    chosen = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    from torch.testing._internal.common_methods_invocations import op_db

    ops = [op for op in op_db if chosen.name in name_of(op)]
    started = time.monotonic()
    wrong = 0
    for dtype in chosen.dtype or DTYPES:
        for form in chosen.form or FORMS:
            for operands in chosen.operands or OPERANDS:
                counts: Counter[str] = Counter()
                for name, text in run(ops, getattr(torch, dtype), form, operands, True, chosen.samples):
                    counts["wrong" if text else "equal"] += 1
                    if text:
                        print(f"  {name}: {text}", flush=True)
                wrong += counts["wrong"]
                print(
                    f"{dtype}, {form}, operands {operands}: {counts['equal']} equal, {counts['wrong']} not", flush=True
                )
    outside = len({name_of(op) for op in ops} & OUTSIDE.keys())
    print(f"{outside} outside, for the reasons in tests/pointers/outside_opinfo.py; {time.monotonic() - started:.0f} s")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
