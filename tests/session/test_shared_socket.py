"""What one side sends comes out where the other receives, and no process of another user comes in between."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from fedzmq.errors import TransportClosed
from fedzmq.session.shared_socket import MOST_BYTES, SocketReader, SocketWriter
from fedzmq.transports.connection import Delivery, Read
from fedzmq.transports.memory import MemoryConnection
from fedzmq.transports.registry import connect

pytestmark = pytest.mark.skipif(not hasattr(socket, "SO_PEERCRED"), reason="this system has no such socket")

SENDER = "bob"


class Watching(MemoryConnection):
    """It is told when there is something to read by the test."""

    def __init__(self) -> None:
        self.watched: dict[int, Read] = {}

    def watch(self, descriptor: int, read: Read) -> bool:
        self.watched[descriptor] = read
        return True

    def unwatch(self, descriptor: int) -> None:
        del self.watched[descriptor]


@pytest.fixture
def secret() -> bytes:
    return os.urandom(16)


@pytest.fixture
def connection() -> Watching:
    return Watching()


@pytest.fixture
def writer(secret: bytes) -> Iterator[SocketWriter]:
    made = SocketWriter(secret)
    yield made
    made.close()


@pytest.fixture
def reader(writer: SocketWriter, connection: Watching, secret: bytes) -> Iterator[SocketReader]:
    made = SocketReader(connection, SENDER, secret)
    yield made
    made.close()


def test_packets_come_out_as_mail_of_the_sender(writer: SocketWriter, reader: SocketReader) -> None:
    assert writer.accept()
    assert writer.send(b"one")
    assert writer.send(bytes(MOST_BYTES))
    assert reader.read() == Delivery(SENDER, None, [b"one"])
    assert reader.read() == Delivery(SENDER, None, [bytes(MOST_BYTES)])
    assert reader.read() is None


def test_what_is_too_large_is_not_taken(writer: SocketWriter, reader: SocketReader) -> None:
    assert writer.accept()
    assert not writer.send(bytes(MOST_BYTES + 1))
    assert writer.send(b"small")
    assert reader.read() == Delivery(SENDER, None, [b"small"])


def test_a_reader_that_is_behind_is_given_no_more_until_it_read(writer: SocketWriter, reader: SocketReader) -> None:
    assert writer.accept()
    sent = 0
    while writer.send(b"%d" % sent):
        sent += 1
    got = []
    while (delivery := reader.read()) is not None:
        got.append(delivery.frames[0])
    assert got == [b"%d" % number for number in range(sent)]
    assert writer.send(b"more")


def test_nothing_is_sent_before_somebody_is_there(writer: SocketWriter) -> None:
    assert not writer.send(b"x")
    assert not writer.accept()
    assert not writer.send(b"x")


def test_a_reader_that_is_gone_is_given_nothing(writer: SocketWriter, reader: SocketReader) -> None:
    assert writer.accept()
    reader.close()
    assert not writer.send(b"x")


def test_a_sender_that_is_gone_is_known_once_all_is_read(writer: SocketWriter, reader: SocketReader) -> None:
    assert writer.accept()
    assert writer.send(b"last")
    writer.close()
    assert reader.read() == Delivery(SENDER, None, [b"last"])
    with pytest.raises(EOFError):
        reader.read()


def test_a_reader_that_was_closed_reads_nothing(reader: SocketReader, connection: Watching) -> None:
    assert connection.watched
    reader.close()
    reader.close()
    assert not connection.watched
    with pytest.raises(EOFError):
        reader.read()


def test_whoever_does_not_know_the_secret_finds_nobody(writer: SocketWriter, connection: Watching) -> None:
    with pytest.raises(OSError, match="refused"):
        SocketReader(connection, SENDER, b"some other secret")


def test_the_name_that_all_can_see_does_not_tell_the_secret(writer: SocketWriter, secret: bytes) -> None:
    with open("/proc/net/unix", encoding="ascii") as names:
        seen = names.read()
    assert "@fedzmq-" in seen
    assert secret.hex() not in seen


def test_a_process_of_another_user_is_not_written_to(
    writer: SocketWriter, reader: SocketReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    assert not writer.accept()
    assert not writer.send(b"secret")


def test_a_process_of_another_user_that_came_first_keeps_nobody_out(
    writer: SocketWriter, connection: Watching, secret: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = iter([12345, os.geteuid()])
    readers = [SocketReader(connection, SENDER, secret) for _ in range(2)]
    monkeypatch.setattr(os, "geteuid", lambda: next(users))
    assert writer.accept()
    assert writer.send(b"secret")
    with pytest.raises(EOFError):
        readers[0].read()
    assert readers[1].read() == Delivery(SENDER, None, [b"secret"])
    for reader in readers:
        reader.close()


def test_a_process_of_another_user_is_not_listened_to(
    writer: SocketWriter, connection: Watching, secret: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(OSError, match="another user"):
        SocketReader(connection, SENDER, secret)
    assert not connection.watched


def test_a_connection_that_can_wait_for_its_medium_alone_reads_none(writer: SocketWriter, secret: bytes) -> None:
    with connect("memory://nobody", "alice") as alone, pytest.raises(OSError, match="medium alone"):
        SocketReader(alone, SENDER, secret)


def test_a_connection_that_was_closed_reads_none(
    writer: SocketWriter, connection: Watching, secret: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(descriptor: int, read: object) -> bool:
        raise TransportClosed("alice")

    monkeypatch.setattr(connection, "watch", closed)
    with pytest.raises(OSError, match="alice"):
        SocketReader(connection, SENDER, secret)
