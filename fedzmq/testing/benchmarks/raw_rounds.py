"""The floor of a round, as a program: pyzmq over tcp, through a ROUTER in plain Python, which moves a round's bytes.

A coordinator sends every worker the model, and every worker sends as many bytes back. Nothing is trained, checked,
kept, added up or answered for.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable

import zmq

from fedzmq.testing.benchmarks.peer import answer, lead

_COORDINATOR = b"coordinator"


def main() -> None:
    lead()
    crews: dict[int, _Crew] = {}

    def rounds(workers: float, size: float, count: float) -> float:
        crew = crews.get(int(workers)) or crews.setdefault(int(workers), _Crew(int(workers)))
        return crew.rounds(int(size), int(count))

    try:
        answer({"rounds": rounds})
    finally:
        for crew in crews.values():
            crew.close()


class _Crew:
    """A router and so many workers, each in a process of its own."""

    def __init__(self, workers: int) -> None:
        self._names = [b"worker-%d" % number for number in range(workers)]
        self._children: list[int] = []
        self._alive = os.pipe()  # it ends with this process, and with it the others do
        read, write = os.pipe()
        self._fork(lambda: _route(write, self._alive[0]))
        address = os.read(read, 1000)
        os.close(read)
        os.close(write)
        for name in self._names:
            self._fork(lambda name=name: _serve(address, name, self._alive[0]))  # type: ignore[misc]
        self._context = zmq.Context()
        self._socket = _dealer(self._context, address, _COORDINATOR)
        waiting = set(self._names)
        while waiting:
            waiting.discard(self._socket.recv_multipart()[0])

    def rounds(self, size: int, count: int) -> float:
        """The median of so many, in seconds."""
        model, took = bytes(size), []
        for _ in range(count):
            began = time.perf_counter()
            for name in self._names:
                self._socket.send_multipart([name, model], copy=False)
            waiting = set(self._names)
            while waiting:
                who, answered = self._socket.recv_multipart(copy=False)
                if len(answered) == size:
                    waiting.discard(who.bytes)
            took.append(time.perf_counter() - began)
        return statistics.median(took)

    def close(self) -> None:
        self._context.destroy(linger=0)
        for end in self._alive:
            os.close(end)
        for child in self._children:
            os.waitpid(child, 0)

    def _fork(self, run: Callable[[], None]) -> None:
        child = os.fork()
        if child:
            self._children.append(child)
            return
        try:
            os.close(self._alive[1])
            run()
        finally:
            os._exit(0)


def _dealer(context: zmq.Context[zmq.Socket[bytes]], address: bytes, name: bytes) -> zmq.Socket[bytes]:
    socket = context.socket(zmq.DEALER)
    socket.set_hwm(0)
    socket.identity = name
    socket.connect(address.decode())
    return socket


def _serve(address: bytes, name: bytes, alive: int) -> None:
    socket = _dealer(zmq.Context(), address, name)
    poller = _watched(socket, alive)
    is_known = False
    while (ready := dict(poller.poll(None if is_known else 100))) or not is_known:
        if alive in ready:
            return
        if not ready:  # whatever is for a coordinator that has not come yet is dropped on the way
            socket.send_multipart([_COORDINATOR, b"here"])
            continue
        is_known = True
        _, model = socket.recv_multipart(copy=False)
        socket.send_multipart([_COORDINATOR, bytes(len(model))], copy=False)


def _watched(socket: zmq.Socket[bytes], alive: int) -> zmq.Poller:
    poller = zmq.Poller()
    poller.register(socket, zmq.POLLIN)
    poller.register(alive, zmq.POLLIN)
    return poller


def _route(told: int, alive: int) -> None:
    """Pass on what begins with a name to whoever has it, and say from whom it is."""
    router = zmq.Context().socket(zmq.ROUTER)
    router.set_hwm(0)
    router.bind("tcp://127.0.0.1:*")
    os.write(told, router.getsockopt(zmq.LAST_ENDPOINT).rstrip(b"\0"))  # type: ignore[union-attr]
    poller = _watched(router, alive)
    while alive not in dict(poller.poll()):
        sender, to, content = router.recv_multipart(copy=False)
        router.send_multipart([to, sender, content], copy=False)


if __name__ == "__main__":
    main()
