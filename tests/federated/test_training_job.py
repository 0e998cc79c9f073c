from __future__ import annotations

from typing import Any

import pytest

from fedzmq.errors import UsageError
from fedzmq.federated.training_job import TrainingJob


@pytest.mark.parametrize("name", ["rounds", "epochs", "batch_size", "workers", "least"])
def test_a_number_below_one_is_refused(name: str) -> None:
    number: dict[str, Any] = {name: 0}
    with pytest.raises(UsageError, match=f"{name} is 0, and at least 1 is needed"):
        TrainingJob("data", **number)


def test_patience_cannot_be_negative() -> None:
    with pytest.raises(UsageError, match="patience is -1 s, and it cannot be negative"):
        TrainingJob("data", patience=-1.0)
