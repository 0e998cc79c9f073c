"""`fedzmq status`."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

import click

from fedzmq.cli.greeting import greet
from fedzmq.cli.shared_options import broker_option, wait_option
from fedzmq.cli.table import table
from fedzmq.errors import ProtocolError
from fedzmq.federated.report import amount
from fedzmq.federation.printable import printable
from fedzmq.session.census import CLIENT, WORKER, Resident, take_census
from fedzmq.session.presence import HUSH
from fedzmq.transports.registry import connect

_IDLE = {WORKER: "waits for commands", CLIENT: "is in no round"}


@click.command("status")
@broker_option
@wait_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(broker: str, wait: float, as_json: bool) -> None:
    """Say who is at a broker, what they do, and what is on its way to whom.

    It takes part in nothing, and takes a second.
    """
    with connect(broker, f"status-{os.urandom(4).hex()}") as connection:
        greet(connection, wait, err=True)
        residents = take_census(connection)
    if residents is None:
        raise ProtocolError(f"the broker at {broker} does not say who is there: install the same fedzmq on both sides")
    if as_json:
        click.echo(json.dumps({"broker": broker, "parties": list(map(_facts, residents))}))
        return
    for line in _lines(broker, residents):
        click.echo(printable(line))


def _lines(broker: str, residents: Sequence[Resident]) -> list[str]:
    if not residents:
        return [f"nobody is at {broker}: start workers with `fedzmq worker --id NAME --broker {broker}`"]
    rows = [
        (each.kind or "-", each.party.name, f"{each.party.here:.0f} s", f"{each.party.silent:.0f} s", _doing(each))
        for each in residents
    ]
    return table(("kind", "name", "here for", "heard", "does"), rows)


def _doing(resident: Resident) -> str:
    party, beat = resident.party, resident.beat
    if party.silent > HUSH:
        says = f"nothing is heard of it for {party.silent:.0f} s: it is stopped, or its line is cut"
    elif beat is None:
        says = "says nothing of itself"
    else:
        says = beat.busy or _IDLE.get(resident.kind, "")
    owed = ", ".join(f"{amount(count)} to {name}" for name, count in (() if beat is None else beat.owed))
    told = [
        says,
        f"on their way: {owed}" if owed else "",
        f"{party.dropped} messages to it were lost: it takes nothing",
    ]
    return "; ".join(each for each in told[: 3 if party.dropped else 2] if each)


def _facts(resident: Resident) -> dict[str, Any]:
    party, beat = resident.party, resident.beat
    return {
        "name": party.name,
        "kind": resident.kind or None,
        "here_seconds": round(party.here, 3),
        "silent_seconds": round(party.silent, 3),
        "busy": "" if beat is None else beat.busy,
        "on_their_way": {} if beat is None else dict(beat.owed),
        "lost_messages": party.dropped,
    }
