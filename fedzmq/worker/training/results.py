"""What trainings led to: a worker keeps it until the coordinator has made it count, or is over with its run.

The tensors never change, so any thread may read them. Of a run there is one result, the last: a training of that run
that is not the very same one puts an end to it, and the very same one, asked for again by whoever, finds it.
"""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, replace

import torch

from fedzmq.errors import UsageError
from fedzmq.tensors.row import Row, cut, digest_of
from fedzmq.wire.messages import Train, Trained
from fedzmq.worker.training.memory import MOST_BYTES, MOST_RUNS, RunName
from fedzmq.worker.training.room import by_client, to_drop

MOST_PIECE = 4 * 1024 * 1024  # bytes of one answer

Task = tuple[Hashable, int]
"""Who asked for it, and the number of the request."""


@dataclass(frozen=True, slots=True)
class Identity:
    """All of a task that decides its outcome; two that are equal have the same."""

    task: Train
    control: str

    @classmethod
    def of(cls, task: Train, control: Sequence[torch.Tensor]) -> Identity | None:
        """None where the client does not name the state, or no run: such a task is like no other."""
        if not task.model or not task.local.run:
            return None
        plain = replace(task, request=1, state=(), control=(), report_every=0.0, ahead=0)
        return cls(plain, digest_of(control) if control else "")


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """What a task led to: what is answered to it, and the tensors that can be pulled, which nobody writes to."""

    trained: Trained
    state: Sequence[torch.Tensor]
    identity: Identity | None = None
    row: Row = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "row", Row.of(self.state))


class Results:
    """Those used last: at most `most` of them, and so many bytes, but for the last one, however large.

    Whose they are counts by the name of who asked last: who keeps most makes room.
    """

    def __init__(self, most: int = MOST_RUNS, most_bytes: int = MOST_BYTES) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._kept: OrderedDict[RunName | Task, Result] = OrderedDict()
        self._names: dict[Task, RunName | Task] = {}  # under what the result of a task is kept
        self._clients: dict[RunName | Task, str] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def begin(self, task: Task, name: RunName, identity: Identity | None, client: str = "") -> Trained | None:
        """What was answered to the very same task, which is from now on the result of this one, too.

        Where there is none, the run's last result goes: a later task of the run is asked for.
        """
        with self._lock:
            found = self._kept.get(name)
            if found is not None and identity is not None and found.identity == identity:
                self._kept.move_to_end(name)
                self._names[task], self._clients[name] = name, client
                return found.trained
            if found is not None:
                self._drop(name)
            return None

    def keep(self, task: Task, name: RunName, result: Result, client: str = "") -> None:
        """A task without a run is kept under its own number."""
        key = name if name.run else task
        with self._lock:
            self._drop(key)
            self._kept[key] = result
            self._names[task], self._clients[key] = key, client
            while (oldest := self._to_drop()) is not None:
                self._drop(oldest)

    def pull(self, task: Task, start: int, stop: int) -> list[torch.Tensor]:
        """A piece of the result of a task, as views. Raises UsageError where there is no such result, or piece."""
        with self._lock:
            result = self._kept.get(self._names.get(task, task))
        if result is None:
            raise UsageError(f"the result of task {task[1]} is not here: there was none, or it was given up")
        if stop - start > MOST_PIECE:
            raise UsageError(f"a piece has at most {MOST_PIECE} bytes, and {stop - start} are asked for")
        return cut(result.state, result.row.spans(start, stop))

    def held(self) -> Counter[str]:
        """The bytes that are kept for each client, by its name."""
        with self._lock:
            return by_client(self._sizes().values())

    def forget(self, client: str) -> None:
        """A client keeps too much: all that it asked for last goes, and is trained again if it is still wanted."""
        with self._lock:
            for key in [key for key, name in self._clients.items() if name == client]:
                self._drop(key)

    def release(self, run: str) -> None:
        """The run is over."""
        with self._lock:
            for key in [key for key in self._kept if isinstance(key, RunName) and key.run == run]:
                self._drop(key)

    def leave(self, owner: Hashable) -> None:
        """A client is gone: what it asked for in no run goes, and what belongs to a run is found by who takes it up."""
        with self._lock:
            for task, key in list(self._names.items()):
                if task[0] == owner:
                    del self._names[task]
                    if not isinstance(key, RunName):
                        self._kept.pop(key, None)
                        self._clients.pop(key, None)

    def _drop(self, key: RunName | Task) -> None:
        if self._kept.pop(key, None) is not None:
            del self._clients[key]
            self._names = {task: name for task, name in self._names.items() if name != key}

    def _to_drop(self) -> RunName | Task | None:
        if len(self._kept) > self._most:
            return to_drop({key: (self._clients[key], 1) for key in self._kept})
        sizes = self._sizes()
        return to_drop(sizes) if sum(size for _, size in sizes.values()) > self._most_bytes else None

    def _sizes(self) -> dict[RunName | Task, tuple[str, int]]:
        return {key: (self._clients[key], result.row.nbytes) for key, result in self._kept.items()}
