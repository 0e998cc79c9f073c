"""What importing the package costs, and what it offers."""

from __future__ import annotations

import subprocess
import sys

import pytest

import fedzmq
from fedzmq import errors


def modules_after(statement: str) -> set[str]:
    """The names in sys.modules of a fresh interpreter that ran one statement."""
    program = f"{statement}\nimport sys\nprint(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    return set(ran.stdout.split())


def test_the_broker_needs_neither_torch_nor_numpy() -> None:
    assert not {"torch", "numpy"} & modules_after("import fedzmq.broker, fedzmq.broker.broker")


def test_importing_fedzmq_imports_only_its_errors() -> None:
    ours = {name for name in modules_after("import fedzmq") if name.split(".")[0] == "fedzmq"}

    assert ours == {"fedzmq", "fedzmq.errors"}


@pytest.mark.parametrize("name", fedzmq.__all__)
def test_every_public_name_resolves(name: str) -> None:
    assert getattr(fedzmq, name).__name__ == name


def test_every_error_is_public() -> None:
    ours = {name for name, value in vars(errors).items() if isinstance(value, type) and name in dir(errors)}

    assert ours <= set(fedzmq.__all__)


def test_dir_shows_every_public_name() -> None:
    assert set(fedzmq.__all__) <= set(dir(fedzmq))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'conect'"):
        fedzmq.conect  # noqa: B018


def test_the_version_is_that_of_what_is_installed() -> None:
    assert fedzmq.__version__.count(".") == 2
