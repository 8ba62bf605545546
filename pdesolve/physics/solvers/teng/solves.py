"""The linear least-squares solve of a projection, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

from torch import Tensor

from pdesolve.errors import unknown_name
from pdesolve.least_squares import Form, GaussNewton, LevenbergMarquardt
from pdesolve.least_squares.factor import factorise
from pdesolve.least_squares.form import Kind, predicted_bytes
from pdesolve.least_squares.jacobian import Jacobian
from pdesolve.least_squares.spectrum import spectrum

ProjectionName = Literal["automatic", "qr", "cholesky", "kernel", "svd"]

_KINDS: dict[str, Kind] = {"qr": "dense", "cholesky": "normal", "kernel": "kernel", "svd": "dense"}


@dataclass(frozen=True)
class Solve:
    """A method of steps, and the form of its linear solves. By every method a step that raises the residual is refused.

    qr, cholesky and kernel damp by λ|d|² and bend along the residual's curvature (Levenberg-Marquardt), with factors of
    J, JᵀJ or J Jᵀ. kernel is for hardly more rows than parameters; with many more λ must stay above 1e-10 or so. svd
    leaves singular values out below a cut-off and halves steps until the residual falls.
    """

    method: LevenbergMarquardt | GaussNewton
    kind: Kind

    def form(self, rows: int, parameters: int) -> Form:
        """The form for a system of that size."""
        return Form(self.kind, rows, parameters, predicted_bytes(self.kind, rows, parameters))

    def linear(self, jacobian: Jacobian, r: Tensor, damping: float) -> Callable[[Tensor], Tensor]:
        """w -> argmin |J d − w|² (row,), damped or cut off: J is factorised once. r: the first w that will be asked."""
        form = self.form(jacobian.rows, jacobian.parameters)
        if isinstance(self.method, GaussNewton):
            values = spectrum(jacobian, r, form, cut=self.method.cut)
            return lambda w: values.solve() if w is r else values.normal(jacobian.transposed(w))
        factor, weight = factorise(jacobian, r, form), r.new_tensor(damping)
        return lambda w: factor.solve(weight, None if w is r else w)


def solve(name: str, *, cutoff: float) -> Solve:
    """The solve of that name.

    automatic is qr: measured at 421 to 1729 parameters, QR of J takes as long as the product JᵀJ, and keeps J's own
    condition number.

    Raises:
        InputError: an unknown name.
    """
    if name not in get_args(ProjectionName):
        raise unknown_name("projection", name, get_args(ProjectionName))
    if name == "svd":
        return Solve(GaussNewton(cut=cutoff, search="backtracking"), "dense")
    return Solve(LevenbergMarquardt(), _KINDS["qr" if name == "automatic" else name])
