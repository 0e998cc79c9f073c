from __future__ import annotations

import pytest
import torch

from tests.pointers.opinfo import run
from tests.pointers.outside_opinfo import OUTSIDE

SHARES = 12  # of the list, so that processes can divide it among them; the list takes seconds to import
SAMPLES = 2  # of each operation; bin/opinfo runs all of them, in other dtypes and forms too

pytestmark = pytest.mark.filterwarnings("ignore")  # torch's own, of forms of its own that it will give up


def entries(share: int) -> list[object]:
    from torch.testing._internal.common_methods_invocations import op_db

    return list(op_db[share::SHARES])


@pytest.mark.parametrize("share", range(SHARES))
def test_an_operation_gives_through_a_pointer_what_it_gives_here(share: int) -> None:
    found = run(entries(share), torch.float32, "function", "all", True, SAMPLES)
    assert [(name, text) for name, text in found if text] == []


@pytest.mark.parametrize("form", ["method", "operator", "in place", "operator in place"])
def test_a_form_of_an_operation_gives_through_a_pointer_what_it_gives_here(form: str) -> None:
    from torch.testing._internal.common_methods_invocations import op_db

    found = run(op_db, torch.float32, form, "all", False, 1)
    assert [(name, text) for name, text in found if text] == []


def test_what_is_left_out_is_an_entry_of_the_list() -> None:
    from torch.testing._internal.common_methods_invocations import op_db

    names = {".".join(filter(None, (op.name, op.variant_test_name))) for op in op_db}
    assert OUTSIDE.keys() <= names
