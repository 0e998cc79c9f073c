"""A party that says it is a worker with data, and answers a training with whatever a test wants."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch

from fedzmq.session.endpoint import Arrival, Endpoint
from fedzmq.session.roster import Roster
from fedzmq.session.session import Peer
from fedzmq.tensors.buffers import export_all, restore_all
from fedzmq.transports.memory import MemoryConnection
from fedzmq.wire.codec import decode, encode
from fedzmq.wire.messages import Cancel, DataDescribed, DatasetInfo, DescribeData, Reply, Train, Trained

INFO = DatasetInfo("data", 18, ((6,), ()), ("float32", "int64"), 3)


class FakeWorker:
    """`trains` is called with each Train and the tensors of its state, and answers by `answer` or in no way at all."""

    def __init__(
        self, address: str, name: str, trains: Callable[[FakeWorker, Train, list[torch.Tensor]], None]
    ) -> None:
        self.trainings: list[Train] = []
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
        specs, buffers = export_all(state)
        self.answer(Trained(task.request, specs, examples, 0.5, 0.1, {}), buffers)

    def leave(self) -> None:
        self.endpoint.close()

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

    def _urgent(self, arrival: Arrival) -> None:
        self.cancelled += [each.request for each in decode(arrival.frames[0]) if isinstance(each, Cancel)]
