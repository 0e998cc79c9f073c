"""Has what is drawn on workers follow `torch.manual_seed` and torch's states, as what is drawn here does."""

from __future__ import annotations

import threading
from collections.abc import Callable, MutableMapping
from contextlib import suppress
from functools import wraps
from hashlib import sha256
from typing import Any, Protocol
from weakref import WeakKeyDictionary, WeakSet

import torch
from torch.utils.weak import WeakTensorKeyDictionary

from fedzmq.errors import FedzmqError

CHOSEN = 2**32  # a seed below was chosen by somebody: what torch takes by itself has 63 bits or so


class Draws(Protocol):
    """Where random numbers are drawn. Nothing here waits.

    `reseed` has them begin anew from a seed of 64 bits, and `load_random_state` go on from where they were when
    `save_random_state` gave this object, which is kept there as long as it is here.
    """

    def reseed(self, seed: int) -> None: ...

    def save_random_state(self) -> object: ...

    def load_random_state(self, saved: Any) -> None: ...


class _Saved:
    """How the random numbers of everywhere else went on from one state of torch's."""

    def __init__(self, last: int | None) -> None:
        self.last = last
        self.states: WeakKeyDictionary[Draws, object] = WeakKeyDictionary()


class _Seeds:
    """One for a process, as torch has one generator for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._drawing: WeakSet[Draws] = WeakSet()
        self._last: int | None = None
        # By the very tensor that torch gave: its copies are told by their bytes.
        self._saved: MutableMapping[torch.Tensor, _Saved] = WeakTensorKeyDictionary()

    def begin(self, seed: int) -> None:
        """Torch's seed before anybody watched. What torch took by itself is for this process alone."""
        if seed < CHOSEN:
            self._last = seed

    def follow(self, stream: Draws) -> None:
        with self._lock:
            self._drawing.add(stream)
            last = self._last
        if last is not None:
            stream.reseed(last)

    def sow(self, seed: int) -> None:
        """A seed as torch tells it, from 0."""
        seed = seed if seed < 2**63 else seed - 2**64
        with self._lock:
            self._last = seed
            drawing = list(self._drawing)
        for each in drawing:
            each.reseed(seed)

    def save(self, state: torch.Tensor) -> None:
        with self._lock:
            saved = self._saved[state] = _Saved(self._last)
            drawing = list(self._drawing)
        for each in drawing:
            with suppress(FedzmqError):  # one that is lost draws no more
                saved.states[each] = each.save_random_state()

    def load(self, state: torch.Tensor) -> None:
        """Where nothing was saved with it, as from a file, equal states are equal seeds."""
        saved = self._saved.get(state)
        if saved is None:
            self.sow(int.from_bytes(sha256(bytes(state.tolist())).digest()[:8], "big"))
            return
        with self._lock:
            self._last = saved.last
            drawing = list(self._drawing)
        for each in drawing:
            with suppress(FedzmqError):
                if each in saved.states:
                    each.load_random_state(saved.states[each])
                elif saved.last is not None:
                    each.reseed(saved.last)


_SEEDS = _Seeds()
follow_seeds = _SEEDS.follow


def watch_seeds() -> None:
    """Have torch's seeds and states reach whoever follows, from now on; the last seed reaches whoever comes later."""
    _SEEDS.begin(torch.initial_seed())
    _after("manual_seed", lambda generator, *given: _SEEDS.sow(generator.initial_seed()))
    _after("seed", _SEEDS.sow)
    _after("get_rng_state", _SEEDS.save)
    _after("set_rng_state", lambda nothing, state: _SEEDS.load(state))


def _after(name: str, then: Callable[..., None]) -> None:
    """Have `then` be given what a function of torch's gave, and what it was given."""
    local = getattr(torch.random, name)

    @wraps(local)
    def function(*args: Any, **kwargs: Any) -> Any:
        result = local(*args, **kwargs)
        then(result, *args, *kwargs.values())
        return result

    setattr(torch, name, function)
    setattr(torch.random, name, function)
