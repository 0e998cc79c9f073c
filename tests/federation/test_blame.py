from __future__ import annotations

import pytest

from fedzmq.federated.strategies.fedavg import FedAvg
from fedzmq.federation.blame import blaming


def test_what_no_method_of_the_strategy_raised_is_not_its_failure() -> None:
    with pytest.raises(KeyError), blaming(FedAvg(), lambda: 1, is_told=True):
        raise KeyError("ours")
