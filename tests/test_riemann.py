"""Exact Riemann problems: published states, what jumps must keep, dry beds, and gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pdesolve.errors import InputError
from pdesolve.integration import riemann

AIR = torch.tensor(1.4, dtype=torch.float64)
G = torch.tensor(1.3, dtype=torch.float64)


def state(*numbers: float) -> tuple[Tensor, ...]:
    return tuple(torch.tensor(float(v), dtype=torch.float64) for v in numbers)


def gas(*numbers: float) -> tuple[Tensor, Tensor, Tensor]:
    rho, v, p = state(*numbers)
    return rho, v, p


def water(*numbers: float) -> tuple[Tensor, Tensor]:
    h, v = state(*numbers)
    return h, v


# left and right (density, velocity, pressure); pressure, velocity and the two densities between the outer waves:
# the five tests of Toro's chapter 4
GASES = {
    "Sod": ((1, 0, 1), (0.125, 0, 0.1), (0.30313, 0.92745, 0.42632, 0.26557)),
    "near vacuum": ((1, -2, 0.4), (1, 2, 0.4), (0.00189, 0.0, 0.02185, 0.02185)),
    "blast to the right": ((1, 0, 1000), (1, 0, 0.01), (460.894, 19.5975, 0.57506, 5.99924)),
    "blast to the left": ((1, 0, 0.01), (1, 0, 100), (46.0950, -6.19633, 5.99242, 0.57511)),
    "collision": ((5.99924, 19.5975, 460.894), (5.99242, -6.19633, 46.0950), (1691.64, 8.68975, 14.2823, 31.0426)),
}
WATERS = {
    "dam": ((1, 0), (0.125, 0)),
    "bores": ((1, 2), (0.5, -1)),
    "rarefactions": ((1, -0.7), (0.5, 0.4)),
    "dry on the right": ((1, 0.2), (0, 0)),
    "dry on the left": ((0, 0), (0.7, -0.4)),
    "parted": ((1, -4), (0.6, 4)),
}


@pytest.mark.parametrize("name", GASES)
def test_gases_have_the_published_states(name) -> None:
    left, right, (p, v, rho_l, rho_r) = GASES[name]
    found = riemann.euler_star(gas(*left), gas(*right), AIR)
    assert float(found[0]) == pytest.approx(p, rel=3e-5, abs=5e-6)
    assert float(found[1]) == pytest.approx(v, rel=3e-5, abs=1e-12)
    beside = found[1] + torch.tensor([-1e-9, 1e-9], dtype=torch.float64)
    density, velocity, pressure = riemann.euler(beside, gas(*left), gas(*right), AIR)
    assert density.tolist() == pytest.approx([rho_l, rho_r], rel=3e-4)
    assert torch.equal(velocity, found[1].expand(2)) and torch.equal(pressure, found[0].expand(2))


def test_the_shock_of_the_tube_runs_where_it_should() -> None:
    left, right, _ = GASES["Sod"]
    s = torch.linspace(1.7, 1.8, 100_001, dtype=torch.float64)
    density, _, _ = riemann.euler(s, gas(*left), gas(*right), AIR)
    assert float(s[density > 0.2].max()) == pytest.approx(1.75216, abs=1e-5)


def balance(s: Tensor, u: Tensor, flux_left: Tensor, flux_right: Tensor) -> Tensor:
    """Of self-similar u (name, s) on [-a, a]: integral - a (u_left + u_right) + F_right - F_left, which is zero."""
    whole = torch.trapezoid(u, s)
    return whole - s[-1] * (u[:, 0] + u[:, -1]) + flux_right - flux_left


@pytest.mark.parametrize("name", GASES)
def test_gases_keep_mass_momentum_and_energy(name) -> None:
    left, right = gas(*GASES[name][0]), gas(*GASES[name][1])
    # beyond the fastest wave, and so fine that a jump between two points costs 1e-5 of it
    a = max(float(abs(v) + 2 * (AIR * p / rho).sqrt()) for rho, v, p in (left, right)) + 1.0
    s = torch.linspace(-a, a, 200_001, dtype=torch.float64)

    def conserved(rho: Tensor, v: Tensor, p: Tensor) -> Tensor:
        return torch.stack([rho, rho * v, p / (AIR - 1) + 0.5 * rho * v**2])

    def flux(rho: Tensor, v: Tensor, p: Tensor) -> Tensor:
        return torch.stack([rho * v, rho * v**2 + p, (p * AIR / (AIR - 1) + 0.5 * rho * v**2) * v])

    u = conserved(*riemann.euler(s, left, right, AIR))
    left_over = balance(s, u, flux(*left), flux(*right)).abs()
    assert bool((left_over < 3e-5 * a * u.abs().amax(1)).all())


@pytest.mark.parametrize("name", WATERS)
def test_waters_keep_mass_and_momentum(name) -> None:
    left, right = water(*WATERS[name][0]), water(*WATERS[name][1])
    s = torch.linspace(-8, 8, 200_001, dtype=torch.float64)
    h, v = riemann.shallow_water(s, left, right, G)
    assert bool((h >= 0).all())

    def flux(h: Tensor, v: Tensor) -> Tensor:
        return torch.stack([h * v, h * v**2 + 0.5 * G * h**2])

    u = torch.stack([h, h * v])
    left_over = balance(s, u, flux(*left), flux(*right)).abs()
    assert bool((left_over < 2e-4 * u.abs().amax(1)).all()), left_over


def test_the_dam_has_the_known_states() -> None:
    one = state(1)[0]
    h, v = riemann.shallow_water_star(water(1, 0), water(0.125, 0), one)
    assert float(h) == pytest.approx(0.42876, abs=5e-6) and float(v) == pytest.approx(0.69041, abs=5e-6)
    assert float(h * v / (h - 0.125)) == pytest.approx(0.97453, abs=5e-6)


def test_a_tongue_runs_over_a_dry_bed() -> None:
    """Ritter's solution: h = (2 c - s)^2 / 9 g between -c and 2 c."""
    c = G.sqrt()
    s = torch.linspace(-3, 4, 701, dtype=torch.float64)
    h, v = riemann.shallow_water(s, water(1, 0), water(0, 0), G)
    truth = ((2 * c - s.clamp(min=-c, max=2 * c)) / 3).square() / G
    torch.testing.assert_close(h, truth, rtol=0, atol=1e-14)
    fan = (s > -c) & (s < 2 * c)
    torch.testing.assert_close(v[fan], 2 * (c + s[fan]) / 3, rtol=0, atol=1e-14)
    mirrored, back = riemann.shallow_water(-s, water(0, 0), water(1, 0), G)
    torch.testing.assert_close(mirrored, h, rtol=0, atol=1e-15)
    torch.testing.assert_close((back * mirrored), -(h * v), rtol=0, atol=1e-14)


