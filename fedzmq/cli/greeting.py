"""The broker's first answer, which is waited for in words."""

from __future__ import annotations

import math
import time

import click

from fedzmq.errors import BrokerUnreachable
from fedzmq.transports.connection import Connection

TELL_AFTER = 1.0  # seconds of waiting that need no words


def greet(connection: Connection, wait: float, *, err: bool = False) -> None:
    """Wait for it. Raises NameTaken when the broker refuses, and BrokerUnreachable after `wait` seconds."""
    began = time.monotonic()
    told = False
    while connection.silent_for() == math.inf:
        waited = time.monotonic() - began
        if waited >= wait:
            raise BrokerUnreachable(connection.address, wait)
        if waited >= TELL_AFTER and not told:
            told = True
            click.echo(f"waiting for the broker at {connection.address}, for {wait:g} s at the most", err=err)
        connection.recv(0.05)
