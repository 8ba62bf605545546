"""Evolutions on elements as systems with a mass matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from scipy.sparse import bmat, csr_array, diags_array, eye_array
from torch import Tensor

from pdesolve.equation import flatten
from pdesolve.fields import Coordinates
from pdesolve.geometry import PointCloud
from pdesolve.integration.galerkin import Fixed
from pdesolve.integration.sdirk import System, integrate
from pdesolve.integration.weak import WeakForm


class Semidiscrete(System):
    """M y_t = R(t, y) for the nodal values; for an evolution of order 2 of u, then of u_t.

    Dirichlet values, and the rows of algebraic unknowns, are equations without mass. A pressure without conditions has
    mean zero and a multiplier, which is the last entry. Where R is linear in y with one matrix for all times, that
    matrix takes the place of the elements.
    """

    def __init__(self, form: WeakForm) -> None:
        self.form, self.name = form, form.problem.name
        fixed = Fixed(form)
        self.free = ~form.held
        means: Any = fixed.means
        self.means = np.zeros((form.size, means.shape[1]))
        self.means[fixed.free] = means
        self.n = form.size
        keep = diags_array(self.free.astype(float))
        inertia = keep @ form.mass()
        if form.order == 2:
            inertia = bmat([[eye_array(self.n), None], [None, inertia]])
        extra = csr_array((self.means.shape[1],) * 2)
        self.mass = csr_array(bmat([[inertia, None], [None, extra]]))
        self.total = self.n * form.order + self.means.shape[1]
        self._known: dict[float, np.ndarray] = {}
        self._matrix: csr_array | None = None
        self._constant: np.ndarray | None = None
        self._scale = 1e-3
        self._inspect()

    def rate(self, t: float, y: np.ndarray) -> np.ndarray:
        if self._matrix is None:
            return self._rate(t, y)
        return self._matrix @ y + (self._offset(t) if self._constant is None else self._constant)

    def jacobian(self, t: float, y: np.ndarray) -> csr_array:
        return self._jacobian(t, y) if self._matrix is None else self._matrix

    def sizes(self, y: np.ndarray) -> np.ndarray:
        """The largest value of each scalar; of the multipliers and of what is zero at the start, one."""
        sizes = np.ones_like(y)
        starts = [b.rows for b in self.form.blocks]
        if self.form.order == 2:
            starts += [slice(self.n + b.start, self.n + b.start + b.size) for b in self.form.blocks]
        for rows in starts:
            sizes[rows] = max(float(np.abs(y[rows]).max()), self._scale)
        return sizes

    def start(self) -> np.ndarray:
        """The initial values at the nodes, those of algebraic unknowns zero."""
        problem = self.form.problem
        y = np.zeros(self.total)
        for block in self.form.blocks:
            cloud = PointCloud(problem.domain.axes, self.form.elements.nodes(block.degree))
            x = Coordinates(cloud, device=self.form.device, gradients=False)
            state = flatten(problem.initial_state(x, self.form.values))
            for name, first in ((block.name, block.start), (block.velocity, self.n + block.start)):
                if name in state:
                    y[first : first + block.size] = x.expand(state[name]).values.detach().cpu().numpy()
        self._scale = max(1e-3 * float(np.abs(y).max()), 1e-12) if y.any() else 1e-3
        return y

    def _rate(self, t: float, y: np.ndarray) -> np.ndarray:
        form, n = self.form, self.n
        u = self._tensor(y[:n])
        v = self._tensor(y[n : 2 * n]) if form.order == 2 else None
        rows = form.residual(u, t, rates=v).cpu().numpy()
        given = form.boundary_values(t).cpu().numpy()
        rows = np.where(self.free, rows, given - y[:n]) + self.means @ y[self.total - self.means.shape[1] :]
        parts = [y[n : 2 * n], rows] if form.order == 2 else [rows]
        return np.concatenate([*parts, self.means.T @ y[:n]])

    def _jacobian(self, t: float, y: np.ndarray) -> csr_array:
        form, n = self.form, self.n
        u = self._tensor(y[:n])
        v = self._tensor(y[n : 2 * n]) if form.order == 2 else None
        by_value, by_rate = form.jacobian(u, t, rates=v)
        keep = diags_array(self.free.astype(float))
        by_value = keep @ by_value - diags_array(form.held.astype(float))
        means = csr_array(self.means) if self.means.shape[1] else None
        columns = None if means is None else means.T
        blocks: list[list[Any]] = [[by_value, means], [columns, None]]
        if form.order == 2:
            blocks = [[None, eye_array(n), None], [by_value, keep @ by_rate, means], [columns, None, None]]
        if means is None:
            blocks = [row[:-1] for row in blocks[:-1]]
        return csr_array(bmat(blocks))

    def _offset(self, t: float) -> np.ndarray:
        if t not in self._known:
            if len(self._known) > 8:
                self._known.clear()
            self._known[t] = self._rate(t, np.zeros(self.total))
        return self._known[t]

    def _inspect(self) -> None:
        """Find out whether R(t, y) = A y + s(t), and whether s is the same at three instants."""
        time = self.form.problem.time
        assert time is not None
        generator = np.random.default_rng(0)
        start = self.start()
        matrix = self._jacobian(time.lower, start)
        offsets = []
        for part, scale in ((0.0, 1.0), (0.31, 3.0), (1.0, 0.5)):
            t = time.lower + part * time.length
            offsets.append(self._rate(t, np.zeros(self.total)))
            y = start + scale * generator.standard_normal(self.total)
            product = matrix @ y
            gap = np.abs(self._rate(t, y) - offsets[-1] - product).max()
            if not gap <= 1e-10 * np.abs(product).max():
                return
        self._matrix = matrix
        if all(np.array_equal(offsets[0], offset) for offset in offsets[1:]):
            self._constant = offsets[0]

    def _tensor(self, y: np.ndarray) -> Tensor:
        return torch.as_tensor(y, dtype=torch.float64, device=self.form.device)


def evolve(form: WeakForm, times: Sequence[float], *, tolerance: float) -> Tensor:
    """The nodal values (time, node of each block) of an evolution.

    Raises:
        Diverged: steps that became too small.
    """
    system = Semidiscrete(form)
    start = system.start()
    states = integrate(system, start, times, tolerance=tolerance)[:, : form.size]
    # conditions hold at the initial time as well, and algebraic unknowns follow from the others
    states[0] = np.where(form.held, form.boundary_values(times[0]).cpu().numpy(), states[0])
    return torch.as_tensor(states, dtype=torch.float64, device=form.device)
