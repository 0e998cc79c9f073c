"""One call, run as a worker runs a client's: the record through the codec, the executor, the gradients, the values."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import torch
from torch import Tensor

from fedzmq.errors import FedzmqError
from fedzmq.operations.arguments import pack, reference
from fedzmq.operations.catalog import CATALOG
from fedzmq.wire.codec import decode, encode
from fedzmq.wire.limits import MAX_OUTPUTS
from fedzmq.wire.messages import Backward, Described, Failed, Fetch, Probe, Seed, SetData
from fedzmq.worker.executor import Executor
from fedzmq.worker.store import Store
from tests.operations.fuzz.bending import Bending
from tests.operations.fuzz.corpus import Call

QUOTA = 1 << 26  # bytes
_OTHERS = 3  # calls of other operations among those that are bent
_SOURCE, _GRADIENT, _ROOT, _GRADS = 900_001, 900_002, 900_003, 900_010  # ids that no operand has
_PERTURB = -6  # M_PERTURB of malloc.h: what memory that nobody wrote is filled with


@dataclass
class Outcome:
    """What came of a trial."""

    text: str
    is_out_of_memory: bool = False
    values: list[Tensor] = field(default_factory=list)


class Trials:
    """Runs trials in this process, one after another, on one store."""

    def __init__(self, corpus: Sequence[list[Call]]) -> None:
        self._corpus = corpus
        self._store = Store(QUOTA)
        self._executor = Executor(self._store)
        self._fill = ctypes.CDLL(None).mallopt if sys.platform == "linux" else None

    def bent(self, number: int, seed: int) -> Call:
        """The call of a trial."""
        random = Random(f"{CATALOG.names[number]} {seed}")
        calls = [*self._corpus[number]]
        if random.random() < 0.2:
            calls += [random.choice(random.choice(self._corpus)) for _ in range(_OTHERS)]
        return Bending(random, calls).call()

    def run(self, number: int, seed: int) -> str | None:
        """What is wrong with the outcome, None where nothing is: an error is as good as a value."""
        first = self._once(number, seed, 0x11)
        if first.is_out_of_memory:
            return first.text
        if CATALOG.is_random(number) or not first.values or self._fill is None:
            return None
        second = self._once(number, seed, 0x7B)
        for one, other in zip(first.values, second.values, strict=False):
            if not _alike(one, other):
                return f"depends on memory that nobody wrote: {_brief(one)} and {_brief(other)}"
        return None

    def _once(self, number: int, seed: int, filling: int) -> Outcome:
        arguments, keywords = self.bent(number, seed)
        random, store = Random(seed), self._store
        store.tensors.clear()
        store.failures.clear()
        store.report()
        store.bytes = 0
        if self._fill is not None:
            self._fill(_PERTURB, filling)
        try:
            record = self._record(number, arguments, keywords)
            given = list(store.tensors)
            first = len(given) + 1
            answers = self._send(Seed(1), Probe(1, first, MAX_OUTPUTS, record))
        except FedzmqError as error:
            return Outcome(str(error))
        finally:
            if self._fill is not None:
                self._fill(_PERTURB, 0)
        answer = answers[0]
        if isinstance(answer, Failed):
            return Outcome(answer.failure.message, "allocate memory" in answer.failure.message)
        assert isinstance(answer, Described)
        outputs = [store.tensors[first + i] for i in range(len(answer.tensors))]
        self._backward(outputs, given, random)
        self._send(*[Fetch(2, id) for id in given])
        left = [store.tensors[id] for id in given if id in store.tensors]
        return Outcome("ok", values=[each.detach().clone() for each in (*outputs[:8], *left[:8])])

    def _record(self, number: int, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> list[Any]:
        named: dict[int, int] = {}

        def attach(tensor: Tensor) -> dict[str, Any]:
            if id(tensor) not in named:
                named[id(tensor)] = len(named) + 1
                self._store.keep(len(named), tensor)
            return reference(named[id(tensor)])

        packed = [pack(value, attach) for value in arguments]
        words = {key: pack(value, attach) for key, value in keywords.items()}
        return [number, 0, 0, packed, words] if words else [number, 0, 0, packed]

    def _send(self, *messages: Any) -> list[Any]:
        records = decode(encode(messages))
        return [answer.reply for answer in self._executor.run(records)]

    def _backward(self, outputs: list[Tensor], given: list[int], random: Random) -> None:
        """Gradients, sometimes of operands that were changed in between."""
        stored = self._store.tensors
        for output in outputs[:3]:
            if not output.requires_grad or not output.is_floating_point():
                continue
            leaves = [id for id in given if id in stored and stored[id].is_leaf and stored[id].requires_grad]
            if leaves and random.random() < 0.3:
                changed = random.choice(leaves)
                stored[_SOURCE] = _another_of(stored[changed].detach(), random)
                self._send(SetData(changed, _SOURCE))
            stored[_GRADIENT], stored[_ROOT] = torch.ones_like(output), output
            grads = tuple(range(_GRADS, _GRADS + len(leaves)))
            self._send(Backward((_ROOT,), (_GRADIENT,), True, random.random() < 0.2, tuple(leaves), grads))


def _another_of(value: Tensor, random: Random) -> Tensor:
    """A tensor that may be given to a parameter as its data, of another dtype, shape or memory."""
    draw = random.randrange(4)
    if draw == 0:
        return value.double()
    if draw == 1:
        return value.half()
    if draw == 2 or not value.dim():
        return value.flatten()
    return value[..., :1].expand(value.shape)


def _alike(one: Tensor, other: Tensor) -> bool:
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    try:
        if one.is_complex():
            one, other = torch.view_as_real(one.resolve_conj()), torch.view_as_real(other.resolve_conj())
        one, other = one.double(), other.double()
        return bool(torch.isclose(one, other, rtol=1e-2, atol=1e-2, equal_nan=True).all())
    except RuntimeError:
        return True


def _brief(value: Tensor) -> str:
    return " ".join(str(value.detach().flatten()[:6].tolist()).split())
