"""Other names under which torch offers what is listed elsewhere: each is a function object of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, special

SYNONYMS: dict[str, Callable[..., Any]] = {
    # Of functions of torch.
    "torch.arccos": torch.arccos,
    "torch.arccosh": torch.arccosh,
    "torch.arcsin": torch.arcsin,
    "torch.arcsinh": torch.arcsinh,
    "torch.arctan": torch.arctan,
    "torch.arctanh": torch.arctanh,
    "torch.arctan2": torch.arctan2,
    "torch.row_stack": torch.row_stack,
    # Of methods.
    "Tensor.arccos": Tensor.arccos,
    "Tensor.arccosh": Tensor.arccosh,
    "Tensor.arcsin": Tensor.arcsin,
    "Tensor.arcsinh": Tensor.arcsinh,
    "Tensor.arctan": Tensor.arctan,
    "Tensor.arctanh": Tensor.arctanh,
    "Tensor.arctan2": Tensor.arctan2,
    # Of methods in place.
    "Tensor.arccos_": Tensor.arccos_,
    "Tensor.arccosh_": Tensor.arccosh_,
    "Tensor.arcsin_": Tensor.arcsin_,
    "Tensor.arcsinh_": Tensor.arcsinh_,
    "Tensor.arctan_": Tensor.arctan_,
    "Tensor.arctanh_": Tensor.arctanh_,
    "Tensor.arctan2_": Tensor.arctan2_,
    # Of functions of torch, under their names in SciPy.
    "special.digamma": special.digamma,
    "special.erf": special.erf,
    "special.erfc": special.erfc,
    "special.erfinv": special.erfinv,
    "special.exp2": special.exp2,
    "special.expit": special.expit,
    "special.expm1": special.expm1,
    "special.gammainc": special.gammainc,
    "special.gammaincc": special.gammaincc,
    "special.gammaln": special.gammaln,
    "special.i0": special.i0,
    "special.log1p": special.log1p,
    "special.log_softmax": special.log_softmax,
    "special.logit": special.logit,
    "special.logsumexp": special.logsumexp,
    "special.multigammaln": special.multigammaln,
    "special.polygamma": special.polygamma,
    "special.psi": special.psi,
    "special.round": special.round,
    "special.sinc": special.sinc,
    "special.softmax": special.softmax,
    "special.xlogy": special.xlogy,
}
