from __future__ import annotations

import pytest
import torch

from fedzmq.operations.catalog import CATALOG
from fedzmq.wire.messages import Call, Failed, Probe, Restrict
from fedzmq.worker.executor import Executor
from fedzmq.worker.functions import Functions
from fedzmq.worker.privacy import Privacy
from fedzmq.worker.store import Store
from tests.worker.bench import Bench

ALLOWED = frozenset({"anna", "mallory"})


@pytest.mark.parametrize(
    "command",
    [
        Call(1, "statistics", 100, 4, [0, 0, 0, [{"p": 1}]]),
        Probe(1, 100, 4, [CATALOG.number(torch.sort), 0, 1, [1]]),
    ],
    ids=lambda command: type(command).__name__,
)
def test_what_is_kept_before_a_result_passes_the_quota_is_private(command: Call | Probe) -> None:
    store = Store(12_000, client="mallory", privacy=Privacy())
    functions = Functions({"statistics": lambda x: (x * 1, torch.cat([x] * 4))})
    bench = Bench(Executor(store, functions=functions))
    bench.batch.append(Restrict(bench.put(torch.ones(900)), tuple(ALLOWED)))
    reply, _ = bench.ask(command)
    assert isinstance(reply, Failed)
    assert reply.failure.error == "LimitExceeded"
    assert store.privacy.users(store.tensors[100]) == ALLOWED
