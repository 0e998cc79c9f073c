"""`fedzmq train`."""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import NoReturn

import click

from fedzmq.cli.ending import on_signal
from fedzmq.cli.idle_options import check_training_options
from fedzmq.cli.job_file import JobCommand, job_of, to_toml
from fedzmq.cli.json_display import JsonDisplay
from fedzmq.cli.local_training import local_training_options
from fedzmq.cli.main import STOPPED
from fedzmq.cli.resuming import as_it_began, nothing_left, resumed_run
from fedzmq.cli.shared_options import silence_option, split_options, wait_option
from fedzmq.cli.training_options import TrainingOptions
from fedzmq.cli.values import Count, Number, Seed, Word, WordOrOwn, broker_address, named_values
from fedzmq.errors import UsageError
from fedzmq.federated.ledger.run_history import RunHistory
from fedzmq.federation.display import Display
from fedzmq.federation.loggers.table import LOGGERS

# The names of tables that are not read here: they bring torch, and to start workers for a wrong name is in vain.
STRATEGIES = (
    *("fedavg", "fedavgm", "fedadagrad", "fedadam", "fedyogi", "fedprox", "scaffold", "fednova", "fedbn", "fedper"),
    *("ditto", "qfedavg", "fedasync", "fedbuff", "median", "trimmedmean", "geometricmedian", "krum", "multikrum"),
    "bulyan",
)
METRICS = ("accuracy", "top3", "top5", "precision", "recall", "f1", "confusion", "mae", "rmse", "r2")
ONCE = ("out", "resume", "force")  # of this run alone: a run gets a folder of its own


@click.command("train", cls=JobCommand, short_help="Train a model by federated averaging.")
@click.option(
    "--broker",
    callback=broker_address,
    metavar="ADDRESS",
    help="Train with the workers at this broker. Without it, a broker and workers are started on this machine.",
)
@click.option(
    "--workers",
    type=Count(10_000),
    default=2,
    show_default=True,
    help="How many workers to start here, or to wait for at the broker.",
)
@click.option("--rounds", type=Count(), default=25, show_default=True, help="Rounds of averaging.")
@click.option("--epochs", type=Count(), default=2, show_default=True, help="Local epochs of each worker per round.")
@click.option("--batch-size", type=Count(), default=16, show_default=True, help="Examples per step.")
@local_training_options
@click.option(
    "--strategy",
    type=WordOrOwn(STRATEGIES),
    default="fedavg",
    show_default=True,
    metavar="NAME",
    help="How updates become the next model: fedavg, fedadam, fedprox, scaffold, median, krum; a wrong one lists all. "
    "fedbn needs a model with batch normalization, such as cnn. module:Class is one of your own.",
)
@click.option(
    "--strategy-option",
    "strategy_options",
    multiple=True,
    callback=named_values,
    metavar="NAME=VALUE",
    help="An option of the strategy, such as mu=0.1 for fedprox. Repeatable.",
)
@click.option("--fraction", type=Number(min=0, max=1, min_open=True), help="Ask this share of the workers per round.")
@click.option(
    "--deadline",
    type=Number(min=0),
    metavar="SECONDS",
    help="After so long a round goes on with what has come.",
)
@click.option(
    "--quorum",
    type=Count(),
    metavar="N",
    help="With --deadline: answers that a round needs to go on without the rest.",
)
@click.option("--seed", type=Seed(), default=0, show_default=True, help="Same seed, same model.")
@click.option(
    "--data",
    default="digits",
    show_default=True,
    metavar="SOURCE",
    help="What to train on: a built-in name (digits), a .csv, .npz, .parquet or .safetensors file, x.npy,y.npy, or "
    "module:function. A tenth is held out for evaluation; the workers started here split the rest. With --broker, "
    "only the held-out tenth is used.",
)
@click.option(
    "--dataset",
    metavar="NAME",
    help="With --broker: what the workers call their data, where there is none here to evaluate on, or it has another "
    "name than --data.",
)
@click.option("--no-evaluation", is_flag=True, help="With --broker and --dataset: there is no data here.")
@click.option(
    "--evaluate-at",
    type=Word(("workers", "coordinator", "both")),
    default="coordinator",
    show_default=True,
    help="Who says how good the model is: the workers on their own data, each for itself and all together, or the "
    "coordinator on the held-out tenth.",
)
@click.option(
    "--holdout",
    type=Number(min=0, max=1, max_open=True),
    default=0.0,
    show_default=True,
    help="The share of its data that a worker keeps from training, to evaluate on.",
)
@click.option(
    "--evaluate-every",
    type=Count(),
    default=1,
    show_default=True,
    metavar="N",
    help="Workers evaluate every Nth round.",
)
@click.option(
    "--metric",
    "metrics",
    type=WordOrOwn(METRICS),
    multiple=True,
    metavar="NAME",
    help="What to measure beside the loss: accuracy, top3, top5, precision, recall, f1, confusion, mae, rmse, r2, or "
    "module:function of your own. Repeatable.",
)
@click.option(
    "--model",
    default="mlp",
    show_default=True,
    metavar="NAME",
    help="A built-in model (linear, mlp, cnn), or module:function of your own that gives a torch.nn.Module. "
    "No code of it goes to the workers.",
)
@split_options("How the workers started here split the data")
@click.option(
    "--resume",
    is_eager=True,  # the others take their values from it
    callback=resumed_run,
    metavar="RUN",
    help="Go on with a run that was interrupted, or make a finished one longer with --rounds. RUN is its folder, or "
    "its name in runs/.",
)
@click.option("--force", is_flag=True, help="With --resume: go on although a version or the data is another one.")
@click.option("--out", type=click.Path(), help="A folder for what the run leaves behind (default: a new one in runs/).")
@click.option(
    "--log",
    type=Word(LOGGERS),
    multiple=True,
    help="Write the rounds down for another program too: tensorboard, into the run's folder, or mlflow, where "
    "MLFLOW_TRACKING_URI says. Repeatable.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON per round in place of the display.")
