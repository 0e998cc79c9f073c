from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click
import pytest

from fedzmq.cli.job_file import NAMED, JobCommand, job_of, to_toml
from fedzmq.cli.train import ONCE
from fedzmq.cli.train import command as train
from fedzmq.cli.values import Count, Number, named_values, part_number
from fedzmq.errors import JobFileError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


class Halving(click.ParamType):
    """An option's own kind of value, which no job file knows."""

    name = "halving"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, int]:
        word, _, number = str(value).partition(":")
        if word != "halve":
            self.fail(f"{value!r} is not halve:N", param, ctx)
        return word, int(number)


@click.command("work", cls=JobCommand)
@click.option("--rounds", type=Count(), default=25)
@click.option("--batch-size", type=Count(), default=16)
@click.option("--lr", type=Number(min=0), default=0.1)
@click.option("--optimizer", type=click.Choice(["sgd", "adam"]), default="sgd")
@click.option("--strategy", default="fedavg")
@click.option("--strategy-option", "strategy_options", multiple=True, callback=named_values, metavar="NAME=VALUE")
@click.option("--deadline", type=Number(min=0))
@click.option("--no-evaluation", is_flag=True)
@click.option("--data", "sources", multiple=True)
@click.option("--part", callback=part_number)
@click.option("--schedule", type=Halving())
@click.option("--out", type=click.Path())
@click.option("--id", "name", required=True)
@click.option("--owner", is_flag=True, hidden=True)
def work(**options: object) -> object:
    return options, job_of(click.get_current_context(), without=("out",))


