from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet
from safetensors.torch import load_file

from fedzmq.cli import local_training
from fedzmq.cli.train import METRICS, STRATEGIES
from fedzmq.cluster.local_cluster import LocalCluster
from fedzmq.errors import ClusterError
from fedzmq.federated import strategies
from fedzmq.federated.evaluation import metrics
from fedzmq.federated.losses import LOSSES
from fedzmq.federated.models import load_model
from fedzmq.federated.run_folder import read_rounds
from fedzmq.federation.federation import Federation
from fedzmq.worker.training.optimizers.table import OPTIMIZERS
from fedzmq.worker.training.schedules import DEFAULTS as SCHEDULES
from tests.cli.conftest import Call
from tests.processes import Fedzmq, until

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

NOBODY = "tcp://127.0.0.1:1"  # a port that only root may listen at, and nothing does
THREE = ("--workers", "3", "--rounds", "30", "--seed", "7", "--json")
FILES = {"model.safetensors", "plot.png", "rounds.jsonl", "job.toml", "ledger.sqlite", "models", "lock"}


def model_in(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


def train(site: LocalCluster, folder: Path) -> Fedzmq:
    """Thirty rounds with three workers, as a process that is to leave its run in `folder`/run."""
    return Fedzmq("train", "--broker", site.address, *THREE, "--out", "run", folder=folder)


def test_with_a_cluster_of_its_own_it_learns_the_digits_and_leaves_nothing_else(tmp_path: Path) -> None:
    with Fedzmq("train", folder=tmp_path) as run:
        assert run.wait() == 0, run.said
        (folder,) = (tmp_path / "runs").iterdir()
        assert run.out[0] == "starting a broker and 2 workers: bob, alice\n"
        assert f"the run is in {folder.relative_to(tmp_path)}" in run.said
        assert {path.name for path in folder.iterdir()} == FILES
        assert (read_rounds(folder)[-1].accuracy or 0) >= 0.95
        assert run.err == []
        assert run.family() == []
        assert list(run.temporary.glob("fedzmq-*")) == []


def test_json_is_pure_json_and_the_record_of_the_rounds(call: Call, site: LocalCluster, tmp_path: Path) -> None:
    ended = call("train", "--broker", site.address, "--workers", "3", "--rounds", "3", "--json", "--out", "run")
    *rounds, last = map(json.loads, ended.out.splitlines())

    assert ended.code == 0, ended.err
    assert [each["round"] for each in rounds] == [1, 2, 3]
    assert [answer["worker"] for answer in rounds[0]["answered"]] == ["alice", "bob", "carol"]
    assert rounds == [json.loads(line) for line in (tmp_path / "run" / "rounds.jsonl").read_text().splitlines()]
    assert last == {"folder": "run", "files": ["model.safetensors", "plot.png", "rounds.jsonl", "job.toml"]}
    assert ended.err == f"waiting for 3 workers with the data 'digits' at {site.address}\n"


def test_the_model_loads_into_plain_torch(call: Call, site: LocalCluster, tmp_path: Path) -> None:
    call("train", "--broker", site.address, "--rounds", "1", "--model", "cnn", "--out", "run")
    model = load_model("cnn", (64,), 10, seed=1)

    model.load_state_dict(load_file(tmp_path / "run" / "model.safetensors"))


def test_one_seed_gives_one_model_and_another_another(call: Call, site: LocalCluster, tmp_path: Path) -> None:
    for out, seed in (("a", "3"), ("b", "3"), ("c", "4")):
        call("train", "--broker", site.address, "--workers", "3", "--rounds", "2", "--seed", seed, "--out", out)

    assert model_in(tmp_path / "a") == model_in(tmp_path / "b")
    assert model_in(tmp_path / "a") != model_in(tmp_path / "c")


def test_every_option_is_kept_with_the_run(call: Call, site: LocalCluster, tmp_path: Path) -> None:
    asked = {
        "broker": site.address,
        "workers": 3,
        "rounds": 2,
        "epochs": 1,
        "batch_size": 32,
        "lr": 0.01,
        "optimizer": "adam",
        "strategy": "fedprox",
        "fraction": 1.0,
        "schedule": "cosine",
        "round_schedule": "step",
        "evaluate_at": "both",
        "holdout": 0.1,
        "evaluate_every": 2,
        "clip_norm": 5.0,
        "clip_value": 1.0,
        "max_steps": 10,
        "max_seconds": 60.0,
        "deadline": 60.0,
        "quorum": 2,
        "seed": 5,
        "data": "digits",
        "dataset": "digits",
        "model": "linear",
        "alpha": 1.0,
        "split_seed": 4,
        "out": "run",
        "silence": 8.0,
        "wait": 20.0,
        "patience": 30.0,
    }
    options = [text for name, value in asked.items() for text in (f"--{name.replace('_', '-')}", str(value))]
    more = {
        "strategy": "mu=0.5",
        "optimizer": "weight_decay=0.01",
        "schedule": "warmup=2",
        "round-schedule": "step_size=1",
    }
    options += [text for name, value in more.items() for text in (f"--{name}-option", value)]
    options += ["--metric", "f1", "--metric", "confusion"]
    ended = call("train", *options)

    assert ended.code == 0, ended.err
    assert "the model of round 2 at the workers" in ended.out
    assert "after 2 rounds; the run is in run" in ended.out
    job = tomllib.loads((tmp_path / "run" / "job.toml").read_text())
    kept = {name.replace("_", "-"): value for name, value in asked.items() if name != "out"}
    tables = {
        "strategy-option": {"mu": 0.5},
        "optimizer-option": {"weight_decay": 0.01},
        "schedule-option": {"warmup": 2},
        "round-schedule-option": {"step_size": 1},
        "metric": ["f1", "confusion"],
    }
    assert job == {**job, **kept, **tables, "no-evaluation": False, "json": False}


def test_the_job_of_a_run_is_a_job_file(call: Call, site: LocalCluster, tmp_path: Path) -> None:
    (tmp_path / "job.toml").write_text(
        f'broker = "{site.address}"\nworkers = 3\nrounds = 9\nstrategy = "fedprox"\n[strategy-option]\nmu = 0.1\n'
    )
    first = call("train", "--config", "job.toml", "--rounds", "2", "--out", "a")
    again = call("train", "--config", "a/job.toml", "--out", "b")

    assert (first.code, again.code) == (0, 0), first.err + again.err
    assert "after 2 rounds; the run is in a" in first.out
    assert model_in(tmp_path / "a") == model_in(tmp_path / "b")
    assert (tmp_path / "a" / "job.toml").read_text() == (tmp_path / "b" / "job.toml").read_text()


def test_a_wrong_job_file_is_one_sentence(call: Call, tmp_path: Path) -> None:
    (tmp_path / "job.toml").write_text("# mine\nepoch = 3\n")
    ended = call("train", "--config", "job.toml")

    assert ended.code == 2
    assert ended.err == (
        "fedzmq: cannot use the job file 'job.toml', line 2: no option of 'train' is called 'epoch'; "
        "did you mean 'epochs'?\n"
    )


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--strategy", "fedprxo"], "did you mean 'fedprox'?"),
        (["--strategy", "fedprox", "--strategy-option", "mo=1"], "mu"),
        (["--strategy-option", "mu"], "is not NAME=VALUE"),
        (["--quorum", "2"], "--quorum needs a --deadline"),
        (["--optimizer-option", "momentun=0.9"], "did you mean 'momentum'?"),
        (["--optimizer-option", "momentum=much"], "momentum is 'much', and a number, true or false is expected"),
        (["--schedule", "step", "--schedule-option", "gama=0.5"], "did you mean 'gamma'?"),
        (["--strategy", "fedprox", "--strategy-option", "mu=abc"], "is 'abc', and a number is expected"),
        (["--strategy", "fedasync", "--deadline", "3"], "asynchronous training has no rounds: leave 'deadline' out"),
        (["--strategy", "fednova", "--optimizer", "adam"], "FedNova divides by what a worker's gradients weigh"),
        (["--data", ""], "'' is blank: give it a value, or leave it out"),
        (["--out", " "], "' ' is blank: give it a value, or leave it out"),
        (["--metric", "f1", "--metric", ""], "'' is blank: give it a value, or leave it out"),
        (["--metric", "f2"], "did you mean 'f1'?"),
        (["--optimizer", "adm"], "'adm' is not one of sgd, adadelta, "),
        (["--optimizer", "adm"], "rmsprop; did you mean 'adam'?"),
        (["--broker", "nonsense"], "a broker's is expected, as it says it: tcp://host:port or ipc://path"),
    ],
)
def test_a_wrong_name_is_a_sentence(call: Call, options: list[str], word: str) -> None:
    ended = call("train", "--broker", "tcp://127.0.0.1:1", *options)

    assert ended.code == 2
    assert word in ended.err


