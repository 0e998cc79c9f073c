from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from fedzmq.errors import UpdateRefused
from fedzmq.federated.update import Update, check_update

STATE = [torch.ones(2, 3), torch.tensor(4)]
NAMES = ["weight", "counter"]


def test_an_update_of_the_models_form_passes() -> None:
    check_update(Update([torch.zeros(2, 3), torch.tensor(5)], 7), NAMES, STATE)


@pytest.mark.parametrize(
    ("state", "examples", "reason"),
    [
        (STATE, 0, "it counts 0 examples, and at least 1 was expected"),
        (STATE[:1], 7, "it has 1 tensors, and the model has 2"),
        ([torch.ones(3, 2), STATE[1]], 7, r"'weight' is float32\[3, 2\], and the model has float32\[2, 3\]"),
        ([STATE[0], torch.tensor(4.0)], 7, r"'counter' is float32\[\], and the model has int64\[\]"),
        ([torch.full((2, 3), math.nan), STATE[1]], 7, "'weight' holds NaN or infinity"),
        ([torch.full((2, 3), -math.inf), STATE[1]], 7, "is the learning rate too high"),
    ],
)
def test_an_update_that_would_spoil_the_model_is_refused(state: list[Tensor], examples: int, reason: str) -> None:
    with pytest.raises(UpdateRefused, match=reason):
        check_update(Update(state, examples), NAMES, STATE)


def test_a_complex_number_that_is_none_is_refused() -> None:
    state = [torch.ones(2, dtype=torch.complex64)]

    with pytest.raises(UpdateRefused, match="'weight' holds NaN or infinity"):
        check_update(Update([state[0] * math.nan], 1), NAMES[:1], state)