def test_a_vacuum_is_refused_in_one_line() -> None:
    with pytest.raises(InputError, match="a vacuum opens") as error:
        riemann.euler_star(gas(1, -10, 0.4), gas(1, 10, 0.4), AIR)
    assert "\n" not in str(error.value)


def test_samples_are_solved_together_and_gradients_are_central_differences() -> None:
    s = torch.linspace(-1.5, 1.9, 35, dtype=torch.float64)

    def tube(ratio: Tensor) -> Tensor:
        return torch.stack(riemann.euler(s, gas(1, 0, 1), gas(0.125, 0, 0.1), ratio))

    def dam(g: Tensor) -> Tensor:
        return torch.stack(riemann.shallow_water(s, water(1, 0), water(0.125, 0), g))

    for solve in (tube, dam):
        numbers = torch.tensor([1.3, 1.6], dtype=torch.float64, requires_grad=True)
        together = solve(numbers[:, None])
        assert together.shape[1:] == (2, 35)
        for i, number in enumerate(numbers.detach()):
            torch.testing.assert_close(together[:, i].detach(), solve(number), rtol=0, atol=1e-14)
        (gradient,) = torch.autograd.grad(together.square().sum(), numbers)
        for i, number in enumerate(numbers.detach()):
            high, low = (float(solve(number + step).square().sum()) for step in (1e-6, -1e-6))
            assert float(gradient[i]) == pytest.approx((high - low) / 2e-6, rel=1e-6)