def test_a_split_by_column_asks_for_it_before_anything_starts(call: Call) -> None:
    ended = call("train", "--how", "column")

    assert (ended.code, ended.out) == (2, "")
    assert "say by which column to split: --column NAME" in ended.err


def test_the_command_line_knows_the_names_of_all_tables() -> None:
    assert set(local_training.LOSSES) == set(LOSSES)
    assert (set(STRATEGIES), set(METRICS)) == (set(strategies.STRATEGIES), set(metrics.METRICS))
    assert (set(local_training.OPTIMIZERS), set(local_training.SCHEDULES)) == (set(OPTIMIZERS), set(SCHEDULES))


@pytest.mark.parametrize("option", ["--strategy", "--metric"])
def test_a_name_that_is_not_there_is_refused_before_anything_starts(call: Call, option: str) -> None:
    ended = call("train", option, "krumm")

    assert (ended.code, ended.out) == (2, "")
    assert "'krumm' is not one of " in ended.err


def test_an_option_of_no_loss_is_refused_before_anything_starts(call: Call) -> None:
    ended = call("train", "--loss-option", "delta=0.5")

    assert (ended.code, ended.out) == (2, "")
    assert "--loss-option is for a loss by its name: it needs --loss" in ended.err


def test_it_trains_where_there_is_no_data_on_this_side(call: Call, site: LocalCluster) -> None:
    options = ["--no-evaluation", "--dataset", "digits", "--rounds", "1", "--json"]
    ended = call("train", "--broker", site.address, *options)

    assert ended.code == 0, ended.err
    first = json.loads(ended.out.splitlines()[0])
    assert first["accuracy"] is None
    assert first["train_loss"] > 0


