from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any, NoReturn

import pytest
import torch
from torch import Tensor

import fedzmq
from fedzmq.broker.broker import Broker
from fedzmq.client.client import Client
from fedzmq.client.pending import Pending
from fedzmq.client.tasks import TrainingTask
from fedzmq.client.worker_handle import WorkerHandle
from fedzmq.errors import RemoteError, WorkerLost
from fedzmq.plans.plan import from_bytes
from fedzmq.recording.training_plan import training_plan
from fedzmq.session.packet import Lane
from fedzmq.session.presence import AWAY, BACK
from fedzmq.tensors.buffers import export_all, restore_all
from fedzmq.transports.connection import Buffer
from fedzmq.transports.zeromq import ZeroMQConnection
from fedzmq.wire.codec import encode
from fedzmq.wire.messages import (
    DefinePlan,
    Deliver,
    Failed,
    Local,
    PlanMissing,
    Progress,
    Pulled,
    Reply,
    TensorSpec,
    Trained,
)
from fedzmq.worker.allowance import Allowance
from fedzmq.worker.plan_shelf import MOST_PLANS
from fedzmq.worker.training.memory import Kept, RunName
from fedzmq.worker.worker import Worker
from tests.plans.listing import op, plan
from tests.processes import until
from tests.recording.recorded import MODULES
from tests.worker.hub import Meeting
from tests.worker.training.trained import TASK, data_of, state_of, trained

MADE = MODULES["mlp"]()
DATA = data_of(MADE)
PLAN = training_plan(MADE.module, MADE.loss, MADE.features, MADE.targets)
SIZE = sum(each.nbytes for each in state_of(MADE.module))


@pytest.fixture
def meeting() -> Iterator[Meeting]:
    with Meeting() as meeting:
        yield meeting


def ask(handle: WorkerHandle, body: bytes = PLAN, progress: Any = None, **changes: Any) -> Pending:
    task = {
        "dataset": DATA.name,
        "epochs": TASK.epochs,
        "batch_size": TASK.batch_size,
        "optimizer": TASK.optimizer,
        "options": TASK.options,
        "seed": TASK.seed,
        **changes,
    }
    return handle.train(body, export_all(state_of(MADE.module)), TrainingTask(**task), progress)


def answer(client: Client, pending: Pending) -> tuple[Reply, list[Buffer]]:
    assert client.wait_until(lambda: pending.done, 30)
    return pending.result()


def why(client: Client, pending: Pending) -> tuple[str, str]:
    reply, _ = answer(client, pending)
    assert isinstance(reply, Failed)
    return reply.failure.error, reply.failure.message


def pulled(client: Client, handle: WorkerHandle, task: int, start: int, stop: int) -> list[Tensor]:
    reply, buffers = answer(client, handle.pull(task, start, stop))
    assert isinstance(reply, Pulled)
    return restore_all(reply.parts, buffers)


def test_a_client_pulls_the_state_that_a_worker_trained(meeting: Meeting) -> None:
    meeting.worker("bob", [DATA])
    client = meeting.client()
    handle = client.worker("bob")
    training = ask(handle)
    reply, _ = answer(client, training)

    assert isinstance(reply, Trained)
    parts = pulled(client, handle, training.request, 0, SIZE)
    assert all(map(torch.equal, parts, [each.flatten() for each in trained(MADE).state]))


def test_a_state_comes_along_with_the_answer_where_the_task_asks_for_it(meeting: Meeting) -> None:
    meeting.worker("bob", [DATA])
    client = meeting.client()
    handle = client.worker("bob")
    again: dict[str, Any] = {"local": Local(run="run", round=3), "model": "hash", "ahead": SIZE}
    for _ in range(2):  # the second time it is found
        reply, buffers = answer(client, ask(handle, **again))

        assert isinstance(reply, Trained)
        parts = restore_all(reply.parts, buffers)
        assert all(map(torch.equal, parts, [each.flatten() for each in trained(MADE).state]))


@pytest.mark.parametrize("ahead", [SIZE + 4, 6, 1 << 62])
def test_what_is_no_piece_does_not_come_along(meeting: Meeting, ahead: int) -> None:
    meeting.worker("bob", [DATA])
    client = meeting.client()

    assert why(client, ask(client.worker("bob"), ahead=ahead))[0] == "UsageError"


