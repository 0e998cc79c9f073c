"""The peer torch.distributed.rpc, as a program: two processes over TensorPipe, one asks and one computes."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from contextlib import closing
from typing import Any

import torch
from torch.distributed import rpc

from fedzmq.files.temporary_folder import TemporaryFolder
from fedzmq.testing.benchmarks.peer import answer, lead

SERVER, CLIENT = "server", "client"
_TIMEOUT = 60.0


def operations(count: int) -> float:
    """Seconds for one small addition, pipelined."""
    a = torch.randn(10)
    start = time.perf_counter()
    futures = [rpc.remote(SERVER, torch.add, args=(a, a)) for _ in range(count)]
    for future in futures:
        future.confirmed_by_owner()
    futures[-1].to_here()
    return (time.perf_counter() - start) / count


def round_trips(count: int) -> float:
    """Seconds for one small addition that is waited for."""
    a = torch.randn(10)
    start = time.perf_counter()
    for _ in range(count):
        rpc.rpc_sync(SERVER, torch.add, args=(a, a))
    return (time.perf_counter() - start) / count


def transfers(mebibytes: int, count: int) -> float:
    """Seconds for a tensor's way there and back."""
    tensor = torch.ones(mebibytes << 18)
    start = time.perf_counter()
    for _ in range(count):
        rpc.rpc_sync(SERVER, torch.clone, args=(tensor,))
    return (time.perf_counter() - start) / count


def _join(name: str, meeting: str) -> None:
    torch.set_num_threads(1)
    options = rpc.TensorPipeRpcBackendOptions(init_method=f"file://{meeting}", rpc_timeout=_TIMEOUT)
    join: Any = rpc.init_rpc  # torch says nothing of its types
    join(name, rank=[SERVER, CLIENT].index(name), world_size=2, rpc_backend_options=options)


def _serve(meeting: str) -> None:
    def watch() -> None:
        sys.stdin.read()
        os._exit(0)  # whoever asked is gone, however it died

    threading.Thread(target=watch, daemon=True).start()
    _join(SERVER, meeting)
    rpc.shutdown()


def _ask() -> None:
    lead()
    if not rpc.is_available():
        sys.exit("this torch was built without it")
    with closing(TemporaryFolder("fedzmq-")) as folder:
        meeting = str(folder.path / "meeting")
        serve = [sys.executable, "-W", "ignore", "-m", "fedzmq.testing.benchmarks.torch_rpc", meeting]
        with subprocess.Popen(serve, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL):
            _join(CLIENT, meeting)
            answer({"operations": operations, "round_trips": round_trips, "transfers": transfers})
            rpc.shutdown()


if __name__ == "__main__":
    _serve(sys.argv[1]) if len(sys.argv) > 1 else _ask()
