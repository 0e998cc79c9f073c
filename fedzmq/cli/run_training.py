"""The coordinator's process of `fedzmq train`: from the data and the model to the run folder."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TypedDict

import torch

from fedzmq.cli.ending import interrupt, on_signal
from fedzmq.cli.training_display import TrainingDisplay
from fedzmq.cli.training_options import TrainingOptions
from fedzmq.client.client import Client, connect
from fedzmq.cluster.local_cluster import BROKER, LocalCluster
from fedzmq.data.data import Data
from fedzmq.data.load import load, name_of
from fedzmq.data.partition import hold_out
from fedzmq.errors import DataError, MissingExtraError
from fedzmq.federated import plot
from fedzmq.federated.async_trainer import AsyncTrainer
from fedzmq.federated.cohort import Cohort
from fedzmq.federated.evaluation import Score, evaluate
from fedzmq.federated.models import Loss, check_model, load_model, loss_for
from fedzmq.federated.report import RoundReport
from fedzmq.federated.run_folder import RunFolder, check_free
from fedzmq.federated.strategies import by_name
from fedzmq.federated.strategies.asynchronous import Asynchronous
from fedzmq.federated.trainer import Evaluate, Trainer
from fedzmq.federated.training_job import TrainingJob
from fedzmq.recording.training_plan import training_plan
from fedzmq.tensors.dtypes import dtype_of
from fedzmq.wire.limits import check_shape, check_size
from fedzmq.wire.messages import Progress

MOST_CLASSES = 1 << 20  # of what a worker says of its data: a model is made by it
MOST_EXAMPLE_BYTES = 1 << 30


@dataclass(frozen=True, slots=True, eq=False)
class Recipe:
    """What is trained, and how: the plan is all of it that workers see."""

    model: torch.nn.Module
    loss: Loss
    plan: bytes


class Hooks(TypedDict):
    """What a trainer calls while it runs."""

    evaluate: Evaluate | None
    say: Callable[[str], None]
    hear: Callable[[str, Progress], None]


def run_training(options: TrainingOptions, job: str, cluster: LocalCluster | None, display: TrainingDisplay) -> None:
    """Train as the options say, with the workers of `cluster` or those at the broker. `job` is kept with the run: the
    options as a job file. Raises FedzmqError."""
    on_signal(interrupt)
    strategy = by_name(options.strategy, **options.strategy_options)
    torch.set_num_threads(1)  # the workers are on this machine too, or the model is small enough not to mind
    if options.out is not None:
        check_free(options.out)
    dataset = options.dataset or name_of(options.data)
    training_job = _job(options, dataset)
    held = None if options.no_evaluation else hold_out(load(options.data), seed=options.split_seed)[1]
    recipe = None if held is None else _recipe(options, held)  # while the workers are still on their way

    def say(line: str) -> None:
        display.say(line)
        if cluster is not None:  # nobody starts its broker again: what waits for it would wait for ever
            cluster.check(BROKER)

    def score(model: torch.nn.Module) -> Score:
        assert held is not None
        return evaluate(model, loss_for(held), held)

    with ExitStack() as open_ones:
        client = open_ones.enter_context(_client(options, cluster))
        if recipe is None:
            recipe = _recipe(options, _sample_of(client, dataset, options, say))
        folder = open_ones.enter_context(RunFolder(options.out, name=dataset))
        folder.write_job(job)
        hooks: Hooks = {"evaluate": None if held is None else score, "say": say, "hear": display.hear}
        trainer: Trainer | AsyncTrainer
        if isinstance(strategy, Asynchronous):
            trainer = AsyncTrainer(client, recipe.model, recipe.plan, training_job, strategy=strategy, **hooks)
        else:
            trainer = Trainer(client, recipe.model, recipe.plan, training_job, strategy=strategy, **hooks)
        reports: list[RoundReport] = []
        try:
            for report in trainer.rounds():
                reports.append(report)
                folder.add(report)
                display.show(report)
                if len(reports) == 1:
                    threading.Thread(target=plot.prepare, name="fedzmq-plot", daemon=True).start()
        finally:  # an interrupted run, and one that failed, leaves what it has
            if reports:
                written = [folder.write_model(recipe.model).name]
                client.close()
                if cluster is not None:
                    cluster.stop()  # so that the workers end while the picture is drawn
                written += _draw(folder, reports, dataset, display)
                display.finish(str(folder.path), [*written, "rounds.jsonl", "job.toml"], reports[-1])


def _client(options: TrainingOptions, cluster: LocalCluster | None) -> Client:
    if cluster is not None:
        return cluster.connect()
    assert options.broker is not None
    return connect(options.broker, silence=options.silence, timeout=options.wait)


def _recipe(options: TrainingOptions, sample: Data) -> Recipe:
    outputs = 1 if sample.classes is not None else sample.targets.shape[1]
    model = load_model(options.model, sample.features.shape[1:], sample.classes, options.seed, outputs)
    check_model(options.model, model, sample)
    model.train()
    loss = loss_for(sample)
    return Recipe(model, loss, training_plan(model, loss, sample.features, sample.targets))


def _sample_of(client: Client, dataset: str, options: TrainingOptions, say: Callable[[str], None]) -> Data:
    """Two examples of zeros in the form that the workers' data has."""
    cohort = Cohort(client, dataset, say)
    info = cohort.info(next(iter(cohort.gather(options.workers, options.patience))))
    if len(info.shapes) != 2 or len(info.dtypes) != 2 or (info.classes or 0) > MOST_CLASSES:
        raise DataError(dataset, "a worker describes it as something else than features and a target")
    for shape, dtype in zip(info.shapes, info.dtypes, strict=True):
        check_size("the bytes of an example", check_shape(dtype, shape), MOST_EXAMPLE_BYTES)
    features, targets = (
        torch.zeros((2, *shape), dtype=dtype_of(dtype)) for shape, dtype in zip(info.shapes, info.dtypes, strict=True)
    )
    return Data(dataset, features, targets, info.classes)


def _job(options: TrainingOptions, dataset: str) -> TrainingJob:
    return TrainingJob(
        dataset,
        options.rounds,
        options.epochs,
        options.batch_size,
        options.optimizer,
        options.all_optimizer_options,
        options.seed,
        options.workers,
        patience=options.patience,
        fraction=options.fraction,
        deadline=options.deadline,
        quorum=options.quorum,
        schedule=options.schedule,
        schedule_options=options.schedule_options,
        round_schedule=options.round_schedule,
        round_schedule_options=options.round_schedule_options,
        clip_norm=options.clip_norm,
        clip_value=options.clip_value,
        max_steps=options.max_steps,
        max_seconds=options.max_seconds,
    )


def _draw(folder: RunFolder, reports: Sequence[RoundReport], dataset: str, display: TrainingDisplay) -> list[str]:
    try:
        return [folder.write_plot(reports, f"Federated averaging on {dataset}").name]
    except MissingExtraError as error:
        display.say(str(error))
        return []
