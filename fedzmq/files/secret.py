"""A secret that this machine keeps for its user: random bytes in a file that nobody else reads."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from fedzmq.files.whole_file import WholeFile

BYTES = 32


def user_secret() -> bytes:
    """The same in all processes of a user, in $XDG_STATE_HOME/fedzmq (default: ~/.local/state/fedzmq).

    Where it cannot be kept there, as in a container that nothing outlives, it is another one in every process.
    """
    try:
        home = os.environ.get("XDG_STATE_HOME", "")
        return secret_in((Path(home) if home else Path.home() / ".local" / "state") / "fedzmq")
    except (OSError, RuntimeError):  # the second: nobody knows where this user is at home
        return os.urandom(BYTES)


def secret_in(folder: Path) -> bytes:
    """What the folder keeps as its secret, which is made where there is none. Raises OSError."""
    path = folder / "secret"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with WholeFile(folder) as whole:
            os.fchmod(whole.file.fileno(), 0o600)
            whole.file.write(os.urandom(BYTES))
            whole.file.flush()
            os.fsync(whole.file.fileno())  # else a power cut may leave the name, with nothing or zeros behind it
            with suppress(FileExistsError):  # another process was faster, and has it read already
                os.link(whole.file.name, path)
    return path.read_bytes()
