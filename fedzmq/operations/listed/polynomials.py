"""Functions of mathematical physics. The work of a polynomial grows with its degree, which a guard bounds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import special

POLYNOMIALS: dict[str, Callable[..., Any]] = {
    # Bessel functions and their kin.
    "special.airy_ai": special.airy_ai,
    "special.bessel_j0": special.bessel_j0,
    "special.bessel_j1": special.bessel_j1,
    "special.bessel_y0": special.bessel_y0,
    "special.bessel_y1": special.bessel_y1,
    "special.modified_bessel_k0": special.modified_bessel_k0,
    "special.modified_bessel_k1": special.modified_bessel_k1,
    "special.scaled_modified_bessel_k0": special.scaled_modified_bessel_k0,
    "special.scaled_modified_bessel_k1": special.scaled_modified_bessel_k1,
    "special.spherical_bessel_j0": special.spherical_bessel_j0,
    # Orthogonal polynomials, of a point and a degree.
    "special.chebyshev_polynomial_t": special.chebyshev_polynomial_t,
    "special.chebyshev_polynomial_u": special.chebyshev_polynomial_u,
    "special.chebyshev_polynomial_v": special.chebyshev_polynomial_v,
    "special.chebyshev_polynomial_w": special.chebyshev_polynomial_w,
    "special.hermite_polynomial_h": special.hermite_polynomial_h,
    "special.hermite_polynomial_he": special.hermite_polynomial_he,
    "special.laguerre_polynomial_l": special.laguerre_polynomial_l,
    "special.legendre_polynomial_p": special.legendre_polynomial_p,
    "special.shifted_chebyshev_polynomial_t": special.shifted_chebyshev_polynomial_t,
    "special.shifted_chebyshev_polynomial_u": special.shifted_chebyshev_polynomial_u,
    "special.shifted_chebyshev_polynomial_v": special.shifted_chebyshev_polynomial_v,
    "special.shifted_chebyshev_polynomial_w": special.shifted_chebyshev_polynomial_w,
}
