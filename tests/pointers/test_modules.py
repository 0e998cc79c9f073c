from __future__ import annotations

import copy
import io
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from fedzmq.errors import ModelError, PointerError
from fedzmq.pointers.pointer import Pointer
from tests.pointers.loopback import Place
from tests.pointers.models import X, assert_same, cnn, mlp

close = torch.testing.assert_close


def test_parts_on_two_workers_of_one_name_come_home_as_they_were(bob: Place) -> None:
    other = Place("bob")  # another client's
    first, second = nn.Linear(2, 2), nn.Linear(2, 2)
    before = [parameter.detach().clone() for parameter in (*first.parameters(), *second.parameters())]
    first.send(bob)  # type: ignore[operator]  # a verb
    second.send(other)  # type: ignore[operator]
    both: Any = nn.Sequential(first, second)
    assert all(map(torch.equal, both.get().parameters(), before))


def test_parameters_are_the_same_objects_there_and_back(bob: Place) -> None:
    model = cnn()
    before = [id(parameter) for parameter in model.parameters()]
    assert model.send(bob) is model
    assert [id(parameter) for parameter in model.parameters()] == before
    assert all(isinstance(parameter, Pointer) for parameter in model.parameters())
    assert all(isinstance(parameter, nn.Parameter) for parameter in model.parameters())
    assert model.get() is model
    assert [id(parameter) for parameter in model.parameters()] == before
    assert all(type(parameter) is nn.Parameter for parameter in model.parameters())
    assert all(type(buffer) is torch.Tensor for buffer in model.buffers())
    assert_same_here(model, cnn())
    assert bob.stored == 0


def test_a_local_model_is_its_own_get() -> None:
    model = mlp()
    assert model.get() is model
    assert model.location is None


def test_a_model_knows_where_it_is(bob: Place) -> None:
    model = mlp().send(bob)
    assert model.location is bob
    assert model.send(bob) is model


def test_buffers_gradients_and_frozen_parameters_travel(bob: Place) -> None:
    model = cnn()
    model[0].weight.requires_grad_(False)
    model(torch.randn(2, 1, 12, 12)).sum().backward()
    expected = copy.deepcopy(model)
    grad = model[0].bias.grad.clone()
    model.send(bob)
    assert not model[0].weight.requires_grad
    assert model[0].weight.grad is None
    close(model[0].bias.grad.get(), grad)
    assert model[1].num_batches_tracked.get() == 1
    model.get()
    close(model[0].bias.grad, grad)
    assert not model[0].weight.requires_grad
    assert_same_here(model, expected)


def test_tied_parameters_and_shared_buffers_stay_one(bob: Place) -> None:
    a, b = nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False)
    b.weight = a.weight
    a.register_buffer("scale", torch.ones(1))
    b.register_buffer("scale", a.scale)
    model = nn.Sequential(a, b).send(bob)
    assert a.weight is b.weight
    assert a.scale is b.scale
    assert bob.stored == 2
    model.get()
    assert a.weight is b.weight
    assert a.scale is b.scale
    assert type(a.weight) is nn.Parameter


def test_attributes_that_the_user_set_on_a_parameter_stay(bob: Place) -> None:
    model = mlp()
    model[0].weight.note = "mine"
    assert model.send(bob)[0].weight.note == "mine"
    assert model.get()[0].weight.note == "mine"


def test_a_model_trained_here_before_can_be_sent(bob: Place) -> None:
    model = mlp()
    loss = model(X).sum()
    loss.backward()
    del loss
    model.send(bob)
    close(model[0].weight.grad.get(), model.get()[0].weight.grad)


def test_a_model_that_a_local_graph_still_uses_is_not_sent_half_way(bob: Place) -> None:
    model = mlp()
    output = model(X)
    with pytest.raises(PointerError, match=r"del the outputs"):
        model.send(bob)
    assert all(type(parameter) is nn.Parameter for parameter in model.parameters())
    del output
    model.send(bob)


def test_a_weak_reference_to_a_parameter_is_said_to_be_in_the_way(bob: Place) -> None:
    model = mlp()
    watch = weakref.ref(model[0].weight)
    with pytest.raises(PointerError):
        model.send(bob)
    assert watch() is model[0].weight


def test_a_model_moves_between_workers_and_is_not_sent_twice(bob: Place, alice: Place) -> None:
    model = mlp().send(bob)
    with pytest.raises(PointerError, match=r"\.move\("):
        model.send(alice)
    assert model.move(alice) is model
    assert (model.location, bob.stored, alice.stored) == (alice, 0, 4)
    assert_same(model, mlp())


def test_fetching_a_model_takes_one_wait_for_all_of_it(bob: Place) -> None:
    model = cnn().send(bob)
    bob.stream.flush()
    messages = bob.line.messages
    model.get()
    assert bob.line.messages == messages + 1


