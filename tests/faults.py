"""Kills coordinators with `kill -9` at random moments, resumes them, and compares what they end with: the model, and
what each round found.

Of other kinds of run the coordinator, or a worker, is stopped as by a sleep of its machine, and goes on; the broker is
killed and started again; or workers leave, are killed, and come back.

Each kind of run is done once undisturbed and then again and again with kills, until there were as many as asked for.
The moments follow from the seed and from how long the undisturbed run took. The coordinators are forked from this
process, which has imported torch for all of them; the workers are processes of their own.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # a process that forks has no threads of torch's

import click
import torch
from torch import nn

import fedzmq.cli.run_training  # noqa: F401  (what takes long to import, for all coordinators)
from fedzmq.cli.main import run
from fedzmq.cluster.local_cluster import BROKER, LocalCluster
from fedzmq.data.load import load
from fedzmq.errors import RunFolderError, RunNotFound
from fedzmq.federated.ledger.run_history import find_run, read_history
from fedzmq.federated.pictures import canvas
from fedzmq.federated.report import RoundReport
from fedzmq.federated.run_folder import read_rounds
from fedzmq.recording.training_plan import training_plan

WORKERS = ("bob", "alice", "carol")
MOST_KILLS = 3  # of one run
DEADLINE = 120.0  # seconds for one coordinator
LOOK = 0.002
SILENCE = 4.0  # seconds after which a party counts as gone
KILL, SLEEP, NAP, BROKER_DIES, FLAP = "kill", "sleep", "nap", "broker dies", "flap"

MODEL = """
from torch import nn

