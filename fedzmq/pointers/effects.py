"""What an operation does to metadata, learned once for each signature from a run on fake tensors, then looked up.

A lookup costs a third of a microsecond, a run on fakes a hundred and more. (What `fedzmq.pointers.kernels` lists is run
on small tensors.) The key holds all that the outcome depends
on: the function, the modes, the metadata of every tensor, the value of what may shape the result and the mere type of
what may not.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from fedzmq.pointers.metadata import CONSTANT, INNER, Meta, meta_of

if TYPE_CHECKING:
    from torch._subclasses.fake_tensor import FakeTensorMode

# Steps of backward that give their first inputs no gradient, each with how many those are: a norm of order 0 counts,
# and reflections that there are none of are not differentiated.
_ENDS: dict[str, Callable[[Any], int]] = {
    "DistBackward0": lambda node: 2 if node._saved_p == 0 else 0,
    "ForeachNormBackward0": lambda node: len(node.next_functions) if node._saved_ord == 0 else 0,
    "LinalgHouseholderProductBackward0": lambda node: 2 if node._saved_tau.numel() == 0 else 0,
    "LinalgVectorNormBackward0": lambda node: 1 if node._saved_ord == 0 else 0,
    "OrmqrBackward0": lambda node: 2 if node._saved_input2.numel() == 0 else 0,
}
_ONE_OF_SEVERAL = torch._C._autograd.CreationMeta.MULTI_OUTPUT_NODE
LIMIT = 8192  # signatures that are remembered, at least; twice as many at most


@dataclass(frozen=True, slots=True, eq=False)
class Output:
    """One tensor that an operation gives.

    `alias` is the position of the operand that it is, -1 for a new tensor. `view` is the position of the operand that
    it is a view of, or -1. `sources` are the positions of the operands that its gradient reaches, None for all. With
    `is_sealed` it is one of several views from one step of backward, which torch lets nobody write to in place.
    """

    meta: Meta
    alias: int
    view: int
    sources: tuple[int, ...] | None
    is_sealed: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Written:
    """One operand that an operation writes into, and its metadata afterwards."""

    position: int
    meta: Meta
    sources: tuple[int, ...] | None


@dataclass(frozen=True, slots=True, eq=False)
class Effect:
    """`operation` is its number on the wire and `build` makes what the function returns out of its output tensors.

    `bare` says that the function gives one tensor and not a sequence of them. The last three fields are for the two
    most frequent forms. `single` is the metadata of the one new tensor that a function of no other effect gives, whose
    gradient reaches every operand, and `view` the position of the operand that it is a view of, or -1; `updates` says
    that the first operand is written, returned and otherwise as it was.
    """

    operation: int
    outputs: tuple[Output, ...]
    written: tuple[Written, ...]
    build: Callable[[Sequence[torch.Tensor]], Any]
    bare: bool
    single: Meta | None = None
    view: int = -1
    updates: bool = False


class Unforeseeable(Exception):
    """The number or shape of an operation's outputs depends on values."""


class Effects:
    """The effects learned so far, for workers that compute on one kind of device. Any thread may ask.

    On "meta" they are learned without knowing where, which cannot be told from the CPU as long as autocast is off.

    Two generations stand in for an order of last use, which would cost at every hit: what was not used while one
    generation filled is forgotten.
    """

    def __init__(self, device: str = "cpu", limit: int = LIMIT) -> None:
        self.device = torch.device(device)
        self.misses = 0
        self._limit = limit
        self._young: dict[Hashable, Effect] = {}
        self._old: dict[Hashable, Effect] = {}
        self._mode: FakeTensorMode | None = None
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> Effect | None:
        effect = self._young.get(key)
        if effect is None:
            effect = self._old.get(key)
            if effect is not None:
                self._young[key] = effect
        return effect

    def add(self, key: Hashable, effect: Effect) -> None:
        if len(self._young) >= self._limit:
            self._old = self._young
            self._young = {}
        self._young[key] = effect

    def learn(
        self,
        operation: int,
        metas: Sequence[Meta],
        call: Callable[[Sequence[torch.Tensor]], Any],
        written: Sequence[int] = (),
        blind: bool = False,
        from_kernel: bool = False,
    ) -> Effect:
        """The effect of `call(operands)` on operands of these metadata, of which it is known to write to `written`.

        Raises Unforeseeable, or what torch raises for such operands. A `blind` operation is not called: it is taken to
        leave all metadata alone and to return None. With `from_kernel` it is called on tensors of ones, where nothing
        says that the worker's are on another device than the CPU.
        """
        self.misses += 1
        if blind:
            into = tuple(Written(position, metas[position], ()) for position in written)
            return Effect(operation, (), into, lambda tensors: None, False)
        with self._lock, _tracked():
            if from_kernel and self.device.type in ("cpu", "meta"):
                try:
                    return _learned(operation, [meta.ones() for meta in metas], call, written)
                except RuntimeError as error:
                    if "ZeroDivisionError" not in str(error):  # as the zeros that stand for integers are divided by
                        raise
            with self._fake_mode():
                try:
                    return _learned(operation, [meta.blank(self.device) for meta in metas], call, written)
                except NotImplementedError:
                    raise Unforeseeable from None
                except RuntimeError as error:
                    if _depends_on_values(error):
                        raise Unforeseeable from None
                    raise

    def _fake_mode(self) -> contextlib.AbstractContextManager[object]:
        if self.device.type == "meta":
            return contextlib.nullcontext()
        if self._mode is None:
            # Imported here because it takes a second, and a program may never need it.
            from torch._subclasses.fake_tensor import FakeTensorMode

            # It logs a traceback for every shape error of the user's, who gets the error itself.
            logging.getLogger("torch._subclasses.fake_tensor").setLevel(logging.CRITICAL)
            self._mode = FakeTensorMode()
        return self._mode


