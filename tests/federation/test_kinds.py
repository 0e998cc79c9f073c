from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn

from fedzmq.errors import UsageError
from fedzmq.federated.report import Answer
from fedzmq.federated.strategies import Strategy
from fedzmq.federation.federation import Federation


class Cautious(Strategy):
    def weigh(self, answer: Answer) -> float:
        return 1.0

    def _weight(self) -> float:
        return 1.0


class Slipped(Strategy):
    def weight(self, answer: Answer) -> float:
        return 1.0


@pytest.fixture(scope="module")
def federation() -> Iterator[Federation]:
    x = torch.randn(8, 2, generator=torch.Generator().manual_seed(0))
    with Federation(workers={"bob": (x, (x.sum(1) > 0).long())}) as federation:
        yield federation


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"strategy": Cautious}, "the strategy is the class Cautious, and an instance is expected: Cautious(...)"),
        ({"strategy": 3}, "the strategy is 3, and a name is expected"),
        ({"strategy": Slipped()}, "Slipped has a method 'weight', which nobody calls; did you mean 'weigh'?"),
        ({"model": nn.Linear}, "the model is the class Linear, and an instance is expected: Linear(...)"),
        ({"model": 3}, "the model is 3, and a torch.nn.Module is expected"),
        ({"loss": 3}, "the loss is 3, and a function of the model's answers and the targets is expected"),
        ({"loss": "ce"}, "no loss 'ce' (known: bce, bce_with_logits, cross_entropy, "),
        ({"loss": nn.CrossEntropyLoss}, "the loss is the class CrossEntropyLoss, and an instance is expected"),
        ({"lr": "x"}, "the option 'lr' of an optimizer is 'x', and a number is expected"),
        ({"rounds": "x"}, "rounds is 'x', and a whole number from 1 is expected"),
        ({"patience": "x"}, "patience is 'x', and a number is expected"),
        ({"ruonds": 3}, "a training has no option 'ruonds'; did you mean 'rounds'?"),
    ],
)
def test_what_is_of_another_kind_is_said_in_one_sentence(
    federation: Federation, given: dict[str, Any], says: str
) -> None:
    with pytest.raises(UsageError, match=re.escape(says)):
        federation.train(**{"model": nn.Linear(2, 2), "rounds": 1, **given})


def test_a_strategy_may_have_methods_of_its_own(federation: Federation) -> None:
    assert len(federation.train(nn.Linear(2, 2), strategy=Cautious(), rounds=1).run()) == 1


def test_a_federation_suggests_the_option_that_was_meant() -> None:
    with pytest.raises(UsageError, match=r"no option 'wrkers' .*; did you mean 'workers'\?"):
        Federation(wrkers=2)  # type: ignore[arg-type]
