from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from fedzmq.errors import RunChanged, RunNotFound, UsageError
from fedzmq.federated.ledger.run_history import read_history
from fedzmq.federated.run_folder import read_rounds
from fedzmq.federation.federation import Federation
from tests.federation.test_federation import linear, points

ROUNDS = {"rounds": 4, "batch_size": 8, "lr": 0.5, "strategy": "scaffold"}


def federation() -> Federation:
    return Federation(workers={"bob": points(1), "alice": points(2)})


def undisturbed() -> nn.Module:
    model = linear()
    with federation() as site:
        site.train(model, evaluate=points(3), **ROUNDS).run()
    return model


def left(path: Path, after: int = 2) -> None:
    """A run whose loop was left, and whose process ended then."""
    with federation() as site, site.train(linear(), evaluate=points(3), out=path, **ROUNDS) as training:
        for report in training:
            if report.round == after:
                break


def test_a_loop_that_was_left_goes_on_in_another_program(tmp_path: Path) -> None:
    left(tmp_path / "run")
    model = nn.Linear(2, 2)
    with federation() as site:
        history = site.train(model, evaluate=points(3), resume=tmp_path / "run", **ROUNDS).run()

    assert [report.round for report in history] == [1, 2, 3, 4]
    assert list(history) == read_rounds(tmp_path / "run")
    assert all(map(torch.equal, model.state_dict().values(), undisturbed().state_dict().values()))
    assert torch.equal(load_file(tmp_path / "run" / "model.safetensors")["weight"], model.weight)
    assert read_history(tmp_path / "run").state == "finished"


def test_a_loop_that_was_left_goes_on_in_the_same_program(tmp_path: Path) -> None:
    model = linear()
    with federation() as site:
        with site.train(model, evaluate=points(3), out=tmp_path / "run", **ROUNDS) as training:
            next(training)
        site.train(model, evaluate=points(3), resume=tmp_path / "run", **ROUNDS).run()

    assert all(map(torch.equal, model.state_dict().values(), undisturbed().state_dict().values()))


def test_a_finished_run_has_its_model_and_its_history_and_no_more_rounds(tmp_path: Path) -> None:
    left(tmp_path / "run")
    for _ in range(2):
        model = nn.Linear(2, 2)
        with federation() as site:
            history = site.train(model, evaluate=points(3), resume=tmp_path / "run", **ROUNDS).run()

        assert len(history) == 4
        assert all(map(torch.equal, model.state_dict().values(), undisturbed().state_dict().values()))


def test_another_learning_rate_is_refused_and_leaves_the_runs_model_alone(tmp_path: Path) -> None:
    left(tmp_path / "run")
    before = (tmp_path / "run" / "model.safetensors").read_bytes()
    other = {**ROUNDS, "lr": 0.25}
    with federation() as site, pytest.raises(RunChanged, match=r"options was {'lr': 0\.5} and is {'lr': 0\.25}"):
        site.train(linear(), evaluate=points(3), resume=tmp_path / "run", **other).run()

    assert (tmp_path / "run" / "model.safetensors").read_bytes() == before


def test_another_learning_rate_is_taken_by_force(tmp_path: Path) -> None:
    left(tmp_path / "run")
    other = {**ROUNDS, "lr": 0.25}
    with federation() as site:
        history = site.train(linear(), evaluate=points(3), resume=tmp_path / "run", force=True, **other).run()

    assert len(history) == 4


def test_a_run_that_is_not_there_and_a_second_folder_are_refused(tmp_path: Path) -> None:
    with federation() as site:
        with pytest.raises(RunNotFound):
            site.train(linear(), resume=tmp_path / "run", **ROUNDS)
        with pytest.raises(UsageError, match="a run that is resumed stays in its folder"):
            site.train(linear(), resume=tmp_path / "run", out=tmp_path / "other", **ROUNDS)
