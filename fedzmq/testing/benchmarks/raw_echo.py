"""The peer that is only messages, as a program: pyzmq over tcp, through a ROUTER in plain Python, to an echo and back.

Nothing that goes through a broker written in Python can be faster by much.
"""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any, cast

import zmq

from fedzmq.testing.benchmarks.peer import answer, lead

_ANY = "tcp://127.0.0.1:*"
_ECHO = b"echo"


def _route() -> None:
    """Between two ROUTERs, whose addresses it says first."""
    context = zmq.Context()
    sides = [context.socket(zmq.ROUTER) for _ in range(2)]
    for side in sides:
        side.set_hwm(0)
        side.bind(_ANY)
        print(cast(bytes, side.getsockopt(zmq.LAST_ENDPOINT)).rstrip(b"\0").decode(), flush=True)
    front, back = sides
    poller = zmq.Poller()
    for watched in (*sides, sys.stdin.fileno()):
        poller.register(watched, zmq.POLLIN)
    while True:
        for ready, _ in poller.poll():
            if ready not in sides:
                return
            _pass_on(ready, front, back)


def _pass_on(ready: Any, front: Any, back: Any) -> None:
    for _ in range(100):
        try:
            frames = ready.recv_multipart(zmq.NOBLOCK, copy=False)
        except zmq.Again:
            return
        if ready is front:
            back.send_multipart([_ECHO, *frames], copy=False)
        else:
            front.send_multipart(frames[1:], copy=False)


def _echo(address: str) -> None:
    socket = zmq.Context().socket(zmq.DEALER)
    socket.set_hwm(0)
    socket.identity = _ECHO
    socket.connect(address)
    poller = zmq.Poller()
    poller.register(socket, zmq.POLLIN)
    poller.register(sys.stdin.fileno(), zmq.POLLIN)
    while all(ready is not sys.stdin.fileno() for ready, _ in poller.poll()):
        frames = socket.recv_multipart(copy=False)
        socket.send_multipart([frames[0], b"y"])


def _ask() -> None:
    lead()
    with _start("route") as router:
        assert router.stdout is not None
        front, back = (router.stdout.readline().strip() for _ in range(2))
        with _start("echo", back):
            socket = zmq.Context().socket(zmq.DEALER)
            socket.connect(front)

            def round_trips(count: int) -> float:
                start = time.perf_counter()
                for _ in range(count):
                    socket.send(b"x")
                    socket.recv()
                return (time.perf_counter() - start) / count

            while True:  # the router drops what is for an echo that has not come yet
                socket.send(b"x")
                if socket.poll(100):
                    break
            while socket.poll(200):
                socket.recv()
            answer({"round_trips": round_trips})
            socket.close(0)


def _start(*arguments: str) -> subprocess.Popen[str]:
    """Another process of this program, which ends when its standard input does."""
    return subprocess.Popen(
        [sys.executable, "-m", "fedzmq.testing.benchmarks.raw_echo", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["route"]:
        _route()
    elif sys.argv[1:2] == ["echo"]:
        _echo(sys.argv[2])
    else:
        _ask()
