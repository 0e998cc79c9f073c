from __future__ import annotations

import hashlib

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fedzmq.errors import UsageError
from fedzmq.tensors.row import Row, Span, cut, digest_of

STATE = [
    torch.arange(6.0).reshape(2, 3),
    torch.zeros(0),
    torch.tensor([True, False, True]),
    torch.tensor(7),
    torch.ones(5, dtype=torch.complex64),
]
ROW = Row.of(STATE)  # 24 + 0 + 3 + 8 + 40 bytes


def test_a_range_is_cut_into_parts_of_each_tensor() -> None:
    assert ROW.spans(20, 43) == [Span(0, 5, 6), Span(2, 0, 3), Span(3, 0, 1), Span(4, 0, 1)]


def test_all_of_it_is_all_of_every_tensor_that_is_not_empty() -> None:
    parts = cut(STATE, ROW.spans(0, ROW.nbytes))

    assert ROW.nbytes == 75
    assert all(map(torch.equal, parts, [each.flatten() for each in STATE if each.numel()]))


def test_parts_are_views() -> None:
    (part,) = cut(STATE, ROW.spans(4, 8))

    assert part.data_ptr() == STATE[0].data_ptr() + 4


@given(st.integers(1, 100))
def test_pieces_make_up_the_whole(size: int) -> None:
    pieces = list(ROW.pieces(size))
    parts = [part for start, stop in pieces for part in cut(STATE, ROW.spans(start, stop))]

    assert pieces[0][0] == 0
    assert [start for start, _ in pieces[1:]] == [stop for _, stop in pieces[:-1]]
    assert all(stop - start <= max(size + size // 16, 8) for start, stop in pieces)
    assert sum(part.nbytes for part in parts) == ROW.nbytes


def test_of_nothing_there_are_no_pieces() -> None:
    assert list(Row.of([torch.zeros(0)]).pieces(8)) == []


@pytest.mark.parametrize(
    ("start", "stop"),
    [(0, 76), (-4, 4), (8, 8), (8, 4), (75, 76), (1 << 62, (1 << 62) + 4), (0, 1 << 62), (2, 8), (0, 6), (20, 30)],
)
def test_what_is_no_piece_is_refused(start: int, stop: int) -> None:
    with pytest.raises(UsageError, match=r"are no piece of 75|split an element"):
        ROW.spans(start, stop)


def test_the_digest_is_that_of_the_bytes_in_a_row() -> None:
    one, other = torch.arange(6.0).reshape(2, 3), torch.tensor([True])

    assert digest_of([one.t(), other]) == hashlib.sha256(one.t().contiguous().numpy().tobytes() + b"\1").hexdigest()
