"""torch's own configurations of its optimizers, in every form, on parameters of a worker beside the same ones here."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.optim import lr_scheduler
from torch.testing import assert_close
from torch.utils._pytree import tree_flatten

from fedzmq.pointers.pointer import Pointer
from tests.pointers.databases.comparison import SEED, Comparison
from tests.pointers.databases.outcome import Different, Outcome, compared

STEPS = 4
SENT = ("before", "after", "between")  # when the parameters were sent: the optimizer was built, or stepped, then
LABELS = torch.tensor([0, 1, 2, 0, 1, 2])


def outcomes(infos: Sequence[Any], sent: str, most: int | None) -> Iterator[Outcome]:
    """Of each optimizer, with every one of its forms and schedulers."""
    comparison = Comparison()
    for info in infos:
        name = info.optim_cls.__name__
        if info.only_supports_sparse_grads:
            yield Outcome(name, "outside", "tensors on workers are dense")
            continue
        yield compared(name, list(_comparisons(comparison, info, sent))[:most])


def _comparisons(comparison: Comparison, info: Any, sent: str) -> Iterator[tuple[str, Callable[[], None]]]:
    for each in info.optim_inputs_func(device="cpu"):
        for form in _forms(info):
            # "capturable" is for CUDA graphs, and the CPU refuses it.
            if not each.kwargs.get("capturable"):
                options = {**each.kwargs, **form}
                yield f"{each.desc} {options}", partial(_compare, comparison, info, options, (), sent)
    for make in info.scheduler_inputs:
        options = info.optim_inputs_func(device="cpu")[0].kwargs
        yield f"schedulers of {make}", partial(_compare, comparison, info, options, make, sent)


def _forms(info: Any) -> list[dict[str, bool]]:
    # "differentiable" cannot step leaves, here as little as there.
    forms: list[dict[str, bool]] = [{}]
    if "foreach" in info.supported_impls:
        forms += [{"foreach": True}, {"foreach": False}]
    return [*forms, {"fused": True}] if "fused" in info.supported_impls and "cpu" in info.supports_fused_on else forms


def _compare(comparison: Comparison, info: Any, options: dict[str, Any], schedulers: Any, sent: str) -> None:
    with comparison.settled():
        local, remote = _Training(info, options, schedulers), _Training(info, options, schedulers)
        if sent == "between":
            local.run(2)
            remote.run(2)
        remote.send(comparison, rebuilt=sent == "before")
        local.run(STEPS)
        remote.run(STEPS)
        _check(local, remote)
        for saved in (remote, local):  # a state from over there, and one from here
            state = saved.optimizer.state_dict()
            local.load(copy.deepcopy(local.optimizer.state_dict()))
            remote.load(state if saved is remote else copy.deepcopy(state))
            local.run(2)
            remote.run(2)
            _check(local, remote)


class _Training:
    def __init__(self, info: Any, options: dict[str, Any], schedulers: Any) -> None:
        torch.manual_seed(SEED)
        self._info, self._options, self._make = info, options, schedulers
        # Muon is for matrices alone.
        bias = info.optim_cls.__name__ != "Muon"
        layers = [nn.Linear(4, 5, bias), nn.Tanh(), nn.Linear(5, 3, bias), *([nn.PReLU(3)] if bias else [])]
        self.model = nn.Sequential(*layers).double()
        self._x, self._y = torch.randn(6, 4, dtype=torch.float64), LABELS
        self._build()

    def _build(self) -> None:
        options = {name: copy.deepcopy(value) for name, value in self._options.items()}
        parameters = list(self.model.parameters())
        if self._info.supports_param_groups and len(parameters) > 2:
            self.optimizer = self._info.optim_cls([{"params": parameters[:2]}, {"params": parameters[2:]}], **options)
        else:
            self.optimizer = self._info.optim_cls(parameters, **options)
        self._schedulers = [make(self.optimizer) for make in self._make]

    def send(self, comparison: Comparison, rebuilt: bool) -> None:
        self.model.send(comparison.place)  # type: ignore[attr-defined]  # installed
        self._x, self._y = comparison.send(self._x), comparison.send(self._y)
        if rebuilt:
            self._build()

    def load(self, state: Any) -> None:
        self._build()
        self.optimizer.load_state_dict(state)

    def run(self, steps: int) -> None:
        for _ in range(steps):
            if self._info.step_requires_closure:
                self.optimizer.step(self._loss)
            else:
                self._loss()
                self.optimizer.step()
            for scheduler in self._schedulers:
                scheduler.step(*([1.0] if isinstance(scheduler, lr_scheduler.ReduceLROnPlateau) else []))

    def _loss(self) -> torch.Tensor:
        self.optimizer.zero_grad()
        loss = nn.functional.cross_entropy(self.model(self._x), self._y)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss


def _check(local: _Training, remote: _Training) -> None:
    _same("parameters", dict(local.model.state_dict()), dict(remote.model.state_dict()))
    _same("the optimizer's state", local.optimizer.state_dict(), remote.optimizer.state_dict())


def _same(what: str, here: Any, there: Any) -> None:
    (ours, shape), (theirs, other) = tree_flatten(here), tree_flatten(there)
    if shape != other:
        raise Different(f"{what} are {other} and not {shape}")
    for value, found in zip(ours, theirs, strict=True):
        if not isinstance(value, torch.Tensor):
            if value != found:
                raise Different(f"{what} have {found!r} and not {value!r}")
            continue
        brought = found.copy().get() if isinstance(found, Pointer) else found
        assert_close(brought, value.detach(), rtol=1e-10, atol=1e-10, msg=f"{what} differ: {brought} and {value}")
