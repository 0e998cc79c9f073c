"""The random numbers of one client, apart from those of the process and of other clients.

Operations draw from torch's global generator, so its state is exchanged for the client's own, and only around batches
that do draw.
"""

from __future__ import annotations

import torch


class Randomness:
    """The state of one client's generator."""

    def __init__(self) -> None:
        self._state: torch.Tensor | None = None
        self._outside: torch.Tensor | None = None

    def enter(self) -> None:
        """Exchange the state, if it was not yet in this batch."""
        if self._outside is None:
            self._outside = torch.get_rng_state()
            if self._state is None:
                fresh = torch.Generator()
                fresh.seed()
                self._state = fresh.get_state()
            torch.set_rng_state(self._state)

    def leave(self) -> None:
        """Give the process its own state back."""
        if self._outside is not None:
            self._state = torch.get_rng_state()
            torch.set_rng_state(self._outside)
            self._outside = None

    def seed(self, value: int) -> None:
        """What follows is drawn as after torch.manual_seed(value)."""
        if self._outside is None:  # what was drawn before does not count any more: there is no state to bring back
            self._outside = torch.get_rng_state()
        torch.default_generator.manual_seed(value)
