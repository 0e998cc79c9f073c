"""How much memory a process of this machine has in use, and had at its peak. Linux tells; elsewhere nothing is said."""

from __future__ import annotations

from pathlib import Path


class Watched:
    """A process by its number."""

    def __init__(self, pid: int) -> None:
        self._folder = Path(f"/proc/{pid}")

    @property
    def resident(self) -> int | None:
        """Bytes in use now."""
        return self._read("VmRSS")

    @property
    def peak(self) -> int | None:
        """The most bytes that were in use since `begin`."""
        return self._read("VmHWM")

    def begin(self) -> None:
        """Forget the peak so far."""
        try:
            (self._folder / "clear_refs").write_text("5")
        except OSError:
            return

    def _read(self, field: str) -> int | None:
        try:
            lines = (self._folder / "status").read_text().splitlines()
        except OSError:
            return None
        for line in lines:
            name, _, rest = line.partition(":")
            if name == field:
                return int(rest.split()[0]) * 1024
        return None