def test_a_state_is_pulled_while_the_worker_trains_for_others(meeting: Meeting) -> None:
    meeting.running_worker("bob", [DATA])
    client, other = meeting.client("one"), meeting.client("other")
    handle = client.worker("bob")
    training = ask(handle)
    answer(client, training)
    begun: list[Progress] = []
    endless = ask(other.worker("bob"), progress=begun.append, epochs=1 << 40, report_every=0.0)
    try:
        assert other.wait_until(lambda: bool(begun), 30)
        parts = pulled(client, handle, training.request, 4, SIZE)
        is_done = endless.done
    finally:
        other.worker("bob").cancel(endless)
        other.wait_until(lambda: endless.done, 30)

    assert torch.equal(parts[0], trained(MADE).state[0].flatten()[1:])
    assert not is_done


def test_a_task_that_was_taken_back_has_no_result(meeting: Meeting) -> None:
    meeting.running_worker("bob", [DATA])
    client = meeting.client()
    handle = client.worker("bob")
    begun: list[Progress] = []
    endless = ask(handle, progress=begun.append, epochs=1 << 40, report_every=0.0)
    client.wait_until(lambda: bool(begun), 30)
    handle.cancel(endless)

    assert why(client, endless)[0] == "Cancelled"
    assert "is not here" in why(client, handle.pull(endless.request, 0, SIZE))[1]


def test_what_one_client_had_trained_is_not_pulled_by_another(meeting: Meeting) -> None:
    meeting.worker("bob", [DATA])
    client, other = meeting.client("one"), meeting.client("other")
    training = ask(client.worker("bob"))
    answer(client, training)

    error, message = why(other, other.worker("bob").pull(training.request, 0, SIZE))
    assert (error, message) == ("UsageError", "the result of task 1 is not here: there was none, or it was given up")


def test_a_run_that_is_over_has_no_result(meeting: Meeting) -> None:
    meeting.worker("bob", [DATA])
    client = meeting.client()
    handle = client.worker("bob")
    training = ask(handle, local=Local(run="run", round=1))
    answer(client, training)
    handle.release("run")

    assert client.wait_until(lambda: "is not here" in why(client, handle.pull(training.request, 0, SIZE))[1], 30)


def test_a_coordinator_that_comes_back_as_another_finds_the_result(meeting: Meeting) -> None:
    meeting.worker("bob", [DATA])
    same: dict[str, Any] = {"local": Local(run="run", round=3), "model": "hash"}
    with meeting.client("one") as client:
        first, _ = answer(client, ask(client.worker("bob"), **same))
    client = meeting.client("two")
    handle = client.worker("bob")
    again = ask(handle, **same)
    second, _ = answer(client, again)

    assert isinstance(first, Trained)
    assert isinstance(second, Trained)
    assert second.seconds == first.seconds  # which no two trainings take
    assert len(pulled(client, handle, again.request, 0, SIZE)) == len(state_of(MADE.module))


def test_what_comes_with_the_state_is_what_the_training_found(meeting: Meeting) -> None:
    meeting.worker("bob", [DATA])
    client = meeting.client()
    reply, _ = answer(client, ask(client.worker("bob")))
    expected = trained(MADE)

    assert isinstance(reply, Trained)
    assert (reply.examples, reply.loss, reply.metrics) == (18, expected.loss, expected.metrics)


def test_a_worker_describes_its_data_without_a_value_of_it(meeting: Meeting) -> None:
    meeting.worker("bob", [DATA])
    (info,) = meeting.client().worker("bob").data()

    assert (info.name, info.rows, info.shapes, info.dtypes, info.classes) == (
        "data",
        18,
        ((6,), ()),
        ("float32", "int64"),
        3,
    )


def test_a_plan_that_the_worker_made_room_for_is_asked_for_again(meeting: Meeting) -> None:
    meeting.worker("bob", [DATA])
    client = meeting.client()
    handle = client.worker("bob")
    answer(client, ask(handle))
    for number in range(MOST_PLANS):
        handle.stream.command(DefinePlan(plan(op("torch.add", 3, 0b1, 1, number)).to_bytes()), None)

    forgotten, _ = answer(client, ask(handle))
    assert isinstance(forgotten, PlanMissing)
    handle.forget_plan(PLAN)
    assert isinstance(answer(client, ask(handle))[0], Trained)


