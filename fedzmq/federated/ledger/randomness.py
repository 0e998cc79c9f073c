"""The process's own random numbers, which nothing here draws from: a user's strategy or evaluation may."""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np
import torch

from fedzmq.errors import DataError


class Randomness:
    """Most trainings draw nothing, and their rounds need not pay for it."""

    def __init__(self) -> None:
        self._states: tuple[object, ...] = ()
        self._text = ""

    def snapshot(self) -> str:
        """Where torch, NumPy and Python are in theirs, as JSON."""
        drawn: Any = np.random.get_state(legacy=True)
        kind, keys, place, has_gauss, gauss = drawn
        torchs, numpys, pythons = (
            torch.default_generator.get_state().numpy().tobytes(),
            keys.tobytes(),
            random.getstate(),
        )
        states = (torchs, kind, numpys, place, has_gauss, gauss, pythons)
        if states != self._states:
            numpy = [str(kind), numpys.hex(), int(place), int(has_gauss), float(gauss)]
            self._text = json.dumps({"torch": torchs.hex(), "numpy": numpy, "python": pythons})
            self._states = states
        return self._text


def restore(text: str) -> None:
    """Go on where `snapshot` was. Raises DataError."""
    try:
        states = json.loads(text)
        torch.default_generator.set_state(torch.frombuffer(bytearray.fromhex(states["torch"]), dtype=torch.uint8))
        kind, keys, place, has_gauss, gauss = states["numpy"]
        np.random.set_state((kind, np.frombuffer(bytes.fromhex(keys), dtype=np.uint32), place, has_gauss, gauss))
        version, inner, gauss_next = states["python"]
        random.setstate((version, tuple(inner), gauss_next))
    except (ValueError, KeyError, TypeError, RuntimeError) as error:
        raise DataError(text[:60], f"expected the states of the process's random numbers: {error}") from error
