"""The scripts that a clone is set up and started with, over a Python whose venv and pip are stand-ins."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPTS = (
    "bin/environment",
    "bin/fedzmq",
    "bin/test",
    "bin/bench",
    "bin/opinfo",
    "bin/rounds-to-target",
    "bin/check",
    ".ci/run",
)

# Answers `-c` truly, makes an environment of one file for `-m venv`, and notes that it did.
PYTHON = """#!/usr/bin/env bash
if [[ $1 == -c ]]; then exec {real} "$@"; fi
if [[ $2 == venv ]]; then
    echo venv >>{clone}/log
    rm -rf "$4" && mkdir -p "$4/bin" && cp {clone}/installed "$4/bin/python"
fi
"""

# The environment's own Python: notes that pip ran, and says what fedzmq was asked.
INSTALLED = """#!/usr/bin/env bash
case $2 in
    pip) echo pip >>{clone}/log; echo "Collecting something"; [[ ! -e {clone}/pip-fails ]] || exit 1 ;;
    *) echo "$2 ${{*:3}}" ;;
esac
"""

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="the scripts are for bash")


class Clone:
    """A project's folder with the true scripts and the stand-ins."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(ROOT / "bin", folder / "bin")
        shutil.copy(ROOT / "pyproject.toml", folder)
        self.python = folder / "python"
        for path, text in ((self.python, PYTHON), (folder / "installed", INSTALLED)):
            path.write_text(text.format(real=sys.executable, clone=folder))
            path.chmod(0o755)

    def start(self, command: str = "bin/fedzmq", *arguments: str, cwd: Path | None = None) -> subprocess.Popen[str]:
        path = self.folder / command
        environment = {**os.environ, "PYTHON": str(self.python)}
        return subprocess.Popen(
            [path, *arguments],
            cwd=cwd or self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, command: str = "bin/fedzmq", *arguments: str, cwd: Path | None = None) -> tuple[int, str, str]:
        """Exit code, stdout, stderr."""
        with self.start(command, *arguments, cwd=cwd) as process:
            out, err = process.communicate(timeout=60)
        return process.returncode, out, err

    def log(self) -> list[str]:
        """What was made so far, in order."""
        return (self.folder / "log").read_text().split()


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    (tmp_path / "clone").mkdir()
    return Clone(tmp_path / "clone")


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_is_well_formed(script: str) -> None:
    checked = subprocess.run(["bash", "-n", ROOT / script], check=False, capture_output=True, text=True, timeout=60)

    assert (checked.returncode, checked.stderr) == (0, "")


@pytest.mark.parametrize("script", SCRIPTS[1:])
def test_a_script_is_executable(script: str) -> None:
    assert os.access(ROOT / script, os.X_OK)


def test_the_first_start_makes_the_environment_and_keeps_stdout_for_the_command(clone: Clone) -> None:
    code, out, err = clone.run("bin/fedzmq", "train", "--rounds", "3")

    assert (code, out) == (0, "fedzmq train --rounds 3\n")
    assert "making the environment" in err
    assert clone.log() == ["venv", "pip"]


def test_a_later_start_makes_and_says_nothing(clone: Clone) -> None:
    clone.run()

    assert clone.run("bin/fedzmq", "broker") == (0, "fedzmq broker\n", "")
    assert clone.log() == ["venv", "pip"]


@pytest.mark.parametrize("file", ["pyproject.toml", "bin/constraints.txt"])
def test_a_changed_file_brings_the_environment_up_to_date(clone: Clone, file: str) -> None:
    clone.run()
    with (clone.folder / file).open("a") as changed:
        changed.write("# one line more\n")
    clone.run()

    assert clone.log() == ["venv", "pip", "pip"]


def test_an_environment_whose_making_was_cut_short_is_made_anew(clone: Clone) -> None:
    clone.run()
    (clone.folder / ".venv" / "stamp").unlink()
    clone.run()

    assert clone.log() == ["venv", "pip", "venv", "pip"]


def test_an_environment_that_was_moved_is_made_anew(clone: Clone) -> None:
    clone.run()
    stamp = clone.folder / ".venv" / "stamp"
    stamp.write_text(stamp.read_text().replace(str(clone.folder), "/somewhere/else"))
    clone.run()

    assert clone.log() == ["venv", "pip", "venv", "pip"]


def test_an_environment_whose_python_is_gone_is_made_anew(clone: Clone) -> None:
    clone.run()
    (clone.folder / ".venv" / "bin" / "python").unlink()
    clone.run()

    assert clone.log() == ["venv", "pip", "venv", "pip"]


def test_two_first_starts_at_once_make_one_environment(clone: Clone) -> None:
    with clone.start() as first, clone.start() as second:
        codes = [first.wait(timeout=60), second.wait(timeout=60)]

    assert codes == [0, 0]
    assert clone.log() == ["venv", "pip"]


def test_a_failing_pip_ends_the_start_with_the_way_out(clone: Clone) -> None:
    (clone.folder / "pip-fails").touch()
    code, out, err = clone.run()

    assert (code, out) == (1, "")
    assert "pip could not install what the project needs" in err
    assert str(clone.folder / ".venv" / "install.log") in err


def test_a_start_after_a_failing_pip_tries_again(clone: Clone) -> None:
    (clone.folder / "pip-fails").touch()
    clone.run()
    (clone.folder / "pip-fails").unlink()

    assert clone.run()[0] == 0


def test_a_python_that_is_too_old_is_named(clone: Clone) -> None:
    clone.python.write_text("#!/usr/bin/env bash\n[[ $1 == --version ]] && echo Python 3.9.18\nexit 1\n")
    code, out, err = clone.run()

    assert (code, out) == (1, "")
    assert f"fedzmq needs Python 3.10 or newer, and '{clone.python}' is Python 3.9.18" in err


def test_a_python_that_is_not_there_is_named(clone: Clone) -> None:
    clone.python.unlink()

    assert f"'{clone.python}' is not there" in clone.run()[2]


def test_the_command_starts_from_any_folder_and_through_a_link(clone: Clone, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "fz").symlink_to(clone.folder / "bin" / "fedzmq")

    code, out, _ = clone.run("../elsewhere/fz", "train", cwd=tmp_path / "elsewhere")

    assert (code, out) == (0, "fedzmq train\n")
    assert (clone.folder / ".venv").is_dir()


def test_arguments_with_spaces_reach_the_tests_whole(clone: Clone) -> None:
    assert clone.run("bin/test", "-k", "a or b")[1] == "pytest -n 2 -q -k a or b\n"
