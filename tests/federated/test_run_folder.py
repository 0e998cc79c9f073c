from __future__ import annotations

import errno
import io
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from fedzmq.errors import RunFolderError, RunFolderFull
from fedzmq.federated.models import load_model
from fedzmq.federated.report import Answer, RoundReport
from fedzmq.federated.run_folder import RunFolder, read_rounds

NOON = datetime(2024, 5, 6, 12, 30, 15)


def report(number: int) -> RoundReport:
    return RoundReport(number, 0.5, 0.9, 0.4, 1.0, 10, 20, (Answer("bob", 100, 0.4, 0.9),))


def test_a_run_gets_a_folder_named_for_its_time_and_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with RunFolder(name="my data/x:y-mlp", now=NOON) as run:
        assert run.path == Path("runs/20240506-123015-my-data-x-y-mlp")


def test_two_runs_in_one_second_get_two_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with RunFolder(name="digits", now=NOON) as first, RunFolder(name="digits", now=NOON) as second:
        assert (first.path.name, second.path.name) == ("20240506-123015-digits", "20240506-123015-digits-2")


def test_a_named_folder_is_made_with_its_parents(tmp_path: Path) -> None:
    with RunFolder(tmp_path / "a" / "b") as run:
        assert run.path == tmp_path / "a" / "b"
        assert run.path.is_dir()


def test_an_empty_folder_may_be_named(tmp_path: Path) -> None:
    with RunFolder(tmp_path):
        assert (tmp_path / "rounds.jsonl").exists()


def test_a_folder_with_something_in_it_is_never_written_over(tmp_path: Path) -> None:
    (tmp_path / "rounds.jsonl").write_text("precious")

    with pytest.raises(RunFolderError, match="it is not empty, and a run's folder is never written over"):
        RunFolder(tmp_path)

    assert (tmp_path / "rounds.jsonl").read_text() == "precious"


def test_a_path_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(RunFolderError, match="cannot use the run folder"):
        RunFolder(tmp_path / "file")


def test_a_path_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(RunFolderError, match="it cannot be made: Not a directory"):
        RunFolder(tmp_path / "file" / "run")


def test_rounds_are_readable_while_the_run_goes_on(tmp_path: Path) -> None:
    with RunFolder(tmp_path) as run:
        run.add(report(1))
        run.add(report(2))

        assert read_rounds(tmp_path) == [report(1), report(2)]


def test_a_line_cut_short_by_a_kill_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "rounds.jsonl").write_text(report(1).to_json() + "\n" + report(2).to_json()[:20])

    assert read_rounds(tmp_path) == [report(1)]


def test_the_job_is_kept_as_it_was_written(tmp_path: Path) -> None:
    with RunFolder(tmp_path) as run:
        path = run.write_job('model = "mlp"\n')

    assert (path.name, path.read_text()) == ("job.toml", 'model = "mlp"\n')


def test_the_model_comes_back_with_its_buffers(tmp_path: Path) -> None:
    model = load_model("cnn", (64,), 10, seed=1)
    with RunFolder(tmp_path) as run:
        path = run.write_model(model)
    other = load_model("cnn", (64,), 10, seed=2)
    other.load_state_dict(load_file(path))

    assert path == tmp_path / "model.safetensors"
    assert all(torch.equal(tensor, other.state_dict()[name]) for name, tensor in model.state_dict().items())


def test_tied_weights_come_back_under_each_of_their_names(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False))
    model[1].weight = model[0].weight
    with RunFolder(tmp_path) as run:
        saved = load_file(run.write_model(model))

    assert sorted(saved) == ["0.weight", "1.weight"]
    assert torch.equal(saved["1.weight"], model[0].weight)


def test_views_and_transposed_tensors_can_be_saved(tmp_path: Path) -> None:
    whole = torch.arange(12.0).reshape(3, 4)
    state = {"t": whole.t(), "row": whole[1], "rest": whole[1:], "empty": whole[:0], "scalar": torch.tensor(3)}
    with RunFolder(tmp_path) as run:
        saved = load_file(run.write_model(state))

    assert all(torch.equal(saved[name], tensor) for name, tensor in state.items())


def test_a_model_that_cannot_be_written_leaves_the_one_before(tmp_path: Path) -> None:
    with RunFolder(tmp_path) as run:
        path = run.write_model({"w": torch.ones(2)})
        with pytest.raises(AttributeError):
            run.write_model({"w": "not a tensor"})  # type: ignore[dict-item]

    assert torch.equal(load_file(path)["w"], torch.ones(2))


def test_nothing_half_made_stays_behind(tmp_path: Path) -> None:
    with RunFolder(tmp_path) as run:
        run.add(report(1))
        run.write_job("")
        run.write_model({"w": torch.ones(2)})
        run.write_model({"w": torch.zeros(2)})
        run.write_plot([report(1)], "a run")

    there = sorted(path.name for path in tmp_path.iterdir())
    assert there == ["job.toml", "model.safetensors", "plot.png", "rounds.jsonl"]


def test_closing_twice_is_fine(tmp_path: Path) -> None:
    with RunFolder(tmp_path) as run:
        run.close()


class Filling(io.FileIO):
    """A file on a disk that has room for ten bytes more."""

    def write(self, data: Any) -> int:
        if len(data) <= 10:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(bytes(data[:10]))


def test_a_round_that_finds_the_disk_full_leaves_no_half_line(tmp_path: Path) -> None:
    with RunFolder(tmp_path / "run") as folder:
        folder.add(report(1))
        file, folder._rounds = folder._rounds, Filling(tmp_path / "run" / "rounds.jsonl", "ab")
        with pytest.raises(RunFolderFull, match=r"no room is left on its disk, and rounds\.jsonl cannot be written"):
            folder.add(report(2))
        folder._rounds.close()
        folder._rounds = file
        folder.add(report(2))

    assert read_rounds(tmp_path / "run") == [report(1), report(2)]
