"""`fedzmq`: the command, and how it ends. A failure is one sentence and an exit code, never a trace of Python.

Exit codes: 0 done, 1 it failed, 2 the call has to be mended, 3 something was not there and a retry may help, 130 Ctrl-C.
"""

from __future__ import annotations

import os
import signal
import sys
from importlib import import_module
from typing import Any, NoReturn

import click

from fedzmq.errors import FedzmqError, UnavailableError, UsageError

FAILED, MEND, RETRY, INTERRUPTED = 1, 2, 3, 130

_COMMANDS = {
    "broker": "fedzmq.cli.broker",
    "train": "fedzmq.cli.train",
    "worker": "fedzmq.cli.worker",
}


class _Commands(click.Group):
    """Imports a command when it is called: the broker starts without torch."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = import_module(_COMMANDS[cmd_name]).command
        return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="fedzmq")
def fedzmq() -> None:
    """PyTorch tensors that live somewhere else, and models trained where the data is."""


def main() -> NoReturn:
    """Run the command line, and end the process with the exit code that fits."""
    # Until a command has something to tidy up, Ctrl-C ends the process on the spot: importing torch takes a second.
    signal.signal(signal.SIGINT, _interrupted_early)
    code = FAILED
    try:
        code = _run()
    except FedzmqError as error:
        click.echo(f"fedzmq: {error}", err=True)
        code = MEND if isinstance(error, UsageError) else RETRY if isinstance(error, UnavailableError) else FAILED
    except (KeyboardInterrupt, click.Abort):
        code = INTERRUPTED
    except BrokenPipeError:  # whoever read our output has gone, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = FAILED
    sys.exit(code)


def _run() -> int:
    try:
        result: Any = fedzmq.main(prog_name="fedzmq", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    return result if isinstance(result, int) else 0


def _interrupted_early(number: int, frame: object) -> NoReturn:
    os._exit(INTERRUPTED)