def test_a_state_dict_is_of_pointers_and_loads_local_values_and_pointers(bob: Place) -> None:
    model, other = mlp().send(bob), nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 5))
    state = model.state_dict()
    assert all(isinstance(value, Pointer) for value in state.values())
    model.load_state_dict(other.state_dict())
    assert_same(model, other)
    model.load_state_dict({name: value.send(bob) for name, value in mlp().state_dict().items()})
    assert_same(model, mlp())


def test_a_remote_model_changes_dtype_in_place(bob: Place) -> None:
    model = mlp().send(bob)
    weight = model[0].weight
    model.double()
    assert model[0].weight is weight
    assert weight.dtype is torch.float64
    model(X.double().send(bob)).sum().backward()
    assert weight.grad.get().dtype is torch.float64
    assert model.float().to("cpu").eval().requires_grad_(False)[0].weight.get().dtype is torch.float32


def test_modules_with_members_named_like_the_verbs_keep_them(bob: Place) -> None:
    class Awkward(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.copy = nn.Linear(2, 2)
            self.location = "here"

        def get(self) -> str:
            return "mine"

    model = Awkward()
    assert isinstance(model.copy, nn.Linear)
    assert model.location == "here"
    assert model.get() == "mine"
    model.send(bob)
    assert isinstance(model.copy.weight, Pointer)


def test_weight_norm_works_there(bob: Place) -> None:
    model = torch.nn.utils.parametrizations.weight_norm(nn.Linear(8, 4))
    expected = model(X).detach()
    close(model.send(bob)(X.send(bob)).get(), expected)


def assert_same_here(model: nn.Module, expected: nn.Module) -> None:
    for name, value in expected.state_dict().items():
        close(model.state_dict()[name], value)


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors:UserWarning")
def test_an_encoder_in_evaluation_takes_padding_as_it_comes(bob: Place) -> None:
    local = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 8, batch_first=True), 1).eval()
    remote = copy.deepcopy(local).send(bob)
    x, padded = torch.ones(2, 3, 8), torch.tensor([[False, False, True], [False, True, True]])
    with torch.no_grad():
        expected = local(x, src_key_padding_mask=padded)
        found = remote(x.send(bob), src_key_padding_mask=padded.send(bob)).get()
    torch.testing.assert_close(found[~padded], expected[~padded])


@pytest.mark.filterwarnings("ignore:`torch.jit.script`", "ignore::DeprecationWarning")
def test_torchscript_is_code_and_is_not_sent(bob: Place) -> None:
    with pytest.raises(ModelError, match="TorchScript is code"):
        torch.jit.script(nn.Linear(2, 1)).send(bob)


def test_a_copied_parameter_has_no_gradient_as_here(bob: Place) -> None:
    for model in (nn.Linear(2, 1), nn.Linear(2, 1).send(bob)):
        model.weight.sum().backward()
        assert copy.deepcopy(model).weight.grad is None


def test_a_device_of_the_clients_moves_nothing(bob: Place) -> None:
    model = nn.Linear(2, 1).send(bob)
    assert model.cuda() is model
    assert model(torch.ones(1, 2).send(bob).cuda()).location is bob


@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated")
def test_a_weight_that_was_computed_before_the_model_was_sent_is_computed_again(bob: Place) -> None:
    layer = nn.utils.weight_norm(nn.Linear(3, 2))
    x = torch.ones(4, 3)
    wanted = layer(x).detach()
    layer.send(bob)
    close(layer(x.send(bob)).detach().get(), wanted)
    layer.get()
    close(layer(x).detach(), wanted)


def test_a_module_without_shapes_follows_when_it_learns_them(bob: Place) -> None:
    def trained(send: Callable[[Any], Any]) -> nn.Module:
        torch.manual_seed(0)
        model = nn.Sequential(nn.LazyLinear(4), nn.Tanh(), nn.Linear(4, 2))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        send(model)
        for _ in range(2):
            optimizer.zero_grad()
            model(send(torch.ones(3, 5))).sum().backward()
            optimizer.step()
        return model

    here, there = trained(lambda each: each), trained(lambda each: each.send(bob))
    assert all(isinstance(each, Pointer) for each in there.parameters())
    for value, wanted in zip(there.get().parameters(), here.parameters(), strict=True):
        assert torch.allclose(value, wanted)


def test_a_module_without_shapes_that_came_home_again_stays_there(bob: Place) -> None:
    layer = nn.LazyLinear(4).send(bob).get()
    assert layer(torch.ones(3, 5)).shape == (3, 4)
    assert layer.location is None


def test_a_module_without_shapes_is_saved_at_home_alone(bob: Place) -> None:
    layer = nn.LazyLinear(4).send(bob)
    with pytest.raises(PointerError, match=r"follows its first batch to 'bob'; \.get"):
        torch.save(layer, io.BytesIO())
    with io.BytesIO() as saved:
        torch.save(layer.get(), saved)
        saved.seek(0)
        assert torch.load(saved, weights_only=False)(torch.ones(3, 5)).shape == (3, 4)
