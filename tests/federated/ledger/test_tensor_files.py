from __future__ import annotations

from pathlib import Path

import torch

from fedzmq.federated.ledger.tensor_files import TensorFiles


def weights(value: float) -> dict[str, torch.Tensor]:
    return {"weight": torch.full((4,), value)}


def test_the_same_weights_are_one_file(tmp_path: Path) -> None:
    files = TensorFiles(tmp_path)

    assert files.write(weights(1.0)) == files.write(weights(1.0))
    assert len(list(tmp_path.iterdir())) == 1


def test_all_but_some_are_removed(tmp_path: Path) -> None:
    files = TensorFiles(tmp_path)
    first, second = files.write(weights(1.0)), files.write(weights(2.0))
    files.need([])
    files.keep([second])

    assert not files.is_whole(first)
    assert files.is_whole(second)


def test_what_was_written_since_is_never_removed(tmp_path: Path) -> None:
    files = TensorFiles(tmp_path)
    first = files.write(weights(1.0))
    files.need([first])
    second = files.write(weights(2.0))
    files.keep([])

    assert files.is_whole(first)
    assert files.is_whole(second)


def test_a_folder_in_a_files_place_is_not_whole(tmp_path: Path) -> None:
    files = TensorFiles(tmp_path)
    name = files.write(weights(1.0))
    files.path(name).unlink()
    files.path(name).mkdir()

    assert not files.is_whole(name)
