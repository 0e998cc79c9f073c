"""torch's own databases: a few samples of each operation, and of what else is compared a share of the list.

bin/opinfo runs them in full.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
import torch

from tests.pointers.databases import derivatives, lists, mistakes, modules, operations, optimizers, outs, references
from tests.pointers.databases.outcome import Outcome
from tests.pointers.databases.outside import OUTSIDE

SHARES = 12  # of the list, so that processes can divide it among them; the list takes seconds to import
SAMPLES = 2  # of each operation

OTHERS = [torch.float64, torch.bfloat16, torch.complex64, torch.complex32, torch.int64, torch.uint32, torch.bool]

pytestmark = pytest.mark.filterwarnings("ignore")  # torch's own, of forms of its own that it will give up


@pytest.fixture(autouse=True)
def nobody_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """At each operation torch reads the source of all callers for a unittest: four times as long as what is tested."""
    for room in ("common_utils", "opinfo.core"):
        monkeypatch.setattr(f"torch.testing._internal.{room}.extract_test_fn", lambda: None)


def entries(share: int = 0, shares: int = 1) -> list[Any]:
    from torch.testing._internal.common_methods_invocations import op_db

    return list(op_db[share::shares])


def assert_equal(outcomes: Iterable[Outcome]) -> None:
    assert [each for each in outcomes if each.verdict in ("refused", "wrong")] == []


@pytest.mark.parametrize("share", range(SHARES))
def test_an_operation_gives_through_a_pointer_what_it_gives_here(share: int) -> None:
    ops = entries(share, SHARES)
    assert_equal(operations.outcomes(ops, torch.float32, "function", "all", True, SAMPLES))


@pytest.mark.parametrize("form", ["method", "operator", "in place", "operator in place"])
def test_a_form_of_an_operation_gives_through_a_pointer_what_it_gives_here(form: str) -> None:
    assert_equal(operations.outcomes(entries(1, 4), torch.float32, form, "all", False, 1))


@pytest.mark.parametrize("dtype", OTHERS)
def test_an_operation_in_another_dtype_gives_what_it_gives_here(dtype: torch.dtype) -> None:
    assert_equal(operations.outcomes(entries(1, 24), dtype, "function", "all", True, 1))


@pytest.mark.parametrize("form", lists.FORMS)
def test_a_function_of_lists_gives_what_it_gives_here(form: str) -> None:
    from torch.testing._internal.common_methods_invocations import foreach_binary_op_db, foreach_other_op_db

    assert_equal(lists.outcomes([*foreach_binary_op_db[::4], *foreach_other_op_db], torch.float32, form, 2))


def test_a_sample_of_a_reference_gives_what_it_gives_here() -> None:
    from torch.testing._internal.common_methods_invocations import python_ref_db

    assert_equal(references.outcomes(python_ref_db[5::24], torch.float32, 2))


@pytest.mark.parametrize("order", derivatives.ORDERS)
def test_a_further_derivative_is_what_it_is_here(order: str) -> None:
    assert_equal(derivatives.outcomes(entries(2, 48), torch.float64, order, 1))


def test_a_wrong_call_raises_what_it_raises_here() -> None:
    assert_equal(mistakes.outcomes(entries(3, 24)))


def test_a_wrong_call_of_a_module_raises_what_it_raises_here() -> None:
    from torch.testing._internal.common_modules import module_db

    assert_equal(mistakes.of_modules(module_db, torch.float32))


def test_a_wrong_call_of_an_optimizer_raises_what_it_raises_here() -> None:
    from torch.testing._internal.common_optimizers import optim_db

    assert_equal(mistakes.of_optimizers(optim_db))


def test_out_is_written_as_it_is_here() -> None:
    assert_equal(outs.outcomes(entries(4, 48), torch.float32, 1))


@pytest.mark.parametrize("training", [True, False])
def test_a_module_gives_what_it_gives_here(training: bool) -> None:
    from torch.testing._internal.common_modules import module_db

    assert_equal(modules.outcomes(module_db, torch.float32, training, 1))


def test_the_second_derivatives_of_a_module_are_what_they_are_here() -> None:
    from torch.testing._internal.common_modules import module_db

    assert_equal(modules.outcomes(module_db[::3], torch.float64, True, 1, "second"))


@pytest.mark.parametrize("sent", optimizers.SENT)
def test_an_optimizer_steps_as_it_does_here(sent: str) -> None:
    from torch.testing._internal.common_optimizers import optim_db

    assert_equal(optimizers.outcomes(optim_db, sent, 1))


def test_what_is_left_out_is_an_entry_of_the_list() -> None:
    assert OUTSIDE.keys() <= {operations.name_of(op) for op in entries()}
