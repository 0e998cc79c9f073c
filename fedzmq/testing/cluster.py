"""A broker and workers on this machine, each a process of its own, for as long as a `with` lasts.

Whatever happens to this process, the others end: each of them watches the pipe that this one holds.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from fedzmq.errors import ClusterError
from fedzmq.session.roster import SILENCE

if TYPE_CHECKING:
    from fedzmq.client.client import Client

START = 60.0  # seconds that a process has to start: torch is slow to import on a busy machine
STOP = 3.0  # seconds that it has to end by itself
_IPC_MOST = 90  # characters of a path that every system's sockets take


class LocalCluster:
    """`with LocalCluster(workers=["bob", "alice"]) as cluster, cluster.connect() as client: ...`

    With `data`, which is what `fedzmq worker --data` takes, the workers split it between them by label skew: `alpha`,
    and `split_seed` for who gets what. `listen` is the broker's address, port 0 for any; the default is a socket in a
    folder that only this user can enter. `threads` is what torch may use in each worker.
    """

    def __init__(
        self,
        workers: Sequence[str] = ("bob", "alice"),
        *,
        data: str | None = None,
        alpha: float = 1.0,
        split_seed: int = 0,
        listen: str | None = None,
        silence: float = SILENCE,
        threads: int = 1,
    ) -> None:
        self.workers = tuple(workers)
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._listen = listen
        self._silence = silence
        self._threads = threads
        self._data: list[list[str]] = [
            []
            if data is None
            else ["--data", data, "--part", f"{number}/{len(self.workers)}", "--alpha", str(alpha)]
            + ["--split-seed", str(split_seed)]
            for number in range(1, len(self.workers) + 1)
        ]
        self._address: str | None = None
        self._folder: Path | None = None

    @property
    def address(self) -> str:
        """Where the broker listens. Raises ClusterError before the start."""
        if self._address is None:
            raise ClusterError("the cluster has not been started: use it in a `with`")
        return self._address

    def start(self) -> LocalCluster:
        """Start the processes without waiting for the workers; `connect` does that. Twice is fine."""
        if self._folder is not None:
            return self
        self._folder = Path(tempfile.mkdtemp(prefix="fedzmq-"))
        try:
            self._start_broker()
            for name, data in zip(self.workers, self._data, strict=True):
                self._start_worker(name, data)
        except BaseException:
            self.close()
            raise
        return self

    def connect(self, *, timeout: float = START, **options: float) -> Client:
        """A client, once every worker is here. Raises ClusterError with a dead process's last words."""
        from fedzmq.client.client import connect  # torch, which a cluster does without until here

        client = connect(self.address, silence=self._silence, timeout=timeout)
        try:
            self.wait(client, timeout)
        except BaseException:
            client.close()
            raise
        return client

    def wait(self, client: Client, timeout: float = START) -> None:
        """Wait until every worker is on the client's roster. Raises ClusterError."""
        deadline = time.monotonic() + timeout

        def missing() -> list[str]:
            here = {worker.name for worker in client.workers()}
            return [name for name in self.workers if name not in here]

        while names := missing():
            for name in names:
                self.check(name)
            if time.monotonic() > deadline:
                raise ClusterError(f"the workers {', '.join(names)} did not start within {timeout:g} s")
            client.endpoint.presence.ask()
            client.wait_until(lambda: not missing(), 0.2)

    def check(self, name: str) -> None:
        """Raises ClusterError where that process has ended, with the last that it said."""
        process = self.processes[name]
        if process.poll() is not None:
            raise ClusterError(f"{name} ended with exit code {process.returncode}: {self.last_words(name)}")

    def last_words(self, name: str) -> str:
        """The end of what a process wrote."""
        assert self._folder is not None
        text = (self._folder / f"{name}.log").read_text(errors="replace").strip()
        return "\n".join(text.splitlines()[-5:]) or "it said nothing"

    def restart_broker(self) -> None:
        """Start the broker again, at the same address, after it died."""
        self.processes.pop("broker").wait()
        self._listen = self.address
        self._start_broker()

    def start_worker(self, name: str) -> None:
        """Start a worker again after it died."""
        self.processes.pop(name).wait()
        self._start_worker(name, self._data[self.workers.index(name)])

    def close(self) -> None:
        """End all processes and remove what they wrote. Twice is fine."""
        processes = list(self.processes.values())[::-1]
        for process in processes:
            process.terminate()
        deadline = time.monotonic() + STOP
        for process in processes:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdin is not None:
                process.stdin.close()
        self.processes = {}
        self._address = None
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def __enter__(self) -> LocalCluster:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _start_broker(self) -> None:
        assert self._folder is not None
        listen = self._listen or _private(self._folder)
        self._run("broker", ["broker", "--listen", listen, "--silence", str(self._silence)])
        self._address = listen if listen.startswith("ipc://") else self._bound()

    def _start_worker(self, name: str, data: Sequence[str]) -> None:
        options = ["--id", name, "--broker", self.address, "--silence", str(self._silence), "--wait", str(START)]
        self._run(name, ["worker", *options, "--threads", str(self._threads), *data])

    def _run(self, name: str, arguments: Sequence[str]) -> None:
        assert self._folder is not None
        with open(self._folder / f"{name}.log", "ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", "fedzmq", *arguments, "--while-stdin"],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the process that owns the cluster, which then ends the others
            )

    def _bound(self) -> str:
        """The address that the broker says it listens at."""
        assert self._folder is not None
        deadline = time.monotonic() + START
        while time.monotonic() < deadline:
            for line in (self._folder / "broker.log").read_text(errors="replace").splitlines()[::-1]:
                if line.startswith("listening at "):
                    return line.removeprefix("listening at ").split()[0]
            self.check("broker")
            time.sleep(0.01)
        raise ClusterError(f"the broker did not start within {START:g} s: {self.last_words('broker')}")


def _private(folder: Path) -> str:
    path = folder / "broker"
    if os.name == "posix" and len(str(path)) <= _IPC_MOST:
        return f"ipc://{path}"
    return "tcp://127.0.0.1:0"