def test_a_model_of_ones_own_trains_on_workers_that_cannot_import_it(
    call: Call, site: LocalCluster, tmp_path: Path
) -> None:
    (tmp_path / "only_here.py").write_text(
        "from torch import nn\n"
        "class Own(nn.Module):\n"
        "    def __init__(self, features, classes):\n"
        "        super().__init__()\n"
        "        self.first, self.norm = nn.Linear(features, 16), nn.BatchNorm1d(16)\n"
        "        self.last = nn.Linear(16, classes)\n"
        "    def forward(self, x):\n"
        "        return self.last(self.norm(self.first(x)).tanh())\n"
    )
    ended = call("train", "--broker", site.address, "--rounds", "2", "--model", "only_here:Own", "--out", "run")

    assert ended.code == 0, ended.err
    assert "norm.running_mean" in load_file(tmp_path / "run" / "model.safetensors")


def test_data_of_ones_own_is_split_and_learned(call: Call, tmp_path: Path) -> None:
    write_data(tmp_path)
    ended = call("train", "--data", "my_data:load", "--workers", "1", "--rounds", "5", "--json", "--lr", "0.5")

    assert ended.code == 0, ended.err
    last = json.loads(ended.out.splitlines()[4])
    assert last["accuracy"] >= 0.9
    assert last["answered"][0]["examples"] == 180


def test_data_in_files_is_learned(call: Call, site: LocalCluster, tmp_path: Path) -> None:
    write_data(tmp_path)
    files = ["table.csv", "table.npz", "table.parquet"]
    options = [text for file in files for text in ("--data", f"{Path(file).suffix[1:]}={file}")]
    with Fedzmq("worker", "--id", "dave", "--broker", site.address, "--part", "1/1", *options, folder=tmp_path) as dave:
        dave.expect("worker dave at ")
        for file in files:
            names = ["--data", file, "--dataset", Path(file).suffix[1:]]
            ended = call("train", "--broker", site.address, *names, "--workers", "1", "--rounds", "1", "--json")

            assert ended.code == 0, ended.err
            (answer,) = json.loads(ended.out.splitlines()[0])["answered"]
            assert (answer["worker"], answer["examples"]) == ("dave", 180)


