from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from fedzmq.data.data import Data
from fedzmq.data.load import load
from fedzmq.errors import ModelError
from fedzmq.federated.built_in_models import BUILT_IN
from fedzmq.federated.models import check_model, load_model

Owner = Callable[[str], str]


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Owner]:
    """Writes the coordinator's own module, and names the `model` in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    name = f"own_model_{tmp_path.name}".replace("-", "_")

    def write(text: str) -> str:
        (tmp_path / f"{name}.py").write_text("from torch import nn\n" + textwrap.dedent(text))
        return f"{name}:model"

    yield write
    sys.modules.pop(name, None)


def regression() -> Data:
    return Data("measured", torch.ones(4, 3), torch.ones(4, 1), None)


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_built_in_model_fits_the_digits(name: str) -> None:
    digits = load("digits")

    check_model(name, load_model(name, digits.features.shape[1:], digits.classes, seed=0), digits)


@pytest.mark.parametrize("name", ["linear", "mlp"])
def test_a_built_in_model_fits_a_regression(name: str) -> None:
    check_model(name, load_model(name, (3,), None, seed=0), regression())


@pytest.mark.parametrize("shape", [(64,), (8, 8), (1, 8, 8), (3, 9, 5)])
def test_the_cnn_takes_images_flat_or_not(shape: tuple[int, ...]) -> None:
    model = load_model("cnn", shape, 10, seed=0)

    assert model(torch.zeros(2, *shape)).shape == (2, 10)


@pytest.mark.parametrize(("shape", "reason"), [((30,), "it takes images"), ((9,), "at least 4 by 4")])
def test_the_cnn_refuses_what_is_not_an_image(shape: tuple[int, ...], reason: str) -> None:
    with pytest.raises(ModelError, match=reason):
        load_model("cnn", shape, 2, seed=0)


def test_the_cnn_has_running_statistics() -> None:
    buffers = dict(load_model("cnn", (64,), 10, seed=0).named_buffers())

    assert {buffer.dtype for buffer in buffers.values()} == {torch.float32, torch.int64}


def test_the_same_seed_gives_the_same_model() -> None:
    first, second = (load_model("mlp", (64,), 10, seed=5).state_dict() for _ in range(2))

    assert all(torch.equal(first[name], second[name]) for name in first)


def test_another_seed_gives_another_model() -> None:
    first, second = (load_model("linear", (64,), 10, seed=seed).state_dict() for seed in (1, 2))

    assert not torch.equal(first["1.weight"], second["1.weight"])


def test_loading_a_model_leaves_the_random_state_alone() -> None:
    before = torch.random.get_rng_state()
    load_model("mlp", (64,), 10, seed=5)

    assert torch.equal(torch.random.get_rng_state(), before)


def test_an_unknown_model_gets_a_suggestion() -> None:
    with pytest.raises(ModelError, match=r"\(linear, mlp, cnn\) or module:function; did you mean 'mlp'\?"):
        load_model("mpl", (64,), 10, seed=0)


@pytest.mark.parametrize(("name", "near"), [("resnet18", "cnn"), ("DenseNet", "cnn"), ("logistic", "linear")])
def test_a_model_of_the_literatures_gets_the_nearest_to_it(name: str, near: str) -> None:
    with pytest.raises(
        ModelError, match=rf"module:function; the nearest to it is '{near}', and one like it of your own"
    ):
        load_model(name, (64,), 10, seed=0)


def test_a_function_without_arguments_is_called_so(own: Owner) -> None:
    model = load_model(own("def model(): return nn.Linear(7, 3)"), (64,), 10, seed=0)

    assert isinstance(model, nn.Linear)
    assert (model.in_features, model.out_features) == (7, 3)


def test_a_function_of_two_gets_features_and_classes(own: Owner) -> None:
    model = load_model(
        own("def model(features, classes, depth=1): return nn.Linear(features, classes)"), (64,), 10, seed=0
    )

    assert isinstance(model, nn.Linear)
    assert (model.in_features, model.out_features) == (64, 10)


def test_a_function_of_two_gets_the_shape_of_an_image(own: Owner) -> None:
    source = own(
        """
        def model(features, classes):
            assert features == (1, 8, 8)
            return nn.Linear(1, classes)
        """
    )

    assert load_model(source, (1, 8, 8), 10, seed=0)


def test_a_class_of_modules_serves_as_a_function(own: Owner) -> None:
    source = own(
        """
        class model(nn.Sequential):
            def __init__(self, features, classes):
                super().__init__(nn.Linear(features, classes))
        """
    )

    assert load_model(source, (4,), 2, seed=0)(torch.zeros(1, 4)).shape == (1, 2)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("def model(): return 3", "a torch.nn.Module was expected, and the function returned 3"),
        ("def model(): return nn.ReLU()", "it has no parameters that train"),
        ("def model(): return nn.Linear(-1, 'a')", "the function failed with"),
        ("def model(one): return nn.Linear(1, 1)", "the function takes one, and it must take nothing or two"),
        ("def model(a, b, c): return nn.Linear(1, 1)", "the function takes a, b, c, and it must"),
        ("model = 3", "has it with the type int"),
        ("def other(): pass", "'model' is to be a function, and own_model"),
        ("import no_such_package_here", "ModuleNotFoundError"),
    ],
)
def test_a_function_that_gives_no_model_is_refused(own: Owner, text: str, reason: str) -> None:
    source = own(text)

    with pytest.raises(ModelError) as caught:
        load_model(source, (64,), 10, seed=0)

    assert str(caught.value).startswith(f"cannot use the model {source!r}: ")
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (nn.Linear(5, 1), "it does not take examples of shape (3,) and torch.float32 of 'measured'"),
        (nn.Linear(3, 2), "it answers with shape (2, 2), and (2, 1) is due: one number per target"),
        (nn.Sequential(nn.Linear(3, 1), nn.Flatten(0)), "it answers with shape (2,), and (2, 1) is due"),
        (nn.LSTM(3, 1), "one tensor was expected, and it answers with tuple"),
    ],
)
def test_a_model_that_does_not_fit_the_data_is_refused(model: nn.Module, reason: str) -> None:
    with pytest.raises(ModelError) as caught:
        check_model("mine", model, regression())

    assert reason in str(caught.value)


def test_checking_a_model_changes_nothing_in_it() -> None:
    model = load_model("cnn", (64,), 10, seed=0)
    model[3].eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}

    check_model("cnn", model, load("digits"))

    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert [module.training for module in model][:5] == [True, True, True, False, True]
