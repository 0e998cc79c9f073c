from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from fedzmq.federated.updates.one_thread import one_thread


@pytest.fixture
def three_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("three_threads")
def test_torch_has_one_thread_meanwhile_and_as_many_as_before_then() -> None:
    with one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 3


@pytest.mark.usefixtures("three_threads")
def test_an_error_leaves_no_trace() -> None:
    with pytest.raises(LookupError), one_thread():
        raise LookupError
    assert torch.get_num_threads() == 3