@pytest.mark.parametrize(
    ("body", "error", "reason"),
    [
        (plan(op("torch.neg", 3, 0b1, 1), catalog="0" * 64).to_bytes(), "PlanError", "list of operations differs"),
        (b"rubbish", "ProtocolError", "a plan is not msgpack"),
        (plan(op("torch.zeros", 3, 0, 2, device="cuda")).to_bytes(), "OperationRefused", "a device as text"),
    ],
)
def test_a_plan_that_cannot_run_there_fails_its_trainings_with_the_reason(
    meeting: Meeting, body: bytes, error: str, reason: str
) -> None:
    meeting.worker("bob", [DATA])
    client = meeting.client()
    handle = client.worker("bob")

    for _ in range(2):
        kind, message = why(client, ask(handle, body))
        assert kind == error
        assert reason in message


def test_an_operation_of_a_plan_makes_no_more_than_its_client_may_keep(meeting: Meeting) -> None:
    made = from_bytes(PLAN)
    free = 1 + max(record[1] for record in made.records if isinstance(record[1], int))
    large = replace(made, records=(*made.records, op("torch.zeros", free, 0, [1 << 19])))
    meeting.worker("bob", [DATA], quota=1 << 20)
    client = meeting.client()

    kind, message = why(client, ask(client.worker("bob"), large.to_bytes()))

    assert kind == "LimitExceeded"
    assert "the bytes of the result of torch.zeros is 2097152, and the limit is 1048576" in message


@pytest.mark.parametrize(
    ("changes", "error", "reason"),
    [
        ({"dataset": "wine"}, "DataError", "cannot use the data 'wine': this worker has data; start it with --data"),
        ({"optimizer": "adm"}, "UsageError", "did you mean 'adam'?"),
        ({"options": {"lr": float("1e30")}, "epochs": 0, "optimizer": "zeus"}, "UsageError", "no optimizer 'zeus'"),
    ],
)
def test_a_task_that_makes_no_sense_fails_with_a_sentence(
    meeting: Meeting, changes: dict[str, Any], error: str, reason: str
) -> None:
    meeting.worker("bob", [DATA])
    client = meeting.client()
    kind, message = why(client, ask(client.worker("bob"), **changes))

    assert kind == error
    assert reason in message


def test_progress_reaches_the_client_before_the_answer(meeting: Meeting) -> None:
    meeting.worker("bob", [DATA])
    client = meeting.client()
    heard: list[Progress] = []
    answer(client, ask(client.worker("bob"), progress=heard.append, report_every=0.0))

    assert [(each.epoch, each.step, each.steps) for each in heard] == [(e, s, 5) for e in (0, 1) for s in range(1, 6)]


def test_a_training_that_runs_is_cancelled_past_the_commands_that_wait(meeting: Meeting) -> None:
    said: list[str] = []
    meeting.running_worker("bob", [DATA], said.append)
    client = meeting.client()
    handle = client.worker("bob")
    heard: list[Progress] = []
    pending = ask(handle, progress=heard.append, epochs=1 << 40, report_every=0.0)
    assert client.wait_until(lambda: bool(heard), 30)

    handle.cancel(pending)

    assert why(client, pending) == ("Cancelled", "the client took it back, or is gone")
    assert said == ["client is served"]  # it is no failure that the operator has to know of


def test_a_training_that_waits_for_anothers_is_cancelled_before_it_begins(meeting: Meeting) -> None:
    meeting.running_worker("bob", [DATA])
    one, other = meeting.client("one"), meeting.client("other")
    running, waiting = one.worker("bob"), other.worker("bob")
    heard: list[Progress] = []
    first = ask(running, progress=heard.append, epochs=1 << 40, report_every=0.0)
    assert one.wait_until(lambda: bool(heard), 30)

    second = ask(waiting, epochs=1 << 40)
    waiting.cancel(second)
    assert other.wait_until(other.endpoint.idle, 30)
    running.cancel(first)

    assert why(other, second)[0] == "Cancelled"


