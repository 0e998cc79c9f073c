"""FedProx, SCAFFOLD and FedNova: what becomes of workers whose data pull apart.

Workers with parabolas a * (w - b)^2 have their common best weight at the mean of b weighted by a. Plain averaging of
long local trainings goes to the plain mean of b instead.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import mse_loss

from fedzmq.errors import UpdateRefused, UsageError
from fedzmq.federated.strategies.fedavg import FedAvg
from fedzmq.federated.strategies.fednova import FedNova
from fedzmq.federated.strategies.fedprox import FedProx
from fedzmq.federated.strategies.scaffold import Scaffold
from fedzmq.federated.trainer import Trainer
from fedzmq.federated.training_job import TrainingJob
from fedzmq.recording.training_plan import training_plan
from tests.federated.strategies.federation import JOB, Federation, Update, after, one_weight, parabola, randoms
from tests.worker.hub import Meeting

STEEP_AND_FLAT = {"alice": parabola(2.0, 1.0), "bob": parabola(0.2, 5.0)}
BEST = (2.0 * 1 + 0.2 * 5) / 2.2
LONG = {"rounds": 40, "epochs": 20, "options": {"lr": 0.1}}


def federation(strategy: Any, **job: Any) -> Federation:
    return Federation(strategy, one_weight(), mse_loss, STEEP_AND_FLAT, **{**LONG, **job})


def test_plain_averaging_misses_the_best_weight() -> None:
    assert abs(federation(FedAvg()).weight - BEST) > 1


def test_a_proximal_term_brings_averaging_nearer_to_the_best_weight() -> None:
    plain, near, nearer = (abs(federation(each).weight - BEST) for each in (FedAvg(), FedProx(mu=1), FedProx(mu=4)))

    assert nearer < near < 0.7 * plain


def test_control_variates_reach_the_best_weight() -> None:
    assert federation(Scaffold()).weight == pytest.approx(BEST, abs=1e-3)


def test_control_variates_reach_the_best_weight_with_one_worker_a_round() -> None:
    assert federation(Scaffold(), cohort=1, rounds=150).weight == pytest.approx(BEST, abs=1e-2)


@pytest.mark.parametrize(("option", "epochs"), [(1, 2), (2, 20)])
def test_control_variates_reach_the_best_weight_after_a_worker_lost_its_own(option: int, epochs: int) -> None:
    sample, model = STEEP_AND_FLAT["bob"], one_weight()
    plan = training_plan(model, mse_loss, sample.features, sample.targets)
    job = replace(JOB, **{**LONG, "rounds": 90, "epochs": epochs, "workers": 2})
    with Meeting() as meeting:
        workers = {name: meeting.worker(name, [data]) for name, data in STEEP_AND_FLAT.items()}
        strategy = Scaffold(option=option)
        told = []
        for report in Trainer(meeting.client("coordinator"), model, plan, job, strategy=strategy).rounds():
            told += [(report.round, each.worker) for each in report.answered if "control_lost" in each.metrics]
            if report.round == 20:
                workers["bob"]._commons.memory._runs.clear()  # as if it had been started anew

    assert told == [(21, "bob")]
    assert float(model.weight.detach()) == pytest.approx(BEST, abs=2e-2)  # type: ignore[operator]


def test_the_control_of_all_is_the_mean_of_the_workers_own() -> None:
    strategy = Scaffold()
    kept = federation(strategy, rounds=5).kept

    own = torch.stack([each.control["weight"] for each in kept.values()])
    torch.testing.assert_close(strategy.memory["control/weight"], own.mean(0))


@pytest.mark.parametrize("option", [1, 2])
def test_scaffold_is_the_papers_algorithm(option: int) -> None:
    """Against a plain loop, for workers that take unlike numbers of steps.

    By option 1 a worker's control is the gradient at the model that came.
    """
    parts = {"alice": parabola(2.0, 1.0, rows=4), "bob": parabola(0.2, 5.0, rows=12)}
    job: dict[str, Any] = {"rounds": 6, "epochs": 2, "options": {"lr": 0.05}}
    outcome = Federation(Scaffold(lr=0.5, option=option), one_weight(), mse_loss, parts, **job)

    x, c, own, shape = 0.0, 0.0, {"alice": 0.0, "bob": 0.0}, {"alice": (2.0, 1.0, 2), "bob": (0.2, 5.0, 6)}
    for _ in range(6):
        ends, grown = [], []
        for name, (curvature, bottom, steps) in shape.items():
            y = x
            for _ in range(steps):
                y -= 0.05 * (2 * curvature * (y - bottom) - own[name] + c)
            new = 2 * curvature * (x - bottom) if option == 1 else own[name] - c + (x - y) / (steps * 0.05)
            ends.append(y)
            grown.append(new - own[name])
            own[name] = new
        x += 0.5 * (sum(ends) / 2 - x)
        c += sum(grown) / 2
    assert outcome.weight == pytest.approx(x, rel=1e-4)
    assert float(outcome.kept["bob"].control["weight"]) == pytest.approx(own["bob"], rel=1e-3)


def test_by_option_1_too_the_control_of_all_is_the_mean_of_the_workers_own() -> None:
    strategy = Scaffold(option=1)
    outcome = federation(strategy, rounds=100, epochs=2, cohort=1)

    own = torch.stack([each.control["weight"] for each in outcome.kept.values()])
    torch.testing.assert_close(strategy.memory["control/weight"], own.mean(0))
    assert outcome.weight == pytest.approx(BEST, abs=0.05)


def test_scaffold_has_two_options() -> None:
    with pytest.raises(UsageError, match="option is 3, and SCAFFOLD has the options 1 and 2"):
        Scaffold(option=3)


def test_a_worker_that_is_not_asked_keeps_its_share_of_the_control() -> None:
    strategy = Scaffold()
    strategy.check(TrainingJob("data", options={"lr": 0.5}))
    old = {"w": torch.zeros(1)}
    after(strategy, old, {"x": Update([torch.tensor([2.0])], 1, steps=4, way=4 * 0.5)}, population=10)

    assert strategy.memory["control/w"] == pytest.approx(-2.0 / (4 * 0.5) / 10)


def test_a_worker_that_is_away_or_comes_later_keeps_its_share_of_the_control() -> None:
    strategy, old, control = Scaffold(), {"w": torch.zeros(1)}, 0.0
    for here, before, population in ((2, 2, 2), (1, 2, 2), (4, 2, 4)):  # two; the other one is away; two are new
        after(strategy, old, {"x": Update([torch.tensor([2.0])], 1, steps=2, way=2.0)}, population=here)

        control *= before / population  # of the new ones it is 0
        control += (-2.0 / 2.0 - control) / population
        assert strategy.memory["control/w"] == pytest.approx(control)


def test_scaffold_with_schedules_divides_by_the_sum_of_the_learning_rates() -> None:
    """Against a plain loop: over the steps the rate falls in a line to nothing, and over the rounds by a factor."""
    parts = {"alice": parabola(2.0, 1.0, rows=4), "bob": parabola(0.2, 5.0, rows=12)}
    schedules = {"schedule": "linear", "round_schedule": "exponential", "round_schedule_options": {"gamma": 0.8}}
    job: dict[str, Any] = {"rounds": 6, "epochs": 2, "options": {"lr": 0.2}, **schedules}
    outcome = Federation(Scaffold(), one_weight(), mse_loss, parts, **job)

    x, c, own, shape = 0.0, 0.0, {"alice": 0.0, "bob": 0.0}, {"alice": (2.0, 1.0, 2), "bob": (0.2, 5.0, 6)}
    for number in range(6):
        ends, grown = [], []
        for name, (curvature, bottom, steps) in shape.items():
            y, rates = x, [0.2 * 0.8**number * (1 - step / steps) for step in range(steps)]
            for rate in rates:
                y -= rate * (2 * curvature * (y - bottom) - own[name] + c)
            new = own[name] - c + (x - y) / sum(rates)
            ends.append(y)
            grown.append(new - own[name])
            own[name] = new
        x = sum(ends) / 2
        c += sum(grown) / 2
    assert outcome.weight == pytest.approx(x, rel=1e-4)
    assert float(outcome.kept["bob"].control["weight"]) == pytest.approx(own["bob"], rel=1e-3)


def test_control_variates_reach_the_best_weight_with_a_schedule_too() -> None:
    assert federation(Scaffold(), schedule="cosine").weight == pytest.approx(BEST, abs=1e-3)


@pytest.mark.parametrize("option", [1, 2])
@pytest.mark.parametrize(
    "options",
    [{"momentum": 0.8}, {"momentum": 0.5, "dampening": 0.3, "weight_decay": 0.1}, {"momentum": 0.6, "nesterov": True}],
)
def test_scaffold_corrects_the_gradients_of_any_sgd(options: dict[str, Any], option: int) -> None:
    """Against torch's own SGD, and a control that is the mean of the gradients by how much each of them moved."""
    parts = {"alice": parabola(2.0, 1.0, rows=4), "bob": parabola(0.2, 5.0, rows=12)}
    job: dict[str, Any] = {"rounds": 6, "epochs": 2, "options": {"lr": 0.05, **options}}
    outcome = Federation(Scaffold(option=option), one_weight(), mse_loss, parts, **job)

    def moved(gradients: list[float]) -> float:
        """How far torch's SGD goes along these."""
        weight = torch.zeros((), dtype=torch.float64, requires_grad=True)
        optimizer = torch.optim.SGD([weight], lr=0.05, **{**options, "weight_decay": 0.0})
        for each in gradients:
            weight.grad = torch.tensor(each, dtype=torch.float64)
            optimizer.step()
        return -weight.item()

    x, c, own, shape = 0.0, 0.0, {"alice": 0.0, "bob": 0.0}, {"alice": (2.0, 1.0, 2), "bob": (0.2, 5.0, 6)}
    decay = options.get("weight_decay", 0.0)
    for _ in range(6):
        ends, grown = [], []
        for name, (curvature, bottom, steps) in shape.items():
            gradients: list[float] = []
            corrected: list[float] = []
            y = x
            for _ in range(steps):
                gradients.append(2 * curvature * (y - bottom) + decay * y)
                corrected.append(gradients[-1] - own[name] + c)
                y = x - moved(corrected)
            weights = [moved([float(place == at) for place in range(steps)]) for at in range(steps)]
            mean = sum(w * g for w, g in zip(weights, gradients, strict=True)) / sum(weights)
            new = 2 * curvature * (x - bottom) if option == 1 else mean
            ends.append(y)
            grown.append(new - own[name])
            own[name] = new
        x = sum(ends) / 2
        c += sum(grown) / 2
    assert outcome.weight == pytest.approx(x, rel=1e-4)
    assert float(outcome.kept["bob"].control["weight"]) == pytest.approx(own["bob"], rel=1e-3)


