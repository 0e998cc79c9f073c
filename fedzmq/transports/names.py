"""What parties and topics may be called: short, printable, and the same on every medium."""

from __future__ import annotations

import re

from fedzmq.errors import InvalidName
from fedzmq.transports.connection import DEPARTURES, MEDIUM, PARTIES

MOST_TOPIC_BYTES = 200
_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)


def check_name(name: str) -> str:
    """The name itself, if a party may have it. Raises InvalidName."""
    if not isinstance(name, str) or _NAME.fullmatch(name) is None:
        raise InvalidName("party", name, "use 1 to 64 letters, digits, dots, dashes or underscores")
    if name == MEDIUM:
        raise InvalidName("party", name, "the medium itself speaks under it; choose another")
    return name


def check_topic(topic: str) -> str:
    """The topic itself, if it may be subscribed to. Raises InvalidName."""
    try:
        size = len(topic.encode())
    except (AttributeError, UnicodeEncodeError):
        size = 0
    if not 1 <= size <= MOST_TOPIC_BYTES:
        raise InvalidName("topic", topic, f"use 1 to {MOST_TOPIC_BYTES} bytes of text")
    return topic


def check_publishable(topic: str) -> str:
    """The topic itself, if a party may publish on it. Raises InvalidName."""
    if topic in (DEPARTURES, PARTIES):
        raise InvalidName("topic of yours", topic, "the medium alone publishes there; you may subscribe to it")
    return check_topic(topic)
