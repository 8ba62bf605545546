"""Any equation on a box, one sample at a time: sparse factors of the Jacobian at the guess."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pdesolve.errors import InputError
from pdesolve.finetuning.discrete import TrajectoryEquations
from pdesolve.finetuning.window import Window, along
from pdesolve.geometry import Grid
from pdesolve.integration.elliptic import GridEquations
from pdesolve.integration.factors import factorise
from pdesolve.integration.jacobian import sparse_jacobian
from pdesolve.least_squares.form import available_bytes
from pdesolve.problem import Problem, Value


class SparseEquations(TrajectoryEquations):
    """The residual of an equation by differences of fourth order, Fourier along periodic axes, Chebyshev in time.

    M is the Jacobian at the guess, so that the first step is Newton's. theta are the values that no condition holds,
    those of t_0 left out. guess: (1, [time,] scalar, *space); with a window its first instant is the known state.

    Raises:
        InputError: an equation that nothing fixes the solution of; more memory than there is.
    """

    def __init__(
        self, problem: Problem, grid: Grid, guess: Tensor, *, values: Mapping[str, Value], window: Window | None = None
    ) -> None:
        members = grid.members if window is None else (window.axis, *grid.members)
        self.equations = equations = GridEquations(
            problem, Grid(members, grid.accuracy), values=values, dtype=guess.dtype, device=guess.device
        )
        self.moving = window is not None
        self.window = window or Window((0.0, 1.0), 1)
        free = np.zeros((guess.shape[1 + self.moving], *equations.grid.shape), dtype=bool)
        free.reshape(-1)[equations.free] = True
        if self.moving:
            free[:, 0] = False
        shape, n = " x ".join(map(str, equations.grid.shape)), int(free.sum())
        dense = [m.size for m in equations.grid.members if m.placement in ("periodic", "chebyshev")]
        size = 8 * 12 * n * min(n, math.prod(dense) * (2 * (grid.accuracy + 1) + 1) ** (len(members) - len(dense)))
        if size > available_bytes("cpu"):
            raise InputError(
                f"the Jacobian on {shape} points needs about {size / 1e9:.3g} GB: fine-tune on a coarser grid"
            )
        self.described = f"differences of order {grid.accuracy}, {shape} points"
        self.free = torch.from_numpy(np.flatnonzero(free)).to(guess.device)
        self.start = self._turned(guess)[0]
        theta = self.unknowns(guess)[0]
        self.shape = self.start.shape
        jacobian = sparse_jacobian(equations.residual, self._whole(theta), equations.grid)
        kept = np.flatnonzero(free)
        self.factors = factorise(jacobian.tocsr()[kept][:, kept].tocsc(), problem.name)

    def unknowns(self, u: Tensor) -> Tensor:
        return self._turned(u).flatten(1)[:, self.free]

    def fields(self, theta: Tensor) -> Tensor:
        y = self.equations.obeying(self._whole(theta[0]))[None]
        if self.moving:  # the known state stays as it was given
            y = torch.cat([self.start[None, :, :1], y[:, :, 1:]], 2)
        return self._turned(y)

    def residual(self, theta: Tensor) -> Tensor:
        return self.equations.residual(self._whole(theta[0])).reshape(-1)[self.free][None]

    def error(self, theta: Tensor) -> Tensor:
        return Solved.apply(self.residual(theta)[0], self.factors, "N")[None]

    def at(self, u: Tensor, times: Sequence[float]) -> Tensor:
        return along(self.window.at(times), u, 1)

    def _whole(self, theta: Tensor) -> Tensor:
        return self.start.flatten().index_copy(0, self.free, theta).reshape(self.start.shape)

    def _turned(self, u: Tensor) -> Tensor:
        """Time and scalars exchanged, where there is time."""
        return u.transpose(1, 2) if self.moving else u


class Solved(torch.autograd.Function):
    """A^-1 b of factors, or A^-T b where `side` is "T", for torch.func to any order."""

    @staticmethod
    def forward(right: Tensor, factors: Any, side: str) -> Tensor:
        if not bool(torch.isfinite(right).all()):  # a trial that goes too far
            return torch.full_like(right, torch.nan)
        solved = factors.solve(right.detach().cpu().numpy().astype(float), trans=side)
        return torch.as_tensor(solved, dtype=right.dtype, device=right.device)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        _, ctx.factors, ctx.side = inputs

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return Solved.apply(gradients[0], ctx.factors, "N" if ctx.side == "T" else "T"), None, None
