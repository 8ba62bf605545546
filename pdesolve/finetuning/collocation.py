"""Evolutions on periodic boxes: Fourier series in space, polynomials of Chebyshev points in time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from pdesolve.errors import InputError
from pdesolve.fields import Coordinates, Field
from pdesolve.finetuning.discrete import TrajectoryEquations
from pdesolve.finetuning.window import Window, along
from pdesolve.geometry import Grid
from pdesolve.integration.fourier import FourierBasis
from pdesolve.integration.spectral import SpectralEvolution
from pdesolve.least_squares.form import available_bytes
from pdesolve.problem import Problem, Value

_GROWTH = 2.0  # of the fastest growing mode over the window, as an exponent


class PeriodicCollocation(TrajectoryEquations):
    """v_t = L v + N(v) at t_1 to t_m for Fourier coefficients v, with v(t_0) = v_0 known: with D the derivative in time
    of polynomials that vanish at t_0,

        v = e^((t - t_0) L) v_0 + w,   r = D w - L w - N(v),   M = D - L,   M^-1 r = w - M^-1 N(v),

    which is the variation of constants: an integral equation of the second kind. The layer in which short waves decay
    is not left to polynomials then. Where L has growing modes, e^(..) is not taken: 1 stands in its place, and L v_0
    beside N. Products obey the 2/3 rule, and along the last axis v_0 too, as in `SpectralSimulator`. The error falls
    exponentially with m where w is smooth in time.

    start: (sample, scalar, *space) at t_0.

    Raises:
        InputError: more memory than there is.
    """

    def __init__(
        self, problem: Problem, grid: Grid, window: Window, start: Tensor, *, values: Mapping[str, Value]
    ) -> None:
        equation = problem.evolution()
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
        self.linear = linear.movedim((1, 2), (-2, -1))  # (sample or 1, *wave, scalar, scalar)
        growth = torch.linalg.eigvals(self.linear).real.amax() * (span[1] - span[0])
        self.exact = bool(growth <= _GROWTH)
        kept = 3 * torch.arange(grid.shape[-1] // 2 + 1, device=start.device) < grid.shape[-1]
        self.first = basis.forward(start) * kept
        self.known = self._flow(window.axis.points[1:].tolist())
        self.pushed = 0.0 if self.exact else self._linear(self.first[:, None])

    def unknowns(self, u: Tensor) -> Tensor:
        return u[:, 1:].flatten(1)

    def fields(self, theta: Tensor) -> Tensor:
        return torch.cat([self.start[:, None], theta.unflatten(-1, self.shape)], 1)

    def error(self, theta: Tensor) -> Tensor:
        u = theta.unflatten(-1, self.shape)
        v = self.basis.forward(u)
        return self.basis.backward(v - self.known - self._solved(self._nonlinear(v) + self.pushed)).flatten(1)

    def residual(self, theta: Tensor) -> Tensor:
        v = self.basis.forward(theta.unflatten(-1, self.shape))
        w = v - self.known
        rows = along(self.window.derivative[:, 1:], w, 1) - self._linear(w) - self._nonlinear(v) - self.pushed
        return self.basis.backward(rows).flatten(1)

    def at(self, u: Tensor, times: Sequence[float]) -> Tensor:
        points = self._flow(self.window.axis.points.tolist())
        w = self.basis.forward(u[:, 1:]) - points[:, 1:]
        w = torch.cat([torch.zeros_like(w[:, :1]), w], 1)
        return self.basis.backward(along(self.window.at(times), w, 1) + self._flow(times))

    def _flow(self, times: Sequence[float]) -> Tensor:
        """e^((t - t_0) L) v_0 (sample, time, scalar, *wave), or v_0 where that grows."""
        if not self.exact:
            return self.first[:, None].expand(-1, len(times), *self.first.shape[1:])
        columns = self.first.movedim(1, -1)[..., None]
        spans = [t - self.window.times[0] for t in times]
        found = [(torch.linalg.matrix_exp(self.linear * span) @ columns)[..., 0].movedim(-1, 1) for span in spans]
        return torch.stack(found, 1)

    def _linear(self, v: Tensor) -> Tensor:
        """L v of (sample, time, scalar, *wave)."""
        return (self.linear[:, None] @ v.movedim(2, -1)[..., None])[..., 0].movedim(-1, 2)

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
