from __future__ import annotations

from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn

from fedzmq.errors import UsageError
from fedzmq.federation.federation import Federation
from fedzmq.federation.loggers.tensorboard import TensorBoard
from tests.federation.loggers.recorded import POINTS, trained


def written(folder: Path) -> EventAccumulator:
    events = EventAccumulator(str(folder))
    events.Reload()
    return events


def test_the_rounds_are_in_the_runs_own_folder(tmp_path: Path) -> None:
    history = trained("tensorboard", tmp_path / "run")
    events = written(tmp_path / "run")

    assert [each.step for each in events.Scalars("loss")] == [1, 2, 3]
    assert [each.value for each in events.Scalars("loss")] == pytest.approx([each.loss for each in history])
    assert [each.value for each in events.Scalars("accuracy")] == pytest.approx([each.accuracy for each in history])
    assert len(events.Scalars("worker/alice/loss")) == 3


def test_what_was_asked_for_is_a_text(tmp_path: Path) -> None:
    trained("tensorboard", tmp_path / "run")
    (text,) = written(tmp_path / "run").Tensors("job/text_summary")

    assert b"| seed | 7 |" in text.tensor_proto.string_val[0]


def test_a_folder_of_ones_own_needs_no_other(tmp_path: Path) -> None:
    trained(TensorBoard(tmp_path / "mine"))

    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    assert len(written(tmp_path / "mine").Scalars("loss")) == 3


def test_by_its_name_alone_the_run_gets_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    trained("tensorboard")

    (folder,) = (tmp_path / "runs").iterdir()
    assert len(written(folder).Scalars("loss")) == 3


def test_without_any_folder_it_says_what_it_needs() -> None:
    with Federation(workers={"bob": POINTS}) as federation, pytest.raises(UsageError, match="needs a folder"):
        federation.train(nn.Linear(2, 2), log=TensorBoard()).run()
