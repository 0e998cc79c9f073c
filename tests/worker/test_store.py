from __future__ import annotations

import pytest
import torch

from fedzmq.errors import LimitExceeded
from fedzmq.wire.messages import Failure
from fedzmq.worker.store import MOST_UNREPORTED, Inherited, Store, TensorNotStored

FAILURE = Failure(3, "torch.add", "RuntimeError", "no", "", ())


def test_what_was_kept_is_found() -> None:
    store, tensor = Store(), torch.ones(2)
    store.keep(1, tensor)
    assert store.tensor(1) is tensor
    assert len(store) == 1


def test_what_was_dropped_is_missed_by_its_number() -> None:
    store = Store()
    store.keep(1, torch.ones(2))
    store.drop(1)
    store.drop(1)
    with pytest.raises(TensorNotStored, match="no tensor number 1 "):
        store.tensor(1)
    assert store.bytes == 0


def test_a_failure_takes_the_place_of_a_tensor() -> None:
    store = Store()
    store.keep(1, torch.ones(2))
    store.poison(1, FAILURE)
    with pytest.raises(Inherited) as error:
        store.tensor(1)
    assert error.value.failure is FAILURE
    assert (len(store), store.bytes) == (0, 0)


def test_a_tensor_takes_the_place_of_a_failure() -> None:
    store = Store()
    store.poison(1, FAILURE)
    store.keep(1, torch.ones(2))
    assert store.failures == {}


def test_a_failure_is_reported_once_and_in_order() -> None:
    store = Store()
    other = Failure(4, "torch.sub", "RuntimeError", "no", "", ())
    store.remember(FAILURE)
    store.remember(other)
    assert store.report() == (FAILURE, other)
    assert store.report() == ()


def test_a_failure_that_was_told_is_not_reported() -> None:
    store = Store()
    store.remember(FAILURE)
    store.told(FAILURE)
    assert store.report() == ()


def test_the_first_of_very_many_failures_are_kept() -> None:
    store = Store()
    for command in range(1, 2 * MOST_UNREPORTED):
        store.remember(Failure(command, "", "", "", "", ()))
    assert [failure.command for failure in store.report()] == list(range(1, MOST_UNREPORTED + 1))


def test_views_of_one_memory_are_counted_once_where_it_matters() -> None:
    store, whole = Store(quota=1000), torch.ones(200)
    for id in range(1, 5):
        store.keep(id, whole[:])
    assert len(store) == 4
    assert store.bytes == 800


def test_what_would_pass_the_quota_is_not_kept() -> None:
    store = Store(quota=1000)
    store.keep(1, torch.ones(200))
    with pytest.raises(LimitExceeded, match="and the limit is 1000"):
        store.keep(2, torch.ones(200))
    assert list(store.tensors) == [1]
    assert store.bytes == 800


def test_a_view_that_would_be_too_large_if_it_were_written_out_is_not_kept() -> None:
    store = Store(quota=1000)
    with pytest.raises(LimitExceeded):
        store.keep(1, torch.ones(1).expand(1 << 40))
    assert len(store) == 0


def test_ids_are_bound_together_or_not_at_all() -> None:
    store = Store(quota=100)
    with pytest.raises(LimitExceeded):
        store.keep_all(1, [torch.ones(2), torch.ones(1000)])
    assert (len(store), store.bytes) == (0, 0)


@pytest.mark.parametrize("count", [1 << 62, (1 << 62) + 1, (1 << 63) - 1])
def test_more_elements_than_bytes_are_counted_in_64_bits_are_too_many(count: int) -> None:
    store = Store(1 << 30)
    with pytest.raises(LimitExceeded):
        store.keep(1, torch.ones(1).expand(count))
    assert (len(store), store.bytes, store.notable) == (0, 0, set())


def test_a_tensor_without_elements_is_no_larger_by_its_extent_than_another() -> None:
    store = Store(quota=100)
    with pytest.raises(LimitExceeded):
        store.keep(1, torch.ones(1 << 31, 0))
    assert (len(store), store.notable) == (0, set())