@silence_option("a worker is gone and its round goes on without it.")
@wait_option
@click.option(
    "--patience",
    type=Number(min=0),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for workers that are missing.",
)
def command(resume: RunHistory | None, force: bool, **options: object) -> None:
    """Train a model by federated averaging: each worker on its own data, of which no row is sent.

    With no options: handwritten digits, split by label skew over two workers on this machine.
    """
    chosen = TrainingOptions(**options)  # type: ignore[arg-type]
    chosen.check()
    context = click.get_current_context()
    if resume is not None:
        began = as_it_began(context, resume)
        chosen = TrainingOptions(**{name: began[name] for name in options})
        if said := nothing_left(resume, chosen.rounds):
            click.echo(said)
            return
    elif force:
        raise UsageError("--force is for a run that is taken up again: it needs --resume RUN")
    else:
        check_training_options(context)
    job = to_toml(job_of(context, without=ONCE), "fedzmq train")
    with ExitStack() as tidied:
        # Until torch is here, which takes no interruption well, a signal tidies up and ends the process on the spot.
        on_signal(lambda: _leave_early(tidied))
        federation = chosen.federation()
        tidied.callback(federation.close)
        federation.start()  # before torch is imported here too, so that all import it at once
        display = tidied.enter_context(_display(chosen))
        display.say(chosen.beginning())
        from fedzmq.cli.run_training import run_training

        run_training(chosen, job, federation, display, None if resume is None else resume.path, force)


def _display(options: TrainingOptions) -> Display:
    if options.as_json:
        return JsonDisplay()
    from fedzmq.federation.live_display import LiveDisplay

    return LiveDisplay(options.rounds)


def _leave_early(tidied: ExitStack) -> NoReturn:
    tidied.close()
    os._exit(STOPPED)
