"""Families on rings and tori against what is known: exact solutions, the reference solver, orders, distributions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from pdesolve.catalogue import make_family
from pdesolve.condition import InitialValue
from pdesolve.data.dataset import Dataset
from pdesolve.errors import InputError
from pdesolve.family import Draws
from pdesolve.fields import Coordinates, sin
from pdesolve.geometry import Axes, Axis, Grid, Interval, PointCloud
from pdesolve.integration.initial import initial_values
from pdesolve.integration.spectral_simulator import SpectralSimulator
from pdesolve.physics.equations.heat import Heat
from pdesolve.physics.solvers.reference.method import Reference
from pdesolve.problem import Evaluation, Problem
from pdesolve.random_fields import gaussian_batch
from pdesolve.sine_sums import pdebench_sines
from pdesolve.training.budget import Budget
from pdesolve.training.run import Run

RING = Axis("x", -1.0, 1.0, periodic=True)
TORUS = Axes((RING, Axis("y", 0.0, 3.0, periodic=True)))


def simulated(name: str, settings: Mapping[str, Any], n: int = 2) -> tuple[Problem, Dataset]:
    family = make_family(name, settings)
    (problem,) = family.sample(n, seed=4)
    return problem, family.simulator.simulate(problem)


def one(problem: Problem, sample: int) -> Problem:
    """One sample of a batch, as a problem of its own."""
    values = {k: float(v[sample]) if isinstance(v, torch.Tensor) else v for k, v in problem.values.items()}

    def start(condition: Any) -> Any:
        def value(p: Any, x: Coordinates) -> Any:
            field = condition.value(p, x)
            return field.like(field.values[sample], field.quantity)

        return replace(condition, value=value)

    return replace(problem, values=values, conditions=tuple(start(c) for c in problem.conditions))


def by_reference(problem: Problem, **settings: Any) -> np.ndarray:
    solution = Reference(scheme="etdrk4", cache="none", **settings).solve(problem, Run(budget=Budget.from_now(60.0)))
    return solution.on()[problem.equation.scalars[0]].numpy()


# family, settings, its resolution as the reference takes it, steps of the reference, bound
REFERENCES = {
    "burgers": ({"frames": 10}, 512, 800, 2e-6),
    "burgers_sines": ({"points": 256, "frames": 10, "viscosity": 0.1}, 512, 1600, 1e-6),
    "reaction_diffusion": ({"points": 256, "frames": 10}, 512, 800, 2e-5),
    "allen_cahn": ({"frames": 10}, 1024, 400, 1e-5),
    "kuramoto_sivashinsky": ({"frames": 10, "spin_up": 2.0}, 256, 1400, 1e-5),
    "korteweg_de_vries": ({"frames": 10}, 256, 500, 1e-6),
    "navier_stokes": ({"points": 48, "frames": 2}, 48, 64, 1e-7),
}


@pytest.mark.parametrize("name", REFERENCES)
def test_samples_are_what_the_reference_finds(name: str) -> None:
    settings, resolution, steps, bound = REFERENCES[name]
    problem, data = simulated(name, settings)
    truth = by_reference(one(problem, 1), resolution=resolution, steps=steps)
    found = data.read(problem.equation.scalars[0], {"sample": 1})
    gap = np.linalg.norm(found - truth) / np.linalg.norm(truth)
    assert gap < bound, gap


def test_the_first_frame_is_the_initial_state() -> None:
    problem, data = simulated("burgers", {"points": 64, "frames": 2})
    assert isinstance(problem.evaluation_set, Grid)
    start = initial_values(problem, Coordinates(problem.evaluation_set.without("t")))[:, 0]
    assert np.array_equal(data.read("u", {"t": 0}), start.numpy())


def test_waves_and_sines_travel_as_they_should() -> None:
    """Moved by whole points advected sines are the same numbers; waves obey their equation in differences."""
    problem, data = simulated("advection", {"points": 40, "frames": 4, "speed": 0.2}, 40)
    u = data.read("u")
    for i, t in enumerate(problem.evaluation.times):
        moved = np.roll(u[:, 0], round(0.2 * t * 40), axis=1)
        assert np.abs(u[:, i] - moved).max() < 1e-8  # windows end at 2e-9
    problem, data = simulated("wave", {"points": 201, "frames": 400, "highest": 3}, 3)
    u, c = data.read("u"), data.read("speed")
    tt = (u[:, 2:] - 2 * u[:, 1:-1] + u[:, :-2])[:, :, 1:-1] / 0.005**2
    xx = (u[:, :, 2:] - 2 * u[:, :, 1:-1] + u[:, :, :-2])[:, 1:-1] / 0.005**2
    assert np.abs(tt - c[:, None, None] ** 2 * xx).max() < 2e-3 * np.abs(tt).max()
    assert np.abs(u[..., [0, -1]]).max() < 1e-12 and (c > 0.5).all() and (c < 2).all()


def test_a_number_of_a_seed_is_one_function_on_every_grid() -> None:
    for name in ("burgers", "burgers_sines", "reaction_diffusion", "allen_cahn", "kuramoto_sivashinsky"):
        (coarse,), (fine,) = (make_family(name, {"points": n}).sample(2, first=5) for n in (256, 768))
        states = [p.initial_state(Coordinates(p.grid(n)))["u"].values for p, n in ((coarse, 256), (fine, 768))]
        assert float((states[1][:, ::3] - states[0]).abs().max()) < 1e-12, name
    for name in ("navier_stokes", "cahn_hilliard"):
        (coarse,), (fine,) = (make_family(name, {"points": n}).sample(2) for n in (64, 128))
        states = [
            next(iter(p.initial_state(Coordinates(p.grid(n))).values())).values for p, n in ((coarse, 64), (fine, 128))
        ]
        assert float((states[1][:, ::2, ::2] - states[0]).abs().max()) < 1e-12, name


def test_batches_of_gaussian_fields_have_the_variance_of_their_formula() -> None:
    def variance(q: np.ndarray) -> np.ndarray:
        return (1.0 + q) ** -2.0

    fields = gaussian_batch(TORUS, variance, Draws(0, range(400)), modes=3)
    grid = Grid.regular(TORUS, {"x": 10, "y": 9})
    by_fft = fields({}, Coordinates(grid)).values
    k = 2 * math.pi * np.stack(np.meshgrid(np.arange(-3, 4) / 2.0, np.arange(-3, 4) / 3.0, indexing="ij"), -1)
    q = (k**2).sum(-1).reshape(-1)
    assert float(by_fft.square().mean()) == pytest.approx(variance(q[q > 0]).sum(), rel=0.04)
    assert abs(float(by_fft.mean())) < 1e-14
    columns = torch.stack(
        [c.expand(grid.shape).reshape(-1) for c in grid.columns(dtype=torch.float64, device="cpu").values()], 1
    )
    at_points = fields({}, Coordinates(PointCloud(TORUS, columns))).values
    assert float((at_points.reshape(by_fft.shape) - by_fft).abs().max()) < 1e-13
    few = gaussian_batch(TORUS, variance, Draws(0, [7]), modes=3)({}, Coordinates(grid)).values
    assert torch.equal(few[0], by_fft[7])
    coarse = fields({}, Coordinates(Grid.regular(TORUS, {"x": 5, "y": 3}))).values  # waves that it cannot tell apart
    assert float((coarse - by_fft[:, ::2, ::3]).abs().max()) < 1e-13


def test_sums_of_sines_are_those_of_pdebench() -> None:
    found = pdebench_sines(RING, Draws(1, range(2000)))
    assert set(found.waves.reshape(-1)) == {1, 2, 3, 4}
    assert found.folded.mean() == pytest.approx(0.1, abs=0.03) and found.windowed.mean() == pytest.approx(0.1, abs=0.03)
    assert (found.signs[~found.folded] == 1).all() and found.signs[found.folded].mean() == pytest.approx(0, abs=0.3)
    x = Coordinates(Grid.regular(Axes((RING,)), 64))
    u = found({}, x).values.numpy()
    s = np.arange(64) / 64
    i = int(np.flatnonzero(found.folded & ~found.windowed)[0])
    plain = sum(
        a * np.sin(2 * np.pi * n * s + b)
        for a, n, b in zip(found.amplitudes[i], found.waves[i], found.phases[i], strict=True)
    )
    assert np.abs(u[i] - found.signs[i] * np.abs(plain)).max() < 1e-13
    windowed = u[found.windowed]
    assert np.abs(windowed[:, s < 0.05]).max() < 1e-3 < np.abs(windowed[:, (s > 0.46) & (s < 0.54)]).max()
    unit = pdebench_sines(RING, Draws(1, range(50)), unit_range=True)({}, x).values
    assert float(unit.min()) >= 0.0 and float(unit.max()) <= 1.0 and float(unit.amax(1).min()) > 0.9


def test_phases_separate_and_keep_their_amounts() -> None:
    _, data = simulated("cahn_hilliard", {"refinement": 1})
    u = data.read("u")
    assert np.abs(u[:, 0] - 0.26).max() < 0.021 and np.abs(u[:, 0].mean((1, 2)) - 0.26).max() < 0.002
    assert u[:, -1].max() > 0.9 and u[:, -1].min() < -0.8
    assert np.abs(u.mean((2, 3)) - u.mean((2, 3))[:, :1]).max() < 1e-13


@pytest.mark.parametrize(("scheme", "steps"), [("etdrk4", (0.05, 0.025)), ("etdab4", (0.05, 0.025))])
def test_errors_fall_by_sixteen_where_steps_are_halved(scheme: Any, steps: tuple[float, float]) -> None:
    (problem,) = make_family("kuramoto_sivashinsky", {"points": 128, "frames": 2, "spin_up": 4.0}).sample(2)
    fine, *found = (
        SpectralSimulator(h, scheme=scheme).simulate(problem).read("u", {"t": -1}) for h in (0.00625, *steps)
    )
    coarse, halved = (np.abs(u - fine).max() for u in found)
    assert 11 < coarse / halved < 24


def test_computations_on_more_points_are_stored_on_few() -> None:
    problem, data = simulated("burgers_sines", {"points": 64, "frames": 4, "viscosity": 0.05})
    assert make_family("burgers_sines", {"points": 64, "viscosity": 0.05}).simulator == SpectralSimulator(1 / 512, 8)
    fine = make_family("burgers_sines", {"points": 512, "frames": 4, "viscosity": 0.05})
    truth = fine.simulator.simulate(fine.sample(2, seed=4)[0])
    assert np.abs(truth.read("u")[..., ::8] - data.read("u")).max() < 1e-12
    assert data.sizes == {"sample": 2, "t": 5, "x": 64} and problem.evaluation.points == 64


def test_what_cannot_be_judged_is_said() -> None:
    family = make_family("burgers", {"points": 64, "frames": 1})
    (problem,) = family.sample(1)
    last = replace(problem, evaluation=replace(problem.evaluation, times=(1.0,)))
    data = family.simulator.simulate(last)
    assert data.sizes == {"sample": 1, "t": 1, "x": 64}
    with pytest.raises(InputError, match="store two"):
        family.simulator.defect(last, data)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA")
def test_devices_agree() -> None:
    for name in ("burgers", "navier_stokes"):
        family = make_family(name, {"frames": 2})
        (problem,) = family.sample(3)
        ours, theirs = (family.simulator.simulate(problem, device=d) for d in ("cpu", "cuda"))
        for unknown in ours.variables:
            assert np.abs(ours.read(unknown) - theirs.read(unknown)).max() < 1e-9


def test_an_initial_state_that_all_samples_share_is_stored_in_each() -> None:
    rates = torch.tensor([0.1, 0.2], dtype=torch.float64)
    domain, time = Interval("x", 0.0, 2 * np.pi, periodic=True), Axis("t", 0.0, 1.0)
    start = InitialValue("u", lambda p, x: sin(x["x"]))
    problem = Problem("rods", Heat(), domain, (start,), time, {"diffusivity": rates},
                      evaluation=Evaluation.uniform(8, time, 2))  # fmt: skip
    found = SpectralSimulator(0.1).simulate(problem).read("u")
    t, x = np.array([0.0, 0.5, 1.0])[:, None], np.arange(8) * np.pi / 4
    np.testing.assert_allclose(found, np.exp(-rates.numpy()[:, None, None] * t) * np.sin(x), atol=1e-12)
