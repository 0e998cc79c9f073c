from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from fedzmq.testing.benchmarks.sockets import sent

pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="only Linux tells")


def test_what_goes_out_over_tcp_is_counted_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as one:
        other, _ = server.accept()
        with other:
            before = sent()
            one.sendall(bytes(10_000))
            received = 0
            while received < 10_000:
                received += len(other.recv(65_536))
            after = sent()
    assert before is not None
    assert after is not None
    assert after - before == 10_000


def test_counting_leaves_nothing_open() -> None:
    read, write = os.pipe()
    before = len(os.listdir("/proc/self/fd"))
    sent()
    assert len(os.listdir("/proc/self/fd")) == before
    os.close(write)
    assert os.read(read, 1) == b""  # which would wait while a copy of the other end is open
    os.close(read)
