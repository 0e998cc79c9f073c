from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from fedzmq.errors import UsageError
from fedzmq.federated.strategies import STRATEGIES, Strategy, by_name, options_of
from fedzmq.federated.strategies.fedopt import FedAdam
from fedzmq.federated.strategies.fedprox import FedProx
from fedzmq.federated.strategies.robust.krum import MultiKrum


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_has_a_default_for_all_its_numbers(name: str) -> None:
    assert isinstance(by_name(name), Strategy)


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_names_its_paper(name: str) -> None:
    assert STRATEGIES[name].__doc__


def test_options_are_given_as_numbers_or_as_text() -> None:
    assert repr(by_name("fedadam", lr="0.5", tau=0.1)) == repr(by_name("fedadam", lr=0.5, tau="0.1"))
    strategy = by_name("fedadam", lr="0.5")
    assert isinstance(strategy, FedAdam)
    assert strategy.lr == 0.5


def test_an_integer_stays_one() -> None:
    strategy = by_name("multikrum", attackers="2", selected=3)

    assert isinstance(strategy, MultiKrum)
    assert (strategy.attackers, strategy.selected) == (2, 3)


def test_the_options_of_a_strategy_are_known_with_their_kinds() -> None:
    assert options_of("fedprox") == {"mu": "float"}
    assert options_of("fedper") == {"keep": "str"}
    assert options_of("multikrum") == {"attackers": "int", "selected": "int"}
    assert options_of("median") == {}


def test_an_unknown_name_is_told_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"no strategy 'fedadm' \(known: fedavg, .*\); did you mean 'fedadam'\?"):
        by_name("fedadm")


def test_an_unknown_option_is_told_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"'fedavgm' has no option 'momentun' .*; did you mean 'momentum'\?"):
        by_name("fedavgm", momentun=0.5)


def test_a_strategy_without_options_says_so() -> None:
    with pytest.raises(UsageError, match=r"'median' has no option 'mu' \(it has none\)"):
        by_name("median", mu=1)


def test_text_that_is_no_number_is_refused() -> None:
    says = "the option 'mu' of the strategy 'fedprox' is 'much', and a number is expected"
    with pytest.raises(UsageError, match=says):
        by_name("fedprox", mu="much")


@pytest.mark.parametrize(
    ("name", "option", "value", "kind"),
    [
        ("fedprox", "mu", float("inf"), "a number"),
        ("fedprox", "mu", "nan", "a number"),
        ("fedprox", "mu", None, "a number"),
        ("fedprox", "mu", True, "a number"),
        ("krum", "attackers", 1.5, "a whole number"),
        ("krum", "attackers", "1.5", "a whole number"),
        ("krum", "attackers", float("inf"), "a whole number"),
        ("krum", "attackers", [], "a whole number"),
        ("fedper", "keep", 3, "a text"),
    ],
)
def test_what_is_of_another_kind_is_refused(name: str, option: str, value: Any, kind: str) -> None:
    says = re.escape(f"the option {option!r} of the strategy {name!r} is {value!r}, and {kind} is expected")
    with pytest.raises(UsageError, match=says):
        by_name(name, **{option: value})


def test_infinity_is_no_number_of_a_strategy() -> None:
    with pytest.raises(UsageError, match="mu is inf, and a number from 0 is needed"):
        FedProx(mu=float("inf"))


OWN = """
from dataclasses import dataclass
from fedzmq.federated.strategies import Strategy

@dataclass(eq=False)
class Cautious(Strategy):
    share: float = 0.5
    keeps: bool = False

class Plain(Strategy):
    def __init__(self, share=0.5):
        self.share = 1 / share

class Wide(Strategy):
    def __init__(self, *args, share=0.5, **more):
        self.share = share

table = dict
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a module with strategies of the user's."""
    name = f"strategies_{tmp_path.name}".replace("-", "_")
    (tmp_path / f"{name}.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    return name


@pytest.mark.parametrize("kind", ["Cautious", "Plain"])
def test_ones_own_is_named_by_its_module_and_takes_options_as_text(own: str, kind: str) -> None:
    given = {"share": "0.25", "keeps": "true"} if kind == "Cautious" else {"share": "4"}
    strategy = by_name(f"{own}:{kind}", **given)

    assert vars(strategy) == ({"share": 0.25, "keeps": True} if kind == "Cautious" else {"share": 0.25})


@pytest.mark.parametrize(
    ("kind", "options", "sentence"),
    [
        ("Cautious", {"shar": "1"}, "has no option 'shar' (known: share, keeps); did you mean 'share'?"),
        ("Cautious", {"keeps": "perhaps"}, "is 'perhaps', and true or false is expected"),
        ("Plain", {"share": "inf"}, "is 'inf', and a finite number or a text is expected"),
        ("Plain", {"share": "0"}, "to make it failed with ZeroDivisionError"),
        ("Wide", {"args": "1"}, "has no option 'args' (known: share)"),
        ("table", {}, "a Strategy is expected, and it gives {}"),
        ("dataclass", {}, "a Strategy is expected, and it gives <function"),
        ("Bold", {}, "'Bold' is to be a function, and "),
    ],
)
def test_ones_own_that_cannot_be_used_is_a_sentence(
    own: str, kind: str, options: dict[str, str], sentence: str
) -> None:
    with pytest.raises(UsageError, match=re.escape(sentence)):
        by_name(f"{own}:{kind}", **options)
