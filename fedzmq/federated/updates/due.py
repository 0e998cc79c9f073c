"""What is due of every worker of a round: tensors of a known form, in a row of bytes that is asked for in pieces."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch

from fedzmq.errors import UpdateRefused
from fedzmq.federated.updates.acceptance import check_values
from fedzmq.federated.updates.one_thread import one_thread
from fedzmq.tensors.buffers import restore
from fedzmq.tensors.dtypes import name_of
from fedzmq.tensors.row import Row, Span
from fedzmq.transports.connection import Buffer
from fedzmq.wire.messages import TensorSpec

IN_FLIGHT = 8 * 1024 * 1024  # bytes that are asked for, or here and not folded, over all workers
FREELY = 64 * 1024 * 1024  # the same, for a model that is no larger than IN_FLIGHT: each way there and back counts then
LEAST_PIECE, MOST_PIECE = 64 * 1024, 512 * 1024  # bytes; up to here a piece is one packet, which is not copied


@dataclass(frozen=True, slots=True)
class Piece:
    """From which byte to which, and what lies there, in order."""

    start: int
    stop: int
    spans: Sequence[Span]

    @property
    def nbytes(self) -> int:
        return self.stop - self.start


class Due:
    """Of so many workers each, and in the form of these tensors by name. `state` is their values, as of now."""

    def __init__(self, shared: Mapping[str, torch.Tensor], workers: int) -> None:
        self.state = list(shared.values())
        self._names = list(shared)
        self._workers = workers
        self._row = Row.of(self.state)
        self.in_flight = IN_FLIGHT if self._row.nbytes > IN_FLIGHT else FREELY

    @property
    def ahead(self) -> int:
        """How many bytes are to come along with an answer, which saves a way there and back: all, or 0.

        All, where the answers, which wait for each other, come to no more together than what may be in flight.
        """
        return self._row.nbytes if self._is_little else 0

    def pieces(self) -> Iterator[Piece]:
        """All of it. What comes along with the answers is one piece."""
        share = min(max(self.in_flight // self._workers, LEAST_PIECE), MOST_PIECE)
        return self._pieces(max(self._row.nbytes, 1) if self._is_little else share)

    def values(self, piece: Piece, parts: Sequence[TensorSpec], buffers: Sequence[Buffer]) -> Iterator[torch.Tensor]:
        """What came for each span. Raises a FedzmqError where it is of another form, or no number."""
        if len(parts) != len(piece.spans):
            raise UpdateRefused(f"a piece of it has {len(parts)} parts, and {len(piece.spans)} were due")
        for span, part in zip(piece.spans, parts, strict=True):
            name, due = self._names[span.place], name_of(self.state[span.place].dtype)
            if part.dtype != due or part.shape != (span.stop - span.start,):
                form = f"{due}[{span.stop - span.start}]"
                raise UpdateRefused(f"a piece of {name!r} is {part.dtype}{list(part.shape)}, and {form} was due")
            values = restore(part, buffers[part.buffer])
            check_values(name, values)
            yield values

    def whole(self, parts: Sequence[TensorSpec], buffers: Sequence[Buffer]) -> Mapping[int, torch.Tensor]:
        """As `values`, of all that is due, by the place of each tensor; flattened, and none that is empty."""
        (piece,) = self._pieces(self._row.nbytes)
        with one_thread():
            values = self.values(piece, parts, buffers)
            return {span.place: each for span, each in zip(piece.spans, values, strict=True)}

    def _pieces(self, size: int) -> Iterator[Piece]:
        return (Piece(start, stop, self._row.spans(start, stop)) for start, stop in self._row.pieces(size))

    @property
    def _is_little(self) -> bool:
        return self._row.nbytes * self._workers <= self.in_flight
