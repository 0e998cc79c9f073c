"""Functions that a worker's owner offers are called by name, and no code of the client's is."""

from __future__ import annotations

import re

import pytest
import torch

from fedzmq.client.hook import TorchHook
from fedzmq.client.virtual import VirtualWorker
from fedzmq.errors import GetNotPermittedError, OperationRefused, RemoteError, TensorsNotCollocatedException, UsageError
from fedzmq.pointers.callable_pointer import CallablePointer


@pytest.fixture
def james(hook: TorchHook) -> VirtualWorker:
    def split(x: torch.Tensor, parts: int = 2) -> list[torch.Tensor]:
        return list(x.split(parts))

    offered = {
        "add two": lambda x: x + 2,
        "split": split,
        "nothing": lambda: None,
        "text": lambda: "text",
        "wrong": lambda x: x @ x,
    }
    return VirtualWorker(hook, "james", functions=offered)


def test_a_function_takes_numbers_and_gives_pointers(james: VirtualWorker) -> None:
    add_two = james.function("add two")
    assert isinstance(add_two, CallablePointer)
    assert (add_two.location, repr(add_two)) == (james, "<function 'add two' on worker 'james'>")
    six = add_two(4)
    assert (six.location, six.get().item()) == (james, 6)


def test_a_function_takes_pointers_and_local_tensors_and_has_their_gradient(james: VirtualWorker) -> None:
    p = torch.ones(3, requires_grad=True).send(james)
    (james.function("add two")(p) * 2).sum().backward()
    assert p.grad.copy().get().tolist() == [2.0, 2.0, 2.0]
    parts = james.function("split")(torch.arange(3.0), parts=1)
    assert [part.get().tolist() for part in parts] == [[0.0], [1.0], [2.0]]
    assert james.function("nothing")() == ()


def test_the_functions_of_a_worker_are_listed(james: VirtualWorker) -> None:
    james.register_function("late", abs)
    assert james.functions() == ("add two", "split", "nothing", "text", "wrong", "late")
    assert james.function("late")(-3).get().item() == 3
    with pytest.raises(UsageError, match="a function was expected"):
        james.register_function("seven", 7)


def test_an_unknown_function_and_one_that_fails_are_errors(james: VirtualWorker, bob: VirtualWorker) -> None:
    with pytest.raises(RemoteError, match="its owner offers add two, split"):
        james.function("eval")("1 + 1")
    with pytest.raises(RemoteError, match="its owner offers none"):
        bob.function("add two")(1)
    with pytest.raises(RemoteError, match=r"RuntimeError: .*mat1") as caught:
        james.function("wrong")(torch.ones(2, 3))
    assert re.search(r"test_functions\.py:\d+ in <lambda>$", caught.value.remote_traceback, re.MULTILINE)
    with pytest.raises(RemoteError, match="gave a str"):
        james.function("text")()
    assert james.function("add two")(1).get().item() == 3


def test_what_is_elsewhere_is_not_sent_there(james: VirtualWorker, bob: VirtualWorker) -> None:
    with pytest.raises(TensorsNotCollocatedException, match="worker 'bob'"):
        james.function("add two")(torch.ones(1).send(bob))


def test_what_a_function_makes_of_a_private_tensor_is_private(james: VirtualWorker) -> None:
    secret = torch.ones(1).send(james).private_()
    with pytest.raises(GetNotPermittedError):
        james.function("add two")(secret).get()


def test_a_function_of_the_clients_cannot_be_sent(james: VirtualWorker) -> None:
    with pytest.raises(OperationRefused):
        james.function("add two")(lambda x: x)


def test_a_function_of_the_clients_own_is_refused_where_it_is_named(james: VirtualWorker) -> None:
    with pytest.raises(UsageError, match=r"no code is sent: record it as a plan: fedzmq\.func2plan"):
        james.function(lambda x: x)  # type: ignore[arg-type]
