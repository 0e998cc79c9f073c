from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import torch

from fedzmq.broker.broker import Broker
from fedzmq.client.client import Client, connect
from fedzmq.client.hook import install
from fedzmq.client.session_line import SessionLine
from fedzmq.client.worker_handle import WorkerHandle
from fedzmq.cluster.local_cluster import LocalCluster
from fedzmq.errors import (
    AddressError,
    BrokerUnreachable,
    NotEnoughWorkers,
    TransportClosed,
    WorkerLost,
    WorkerNotFoundError,
)
from fedzmq.session.heartbeat import ROLL_CALL, WORKERS, Heartbeat
from fedzmq.transports.registry import connect as connect_transport
from tests.processes import until
from tests.worker.hub import Meeting

NOBODY = "tcp://127.0.0.1:1"  # a port that only root may listen at, and nothing does


@pytest.fixture
def client(site: LocalCluster) -> Iterator[Client]:
    install()
    with site.connect() as client:
        yield client


def test_where_nothing_answers_the_broker_is_unreachable() -> None:
    with pytest.raises(BrokerUnreachable, match=f"no broker answered at {NOBODY} within 0.2 s"):
        connect(NOBODY, timeout=0.2)


def test_an_address_that_no_transport_serves_is_refused_with_those_that_are() -> None:
    with pytest.raises(AddressError, match=r"known: ipc, memory, tcp\); did you mean 'tcp'"):
        connect("tpc://127.0.0.1:5555")


def test_the_roster_has_every_worker_by_name(client: Client) -> None:
    assert [worker.name for worker in client.workers()] == ["alice", "bob", "carol"]
    assert all(worker.silent_for < 60 for worker in client.workers())


def test_whoever_connects_knows_at_once_who_is_there() -> None:
    def answer() -> None:
        until(lambda: (heard := bob.recv(0.01)) is not None and heard.topic == ROLL_CALL, lambda: "no roll call")
        bob.recv(0.1)  # it has other things to do first
        bob.publish(WORKERS, Heartbeat(b"b" * 8).frames())

    with Broker("tcp://127.0.0.1:0").start() as broker, connect_transport(broker.address, "bob") as bob:
        bob.subscribe(ROLL_CALL)
        until(lambda: bob.recv(0.01) is None and broker.directory.subscribers(ROLL_CALL) != [], lambda: "")
        worker = threading.Thread(target=answer)
        worker.start()
        with connect(broker.address) as client:
            assert [each.name for each in client.workers()] == ["bob"]
        worker.join()


def test_a_client_in_the_workers_process_knows_them_without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fedzmq.client.attendance.SLOWEST_BEAT", 1e6)
    with Meeting() as meeting:
        meeting.running_worker("bob")
        with connect(meeting.address) as client:
            assert client.names() == ("bob",)


def test_a_worker_that_says_nothing_is_not_waited_for_any_longer() -> None:
    with Broker("tcp://127.0.0.1:0").start() as broker, connect_transport(broker.address, "bob") as bob:
        bob.subscribe(ROLL_CALL)
        until(lambda: bob.recv(0.01) is None and broker.directory.subscribers(ROLL_CALL) != [], lambda: "")
        with connect(broker.address) as client:
            assert client.workers() == []


def test_a_worker_has_one_handle(client: Client) -> None:
    assert client.worker("bob") is client.worker("bob")


def test_two_threads_that_ask_for_a_worker_at_once_get_one_handle(
    site: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    got: list[WorkerHandle] = []
    other = threading.Thread(target=lambda: got.append(client.worker("bob")))

    def open_line(name: str, boot: bytes) -> SessionLine:
        if other.ident is None:
            other.start()
            other.join(0.1)  # as long as it takes to ask, where it does not have to wait
        return opened(name, boot)

    with site.connect() as client:
        opened = client.open_line
        monkeypatch.setattr(client, "open_line", open_line)
        got.append(client.worker("bob"))
        other.join()

    assert got[0] is got[1]


def test_an_unknown_worker_is_named_with_those_that_are_known_and_how_to_start_it(client: Client) -> None:
    start = f"start it with `fedzmq worker --id nobody --broker {client.address}`"
    with pytest.raises(WorkerNotFoundError, match=r"'nobody' is here \(known: alice, bob, carol\); " + start):
        client.worker("nobody", timeout=0.1)


def test_workers_that_do_not_come_are_counted(client: Client) -> None:
    with pytest.raises(NotEnoughWorkers, match=r"5 workers are needed, and 3 can take part \(alice, bob, carol\)"):
        client.wait_for_workers(5, timeout=0.1)


def test_a_worker_that_comes_back_is_new_and_pointers_into_the_old_one_say_so(
    client: Client, site: LocalCluster
) -> None:
    old = client.worker("carol")
    pointer = torch.ones(3).send(old)
    site.kill("carol")
    site.start_worker("carol")
    until(lambda: old.is_lost and client.worker("carol") is not old, lambda: repr(client.workers()))

    with pytest.raises(WorkerLost, match="worker 'carol' is lost"):
        (pointer + 1).get()
    assert (torch.ones(3).send(client.worker("carol")) + 1).get().tolist() == [2.0, 2.0, 2.0]


def test_one_client_cannot_reach_what_another_sent(client: Client, site: LocalCluster) -> None:
    mine = torch.ones(2).send(client.worker("bob"))
    with site.connect() as other:
        theirs = torch.zeros(2).send(other.worker("bob"))
        assert theirs.get().tolist() == [0.0, 0.0]
    assert mine.get().tolist() == [1.0, 1.0]


def test_after_close_everything_says_so(site: LocalCluster) -> None:
    with site.connect() as client:
        bob = client.worker("bob")
    client.close()

    assert bob.is_lost
    with pytest.raises(TransportClosed):
        client.workers()
    with pytest.raises(TransportClosed):
        bob.data()


def test_an_answer_is_news(client: Client) -> None:
    pending, news = client.worker("bob").ask_data(), client.news
    while not pending.done:
        client.wait_for_news(news, 30)
        assert client.news != news
        news = client.news


def test_the_loss_of_a_worker_is_news(client: Client) -> None:
    line, news = client.worker("bob").line, client.news
    client.endpoint.end(line.peer, "it was stopped")

    assert client.news != news


def test_close_ends_what_waits(site: LocalCluster) -> None:
    with site.connect() as client:
        line = client.worker("bob").line
        pending = line.claim(line.request())

    assert isinstance(pending.error, TransportClosed)