def _learned(
    operation: int,
    operands: list[torch.Tensor],
    call: Callable[[Sequence[torch.Tensor]], Any],
    written: Sequence[int],
) -> Effect:
    before = [_Before(operand) for operand in operands]
    result = call(operands)
    return _effect(operation, operands, before, result, frozenset(written))


@contextmanager
def _tracked() -> Iterator[None]:
    """Where fakes behave as tensors do, under the grad mode of now.

    Tensors that are made in inference mode count no versions, and to leave that mode turns gradients on.
    """
    grad = torch.is_grad_enabled()
    with torch.inference_mode(False), torch.set_grad_enabled(grad), torch._C.DisableTorchFunctionSubclass():
        yield


class _Before:
    """An operand before the call: how often it had been written to, and where its gradient goes."""

    __slots__ = ("history", "version", "wanted")

    def __init__(self, operand: torch.Tensor) -> None:
        self.version = operand._version
        self.wanted = operand.requires_grad
        # Behind a clone that had to be given other strides.
        source = operand._base if operand._is_view() and operand._base is not None else operand
        self.history: object = operand if operand.is_leaf else source.grad_fn


def _depends_on_values(error: RuntimeError) -> bool:
    from torch._subclasses.fake_tensor import DataDependentOutputException, DynamicOutputShapeException

    if isinstance(error, (DataDependentOutputException, DynamicOutputShapeException)):
        return True
    text = str(error)
    return "data is not allocated" in text or "ata-dependent" in text


def _effect(
    operation: int, operands: list[torch.Tensor], before: list[_Before], result: Any, into: frozenset[int]
) -> Effect:
    outputs: list[Output] = []
    written = tuple(
        Written(position, meta_of(operand), _sources(operand, before))
        for position, operand in enumerate(operands)
        if position in into or operand._version != before[position].version
    )
    build = _collect(result, operands, before, outputs)
    bare = isinstance(result, torch.Tensor)
    only = outputs[0] if bare and len(outputs) == 1 else None
    single = None
    if only is not None and not written and only.alias < 0:
        plain = only.meta.kind == CONSTANT or (only.meta.kind == INNER and only.sources is None)
        single = only.meta if plain else None
    updates = (
        only is not None and only.alias == 0 and [each.position for each in written] == [0] and only.meta.kind != INNER
    )
    view = -1 if only is None else only.view
    return Effect(operation, tuple(outputs), written, build, bare, single, view, updates)


def _collect(
    result: Any, operands: list[torch.Tensor], before: list[_Before], outputs: list[Output]
) -> Callable[[Sequence[torch.Tensor]], Any]:
    if isinstance(result, torch.Tensor):
        index = len(outputs)
        outputs.append(_output(result, operands, before))
        return lambda tensors: tensors[index]
    if isinstance(result, (tuple, list)):
        kind: Callable[..., Any] = type(result)
        parts = [_collect(part, operands, before, outputs) for part in result]
        if hasattr(kind, "_make"):  # a NamedTuple takes its fields apart, torch's own kind of tuple does not
            return lambda tensors: kind(*[part(tensors) for part in parts])
        return lambda tensors: kind([part(tensors) for part in parts])
    return lambda tensors: result


def _output(tensor: torch.Tensor, operands: list[torch.Tensor], before: list[_Before]) -> Output:
    alias = next((index for index, operand in enumerate(operands) if operand is tensor), -1)
    view, is_sealed = -1, False
    if alias < 0 and tensor._is_view():
        base = tensor._base
        view = next((index for index, operand in enumerate(operands) if operand is base or operand._base is base), -1)
        is_sealed = torch._C._autograd._get_creation_meta(tensor) == _ONE_OF_SEVERAL
    return Output(meta_of(tensor), alias, view, _sources(tensor, before), is_sealed)


def _sources(tensor: torch.Tensor, before: list[_Before]) -> tuple[int, ...] | None:
    """Which operands feed the gradient of `tensor`; None when all that require one do."""
    if not tensor.requires_grad:
        return ()
    wanted = {index: operand.history for index, operand in enumerate(before) if operand.wanted}
    reached: set[object] = set()
    stack: list[Any] = [tensor.grad_fn]
    while stack:
        node = stack.pop()
        if node is not None and node not in reached:
            reached.add(node)
            reached.add(id(getattr(node, "variable", None)))
            ends = _ENDS.get(type(node).__name__)
            reaching = node.next_functions if ends is None else node.next_functions[ends(node) :]
            stack.extend(parent for parent, _ in reaching)
    found = tuple(
        index
        for index, history in wanted.items()
        if (id(history) if isinstance(history, torch.Tensor) else history) in reached
    )
    return None if len(found) == len(wanted) else found
