from __future__ import annotations

import gc
import sys
import threading

import pytest
import torch

from fedzmq.errors import NeedsValueError, ProtocolError, WorkerLost
from fedzmq.pointers.effects import Effects
from fedzmq.pointers.outbox import MAX_BATCH
from fedzmq.pointers.stream import Stream
from fedzmq.transports.connection import Buffer
from fedzmq.wire.codec import decode
from fedzmq.wire.messages import Drop, Mode, Reply, Seed
from tests.pointers.loopback import Place


class Recorder:
    """A line that keeps what is posted and answers nothing."""

    worker = "bob"

    def __init__(self) -> None:
        self.messages: list[tuple[list[object], list[Buffer]]] = []

    def post(self, frames: list[Buffer]) -> None:
        body, *buffers = [bytes(frame) for frame in frames]
        self.messages.append((decode(body, buffers), list(buffers)))

    def request(self) -> int:
        return 1

    def wait(self, request: int) -> tuple[Reply, list[Buffer]]:
        raise WorkerLost("bob", "it is a recorder")

    def interrupt(self, commands: int) -> None: ...

    @property
    def records(self) -> list[object]:
        return [record for records, _ in self.messages for record in records]


class Recorded:
    def __init__(self, effects: Effects) -> None:
        self.name = "bob"
        self.line = Recorder()
        self.stream = Stream(self.line, effects=effects)


@pytest.fixture
def carol(effects: Effects) -> Recorded:
    return Recorded(effects)


def test_commands_gather_until_a_batch_is_full(carol: Recorded) -> None:
    p = torch.ones(2).send(carol)
    for _ in range(MAX_BATCH - 2):
        p.add_(1)
    assert carol.line.messages == []
    p.add_(1)
    assert [len(records) for records, _ in carol.line.messages] == [MAX_BATCH]


def test_a_large_tensor_is_posted_at_once(carol: Recorded) -> None:
    torch.ones(100_000).send(carol)
    ((_, buffers),) = carol.line.messages
    assert [len(buffer) for buffer in buffers] == [400_000]


def test_modes_are_said_when_they_change_and_not_again(carol: Recorded) -> None:
    p = torch.ones(2).send(carol)
    p + 1
    with torch.no_grad():
        p + 1
        p + 2
        torch.cat([p, p])
    with torch.autocast("cpu", torch.bfloat16):
        p + 1
    p + 1
    carol.stream.flush()
    assert [record for record in carol.line.records if isinstance(record, Mode)] == [
        Mode(False, None, "float32"),
        Mode(True, "bfloat16", "float32"),
        Mode(True, None, "float32"),
    ]


def test_released_ids_go_out_in_one_record_with_the_next_flush(carol: Recorded) -> None:
    p = torch.ones(2).send(carol)
    for _ in range(5):
        p + 1
    carol.stream.flush()
    drops = [record for record in carol.line.records if isinstance(record, Drop)]
    assert drops == [Drop((2, 3, 4, 5, 6))]
    carol.stream.flush()
    assert len(carol.line.messages) == 1


def test_an_operation_on_pointers_and_numbers_is_ids_under_a_mask(carol: Recorded) -> None:
    p = torch.ones(2).send(carol)
    torch.add(p, p, alpha=2)
    carol.stream.flush()
    _, (_, result, mask, arguments, keywords) = carol.line.records[:2]
    assert (result, mask, arguments, keywords) == (2, 0b11, [1, 1], {"alpha": 2})


def test_a_command_of_the_owners_keeps_its_place(carol: Recorded) -> None:
    p = torch.ones(2).send(carol)
    carol.stream.command(Seed(7), None)
    p + 1
    carol.stream.flush()
    assert carol.line.records[1] == Seed(7)


def test_a_lost_worker_is_reported_by_whoever_waits(carol: Recorded) -> None:
    p = torch.ones(2).send(carol)
    with pytest.raises(WorkerLost):
        p.get()


def test_threads_with_modes_of_their_own_do_not_mix_them(bob: Place) -> None:
    p = torch.ones(2, requires_grad=True).send(bob)
    failures: list[BaseException] = []

    def work(grad: bool) -> None:
        try:
            with torch.set_grad_enabled(grad):
                for _ in range(100):
                    q = p * 2.0
                    assert q.requires_grad == grad
            if grad:
                q.sum().backward()
        except BaseException as error:
            failures.append(error)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        threads = [threading.Thread(target=work, args=(index % 2 == 0,)) for index in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    assert failures == []
    bob.stream.sync()
    torch.testing.assert_close(p.grad.get(), torch.full((2,), 4.0))


def test_pointers_in_cycles_are_released_when_they_are_collected(bob: Place) -> None:
    p = torch.ones(2).send(bob)
    p.itself = p
    del p
    gc.collect()
    assert bob.stored == 0


def test_long_arguments_are_posted_before_they_pile_up(carol: Recorded) -> None:
    p = torch.ones(20_000).send(carol)
    carol.stream.flush()
    before = len(carol.line.messages)
    p[list(range(10_000))]
    assert len(carol.line.messages) == before + 1


def test_what_needs_a_value_names_the_worker(carol: Recorded) -> None:
    assert isinstance(carol.stream.needs_value("item"), NeedsValueError)
    assert "'bob'" in str(carol.stream.needs_value("item"))


def test_a_command_that_cannot_be_sent_is_refused_alone(bob: Place) -> None:
    pointer = torch.ones(1).send(bob)
    with pytest.raises(ProtocolError, match=r"Seed\.value is"):
        bob.stream.command(Seed(2**70), None)
    assert pointer.get().tolist() == [1.0]


def test_what_is_shared_is_there_when_share_returns(bob: Place) -> None:
    asked = bob.line.request()
    pointer = torch.ones(1).send(bob).share()
    assert bob.line.request() == asked + 2  # one question was asked and answered
    del pointer
