"""What decides the outcome of a run: it goes on with the same, or ends with other bits."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import asdict, fields, is_dataclass
from importlib.metadata import version

from fedzmq.federated.ledger.ledger import Term
from fedzmq.federated.strategies.strategy import Strategy
from fedzmq.federated.training_job import TrainingJob
from fedzmq.operations.catalog import CATALOG
from fedzmq.plans.plan import name_of

# Of a job: how long it lasts, who is waited for, and how often it is looked at how good the model is.
_FREE = frozenset({"rounds", "workers", "least", "patience", "evaluate_every"})
# Of these a digest is kept, which no user knows them by.
_DIGESTS = {
    "plan": "the model or its loss",
    "held-out data": "the data to evaluate it on",
    "operations": "the list of operations",
}
_PACKAGES = ("fedzmq", "torch", "numpy")


def terms_of(job: TrainingJob, plan: bytes, strategy: Strategy) -> dict[str, Term]:
    """By the name that a message calls it."""
    free = _FREE if job.round_schedule == "constant" else _FREE - {"rounds"}
    terms: dict[str, Term] = {name: _plain(value) for name, value in asdict(job).items() if name not in free}
    terms["strategy"] = type(strategy).__name__
    if is_dataclass(strategy):
        terms |= {f"strategy.{each.name}": _plain(getattr(strategy, each.name)) for each in fields(strategy)}
    return {**terms, "plan": name_of(plan), **versions()}


def versions() -> dict[str, Term]:
    """What computes: packages, Python, the kind of machine, and the list of operations."""
    packages = {package: version(package) for package in _PACKAGES}
    return {
        **packages,
        "Python": platform.python_version(),
        "machine": platform.machine(),
        "operations": CATALOG.digest(),
    }


def differences(then: Mapping[str, Term], now: Mapping[str, Term]) -> tuple[tuple[str, Term, Term], ...]:
    """What is another one, in a user's words, with what it was and what it is: None for what is known by a digest."""
    changed = [name for name in dict.fromkeys([*then, *now]) if then.get(name) != now.get(name)]
    return tuple(
        (_DIGESTS[name], None, None) if name in _DIGESTS else (name, then.get(name), now.get(name)) for name in changed
    )


def _plain(value: object) -> Term:
    return value if value is None or isinstance(value, str | int | float | bool) else repr(value)
