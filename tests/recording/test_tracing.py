from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from fedzmq.errors import PlanError
from fedzmq.operations.arguments import Scope, unpack
from fedzmq.operations.catalog import CATALOG
from fedzmq.pointers.metadata import meta_of
from fedzmq.recording.tracing import Recording, record
from fedzmq.tensors.buffers import restore
from tests.pointers.loopback import Place
from tests.pointers.models import IMAGES, LABELS, cnn

close = torch.testing.assert_close


def run(recording: Recording, inputs: list[Tensor]) -> list[Tensor]:
    """What a worker makes of a recording."""
    tensors = dict(zip(recording.inputs, inputs, strict=True))
    scope = Scope(tensors.__getitem__, lambda spec: restore(spec, recording.constants[spec.buffer]))
    for number, result, mask, arguments, *keywords in recording.records:
        values = [tensors[a] if mask >> i & 1 else unpack(a, scope) for i, a in enumerate(arguments)]
        output = CATALOG.function(number)(*values, **{k: unpack(v, scope) for d in keywords for k, v in d.items()})
        if isinstance(result, int):
            tensors[result] = output
        else:
            tensors.update(zip(result, output, strict=True))
    return [tensors[id] for id in recording.outputs]


def names(recording: Recording) -> list[str]:
    return [CATALOG.name(each[0]) for each in recording.records]


def test_a_recording_computes_what_the_function_does() -> None:
    def function(x: Tensor, y: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        a, b = x.chunk(2)
        return a @ y, {"max": torch.max(b, 1).values, "shifted": x[1:] + torch.arange(4.0)}

    x, y = torch.randn(4, 4), torch.randn(4, 2)
    recording = record(function, [x, y])
    first, rest = function(x, y)
    for ours, theirs in zip(run(recording, [x, y]), [first, *rest.values()], strict=True):
        close(ours, theirs)
    assert len(recording.constants) == 1


def test_a_training_step_of_a_module_is_recorded_with_its_buffers() -> None:
    model = nn.Sequential(cnn(), nn.Dropout(0.0))
    state = {**dict(model.named_parameters()), **dict(model.named_buffers())}

    def loss(*tensors: Tensor) -> Tensor:
        *values, x, y = tensors
        return nn.functional.cross_entropy(functional_call(model, dict(zip(state, values, strict=True)), (x,)), y)

    recording = record(loss, [*state.values(), IMAGES, LABELS])
    mutated = {list(state)[id - 1] for id in recording.mutated}
    assert mutated == {"0.1.running_mean", "0.1.running_var", "0.1.num_batches_tracked"}
    assert recording.output_metas[0].kind != 0
    local = copy.deepcopy(model)
    expected = nn.functional.cross_entropy(local(IMAGES), LABELS)
    expected.backward()
    inputs = [value.detach().clone().requires_grad_(value.requires_grad) for value in state.values()]
    (actual,) = run(recording, [*inputs, IMAGES, LABELS])
    actual.backward()
    close(actual, expected)
    for name, value in zip(state, inputs, strict=True):
        close(value.detach(), local.state_dict()[name])
    close(inputs[0].grad, local[0][0].weight.grad)


def test_recordings_of_two_sizes_differ_in_numbers_alone() -> None:
    def function(x: Tensor) -> Tensor:
        return x.reshape(x.shape[0] * 2, -1).sum(1)

    small, large = record(function, [torch.zeros(3, 4)]), record(function, [torch.zeros(5, 4)])
    assert small.records[0] == (small.records[0][0], 2, 1, [1, 6, -1])
    assert large.records[0] == (large.records[0][0], 2, 1, [1, 10, -1])
    assert small.records[1:] == large.records[1:]


def test_writing_through_a_view_counts_as_writing_to_the_input() -> None:
    def function(x: Tensor, y: Tensor) -> Tensor:
        x[0].add_(y)
        return x.sum()

    recording = record(function, [torch.zeros(2, 2), torch.ones(2)])
    assert recording.mutated == (1,)


def test_no_grad_inside_becomes_detached_operands() -> None:
    def function(x: Tensor) -> Tensor:
        with torch.no_grad():
            scale = x * 2
        return (x * scale).sum()

    x = torch.tensor([1.0, 2.0], requires_grad=True)
    recording = record(function, [x])
    run(recording, [x])[0].backward()
    close(x.grad, torch.tensor([2.0, 4.0]))
    assert "Tensor.detach" in names(recording)


def test_a_branch_on_a_value_is_an_error_at_its_line() -> None:
    def function(x: Tensor) -> Tensor:
        if x.sum() > 0:  # here
            return x
        return -x

    with pytest.raises(PlanError, match="branches") as caught:
        record(function, [torch.zeros(2)])
    _, _, rest = str(caught.value).partition("test_tracing.py:")
    line = int(rest.split(" ")[0])
    with open(__file__) as source:
        assert source.read().splitlines()[line - 1].endswith("# here")


@pytest.mark.parametrize("name", ["item", "mask", "backward", "get", "send"])
def test_what_a_list_of_operations_cannot_say_is_refused(bob: Place, name: str) -> None:
    functions = {
        "item": lambda x: x * x[0].item(),
        "mask": lambda x: x[x > 0],
        "backward": lambda x: x.sum().backward(),
        "get": lambda x: x.get(),
        "send": lambda x: x + torch.ones(2).send(bob),
    }
    with pytest.raises(PlanError, match=r"test_tracing\.py:\d+"):
        record(functions[name], [torch.zeros(2, 2, requires_grad=True)])


def test_a_key_made_of_a_pointer_is_refused_with_its_line() -> None:
    with pytest.raises(PlanError, match=r"a key made of a pointer at .*test_tracing\.py:\d+"):
        record(lambda x: {"expert_0": x}[f"expert_{x.argmax()}"], [torch.zeros(2)])


def test_a_result_that_does_not_come_from_the_inputs_is_refused() -> None:
    with pytest.raises(PlanError, match="does not depend"):
        record(lambda x: torch.zeros(2), [torch.zeros(2)])


def test_a_recording_needs_only_metadata() -> None:
    recording = record(lambda x: x * 2, [meta_of(torch.zeros(2))])
    assert names(recording) == ["Tensor.mul"] or names(recording) == ["Tensor.__mul__"]
    assert recording.origins[0].startswith(__file__)
