"""Evolutions on periodic boxes: Fourier series in space, polynomials of Chebyshev points in time."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from pdesolve.errors import InputError
from pdesolve.fields import Coordinates, Field
from pdesolve.finetuning.discrete import DiscreteEquations
from pdesolve.finetuning.window import Window, along
from pdesolve.geometry import Grid
from pdesolve.integration.fourier import FourierBasis
from pdesolve.integration.spectral import SpectralEvolution
from pdesolve.least_squares.form import available_bytes
from pdesolve.problem import Problem, Value


class PeriodicCollocation(DiscreteEquations):
    """v_t = L v + N(v) at t_1 to t_m for Fourier coefficients v, with v(t_0) known: with D the derivative in time,

        r = D v + D_0 v_0 - L v - N(v),   M = D - L,   M^-1 r = v - M^-1 (N(v) - D_0 v_0),

    which is the variation of constants: an integral equation of the second kind. Products are dealiased by the 2/3
    rule. The error falls exponentially with m where the solution is smooth in time.

    start: (sample, scalar, *space) at t_0.

    Raises:
        InputError: evolutions of second order or with algebraic unknowns; more memory than there is.
    """

    def __init__(
        self, problem: Problem, grid: Grid, window: Window, start: Tensor, *, values: Mapping[str, Value]
    ) -> None:
        equation = problem.evolution()
        if equation.order != 1 or any(unknown.algebraic for unknown in equation.unknowns):
            raise InputError(
                f"{problem.name} cannot be fine-tuned: {type(equation).__name__} is of second order in time or has "
                "unknowns without a rate, whose first values data do not hold"
            )
        self.window, self.start, m = window, start, window.count
        self.basis = basis = FourierBasis(grid, dtype=start.dtype, device=start.device)
        self.dimension, self.shape = basis.dimension, (m, *start.shape[1:])
        self.described = f"Fourier series of {' x '.join(map(str, grid.shape))} points, {m} points in time"
        span = (window.times[0], window.times[-1])

        def system(repeats: int) -> SpectralEvolution:
            def bind(x: Coordinates) -> dict[str, Field]:
                return {n: _repeated(f, repeats) for n, f in problem.bind(x, values).items()}

            return SpectralEvolution(equation, basis, bind, time=span)

        self.system = system(1)
        if self.system.autonomous:
            self.system = system(m)
        linear = self.system.linear.detach()
        batched = linear.ndim > self.dimension + 2
        linear = linear[:: m if self.system.autonomous else 1] if batched else linear[None]
        size = 3 * linear.shape[0] * linear[0, 0, 0].numel() * (m * start.shape[1]) ** 2 * 16
        if size > available_bytes(start.device):
            raise InputError(
                f"{m} points in time on {' x '.join(map(str, grid.shape))} points need {size / 1e9:.3g} GB: fine-tune "
                "fewer frames or write a coarser tolerance"
            )
        self.inverse = self._inverse(linear)
        v0 = basis.forward(start)
        first = window.derivative[:, 0].to(start)
        # (sample, m, scalar, *wave): what the known state adds to the rows
        self.known = first.reshape(-1, *[1] * (self.dimension + 1)) * v0[:, None]

    def unknowns(self, u: Tensor) -> Tensor:
        return u[:, 1:].flatten(1)

    def fields(self, theta: Tensor) -> Tensor:
        return torch.cat([self.start[:, None], theta.unflatten(-1, self.shape)], 1)

    def error(self, theta: Tensor) -> Tensor:
        u = theta.unflatten(-1, self.shape)
        right = self._nonlinear(self.basis.forward(u)) - self.known
        return (u - self.basis.backward(self._solved(right))).flatten(-len(self.shape))

    def residual(self, theta: Tensor) -> Tensor:
        v = self.basis.forward(theta.unflatten(-1, self.shape))
        inner = along(self.window.derivative[:, 1:], v, 1)
        linear = self.system.apply(v.flatten(0, 1)) if self.system.autonomous else self._apply(v)
        rows = inner + self.known - linear.reshape(v.shape) - self._nonlinear(v)
        return self.basis.backward(rows).flatten(-len(self.shape))

    def _apply(self, v: Tensor) -> Tensor:
        return torch.stack([self.system.apply(part) for part in v.unbind(1)], 1)

    def _nonlinear(self, v: Tensor) -> Tensor:
        if self.system.autonomous:
            return self.system.nonlinear(v.flatten(0, 1), self.window.times[0]).reshape(v.shape)
        times = self.window.axis.points[1:].tolist()
        return torch.stack([self.system.nonlinear(v[:, i], t) for i, t in enumerate(times)], 1)

    def _inverse(self, linear: Tensor) -> Tensor:
        """M^-1 (sample or 1, *wave, m scalar, m scalar) of L (sample or 1, scalar, scalar, *wave)."""
        blocks = linear.movedim((1, 2), (-2, -1))
        size, m = blocks.shape[-1], self.window.count
        time = self.window.derivative[:, 1:].to(blocks)
        one = torch.eye(m, dtype=blocks.dtype, device=blocks.device)
        eye = torch.eye(size, dtype=blocks.dtype, device=blocks.device)
        whole = torch.einsum("ij,ab->iajb", time, eye) - torch.einsum("ij,...ab->...iajb", one, blocks)
        return torch.linalg.inv(whole.reshape(*blocks.shape[:-2], m * size, m * size))

    def _solved(self, right: Tensor) -> Tensor:
        """M^-1 of rows (sample, m, scalar, *wave)."""
        columns = right.flatten(1, 2).movedim(1, -1)[..., None]
        return (self.inverse @ columns)[..., 0].movedim(-1, 1).unflatten(1, right.shape[1:3])


def _repeated(field: Field, times: int) -> Field:
    """A parameter of each sample once for each point in time."""
    if not field.sample_shape or times == 1:
        return field
    return field.like(field.values.repeat_interleave(times, 0), field.quantity)
