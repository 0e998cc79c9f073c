from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from fedzmq.pointers.effects import Effects
from fedzmq.pointers.kernels import PLAIN, can_tell
from fedzmq.pointers.metadata import CONSTANT, INNER, LEAF, Kind, meta
from tests.pointers.loopback import Place

FIRST = """
import sys
import torch
import fedzmq
from fedzmq.recording.training_plan import training_plan
bob = fedzmq.VirtualWorker(fedzmq.TorchHook(torch), id="bob")
model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.ReLU(), torch.nn.Linear(2, 1)).send(bob)
x = torch.ones(4, 3).send(bob)
loss = ((model(x + x) - 1) ** 2).mean()
loss.backward()
with torch.no_grad():
    for parameter in model.parameters():
        parameter -= 0.1 * parameter.grad
assert loss.get().shape == ()
assert model.get()[0].weight.shape == (2, 3)
digits = torch.nn.Sequential(torch.nn.Linear(784, 128), torch.nn.ReLU(), torch.nn.Linear(128, 10))
like = torch.zeros(2, 784), torch.zeros(2, dtype=torch.int64)
training_plan(digits, torch.nn.functional.cross_entropy, *like)
layers = torch.nn.Conv2d(1, 8, 3), torch.nn.BatchNorm2d(8), torch.nn.ReLU(), torch.nn.MaxPool2d(2)
images = torch.nn.Sequential(*layers, torch.nn.Flatten(), torch.nn.Linear(8 * 13 * 13, 10))
training_plan(images, torch.nn.functional.cross_entropy, torch.zeros(2, 1, 28, 28), like[1])
assert not {"torch._dynamo", "sympy"} & sys.modules.keys()
"""

WRONG: dict[str, Callable[[Callable[[Tensor], Tensor]], object]] = {
    "a product of two dtypes": lambda send: send(torch.ones(2, 2)) @ send(torch.ones(2, 2).double()),
    "bits of floats": lambda send: send(torch.ones(2)) | send(torch.ones(2)),
    "an order of complex numbers": lambda send: send(torch.ones(2) * 1j) < 1,
    "the largest of nothing": lambda send: send(torch.ones(0)).max(),
    "integers to a negative power": lambda send: send(torch.tensor([2])) ** -1,
    "a row that is not there": lambda send: send(torch.ones(3))[[0, 7]],
}


def raised(wrong: Callable[[Any], object], send: Callable[[Any], Tensor]) -> Exception | None:
    try:
        wrong(send)
    except Exception as error:
        return error
    return None


def test_a_program_without_an_optimizer_does_not_wait_for_torchs_compiler() -> None:
    subprocess.run([sys.executable, "-c", FIRST], check=True, timeout=120)


@pytest.mark.parametrize("name", WRONG)
def test_what_a_kernel_refuses_is_raised_at_its_line(bob: Place, name: str) -> None:
    wanted = raised(WRONG[name], lambda tensor: tensor)
    found = raised(WRONG[name], lambda tensor: tensor.send(bob))
    assert (type(found), str(found)) == (type(wanted), str(wanted))


@pytest.mark.parametrize("kind", [CONSTANT, LEAF, INNER])
@pytest.mark.parametrize("strides", [(3, 1), (0, 1), (1, 2)])
def test_a_kernel_and_a_fake_teach_the_same(kind: Kind, strides: tuple[int, int]) -> None:
    operands = [meta(torch.Size([2, 3]), torch.float32, strides, kind)] * 2
    for call in (lambda t: t[0] * t[1], lambda t: t[0].t() @ t[1], lambda t: F.relu(t[0]), lambda t: t[0][:, 1]):
        told = [Effects().learn(0, operands, call, from_kernel=each) for each in (True, False)]
        assert [each.outputs[0].meta for each in told][1:] == [told[0].outputs[0].meta]
        assert [each.outputs[0].view for each in told][1:] == [told[0].outputs[0].view]


def test_strides_are_those_of_the_kernel_where_a_fake_has_others(bob: Place) -> None:
    strides = []
    for x in (torch.ones(2, 4, 2, 2), torch.ones(2, 4, 2, 2).send(bob)):
        last = x.contiguous(memory_format=torch.channels_last)
        places = torch.zeros_like(last, dtype=torch.int64)
        normed = F.batch_norm(x.transpose(1, 2), None, None, training=True)
        made = [F.max_unpool2d(last, places, 2), F.logsigmoid(last), normed, torch.channel_shuffle(last, 2)]
        made.append(F.one_hot(places.transpose(1, 2), 2))
        strides.append([each.stride() for each in made])
    assert strides[0] == strides[1]


def test_the_margin_of_one_number_has_no_dimension(bob: Place) -> None:
    x, label = torch.ones(()), torch.zeros((), dtype=torch.int64)
    assert F.multi_margin_loss(x.send(bob), label.send(bob), reduction="none").shape == ()


def test_large_tensors_and_searches_are_not_computed_here() -> None:
    small = meta(torch.Size([8]), torch.float32, (1,))
    large = meta(torch.Size([1 << 22]), torch.float32, (1,))
    tall, wide = (meta(torch.Size(shape), torch.float32, (1, 1)) for shape in ([1 << 12, 1], [1, 1 << 12]))
    assert can_tell(torch.add, (), [small, small])
    assert not can_tell(torch.add, (), [small, large])
    assert not can_tell(torch.add, (), [tall, wide])
    assert not can_tell(torch.outer, (), [tall, wide])
    assert not can_tell(F.linear, (), [tall, tall])
    assert can_tell(F.linear, (), [wide, wide])
    assert not can_tell(torch.Tensor.__getitem__, (small, torch.ones(8, dtype=torch.bool)), [small, small])
    assert not can_tell(torch.Tensor.view, (small, torch.tensor(8)), [small, small])
    assert not can_tell(torch.Tensor.__setitem__, (small, torch.ones(8, dtype=torch.bool), 1.0), [small, small])
    assert torch.nonzero not in PLAIN
    assert torch.where not in PLAIN