def run(*arguments: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the command gets, and its job."""
    result: tuple[dict[str, Any], dict[str, Any]] = work.main(list(arguments), standalone_mode=False)
    return result


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "job.toml"


def read(file: Path, text: str, *arguments: str) -> dict[str, Any]:
    file.write_text(text)
    return run("--config", str(file), *arguments)[0]


def test_a_file_sets_options_by_their_names(file: Path) -> None:
    options = read(file, 'id = "bob"\nrounds = 3\nbatch-size = 8\nlr = 1\noptimizer = "adam"\nno-evaluation = true\n')

    assert (options["name"], options["rounds"], options["batch_size"]) == ("bob", 3, 8)
    assert (options["lr"], options["optimizer"], options["no_evaluation"]) == (1.0, "adam", True)


def test_the_command_line_wins(file: Path) -> None:
    options = read(file, 'id = "bob"\nrounds = 3\nlr = 0.5\n', "--rounds", "7")

    assert (options["rounds"], options["lr"]) == (7, 0.5)


def test_what_nobody_says_has_its_default(file: Path) -> None:
    assert read(file, 'id = "bob"\n')["rounds"] == 25


def test_named_values_are_a_table(file: Path) -> None:
    options = read(file, 'id = "bob"\n[strategy-option]\nmu = 0.1\nhow = "well"\nit = true\nlayers = ["a", "b"]\n')

    assert options["strategy_options"] == {"mu": "0.1", "how": "well", "it": "true", "layers": "a,b"}


def test_an_option_that_repeats_is_a_list_or_a_single_value(file: Path) -> None:
    assert read(file, 'id = "b"\ndata = ["digits", "mine=x.csv"]\n')["sources"] == ("digits", "mine=x.csv")
    assert read(file, 'id = "b"\ndata = "digits"\n')["sources"] == ("digits",)


def test_what_only_the_option_understands_is_read_by_it(file: Path) -> None:
    options = read(file, 'id = "bob"\npart = "2/3"\nschedule = "halve:4"\n')

    assert (options["part"], options["schedule"]) == ((2, 3), ("halve", 4))


def test_a_run_is_named_on_the_command_line_alone(file: Path) -> None:
    file.write_text('rounds = 3\nresume = "k9"\n')
    with pytest.raises(JobFileError, match=r"job.toml', line 2: resume belongs on the command line: --resume"):
        train.main(["--config", str(file)], standalone_mode=False)


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ('id = "bob"\n\nroundz = 3\n', 3, "no option of 'work' is called 'roundz'; did you mean 'rounds'?"),
        ("batch_size = 3\n", 1, "no option of 'work' is called 'batch_size'; did you mean 'batch-size'?"),
        ("# it\n[strategy-options]\nmu = 1\n", 2, "'strategy-options'; did you mean 'strategy-option'?"),
        ("owner = true\n", 1, "no option of 'work' is called 'owner'; --help lists them"),
        ('config = "other.toml"\n', 1, "config belongs on the command line: --config"),
        ("help = true\n", 1, "help belongs on the command line: --help"),
        ("# it\n[train]\nrounds = 1\n", 2, "no option of 'work' is called 'train'; --help lists them"),
        ('rounds = "3"\n', 1, 'rounds: "3" is not a whole number'),
        ("lr = 0.1\nrounds = 3.5\n", 2, "rounds: 3.5 is not a whole number"),
        ("rounds = true\n", 1, "rounds: true is not a whole number"),
        ("rounds = 0\n", 1, "rounds: 0 is not a whole number from 1"),
        ("rounds = [1, 2]\n", 1, "rounds: a list is not a whole number"),
        ('lr = "fast"\n', 1, 'lr: "fast" is not a number'),
        ("lr = nan\n", 1, "lr: nan is not a number from 0"),
        ("lr = -1\n", 1, "lr: -1 is not a number from 0"),
        ('optimizer = "sdg"\n', 1, "optimizer: 'sdg' is not one of"),
        ("optimizer = 1\n", 1, "optimizer: 1 is not a text"),
        ('strategy = ""\n', 1, 'strategy: "" is blank: give it a value, or leave it out'),
        ('rounds = 1\nstrategy = " "\n', 2, 'strategy: " " is blank: give it a value, or leave it out'),
        ("strategy = 2026-11-25\n", 1, "strategy: 2026-11-25 is not a text"),
        ('no-evaluation = "yes"\n', 1, 'no-evaluation: "yes" is not true or false'),
        ('strategy-option = "mu=1"\n', 1, 'strategy-option: "mu=1" is not a table of names and values'),
        (
            "[strategy]\nmu = 1\n",
            1,
            "strategy: a table is not a text; what it has to set goes into the table [strategy-o",
        ),
        ("[strategy-option.deep]\nmu = 1\n", 1, "strategy-option: a table is within the table"),
        ('part = "3/2"\n', 1, "part: '3/2' is not K/N"),
        ('schedule = "double:4"\n', 1, "schedule: 'double:4' is not halve:N"),
    ],
)
def test_what_it_cannot_use_is_one_sentence_with_key_file_and_line(
    file: Path, text: str, line: int, reason: str
) -> None:
    with pytest.raises(JobFileError) as raised:
        read(file, text)

    assert str(raised.value).startswith(f"cannot use the job file {str(file)!r}, line {line}: ")
    assert reason in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"rounds = \n", "it is not TOML: "), (b"\xff", "it is not text in UTF-8"), (None, "No such file")],
)
def test_a_file_that_cannot_be_read_is_one_sentence(file: Path, content: bytes | None, reason: str) -> None:
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(JobFileError, match=reason):
        run("--config", str(file))


def test_the_job_is_everything_that_it_runs_with_but_what_is_left_out() -> None:
    _, job = run("--id", "bob", "--rounds", "3", "--out", "there", "--strategy-option", "mu=0.1", "--part", "2/3")

    assert job == {
        "rounds": 3,
        "batch-size": 16,
        "lr": 0.1,
        "optimizer": "sgd",
        "strategy": "fedavg",
        "strategy-option": {"mu": 0.1},
        "no-evaluation": False,
        "part": "2/3",
        "id": "bob",
    }


def test_a_job_comes_back_from_its_file(file: Path) -> None:
    given = ["--id", "b\"o\\b'", "--lr", "1e-05", "--data", "digits", "--data", "m=x.csv", "--schedule", "halve:4"]
    values = ["a=1", "b=1.50", "c=true", "d=x=y", "e=1e3", "f=0.25", "g=007"]
    options, job = run(*given, *(text for value in values for text in ("--strategy-option", value)))
    text = to_toml(job, "fedzmq work")

    assert tomllib.loads(text) == job
    file.write_text(text)
    assert run("--config", str(file)) == (options, job)


def test_a_job_from_a_file_and_the_command_line_is_what_both_say(file: Path) -> None:
    file.write_text('id = "bob"\nrounds = 3\nlr = 1\n[strategy-option]\nmu = 0.1\n')
    _, job = run("--config", str(file), "--rounds", "7")

    assert (job["rounds"], job["lr"], job["strategy-option"]) == (7, 1.0, {"mu": 0.1})


OWN = {"--broker": "tcp://127.0.0.1:1", "--column": "house", "--groups": "house"}


def test_every_option_of_train_comes_back_from_the_job_of_its_run(file: Path) -> None:
    given: list[str] = []
    for option in train.params:
        if not isinstance(option, click.Option) or option.name in {"config", *ONCE} or option.hidden:
            continue
        name = option.opts[-1]
        if option.is_flag:
            given.append(name)
        elif isinstance(option.type, click.Choice):
            given += [name, str(option.type.choices[-1])]
        elif isinstance(option.type, click.types.IntParamType):
            given += [name, "3"]
        elif isinstance(option.type, click.types.FloatParamType):
            given += [name, "0.5" if name != "--silence" else "5"]
        else:
            given += [name, "mu=0.5" if option.metavar == NAMED else OWN.get(name, "word")]
    first = train.make_context("train", list(given))
    job = job_of(first, without=ONCE)
    file.write_text(to_toml(job, "fedzmq train"))
    again = train.make_context("train", ["--config", str(file)])

    assert len(job) == len({each for each in given if each.startswith("--")})
    assert again.params == first.params
    assert job_of(again, without=ONCE) == job
