"""Memory that two parties on one machine share, one direction of it: one writes what it sends, the other reads it.

It is a file without a name in any folder, and is gone with the last process that has it open. It is sealed: nobody can
make it shorter, so nothing that one of them does to it can make the other fall, who may have it mapped.

Its beginning may be mapped, as a plain copy takes less than half of the time of a system call. No more is, for what is
mapped counts as memory of the process.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import stat
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from struct import Struct
from typing import NamedTuple

from fedzmq.errors import ProtocolError
from fedzmq.transports.connection import Buffer

NBYTES = 8 * 1024 * 1024
STEPS = 4  # in which it is filled, so that one side writes while the other reads
MOST_NBYTES = 64 * 1024 * 1024
MAPPED = 2 * 1024 * 1024  # bytes of the beginning that are mapped
SECRET_BYTES = 16
MOST_AT_ONCE = 512  # buffers of one system call
_OFFER = Struct(f"!QQQ{SECRET_BYTES}s")


class Region(NamedTuple):
    """Where in the memory the bytes of a packet lie."""

    offset: int
    nbytes: int


class Offer(NamedTuple):
    """Where another process of the machine finds the memory, and the secret by which it knows that it is this one.

    Who was not told the secret cannot name the memory of others.
    """

    process: int
    descriptor: int
    nbytes: int
    secret: bytes

    def encode(self) -> bytes:
        return _OFFER.pack(*self)

    @classmethod
    def decode(cls, encoded: Buffer) -> Offer:
        """Raises ProtocolError."""
        if len(encoded) != _OFFER.size:
            raise ProtocolError(f"an offer of memory has {_OFFER.size} bytes, not {len(encoded)}")
        return cls(*_OFFER.unpack(encoded))

    @property
    def path(self) -> str:
        return f"/proc/{self.process}/fd/{self.descriptor}"

    @property
    def title(self) -> str:
        """What the system calls it."""
        return f"/memfd:{_name(self.secret)} (deleted)"


class _Open:
    """The file, by a descriptor of this process, and its beginning, where that is mapped."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._mapping = memoryview(b"")

    def _map(self, nbytes: int, access: int) -> None:
        if nbytes:
            self._mapping = memoryview(mmap.mmap(self._descriptor, nbytes, access=access))

    def close(self) -> None:
        """Twice is fine."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
            self._mapping = memoryview(b"")  # with the view the mapping goes


class MemoryWriter(_Open):
    """The side that sends. What was put in first is freed first. `mapped` is how many bytes are mapped."""

    def __init__(self, nbytes: int = NBYTES, mapped: int = MAPPED) -> None:
        """Raises OSError where the system has no such memory."""
        secret = os.urandom(SECRET_BYTES)
        if not hasattr(os, "memfd_create"):
            raise OSError("this system has no memory without a name")
        super().__init__(os.memfd_create(_name(secret), os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING))
        try:
            os.ftruncate(self._descriptor, nbytes)
            fcntl.fcntl(self._descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
            self._map(min(mapped, nbytes), mmap.ACCESS_WRITE)
        except OSError:
            self.close()
            raise
        self.offer = Offer(os.getpid(), self._descriptor, nbytes, secret)
        self._given = 0  # bytes from the beginning on that the system has memory for
        self._taken: deque[Region] = deque()
        self.at_once = nbytes // STEPS
        """Bytes that are well put in at once."""
        self.is_usable = True
        """The system gave what was wanted so far."""

    def fits(self, nbytes: int) -> bool:
        """There is room for so many bytes now. Where nothing is taken there is, for all of it."""
        return self._place(nbytes) is not None

    def put(self, parts: Sequence[Buffer]) -> Region | None:
        """Write these, which fit, behind each other; None where the system has no more memory, now or later."""
        nbytes = sum(map(len, parts))
        offset = self._place(nbytes)
        if offset is None:
            raise ValueError(f"{nbytes} bytes do not fit")
        region = Region(offset, nbytes)
        if offset + nbytes <= min(self._given, len(self._mapping)):
            for part in parts:
                self._mapping[offset : offset + len(part)] = part
                offset += len(part)
        elif not self._write(region, parts):
            return None
        self._taken.append(region)
        return region

    def free(self) -> None:
        """What was put in first, of what is still there, was read."""
        self._taken.popleft()

    def _write(self, region: Region, parts: Sequence[Buffer]) -> bool:
        """Where the system may have no memory: a process that finds that out by a mapping falls."""
        position = region.offset
        with suppress(OSError):
            for begin in range(0, len(parts), MOST_AT_ONCE):
                position += os.pwritev(self._descriptor, parts[begin : begin + MOST_AT_ONCE], position)
        self.is_usable = position == region.offset + region.nbytes
        self._given = max(self._given, position)
        return self.is_usable

    def _place(self, nbytes: int) -> int | None:
        if not self._taken:
            return 0 if nbytes <= self.offer.nbytes else None  # as near to the beginning as can be: it is warm
        first, last = self._taken[0].offset, self._taken[-1]
        end = last.offset + last.nbytes
        if last.offset >= first:  # it lies in one stretch
            if end + nbytes <= self.offer.nbytes:
                return end
            return 0 if nbytes < first else None
        return end if end + nbytes < first else None


class MemoryReader(_Open):
    """The side that receives. `mapped` is how many bytes are mapped."""

    def __init__(self, offer: Offer, mapped: int = MAPPED) -> None:
        """Raises OSError where it is not to be had: on another machine, of another user, or not what it is said to be.

        Nothing is opened that does not carry the secret.
        """
        if not 0 < offer.nbytes <= MOST_NBYTES or os.readlink(offer.path) != offer.title:
            raise OSError("there is no such memory")
        self._nbytes = offer.nbytes
        super().__init__(os.open(offer.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK))
        found = os.fstat(self._descriptor)
        is_it = os.readlink(f"/proc/self/fd/{self._descriptor}") == offer.title  # and no other, put there meanwhile
        try:
            if not is_it or not stat.S_ISREG(found.st_mode) or found.st_size < offer.nbytes:
                raise OSError("this is no memory of that size")
            if not fcntl.fcntl(self._descriptor, fcntl.F_GET_SEALS) & fcntl.F_SEAL_SHRINK:
                raise OSError("this memory could be made shorter")
            self._map(min(mapped, offer.nbytes), mmap.ACCESS_READ)
        except OSError:
            self.close()
            raise

    def read(self, region: Region, buffers: Sequence[memoryview]) -> None:
        """Fill these, which have as many bytes together as the region. Raises ProtocolError where it ends before."""
        offset, nbytes = region
        if offset + nbytes > self._nbytes:
            raise ProtocolError(f"{nbytes} bytes from {offset} on lie beyond the memory that is shared")
        if offset + nbytes <= len(self._mapping):
            for buffer in buffers:
                buffer[:] = self._mapping[offset : offset + len(buffer)]
                offset += len(buffer)
            return
        for begin in range(0, len(buffers), MOST_AT_ONCE):
            some = buffers[begin : begin + MOST_AT_ONCE]
            wanted = sum(map(len, some))
            try:
                done = os.preadv(self._descriptor, some, offset)
            except OSError as error:
                raise ProtocolError(f"the memory that is shared cannot be read: {error.strerror}") from None
            if done != wanted:
                raise ProtocolError("the memory that is shared ends before what lies in it")
            offset += wanted


def _name(secret: bytes) -> str:
    return f"fedzmq-{secret.hex()}"