def write_data(folder: Path) -> None:
    """Two hundred points, of one class above a line and of the other below, in every form."""
    points = np.random.default_rng(0).normal(size=(200, 2)).astype(np.float32)
    points[:, 1] += np.where(points[:, 0] + points[:, 1] > 0, 0.5, -0.5).astype(np.float32)
    label = (points[:, 0] + points[:, 1] > 0).astype(np.int64)
    rows = [f"{x},{y},{c}" for (x, y), c in zip(points, label, strict=True)]
    (folder / "table.csv").write_text("\n".join(["x,z,label", *rows]) + "\n")
    np.savez(folder / "table.npz", features=points, targets=label)
    columns = {"x": points[:, 0], "z": points[:, 1], "label": label}
    parquet.write_table(
        pa.table({name: pa.array(values) for name, values in columns.items()}), folder / "table.parquet"
    )
    (folder / "my_data.py").write_text(
        "import numpy\n"
        "def load():\n"
        f"    with numpy.load({str(folder / 'table.npz')!r}) as file:\n"
        "        return file['features'], file['targets']\n"
    )


def test_a_worker_killed_in_mid_training_ends_with_the_model_of_the_others(site: LocalCluster, tmp_path: Path) -> None:
    try:
        with train(site, tmp_path) as run:
            run.expect('"round"', times=3)
            site.kill("alice")
            assert run.wait() == 0, run.said
    finally:
        site.start_worker("alice")
    reports = read_rounds(tmp_path / "run")

    assert len(reports) == 30
    (lost,) = [absence for report in reports for absence in report.failed]
    assert lost.worker == "alice"
    assert "its connection broke" in lost.reason
    assert [answer.worker for answer in reports[-1].answered] == ["bob", "carol"]
    assert f"goes on without alice: {lost.reason}" in run.said
    assert model_in(tmp_path / "run")


def test_a_broker_killed_in_mid_training_and_restarted_costs_a_pause_and_nothing_else(
    call: Call, site: LocalCluster, tmp_path: Path
) -> None:
    call("train", "--broker", site.address, *THREE, "--out", "undisturbed")
    with train(site, tmp_path) as run:
        run.expect('"round"', times=3)
        site.kill("broker")
        site.restart_broker()
        assert run.wait() == 0, run.said

    assert not any(report.failed for report in read_rounds(tmp_path / "run"))
    assert model_in(tmp_path / "run") == model_in(tmp_path / "undisturbed")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_torch_is_imported_ends_all_that_was_started(tmp_path: Path, number: int) -> None:
    with Fedzmq("train", folder=tmp_path) as run:
        until(lambda: len(run.family()) > 1, lambda: run.said)  # they are started before the import
        run.signal(number)

        assert run.wait() == 130
        assert run.err == []
        until(lambda: run.family() == [], lambda: run.said)
        assert list(run.temporary.glob("fedzmq-*")) == []
        assert not (tmp_path / "runs").exists()


def test_ctrl_c_in_mid_training_leaves_the_model_so_far_and_no_process(tmp_path: Path) -> None:
    with Fedzmq("train", "--rounds", "100000", "--json", "--workers", "1", "--out", "run", folder=tmp_path) as run:
        run.expect('"round"', times=3)
        run.signal(signal.SIGINT)

        assert run.wait() == 130
        assert "Traceback" not in run.said
        assert json.loads(run.out[-1])["folder"] == "run"
        assert "go on with: fedzmq train --resume run\n" in run.err
        assert {path.name for path in (tmp_path / "run").iterdir()} == FILES
        assert run.family() == []
        assert list(run.temporary.glob("fedzmq-*")) == []


@pytest.mark.parametrize(
    ("victim", "said"),
    [("broker", "broker was killed by SIGKILL"), ("worker", "no worker is left: bob was killed by SIGKILL")],
)
def test_a_cluster_that_nobody_is_left_of_ends_the_run_with_the_model_so_far(
    tmp_path: Path, victim: str, said: str
) -> None:
    with Fedzmq("train", "--rounds", "100000", "--json", "--workers", "1", "--out", "run", folder=tmp_path) as run:
        run.expect('"round"', times=2)
        lines = {pid: Path(f"/proc/{pid}/cmdline").read_bytes() for pid in run.family()}
        (process,) = [pid for pid, line in lines.items() if f"\0{victim}\0".encode() in line]
        os.kill(process, signal.SIGKILL)

        assert run.wait() == 3
        assert f"fedzmq: {said}" in run.said
        assert run.err[-1] == "go on with: fedzmq train --resume run\n"
        assert "Traceback" not in run.said
        assert model_in(tmp_path / "run")


