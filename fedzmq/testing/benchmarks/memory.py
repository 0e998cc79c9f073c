"""How much memory a process of this machine has in use, and had at its peak. Linux tells; elsewhere nothing is said."""

from __future__ import annotations

from pathlib import Path

UNTOLD = "the system does not tell how much memory a process takes"


class Watched:
    """A process by its number."""

    def __init__(self, pid: int) -> None:
        self._folder = Path(f"/proc/{pid}")
        self._is_begun = False

    @property
    def resident(self) -> int | None:
        """Bytes in use now."""
        return self._read("VmRSS")

    @property
    def peak(self) -> int | None:
        """The most bytes that were in use since `begin`; None where the system did not forget what was before."""
        return self._read("VmHWM") if self._is_begun else None

    def begin(self) -> bool:
        """Forget the peak so far, and say whether the system does that."""
        try:
            (self._folder / "clear_refs").write_text("5")
            self._is_begun = True
        except OSError:
            self._is_begun = False
        return self._is_begun

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
