"""Quasi-Newton minimisation: known answers."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from pdesolve.least_squares import SelfScaledBroyden
from pdesolve.least_squares.quasi_newton import scaling, updated


def minimise(function, start: list[float], steps: int, **settings) -> tuple[nn.Parameter, SelfScaledBroyden]:
    x = nn.Parameter(torch.tensor(start, dtype=torch.float64))
    optimiser = SelfScaledBroyden([x], **settings)

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        loss = function(x)
        loss.backward()
        return loss

    for _ in range(steps):
        optimiser.step(closure)
    return x, optimiser


def test_rosenbrock() -> None:
    x, optimiser = minimise(lambda x: (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2, [-1.2, 1.0], 4)
    assert torch.allclose(x, torch.ones(2, dtype=torch.float64), atol=1e-8)
    assert optimiser.state[x]["n_iter"] <= 80


def test_a_quadratic_of_condition_number_1e6_needs_about_its_dimension() -> None:
    scales = torch.logspace(0, 6, 12, dtype=torch.float64)
    x, optimiser = minimise(lambda x: (scales * (x - 1).square()).sum() / 2, [0.0] * 12, 4, iterations=20)
    assert torch.allclose(x, torch.ones(12, dtype=torch.float64), atol=1e-7)
    assert optimiser.state[x]["n_iter"] <= 80
    # gradient descent of the same length does not come near
    y = torch.zeros(12, dtype=torch.float64)
    for _ in range(80):
        y = y - scales * (y - 1) / 1e6
    assert float((y - 1).abs().max()) > 0.9


def test_the_update_obeys_the_secant_equation_and_stays_positive() -> None:
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, dtype=torch.float64, generator=generator)

    hessian = torch.diag(torch.logspace(-2, 2, 6, dtype=torch.float64))
    h: torch.Tensor | None = None
    for _ in range(30):
        g = draw(6)
        direction = -g if h is None else -(h @ g)
        s = 0.7 * direction
        y = hessian @ s
        h = updated(h, s, y, g, 0.7)
        assert h is not None
        assert torch.allclose(h @ y, s, rtol=1e-8, atol=1e-10)  # H y = s
        assert torch.allclose(h, h.T, atol=1e-12)
        assert float(torch.linalg.eigvalsh(h).min()) > 0
    # close to the inverse Hessian in every direction, over four decades of curvature
    spectrum = torch.linalg.eigvalsh(hessian.sqrt() @ h @ hessian.sqrt())
    assert float(spectrum.min()) > 0.5 and float(spectrum.max()) < 2.0


def test_pairs_without_curvature_change_nothing() -> None:
    s, y = torch.tensor([1.0, 0.0]), torch.tensor([-1.0, 0.0])
    assert updated(None, s, y, -s, 1.0) is None
    h = torch.eye(2)
    assert torch.equal(updated(h.clone(), s, y, -s, 1.0), h)  # type: ignore[arg-type]


@pytest.mark.parametrize(("h", "b"), [(1.5, 1.0), (0.9, 4.0), (30.0, 0.2), (2.0, 3.0)])
def test_scaling_keeps_the_inverse_hessian_positive(h: float, b: float) -> None:
    phi, tau = scaling(h, b, 50)
    assert tau > 0
    # the update is positive definite for phi above the degenerate value -1/a, written for the inverse
    assert 1 + (h * b - 1) * phi > 0 and math.isfinite(phi)


def test_parallel_steps_are_bfgs() -> None:
    assert scaling(2.0, 0.5, 10) == (1.0, 1.0)


def test_a_minimum_is_left_alone_and_nan_moves_nothing() -> None:
    x, optimiser = minimise(lambda x: x.square().sum(), [0.0, 0.0], 2)
    assert torch.equal(x.detach(), torch.zeros(2, dtype=torch.float64)) and optimiser.state[x]["n_iter"] == 0
    x, _ = minimise(lambda x: x.sum() * math.nan, [1.0], 1)
    assert float(x.detach()) == 1.0


def test_a_function_with_a_wall_of_infinity_is_searched_on_its_finite_side() -> None:
    x, _ = minimise(lambda x: (-torch.log(x) + x).sum(), [0.05], 3)
    assert float(x.detach()) == pytest.approx(1.0, abs=1e-6)


def test_the_function_may_change_between_steps() -> None:
    x = nn.Parameter(torch.zeros(3, dtype=torch.float64))
    optimiser = SelfScaledBroyden([x], iterations=5)
    for target in (1.0, 2.0, -1.0, 3.0):

        def closure(target: float = target) -> torch.Tensor:
            optimiser.zero_grad()
            loss = ((x - target) ** 4).sum() + (x - target).square().sum()
            loss.backward()
            return loss

        for _ in range(4):
            optimiser.step(closure)
        assert torch.allclose(x, torch.full((3,), target, dtype=torch.float64), atol=1e-6)
