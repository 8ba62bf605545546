"""Projection of a target onto what a network can be: Gauss-Newton in function space, its factors kept while they serve."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pdesolve.errors import Diverged
from pdesolve.least_squares.form import Form, predicted_bytes
from pdesolve.least_squares.modular import Modular
from pdesolve.least_squares.objective import Linearisation
from pdesolve.least_squares.spectrum import Spectrum, spectrum
from pdesolve.physics.solvers.teng.instant import Instant

_SEEN = 0.1  # part of the residual in the tangent space below which nothing is left to gain: half a percent of it
_TRUSTED = 0.9  # of the predicted fall of the squared residual, below which singular values are computed anew
_SHORTER = 10.0  # factor of the cut after a step that was taken back
_ROUNDING = 1e-14  # relative residuals at which a fit is exact


class Projection:
    """θ ← θ − J⁺ r until the tangent space sees nothing more of r = u_θ − target at the quadrature points.

    J⁺ leaves out singular values below `cut` times the largest. It is that of an earlier θ, the `anchor`, for as long as
    the residual falls as it predicts; then d = −V S⁻² Vᵀ Jᵀr with the gradient Jᵀr of now, whose zeros are the right
    ones. A step that raises the residual is taken back; where J⁺ was of this very θ, the next leaves out ten times
    larger singular values.
    """

    def __init__(self, instant: Instant, *, cut: float, repetitions: int) -> None:
        self.instant, self.cut, self.repetitions = instant, cut, repetitions
        self.factorisations = self.rejections = 0
        self._anchor: Tensor | None = None
        self._spectrum: Spectrum | None = None
        self._pointwise: bool | None = None

    def onto(self, target: Tensor, time: float) -> float:
        """Move the network onto a target (scalar, point) at an instant; the relative residual that is left.

        Raises:
            Diverged: a target that is not finite.
        """
        if not bool(torch.isfinite(target).all()):
            raise Diverged(f"the state at t = {time:.6g} is not finite: take more --method.time_steps or a larger cut")
        objective = self._objective(target, time)
        theta = objective.theta()
        here = objective.linearise(theta)
        fresh, cut = False, self.cut
        for _ in range(self.repetitions):
            if self._spectrum is None:
                self._factorise(here, theta)
                fresh, cut = True, self.cut
            assert self._spectrum is not None
            singular, inside = self._spectrum.values, self._spectrum.inside(here.gradient)
            kept = singular > cut * singular[0]
            seen = float(torch.where(kept, inside / singular, 0.0).square().sum())
            square = 2 * float(here.loss)
            if square <= _ROUNDING**2 or (not fresh and seen <= _SEEN**2 * square):
                break
            along = self._spectrum.coefficients if fresh else inside / singular
            step = self._spectrum.outward(torch.where(kept, along / singular, 0.0))
            there = _linearised(objective, theta - step)
            fall = square - 2 * float(there.loss) if there is not None else -1.0
            if there is not None and fall > 0:
                theta, here = theta - step, there
                if fall < _TRUSTED * seen:
                    self._spectrum = self._anchor = None
                fresh = False
                continue
            self.rejections += 1
            if fresh:
                cut = _SHORTER * max(cut, float(singular[singular > 0].min() / singular[0]))
            else:
                self._spectrum = self._anchor = None
        objective.put(theta)
        self._pointwise = objective.pointwise
        return float(2 * here.loss) ** 0.5

    def state_dict(self) -> dict[str, Any]:
        """Where J⁺ is from."""
        return {"anchor": self._anchor}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Make J⁺ again where it was; the network is left there."""
        self._anchor = self._spectrum = None
        if state["anchor"] is not None:
            objective = self._objective(self.instant.initial, self.instant.start)
            anchor = state["anchor"].to(self.instant.initial)
            self._factorise(objective.linearise(anchor), anchor)

    def _objective(self, target: Tensor, time: float) -> Modular:
        objective = Modular(self.instant.module, lambda: {"projection": self.instant.rows(target, time)})
        objective.pointwise = self._pointwise
        return objective

    def _factorise(self, here: Linearisation, theta: Tensor) -> None:
        rows, parameters = here.jacobian.rows, here.jacobian.parameters
        form = Form("dense", rows, parameters, predicted_bytes("dense", rows, parameters))
        self._spectrum = spectrum(here.jacobian, here.rows("a projection"), form, cut=self.cut)
        self._anchor = theta.clone()
        self.factorisations += 1


def _linearised(objective: Modular, theta: Tensor) -> Linearisation | None:
    """The linearisation at theta; None where it is not finite."""
    try:
        return objective.linearise(theta)
    except Diverged:
        return None
