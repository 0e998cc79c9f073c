from __future__ import annotations

import gc
import io
import re
import signal
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss

from fedzmq.cluster.local_cluster import LocalCluster
from fedzmq.data.data import Data
from fedzmq.errors import DataError, ModelError, StrategyFailed, UsageError, WorkerNotFoundError
from fedzmq.federated.evaluation.score import Score
from fedzmq.federated.run_folder import read_rounds
from fedzmq.federated.strategies import Strategy
from fedzmq.federation.federation import Federation
from fedzmq.federation.live_display import LiveDisplay
from tests.processes import Spoken

ROUNDS = {"rounds": 3, "batch_size": 8, "lr": 0.5}


def points(seed: int, rows: int = 40) -> tuple[torch.Tensor, torch.Tensor]:
    """Two classes, on either side of a line."""
    x = torch.randn(rows, 2, generator=torch.Generator().manual_seed(seed))
    return x, (x.sum(1) > 0).long()


def linear() -> nn.Module:
    torch.manual_seed(0)
    return nn.Linear(2, 2)


@pytest.fixture
def federation() -> Iterator[Federation]:
    with Federation(workers={"bob": points(1), "alice": points(2)}) as federation:
        yield federation


def test_a_loop_over_the_reports_trains_the_model_in_place(federation: Federation) -> None:
    model = linear()
    reports = list(federation.train(model, cross_entropy, evaluate=points(3), **ROUNDS))

    assert [report.round for report in reports] == [1, 2, 3]
    assert [answer.worker for answer in reports[0].answered] == ["alice", "bob"]
    x, y = points(3)
    assert reports[-1].accuracy == int((model(x).argmax(1) == y).sum()) / len(y) > 0.8


def test_the_loss_follows_from_the_data_where_nobody_says_it(federation: Federation) -> None:
    first, second = linear(), linear()
    federation.train(first, **ROUNDS).run()
    federation.train(second, cross_entropy, **ROUNDS).run()

    assert torch.equal(first.weight, second.weight)  # type: ignore[arg-type]


