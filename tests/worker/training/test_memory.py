from __future__ import annotations

from pathlib import Path

import pytest
import torch

from fedzmq.errors import FolderLocked
from fedzmq.worker.training.kept_files import KeptFiles
from fedzmq.worker.training.memory import Kept, Memory, RunName

NAME = RunName("run", "plan", "data")


def kept(value: float) -> Kept:
    return Kept(control={"weight": torch.tensor(value)})


def value(found: Kept) -> float | None:
    return float(found.control["weight"]) if found else None


def test_a_round_goes_on_from_the_one_that_counted_last() -> None:
    memory = Memory()
    memory.keep(NAME, 1, kept(1.0), "alice")
    memory.keep(NAME, 2, kept(2.0), "alice")

    assert value(memory.recall(NAME, 1, "alice")) == 1.0


def test_a_round_that_is_trained_twice_begins_from_the_same() -> None:
    memory = Memory()
    memory.keep(NAME, 1, kept(1.0), "alice")
    first = value(memory.recall(NAME, 1, "alice"))
    memory.keep(NAME, 2, kept(2.0), "alice")

    assert value(memory.recall(NAME, 1, "alice")) == first


def test_what_did_not_count_is_forgotten() -> None:
    memory = Memory()
    memory.keep(NAME, 1, kept(1.0), "alice")
    memory.keep(NAME, 2, kept(2.0), "alice")
    memory.recall(NAME, 2, "alice")

    assert value(memory.recall(NAME, 1, "alice")) is None


def test_nothing_is_recalled_of_a_round_that_this_worker_did_not_take_part_in() -> None:
    memory = Memory()
    memory.keep(NAME, 1, kept(1.0), "alice")

    assert value(memory.recall(NAME, 0, "alice")) is None


def test_runs_do_not_meet() -> None:
    memory = Memory()
    memory.keep(NAME, 1, kept(1.0), "alice")

    for other in (RunName("other", "plan", "data"), RunName("run", "other", "data"), RunName("run", "plan", "other")):
        assert value(memory.recall(other, 1, "alice")) is None


def test_the_run_that_was_not_used_for_longest_makes_room() -> None:
    memory = Memory(most=2)
    for number in range(3):
        memory.keep(RunName(str(number), "plan", "data"), 1, kept(number), "alice")

    assert [value(memory.recall(RunName(str(number), "plan", "data"), 1, "alice")) for number in range(3)] == [
        None,
        1.0,
        2.0,
    ]


def test_what_has_files_outlives_its_process(tmp_path: Path) -> None:
    first = KeptFiles(tmp_path / "bob")
    memory = Memory(files=first)
    everything = Kept({"w": torch.tensor(1.0)}, {"p": torch.tensor([2.0])}, {"m": torch.tensor(3.0).double()})
    memory.keep(NAME, 1, everything, "alice")
    memory.keep(NAME, 2, kept(2.0), "alice")
    first.close()
    found = Memory(files=KeptFiles(tmp_path / "bob")).recall(NAME, 1, "alice")

    for kind in ("control", "personal", "model"):
        now, then = getattr(found, kind), getattr(everything, kind)
        assert now.keys() == then.keys()
        assert all(torch.equal(now[name], then[name]) and now[name].dtype is then[name].dtype for name in then)


def test_files_of_rounds_that_did_not_count_are_removed(tmp_path: Path) -> None:
    memory = Memory(files=KeptFiles(tmp_path))
    for number in (1, 2, 3):
        memory.keep(NAME, number, kept(float(number)), "alice")
    memory.recall(NAME, 2, "alice")

    assert [path.name.rpartition("-")[2] for path in tmp_path.glob("*.safetensors")] == ["2.safetensors"]


def test_files_of_runs_that_were_used_too_long_ago_are_removed(tmp_path: Path) -> None:
    memory = Memory(most=2, files=KeptFiles(tmp_path))
    for run in ("a", "b", "c"):
        memory.keep(RunName(run, "plan", "data"), 1, kept(1.0), "alice")

    assert len(list(tmp_path.glob("*.safetensors"))) == 2


def test_no_folder_is_made_before_there_is_something_to_keep(tmp_path: Path) -> None:
    assert not Memory(files=KeptFiles(tmp_path / "bob")).recall(NAME, 1, "alice")
    assert list(tmp_path.iterdir()) == []


def test_a_link_that_leads_elsewhere_is_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "first")
    files = KeptFiles(tmp_path / "link" / "bob")
    files.write(NAME, 1, kept(1.0))
    (tmp_path / "link").unlink()
    (tmp_path / "link").symlink_to(tmp_path / "second")
    files.write(NAME, 1, kept(2.0))

    assert value(KeptFiles(tmp_path / "first" / "bob").read(NAME, 1) or Kept()) == 1.0


def test_files_of_a_living_process_are_not_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fedzmq.worker.training.kept_files.PATIENCE", 0.0)
    files = KeptFiles(tmp_path)
    files.write(NAME, 1, kept(1.0))

    with pytest.raises(FolderLocked, match="is in use by process"):
        KeptFiles(tmp_path).write(NAME, 2, kept(2.0))


def test_who_keeps_many_runs_makes_room_and_not_those_beside_it() -> None:
    memory = Memory(most=2)
    memory.keep(NAME, 1, kept(1.0), "alice")
    for number in range(3):
        memory.keep(RunName(str(number), "plan", "data"), 1, kept(2.0), "mallory")

    assert value(memory.recall(NAME, 1, "alice")) == 1.0


def test_runs_make_room_by_bytes_too() -> None:
    memory = Memory(most_bytes=10)
    for number in range(3):
        memory.keep(RunName(str(number), "plan", "data"), 1, kept(float(number)), "alice")

    assert [value(memory.recall(RunName(str(number), "plan", "data"), 1, "alice")) for number in range(3)] == [
        None,
        1.0,
        2.0,
    ]


def test_what_comes_back_from_files_makes_room_as_what_its_client_keeps(tmp_path: Path) -> None:
    files = KeptFiles(tmp_path)
    runs = [RunName(run, "plan", "data") for run in ("a", "m", "n")]
    for run in runs:
        files.write(run, 1, kept(1.0))
    memory = Memory(most=2, files=files)
    for run, client in zip(runs, ("alice", "mallory", "mallory"), strict=True):
        memory.recall(run, 1, client)

    assert [value(memory.look(run, 1)) for run in runs] == [1.0, None, 1.0]
    assert len(list(tmp_path.glob("*.safetensors"))) == 2


def test_what_a_client_keeps_too_much_of_goes_from_memory_and_not_from_files(tmp_path: Path) -> None:
    memory = Memory(files=KeptFiles(tmp_path))
    memory.keep(NAME, 1, kept(1.0), "mallory")
    counted = memory.held()["mallory"]
    memory.forget("mallory")

    assert (counted, memory.held()["mallory"]) == (kept(1.0).nbytes, 0)
    assert value(memory.recall(NAME, 1, "mallory")) == 1.0
