from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch

from fedzmq.errors import LimitExceeded, WorkerLost
from fedzmq.session.sessions import REMEMBERED
from fedzmq.tensors.buffers import export
from fedzmq.transports.connection import Buffer
from fedzmq.wire.codec import decode, encode
from fedzmq.wire.messages import Claim, Deliver, Hand, Sync, TensorSpec, Undelivered
from fedzmq.worker.exchange import Exchange
from fedzmq.worker.failure import failure_of
from fedzmq.worker.store import Inherited, Store
from fedzmq.worker.transfers import Transfers

BOB = ("bob", b"1")
WHERE = " (on worker 'bob', before the move)"
MOST_BYTES = 64  # of a message that can be posted
QUOTA = 1100  # one delivery of four floats


class Post:
    """Keeps what was posted."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, Deliver | Undelivered, Sequence[Buffer]]] = []

    def __call__(self, worker: str, boot: bytes, message: Deliver | Undelivered, buffers: Sequence[Buffer]) -> None:
        if worker == "gone":
            raise WorkerLost(worker, "it left")
        if sum(memoryview(buffer).nbytes for buffer in buffers) > MOST_BYTES:
            raise LimitExceeded("the bytes of a message", MOST_BYTES + 1, MOST_BYTES)
        self.sent.append((worker, message, buffers))


@pytest.fixture
def post() -> Post:
    return Post()


def delivery(value: torch.Tensor, key: str = "key", client: str = "me") -> tuple[Deliver, list[Buffer]]:
    dtype, shape, view = export(value)
    return Deliver(key, client, TensorSpec(dtype, shape, 0)), [view]


def test_a_delivery_is_claimed_once_and_only_as_the_sender_posted_it(post: Post) -> None:
    exchange = Exchange(post)
    exchange.arrived(BOB, *delivery(torch.ones(2)))
    assert exchange.take(("carol", b"1"), "key") is None
    assert exchange.take(("bob", b"2"), "key") is None
    assert exchange.take(BOB, "other") is None
    assert exchange.take(BOB, "key") is not None
    assert exchange.take(BOB, "key") is None


def test_what_waits_for_a_client_is_bounded(post: Post) -> None:
    exchange = Exchange(post, quota=QUOTA)
    exchange.arrived(BOB, *delivery(torch.ones(4), "one"))
    exchange.arrived(BOB, *delivery(torch.ones(1), "two"))
    exchange.arrived(BOB, *delivery(torch.ones(4), "three", client="other"))
    kinds = [type(found.message) for key in ("one", "two", "three") if (found := exchange.take(BOB, key))]
    assert kinds == [Deliver, Undelivered, Deliver]


def test_what_waits_for_a_client_goes_with_it(post: Post) -> None:
    exchange = Exchange(post)
    exchange.arrived(BOB, *delivery(torch.ones(2), "mine"))
    exchange.arrived(BOB, *delivery(torch.ones(2), "theirs", client="other"))
    exchange.forget("me")
    assert (exchange.has(BOB, "mine"), exchange.has(BOB, "theirs")) == (False, True)


def test_a_claim_holds_back_what_comes_after_it_until_its_tensor_is_here(post: Post) -> None:
    exchange, store = Exchange(post), Store()
    transfers = Transfers(store, exchange, "me")
    records = [Sync(1), Claim(5, "key", *BOB, True), Sync(2)]
    assert transfers.ready(records) == 1
    exchange.arrived(BOB, *delivery(torch.ones(2)))
    assert transfers.ready(records) == 3
    transfers.claim(records[1])
    assert store.tensor(5).requires_grad


def test_a_claim_on_a_lost_worker_fails(post: Post) -> None:
    exchange, store = Exchange(post), Store()
    transfers = Transfers(store, exchange, "me")
    claim = Claim(5, "key", *BOB, False)
    transfers.lose(*BOB)
    assert transfers.ready([claim]) == 1
    transfers.claim(claim)
    with pytest.raises(Inherited, match="'bob' was lost"):
        store.tensor(5)
    assert [failure.error for failure in store.report()] == ["WorkerLost"]


def test_a_broken_session_fails_claims_until_the_sender_is_heard_again(post: Post) -> None:
    exchange = Exchange(post)
    transfers = Transfers(Store(), exchange, "me")
    claim = Claim(5, "key", *BOB, False)
    exchange.broke(BOB)
    assert transfers.ready([claim]) == 1
    exchange.arrived(BOB, *delivery(torch.ones(2), "another"))
    assert transfers.ready([claim]) == 0


def test_a_tensor_is_posted_as_it_is_at_that_moment(post: Post) -> None:
    store = Store()
    store.keep(1, torch.ones(2))
    Transfers(store, Exchange(post), "me").hand(Hand(1, "alice", b"2", "key"))
    store.tensor(1).add_(1)
    ((worker, message, buffers),) = post.sent
    assert (worker, message) == ("alice", Deliver("key", "me", TensorSpec("float32", (2,), 0)))
    assert torch.frombuffer(bytearray(buffers[0]), dtype=torch.float32).tolist() == [1.0, 1.0]


def test_what_is_not_there_is_posted_as_a_failure(post: Post) -> None:
    store = Store()
    Transfers(store, Exchange(post), "me").hand(Hand(1, "alice", b"2", "key"))
    ((_, message, buffers),) = post.sent
    assert isinstance(message, Undelivered)
    assert (message.failure.error, list(buffers)) == ("TensorNotStored", [])
    assert len(store.report()) == 1


def test_what_cannot_be_posted_is_posted_as_a_failure(post: Post) -> None:
    store = Store()
    store.keep(1, torch.ones(MOST_BYTES))
    Transfers(store, Exchange(post), "me").hand(Hand(1, "alice", b"2", "key"))
    ((_, message, _),) = post.sent
    assert isinstance(message, Undelivered)
    assert [message.failure] == list(store.report())
    assert message.failure.error == "LimitExceeded"


@pytest.mark.parametrize("text", ["index 5 is out of bounds", "\U0001f40d" * 1000], ids=["short", "as long as any"])
def test_a_failure_that_moves_about_says_once_where_it_happened(post: Post, text: str) -> None:
    exchange, store = Exchange(post), Store()
    transfers = Transfers(store, exchange, "me")
    store.poison(1, failure_of(IndexError(text), 1, "index"))
    told = []
    for id in range(1, 4):
        transfers.hand(Hand(id, "alice", b"2", "key"))
        message = post.sent[-1][1]
        assert isinstance(message, Undelivered)
        assert decode(encode([message])) == [message]
        told.append(message.failure.message)
        exchange.arrived(BOB, message, [])
        transfers.claim(Claim(id + 1, "key", *BOB, False))
    assert told[1] == told[2] == text[: len(told[1]) - len(WHERE)] + WHERE


def test_a_target_that_is_gone_is_no_failure_of_the_source(post: Post) -> None:
    store = Store()
    store.keep(1, torch.ones(2))
    Transfers(store, Exchange(post), "me").hand(Hand(1, "gone", b"2", "key"))
    assert store.report() == ()


def test_what_is_posted_twice_under_one_key_is_counted_once(post: Post) -> None:
    exchange = Exchange(post, quota=QUOTA)
    exchange.arrived(BOB, *delivery(torch.ones(4)))
    exchange.arrived(BOB, *delivery(torch.zeros(4)))
    found = exchange.take(BOB, "key")
    assert found is not None
    assert isinstance(found.message, Deliver)
    exchange.arrived(BOB, *delivery(torch.ones(4), "other"))
    found = exchange.take(BOB, "other")
    assert found is not None
    assert isinstance(found.message, Deliver)


def test_nobody_takes_the_room_of_what_others_post(post: Post) -> None:
    exchange = Exchange(post, quota=QUOTA)
    for key in ("one", "two"):
        exchange.arrived(("mallory", b"1"), *delivery(torch.ones(4), key))
    exchange.arrived(BOB, *delivery(torch.ones(4)))
    found = exchange.take(BOB, "key")
    assert found is not None
    assert isinstance(found.message, Deliver)


def test_what_was_posted_for_nobody_here_goes_with_whoever_posted_it(post: Post) -> None:
    exchange = Exchange(post)
    exchange.arrived(BOB, *delivery(torch.ones(2), "mine"))
    exchange.arrived(BOB, *delivery(torch.ones(2), "nobody's", client="other"))
    exchange.broke(BOB, {"me"})
    assert (exchange.has(BOB, "mine"), exchange.has(BOB, "nobody's")) == (True, False)


def test_deliveries_of_no_bytes_are_bounded_too(post: Post) -> None:
    exchange = Exchange(post, quota=64 * QUOTA)
    for key in range(1000):
        exchange.arrived(BOB, *delivery(torch.ones(0), str(key)))
    assert len(exchange) <= 3 * 64


def test_not_all_that_ever_broke_is_remembered(post: Post) -> None:
    exchange = Exchange(post)
    exchange.broke(BOB)
    for number in range(REMEMBERED):
        exchange.broke(("mallory", str(number).encode()))
    assert (exchange.is_broken(BOB), exchange.is_broken(("mallory", b"1"))) == (False, True)


def test_what_most_waits_of_becomes_failures(post: Post) -> None:
    exchange = Exchange(post)
    exchange.arrived(("mallory", b"1"), *delivery(torch.ones(4096)))
    exchange.arrived(BOB, *delivery(torch.ones(4)))
    exchange.refuse_most()
    kinds = [type(found.message) for worker in ("mallory", "bob") if (found := exchange.take((worker, b"1"), "key"))]
    assert kinds == [Undelivered, Deliver]


def test_clients_that_are_not_here_have_room_together_and_none_of_those_that_are(post: Post) -> None:
    exchange = Exchange(post, quota=QUOTA, is_served={"me"}.__contains__)
    for client in ("made up", "made up too", "me"):
        exchange.arrived(BOB, *delivery(torch.ones(4), client, client))
    found = [exchange.take(BOB, client) for client in ("made up", "made up too", "me")]
    assert [type(each.message) for each in found if each] == [Deliver, Undelivered, Deliver]
