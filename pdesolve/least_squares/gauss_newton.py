"""Gauss-Newton and energy natural gradient: full steps of the linearised problem, shortened by a line search."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from pdesolve.errors import InputError
from pdesolve.least_squares.factor import factorise
from pdesolve.least_squares.form import Form
from pdesolve.least_squares.jacobian import Dense, mean_square_column
from pdesolve.least_squares.objective import Linearisation, Objective
from pdesolve.least_squares.search import backtracking, grid_search
from pdesolve.least_squares.sketch import mixed_rows
from pdesolve.least_squares.spectrum import spectrum
from pdesolve.least_squares.step import Method, State, Step, keep


@dataclass(frozen=True)
class GaussNewton(Method):
    """d = −J⁺ r by truncated singular values of J, then the best step length 2^-k: the last digits of a fit.

    On an `Energy` it is the energy natural gradient d = −(MᵀM)⁺ g of Müller and Zeinhofer (2023, arXiv 2302.13163),
    which for squared residuals of linear equations is the same. Early steps are short (1e-3) for 20 to 30 steps: go on.

    Attributes:
        cut: singular values below cut times the largest count as zero (1e-12 to 1e-8). Without singular values
            (matrix-free) it is the damping √λ over the root mean square of J's columns.
        search: grid tries every 2^-k and takes the least loss; backtracking the first that suffices; none takes d.
        subset: parameters drawn anew for each step, the others stay (Chen et al. 2024, arXiv 2404.10771); 0: all.
        mixed: mixtures that the rows are reduced to by a random sketch, 4 or more for each parameter; 0: all rows.
        seed: of the draws; step k draws with seed + k.
    """

    cut: float = 1e-10
    search: Literal["grid", "backtracking", "none"] = "grid"
    subset: int = 0
    mixed: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.cut < 1 or self.subset < 0 or self.mixed < 0:
            raise InputError(
                f"cut is from 0 to 1, subset and mixed are zero or more, got {self.cut}, {self.subset}, {self.mixed}"
            )

    def start(self, theta: Tensor) -> State:
        return {"count": torch.zeros_like(theta[..., 0])}

    def step(self, objective: Objective, theta: Tensor, state: State, *, form: Form) -> Step:
        here = objective.linearise(theta)
        count = state["count"]
        d, note = self._direction(here, form, self.seed + int(count.max()))
        d = -d
        slope = (here.gradient * d).sum(-1)
        if self.search == "none":
            there = objective.loss(theta + d)
            length = torch.where(torch.isfinite(there), 1.0, 0.0).to(there)
            loss = torch.where(length > 0, there, here.loss)
        elif self.search == "grid":
            length, loss = grid_search(objective, theta, d, here.loss)
        else:
            length, loss = backtracking(objective, theta, d, here.loss, slope)
        moved = length > 0
        new = keep(moved, theta + length[..., None] * d, theta)
        return Step(new, {"count": count + 1}, loss, moved, here.slope, note)

    def _direction(self, here: Linearisation, form: Form, seed: int) -> tuple[Tensor, str]:
        """J⁺ r or (MᵀM)⁺ g, and what the solve noted."""
        jacobian, r, g, index = here.jacobian, here.residual, here.gradient, None
        if self.subset and self.subset < jacobian.parameters:
            generator = torch.Generator().manual_seed(seed)
            index = torch.randperm(jacobian.parameters, generator=generator)[: self.subset].to(g.device)
            jacobian, g = Dense(jacobian.columns(index)), g[..., index]
        if r is not None and self.mixed and self.mixed < jacobian.rows:
            matrix, r = mixed_rows(jacobian.dense(), r, self.mixed, seed=seed)
            jacobian = Dense(matrix)
        right = g.new_zeros(*g.shape[:-1], jacobian.rows) if r is None else r
        if form.kind == "matrix_free" and not isinstance(jacobian, Dense):
            damping = self.cut**2 * mean_square_column(jacobian, right)
            factor = factorise(jacobian, right, form)
            d = factor.solve(damping) if r is not None else factor.normal(g, damping)
            note = factor.note
        else:
            dense = isinstance(jacobian, Dense) and jacobian is not here.jacobian
            values = spectrum(jacobian, right, _dense(form) if dense else form, cut=self.cut)
            d = values.solve() if r is not None else values.normal(g)
            note = values.note
        return (d if index is None else torch.zeros_like(here.gradient).index_copy(-1, index, d)), note


def _dense(form: Form) -> Form:
    return Form("dense", form.rows, form.parameters, form.bytes)
