"""Windows for signals, made from numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.signal import windows

WINDOWS: dict[str, Callable[..., Any]] = {
    # The periodic ones of torch.
    "torch.bartlett_window": torch.bartlett_window,
    "torch.blackman_window": torch.blackman_window,
    "torch.kaiser_window": torch.kaiser_window,
    # The symmetric ones of torch.signal.
    "signal.windows.bartlett": windows.bartlett,
    "signal.windows.blackman": windows.blackman,
    "signal.windows.cosine": windows.cosine,
    "signal.windows.exponential": windows.exponential,
    "signal.windows.gaussian": windows.gaussian,
    "signal.windows.general_cosine": windows.general_cosine,
    "signal.windows.general_hamming": windows.general_hamming,
    "signal.windows.hamming": windows.hamming,
    "signal.windows.hann": windows.hann,
    "signal.windows.kaiser": windows.kaiser,
    "signal.windows.nuttall": windows.nuttall,
}