def test_any_loss_trains_any_module(federation: Federation) -> None:
    class Squared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(2, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layer(x * x)  # type: ignore[no-any-return]

    def loss(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return mse_loss(output[:, 0].sigmoid(), target.float())

    history = federation.train(Squared(), loss, evaluate=points(3), **ROUNDS).run()

    assert history[-1].train_loss < history[0].train_loss
    assert history[-1].loss > 0
    assert history[-1].accuracy is None


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_a_model_of_another_precision_is_trained_in_its_own(federation: Federation, dtype: torch.dtype) -> None:
    model = linear().to(dtype)
    training = federation.train(model, rounds=3, evaluate=points(9), evaluate_at="both", metrics=["f1"], progress=False)
    *_, last = training

    assert model.weight.dtype is dtype
    assert last.loss < training.history[0].loss
    assert last.evaluated


def test_whatever_a_job_knows_can_be_asked_for(federation: Federation) -> None:
    more = {"optimizer": "adam", "fraction": 0.5, "max_steps": 2, "clip_norm": 1.0, "seed": 3}
    history = federation.train(linear(), options={"weight_decay": 0.1}, **{**ROUNDS, **more}).run()

    assert [len(report.answered) for report in history] == [1, 1, 1]
    assert {answer.steps for report in history for answer in report.answered} == {2}


def test_a_strategy_is_a_name_or_ones_own(federation: Federation) -> None:
    class Slow(Strategy):
        def step(self, name: str, old: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
            return old

    model = linear()
    before = model.weight.clone()  # type: ignore[operator]
    federation.train(model, strategy=Slow(), **ROUNDS).run()
    assert torch.equal(model.weight, before)  # type: ignore[arg-type]
    assert len(federation.train(model, strategy="fedprox", strategy_options={"mu": 0.1}, **ROUNDS).run()) == 3
    assert len(federation.train(model, strategy="fedbuff", strategy_options={"buffer": 1}, **ROUNDS).run()) == 3


class Crash(Strategy):
    def step(self, name: str, old: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
        return {}[name]  # type: ignore[no-any-return]


def test_a_strategy_that_raises_is_named_with_its_line(federation: Federation, tmp_path: Path) -> None:
    where = f"the strategy Crash failed in round 1: KeyError: 'weight' \\({re.escape(__file__)}:[0-9]+\\)$"
    with pytest.raises(KeyError) as raised:
        federation.train(linear(), strategy=Crash(), **ROUNDS).run()
    with pytest.raises(StrategyFailed, match=where):
        federation.train(linear(), strategy=Crash(), out=tmp_path / "run", record="", **ROUNDS).run()

    assert sys.version_info < (3, 11) or re.match(where, raised.value.__notes__[0])


@pytest.mark.parametrize("method", ["check", "personal"])
def test_a_strategy_that_raises_before_the_first_round_is_named_too(federation: Federation, method: str) -> None:
    def crash(self: Strategy, given: object) -> None:
        raise KeyError(method)

    crashing = type("Crash", (Strategy,), {method: crash})()
    with pytest.raises(StrategyFailed, match=f"Crash failed before the first round: KeyError: '{method}' "):
        federation.train(linear(), strategy=crashing, record="", **ROUNDS)


def test_a_function_of_ones_own_judges_the_model(federation: Federation) -> None:
    history = federation.train(linear(), evaluate=lambda model: Score(0.25, 0.75), **ROUNDS).run()

    assert (history[0].loss, history[0].accuracy) == (0.25, 0.75)


def test_a_break_ends_the_training_with_the_model_of_that_round(federation: Federation, tmp_path: Path) -> None:
    model = linear()
    for report in federation.train(model, out=tmp_path / "run", **{**ROUNDS, "rounds": 1000}):
        if report.round == 2:
            break
    gc.collect()

    assert len(read_rounds(tmp_path / "run")) == 2
    assert torch.equal(load_file(tmp_path / "run" / "model.safetensors")["weight"], model.weight)  # type: ignore[arg-type]
    assert (tmp_path / "run" / "plot.png").exists()


def test_after_a_break_the_federation_trains_again(federation: Federation) -> None:
    for _ in federation.train(linear(), **ROUNDS):
        break

    assert len(federation.train(linear(), **ROUNDS).run()) == 3


def test_a_break_out_of_asynchronous_training_stops_who_still_trains(federation: Federation) -> None:
    training = federation.train(linear(), strategy="fedasync", **{**ROUNDS, "rounds": 1000})
    next(training)
    training.close()

    assert next(training, None) is None
    assert len(federation.train(linear(), **ROUNDS).run()) == 3


def test_what_goes_on_ends_with_the_federation(tmp_path: Path) -> None:
    with Federation(workers={"bob": points(1)}) as federation:
        training = federation.train(linear(), out=tmp_path / "run", **ROUNDS)
        next(training)

    assert (tmp_path / "run" / "model.safetensors").exists()
    assert list(training) == []
    federation.close()


def test_an_error_of_ones_own_in_the_loop_goes_through(federation: Federation) -> None:
    def loop() -> None:
        for report in federation.train(linear(), **ROUNDS):
            raise ZeroDivisionError(report.round)

    with pytest.raises(ZeroDivisionError, match="1"):
        loop()


def test_nothing_is_kept_and_nothing_is_said_where_nobody_asks(
    federation: Federation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    federation.train(linear(), **ROUNDS).run()

    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")


def test_progress_that_is_asked_for_is_a_line_for_each_round(
    federation: Federation, capfd: pytest.CaptureFixture[str]
) -> None:
    last = federation.train(linear(), progress=True, **ROUNDS).run()[-1]
    lines = capfd.readouterr().out.splitlines()

    assert [line[:9] for line in lines[:3]] == ["round 1/3", "round 2/3", "round 3/3"]
    assert lines[-1] == f"accuracy {last.accuracy:.4f} after 3 rounds"


def test_on_a_terminal_one_line_moves_and_what_the_loop_prints_stays(federation: Federation) -> None:
    page = io.StringIO()
    terminal = Console(file=page, force_terminal=True, width=100, highlight=False)
    display = LiveDisplay(3, terminal, lines=False)
    for report in federation.train(linear(), evaluate=points(3), progress=display, **ROUNDS):
        terminal.print(f"mine: {report.round}")

    assert "mine: 3" in page.getvalue()
    assert "3/3" in page.getvalue()
    assert f"accuracy {report.accuracy:.4f} after 3 rounds\n" in page.getvalue()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"roundz": 3}, "a training has no option 'roundz'; did you mean 'rounds'?"),
        ({"rounds": 0}, "rounds is 0, and at least 1 is needed"),
        ({"strategy": "fedprxo"}, "did you mean 'fedprox'?"),
        ({"optimizer": "sdg"}, "sdg"),
        ({"loss": "mes"}, "no loss 'mes' (known: bce, "),
        ({"loss_options": {"delta": 1.0}}, "loss_options are for a loss by its name, as loss='huber'"),
        ({"evaluate": (torch.ones(2), torch.ones(3))}, "it has 2 rows of features and 3 targets"),
        ({"model": "mpl"}, "did you mean 'mlp'?"),
        ({"strategy": "krum"}, "Krum makes no round of fewer than 5 answers, and 2 workers are all there will be"),
        ({"strategy": "fedasync", "deadline": 1.0}, "asynchronous training has no rounds: leave 'deadline' out"),
        ({"strategy": "scaffold", "optimizer": "adam"}, "'option' 1 goes with any optimizer"),
        ({"quorum": 3, "deadline": 1.0}, "quorum is 3, and 2 workers are all there will be"),
        ({"workers": 3}, "workers is 3, and 2 workers are all there will be"),
        ({"model": nn.Linear(3, 2)}, "cannot use the model 'Linear': it does not take examples of shape"),
    ],
)
def test_what_does_not_fit_is_said_before_the_first_round(
    federation: Federation, options: dict[str, object], sentence: str
) -> None:
    with pytest.raises((UsageError, DataError, ModelError)) as raised:
        federation.train(**{"model": linear(), **options})  # type: ignore[arg-type]

    assert sentence in str(raised.value)


@pytest.mark.parametrize(("loss", "name"), [(mse_loss, "mse_loss"), ("mse", "mse")])
def test_a_loss_that_does_not_take_the_targets_is_named_without_a_warning(
    federation: Federation, loss: Any, name: str
) -> None:
    reason = rf"answers with \(2, 2\), the targets are \(2,\) of torch.int64, .* by the loss '{name}' failed"
    with pytest.raises(ModelError, match=reason):  # and not the warning, which is an error in tests
        federation.train(linear(), loss)


def test_a_warning_of_a_loss_that_is_taken_is_heard(federation: Federation) -> None:
    def loss(answers: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        warnings.warn("an old way to say it", UserWarning, stacklevel=2)
        return cross_entropy(answers, targets)

    with pytest.warns(UserWarning, match="an old way to say it"):
        federation.train(linear(), loss)


def test_a_loss_by_name_takes_its_options(federation: Federation) -> None:
    first, second = linear(), linear()
    federation.train(first, "cross_entropy", loss_options={"label_smoothing": 0.3}, **ROUNDS).run()
    federation.train(second, nn.CrossEntropyLoss(label_smoothing=0.3), **ROUNDS).run()

    assert torch.equal(first.weight, second.weight)  # type: ignore[arg-type]


def test_a_model_of_one_score_learns_two_classes(federation: Federation) -> None:
    torch.manual_seed(0)
    model = nn.Linear(2, 1)
    reports = list(federation.train(model, "bce_with_logits", rounds=20, batch_size=8, lr=1.0))

    x, y = points(3)
    assert float(((model(x)[:, 0] > 0) == y).float().mean()) > 0.9
    assert reports[-1].accuracy is None
    assert not reports[-1].answered[0].metrics


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({}, "workers that are started here need data"),
        ({"address": "tcp://127.0.0.1:1"}, "what the workers at the broker call their data"),
        ({"address": "tcp://127.0.0.1:1", "workers": ["bob"], "data": "digits"}, "how many to wait for"),
        ({"workers": {}}, "at least one worker"),
        ({"workers": {"bob": points(1)}, "data": "digits"}, "leave the address and data out"),
        ({"workers": {"bob": 3}}, "cannot use the data 'data': this is an int"),
    ],
)
def test_a_federation_that_cannot_be_is_one_sentence(given: dict[str, object], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        Federation(**given)  # type: ignore[arg-type]


def test_a_torch_data_set_is_data_of_ones_own() -> None:
    dataset = torch.utils.data.TensorDataset(*points(1))
    with Federation(workers={"bob": dataset}) as federation:  # type: ignore[dict-item]
        assert federation.train(linear(), **ROUNDS).run()[0].examples == 40


def test_at_a_broker_the_workers_data_is_learned_without_any_here(site: LocalCluster) -> None:
    with Federation(site.address, workers=3, dataset="digits") as federation:
        history = federation.train("linear", evaluate=False, rounds=2).run()

    assert len(history[-1].answered) == 3
    assert history[-1].accuracy is None
    with site.connect() as client:
        assert len(client.workers()) == 3  # they serve on


def test_at_a_broker_the_held_out_part_is_evaluated_on(site: LocalCluster) -> None:
    with Federation(site.address, workers=3, data="digits") as federation:
        first = federation.train("mlp", rounds=1, seed=1).run()
        second = federation.train("mlp", rounds=1, seed=1).run()

    assert first[0].accuracy == second[0].accuracy is not None


def test_its_client_reaches_the_workers_tensors(site: LocalCluster) -> None:
    with Federation(site.address, dataset="digits") as federation:
        pointer = torch.ones(2).send(federation.client.worker("bob"))  # type: ignore[attr-defined]
        assert (pointer + 1).get().tolist() == [2, 2]
        with pytest.raises(WorkerNotFoundError):
            federation.client.worker("zoe", timeout=0.1)


STARTED = """
import sys, torch, fedzmq
model = torch.nn.Linear(64, 10)
with fedzmq.Federation(workers=2, data="digits") as federation:
    for report in federation.train(model, rounds=100000, out="run"):
        print(report, flush=True)
        if report.round == 3 and "break" in sys.argv:
            break
"""


def test_workers_that_were_started_end_with_a_break(tmp_path: Path) -> None:
    with Spoken(["-c", STARTED, "break"], tmp_path) as program:
        assert program.wait() == 0, program.said
        assert len(program.out) == 3
        assert program.family() == []
        assert list(program.temporary.glob("fedzmq-*")) == []
        assert (tmp_path / "run" / "model.safetensors").exists()


def test_ctrl_c_leaves_the_model_so_far_and_no_process(tmp_path: Path) -> None:
    with Spoken(["-c", STARTED], tmp_path) as program:
        program.expect("round 3  ")
        program.signal(signal.SIGINT)

        program.wait()
        assert program.err[-1] == "KeyboardInterrupt\n"
        assert program.family() == []
        assert list(program.temporary.glob("fedzmq-*")) == []
        assert (tmp_path / "run" / "model.safetensors").exists()


def test_importing_it_imports_no_torch(tmp_path: Path) -> None:
    with Spoken(["-c", "import sys, fedzmq; fedzmq.Federation; print('torch' in sys.modules)"], tmp_path) as program:
        assert program.wait() == 0, program.said
        assert program.out == ["False\n"]


def test_workers_tell_how_good_the_model_is_where_nothing_is_held_out_here(federation: Federation) -> None:
    model = linear()
    report = federation.train(model, cross_entropy, **ROUNDS).run()[-1]
    x, y = (torch.cat(each) for each in zip(points(1), points(2), strict=True))

    assert report.accuracy == int((model(x).argmax(1) == y).sum()) / len(y)
    assert report.loss == pytest.approx(cross_entropy(model(x), y).item())


@pytest.mark.parametrize("chosen", [{"evaluate": False}, {"evaluate": False, "strategy": "fedasync"}])
def test_where_nobody_evaluates_only_the_loss_of_training_is_told(
    federation: Federation, chosen: dict[str, Any]
) -> None:
    report = federation.train(linear(), **chosen, **ROUNDS).run()[-1]

    assert report.accuracy is None
    assert f"train loss {report.train_loss:.4f}" in str(report)


def test_metrics_of_measurements_are_refused_for_classes_in_a_sentence(federation: Federation) -> None:
    with pytest.raises(UsageError) as raised:
        federation.train(linear(), metrics=["rmse"], **ROUNDS)

    assert str(raised.value) == (
        "the metric 'rmse' is for measurements, and these data have classes: "
        "accuracy, top3, top5, precision, recall, f1, confusion are for those"
    )


def test_metrics_of_classes_are_refused_for_measurements_in_a_sentence() -> None:
    with (
        Federation(workers={"bob": (torch.randn(8, 2), torch.randn(8, 1))}) as federation,
        pytest.raises(UsageError, match="'f1' is for classes, and these data have measurements: mae, rmse, r2 are"),
    ):
        federation.train("linear", metrics=["f1"], **ROUNDS)


def test_workers_evaluate_on_what_they_hold_out(federation: Federation) -> None:
    training = federation.train(
        linear(), cross_entropy, evaluate_at="workers", metrics=["f1"], holdout=0.25, evaluate=points(3), **ROUNDS
    )
    report = training.run()[-1]

    assert [(each.worker, each.examples) for each in report.evaluated] == [("alice", 10), ("bob", 10)]
    assert report.together is not None
    assert (report.accuracy, set(report.metrics)) == (report.together.accuracy, {"f1"})


def test_a_metric_of_ones_own_is_measured_here_too(federation: Federation) -> None:
    def sure(outputs: torch.Tensor, targets: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"sure": outputs.softmax(1).amax(1)}

    model = linear()
    report = federation.train(model, cross_entropy, metrics=[sure], evaluate=points(3), **ROUNDS).run()[-1]

    assert report.metrics["sure"] == pytest.approx(model(points(3)[0]).softmax(1).amax(1).mean().item())


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"evaluate_at": "home"}, "evaluate_at is 'home', and workers, coordinator or both is expected"),
        ({"metrics": ["acuracy"]}, "did you mean 'accuracy'"),
        ({"holdout": 1.0}, "holdout is 1, and a share from 0 to below 1 is needed"),
    ],
)
def test_an_evaluation_that_makes_no_sense_is_refused(
    federation: Federation, options: dict[str, Any], reason: str
) -> None:
    with pytest.raises(UsageError, match=reason):
        federation.train(linear(), cross_entropy, **options)


