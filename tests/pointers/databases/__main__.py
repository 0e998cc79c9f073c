"""`python -m tests.pointers.databases`, or bin/opinfo: all databases in full, or what is chosen of them."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from tests.pointers.databases import derivatives, lists, mistakes, modules, operations, optimizers, outs, references
from tests.pointers.databases.outcome import Run, table

FLOATS = ("float32", "float64", "float16", "bfloat16", "complex64", "complex128")
DTYPES = (*FLOATS, "int8", "int16", "int32", "int64", "uint8", "bool", "complex32", "uint16", "uint32", "uint64")
DATABASES = ("operations", "lists", "references", "derivatives", "mistakes", "out", "modules", "optimizers")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="opinfo", description=__doc__)
    parser.add_argument("--of", action="append", choices=DATABASES, help="a database; all by default")
    parser.add_argument("--dtype", action="append", choices=DTYPES, help="of the samples; all by default")
    parser.add_argument("--form", action="append", choices=list(operations.FORMS), help="of the call; all by default")
    parser.add_argument("--operands", action="append", choices=operations.OPERANDS, help="which are sent; all if not")
    parser.add_argument("--samples", type=int, metavar="N", help="at most so many of each entry")
    parser.add_argument("--name", default="", metavar="PART", help="only entries with this in their name")
    parser.add_argument("--share", default="0/1", metavar="I/N", help="every N-th entry, from the I-th")
    chosen = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    wrong = table(_runs(chosen), lambda line: print(line, flush=True))
    print("What is outside is there for the reasons in tests/pointers/databases/outside.py.")
    return 1 if wrong else 0


def _runs(chosen: Any) -> Iterator[Run]:
    from torch.testing._internal import common_methods_invocations as databases
    from torch.testing._internal.common_methods_invocations import op_db, python_ref_db
    from torch.testing._internal.common_modules import module_db
    from torch.testing._internal.common_optimizers import optim_db

    first, step = map(int, chosen.share.split("/"))
    ops = [op for op in op_db if chosen.name in operations.name_of(op)][first::step]
    infos = [each for each in module_db if chosen.name in each.name][first::step]
    optims = [each for each in optim_db if chosen.name in each.optim_cls.__name__][first::step]
    dtypes = [getattr(torch, name) for name in chosen.dtype or DTYPES]
    floats = [each for each in dtypes if each in (torch.float32, torch.float64)]
    wanted, most = chosen.of or DATABASES, chosen.samples
    if "operations" in wanted:
        for dtype in dtypes:
            for form in chosen.form or operations.FORMS:
                for operands in chosen.operands or operations.OPERANDS:
                    label = f"{_name(dtype)}, {form}, operands {operands}"
                    yield Run(label, operations.outcomes(ops, dtype, form, operands, True, most))
    if "lists" in wanted:
        kinds = ("unary", "binary", "pointwise", "reduce", "other")
        functions = [
            op for kind in kinds for op in getattr(databases, f"foreach_{kind}_op_db") if chosen.name in op.name
        ]
        for dtype in dtypes:
            for form in [each for each in chosen.form or lists.FORMS if each in lists.FORMS]:
                label = f"lists of {_name(dtype)}, {form}"
                yield Run(label, lists.outcomes(functions[first::step], dtype, form, most))
    if "references" in wanted:
        held = [each for each in python_ref_db if chosen.name in operations.name_of(each.torch_opinfo)][first::step]
        for dtype in dtypes:
            yield Run(f"{_name(dtype)}, samples of references", references.outcomes(held, dtype, most))
    if "derivatives" in wanted:
        for name in [each for each in chosen.dtype or ["float64"] if each in FLOATS]:
            for order in derivatives.ORDERS:
                yield Run(f"{name}, {order}", derivatives.outcomes(ops, getattr(torch, name), order, most))
    if "mistakes" in wanted:
        yield Run("mistakes", mistakes.outcomes(ops))
        yield Run("mistakes, of modules", mistakes.of_modules(infos, torch.float32))
        yield Run("mistakes, of optimizers", mistakes.of_optimizers(optims))
    if "out" in wanted:
        for dtype in floats[:1]:
            yield Run(f"{_name(dtype)}, out=", outs.outcomes(ops, dtype, most))
    if "modules" in wanted:
        for dtype in dtypes:
            for training in (True, False):
                for order in modules.ORDERS:
                    label = f"modules, {_name(dtype)}, {'training' if training else 'evaluation'}, {order}"
                    yield Run(label, modules.outcomes(infos, dtype, training, most, order))
    if "optimizers" in wanted:
        for sent in optimizers.SENT:
            yield Run(f"optimizers, sent {sent}", optimizers.outcomes(optims, sent, most))


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


if __name__ == "__main__":
    sys.exit(main())
