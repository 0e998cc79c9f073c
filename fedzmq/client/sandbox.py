"""A few virtual workers with well-known data sets on them, to try things out: what PySyft's tutorials start in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from fedzmq.client.grid import PrivateGridNetwork
from fedzmq.client.hook import TorchHook
from fedzmq.client.virtual import VirtualWorker
from fedzmq.data.bundled import BUNDLED, read_bundled

NAMES = ("bob", "theo", "jason", "alice", "andy", "jon")


def create_sandbox(names: dict[str, Any], verbose: bool = True, download_data: bool = True) -> None:
    """Put `hook`, `me`, `workers`, `grid`, `torch`, and each worker under its own name among the names given.

    `create_sandbox(globals())` is the usual call. With `download_data` (nothing is downloaded) the data sets that come
    inside scikit-learn are spread over the workers, tagged `#digits`, `#diabetes` and so on with `#data` or `#target`.
    """
    hook = TorchHook(torch)
    workers = [VirtualWorker(hook, name) for name in NAMES]
    names.update({worker.name: worker for worker in workers})
    names.update(hook=hook, me=hook.local_worker, workers=workers, grid=PrivateGridNetwork(*workers), torch=torch)
    if download_data:
        for name in BUNDLED:
            _spread(name, workers)
    if verbose:
        sets = ", ".join(f"#{name}" for name in BUNDLED) if download_data else "none"
        print(f"workers: {', '.join(NAMES)}; data: {sets}; search with grid.search('#digits', '#data')")


def _spread(name: str, workers: Sequence[VirtualWorker]) -> None:
    for column, what in zip(read_bundled(name), ("data", "target"), strict=True):
        parts = torch.from_numpy(column).tensor_split(len(workers))
        for worker, part in zip(workers, parts, strict=True):
            tagged = part.clone().tag(f"#{name}", f"#{what}", "#toy")  # type: ignore[attr-defined]  # a verb
            tagged.describe(f"the {what} of {name}, a part of it").send(worker, garbage_collect_data=False)
