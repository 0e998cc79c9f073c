"""The process of `fedzmq`, from its first moment to its exit code. A failure is one sentence, never a trace of Python.

Exit codes: 0 done, 1 it failed, 2 the call has to be mended, 3 something was not there and a retry may help, 130 it was
stopped (Ctrl-C, SIGTERM) before its work was done. To be stopped is the end of a broker's and a worker's work: 0.
"""

from __future__ import annotations

import errno
import gc
import os
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

FAILED, MEND, RETRY, STOPPED = 1, 2, 3, 130


def main() -> NoReturn:
    """Run the command line, and end the process with the exit code that fits."""
    # Until a command has something to tidy up, a signal ends the process on the spot: importing torch takes a second,
    # and does not take an exception well. So this comes before any import that takes long.
    signal.signal(signal.SIGINT, _stopped_early)
    signal.signal(signal.SIGTERM, _stopped_early)
    code = run()
    gc.freeze()  # else the interpreter's last collections walk over all of torch: a third of a second
    sys.exit(code)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run a command line (default: the process's own), say what went wrong, and give the exit code."""
    import click

    from fedzmq.cli.commands import run_command
    from fedzmq.errors import FedzmqError, UnavailableError, UsageError
    from fedzmq.federation.printable import printable

    try:
        return run_command(arguments)
    except FedzmqError as error:
        click.echo(f"fedzmq: {printable(str(error))}", err=True)
        if error.way_on:
            click.echo(printable(error.way_on), err=True)
        return MEND if isinstance(error, UsageError) else RETRY if isinstance(error, UnavailableError) else FAILED
    except (KeyboardInterrupt, click.Abort):
        return STOPPED
    except BrokenPipeError:  # whoever read our output has gone, as `| head` does
        _say_no_more()
        return FAILED
    except MemoryError:
        click.echo("fedzmq: this needs more memory than it gets here: see ulimit -v, and a container's limit", err=True)
        return RETRY
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE):
            click.echo("fedzmq: too many files are open: allow a process more of them (ulimit -n)", err=True)
            return RETRY
        if error.errno != errno.ENOSPC or error.filename is not None:
            raise
        _say_no_more()
        click.echo(f"fedzmq: the output cannot be written: {error.strerror}", err=True)
        return FAILED


def _say_no_more() -> None:
    """Else the interpreter's last flush would fail as well."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _stopped_early(number: int, frame: object) -> NoReturn:
    os._exit(STOPPED)
