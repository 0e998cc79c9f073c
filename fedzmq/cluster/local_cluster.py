"""A broker and workers on this machine, each a process of its own, for as long as a `with` lasts.

Whatever happens to this process, the others end: each of them watches the pipe that this one holds. What they wrote is
removed by the next cluster then.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING
from weakref import WeakSet

from fedzmq.cluster.memory import check_room, free_bytes
from fedzmq.cluster.names import worker_names
from fedzmq.data.split import Split
from fedzmq.errors import ClusterError, UsageError
from fedzmq.files.temporary_folder import TemporaryFolder
from fedzmq.session.roster import SILENCE
from fedzmq.transports.names import check_name

if TYPE_CHECKING:
    from fedzmq.client.client import Client

START = 60.0  # seconds that a process has to start: torch is slow to import on a busy machine
STOP = 3.0  # seconds that it has to end by itself
BROKER = "broker"  # its name among the processes, which no worker can have
_KEPT = "kept"  # what is for workers that are started again, in the cluster's folder
_LAST_LINES = 5
_REASONS = {
    signal.SIGKILL: " (by somebody, or by the system, which had no memory left)",
    signal.SIGBUS: " (a file that it read was cut off, or shared memory ran out: is a disk, or /dev/shm, full?)",
}
_IPC_MOST = 90  # characters of a path that every system's sockets take


class LocalCluster:
    """`with LocalCluster(workers=["bob", "alice"]) as cluster, cluster.connect() as client: ...`

    With `data`, which is what `fedzmq worker --data` takes, the workers split it between them: classes by label skew,
    `alpha`, and measurements at random, with `split_seed` for who gets what; or in another way, as `split` says.
    `listen` is the broker's address, port 0 for any; the default is a socket in a folder that only this user can enter.
    `threads` is what torch may use in each worker. With `keeps`, what rounds leave with a worker outlives it; see
    `keep_in`. Of a number of workers the first is bob, the second alice.
    """

    def __init__(
        self,
        workers: int | Sequence[str] = ("bob", "alice"),
        *,
        data: str | None = None,
        alpha: float = 1.0,
        split_seed: int = 0,
        split: Split | None = None,
        listen: str | None = None,
        silence: float = SILENCE,
        threads: int = 1,
        keeps: bool = False,
    ) -> None:
        if isinstance(workers, (str, bytes)) or not isinstance(workers, (int, Iterable)):
            raise UsageError(
                f"workers are a list of names, such as ['bob', 'alice'], or a number, and not {workers!r:.60}"
            )
        self.workers = worker_names(workers) if isinstance(workers, int) else tuple(workers)
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._listen = listen
        self._silence = silence
        self._threads = threads
        self._keeps = keeps
        split = split or Split(alpha=alpha, seed=split_seed)
        self._data = {
            name: [] if data is None else _part(data, number, len(self.workers), split)
            for number, name in enumerate(self.workers, 1)
        }
        self._told: set[str] = set()  # the workers of which it was said that they ended
        self._address: str | None = None
        self._temporary: TemporaryFolder | None = None
        self._clients: WeakSet[Client] = WeakSet()

    @property
    def address(self) -> str:
        """Where the broker listens. Raises ClusterError before the start."""
        if self._address is None:
            raise ClusterError("the cluster has not been started: use it in a `with`")
        return self._address

    def start(self) -> LocalCluster:
        """Start the processes without waiting for the workers; `connect` does that. Twice is fine.

        Raises ClusterError where the broker does not start, for two workers of one name, and for more workers than have
        room in memory; InvalidName.
        """
        if self._temporary is not None:
            return self
        for name in self.workers:
            check_name(name)
        if len(set(self.workers)) < len(self.workers):
            raise ClusterError(f"each worker needs a name of its own: {', '.join(self.workers)}")
        check_room(len(self.workers), free_bytes())
        try:
            self._temporary = TemporaryFolder("fedzmq-")
        except OSError as error:
            raise ClusterError(f"its processes need a folder for what they write: {error}") from error
        try:
            self._start_broker()
            for name in self.workers:
                self._start_worker(name)
        except BaseException:
            self.close()
            raise
        return self

    def connect(self, *, name: str | None = None, timeout: float = START, direct: bool = True) -> Client:
        """A client, of that name, once every worker is here, see `fedzmq.connect`. It is closed when the cluster is, as
        nothing is left to wait for. Raises ClusterError with a dead process's last words.
        """
        from fedzmq.client.client import connect  # torch, which a cluster does without until here

        deadline = time.monotonic() + timeout
        self._wait_for_broker(timeout)
        client = connect(self.address, name=name, silence=self._silence, timeout=timeout, direct=direct)
        try:
            self.wait(client, max(0.0, deadline - time.monotonic()))
        except BaseException:
            client.close()
            raise
        self._clients.add(client)
        return client

    def wait(self, client: Client, timeout: float = START) -> None:
        """Wait until every worker is on the client's roster. Raises ClusterError."""
        deadline = time.monotonic() + timeout

        def missing() -> list[str]:
            here = {worker.name for worker in client.workers()}
            return [name for name in self.workers if name not in here]

        while names := missing():
            for name in (BROKER, *names):
                self.check(name)
            if time.monotonic() > deadline:
                raise ClusterError(f"{', '.join(names)} did not start within {timeout:g} s")
            client.endpoint.presence.ask()
            client.wait_until(lambda: not missing(), 0.2)

    def check(self, name: str) -> None:
        """Raises ClusterError where that process has ended, with the last that it said."""
        ended = self._ending(name)
        if ended is not None:
            raise ClusterError(ended)

    def check_workers(self) -> None:
        """Raises ClusterError where all workers have ended, with what the last of them said."""
        endings = [self._ending(name) for name in self.workers]
        if endings and all(endings):
            raise ClusterError(f"no worker is left: {endings[-1]}")

    def ended(self) -> list[str]:
        """What to say of the workers that ended by themselves, once of each."""
        told = {name: ending for name in self.processes if name != BROKER and (ending := self._ending(name))}
        new = [ending for name, ending in told.items() if name not in self._told]
        self._told = set(told)
        return new

    def last_words(self, name: str) -> str:
        """The end of what a process wrote since it was last started."""
        text = self._log(name).read_text(errors="replace").strip()
        return "\n".join(text.splitlines()[-_LAST_LINES:]).removeprefix("fedzmq: ") or "it said nothing"

    def kill(self, name: str) -> None:
        """End a worker, or the broker, as `kill -9` does."""
        process = self._process(name)
        process.kill()
        process.wait()

    def restart_broker(self) -> None:
        """Start the broker again, at the same address, after it died. Raises ClusterError while it lives."""
        self._bury(BROKER)
        self._listen = self.address
        self._start_broker()

    def start_worker(self, name: str) -> None:
        """Start a worker again, after it died, with the data that it had. Raises ClusterError while it lives."""
        self._bury(name)
        self._start_worker(name)

    def keep_in(self, folder: Path) -> None:
        """Have the workers keep there what outlives them, each in a folder of its name, and find what is there of it.

        Before the first round; without it, they keep it for as long as the cluster lives. Raises ClusterError.
        """
        if self._folder is None:
            raise ClusterError("the cluster does not run: use it in a `with`, or call start() first")
        if self._keeps:
            (self._folder / _KEPT).unlink(missing_ok=True)
            (self._folder / _KEPT).symlink_to(folder.absolute(), target_is_directory=True)

    def stop(self) -> None:
        """Tell all processes to end, and do not wait for it; `close` does."""
        for process in self.processes.values():
            process.terminate()

    def close(self) -> None:
        """Close its clients, end all processes and remove what they wrote. Twice is fine."""
        try:
            for client in list(self._clients):
                client.close()
        finally:  # Ctrl-C comes again while it waits for them
            self.stop()
        _end(self.processes.values())
        self.processes = {}
        self._address = None
        if self._temporary is not None:
            self._temporary.close()
            self._temporary = None

    def __repr__(self) -> str:
        return f"<LocalCluster of {', '.join(self.workers) or 'no worker'}>"

    def __enter__(self) -> LocalCluster:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def _folder(self) -> Path | None:
        return None if self._temporary is None else self._temporary.path

    def _process(self, name: str) -> subprocess.Popen[bytes]:
        if name not in self.processes:
            raise ClusterError(
                f"no process {name!r} is in this cluster (it has: {', '.join(self.processes) or 'none'})"
            )
        return self.processes[name]

    def _ending(self, name: str) -> str | None:
        """How a process ended, and its last words; None while it lives."""
        code = self._process(name).poll()
        if code is None:
            return None
        how = f"ended with exit code {code}"
        if code < 0:
            number = signal.Signals(-code)
            how = f"was killed by {number.name}{_REASONS.get(number, '')}"
        return f"{name} {how}; its last words: {self.last_words(name)}"

    def _log(self, name: str) -> Path:
        if self._folder is None:
            raise ClusterError("the cluster does not run: use it in a `with`, or call start() first")
        return self._folder / f"{name}.log"

    def _bury(self, name: str) -> None:
        process = self._process(name)
        if process.poll() is None:
            raise ClusterError(f"{name} still runs, as process {process.pid}: kill it first")
        _end([self.processes.pop(name)])

    def _start_broker(self) -> None:
        assert self._folder is not None
        listen = self._listen or _private(self._folder)
        self._run(BROKER, ["broker", "--listen", listen, "--silence", str(self._silence)])
        # An ipc address is known before the broker is there, and workers wait for it: that saves its start-up.
        self._address = listen if listen.startswith("ipc://") else self._wait_for_broker(START)

    def _start_worker(self, name: str) -> None:
        options = ["--id", name, "--broker", self.address, "--silence", str(self._silence), "--wait", str(START)]
        keep = ["--keep", str(self._folder / _KEPT / name)] if self._keeps and self._folder is not None else []
        self._run(name, ["worker", *options, "--threads", str(self._threads), *keep, *self._data[name]])

    def _run(self, name: str, arguments: Sequence[str]) -> None:
        try:
            with self._log(name).open("wb") as log:
                self.processes[name] = subprocess.Popen(
                    [sys.executable, "-m", "fedzmq", *arguments, "--while-stdin"],
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,  # Ctrl-C is for the owner of the cluster, which then ends the others
                )
        except OSError as error:  # too many open files, or processes; a full disk
            raise ClusterError(f"{name} cannot be started: {error.strerror or error}") from error

    def _wait_for_broker(self, timeout: float) -> str:
        """The address that the broker says it listens at. Raises ClusterError."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            for line in self._log(BROKER).read_text(errors="replace").splitlines():
                if line.startswith("listening at "):
                    return line.removeprefix("listening at ").rpartition(" (")[0]
            self.check(BROKER)
            time.sleep(0.01)
        raise ClusterError(f"the broker did not start within {timeout:g} s: {self.last_words(BROKER)}")


def _private(folder: Path) -> str:
    path = folder / BROKER
    if os.name == "posix" and len(str(path)) <= _IPC_MOST:
        return f"ipc://{path}"
    return "tcp://127.0.0.1:0"


def _part(data: str, number: int, of: int, split: Split) -> list[str]:
    return ["--data", data, "--part", f"{number}/{of}", *split.arguments()]


def _end(processes: Iterable[subprocess.Popen[bytes]]) -> None:
    """Wait for processes that were told to end, and kill those that do not."""
    deadline = time.monotonic() + STOP
    for process in processes:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdin is not None:
            process.stdin.close()
