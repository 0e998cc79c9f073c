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


COMMANDS = [
    Call(1, "statistics", 100, 4, [0, 0, 0, [{"p": 1}]]),
    Probe(1, 100, 4, [CATALOG.number(torch.sort), 100, 1, [1]]),
]


def answered(command: Call | Probe, quota: int, users: frozenset[str]) -> tuple[str, Store]:
    """The error that a client named mallory is told, of a command on a tensor that is private to these users."""
    store = Store(quota, client="mallory", privacy=Privacy())
    functions = Functions({"statistics": lambda x: (x * 1, torch.cat([x] * 4))})
    bench = Bench(Executor(store, functions=functions))
    bench.batch.append(Restrict(bench.put(torch.ones(900)), tuple(users)))
    reply, _ = bench.ask(command)
    return reply.failure.error if isinstance(reply, Failed) else "", store


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: type(command).__name__)
def test_nothing_is_kept_of_a_command_whose_results_pass_the_quota_together(command: Call | Probe) -> None:
    error, store = answered(command, 12_000, ALLOWED)
    assert (error, list(store.tensors)) == ("LimitExceeded", [1])


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: type(command).__name__)
def test_nobody_is_told_how_large_what_comes_of_values_is_that_they_may_not_take(command: Call | Probe) -> None:
    error, store = answered(command, 1 << 20, frozenset({"anna"}))
    assert (error, list(store.tensors)) == ("GetNotPermittedError", [1])


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: type(command).__name__)
def test_what_comes_of_a_private_value_is_private(command: Call | Probe) -> None:
    error, store = answered(command, 1 << 20, ALLOWED)
    assert (error, store.privacy.users(store.tensors[101])) == ("", ALLOWED)
