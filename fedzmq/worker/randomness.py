"""The random numbers of one client, apart from those of the process and of other clients.

Operations draw from torch's global generator, so its state is exchanged for the client's own, and only around batches
that do draw.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager

import torch
from torch import default_generator  # itself, because a client in this process may follow torch.get_rng_state
from torch.utils.weak import WeakTensorKeyDictionary

from fedzmq.errors import ProtocolError
from fedzmq.wire.limits import MAX_INT


class Randomness:
    """The state of one client's generator."""

    def __init__(self) -> None:
        self._state: torch.Tensor | None = None
        self._outside: torch.Tensor | None = None
        # By the tensor that the client has. It may write to that, and a generator trusts what it is given.
        self._saved: MutableMapping[torch.Tensor, torch.Tensor] = WeakTensorKeyDictionary()

    def enter(self) -> None:
        """Exchange the state, if it was not yet in this batch."""
        if self._outside is None:
            self._outside = default_generator.get_state()
            if self._state is None:
                fresh = torch.Generator()
                fresh.seed()
                self._state = fresh.get_state()
            default_generator.set_state(self._state)

    def leave(self) -> None:
        """Give the process its own state back."""
        if self._outside is not None:
            self._state = default_generator.get_state()
            default_generator.set_state(self._outside)
            self._outside = None

    def seed(self, value: int) -> None:
        """What follows is drawn as after torch.manual_seed(value)."""
        self._begin_anew()
        default_generator.manual_seed(value)

    def save(self) -> torch.Tensor:
        """The state of now, which is remembered as long as this tensor is there."""
        self.enter()
        state = default_generator.get_state()
        self._saved[state] = state.clone()
        return state

    def load(self, state: torch.Tensor) -> None:
        """What follows is drawn as what followed `save`. Raises ProtocolError for what that did not give."""
        saved = self._saved.get(state)
        if saved is None:
            raise ProtocolError("this tensor is no state of random numbers that was saved here")
        self._begin_anew()
        default_generator.set_state(saved)

    @contextmanager
    def apart(self) -> Iterator[None]:
        """What is drawn in it is drawn from a seed of its own, which is all that is taken from the client's numbers.

        For operands that are hidden from the client: of some, the values tell how many numbers a kernel takes.
        """
        self.enter()
        seed = int(torch.randint(MAX_INT, ()))
        state = default_generator.get_state()
        default_generator.manual_seed(seed)
        try:
            yield
        finally:
            default_generator.set_state(state)

    @contextmanager
    def undone_by(self, error: type[Exception]) -> Iterator[None]:
        """Where this error ends it, nothing was drawn."""
        self.enter()
        state = default_generator.get_state()
        try:
            yield
        except error:
            default_generator.set_state(state)
            raise

    def _begin_anew(self) -> None:
        if self._outside is None:  # what was drawn before does not count any more: there is no state to bring back
            self._outside = default_generator.get_state()
