"""What was recorded so far: the records, each with its line and its autocast, and which tensors share their memory."""

from __future__ import annotations

from fedzmq.pointers.effects import Effects
from fedzmq.pointers.line import Line
from fedzmq.pointers.modes import Modes
from fedzmq.pointers.origins import Origin, shown
from fedzmq.pointers.outbox import Record
from fedzmq.pointers.stream import Stream
from fedzmq.recording.values import Values
from fedzmq.tensors.dtypes import name_of


class Journal(Stream):
    """A stream that keeps its records, and `constants`, the bytes of the tensors that they brought along."""

    is_recording = True

    def __init__(self, line: Line, effects: Effects | None = None) -> None:
        super().__init__(line, effects=effects)
        self.records: list[Record] = []
        self.lines: list[str] = []
        self.constants: list[bytes] = []
        self.lowered: list[str | None] = []
        self._bases: dict[int, int] = {}
        self._values = Values(self.base)

    def note(self, record: Record, modes: Modes, origin: Origin | None) -> int:
        """Keep a record as it is: its place."""
        self.records.append(record)
        self.lines.append(shown(origin))
        self.lowered += [None if modes.autocast is None else name_of(modes.autocast)] * (
            len(self.records) - len(self.lowered)
        )
        self._values.note(record, self.constants)
        return len(self.records) - 1

    def shares(self, id: int, with_id: int) -> None:
        """Two tensors have the same memory."""
        self._bases[id] = self.base(with_id)

    def base(self, id: int) -> int:
        """The tensor whose memory this one has."""
        return self._bases.get(id, id)