def net(features, classes):
    inner = nn.Linear(features, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Dropout(0.2)
    return nn.Sequential(*inner, nn.Linear(32, classes))
"""


@dataclass(frozen=True)
class Kind:
    """A kind of run. own: its workers are its own, and die with it. restarts: a worker dies while nobody coordinates.

    fault: what happens to it. same: it is promised to end with the same bits.
    """

    name: str
    options: tuple[str, ...]
    own: bool = False
    restarts: bool = False
    fault: str = KILL
    same: bool = True


KINDS = (
    Kind("fedavg", ("--strategy", "fedavg")),
    Kind("fedavg, a third asked", ("--strategy", "fedavg", "--fraction", "0.34")),
    Kind("fedadam", ("--strategy", "fedadam")),
    Kind("scaffold", ("--strategy", "scaffold")),
    Kind("scaffold, two thirds asked", ("--strategy", "scaffold", "--fraction", "0.6")),
    Kind("fedper", ("--strategy", "fedper")),
    Kind("fedbn", ("--strategy", "fedbn")),
    Kind("ditto", ("--strategy", "ditto")),
    Kind("qfedavg", ("--strategy", "qfedavg")),
    Kind("median", ("--strategy", "median")),
    Kind("krum", ("--strategy", "krum", "--strategy-option", "attackers=0")),
    Kind("fedavg, evaluated everywhere", ("--evaluate-at", "both", "--holdout", "0.2", "--metric", "f1")),
    Kind("fedavgm, another loss", ("--strategy", "fedavgm", "--loss", "multi_margin", "--round-schedule", "cosine")),
    Kind("scaffold, a worker restarted", ("--strategy", "scaffold"), restarts=True),
    Kind("scaffold, workers of its own", ("--strategy", "scaffold"), own=True),
    Kind("scaffold, coordinator asleep", ("--strategy", "scaffold"), fault=SLEEP),
    Kind("scaffold, a worker asleep", ("--strategy", "scaffold"), fault=NAP),
    Kind("scaffold, the broker killed", ("--strategy", "scaffold"), fault=BROKER_DIES),
    Kind("fedavg, workers come and go", ("--strategy", "fedavg"), fault=FLAP, same=False),
    Kind("fedasync", ("--strategy", "fedasync"), same=False),
    Kind("fedbuff, evaluated", ("--strategy", "fedbuff", "--evaluate-at", "workers"), same=False),
    Kind("fedasync, workers come and go", ("--strategy", "fedasync"), fault=FLAP, same=False),
    Kind("fedasync, a worker asleep", ("--strategy", "fedasync"), fault=NAP, same=False),
    Kind("fedbuff, the broker killed", ("--strategy", "fedbuff"), fault=BROKER_DIES, same=False),
)


@dataclass
class Outcome:
    """What came of the runs of one kind."""

    kills: int = 0
    runs: int = 0
    after: list[int] = field(default_factory=list)  # so many rounds were committed when a coordinator was killed
    unlike: list[str] = field(default_factory=list)


class Faults:
    """`folder` is for what the runs leave. `cluster` has the workers of all kinds but those with their own."""

    def __init__(self, folder: Path, cluster: LocalCluster, rounds: int, dice: random.Random) -> None:
        self._folder = folder
        self._cluster = cluster
        self._rounds = rounds
        self._dice = dice
        self._number = 0
        (folder / "the_model.py").write_text(MODEL)

    def undisturbed(self, kind: Kind) -> tuple[str, float]:
        """What the run ends with, and after how many seconds."""
        began = time.monotonic()
        path = self._path()
        code = self._wait(self._start(kind, path))
        if code != 0:
            raise click.ClickException(f"{kind.name}: undisturbed, it ended with exit code {code}: {self._said(path)}")
        return self._end(path), time.monotonic() - began

    def disturbed(self, kind: Kind, most: int, seconds: float, outcome: Outcome) -> str:
        """Run it with up to so many kills, within so many seconds of a coordinator's start each; gives what it ends
        with, or what went wrong.
        """
        path = self._path()
        outcome.runs += 1
        coordinator = self._start(kind, path)
        while most > 0 and self._lives(coordinator, self._dice.uniform(0.0, seconds)):
            most -= 1
            outcome.kills += 1
            coordinator = self._strike(kind, path, coordinator)
            outcome.after.append(_committed(path) or 0)
        code = self._wait(coordinator) if most == 0 else 0
        if code != 0:
            return f"exit code {code}: {self._said(path)}"
        return self._end(path)

    def _start(self, kind: Kind, path: Path) -> int:
        """The first coordinator of a run, or its next: the process."""
        if _committed(path) is not None:
            arguments = ["train", "--resume", str(path)]
        else:  # it was killed before it began
            shutil.rmtree(path, ignore_errors=True)
            where = [] if kind.own else ["--broker", self._cluster.address]
            size = ["--workers", str(len(WORKERS)), "--rounds", str(self._rounds), "--epochs", "1"]
            arguments = [
                "train",
                *where,
                *size,
                *kind.options,
                "--model",
                "the_model:net",
                "--out",
                str(path),
                "--json",
                "--silence",
                str(SILENCE),
            ]
        process = os.fork()
        if process == 0:
            self._coordinate(arguments, path)
        return process

    def _coordinate(self, arguments: Sequence[str], path: Path) -> None:
        """In the new process, which never returns."""
        code = 70
        try:
            os.chdir(self._folder)
            log = os.open(path.with_suffix(".log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            for stream in (1, 2):
                os.dup2(log, stream)
            code = run(arguments)
            sys.stdout.flush()
        except Exception:
            traceback.print_exc()
        finally:
            os._exit(code)

    def _lives(self, process: int, after: float) -> bool:
        """False where it ended by itself before."""
        deadline = time.monotonic() + after
        while time.monotonic() < deadline:
            if os.waitpid(process, os.WNOHANG) != (0, 0):
                return False
            time.sleep(LOOK)
        return True

    def _strike(self, kind: Kind, path: Path, coordinator: int) -> int:
        """Let it happen; gives the coordinator that goes on."""
        victim = self._dice.choice(WORKERS)
        if kind.fault == SLEEP:
            _stop(coordinator, 1.5 * SILENCE)
        elif kind.fault == NAP:
            _stop(self._cluster.processes[victim].pid, 0.5 * SILENCE)
        elif kind.fault == BROKER_DIES:
            self._cluster.kill(BROKER)
            self._cluster.restart_broker()
        elif kind.fault == FLAP:
            if self._dice.random() < 0.5:
                self._cluster.kill(victim)
            else:
                self._cluster.processes[victim].terminate()
                self._cluster.processes[victim].wait(DEADLINE)
            self._cluster.start_worker(victim)
        else:
            os.kill(coordinator, signal.SIGKILL)
            os.waitpid(coordinator, 0)
            if kind.restarts:
                self._cluster.kill(victim)
                self._cluster.start_worker(victim)
            return self._start(kind, path)
        return coordinator

    def _wait(self, process: int) -> int:
        deadline = time.monotonic() + DEADLINE
        while time.monotonic() < deadline:
            ended, status = os.waitpid(process, os.WNOHANG)
            if ended:
                return os.waitstatus_to_exitcode(status)
            time.sleep(LOOK)
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        return -signal.SIGALRM

    def _end(self, path: Path) -> str:
        try:
            reports = read_rounds(path)
            rounds = [report.round for report in reports]
            if rounds != list(range(1, self._rounds + 1)):
                return f"rounds {rounds}"
            found = repr([(report.loss, report.metrics, _figures(report)) for report in reports])
            return sha256((path / "model.safetensors").read_bytes() + found.encode()).hexdigest()
        except OSError as error:
            return f"{error}: {self._said(path)}"

    def _said(self, path: Path) -> str:
        lines = path.with_suffix(".log").read_text().splitlines()
        return next(
            (line for line in reversed(lines) if line.startswith("fedzmq: ")), lines[-1] if lines else "nothing"
        )

    def _path(self) -> Path:
        self._number += 1
        return self._folder / f"run{self._number}"


def _figures(report: RoundReport) -> list[object]:
    """What the workers found of the model."""
    return [(each.worker, each.examples, each.figures()) for each in report.evaluated]


def _stop(process: int, seconds: float) -> None:
    """As its machine's sleep does."""
    os.kill(process, signal.SIGSTOP)
    time.sleep(seconds)
    os.kill(process, signal.SIGCONT)


def warm_up() -> None:
    """Import what the first plan and the first picture need."""
    data = load("digits")
    training_plan(nn.Linear(64, 10), nn.functional.cross_entropy, data.take(torch.arange(2))[0], torch.zeros(2).long())
    canvas.prepare()
    torch.set_num_threads(1)


def _committed(path: Path) -> int | None:
    """How many rounds; None where nothing was begun that can be resumed."""
    try:
        return read_history(find_run(path)).done
    except (RunNotFound, RunFolderError):
        return None


def try_kind(faults: Faults, kind: Kind, kills: int) -> Outcome:
    """Run it with so many kills in all."""
    expected, seconds = faults.undisturbed(kind)
    outcome = Outcome()
    while outcome.kills < kills:
        before = outcome.kills
        found = faults.disturbed(kind, min(MOST_KILLS, kills - outcome.kills), seconds, outcome)
        if outcome.kills == before:  # the machine has become faster
            seconds *= 0.8
        if found != expected and (kind.same or len(found) != len(expected)):
            outcome.unlike.append(found)
    return outcome


@click.command()
@click.option("--kills", type=int, default=50, show_default=True, help="How many coordinators to kill.")
@click.option("--rounds", type=int, default=15, show_default=True, help="Rounds of each run.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the moments.")
@click.option("--only", metavar="TEXT", default="", help="Only kinds of run with this in their name.")
def command(kills: int, rounds: int, seed: int, only: str) -> None:
    """Kill coordinators at random moments, resume them, and compare their models with those of undisturbed runs."""
    kinds = [kind for kind in KINDS if only in kind.name]
    click.echo(f"{'run':<32}{'runs':>5}{'kills':>7}   model        killed after so many rounds")
    failed = 0
    with tempfile.TemporaryDirectory(prefix="fedzmq-faults-") as text:
        folder = Path(text)
        with LocalCluster(WORKERS, data="digits", listen="tcp://127.0.0.1:0", keeps=True, silence=SILENCE) as cluster:
            cluster.keep_in(folder / "kept")
            warm_up()
            cluster.connect().close()
            faults = Faults(folder, cluster, rounds, random.Random(seed))
            for number, kind in enumerate(kinds):
                share = kills * (number + 1) // len(kinds) - kills * number // len(kinds)
                outcome = try_kind(faults, kind, share)
                failed += len(outcome.unlike)
                verdict = "OTHER BITS" if outcome.unlike else "same bits" if kind.same else "complete"
                after = " ".join(map(str, outcome.after))
                click.echo(f"{kind.name:<32}{outcome.runs:>5}{outcome.kills:>7}   {verdict:<13}{after}")
                for each in outcome.unlike:
                    click.echo(f"    {each}")
    raise SystemExit(1 if failed else 0)


if __name__ == "__main__":
    command()
