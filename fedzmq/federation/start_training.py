"""From what a user says to a training that can run; what does not fit together is said before anything is sent."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, fields, replace
from typing import TYPE_CHECKING, Any, TypedDict

import torch

from fedzmq.data.data import Data
from fedzmq.data.lazy import Lazy
from fedzmq.data.load import Given, examples_of
from fedzmq.data.streamed import Streamed
from fedzmq.errors import UsageError
from fedzmq.federated.async_trainer import AsyncTrainer
from fedzmq.federated.evaluation.metrics import Metric, check_kind, metric_for
from fedzmq.federated.evaluation.score import Score, evaluate
from fedzmq.federated.evaluation.scoring import Scoring
from fedzmq.federated.ledger.ledger import Ledger, Term
from fedzmq.federated.ledger.run_history import find_run, read_history
from fedzmq.federated.losses import loss_by_name, named
from fedzmq.federated.run_folder import check_free
from fedzmq.federated.strategies import Strategy, by_name
from fedzmq.federated.strategies.asynchronous import Asynchronous
from fedzmq.federated.trainer import Evaluate, Trainer
from fedzmq.federated.training_job import TrainingJob
from fedzmq.federation.books import Books
from fedzmq.federation.display import Display
from fedzmq.federation.enough import check_enough
from fedzmq.federation.history import History
from fedzmq.federation.keeping import Keeping, Resumed
from fedzmq.federation.kinds import check_loss_kind, check_model_kind, checked_strategy
from fedzmq.federation.live_display import display_for
from fedzmq.federation.loggers import RoundLogger, logger_by_name
from fedzmq.federation.recipe import Recipe, recipe_for, sample_of
from fedzmq.federation.training import Training
from fedzmq.files.weights import digest_of
from fedzmq.recording.batch_plan import Loss
from fedzmq.recording.evaluation_plan import Measure
from fedzmq.suggestion import nearest
from fedzmq.wire.messages import Progress
from fedzmq.worker.training.optimizers.table import learning_rate

if TYPE_CHECKING:
    from fedzmq.data.examples import Examples
    from fedzmq.federation.federation import Federation

SGD = "sgd"
SGD_LR = 0.1  # torch's own, 0.001, is meant for other models than those that one begins with

WORKERS, COORDINATOR, BOTH = PLACES = ("workers", "coordinator", "both")  # where a model is evaluated

Judge = Evaluate


class Hooks(TypedDict):
    """What a trainer calls while it runs."""

    evaluate: Evaluate | None
    say: Callable[[str], None]
    hear: Callable[[str, Progress], None]
    ledger: Ledger | None
    at_workers: Scoring | None


def start_training(
    federation: Federation,
    model: torch.nn.Module | str,
    loss: Loss | str | None,
    *,
    loss_options: Mapping[str, float],
    strategy: Strategy | str,
    strategy_options: Mapping[str, float | str],
    lr: float | None,
    options: Mapping[str, float | int | bool],
    evaluate: Judge | Given | bool,
    evaluate_at: str | None,
    metrics: Sequence[Metric | Measure | str],
    out: str | os.PathLike[str] | bool | None,
    resume: str | os.PathLike[str] | None,
    force: bool,
    log: str | RoundLogger | Sequence[str | RoundLogger],
    progress: bool | Display | None,
    record: str | None,
    then: Callable[[], None],
    job: Mapping[str, Any],
) -> Training:
    """See `Federation.train`."""
    check_model_kind(model)
    check_loss_kind(loss)
    if loss_options and not isinstance(loss, str):
        raise UsageError("loss_options are for a loss by its name, as loss='huber'")
    goal = loss_by_name(loss, loss_options) if isinstance(loss, str) else loss
    rule = by_name(strategy, **strategy_options) if isinstance(strategy, str) else checked_strategy(strategy)
    several = [log] if isinstance(log, str | RoundLogger) else log
    loggers = [logger_by_name(each) if isinstance(each, str) else each for each in several]
    if out is None and resume is None and any(isinstance(each, str) for each in several):
        out = True  # where they write to when nobody says where
    path = None if isinstance(out, bool) or out is None else check_free(out)
    if resume is not None:
        if out:
            raise UsageError("a run that is resumed stays in its folder: leave 'out' out")
        path = find_run(resume)
    asked = _job(federation, lr, options, job)
    rule.check(asked)
    if resume is not None and path is not None:
        read_history(path).check_rounds(asked.rounds)
    site = federation.site
    if not site.is_open:
        check_enough(rule, asked, site.workers)
    wanted = [metric_for(each) for each in metrics]
    if evaluate_at is not None and evaluate_at not in PLACES:
        raise UsageError(f"evaluate_at is {evaluate_at!r}, and {', '.join(PLACES[:-1])} or {PLACES[-1]} is expected")
    display = progress if isinstance(progress, Display) else display_for(asked.rounds, progress)

    def say(line: str) -> None:
        display.say(line)
        for ended in site.ended():
            display.say(ended)
        site.check()

    judged = _judged(federation, evaluate)
    if evaluate_at is None:
        evaluate_at = WORKERS if evaluate is True and judged is None else COORDINATOR
    example: Examples | None = judged or site.example
    recipe = None if example is None else recipe_for(model, goal, example, asked.seed)  # while workers are on their way
    client = federation.client
    if recipe is None:
        sample = sample_of(client, asked.dataset, asked.workers, asked.patience, say)
        recipe = recipe_for(model, goal, sample, asked.seed)
    check_kind(wanted, recipe.sample.classes is not None)
    scoring = recipe.scoring(wanted) if wanted or evaluate_at != COORDINATOR else None
    judge = evaluate if callable(evaluate) else None
    if judge is None and judged is not None:
        judge = _judge(recipe, judged, scoring if wanted else None)
    if evaluate_at == WORKERS:
        judge = None
    terms: dict[str, Term] = {"held-out data": None if judged is None else _digest(judged)}
    keeping: Keeping | None = None
    if resume is not None and path is not None:
        keeping = Resumed(path, asked, record, terms, display.say, site.keep_in, force=force)
    elif out:
        keeping = Keeping(path, asked, record, terms, display.say, site.keep_in)
    hooks: Hooks = {
        "evaluate": judge,
        "say": say,
        "hear": display.hear,
        "ledger": keeping,
        "at_workers": None if evaluate_at == COORDINATOR else scoring,
    }
    trainer: Trainer | AsyncTrainer
    if isinstance(rule, Asynchronous):
        trainer = AsyncTrainer(client, recipe.model, recipe.plan, asked, strategy=rule, **hooks)
    else:
        trainer = Trainer(client, recipe.model, recipe.plan, asked, strategy=rule, **hooks)
    history = History(f"Federated averaging on {asked.dataset}")
    described = {"model": _name_of(model), "loss": named(recipe.loss), "strategy": _name_of(strategy), **asdict(asked)}
    return Training(recipe.model, trainer, display, history, keeping, Books(loggers, described), then)


def default_lr(optimizer: str, options: Mapping[str, float | int | bool]) -> float:
    """The learning rate where none is given beside the optimizer's options."""
    return learning_rate(optimizer, {"lr": SGD_LR, **options} if optimizer == SGD else options)