def test_a_broker_that_is_down_is_one_sentence(call: Call) -> None:
    ended = call("train", "--broker", NOBODY, "--wait", "0.3")

    assert ended.code == 3
    assert ended.out == f"waiting for 2 workers with the data 'digits' at {NOBODY}\n"
    assert ended.err.startswith(f"fedzmq: no broker answered at {NOBODY} within 0.3 s; is `fedzmq broker")
    assert ended.err.count("\n") == 1


def test_too_few_workers_are_waited_for_as_long_as_patience_lasts(call: Call, site: LocalCluster) -> None:
    ended = call("train", "--broker", site.address, "--workers", "9", "--patience", "0.3", "--json")

    assert (ended.code, ended.out) == (3, "")
    assert "fedzmq: 9 workers are needed, and 3 can take part (alice, bob, carol); waited 0.3 s" in ended.err


def test_workers_without_the_data_are_named_with_what_they_have(call: Call, site: LocalCluster) -> None:
    ended = call("train", "--broker", site.address, "--dataset", "iris", "--patience", "0.3", "--json")

    assert (ended.code, ended.out) == (3, "")
    assert "bob does not take part: it has no data 'iris' (it has: digits)" in ended.err
    assert "without the data 'iris': alice, bob, carol" in ended.err
    assert "go on with" not in ended.err


def test_data_here_of_another_form_than_the_workers_are_refused_before_a_round(call: Call, site: LocalCluster) -> None:
    np.savez("here.npz", x=np.zeros((40, 6), np.float32), y=np.arange(40) % 2)
    ended = call("train", "--broker", site.address, "--dataset", "digits", "--data", "here.npz")

    assert ended.code == 2
    assert "an example of it has features of [6], and the workers' 'digits' have [64]" in ended.err
    assert "(--no-evaluation, evaluate=False)" in ended.err
    assert not Path("runs").exists()


def test_a_run_whose_updates_diverge_is_not_said_to_go_on(call: Call, site: LocalCluster) -> None:
    ended = call("train", "--broker", site.address, "--lr", "1e30", "--patience", "0.3", "--json")

    assert ended.code == 1
    assert ended.err.splitlines()[-1].startswith("fedzmq: ")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--broker", "tpc://127.0.0.1:5555"], "no transport for scheme 'tpc' (known: ipc, memory, tcp); did you mean"),
        (["--broker", "127.0.0.1:5555"], "'127.0.0.1:5555': a broker's is expected"),
        (["--broker", "memory://here"], "'memory://here': it ends with its process"),
        (["--broker", NOBODY, "--data", "nowhere.csv"], "'nowhere.csv': there is no such file"),
        (["--broker", NOBODY, "--data", "bad.npz"], "cannot use the data 'bad.npz'"),
        (["--broker", NOBODY, "--model", "mpl"], "cannot use the model 'mpl': expected a built-in model"),
        (["--broker", NOBODY, "--model", "nowhere:Net"], "cannot use the model 'nowhere:Net': no module 'nowhere'"),
        (["--broker", NOBODY, "--out", "taken"], "cannot use the run folder 'taken': it is not empty"),
        (["--broker", NOBODY, "--out", "bad.npz"], "cannot use the run folder 'bad.npz': it cannot be made"),
        (["--dataset", "mine"], "--dataset and --no-evaluation are for workers at a --broker"),
        (["--quorum", "3", "--deadline", "5"], "--quorum 3 is more than --workers 2"),
        (["--workers", "3", "--strategy", "bulyan"], "Bulyan makes no round of fewer than 7 answers, and 3 workers"),
        (["--broker", NOBODY, "--no-evaluation"], "--no-evaluation needs --dataset NAME"),
    ],
)
def test_what_it_cannot_use_is_one_sentence(call: Call, tmp_path: Path, options: list[str], sentence: str) -> None:
    (tmp_path / "bad.npz").write_bytes(b"no archive")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").touch()
    ended = call("train", *options)

    assert (ended.code, ended.err.count("\n")) == (2, 1), ended.err
    assert sentence in ended.err
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--holdout", "0.2"], "--holdout is for workers that evaluate: it needs --evaluate-at workers or both"),
        (["--evaluate-every", "5"], "--evaluate-every is for workers that evaluate"),
        (["--how", "iid", "--alpha", "0.3"], "--alpha is for --how auto or dirichlet or quantity, and it is iid"),
        (["--per-worker", "3"], "--per-worker is for --how shards or classes, and it is auto"),
        (["--broker", NOBODY, "--how", "iid"], "--how is for workers that are started here"),
        (["--broker", NOBODY, "--alpha", "0.3"], "--alpha is for workers that are started here"),
    ],
)
def test_an_option_that_would_do_nothing_is_refused(call: Call, options: list[str], sentence: str) -> None:
    ended = call("train", *options)

    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
    assert sentence in ended.err


