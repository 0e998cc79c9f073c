"""Trials in processes of their own, which are looked after: one that dies or hangs is noted, and another goes on."""

from __future__ import annotations

import mmap
import os
import resource
import signal
import struct
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fedzmq.operations.catalog import CATALOG
from tests.operations.fuzz.corpus import Call
from tests.operations.fuzz.trial import Trials

MEMORY = 1 << 32  # bytes that a process may take beyond what it has when it begins
_PATIENCE = 30.0  # seconds of a processor for one trial
_ENOUGH = 5  # findings of one operation, after which it is left alone
_STATE = struct.Struct("qqq")  # trials so far, number of the operation, seed


@dataclass(frozen=True, slots=True)
class Finding:
    """An operation and a seed that end a process, and how; or what is wrong with its values."""

    name: str
    seed: int
    how: str


class Watch:
    """Goes through (number, seed) pairs; `findings` are those that are not survived."""

    def __init__(self, corpus: Sequence[list[Call]], pairs: Iterator[tuple[int, int]], seconds: float) -> None:
        self._corpus = corpus
        self._pairs = pairs
        self._until = time.monotonic() + seconds
        self.trials = 0
        self.findings: list[Finding] = []
        self.signals: Counter[str] = Counter()
        self._shared = mmap.mmap(-1, mmap.PAGESIZE)

    def run(self) -> None:
        """Until the pairs or the seconds are over."""
        batch: list[tuple[int, int]] = []
        while time.monotonic() < self._until:
            batch = batch or self._batch()
            if not batch:
                return
            done = self._child(batch)
            self.trials += done
            batch = batch[done:]

    def _batch(self) -> list[tuple[int, int]]:
        found = Counter(finding.name for finding in self.findings)
        batch: list[tuple[int, int]] = []
        for number, seed in self._pairs:
            if found[CATALOG.names[number]] < _ENOUGH:
                batch.append((number, seed))
            if len(batch) == 2000:
                break
        return batch

    def _child(self, batch: list[tuple[int, int]]) -> int:
        """How many of them are done with."""
        self._shared[: _STATE.size] = _STATE.pack(0, 0, 0)
        read, write = os.pipe()
        sys.stdout.flush()
        child = os.fork()
        if not child:
            os.close(read)
            status = 1
            try:
                self._try(batch, write)
                status = 0
            finally:
                os._exit(status)
        os.close(write)
        status = self._waited(child)
        with os.fdopen(read) as lines:
            for line in lines:
                name, seed, how = line.rstrip("\n").split("\t")
                self._note(name, int(seed), how)
        done, number, seed = _STATE.unpack(self._shared[: _STATE.size])
        if status == 0:
            return len(batch)
        how = signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else f"exit {os.WEXITSTATUS(status)}"
        self._note(CATALOG.names[number], seed, "hangs" if how == "SIGKILL" else how)
        return max(1, done)

    def _try(self, batch: list[tuple[int, int]], findings: int) -> None:
        warnings.simplefilter("ignore")
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with open("/dev/null", "w") as null:
            os.dup2(null.fileno(), 1)
            os.dup2(null.fileno(), 2)
        if sys.platform == "linux":
            with open("/proc/self/statm") as line:
                used = int(line.read().split()[5]) * mmap.PAGESIZE
            resource.setrlimit(resource.RLIMIT_DATA, (used + MEMORY,) * 2)
        trials = Trials(self._corpus)
        for done, (number, seed) in enumerate(batch, 1):
            self._shared[: _STATE.size] = _STATE.pack(done, number, seed)
            wrong = trials.run(number, seed)
            if wrong:
                os.write(findings, f"{CATALOG.names[number]}\t{seed}\t{' '.join(wrong.split())[:300]}\n".encode())

    def _waited(self, child: int) -> int:
        last, since = b"", 0.0
        while True:
            pid, status = os.waitpid(child, os.WNOHANG)
            if pid:
                return status
            state = self._shared[: _STATE.size]
            if state != last:
                last, since = state, _computed(child)
            elif _computed(child) - since > _PATIENCE:
                os.kill(child, signal.SIGKILL)
            time.sleep(0.02)

    def _note(self, name: str, seed: int, how: str) -> None:
        self.findings.append(Finding(name, seed, how))
        self.signals[how if how.startswith("SIG") or how == "hangs" else how.split()[0]] += 1
        print(f"{name} {seed}: {how}", flush=True)


def _computed(process: int) -> float:
    """Seconds of a processor that it had so far; of the clock, where the system does not tell."""
    try:
        with open(f"/proc/{process}/stat") as line:
            ticks = line.read().rpartition(")")[2].split()[11:13]
    except OSError:
        return time.monotonic()
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