def test_a_training_after_a_cancelled_one_runs(meeting: Meeting) -> None:
    meeting.running_worker("bob", [DATA])
    client = meeting.client()
    handle = client.worker("bob")
    pending = ask(handle, epochs=1 << 40)
    handle.cancel(pending)
    answer(client, pending)

    assert isinstance(answer(client, ask(handle))[0], Trained)


def test_the_training_of_a_client_that_leaves_stops(meeting: Meeting) -> None:
    meeting.running_worker("bob", [DATA])
    leaving, staying = meeting.client("leaving"), meeting.client("staying")
    heard: list[Progress] = []
    ask(leaving.worker("bob"), progress=heard.append, epochs=1 << 40, report_every=0.0)
    assert leaving.wait_until(lambda: bool(heard), 30)

    leaving.close()

    assert isinstance(answer(staying, ask(staying.worker("bob")))[0], Trained)


def test_ctrl_c_ends_the_plan_that_is_waited_for_and_all_else_goes_on(meeting: Meeting) -> None:
    worker = meeting.running_worker("bob")
    client = meeting.client()
    bob = client.worker("bob")
    kept = torch.ones(2).send(bob)  # type: ignore[attr-defined]  # a verb
    long = fedzmq.plan(torch.ones(2))(endless).send(bob)

    def ctrl_c(condition: Callable[[], bool], timeout: float) -> bool:
        until(lambda: worker._endpoint.presence.busy != "", lambda: "the worker did not begin")
        raise KeyboardInterrupt

    result = long(kept)
    bob.line._wait_until = ctrl_c
    with pytest.raises(KeyboardInterrupt):
        result.get()
    bob.line._wait_until = client.wait_until

    assert (kept + 1).get().tolist() == [2, 2]
    with pytest.raises(RemoteError, match="Cancelled: the client took it back"):
        (result + 1).get()


def endless(x: Tensor) -> Tensor:
    """Half a minute."""
    for _ in range(400):
        x = x.expand(500_000, 2).cumsum(0).mean(0).sigmoid()
    return x


def test_a_client_cannot_name_the_tensors_of_another(meeting: Meeting) -> None:
    meeting.worker("bob")
    one, other = (meeting.client(name).worker("bob").stream for name in ("one", "other"))
    kept = one.put(torch.ones(2))
    assert torch.equal(one.fetch([kept])[0], torch.ones(2))

    with pytest.raises(RemoteError, match="no tensor number 1 is stored here"):
        other.fetch([kept])


def test_the_same_number_is_another_tensor_for_another_client(meeting: Meeting) -> None:
    meeting.worker("bob")
    one, other = (meeting.client(name).worker("bob").stream for name in ("one", "other"))
    ones, twos = one.put(torch.ones(2)), other.put(torch.full((2,), 2.0))
    assert ones == twos

    assert torch.equal(one.fetch([ones])[0], torch.ones(2))
    assert torch.equal(other.fetch([twos])[0], torch.full((2,), 2.0))


def test_what_a_client_kept_is_released_when_it_leaves(meeting: Meeting) -> None:
    said: list[str] = []
    worker = meeting.worker("bob", say=said.append)
    client = meeting.client("carol")
    stream = client.worker("bob").stream
    kept = stream.put(torch.ones(2))
    stream.fetch([kept])

    client.close()
    worker.step(0.0)

    assert said == ["carol is served", "carol is gone: it left; what it kept here is released"]
    assert not worker._guests


