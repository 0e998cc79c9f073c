"""From what a user says to a training that can run; what does not fit together is said before anything is sent."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypedDict

import torch

from fedzmq.data.data import Data
from fedzmq.data.load import Given, examples_of
from fedzmq.errors import UsageError
from fedzmq.federated.async_trainer import AsyncTrainer
from fedzmq.federated.evaluation.metrics import Metric, check_kind, metric_for
from fedzmq.federated.evaluation.scoring import Scoring
from fedzmq.federated.ledger.ledger import Ledger, Term
from fedzmq.federated.ledger.run_history import find_run, read_history
from fedzmq.federated.losses import loss_by_name, named
from fedzmq.federated.run_folder import check_free
from fedzmq.federated.strategies import Strategy, by_name
from fedzmq.federated.strategies.asynchronous import Asynchronous
from fedzmq.federated.trainer import Evaluate, Trainer
from fedzmq.federated.training_job import TrainingJob
from fedzmq.federation.blame import blaming
from fedzmq.federation.books import Books
from fedzmq.federation.display import Display
from fedzmq.federation.enough import check_enough
from fedzmq.federation.history import History
from fedzmq.federation.job import job_for
from fedzmq.federation.judging import (
    COORDINATOR,
    WORKERS,
    Judge,
    check_alike,
    check_place,
    digest,
    judge_on,
)
from fedzmq.federation.keeping import Keeping, Resumed
from fedzmq.federation.kinds import check_loss_kind, check_model_kind, checked_strategy
from fedzmq.federation.live_display import display_for
from fedzmq.federation.loggers import RoundLogger, logger_by_name
from fedzmq.federation.recipe import Recipe, recipe_for, sample_of
from fedzmq.federation.sites import Site
from fedzmq.federation.training import Training
from fedzmq.recording.batch_plan import Loss
from fedzmq.recording.evaluation_plan import Measure
from fedzmq.wire.messages import Progress

if TYPE_CHECKING:
    from fedzmq.client.client import Client
    from fedzmq.data.examples import Examples


class Host(Protocol):
    """A federation, as far as a training needs it. `dataset` is what the workers call their data."""

    @property
    def site(self) -> Site: ...

    @property
    def dataset(self) -> str: ...

    @property
    def patience(self) -> float:
        """Seconds that missing workers have to come."""

    @property
    def held_out(self) -> Examples | None:
        """The data here that no worker trains on. Raises DataError."""

    @property
    def client(self) -> Client:
        """Raises UnavailableError."""


class Hooks(TypedDict):
    """What a trainer calls while it runs."""

    evaluate: Evaluate | None
    say: Callable[[str], None]
    hear: Callable[[str, Progress], None]
    ledger: Ledger | None
    at_workers: Scoring | None


def start_training(
    federation: Host,
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
    rule = checked_strategy(by_name(strategy, **strategy_options) if isinstance(strategy, str) else strategy)
    several = [log] if isinstance(log, str | RoundLogger) else log
    loggers = [logger_by_name(each) if isinstance(each, str) else each for each in several]
    if out is None and resume is None and any(isinstance(each, str) for each in several):
        out = True  # where they write to when nobody says where
    path = _folder(out, resume)
    site = federation.site
    where = {"dataset": federation.dataset, "workers": site.workers, "patience": federation.patience}
    asked = job_for(where, lr, options, job)
    with blaming(rule, lambda: 0, is_told=record is not None):
        rule.check(asked)
    if resume is not None and path is not None:
        read_history(path).check_rounds(asked.rounds)
    if not site.is_open:
        check_enough(rule, asked, site.workers)
    wanted = [metric_for(each) for each in metrics]
    check_place(evaluate_at)
    display = progress if isinstance(progress, Display) else display_for(asked.rounds, progress)

    def say(line: str) -> None:
        display.say(line)
        for ended in site.ended():
            display.say(ended)
        site.check()

    judged = _judged(federation, evaluate)
    if evaluate_at is None:
        evaluate_at = WORKERS if evaluate is True and judged is None else COORDINATOR
    recipe = _recipe(federation, model, goal, judged, asked, say, is_new=resume is None)
    check_kind(wanted, recipe.sample.classes is not None)
    scoring = recipe.scoring(wanted) if wanted or evaluate_at != COORDINATOR else None
    judge: Judge | None = None
    if evaluate_at != WORKERS and callable(evaluate):
        judge = evaluate
    elif evaluate_at != WORKERS and judged is not None:
        judge = judge_on(judged, recipe, scoring if wanted else None)
    terms: dict[str, Term] = {"held-out data": None if judged is None else digest(judged)}
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
    with blaming(rule, lambda: 0, is_told=record is not None):
        trainer = _trainer(federation.client, recipe, asked, rule, hooks)
    history = History(f"{_name_of(strategy)} on {asked.dataset}")
    described = {"model": _name_of(model), "loss": named(recipe.loss), "strategy": _name_of(strategy), **asdict(asked)}
    return Training(recipe.model, trainer, rule, display, history, keeping, Books(loggers, described), then)


def _folder(out: str | os.PathLike[str] | bool | None, resume: str | os.PathLike[str] | None) -> Path | None:
    """The one that was named. Raises UsageError, RunFolderError and RunNotFound."""
    if resume is None:
        return None if isinstance(out, bool) or out is None else check_free(out)
    if out:
        raise UsageError("a run that is resumed stays in its folder: leave 'out' out")
    return find_run(resume)


def _recipe(
    federation: Host,
    model: torch.nn.Module | str,
    loss: Loss | None,
    judged: Examples | None,
    asked: TrainingJob,
    say: Callable[[str], None],
    *,
    is_new: bool,
) -> Recipe:
    """Made of data that is at hand, while workers are on their way; where none is, of a sample of theirs."""

    def sample() -> Data:
        return sample_of(federation.client, asked.dataset, asked.workers, asked.patience, say)

    example = judged or federation.site.example
    recipe = recipe_for(model, loss, sample() if example is None else example, asked.seed)
    if judged is not None and federation.site.is_open and is_new:
        check_alike(judged, sample())
    return recipe


def _trainer(
    client: Client, recipe: Recipe, asked: TrainingJob, rule: Strategy, hooks: Hooks
) -> Trainer | AsyncTrainer:
    if isinstance(rule, Asynchronous):
        return AsyncTrainer(client, recipe.model, recipe.plan, asked, strategy=rule, **hooks)
    return Trainer(client, recipe.model, recipe.plan, asked, strategy=rule, **hooks)


def _judged(federation: Host, evaluate: Judge | Given | bool) -> Examples | None:
    """The data that the model is evaluated on here."""
    if isinstance(evaluate, bool):
        return federation.held_out if evaluate else None
    return None if callable(evaluate) else examples_of("evaluate", evaluate)


def _name_of(thing: object) -> str:
    return thing if isinstance(thing, str) else type(thing).__name__
