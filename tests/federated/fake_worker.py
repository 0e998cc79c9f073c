"""A party that says it is a worker with data, and answers a training with whatever a test wants."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch

from fedzmq.errors import UsageError
from fedzmq.session.endpoint import Arrival, Endpoint
from fedzmq.session.roster import Departure, Roster
from fedzmq.session.session import Peer
from fedzmq.tensors.buffers import export_all, restore_all
from fedzmq.tensors.row import Row, cut
from fedzmq.transports.memory import MemoryConnection
from fedzmq.wire.codec import decode, encode
from fedzmq.wire.messages import Cancel, DataDescribed, DatasetInfo, DescribeData, Pull, Pulled, Reply, Train, Trained

INFO = DatasetInfo("data", 18, ((6,), ()), ("float32", "int64"), 3)


class FakeWorker:
    """`trains` is called with each Train and the tensors of its state, and answers by `answer` or in no way at all.

    `pulls` is called with each Pull and the state that `answer_state` was given for its task.
    """

    def __init__(
        self,
        address: str,
        name: str,
        trains: Callable[[FakeWorker, Train, list[torch.Tensor]], None],
        pulls: Callable[[FakeWorker, Pull, list[torch.Tensor]], None] | None = None,
    ) -> None:
        self.trainings: list[Train] = []
        self.pulled: list[Pull] = []
        self._asked: list[Pull] = []
        self._states: dict[int, list[torch.Tensor]] = {}
        self._pulls = pulls or answer_pull
        self.cancelled: list[int] = []
        self._trains = trains
        connection = MemoryConnection(address, name)
        self.endpoint = Endpoint(connection, is_worker=True, roster=Roster(math.inf))
        self.endpoint.urgent = self._urgent
        connection.serve(self._step)
        self._peer: Peer | None = None
        self._step()

    def answer(self, reply: Reply, tensors: Sequence[Any] = ()) -> None:
        assert self._peer is not None
        self.endpoint.post(self._peer, [encode([reply]), *tensors])

    def answer_state(self, task: Train, state: Sequence[torch.Tensor], examples: int = 18) -> None:
        self._states[task.request] = list(state)
        self.answer(Trained(task.request, examples, 0.5, 0.1, {}))

    def answer_parts(self, pull: Pull, parts: Sequence[torch.Tensor]) -> None:
        specs, buffers = export_all(parts)
        self.answer(Pulled(pull.request, specs), buffers)

    def leave(self) -> None:
        self._asked.clear()
        self.endpoint.close()

    def give_up(self) -> None:
        """Take the coordinator for gone, as after its silence."""
        assert self._peer is not None
        self.endpoint._lifecycle.lose(Departure(self._peer.name, self._peer.boot, "nothing was heard of it"))

    def _step(self) -> None:
        self.endpoint.pump(0.0)
        while (arrival := self.endpoint.take()) is not None:
            self._peer = arrival.peer
            for message in decode(arrival.frames[0], arrival.frames[1:]):
                if isinstance(message, DescribeData):
                    self.answer(DataDescribed(message.request, (INFO,)))
                elif isinstance(message, Train):
                    self.trainings.append(message)
                    self._trains(self, message, restore_all(message.state, arrival.frames[1:]))
                else:
                    self._other(message)
        while self._asked:
            pull = self._asked.pop(0)
            self.pulled.append(pull)
            self._pulls(self, pull, self._states[pull.task])

    def _other(self, message: object) -> None:
        """Nothing is answered."""

    def _urgent(self, arrival: Arrival) -> None:
        self._peer = arrival.peer
        for message in decode(arrival.frames[0]):
            if isinstance(message, Cancel):
                self.cancelled.append(message.request)
            elif isinstance(message, Pull):
                self._asked.append(message)


def answer_pull(worker: FakeWorker, pull: Pull, state: list[torch.Tensor]) -> None:
    """As a worker does; a state of another length is sent whole."""
    state = [each.contiguous() for each in state]
    try:
        parts = cut(state, Row.of(state).spans(pull.start, pull.stop))
    except UsageError:
        parts = [each.flatten() for each in state]
    worker.answer_parts(pull, parts)