@pytest.mark.parametrize("error", [MemoryError, RecursionError, ValueError])
def test_a_client_whose_commands_meet_a_fault_loses_its_session_and_no_other(
    meeting: Meeting, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    said: list[str] = []
    worker = meeting.worker("bob", say=said.append)
    bad, good = meeting.client("bad"), meeting.client("good")
    broken, kept = bad.worker("bob").stream, good.worker("bob").stream
    one, other = broken.put(torch.ones(2)), kept.put(torch.ones(2))
    broken.fetch([one])
    (guest,) = [guest for peer, guest in worker._guests.items() if peer.name == "bad"]

    def run(records: object, buffers: object) -> NoReturn:
        raise error

    monkeypatch.setattr(guest, "run", run)
    with pytest.raises(WorkerLost):
        broken.fetch([one])
    assert any("bad is gone: its commands met a fault here" in line for line in said)
    assert torch.equal(kept.fetch([other])[0], torch.ones(2))


class UsedUp(Allowance):
    """As a test says it is."""

    def __init__(self) -> None:
        self.says = False

    def is_used_up(self) -> bool:
        return self.says

    def extend(self) -> None: ...


def test_who_keeps_most_is_let_go_whoever_speaks_when_memory_is_used_up(meeting: Meeting) -> None:
    said: list[str] = []
    allowance = UsedUp()
    meeting.worker("bob", allowance=allowance, say=said.append)
    greedy, modest = (meeting.client(name).worker("bob").stream for name in ("greedy", "modest"))
    large = greedy.put(torch.ones(1 << 20))
    greedy.fetch([large])
    small = modest.put(torch.ones(1 << 10))
    allowance.says = True

    modest.fetch([small])

    assert [line.split(":")[0] for line in said if "gone" in line] == ["greedy is gone"]


def test_who_keeps_most_by_what_its_runs_left_here_is_let_go_with_that(meeting: Meeting) -> None:
    said: list[str] = []
    allowance = UsedUp()
    worker = meeting.worker("bob", allowance=allowance, say=said.append)
    greedy, modest = (meeting.client(name).worker("bob").stream for name in ("greedy", "modest"))
    greedy.fetch([greedy.put(torch.ones(1 << 10))])
    memory = worker._commons.memory
    memory.keep(RunName("run", "plan", "data"), 1, Kept(model={"w": torch.ones(1 << 21)}), "greedy")
    small = modest.put(torch.ones(1 << 10))
    allowance.says = True

    modest.fetch([small])

    assert [line.split(":")[0] for line in said if "gone" in line] == ["greedy is gone"]
    assert not memory.held()


def test_nobody_is_let_go_for_memory_that_nobody_keeps(meeting: Meeting) -> None:
    said: list[str] = []
    allowance = UsedUp()
    allowance.says = True
    meeting.worker("bob", allowance=allowance, say=said.append)
    bad, good = meeting.client("bad"), meeting.client("good")
    kept = good.worker("bob").stream
    one = kept.put(torch.ones(2))
    bad.endpoint.post(bad.worker("bob").line.peer, [b"rubbish", bytes(1 << 22)])

    assert torch.equal(kept.fetch([one])[0], torch.ones(2))
    assert not [line for line in said if "took most of the memory" in line]


def test_nobody_is_let_go_for_what_others_posted_for_it(meeting: Meeting) -> None:
    allowance = UsedUp()
    worker = meeting.worker("bob", allowance=allowance)
    good, bad = meeting.client("good"), meeting.client("bad")
    kept = good.worker("bob").stream
    one = kept.put(torch.ones(2))
    kept.fetch([one])
    deliver = encode([Deliver("key", "good", TensorSpec("uint8", (1 << 22,), 0))])
    bad.endpoint.post(bad.worker("bob").line.peer, [deliver, bytes(1 << 22)])
    assert bad.wait_until(lambda: worker._commons.exchange.most > 1 << 22, 30)
    allowance.says = True

    assert torch.equal(kept.fetch([one])[0], torch.ones(2))
    assert worker._commons.exchange.most < 1 << 20


def test_a_message_that_claims_far_more_than_may_be_kept_ends_its_session(meeting: Meeting) -> None:
    said: list[str] = []
    meeting.worker("bob", quota=1 << 20, say=said.append)
    bad, good = meeting.client("bad"), meeting.client("good")
    kept = good.worker("bob").stream
    one = kept.put(torch.ones(2))
    line = bad.worker("bob").line
    assert bad.worker("bob").data() == ()

    bad.endpoint.post(line.peer, [b"", bytes(1 << 22)])
    assert bad.wait_until(lambda: any("bad is gone" in text for text in said), 30)
    assert any("the size of a message in bytes" in text for text in said)
    assert torch.equal(kept.fetch([one])[0], torch.ones(2))


@pytest.mark.parametrize("frames", [[b"rubbish"], [b""], [b"\x93\x01\x02\x03", b"\0" * 8]])
def test_a_client_that_sends_rubbish_loses_its_session_and_no_other(meeting: Meeting, frames: list[bytes]) -> None:
    said: list[str] = []
    meeting.worker("bob", say=said.append)
    bad, good = meeting.client("bad"), meeting.client("good")
    broken, kept = bad.worker("bob"), good.worker("bob").stream
    one = kept.put(torch.ones(2))

    bad.endpoint.post(broken.line.peer, frames)
    assert bad.wait_until(lambda: any("bad is gone: it sent what no fedzmq sends" in line for line in said), 30)

    assert torch.equal(kept.fetch([one])[0], torch.ones(2))


def test_what_a_party_that_was_let_go_posted_for_others_goes_too(meeting: Meeting) -> None:
    worker = meeting.worker("bob")
    good, bad = meeting.client("good"), meeting.client("bad")
    kept = good.worker("bob").stream
    kept.fetch([kept.put(torch.ones(2))])
    broken = bad.worker("bob")
    bad.endpoint.post(broken.line.peer, [encode([Deliver("key", "good", TensorSpec("uint8", (4,), 0))]), bytes(4)])
    assert bad.wait_until(lambda: len(worker._commons.exchange) == 1, 30)

    bad.endpoint.post(broken.line.peer, [b"rubbish"])
    assert bad.wait_until(lambda: len(worker._commons.exchange) == 0, 30)


def test_a_client_whose_session_was_ended_can_begin_another(meeting: Meeting) -> None:
    said: list[str] = []
    meeting.worker("bob", say=said.append)
    client = meeting.client("carol")
    handle = client.worker("bob")
    client.endpoint.post(handle.line.peer, [b"rubbish"])
    assert client.wait_until(lambda: len(said) > 1, 30)
    with suppress(WorkerLost):  # it may know that already, by what it had sent before
        client.endpoint.post(handle.line.peer, [b"rubbish"])
    assert client.wait_until(lambda: handle.is_lost, 30)

    assert client.worker("bob").data() == ()


def test_rubbish_on_the_control_lane_changes_nothing(meeting: Meeting) -> None:
    meeting.worker("bob", [DATA])
    client = meeting.client()
    handle = client.worker("bob")
    client.endpoint.post(handle.line.peer, [b"rubbish"], lane=Lane.CONTROL)
    client.endpoint.post(handle.line.peer, [b""], lane=Lane.CONTROL)

    assert isinstance(answer(client, ask(handle))[0], Trained)


class Full:
    """A folder on a full disk, and what the worker said it did when it wrote there."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self.busy: list[str] = []

    def write(self, name: RunName, round: int, kept: Kept) -> None:
        self.busy.append(self._worker._endpoint.presence.busy)
        raise OSError(28, "No space left on device", "/kept/bob")

    def read(self, name: RunName, round: int) -> None:
        return None

    def forget(self, name: RunName, but: int | None = None) -> None:
        pass


def test_the_operator_is_told_how_far_a_training_is_and_why_it_failed(meeting: Meeting) -> None:
    said: list[str] = []
    worker = meeting.worker("bob", [DATA], say=said.append)
    full = Full(worker)
    worker.keep_in(full)
    client = meeting.client("anna")
    names = tuple(name for name, _ in MADE.module.named_parameters())
    pending = ask(client.worker("bob"), local=Local(run="r", personal=names[:1]), report_every=0.0)

    assert why(client, pending)[0] == "OSError"
    assert full.busy == ["epoch 2, step 5 of 5 for anna"]
    assert said[-1] == "training for anna failed: OSError: [Errno 28] No space left on device: '/kept/bob'"


def test_a_worker_says_that_its_broker_went_away_and_is_back() -> None:
    said: list[str] = []
    with Broker("tcp://127.0.0.1:0").start() as broker:
        address = broker.address
        worker = Worker(ZeroMQConnection(address, "bob"), silence=1.0, say=said.append)
        worker.start()
        until(lambda: worker._is_away is False, lambda: "it does not find the broker")
    with worker:
        until(lambda: bool(said), lambda: "it does not miss the broker")
        with Broker(address).start():
            until(lambda: len(said) > 1, lambda: f"it does not find the broker again: {said}")

    assert said == [f"{address} {AWAY}", f"{address} {BACK}"]


def test_a_worker_that_is_told_to_stop_returns(meeting: Meeting) -> None:
    worker = meeting.worker("bob")
    worker.stop()

    worker.run()


def test_a_worker_may_be_closed_twice(meeting: Meeting) -> None:
    worker = meeting.worker("bob")

    worker.close()
    worker.close()