def test_workers_evaluate_where_there_are_no_rounds(federation: Federation) -> None:
    model = linear()
    report = federation.train(model, cross_entropy, strategy="fedbuff", strategy_options={"buffer": 2}, **ROUNDS).run()[
        -1
    ]

    assert report.together is not None
    assert [each.worker for each in report.evaluated] == ["alice", "bob"]
    assert report.loss == report.together.loss
    for each, (x, y) in zip(report.evaluated, (points(2), points(1)), strict=True):
        assert each.loss == pytest.approx(cross_entropy(model(x), y).item(), rel=1e-5)


def test_a_model_of_several_inputs_is_trained_and_evaluated() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.other = nn.Linear(2, 2), nn.Linear(3, 2)

        def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            return self.one(x) + self.other(y)

    data = {name: Data("data", *points(seed), 2, (torch.ones(40, 3),)) for seed, name in enumerate(("bob", "alice"))}
    with Federation(workers=data) as federation:
        report = federation.train(Two(), evaluate_at="workers", **ROUNDS).run()[-1]

    assert report.accuracy is not None
    assert len(report.evaluated) == 2


def test_one_name_is_no_list_of_workers() -> None:
    with pytest.raises(UsageError, match="workers are a list of names"):
        Federation(workers="bob", data="digits")