def _job(
    federation: Federation, lr: float | None, options: Mapping[str, float | int | bool], given: Mapping[str, Any]
) -> TrainingJob:
    known = [field.name for field in fields(TrainingJob)]
    for name in given:
        if name not in known:
            listed = f" (known: {', '.join(known)})"
            raise UsageError(f"a training has no option {name!r}{nearest(name, known) or listed}")
    if lr is None and given.get("optimizer", SGD) == SGD and "lr" not in options:
        lr = SGD_LR
    rate = {} if lr is None else {"lr": lr}
    where: dict[str, Any] = {
        "dataset": federation.dataset,
        "workers": federation.site.workers,
        "patience": federation.patience,
    }
    return TrainingJob(**{**where, **given, "options": {**rate, **options}})


def _name_of(thing: object) -> str:
    return thing if isinstance(thing, str) else type(thing).__name__


def _judged(federation: Federation, evaluate: Judge | Given | bool) -> Examples | None:
    """The data that the model is evaluated on here."""
    if isinstance(evaluate, bool):
        return federation.held_out if evaluate else None
    return None if callable(evaluate) else examples_of("evaluate", evaluate)


def _digest(judged: Examples) -> str:
    """What tells the data from other data; of data that is not in memory, no more than how much there is."""
    return digest_of(judged.tensors) if isinstance(judged, Data) else f"{len(judged)} examples"


def _judge(recipe: Recipe, judged: Examples, scoring: Scoring | None) -> Evaluate:
    if scoring is not None:
        return lambda model: scoring.here(model, judged)
    if not recipe.guesses and isinstance(judged, Data | Lazy | Streamed):
        judged = replace(judged, classes=None)

    def judge(model: torch.nn.Module) -> Score:
        return evaluate(model, recipe.loss, judged)

    return judge
