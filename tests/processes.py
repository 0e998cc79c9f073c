"""Processes that tests start, listen to, stop and look for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

DEADLINE = 60.0  # seconds; a busy machine takes ten to import torch in several processes
PROC = Path("/proc")


class Spoken:
    """A process whose output is read while it runs. It, and what it leaves in `TMPDIR`, stays in `folder`."""

    def __init__(self, arguments: Sequence[str], folder: Path) -> None:
        self.folder = folder
        self.temporary = folder / "tmp"
        self.temporary.mkdir(exist_ok=True)
        self.out: list[str] = []
        self.err: list[str] = []
        self._process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=folder,
            env={**os.environ, "TMPDIR": str(self.temporary), "PYTHONFAULTHANDLER": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._listeners = [
            threading.Thread(target=lines.extend, args=(stream,), daemon=True)
            for lines, stream in ((self.out, self._process.stdout), (self.err, self._process.stderr))
        ]
        for listener in self._listeners:
            listener.start()

    @property
    def said(self) -> str:
        return "".join([*self.out, *self.err])

    def expect(self, text: str, times: int = 1) -> str:
        """Wait until so many lines with this text came, and give the last of them."""

        def found() -> list[str]:
            return [line for line in [*self.out, *self.err] if text in line]

        def over() -> bool:
            return len(found()) >= times or self._process.poll() is not None

        until(over, lambda: f"no {text!r} in: {self.said}")
        if self._process.poll() is not None:
            self._hear_out()
        assert len(found()) >= times, f"it ended without {text!r}: {self.said}"
        return found()[times - 1].strip()

    def expect_handlers(self) -> None:
        """Wait until it handles SIGTERM, which Python by itself does not."""
        status = PROC / str(self._process.pid) / "status"

        def handled() -> bool:
            (caught,) = [line.split()[1] for line in status.read_text().splitlines() if line.startswith("SigCgt")]
            return bool(int(caught, 16) >> (signal.SIGTERM - 1) & 1)

        until(handled, lambda: self.said)

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def wait(self) -> int:
        """Its exit code, with all that it said heard. One that does not end says where it is, and fails the test."""
        try:
            code = self._process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self._process.send_signal(signal.SIGABRT)
            self._process.wait(DEADLINE)
            self._hear_out()
            raise AssertionError(f"it did not end within {DEADLINE:g} s: {self.said}") from None
        self._hear_out()
        return code

    def family(self) -> list[int]:
        """The processes that live and were started by this one, or by one that was; it too."""
        return living_in(self.temporary)

    def __enter__(self) -> Spoken:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self.wait()

    def _hear_out(self) -> None:
        for listener in self._listeners:
            listener.join(DEADLINE)
        for stream in (self._process.stdout, self._process.stderr):
            assert stream is not None
            stream.close()


class Fedzmq(Spoken):
    """`fedzmq ...` as a process."""

    def __init__(self, *arguments: str, folder: Path) -> None:
        super().__init__(["-m", "fedzmq", *arguments], folder)


def living_in(temporary: Path) -> list[int]:
    """The processes that have this TMPDIR and are no zombies. None are seen where there is no /proc."""
    entry = f"TMPDIR={temporary}\0".encode()
    return [int(path.name) for path in PROC.glob("[0-9]*") if _is_alive(path) and entry in _read(path / "environ")]


def until(condition: Callable[[], bool], otherwise: Callable[[], str]) -> None:
    """Look until it holds."""
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, otherwise()
        time.sleep(0.02)


def _is_alive(path: Path) -> bool:
    return b"\nState:\tZ" not in _read(path / "status")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # it ended while we looked, or is another user's
        return b""
