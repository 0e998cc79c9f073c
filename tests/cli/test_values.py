from __future__ import annotations

from pathlib import Path

import click
import pytest

from fedzmq.cli.commands import fedzmq
from fedzmq.cli.values import Count, Number, Seed
from tests.cli.conftest import Call


@pytest.mark.parametrize(
    ("kind", "given", "says"),
    [
        (Count(), "x", "'x' is not a whole number from 1 to 1000000000"),
        (Count(), "0", "'0' is not a whole number from 1 to 1000000000"),
        (Count(most=7), 8, "8 is not a whole number from 1 to 7"),
        (Seed(), "x", "'x' is not a whole number"),
        (Number(min=0), "abc", "'abc' is not a number from 0"),
        (Number(min=0), "inf", "'inf' is not a number from 0"),
        (Number(min=0, max=1, min_open=True), 0, "0 is not a number above 0 and up to 1"),
        (Number(min=0, max=1, max_open=True), "1", "'1' is not a number from 0 and below 1"),
    ],
)
def test_a_number_says_what_it_may_be(kind: click.ParamType, given: object, says: str) -> None:
    with pytest.raises(click.BadParameter) as caught:
        kind.convert(given, None, None)
    assert caught.value.message == says


def test_help_says_where_a_number_begins(capsys: pytest.CaptureFixture[str]) -> None:
    fedzmq.main(["train", "--help"], standalone_mode=False)
    told = " ".join(capsys.readouterr().out.split())

    assert "--rounds N Rounds of averaging. [default: 25; from 1]" in told
    assert "x<=" not in told


def test_a_command_that_is_not_there_is_answered_with_the_one_that_was_meant() -> None:
    with pytest.raises(click.UsageError, match=r"no command 'trian' \(known: bench, .*\); did you mean 'train'\?"):
        fedzmq.main(["trian"], standalone_mode=False)


def test_a_time_is_said_to_be_in_seconds(call: Call, tmp_path: Path) -> None:
    (tmp_path / "job.toml").write_text('deadline = "30 s"\n')

    assert 'deadline: "30 s" is not a number of seconds' in call("train", "--config", "job.toml").err
    assert "'30s' is not a number of seconds from 0" in call("train", "--deadline", "30s").err