def test_a_job_file_may_hold_what_another_site_has_a_use_for(call: Call, tmp_path: Path) -> None:
    (tmp_path / "job.toml").write_text("alpha = 0.3\nholdout = 0.2\n")
    ended = call("train", "--config", "job.toml", "--broker", NOBODY, "--how", "auto", "--wait", "0.1")

    assert ended.code == 3
    assert "no broker answered" in ended.err


@pytest.mark.parametrize(
    "options",
    [
        ("--optimizer-option", "foo=1"),
        ("--model", "mpl"),
        ("--out", "."),
        ("--strategy", "krum"),
    ],
)
def test_what_needs_no_worker_is_refused_with_nothing_said_but_what_was_started(
    call: Call, tmp_path: Path, options: tuple[str, ...]
) -> None:
    (tmp_path / "precious").touch()
    ended = call("train", *options)

    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert ended.out == "starting a broker and 2 workers: bob, alice\n"
    assert not (tmp_path / "runs").exists()


def test_a_cluster_that_cannot_start_is_not_said_to_start(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(cluster: LocalCluster) -> None:
        raise ClusterError("the machine is full")

    monkeypatch.setattr(LocalCluster, "start", fail)
    ended = call("train")

    assert (ended.code, ended.out) == (3, "")
    assert "the machine is full" in ended.err


def test_a_worker_of_its_own_cluster_that_cannot_start_ends_the_run_with_its_last_words(
    call: Call, tmp_path: Path
) -> None:
    (tmp_path / "mine_at_times.py").write_text(
        "import sys\n"
        "def load():\n"
        "    assert 'worker' not in sys.argv, 'the disk is full'\n"
        "    return [[0.0], [1.0]] * 10, [0, 1] * 10\n"
    )
    ended = call("train", "--data", "mine_at_times:load", "--workers", "1")

    assert ended.code == 3
    assert "fedzmq: bob ended with exit code 2; its last words: cannot use the data 'mine_at_times:load'" in ended.err
    assert "the disk is full" in ended.err


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--workers", "0"),
        ("--rounds", "0"),
        ("--epochs", "-1"),
        ("--batch-size", "1e3"),
        ("--batch-size", "99999999999999999999"),
        ("--lr", "nan"),
        ("--lr", "-0.1"),
        ("--alpha", "0"),
        ("--alpha", "inf"),
        ("--seed", "x"),
        ("--silence", "0.5"),
        ("--patience", "nan"),
        ("--wait", "-1"),
        ("--optimizer", "lion"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused(call: Call, option: str, value: str) -> None:
    ended = call("train", option, value)

    assert ended.code == 2
    assert f"Invalid value for '{option}'" in ended.err


def test_of_many_workers_not_all_are_named(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(federation: Federation) -> None:
        raise ClusterError("the machine is full")

    monkeypatch.setattr(Federation, "start", lambda federation: federation)
    monkeypatch.setattr(Federation, "client", property(fail))
    ended = call("train", "--workers", "2000")

    assert ended.out.endswith("mallory, niaj, ...\n")


def test_more_workers_than_have_room_in_memory_are_refused(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fedzmq.cluster.local_cluster.free_bytes", lambda: 1 << 30)
    ended = call("train", "--workers", "2000")

    assert ended.code == 3
    assert ended.out == ""
    assert "2000 workers take 293.0 GiB of memory" in ended.err
