"""A good call made a bad one: extreme numbers, indices that are nowhere, other dtypes, shapes and memory.

All that it makes a client could make by operations of the list, or send. It follows from the random numbers alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import torch
from torch import Tensor

from fedzmq.tensors.dtypes import dtype_of
from fedzmq.wire.limits import ITEM_SIZES, MAX_INT, MIN_INT
from tests.operations.fuzz.corpus import Call

_INTS = (-1, 0, 1, 2, -2, 3, 5, 7, 64, 1000, -1000, 1 << 15, 1 << 20, (1 << 31) - 1, 1 << 31, -(1 << 31), 1 << 32)
_INTS = (*_INTS, (1 << 32) + 1, 1 << 40, 1 << 61, 1 << 62, MAX_INT, MAX_INT - 1, MIN_INT, MIN_INT + 1)
_FLOATS = (float("nan"), float("inf"), -float("inf"), 0.0, -0.0, 1.0, -1.0, 0.5, 1e-45, 1e308, -1e308, 2.0**63, 1e9)
_DTYPES = tuple(map(dtype_of, ITEM_SIZES))
_TEXTS = ("none", "mean", "sum", "max", "constant", "reflect", "replicate", "circular", "nearest", "bilinear", "")
_TEXTS = (*_TEXTS, "bicubic", "area", "linear", "border", "zeros", "trunc", "floor", "fro", "nuc", "ij", "x" * 200)
_MOST_BYTES = 1 << 24
_MOST_FILLED = 1 << 12  # elements, one by one: more would take longer than a trial may, and be told as a hang


class Bending:
    """Bends calls of one operation: `calls` are good ones of it, and some of others."""

    def __init__(self, random: Random, calls: list[Call]) -> None:
        self._random = random
        self._calls = calls
        self._seen: list[Tensor] = []

    def call(self) -> Call:
        """One that is bent in one place or in a few."""
        arguments, keywords = self._random.choice(self._calls)
        given, named = _copied(list(arguments)), _copied(dict(keywords))
        self._seen = list(_tensors([given, named]))
        for _ in range(1 + min(5, int(self._random.expovariate(0.9)))):
            self._bend(given, named)
        return tuple(given), named

    def _bend(self, given: list[Any], named: dict[str, Any]) -> None:
        draw, random = self._random.random(), self._random
        if draw < 0.03 and given:
            given.pop(random.randrange(len(given)))
        elif draw < 0.06 and len(given) > 1:
            i, j = random.sample(range(len(given)), 2)
            given[i], given[j] = given[j], given[i]
        elif draw < 0.1:
            others = [*random.choice(self._calls)[0]]
            if others:
                given.insert(random.randrange(len(given) + 1), _copied(random.choice(others)))
        elif draw < 0.15:
            named.update(_copied(random.choice(self._calls)[1]))
        elif draw < 0.22:
            self._entwine([*_places(given), *_places(named)])
        elif named and (draw < 0.4 or not given):
            key = random.choice(sorted(named))
            named[key] = self._value(named[key])
        elif given:
            i = random.randrange(len(given))
            given[i] = self._value(given[i])

    def _entwine(self, places: list[tuple[Any, Any]]) -> None:
        """Two operands become views of one memory, which may begin at another element of it."""
        if len(places) < 2:
            return
        random = self._random
        (one, i), (other, j) = random.sample(places, 2)
        first, second = one[i].detach(), other[j].detach()
        shift = random.choice((0, 0, 0, 1, 2))
        memory = torch.zeros(max(first.numel(), shift + second.numel()), dtype=first.dtype)
        memory[: first.numel()] = first.reshape(-1)
        one[i] = memory[: first.numel()].view(first.shape)
        shared = memory[shift : shift + second.numel()].view(second.shape)
        other[j] = shared if random.random() < 0.7 or second.dim() < 2 else shared.mT

    def _value(self, value: Any, depth: int = 0) -> Any:
        random = self._random
        draw = random.random()
        if draw < 0.06:
            return self._another()
        if draw < 0.16:
            value = _retold(value, random)
        if isinstance(value, Tensor):
            return self._tensor(value)
        if type(value) is bool:
            return not value
        if isinstance(value, int):
            return random.choice((*_INTS, value + 1, value - 1, -value, value * 2))
        if isinstance(value, (float, complex)):
            return random.choice(_FLOATS)
        if isinstance(value, str):
            return random.choice(_TEXTS)
        if isinstance(value, torch.dtype):
            return random.choice(_DTYPES)
        if isinstance(value, slice):
            return slice(
                random.choice((None, *_INTS)), random.choice((None, *_INTS)), random.choice((None, 1, 2, 1 << 40))
            )
        if isinstance(value, (list, tuple)) and depth < 4:
            return self._items(value, depth)
        return self._another()

    def _items(self, value: Any, depth: int) -> Any:
        items, random, draw = list(value), self._random, self._random.random()
        if not items or draw < 0.1:
            items.append(self._another())
        elif draw < 0.2:
            items.pop(random.randrange(len(items)))
        elif draw < 0.3:
            items *= random.choice((0, 2, 3, 20))
        elif draw < 0.35:
            random.shuffle(items)
        else:
            i = random.randrange(len(items))
            items[i] = self._value(items[i], depth + 1)
        return tuple(items) if isinstance(value, tuple) else items

    def _another(self) -> Any:
        random = self._random
        draw = random.randrange(10)
        if draw < 3:
            return random.choice(_INTS)
        if draw < 5 and self._seen:
            return random.choice(self._seen)  # the same memory twice
        if draw == 5:
            return random.choice(_FLOATS)
        if draw == 6:
            return random.choice(_DTYPES)
        if draw == 7:
            return [random.choice(_INTS) for _ in range(random.randrange(4))]
        return random.choice((None, True, False, random.choice(_TEXTS)))

    def _tensor(self, value: Tensor) -> Tensor:
        random = self._random
        for _ in range(random.choice((1, 1, 1, 2, 3))):
            try:
                bent = random.choice(_OF_TENSORS)(value, random)
            except (RuntimeError, IndexError, NotImplementedError, OverflowError, TypeError, ValueError):
                continue
            if bent.nbytes <= _MOST_BYTES:
                value = bent
        if random.random() < 0.3 and (value.is_floating_point() or value.is_complex()):
            value = value.detach().requires_grad_()
        return value


def _retold(value: Any, random: Random) -> Any:
    """A number, or a list of them, as a tensor; a tensor as a list, of tensors or of numbers."""
    if isinstance(value, Tensor):
        if not value.dim() or max(*value.shape, value.numel()) > _MOST_FILLED:
            return [value] * random.randrange(3)
        return random.choice((list, tuple))(value.unbind() if random.random() < 0.5 else value.tolist())
    if type(value) in (list, tuple):
        if value and all(type(each) in (int, float, bool) for each in value):
            return torch.tensor(value, dtype=random.choice((None, torch.float64)))
        return value[0] if value else value
    if type(value) in (int, float, bool):
        number = random.choice((value, value, *(_INTS if type(value) is int else _FLOATS)))
        return torch.tensor(number).expand(random.choice(((), (), (1,), (3,))))
    return value


def _places(values: Any) -> Iterator[tuple[Any, Any]]:
    """Where tensors are, as lists or maps and their keys."""
    for key, value in values.items() if isinstance(values, dict) else enumerate(values):
        if isinstance(value, Tensor):
            yield values, key
        elif isinstance(value, (list, dict)):
            yield from _places(value)


def _filled(value: Tensor, random: Random) -> Tensor:
    """With some of its elements extreme."""
    bent = value.detach().clone()
    flat, numbers = bent.view(-1), _FLOATS if value.is_floating_point() or value.is_complex() else _INTS
    low = -(1 << 63) if not value.is_floating_point() and not value.is_complex() else None
    for _ in range(random.choice((1, 1, 2, min(bent.numel(), _MOST_FILLED)))):
        number = random.choice((*numbers, random.randrange(-8, 20)))
        if low is not None and value.dtype is not torch.bool:
            info = torch.iinfo(value.dtype)
            number = max(info.min, min(info.max, number))
        flat[random.randrange(len(flat))] = number
    return bent


def _even(value: Tensor, random: Random) -> Tensor:
    numbers = _FLOATS if value.is_floating_point() or value.is_complex() else (0, 1, -1, 2, 127, -128)
    return torch.full_like(value.detach(), random.choice(numbers))


def _typed(value: Tensor, random: Random) -> Tensor:
    return value.detach().to(random.choice(_DTYPES))


def _indices(value: Tensor, random: Random) -> Tensor:
    """Small ints of the same shape."""
    some = torch.tensor([random.randrange(-3, 9) for _ in range(13)])
    made = some.repeat(value.numel() // 13 + 1)[: value.numel()].reshape(value.shape)
    return made.to(random.choice((torch.int64, torch.int64, torch.int32)))


def _emptied(value: Tensor, random: Random) -> Tensor:
    return value.narrow(random.randrange(value.dim()), 0, 0)


def _hugely_emptied(value: Tensor, random: Random) -> Tensor:
    shape = [random.choice((n, n, 1 << 20, 1 << 31)) for n in value.shape]
    shape[random.randrange(len(shape))] = 0
    return torch.zeros(shape, dtype=value.dtype)


def _shortened(value: Tensor, random: Random) -> Tensor:
    dim = random.randrange(value.dim())
    return value.narrow(dim, 0, random.randrange(value.shape[dim] + 1))


def _repeated(value: Tensor, random: Random) -> Tensor:
    return torch.cat([value.detach()] * random.choice((2, 3)), random.randrange(value.dim()))


def _expanded(value: Tensor, random: Random) -> Tensor:
    return (
        value.select(random.randrange(value.dim()), 0)
        .unsqueeze(0)
        .expand(random.choice((2, 7, 1 << 10)), *[-1] * (value.dim() - 1))
    )


def _spread(value: Tensor, random: Random) -> Tensor:
    return value.detach().reshape(-1)[:1].expand(random.choice((0, 1, 2, 1 << 10, 1 << 20)))


_OF_TENSORS = (
    _filled, _filled, _filled, _even, _typed, _typed, _indices, _indices, _emptied, _hugely_emptied, _shortened,
    _shortened, _repeated, _expanded, _spread,
    lambda value, random: value.select(random.randrange(value.dim()), 0),
    lambda value, random: value.unsqueeze(random.randrange(value.dim() + 1)),
    lambda value, random: value.transpose(random.randrange(value.dim()), random.randrange(value.dim())),
    lambda value, random: value.reshape(-1),
    lambda value, random: value.reshape(-1)[:1].reshape(()),
    lambda value, random: value.unfold(random.randrange(value.dim()), 2, 1),  # overlaps itself
    lambda value, random: value[..., ::2],
    lambda value, random: value.diagonal(),
    lambda value, random: value.to(torch.complex64).conj(),
    lambda value, random: value.to(torch.complex64).conj().imag,  # with a bit that says it is negated
    lambda value, random: value.contiguous(memory_format=torch.channels_last),
    lambda value, random: value.flatten()[1:],
)  # fmt: skip


def _tensors(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return [each for item in value for each in _tensors(item)]
    return []


def _copied(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach().clone()
    if type(value) in (list, tuple):
        return type(value)(_copied(item) for item in value)
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    return value