def test_control_variates_reach_the_best_weight_with_momentum_too() -> None:
    assert federation(Scaffold(), options={"lr": 0.05, "momentum": 0.9}).weight == pytest.approx(BEST, abs=1e-3)


def test_by_option_1_any_optimizer_follows_the_corrected_gradients() -> None:
    job: dict[str, Any] = {"rounds": 4, "epochs": 3, "optimizer": "adam", "options": {"lr": 0.05}}
    outcome = federation(Scaffold(option=1), **job)

    x, c, own = 0.0, 0.0, {(2.0, 1.0): 0.0, (0.2, 5.0): 0.0}
    for _ in range(4):
        ends, grown = [], []
        for curvature, bottom in own:
            weight = torch.tensor(x, dtype=torch.float64, requires_grad=True)
            optimizer = torch.optim.Adam([weight], lr=0.05)
            for _ in range(3):
                weight.grad = 2 * curvature * (weight.detach() - bottom) - own[curvature, bottom] + c
                optimizer.step()
            ends.append(weight.item())
            new = 2 * curvature * (x - bottom)
            grown.append(new - own[curvature, bottom])
            own[curvature, bottom] = new
        x, c = sum(ends) / 2, c + sum(grown) / 2
    assert outcome.weight == pytest.approx(x, rel=1e-4)


