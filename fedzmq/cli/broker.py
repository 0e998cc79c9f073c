"""`fedzmq broker`."""

from __future__ import annotations

from contextlib import suppress

import click

from fedzmq.broker.broker import Broker
from fedzmq.cli.ending import on_signal, with_stdin
from fedzmq.cli.job_file import JobCommand
from fedzmq.cli.shared_options import silence_option


@click.command("broker", cls=JobCommand)
@click.option(
    "--listen",
    default="tcp://127.0.0.1:5555",
    show_default=True,
    metavar="ADDRESS",
    help="Where to listen: tcp://HOST:PORT (port 0: any free one) or ipc://PATH.",
)
@click.option(
    "--allow-remote",
    is_flag=True,
    help="Listen where other machines can connect. Traffic is neither encrypted nor authenticated yet.",
)
@silence_option("a party has to give up its name.")
@click.option("--while-stdin", is_flag=True, hidden=True)
def command(listen: str, allow_remote: bool, silence: float, while_stdin: bool) -> None:
    """Route messages between workers and clients.

    The broker keeps nothing: killed and started again at the same address, it costs a pause.
    """
    _open_as_many_as_allowed()
    with Broker(listen, silence=silence, allow_remote=allow_remote, report=click.echo) as broker:
        on_signal(broker.stop)
        if while_stdin:
            with_stdin()
        click.echo(f"listening at {broker.address} (Ctrl-C ends it)")
        broker.serve()
        click.echo("stopped")


def _open_as_many_as_allowed() -> None:
    """Each party has two connections, and of the 1024 files that a process may commonly open the system allows more."""
    try:
        import resource
    except ImportError:  # a system that has no such limits
        return
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):  # macOS says that there is no limit, and has one
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
