"""The promises of a transport, one test each. Subclass `TransportContract`, give it an address, and run pytest.

    class TestCarrierPigeons(TransportContract):
        @pytest.fixture
        def address(self):
            with pigeon_loft() as loft:
                yield loft.address

A transport whose medium can be away overrides `outage` as well.
"""

from __future__ import annotations

from fedzmq.testing.conformance.closing import Closing
from fedzmq.testing.conformance.mail import Mail
from fedzmq.testing.conformance.memory import Memory
from fedzmq.testing.conformance.names import Names
from fedzmq.testing.conformance.outages import Outages
from fedzmq.testing.conformance.topics import Topics
from fedzmq.testing.conformance.waiting import Waiting


class TransportContract(Mail, Memory, Topics, Waiting, Names, Closing, Outages):
    """Every promise. A medium is described by the fixtures of `Medium`."""
