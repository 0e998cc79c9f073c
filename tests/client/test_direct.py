"""What goes to worker processes on this machine goes past the broker, and through it where it cannot or must not."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import pytest
import torch

from fedzmq.client.client import Client, connect
from fedzmq.client.worker_handle import WorkerHandle
from fedzmq.cluster.local_cluster import BROKER, LocalCluster
from fedzmq.errors import WorkerLost
from fedzmq.transports.connection import Delivery

pytestmark = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="this system has no such memory")

ELEMENTS = 1 << 20  # 4 MiB


def test_a_large_tensor_goes_there_and_back_with_its_bits(site: LocalCluster) -> None:
    with site.connect() as client:
        bob = agreed(client)
        tensor = torch.randn(ELEMENTS)
        assert tensor.send(bob).get().equal(tensor)
        assert (tensor.send(bob) * 2).get().equal(tensor * 2)


def test_a_worker_that_is_killed_in_the_middle_is_lost_as_any_other(site: LocalCluster) -> None:
    with site.connect() as client:
        bob = agreed(client)
        pointer = torch.randn(ELEMENTS).send(bob)
        site.kill("bob")
        try:
            with pytest.raises(WorkerLost):
                (pointer * 2).get()
        finally:
            site.start_worker("bob")


def test_work_goes_on_while_the_broker_stands_still(site: LocalCluster) -> None:
    with site.connect() as client:
        bob = agreed(client)
        pointer = torch.ones(3).send(bob)
        broker = site.processes[BROKER].pid
        os.kill(broker, signal.SIGSTOP)
        try:
            assert (pointer * 2).copy().get().tolist() == [2, 2, 2]
            assert (torch.ones(ELEMENTS).send(bob) * 2).get().sum() == 2 * ELEMENTS
        finally:
            os.kill(broker, signal.SIGCONT)
        assert pointer.get().tolist() == [1, 1, 1]


def test_nothing_stays_open(site: LocalCluster) -> None:
    with connect(site.address) as client:  # what torch and ZeroMQ open once
        torch.ones(ELEMENTS).send(agreed(client)).get()
    before = memory_files()
    for _ in range(3):
        with connect(site.address) as client:
            torch.ones(ELEMENTS).send(agreed(client)).get()
            assert memory_files() > before
        assert memory_files() == before


def test_a_client_that_wants_none_shares_none(site: LocalCluster) -> None:
    before = memory_files()
    with site.connect(direct=False) as client:
        bob = client.worker("bob")
        for _ in range(3):
            assert torch.ones(ELEMENTS).send(bob).get().sum() == ELEMENTS
        assert not client.endpoint.shares_with(bob.line.peer)
        assert memory_files() == before


def agreed(client: Client) -> WorkerHandle:
    """Bob, once both sides send past the broker."""
    bob = client.worker("bob")
    connection: Any = client.endpoint.connection
    interpret, senders = connection._interpret, []

    def interpreted(*message: Any) -> Delivery | None:
        delivery: Delivery | None = interpret(*message)
        if delivery is not None and delivery.topic is None:
            senders.append(delivery.sender)
        return delivery

    connection._interpret = interpreted
    end = time.monotonic() + 10.0
    session = None
    while session is None or session.socket is None or "bob" in senders:
        assert time.monotonic() < end
        senders.clear()
        torch.ones(1).send(bob).get()
        session = client.endpoint._sessions.get(bob.line.peer)
    del connection._interpret
    return bob


def memory_files() -> int:
    """How many files and sockets are open here that are shared with others."""
    open_here = (os.path.join("/proc/self/fd", name) for name in os.listdir("/proc/self/fd"))
    found = [os.readlink(path) for path in open_here if os.path.islink(path)]
    with open("/proc/net/unix", encoding="ascii") as lines:
        ours = {f"socket:[{line.split()[6]}]" for line in lines if not line.startswith("Num")}
    return sum("memfd:fedzmq-" in path or path in ours for path in found)
