from __future__ import annotations

from threading import Thread

import pytest
import torch

from fedzmq.errors import PlanError
from fedzmq.recording.chance import no_chance


def draw() -> None:
    torch.rand(1)


def test_what_the_program_draws_is_refused_at_its_line() -> None:
    with pytest.raises(PlanError, match=rf"draws from torch's own random numbers.* at {__file__}:13,"), no_chance(draw):
        draw()


def test_what_another_thread_draws_is_not_the_programs() -> None:
    with no_chance(lambda: None):
        thread = Thread(target=draw)
        thread.start()
        thread.join()
