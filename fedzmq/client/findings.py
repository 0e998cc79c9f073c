"""What a worker tells of the tensors that it stores, and pointers to what a search found."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import NoReturn

import torch

from fedzmq.errors import NothingFound, ProtocolError, UsageError
from fedzmq.pointers.metadata import meta
from fedzmq.pointers.origins import origin
from fedzmq.pointers.pointer import Pointer
from fedzmq.pointers.reference import Reference
from fedzmq.pointers.stream import Stream
from fedzmq.tensors.dtypes import dtype_of
from fedzmq.wire.messages import Found, ListObjects, ObjectInfo, Search

ROOM = 64  # results that a first question has room for


class Findings(dict[str, list[Pointer]]):
    """Pointers to what was found, by the workers' names; those without are left out, and NothingFound says so."""

    def __init__(self, searched: Iterable[tuple[str, list[Pointer]]], terms: Iterable[str | Iterable[str]]) -> None:
        super().__init__({name: pointers for name, pointers in searched if pointers})
        self._terms = tuple(_flat(terms))

    def __missing__(self, worker: str) -> NoReturn:
        raise NothingFound(worker, self._terms, tuple(self))


def found_by(stream: Stream, terms: Iterable[str | Iterable[str]]) -> list[Pointer]:
    """One round trip, and a second one where very much is found."""
    wanted = tuple(_flat(terms))
    room = ROOM
    stream.flush()  # what was released is forgotten first
    while True:
        first = stream.run_of_ids(room)
        ask = partial(_search, terms=wanted, first=first, room=room)
        found = _found(stream, stream.ask(ask, origin()))
        if found.total <= room:
            return [_pointer(stream, info) for info in found.objects]
        room = 2 * found.total  # more may be stored meanwhile


def listed(stream: Stream) -> tuple[ObjectInfo, ...]:
    """What is stored once all that was released is forgotten."""
    stream.flush()
    return _found(stream, stream.ask(ListObjects, origin())).objects


def _search(request: int, terms: tuple[str, ...], first: int, room: int) -> Search:
    return Search(request, terms, first, room)


def _found(stream: Stream, request: int) -> Found:
    reply, _ = stream.answer(request)
    if not isinstance(reply, Found):
        raise ProtocolError(f"worker {stream.worker!r} answered a search with {type(reply).__name__}")
    return reply


def _pointer(stream: Stream, info: ObjectInfo) -> Pointer:
    tensor = info.tensor
    known = meta(torch.Size(tensor.shape), dtype_of(tensor.dtype), tuple(tensor.stride))
    reference = Reference(stream, info.id, known)
    if tensor.requires_grad:
        reference.become_leaf()
    pointer = Pointer.around(reference)
    if info.tags:
        pointer.__dict__["_tags"] = info.tags
    if info.description:
        pointer.__dict__["_description"] = info.description
    return pointer


def _flat(terms: Iterable[str | Iterable[str]]) -> Iterable[str]:
    for term in terms:
        if isinstance(term, str):
            yield term
        elif isinstance(term, Iterable):
            yield from _flat(term)
        else:
            raise UsageError(f"a search is for tags or parts of a description, which are texts, and not {term!r}")
