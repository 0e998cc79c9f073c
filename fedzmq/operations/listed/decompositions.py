"""Matrices taken apart, and what is computed from the parts. Pivots come from the caller, so each use has a guard."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, linalg

DECOMPOSITIONS: dict[str, Callable[..., Any]] = {
    # Into factors.
    "torch.cholesky": torch.cholesky,
    "torch.geqrf": torch.geqrf,
    "torch.lu_unpack": torch.lu_unpack,
    "torch.qr": torch.qr,
    "torch.svd": torch.svd,
    # Into factors of a low rank, by random projections.
    "torch.pca_lowrank": torch.pca_lowrank,
    "torch.svd_lowrank": torch.svd_lowrank,
    # With factors that were computed before.
    "torch.lu_solve": torch.lu_solve,
    "torch.orgqr": torch.orgqr,
    "torch.ormqr": torch.ormqr,
    "torch.triangular_solve": torch.triangular_solve,
    # Norms and products of whole matrices.
    "torch.chain_matmul": torch.chain_matmul,
    "torch.frobenius_norm": torch.frobenius_norm,
    "torch.nuclear_norm": torch.nuclear_norm,
    "torch.norm_except_dim": torch.norm_except_dim,
    "torch.renorm": torch.renorm,
    # torch.lu is this function; its result depends on its flags.
    "torch.functional.lu": torch.functional.lu,
    # The same as methods.
    "Tensor.cholesky": Tensor.cholesky,
    "Tensor.geqrf": Tensor.geqrf,
    "Tensor.lu": Tensor.lu,
    "Tensor.lu_solve": Tensor.lu_solve,
    "Tensor.orgqr": Tensor.orgqr,
    "Tensor.ormqr": Tensor.ormqr,
    "Tensor.qr": Tensor.qr,
    "Tensor.svd": Tensor.svd,
    "Tensor.triangular_solve": Tensor.triangular_solve,
    # The newer forms.
    "linalg.householder_product": linalg.householder_product,
    "linalg.ldl_factor": linalg.ldl_factor,
    "linalg.ldl_factor_ex": linalg.ldl_factor_ex,
    "linalg.ldl_solve": linalg.ldl_solve,
    "linalg.lu_solve": linalg.lu_solve,
}
