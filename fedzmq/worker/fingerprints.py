"""What tells a data set from what it was, to whoever trains on it again, and tells nobody what is in it.

It is a keyed hash of the examples, and of the run and the worker that it is for. Without the key nobody can try whether
a guess at the examples is right, not even of one row where all others are known; and what two workers hold, or one
worker in two runs, is not seen to be the same. A coordinator learns no more than whether a worker trains on what it
trained on before in that run. The key stays with the worker, and who reads it there can read the data, too.
"""

from __future__ import annotations

import hmac
import os
from hashlib import sha256

from fedzmq.data.examples import Examples
from fedzmq.tensors.row import digest_of

KEY = 8  # hexadecimal digits that tell which key and which sample of a set it was: only then can two be compared
DIGITS = 16


class Fingerprints:
    """`secret` is to outlive the worker: with another one, a worker that comes back cannot be told from another."""

    def __init__(self, worker: str = "", secret: bytes | None = None) -> None:
        self._worker = worker
        self._secret = secret or os.urandom(32)
        self._digests: dict[str, str] = {}

    def of(self, run: str, data: Examples) -> str:
        """Empty outside a run, and for examples that their owner's code may draw anew whenever they are read.

        They are read once, at the first call: all that are in memory, and a few of a file.
        """
        if not run:
            return ""
        if data.name not in self._digests:
            sample = data.sample()
            self._digests[data.name] = "" if sample is None else f"{data.columns}{digest_of(sample)}"
        digest = self._digests[data.name]
        sampled = type(data).__name__  # the same file gives another sample once it is too large for memory
        return self._mark(run, sampled)[:KEY] + self._mark(run, digest)[:DIGITS] if digest else ""

    def _mark(self, run: str, what: str) -> str:
        return hmac.new(self._secret, repr((self._worker, run, what)).encode(), sha256).hexdigest()


def are_others(before: str, now: str) -> bool:
    """Whether these are fingerprints of different data, as far as that can be told."""
    return bool(before and now) and before[:KEY] == now[:KEY] and before != now
