"""Schemes find their transport: registered, built in, or another package's."""

from __future__ import annotations

import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from fedzmq.errors import AddressError, InvalidName, MissingExtraError
from fedzmq.transports import registry
from fedzmq.transports.memory import MemoryConnection
from fedzmq.transports.memory import connect as connect_memory
from fedzmq.transports.registry import BuiltIn, connect, register_transport


@pytest.fixture(autouse=True)
def _forget_registrations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registered", {})


def as_memory(address: str, name: str) -> MemoryConnection:
    return connect_memory("memory://" + address.partition("://")[2], name)


def offer(folder: Path, monkeypatch: pytest.MonkeyPatch, scheme: str, value: str) -> None:
    """What pip leaves behind after installing a package that offers a transport."""
    info = folder / f"third_party_{uuid.uuid4().hex}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {info.name.partition('-')[0]}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[fedzmq.transports]\n{scheme} = {value}\n")
    monkeypatch.syspath_prepend(folder)


def test_a_scheme_picks_its_transport() -> None:
    with connect(f"memory://{uuid.uuid4()}", "alice") as alice:
        assert isinstance(alice, MemoryConnection)


@pytest.mark.parametrize("scheme", ["tcp", "ipc"])
def test_zeromq_serves_its_schemes_without_a_broker(scheme: str) -> None:
    address = {"tcp": "tcp://127.0.0.1:9", "ipc": "ipc:///tmp/nobody-listens-here"}[scheme]
    with connect(address, "alice") as alice:
        assert alice.address == address


def test_an_unknown_scheme_names_the_known_and_the_likely() -> None:
    with pytest.raises(AddressError, match=r"'tpc' \(known: ipc, memory, tcp\); did you mean 'tcp'\?"):
        connect("tpc://127.0.0.1:5555", "alice")


def test_a_scheme_like_no_other_gets_no_guess() -> None:
    with pytest.raises(AddressError) as caught:
        connect("gopher://hole", "alice")
    assert "did you mean" not in str(caught.value)


def test_an_address_without_a_scheme_is_refused() -> None:
    with pytest.raises(AddressError, match="ipc, memory, tcp"):
        connect("127.0.0.1:5555", "alice")


def test_a_name_of_the_wrong_form_is_refused() -> None:
    with pytest.raises(InvalidName, match="letters, digits"):
        connect("memory://hub", "no spaces")


def test_a_registered_transport_serves_its_scheme() -> None:
    register_transport("pigeon", as_memory)
    with connect(f"pigeon://{uuid.uuid4()}", "alice") as alice:
        assert isinstance(alice, MemoryConnection)


def test_a_registered_transport_comes_before_a_built_in_one() -> None:
    register_transport("tcp", as_memory)
    with connect(f"tcp://{uuid.uuid4()}", "alice") as alice:
        assert isinstance(alice, MemoryConnection)


def test_another_packages_entry_point_serves_its_scheme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = f"pigeon_{uuid.uuid4().hex}"
    (tmp_path / f"{module}.py").write_text(
        "from fedzmq.transports.memory import connect as connect_memory\n"
        "def connect(address, name):\n"
        "    return connect_memory('memory://' + address.partition('://')[2], name)\n"
    )
    offer(tmp_path, monkeypatch, "pigeon", f"{module}:connect")
    with connect(f"pigeon://{uuid.uuid4()}", "alice") as alice:
        assert isinstance(alice, MemoryConnection)


def test_the_schemes_of_other_packages_are_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    offer(tmp_path, monkeypatch, "pigeon", "no_such_module:connect")
    with pytest.raises(AddressError, match="did you mean 'pigeon'"):
        connect("pidgeon://loft", "alice")


def test_an_entry_point_that_does_not_load_is_an_error_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    offer(tmp_path, monkeypatch, "pigeon", "no_such_module:connect")
    with pytest.raises(AddressError, match=r"no_such_module:connect.*does not load"):
        connect("pigeon://loft", "alice")


def test_a_missing_library_names_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    module = f"needs_pigeons_{uuid.uuid4().hex}"
    (tmp_path / f"{module}.py").write_text("import no_such_pigeons\n")
    monkeypatch.syspath_prepend(tmp_path)
    entry = BuiltIn(module, "connect", package="no_such_pigeons", extra="pigeons")
    monkeypatch.setattr(registry, "_BUILT_IN", {"pigeon": entry})
    with pytest.raises(MissingExtraError, match=r"'\.\[pigeons\]"):
        connect("pigeon://loft", "alice")


def test_no_transport_and_no_broker_imports_torch_or_numpy() -> None:
    modules = "fedzmq.transports.registry, fedzmq.transports.memory, fedzmq.transports.zeromq, fedzmq.broker.broker"
    program = f"import sys, fedzmq.broker, {modules}; sys.exit(bool({{'torch', 'numpy'}} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=60).returncode == 0
