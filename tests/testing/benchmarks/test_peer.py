from __future__ import annotations

import os

import pytest

from fedzmq.errors import ClusterError
from fedzmq.testing.benchmarks.peer import Peer

PEERS = "tests.testing.benchmarks.peers."


def test_a_peer_that_cannot_start_tells_why() -> None:
    with Peer(f"{PEERS}breaks") as peer, pytest.raises(ClusterError, match="ImportError: torch was built without"):
        peer.ask("anything")


def test_a_peer_that_does_not_answer_is_waited_for_once() -> None:
    with Peer(f"{PEERS}hangs") as peer:
        pid = int(peer.ask("whose"))
        peer._patience = 0.1
        with pytest.raises(ClusterError, match=r"did not answer within 0\.1 s"):
            peer.ask("hang")
        with pytest.raises(ClusterError, match=r"did not answer within 0\.1 s"):
            peer.ask("whose")
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_peer_that_is_interrupted_ends_at_once() -> None:
    peer = Peer(f"{PEERS}hangs")
    peer.ask("whose")
    peer._is_asked = True  # as Ctrl-C leaves it
    peer.close()

    assert peer._process.returncode == 0
