"""The coordinator's process of `fedzmq train`: from the data and the model to the run folder."""

from __future__ import annotations

from dataclasses import asdict

import torch

from fedzmq.cli.ending import interrupt, on_signal
from fedzmq.cli.training_display import JsonDisplay, LiveDisplay, TrainingDisplay
from fedzmq.cli.training_options import TrainingOptions
from fedzmq.client.client import Client, connect
from fedzmq.client.training_plan import training_plan
from fedzmq.errors import MissingExtraError
from fedzmq.federated.evaluation import evaluate
from fedzmq.federated.models import Loss, check_model, load_model, loss_for
from fedzmq.federated.report import RoundReport
from fedzmq.federated.run_folder import RunFolder
from fedzmq.federated.trainer import Trainer
from fedzmq.federated.training_job import TrainingJob
from fedzmq.testing.cluster import LocalCluster
from fedzmq.worker.data import Data, load, name_of
from fedzmq.worker.partition import hold_out


def run_training(options: TrainingOptions, cluster: LocalCluster | None) -> None:
    """Train as the options say, with the workers of `cluster` or those at the broker. Raises FedzmqError."""
    on_signal(interrupt)
    torch.set_num_threads(1)  # the workers are on this machine too, or the model is small enough not to mind
    held = None if options.no_evaluation else hold_out(load(options.data), seed=options.split_seed)[1]
    dataset = options.dataset or name_of(options.data)
    display: TrainingDisplay = JsonDisplay() if options.as_json else LiveDisplay(options.rounds)
    with display, _client(options, cluster, display) as client, RunFolder(options.out, name=dataset) as folder:
        folder.write_config(asdict(options))
        sample = held if held is not None else _sample_of(client, dataset, options)
        model, loss = _model(options, sample)
        job = TrainingJob(
            dataset,
            options.rounds,
            options.epochs,
            options.batch_size,
            options.optimizer,
            {"lr": options.lr},
            options.seed,
            options.workers,
            patience=options.patience,
        )
        trainer = Trainer(
            client,
            model,
            training_plan(model, loss, sample.features, sample.targets),
            job,
            evaluate=None if held is None else lambda current: evaluate(current, loss, held),
            say=display.say,
            hear=display.hear,
        )
        reports: list[RoundReport] = []
        try:
            for report in trainer.rounds():
                reports.append(report)
                folder.add(report)
                display.show(report)
        finally:
            if reports:
                _leave(folder, model, reports, dataset, display)


def _client(options: TrainingOptions, cluster: LocalCluster | None, display: TrainingDisplay) -> Client:
    if cluster is not None:
        display.say(f"starting a broker and {options.workers} workers: {', '.join(cluster.workers)}")
        return cluster.connect()
    assert options.broker is not None
    return connect(options.broker, silence=options.silence)


def _model(options: TrainingOptions, sample: Data) -> tuple[torch.nn.Module, Loss]:
    outputs = 1 if sample.classes is not None else sample.targets.shape[1]
    model = load_model(options.model, sample.features.shape[1:], sample.classes, options.seed, outputs)
    check_model(options.model, model, sample)
    return model.train(), loss_for(sample)


def _sample_of(client: Client, dataset: str, options: TrainingOptions) -> Data:
    """Two examples of zeros in the form that the workers' data has."""
    from fedzmq.federated.cohort import Cohort

    cohort = Cohort(client, dataset, lambda line: None)
    info = cohort.info(next(iter(cohort.gather(options.workers, options.patience))))
    features, targets = (
        torch.zeros((2, *shape), dtype=getattr(torch, dtype))
        for shape, dtype in zip(info.shapes, info.dtypes, strict=True)
    )
    return Data(dataset, features, targets, info.classes)


def _leave(
    folder: RunFolder, model: torch.nn.Module, reports: list[RoundReport], title: str, display: TrainingDisplay
) -> None:
    written = [folder.write_model(model).name, "rounds.jsonl", "config.json"]
    try:
        written.insert(1, folder.write_plot(reports, f"Federated averaging on {title}").name)
    except MissingExtraError as error:
        display.say(str(error))
    display.finish(str(folder.path), written, reports[-1])
