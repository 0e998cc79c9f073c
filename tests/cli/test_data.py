from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from fedzmq.data.data import targets_of
from fedzmq.data.load import load
from fedzmq.data.partition import part
from fedzmq.data.split import Split
from fedzmq.federation.federation import Federation
from tests.cli.conftest import Call

SITES = "age,site,label\n" + "\n".join(f"{age}.5,{'north' if age % 3 else 'south'},{age % 2}" for age in range(30))


def test_split_holds_out_what_train_evaluates_on_and_gives_workers_the_rest(call: Call, tmp_path: Path) -> None:
    ended = call("data", "split", "digits", "--workers", "2", "--seed", "3", "--out", "parts")
    folder = tmp_path / "parts"
    manifest = json.loads((folder / "manifest.json").read_text())
    held = load(str(folder / manifest["held_out"]["file"]))
    federation = Federation("tcp://nobody:1", data="digits", split_seed=3)

    assert federation.held_out is not None
    assert torch.equal(held.tensors[0], federation.held_out.tensors[0])
    assert sum(part["examples"] for part in manifest["parts"]) == 1797 - len(held) == 1617
    for number, name in enumerate(("bob", "alice"), 1):
        same = part(load("digits"), number, 2, Split("dirichlet").partitioner(), 3)
        assert torch.equal(load(str(folder / f"{name}.npz")).tensors[0], same.tensors[0])
    assert "held-out        180 examples" in ended.out
    assert "  held-out.npz   what no worker got, to evaluate on\n" in ended.out


def test_split_with_nothing_held_out_gives_workers_the_whole(call: Call, tmp_path: Path) -> None:
    ended = call("data", "split", "digits", "--workers", "3", "--alpha", "0.3", "--holdout", "0", "--out", "parts")
    parts = [load(str(tmp_path / "parts" / f"{name}.npz")) for name in ("bob", "alice", "carol")]

    assert (ended.code, ended.err) == (0, "")
    assert sum(map(len, parts)) == 1797
    together = torch.cat([targets_of(part) for part in parts])
    assert together.bincount().tolist() == targets_of(load("digits")).bincount().tolist()
    assert {part.classes for part in parts} == {10}
    assert "held-out" not in ended.out
    assert json.loads((tmp_path / "parts" / "manifest.json").read_text())["held_out"] is None
    assert not (tmp_path / "parts" / "held-out.npz").exists()


def test_the_manifest_says_who_got_what(call: Call, tmp_path: Path) -> None:
    call("data", "split", "digits", "--workers", "2", "--how", "classes", "--per-worker", "5", "--out", "parts")
    manifest = json.loads((tmp_path / "parts" / "manifest.json").read_text())

    assert (manifest["source"], manifest["classes"], manifest["split"]["how"]) == ("digits", 10, "classes")
    assert [part["file"] for part in manifest["parts"]] == ["bob.npz", "alice.npz"]
    assert sum(part["examples"] for part in (*manifest["parts"], manifest["held_out"])) == manifest["examples"] == 1797
    assert [sum(count > 0 for count in part["labels"]) for part in manifest["parts"]] == [5, 5]


@pytest.mark.parametrize("ending", ["npz", "safetensors", "parquet"])
def test_the_same_seed_gives_the_same_files(call: Call, tmp_path: Path, ending: str) -> None:
    for folder in ("one", "two"):
        call("data", "split", "iris", "--workers", "2", "--seed", "4", "--format", ending, "--out", folder)
    first, second = (load(str(tmp_path / folder / f"bob.{ending}")) for folder in ("one", "two"))

    assert torch.equal(targets_of(first), targets_of(second))


def test_a_picture_is_drawn_where_it_was_asked_for(call: Call, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    for folder, plot in (("drawn", ["--plot"]), ("plain", [])):
        assert call("data", "split", "iris", "--workers", "2", "--out", folder, *plot).code == 0

    assert (tmp_path / "drawn" / "holdings.png").read_bytes().startswith(b"\x89PNG")
    assert not (tmp_path / "plain" / "holdings.png").exists()


def test_rows_that_agree_in_a_column_of_text_stay_together(call: Call, tmp_path: Path) -> None:
    (tmp_path / "sites.csv").write_text(SITES)
    by_site = ("--how", "column", "--column", "site", "--holdout", "0")
    ended = call("data", "split", "sites.csv", "--workers", "2", *by_site, "--out", "parts")

    assert ended.code == 0
    assert [len(load(str(tmp_path / "parts" / f"{name}.npz"))) for name in ("bob", "alice")] == [20, 10]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a full disk is Linux's /dev/full")
def test_an_output_on_a_full_disk_is_one_sentence(tmp_path: Path) -> None:
    with open("/dev/full", "wb") as full:
        command = [sys.executable, "-m", "fedzmq", "data", "show", "iris"]
        ended = subprocess.run(command, check=False, stdout=full, stderr=subprocess.PIPE, text=True)

    assert ended.returncode == 1
    assert ended.stderr == "fedzmq: the output cannot be written: No space left on device\n"


def test_a_folder_with_files_is_left_alone(call: Call, tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "precious").touch()
    ended = call("data", "split", "iris", "--workers", "2", "--out", "parts")

    assert (ended.code, [path.name for path in (tmp_path / "parts").iterdir()]) == (2, ["precious"])
    assert "name another folder with --out" in ended.err


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["nowhere.npz"], "there is no such file"),
        (["iris", "--workers", "151"], "135 examples cannot give 151 workers one each"),
        (["iris", "--how", "classes", "--per-worker", "1"], "leave some of the 3 classes to nobody"),
        (
            ["iris", "--how", "iid", "--alpha", "0.3"],
            "--alpha is for --how auto or dirichlet or quantity, and it is iid",
        ),
        (["iris", "--how", "column"], "say by which column"),
        (["iris", "--how", "column", "--column", "site"], "it has no column 'site'"),
    ],
)
def test_what_cannot_be_split_is_one_sentence_and_leaves_no_folder(
    call: Call, tmp_path: Path, options: list[str], sentence: str
) -> None:
    ended = call("data", "split", "--workers", "2", "--out", "parts", *options)

    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert sentence in ended.err
    assert not (tmp_path / "parts").exists()


def test_show_says_rows_forms_and_labels(call: Call) -> None:
    ended = call("data", "show", "iris")

    assert ended.code == 0
    assert ended.out.splitlines() == [
        "iris: 150 examples, 3 classes",
        "  features  float32 [4]",
        "  targets   int64",
        "  labels    0: 50  1: 50  2: 50",
    ]


@pytest.mark.parametrize("memory", ["0", "1"])
def test_show_says_which_column_the_target_is(call: Call, tmp_path: Path, memory: str) -> None:
    pytest.importorskip("pyarrow")
    (tmp_path / "sick.csv").write_text("age,sick\n1,0\n2,1\n")
    call("data", "split", "iris", "--workers", "1", "--format", "parquet", "--out", "parts")

    assert "  targets   int64, the column 'sick'\n" in call("data", "show", "sick.csv", "--data-memory", memory).out
    shown = call("data", "show", "parts/bob.parquet", "--data-memory", memory)
    assert "  targets   int64, the column 'target'\n" in shown.out


def test_show_says_the_range_of_measurements(call: Call) -> None:
    assert "range     -1.65096 to 2.51756" in call("data", "show", "diabetes").out


def test_show_says_where_a_large_set_stays(call: Call) -> None:
    call("data", "split", "digits", "--workers", "1", "--out", "parts")

    assert "read from the file as they are needed" in call("data", "show", "parts/bob.npz", "--data-memory", "0").out
