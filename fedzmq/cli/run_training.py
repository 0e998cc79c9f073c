"""The coordinator's process of `fedzmq train`, once torch is there."""

from __future__ import annotations

from pathlib import Path

import torch

from fedzmq.cli.ending import interrupt, on_signal
from fedzmq.cli.training_options import TrainingOptions
from fedzmq.federation.display import Display
from fedzmq.federation.federation import Federation


def run_training(
    options: TrainingOptions,
    job: str,
    federation: Federation,
    display: Display,
    resumed: Path | None = None,
    force: bool = False,
) -> None:
    """Train as the options say. `job` is kept with the run: the options as a job file. `resumed` is the folder of a run
    that goes on, by `force` whatever has changed. Raises FedzmqError.
    """
    on_signal(interrupt)
    torch.set_num_threads(1)  # the workers are on this machine too, or the model is small enough not to mind
    federation.train(
        options.model,
        options.loss,
        loss_options=options.loss_options,
        strategy=options.strategy,
        strategy_options=options.strategy_options,
        lr=options.lr,
        options=options.optimizer_options,
        evaluate=not options.no_evaluation,
        out=(options.out or True) if resumed is None else None,
        resume=resumed,
        force=force,
        log=options.log,
        evaluate_at=options.evaluate_at,
        metrics=options.metrics,
        progress=display,
        record=job,
        then=federation.stop,
        rounds=options.rounds,
        epochs=options.epochs,
        batch_size=options.batch_size,
        optimizer=options.optimizer,
        seed=options.seed,
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
        holdout=options.holdout,
        evaluate_every=options.evaluate_every,
    ).run()