@pytest.mark.parametrize("strategy", [FedNova(), Scaffold()])
def test_what_divides_by_the_weights_of_gradients_refuses_an_optimizer_that_does_not_add_them(strategy: Any) -> None:
    with pytest.raises(UsageError, match=r"which is known of 'sgd' alone .*, and the optimizer is 'adam'"):
        strategy.check(TrainingJob("data", optimizer="adam"))


def test_scaffold_says_how_it_goes_with_any_optimizer() -> None:
    with pytest.raises(UsageError, match="the optimizer is 'adam'; 'option' 1 goes with any optimizer"):
        Scaffold().check(TrainingJob("data", optimizer="adam"))


@pytest.mark.parametrize("strategy", [FedNova(), Scaffold(), Scaffold(option=1)])
def test_a_rate_of_nothing_is_refused_where_all_is_divided_by_it(strategy: Any) -> None:
    strategy.check(TrainingJob("data"))
    with pytest.raises(UsageError, match=r"needs a learning rate \(lr\) above 0, and it is 0"):
        strategy.check(TrainingJob("data", options={"lr": 0}))


def test_fedprox_is_gradient_descent_on_the_loss_and_the_term() -> None:
    outcome = federation(FedProx(mu=3.0), rounds=1, epochs=5)

    ends = []
    for curvature, bottom in ((2.0, 1.0), (0.2, 5.0)):
        y = 0.0
        for _ in range(5):
            y -= 0.1 * (2 * curvature * (y - bottom) + 3.0 * (y - 0.0))
        ends.append(y)
    assert outcome.weight == pytest.approx(sum(ends) / 2, rel=1e-5)


def test_with_a_term_of_zero_fedprox_is_averaging_to_the_bit() -> None:
    assert federation(FedProx(mu=0), rounds=2).weight == federation(FedAvg(), rounds=2).weight


