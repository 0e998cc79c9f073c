from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from fedzmq.errors import ObjectNotFoundError, RemoteError
from fedzmq.pointers.failures import error_of
from fedzmq.wire.messages import Failure
from tests.pointers.loopback import Place

FAILING: dict[type[Exception], Callable[[Callable[[Tensor], Tensor]], Tensor]] = {
    IndexError: lambda send: F.embedding(send(torch.tensor([9])), send(torch.ones(3, 2))),
    torch.linalg.LinAlgError: lambda send: torch.linalg.inv(send(torch.zeros(2, 2))),
    RuntimeError: lambda send: send(torch.tensor([1])).gather(0, send(torch.tensor([9]))),
}


@pytest.mark.parametrize("kind", FAILING)
def test_a_failure_is_of_the_type_that_was_raised_there(bob: Place, kind: type[Exception]) -> None:
    failed = FAILING[kind](lambda tensor: tensor.send(bob))
    with pytest.raises(kind) as found:
        failed.get()
    assert isinstance(found.value, RemoteError)
    assert found.value.worker == "bob"


@pytest.mark.parametrize("error", ["OwnersError", "KeyboardInterrupt", "SystemExit", "StopIteration", ""])
def test_a_type_that_is_not_listed_is_a_remote_error_and_nothing_else(error: str) -> None:
    found = error_of(Failure(1, "torch.add", error, "it failed", "", ()), "bob", "")
    assert type(found) is RemoteError


def test_a_tensor_that_is_not_there_is_no_other_error() -> None:
    found = error_of(Failure(1, "torch.add", "TensorNotStored", "no tensor 7", "", ()), "bob", "")
    assert type(found) is ObjectNotFoundError
