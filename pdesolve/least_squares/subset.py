"""An objective in some of its parameters, the others held as they are."""

from __future__ import annotations

from torch import Tensor

from pdesolve.least_squares.jacobian import Dense
from pdesolve.least_squares.objective import Linearisation, Objective


class Subset(Objective):
    """The loss as a function of theta[index] (parameter of the subset,) around a whole theta (parameter,).

    Solves cost rows times the square of the subset. A subset drawn anew for each step moves all parameters in time.
    """

    def __init__(self, whole: Objective, theta: Tensor, index: Tensor) -> None:
        self.whole, self.theta, self.index = whole, theta, index

    def full(self, part: Tensor) -> Tensor:
        """The whole theta with these values of the subset."""
        return self.theta.index_copy(-1, self.index, part)

    def loss(self, theta: Tensor) -> Tensor:
        return self.whole.loss(self.full(theta))

    def values(self, theta: Tensor) -> Tensor:
        return self.whole.values(self.full(theta))

    def linearise(self, theta: Tensor) -> Linearisation:
        here = self.whole.linearise(self.full(theta))
        columns = Dense(here.jacobian.columns(self.index))
        return Linearisation(here.loss, here.gradient[..., self.index], columns, here.residual)