UNLIKE_SIZES = {"alice": parabola(1.0, 0.0, rows=4), "bob": parabola(1.0, 3.0, rows=32)}
BETWEEN = (4 * 0.0 + 32 * 3.0) / 36


def test_normalized_averaging_is_not_pulled_to_those_who_step_more() -> None:
    job = {"rounds": 60, "epochs": 1, "options": {"lr": 0.01}}
    plain, nova = (
        abs(Federation(each, one_weight(), mse_loss, UNLIKE_SIZES, **job).weight - BETWEEN)
        for each in (FedAvg(), FedNova())
    )

    assert nova < plain / 2


@pytest.mark.parametrize(
    ("mu", "momentum", "schedule"), [(0.0, 0.0, "constant"), (0.0, 0.9, "constant"), (0.5, 0.6, "linear")]
)
def test_fednova_divides_by_what_the_gradients_weigh(mu: float, momentum: float, schedule: str) -> None:
    """Against a plain loop that carries along how much every single gradient weighs."""
    job = {"rounds": 3, "epochs": 2, "options": {"lr": 0.05, "momentum": momentum}, "schedule": schedule}
    outcome = Federation(FedNova(mu=mu), one_weight(), mse_loss, UNLIKE_SIZES, **job)

    x = 0.0
    for _ in range(3):
        shares, ways, weights = [], [], []
        for rows, bottom, steps in ((4, 0.0, 2), (32, 3.0, 16)):
            y, velocity = x, 0.0
            a, velocities = torch.zeros(steps), torch.zeros(steps)
            for step in range(steps):
                rate = 0.05 * (1 - step / steps if schedule == "linear" else 1)
                velocity = momentum * velocity + 2 * (y - bottom) + mu * (y - x)
                velocities = momentum * velocities - mu * a
                velocities[step] += 1
                y -= rate * velocity
                a = a + rate * velocities
            shares.append(rows / 36)
            ways.append(x - y)
            weights.append(float(a.sum()))
        step_length = sum(p * a for p, a in zip(shares, weights, strict=True))
        x -= step_length * sum(p * way / a for p, way, a in zip(shares, ways, weights, strict=True))
    assert outcome.weight == pytest.approx(x, rel=1e-4)


def test_fednova_follows_its_formula() -> None:
    strategy = FedNova()
    old, *states = randoms(4, (3, 2), (4,))
    examples, a = [10, 30, 5], [0.2, 0.9, 4.0]
    updates = {
        name: Update(state, n, steps=1, way=k) for name, state, n, k in zip("xyz", states, examples, a, strict=True)
    }
    new = after(strategy, dict(zip("ab", old, strict=True)), updates)

    shares = [n / 45 for n in examples]
    for place, name in enumerate("ab"):
        x = old[place].double()
        d: Tensor = sum(p * (x - state[place]) / k for p, state, k in zip(shares, states, a, strict=True))  # type: ignore[assignment]
        torch.testing.assert_close(
            new[name], x - sum(p * k for p, k in zip(shares, a, strict=True)) * d, check_dtype=False
        )


def test_fednova_averages_running_statistics_by_examples() -> None:
    old = {"w": torch.zeros(1), "statistics": torch.zeros(1), "count": torch.tensor(0)}
    updates = {
        "x": Update([torch.ones(1), torch.tensor([1.0]), torch.tensor(4)], 10, steps=1, way=0.1),
        "y": Update([torch.ones(1), torch.tensor([4.0]), torch.tensor(8)], 30, steps=9, way=0.9),
    }
    new = after(FedNova(), old, updates, trained=["w"])

    assert new["statistics"] == pytest.approx((10 * 1.0 + 30 * 4.0) / 40)
    assert new["count"] == pytest.approx(7)


def test_with_equal_steps_fednova_is_averaging() -> None:
    old, one, other = randoms(3, (3,))
    updates = {"x": Update(one, 1, steps=7, way=0.7), "y": Update(other, 4, steps=7, way=0.7)}

    torch.testing.assert_close(after(FedNova(), {"a": old[0]}, updates), after(FedAvg(), {"a": old[0]}, updates))


def test_an_update_without_a_step_is_refused() -> None:
    with pytest.raises(UpdateRefused, match="it took 0 steps, and this strategy needs at least 1"):
        FedNova().accept(Update([], 1, steps=0).answer())


@pytest.mark.parametrize("way", [0.0, -1.0, float("nan"), float("inf")])
@pytest.mark.parametrize("strategy", [FedNova(), Scaffold()])
def test_an_update_that_says_that_it_led_nowhere_is_refused(strategy: FedNova | Scaffold, way: float) -> None:
    with pytest.raises(UpdateRefused, match="the learning rates of its 5 steps come to"):
        strategy.accept(Update([], 1, steps=5, way=way).answer())
