"""Small models that need no code of the user's, by the names that `--model` takes."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

from torch import nn

from fedzmq.errors import ModelError

_LIKE = {
    **dict.fromkeys(("resnet", "lenet", "alexnet", "vgg", "densenet", "mobilenet", "efficientnet", "conv"), "cnn"),
    **dict.fromkeys(("logistic", "softmax", "regression"), "linear"),
    **dict.fromkeys(("perceptron", "dense", "dnn", "fc"), "mlp"),
}


def likeness(source: str) -> str:
    """The end of a sentence about a model of the literature's: the nearest to it that there is."""
    plain = re.sub(r"[^a-z]", "", source.lower())
    near = next((ours for theirs, ours in _LIKE.items() if theirs in plain), "")
    return (
        f"; the nearest to it is {near!r}, and one like it of your own is a function in a file: my_models:net"
        if near
        else ""
    )


def _linear(source: str, shape: tuple[int, ...], width: int) -> nn.Module:
    """Logistic or linear regression."""
    return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(shape), width))


def _mlp(source: str, shape: tuple[int, ...], width: int) -> nn.Module:
    """Two hidden layers."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(math.prod(shape), 128),
        nn.ReLU(),
        nn.Linear(128, 64),
        nn.ReLU(),
        nn.Linear(64, width),
    )


def _cnn(source: str, shape: tuple[int, ...], width: int) -> nn.Module:
    """Two convolutions with batch normalisation, for images as (channels, height, width) or square and flat."""
    image = _image(source, shape)
    channels, high, wide = image
    return nn.Sequential(
        nn.Flatten(),
        nn.Unflatten(1, image),
        nn.Conv2d(channels, 16, 3, padding=1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1, bias=False),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * (high // 4) * (wide // 4), width),
    )


def _image(source: str, shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Channels, height and width of one example."""
    side = math.isqrt(shape[0])
    if len(shape) == 1 and side * side == shape[0]:
        image = (1, side, side)
    elif len(shape) == 2:
        image = (1, shape[0], shape[1])
    elif len(shape) == 3:
        image = (shape[0], shape[1], shape[2])
    else:
        raise ModelError(source, f"it takes images, and one example has the shape {shape}; 'mlp' takes any")
    if min(image[1:]) < 4:
        raise ModelError(source, f"it takes images of at least 4 by 4, and these are {image[1]} by {image[2]}")
    return image


BUILT_IN: dict[str, Callable[[str, tuple[int, ...], int], nn.Module]] = {"linear": _linear, "mlp": _mlp, "cnn": _cnn}
