"""The table of layers: a file imports from its own package and from those above it, and few know the outside.

Within a package files stand above each other in the same way: none imports, by whatever way, what imports it.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

import fedzmq

PACKAGE = Path(fedzmq.__file__).parent

LAYERS = (
    "errors",
    "suggestion",
    "transports",
    "wire",
    "session",
    "broker",
    "tensors",
    "files",
    "operations",
    "plans",
    "data",
    "worker",
    "pointers",
    "recording",
    "datasets",
    "client",
    "cluster",
    "federated",
    "federation",
    "testing",
    "cli",
)

# The roof may import from every layer: it is where names are gathered.
ROOF = ("__init__.py", "__main__.py")

# Each outside package, and the only places that may know it: a layer, or one folder or file of a layer.
FROM_TENSORS_DOWN = LAYERS[LAYERS.index("tensors") :]
OUTSIDE = {
    "torch": FROM_TENSORS_DOWN,
    "numpy": FROM_TENSORS_DOWN,
    "zmq": (
        "transports/zeromq.py",
        "transports/dealer.py",
        "broker",
        "testing/benchmarks/raw_echo.py",
        "testing/benchmarks/raw_rounds.py",
    ),
    "msgpack": ("wire", "session", "plans"),
    "safetensors": ("files", "data"),
    "matplotlib": ("federated/pictures",),
    "pyarrow": ("data",),
    "pytest": ("testing",),
    "rich": ("federation", "cli"),
    "click": ("cli",),
    "mlflow": ("federation/loggers/mlflow.py",),
    "tomli": ("cli",),
    "tomli_w": ("cli",),
}

# A client and the handles that it makes of workers know each other.
CIRCULAR = ("client",)


def imported_modules(source: str, path: str) -> Iterator[tuple[int, str]]:
    """Line and full name of everything that is imported anywhere in a file, in functions and for types alone too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if node.level:
                package = ["fedzmq", *Path(path).parent.parts]
                module = ".".join([*package[: len(package) - node.level + 1], *module.split(".")]).rstrip(".")
            yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)


def violations(source: str, path: str) -> list[str]:
    """What a file at that path, relative to the package, imports and may not."""
    if path in ROOF:
        return []
    layer = path.split("/")[0].removesuffix(".py")
    if layer not in LAYERS:
        return [f"{path}: no layer is called {layer!r}"]
    allowed = LAYERS[: LAYERS.index(layer) + 1]
    places = {layer, path, path.rpartition("/")[0]}
    found = []
    for line, module in imported_modules(source, path):
        top, _, rest = module.partition(".")
        if top == "fedzmq":
            # The bare package is no layer: `import fedzmq` tells where the files lie.
            if rest and rest.split(".")[0] not in allowed:
                found.append(f"{path}:{line}: {layer} may not import {module}")
        elif top not in sys.stdlib_module_names and not places & set(OUTSIDE.get(top, ())):
            found.append(f"{path}:{line}: {path} may not know {top}")
    return found


def circle(sources: Mapping[str, str]) -> set[str]:
    """Of files, by their paths within the package, those that import each other in a circle, or lie between two."""
    names = {path: ".".join(["fedzmq", *Path(path).with_suffix("").parts]) for path in sources}
    above = {
        path: {
            other
            for _, module in imported_modules(source, path)
            for other, name in names.items()
            if f"{module}.".startswith(f"{name}.")
        }
        for path, source in sources.items()
    }
    rest = set(sources)
    while True:
        top = {path for path in rest if not above[path] & rest}
        bottom = {path for path in rest if not any(path in above[other] for other in rest)}
        if not top | bottom:
            return rest
        rest -= top | bottom


@pytest.mark.parametrize("file", sorted(PACKAGE.rglob("*.py")), ids=lambda file: file.relative_to(PACKAGE).as_posix())
def test_a_file_imports_only_from_its_own_layer_and_those_above(file: Path) -> None:
    assert violations(file.read_text(), file.relative_to(PACKAGE).as_posix()) == []


@pytest.mark.parametrize("layer", [each for each in LAYERS if (PACKAGE / each).is_dir() and each not in CIRCULAR])
def test_no_files_of_a_layer_import_each_other_in_a_circle(layer: str) -> None:
    files = [file for file in (PACKAGE / layer).rglob("*.py") if file.name not in ROOF]

    assert circle({file.relative_to(PACKAGE).as_posix(): file.read_text() for file in files}) == set()


@pytest.mark.parametrize(
    "last",
    [
        "import fedzmq.worker.a",
        "from fedzmq.worker import a",
        "from . import a",
        "from .a import A",
        "if TYPE_CHECKING:\n    from fedzmq.worker.a import A",
        "def late():\n    import fedzmq.worker.a",
    ],
)
def test_a_planted_circle_is_caught(last: str) -> None:
    files = {
        "worker/a.py": "from fedzmq.worker.b import B",
        "worker/b.py": "from fedzmq.worker.c import C\nimport fedzmq.worker.ab",
        "worker/c.py": last,
        "worker/ab.py": "",
        "worker/d.py": "from fedzmq.worker.a import A",
    }

    assert circle(files) == {"worker/a.py", "worker/b.py", "worker/c.py"}


def test_every_layer_of_the_table_is_there() -> None:
    there = {path.stem for path in PACKAGE.iterdir() if path.is_dir() or path.suffix == ".py"}

    assert set(LAYERS) <= there


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("broker/broker.py", "import torch"),
        ("broker/broker.py", "def late():\n    import torch.nn as nn"),
        ("session/session.py", "import numpy as np"),
        ("worker/worker.py", "from fedzmq.federated.report import RoundReport"),
        ("worker/worker.py", "from ..federated import report"),
        ("worker/worker.py", "from .. import client"),
        ("worker/worker.py", "from fedzmq import client"),
        ("worker/worker.py", "from fedzmq import connect"),
        ("worker/worker.py", "if TYPE_CHECKING:\n    import fedzmq.cli.main"),
        ("transports/memory.py", "import zmq"),
        ("transports/zeromq.py", "import msgpack"),
        ("client/client.py", "from msgpack import packb"),
        ("cli/train.py", "import requests"),
        ("helpers/things.py", "import json"),
    ],
)
def test_a_planted_bad_import_is_caught(path: str, source: str) -> None:
    assert len(violations(source, path)) == 1


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("transports/zeromq.py", "import zmq"),
        ("broker/broker.py", "import zmq.asyncio"),
        ("worker/worker.py", "import torch\nfrom fedzmq.worker.store import Store\nfrom . import store"),
        ("client/origins.py", "import fedzmq"),
        ("cli/main.py", "import click\nfrom fedzmq.federated import trainer\nfrom ..errors import FedzmqError"),
    ],
)
def test_an_import_that_the_table_allows_passes(path: str, source: str) -> None:
    assert violations(source, path) == []
