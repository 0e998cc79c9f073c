"""A few trials of what `bin/fuzz` does for hours."""

from __future__ import annotations

import subprocess
import sys


def test_a_worker_outlives_hostile_arguments() -> None:
    command = [sys.executable, "-m", "tests.operations.fuzz", "--of", "pool", "--rounds", "10"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "all survived" in done.stdout
