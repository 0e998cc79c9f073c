"""A model on its way to workers that are processes, while the broker dies and workers hang."""

from __future__ import annotations

import copy
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import pytest
import torch
from torch import nn

from fedzmq.client.client import Client
from fedzmq.cluster.local_cluster import LocalCluster
from fedzmq.federated.trainer import Trainer
from fedzmq.federated.training_job import TrainingJob
from fedzmq.recording.training_plan import training_plan
from fedzmq.session.audience import AHEAD_BYTES
from fedzmq.transports.connection import Buffer

NAMES = ("alice", "bob", "carol")
JOB = TrainingJob(
    "iris", rounds=1, epochs=1, batch_size=2, options={"lr": 0.01}, seed=3, workers=3, max_steps=1, patience=60.0
)


@pytest.fixture(scope="module")
def model() -> nn.Module:
    """So large that it cannot all be on its way at once."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 800_000), nn.Tanh(), nn.Linear(800_000, 3))


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    """Who hangs is not taken for lost within the time that a test takes."""
    with LocalCluster(NAMES, data="iris", silence=60.0) as cluster:
        yield cluster


@pytest.fixture
def client(cluster: LocalCluster) -> Iterator[Client]:
    with cluster.connect(direct=False) as client:
        yield client


def bytes_of(model: nn.Module) -> int:
    return sum(tensor.nbytes for tensor in model.parameters())


def trainer(client: Client, model: nn.Module, job: TrainingJob = JOB) -> Trainer:
    plan = training_plan(model, nn.functional.cross_entropy, torch.zeros(2, 4), torch.zeros(2, dtype=torch.int64))
    return Trainer(client, copy.deepcopy(model), plan, job)


def once_it_is_half_out(client: Client, act: Callable[[], None]) -> None:
    """Do something in the middle of what is published next."""
    publish, before = client.endpoint.publish, client.endpoint.bytes_sent
    acted = False

    def publishes(topic: str, frames: Sequence[Buffer]) -> None:
        nonlocal acted
        publish(topic, frames)
        if not acted and client.endpoint.bytes_sent - before > AHEAD_BYTES // 2:
            acted = True
            act()

    client.endpoint.publish = publishes  # type: ignore[method-assign]


def test_a_broker_that_is_killed_and_started_again_in_the_middle_costs_time_alone(
    client: Client, cluster: LocalCluster, model: nn.Module
) -> None:
    assert bytes_of(model) > 1.2 * AHEAD_BYTES
    (undisturbed,) = trainer(client, model).rounds()
    restart: list[threading.Thread] = []

    def kill() -> None:
        cluster.kill("broker")
        restart.append(threading.Thread(target=cluster.restart_broker))
        restart[0].start()

    once_it_is_half_out(client, kill)
    (report,) = trainer(client, model).rounds()
    restart[0].join()

    assert [answer.worker for answer in report.answered] == list(NAMES)
    assert report.train_loss == undisturbed.train_loss
    assert undisturbed.bytes_sent < 1.02 * bytes_of(model)


def test_a_worker_that_hangs_in_the_middle_holds_up_nobody(
    client: Client, cluster: LocalCluster, model: nn.Module
) -> None:
    bob = cluster.processes["bob"].pid
    try:
        once_it_is_half_out(client, lambda: os.kill(bob, signal.SIGSTOP))
        (report,) = trainer(client, model, replace(JOB, quorum=2, deadline=1.0)).rounds()
    finally:
        os.kill(bob, signal.SIGCONT)
    (next_one,) = trainer(client, model).rounds()

    assert [answer.worker for answer in report.answered] == ["alice", "carol"]
    assert [answer.worker for answer in next_one.answered] == list(NAMES)
