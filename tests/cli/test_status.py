from __future__ import annotations

import json
import subprocess
import sys

import pytest

from fedzmq.broker.broker import Broker
from fedzmq.cli.status import _doing
from fedzmq.client.client import connect
from fedzmq.cluster.local_cluster import LocalCluster
from fedzmq.session.census import Resident
from fedzmq.session.heartbeat import ROLL_CALL, WORKERS, Heartbeat
from fedzmq.session.presence import HUSH
from fedzmq.transports.party import Party
from tests.cli.conftest import Call
from tests.cli.test_worker import NOBODY
from tests.processes import until


def party(silent: float = 0.0, dropped: int = 0, hears: str = ROLL_CALL) -> Party:
    return Party("bob", 9.0, silent, dropped, frozenset({hears}))


def says(**beat: object) -> Heartbeat:
    return Heartbeat(b"b" * 8, **beat)  # type: ignore[arg-type]


def test_it_says_who_is_there_and_what_they_do(call: Call, site: LocalCluster) -> None:
    with connect(site.address, name="anna") as client:
        client.endpoint.presence.busy = "round 3: has waited 12 s for bob"
        ended = call("status", "--broker", site.address)

    lines = [line.split(maxsplit=6) for line in ended.out.splitlines()]
    assert ended.code == 0
    assert lines[0] == ["kind", "name", "here", "for", "heard", "does"]
    assert ["client", "anna", "round 3: has waited 12 s for bob"] in [[*line[:2], line[-1]] for line in lines]
    assert {line[1] for line in lines if line[0] == "worker"} >= set(site.workers)


def test_its_json_has_a_party_each(call: Call, site: LocalCluster) -> None:
    told = json.loads(call("status", "--broker", site.address, "--json").out)

    assert told["broker"] == site.address
    bob = next(each for each in told["parties"] if each["name"] == "bob")
    assert bob.pop("here_seconds") >= bob.pop("silent_seconds") >= 0
    assert bob == {"name": "bob", "kind": "worker", "busy": "", "on_their_way": {}, "lost_messages": 0}


def test_the_broker_has_no_word_for_whoever_only_asks(call: Call) -> None:
    said: list[str] = []
    with Broker("tcp://127.0.0.1:0", report=said.append).start() as broker:
        assert call("status", "--broker", broker.address).code == 0
        with connect(broker.address, name="anna"):
            pass
        until(lambda: len(said) == 2, lambda: repr(said))

    assert said == ["anna joined", "anna left"]


def test_where_nobody_is_it_says_how_that_changes(call: Call) -> None:
    with Broker("tcp://127.0.0.1:0").start() as broker:
        ended = call("status", "--broker", broker.address)

    assert ended.out.startswith(f"nobody is at {broker.address}: start workers with `fedzmq worker")


def test_a_broker_that_is_down_is_one_sentence(call: Call) -> None:
    ended = call("status", "--broker", NOBODY, "--wait", "0.1")

    assert ended.code == 3
    assert ended.err.startswith(f"fedzmq: no broker answered at {NOBODY} within 0.1 s")


@pytest.mark.parametrize(
    ("resident", "words"),
    [
        (Resident(party(), says()), "waits for commands"),
        (Resident(party(hears=WORKERS), says()), "is in no round"),
        (Resident(party(), None), "says nothing of itself"),
        (Resident(party(silent=HUSH), says()), "waits for commands"),
        (Resident(party(silent=7.4), None), "nothing is heard of it for 7 s: it is stopped, or its line is cut"),
        (Resident(party(), says(busy="trains", owed=(("anna", 3 << 20),))), "trains; on their way: 3.0 MiB to anna"),
        (Resident(party(dropped=2), says(busy="trains")), "trains; 2 messages to it were lost: it takes nothing"),
    ],
)
def test_what_a_party_does_is_told_in_words(resident: Resident, words: str) -> None:
    assert _doing(resident) == words


def test_it_does_not_wait_for_torch() -> None:
    program = f"""if True:
        import sys
        from fedzmq.cli.main import run
        assert run(["status", "--broker", {NOBODY!r}, "--wait", "0"]) == 3
        assert "torch" not in sys.modules
    """
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, timeout=60)
