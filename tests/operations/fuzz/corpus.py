"""Good calls of the listed operations, from torch's own samples and beside them: what the fuzzer bends out of shape.

A sample of a module is a call of what its forward calls.
"""

from __future__ import annotations

import random
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any
from unittest.mock import patch

import torch
from torch.overrides import TorchFunctionMode
from torch.testing._internal import common_utils
from torch.testing._internal.common_methods_invocations import foreach_binary_op_db as binary
from torch.testing._internal.common_methods_invocations import foreach_other_op_db as other
from torch.testing._internal.common_methods_invocations import foreach_pointwise_op_db as pointwise
from torch.testing._internal.common_methods_invocations import foreach_reduce_op_db as reduce
from torch.testing._internal.common_methods_invocations import foreach_unary_op_db as unary
from torch.testing._internal.common_methods_invocations import op_db
from torch.testing._internal.common_modules import module_db

from fedzmq.operations.catalog import CATALOG
from tests.operations.fuzz.written import written

Call = tuple[tuple[Any, ...], dict[str, Any]]
_MOST = 24  # calls of one operation
_SAMPLES = 6  # of one entry of a database, dtype and form
_DTYPES = (torch.float32, torch.int64, torch.complex64)
_FORMS = ("op", "method_variant", "operator_variant", "inplace_variant", "inplace_operator_variant")
_PLAIN_CALLS: tuple[Callable[[], tuple[Any, ...]], ...] = (
    lambda: (torch.randn(3, 4),),
    lambda: (torch.randn(3, 4), torch.randn(3, 4)),
    lambda: (torch.randn(3, 4), 2),
    lambda: (4,),
)


def corpus(of: str = "") -> list[list[Call]]:
    """For each number of the catalog some good calls, or those of an operation with the same name elsewhere.

    Those alone that torch's samples of the operations give whose name holds the text `of`.
    """
    torch.manual_seed(0)
    random.seed(0)
    found: dict[int, list[Call]] = defaultdict(list)
    # Torch looks for the test that asks, in the source of all callers and for each sample: that takes minutes.
    with warnings.catch_warnings(), patch.object(common_utils, "extract_test_fn", return_value=None):
        warnings.simplefilter("ignore")
        for function, arguments, keywords in _samples(of):
            with _Noting(found):
                try:
                    function(*arguments, **keywords)
                except Exception:
                    continue
    for name, given, words in written():
        found[CATALOG.number_of(name)].append((given, words))
    by_stem: dict[str, list[Call]] = defaultdict(list)
    for number, calls in found.items():
        by_stem[_stem(CATALOG.names[number])] += calls
    return [
        found[number] or by_stem[_stem(name)][:_MOST] or [(make(), {}) for make in _PLAIN_CALLS]
        for number, name in enumerate(CATALOG.names)
    ]


class _Noting(TorchFunctionMode):
    def __init__(self, found: dict[int, list[Call]]) -> None:
        self._found = found

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        keywords = kwargs or {}
        try:
            number = CATALOG.numbers.get(function)
        except TypeError:
            number = None
        if number is not None and "out" not in keywords:
            calls = self._found[number]
            if len(calls) < _MOST:
                calls.append((_copied(args), _copied(keywords)))
            elif random.random() < 0.2:
                calls[random.randrange(_MOST)] = (_copied(args), _copied(keywords))
        return function(*args, **keywords)


def _samples(of: str) -> Iterator[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]]:
    for op in (*op_db, *unary, *binary, *pointwise, *reduce, *other):
        for dtype in _DTYPES:
            if of not in op.name or dtype not in op.supported_dtypes("cpu"):
                continue
            for form in _FORMS:
                function = getattr(op, form, None)
                if function is None:
                    continue
                for sample in _guarded(islice(_made(op, dtype), _SAMPLES)):
                    yield function, (sample.input, *sample.args), sample.kwargs
    for module in () if of else module_db:
        for training in (True, False):
            arguments = {"device": "cpu", "dtype": torch.float32, "requires_grad": False, "training": training}
            for each in _guarded(islice(iter(module.module_inputs_func(module, **arguments)), _SAMPLES)):
                try:
                    made = module.module_cls(*each.constructor_input.args, **each.constructor_input.kwargs)
                except Exception:
                    continue
                if each.forward_input is not None:
                    yield made.train(training), each.forward_input.args, each.forward_input.kwargs


def _made(op: Any, dtype: torch.dtype) -> Iterator[Any]:
    try:
        made = op.sample_inputs("cpu", dtype, requires_grad=False)
    except TypeError:
        made = op.sample_inputs("cpu", dtype)
    return iter(made)


def _guarded(samples: Iterator[Any]) -> Iterator[Any]:
    while True:
        try:
            yield next(samples)
        except Exception:  # a sample that this build cannot make, or the end
            return


def _copied(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.detach().clone() if type(value) in (torch.Tensor, torch.nn.Parameter) else value
    if type(value) in (list, tuple):
        return type(value)(_copied(item) for item in value)
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    return value


def _stem(name: str) -> str:
    return name.rpartition(".")[2].removesuffix("_copy").rstrip("_").removeprefix("_foreach_")
