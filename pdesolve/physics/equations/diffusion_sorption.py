"""The diffusion-sorption equation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from pdesolve.equation import Conserving, Parameter, State, Unknown, Values
from pdesolve.fields import Coordinates, Field, exp, laplacian, log, maximum

_TRACE = 1e-6  # R is infinite at u = 0: PDEBench adds this to u, and so do we


@dataclass(frozen=True)
class DiffusionSorption(Conserving):
    """A solute that diffuses through a porous medium and sticks to its grains, in any number of dimensions,

        u_t = D / R(u) lap u,    R(u) = 1 + (1 - phi) / phi rho k n (u + 1e-6)^(n - 1),

    with Freundlich's isotherm k u^n for what sticks to a kilogram of grains. Sorption retards the diffusion, the more
    the less there is (n < 1): R is 13 at u = 0 with PDEBench's numbers, 3.2 at u = 1, so that u creeps into a clean
    medium as a front. What is kept where nothing leaves is the total, u and what sticks.
    `diffusivity` D >= 0, `porosity` phi, `grain_density` rho, `freundlich_coefficient` k and `freundlich_exponent` n:
    numbers for all space; the defaults on the unit interval are those of PDEBench (Takamoto et al., 2022, arXiv
    2210.07182). The trace of 1e-6 is PDEBench's; negative u counts as none.
    Source: W. Nowak, A. Guthke, Entropy 18 (2016) 409; H. Freundlich, Z. Phys. Chem. 57 (1907) 385.
    """

    unknowns = (Unknown("u", unit="1", long_name="concentration"),)
    parameters = (
        Parameter("diffusivity", unit="m2 s-1", default=5e-4, bounds=(0.0, math.inf)),
        Parameter("porosity", unit="1", default=0.29, bounds=(0.0, 1.0)),
        Parameter("grain_density", unit="kg m-3", default=2880.0, bounds=(0.0, math.inf)),
        Parameter("freundlich_coefficient", unit="m3 kg-1", default=3.5e-4, bounds=(0.0, math.inf)),
        Parameter("freundlich_exponent", unit="1", default=0.874, bounds=(0.0, math.inf)),
    )

    def rate(self, u: State, p: Values, x: Coordinates) -> State:
        v, n = u["u"], p["freundlich_exponent"]
        retardation = 1.0 + _capacity(p) * n * exp((n - 1.0) * log(_present(v)))
        return {"u": p["diffusivity"] * laplacian(v) / retardation}

    def conserved(self, u: State, p: Values, x: Coordinates) -> Mapping[str, Field]:
        return {"mass": u["u"] + _capacity(p) * exp(p["freundlich_exponent"] * log(_present(u["u"])))}


def _capacity(p: Values) -> Field:
    """(1 - phi) / phi rho k: what sticks to the grains around a volume of water at u = 1, to what is in it."""
    return (1.0 / p["porosity"] - 1.0) * p["grain_density"] * p["freundlich_coefficient"]


def _present(u: Field) -> Field:
    return maximum(u, 0.0) + _TRACE
