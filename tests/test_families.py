"""Families of problems: draws that do not depend on one another, batches as labelled data."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from pdesolve.catalogue import entries, make_family, make_problem
from pdesolve.data.arrays import Memory
from pdesolve.data.dataset import Dataset, Variable
from pdesolve.equation import Conserving
from pdesolve.errors import InputError
from pdesolve.family import Draws, Family
from pdesolve.fields import Coordinates, absolute, integrate
from pdesolve.problem import Problem
from pdesolve.simulation import described, simulated


def test_a_sample_is_the_same_whatever_is_drawn_beside_it() -> None:
    together, alone = Draws(3, range(10)), Draws(3, [7])
    for draw in (lambda d: d.uniform(1, 2, 3), lambda d: d.normal(5, 3), lambda d: d.integers(0, 9, 4)):
        assert np.array_equal(draw(together)[7], draw(alone)[0])
    assert not np.array_equal(Draws(3, [7]).normal(4), Draws(4, [7]).normal(4))
    with pytest.raises(InputError, match="not negative"):
        Draws(-1, [0])


def test_draws_have_the_distribution_that_they_name() -> None:
    draws = Draws(0, range(50))
    normal, uniform = draws.normal(2000), draws.uniform(-1, 3, 2000)
    assert abs(normal.mean()) < 4 / math.sqrt(normal.size) and abs(normal.std() - 1) < 0.01
    assert uniform.min() > -1 and uniform.max() < 3 and abs(uniform.mean() - 1) < 0.02
    assert set(draws.integers(2, 5, 500).reshape(-1).tolist()) == {2, 3, 4}


def test_a_batch_is_labelled() -> None:
    nu = torch.tensor([0.01, 0.1, 0.2], dtype=torch.float64)
    problem = replace(make_problem("burgers_sine"), values={"viscosity": nu})
    grid = problem.evaluation_set
    data = simulated(problem, {"u": torch.ones(3, *grid.shape)})
    assert data.variables["u"].dims == ("sample", "t", "x") and data.samples == 3
    assert np.array_equal(data.read("viscosity"), nu.numpy())
    assert data.coordinates["x"].axis.periodic and data.attributes["equation"] == "Burgers"
    darcy = make_problem("darcy_2d")
    data = simulated(darcy, {"u": torch.zeros(2, *darcy.evaluation_set.shape)})
    assert data.variables["permeability"].dims == ("x", "y") and data.parameters["source"].dims == ()
    assert set(np.unique(data.read("permeability"))) == {3.0, 12.0}


# settings of a small member of each family: a test of all of them takes a few seconds
SMALL: dict[str, dict[str, object]] = {
    "advection": {"points": 64, "frames": 10},
    "allen_cahn": {"points": 256, "frames": 10},
    "burgers": {"points": 64, "frames": 10, "step": 0.01},
    "burgers_sines": {"points": 128, "frames": 10, "viscosity": 0.1},
    "cahn_hilliard": {"refinement": 1, "frames": 4, "final_time": 5e-5},
    "darcy": {"points": 17, "modes": 8},
    "darcy_pdebench": {"points": 17},
    "darcy_smooth": {"points": 17, "modes": 8},
    "diffusion_reaction_2d": {"points": 16, "frames": 6, "final_time": 1.0},
    "diffusion_sorption": {"points": 64, "frames": 6},
    "elasticity": {"spacing": 0.25, "modes": 2},
    "euler_1d": {"points": 64, "frames": 6, "final_time": 0.2},
    "euler_2d": {"points": 16, "frames": 6, "final_time": 0.2},
    "heat": {"points": 40, "frames": 6},
    "helmholtz": {"points": 17, "modes": 8},
    "korteweg_de_vries": {"points": 64, "frames": 4},
    "kuramoto_sivashinsky": {"points": 128, "frames": 4, "spin_up": 2.0},
    "navier_stokes": {"points": 32, "frames": 3},
    "poisson": {"points": 17, "modes": 8},
    "porous_medium": {"points": 64, "frames": 6, "final_time": 0.2},
    "porous_medium_front": {"points": 41, "frames": 6},
    "reaction_diffusion": {"points": 64, "frames": 10},
    "shallow_water": {"points": 24, "frames": 6},
    "shock_tube": {"points": 64, "frames": 6},
    "stefan": {"points": 41, "frames": 6},
    "wave": {"points": 33, "frames": 10},
}
# largest relative change of a quantity that the equation conserves, where it is not rounding
DRIFT = {"korteweg_de_vries": 1e-6}  # waves that the stored points do not resolve: of u^2 1e-8, of u_x^2 more
NAMES = [entry.name for entry in entries("family")]
every = pytest.mark.parametrize("name", NAMES)


def small(name: str) -> Family:
    assert name in SMALL, f"give {name} settings of a small member in SMALL"
    return make_family(name, SMALL[name])


def solutions(family: Family, draws: Draws) -> list[Dataset]:
    return [family.simulator.simulate(problem) for problem in family.problems(draws)]


@every
def test_samples_are_finite_and_what_they_should_be(name: str) -> None:
    family = small(name)
    for problem in family.sample(2, seed=1):
        data = family.simulator.simulate(problem)
        assert set(data.variables) >= {unknown.name for unknown in problem.equation.unknowns}
        for variable in data.variables:
            assert np.isfinite(data.read(variable)).all(), variable
        defect = family.simulator.defect(problem, data)
        assert defect.shape == (data.samples,) and (defect <= family.tolerance).all(), defect
        wrong = replace(data, variables={v: _spoilt(data, v) for v in data.variables})
        assert (family.simulator.defect(problem, wrong) > family.tolerance).all()


def _spoilt(data: Dataset, name: str) -> Variable:
    """Numbers that are off by a tenth of their size at the end."""
    values = np.array(data.read(name), dtype=float)
    last = (slice(None), -1) if "t" in data.variables[name].dims else (slice(None),)
    values[last] *= 1.1
    return replace(data.variables[name], array=Memory(values))


@every
def test_a_sample_does_not_depend_on_its_batch(name: str) -> None:
    family = small(name)
    together, alone = (solutions(family, Draws(2, numbers)) for numbers in (range(5), [3]))
    for variable in (*alone[0].variables, *alone[0].parameters):
        expected = alone[0].read(variable)
        found = together[0 if len(together) == 1 else 3].read(variable)
        if len(together) == 1 and "sample" in alone[0].variable(variable).dims:
            found = found[3:4]
        assert np.abs(found - expected).max() <= 1e-12 * np.abs(expected).max(), variable


def test_what_an_equation_conserves_is_kept() -> None:
    """On periodic boxes all of it, elsewhere what the problem names, where stored values tell."""
    kept = [name for name in NAMES if any(conserves(problem) for problem in small(name).sample(1))]
    assert {"burgers", "cahn_hilliard", "euler_2d", "navier_stokes", "porous_medium"} <= set(kept)
    for name in kept:
        check_conservation(name)


def conserves(problem: Problem) -> bool:
    equation = problem.equation
    return isinstance(equation, Conserving) and equation.order == 1 and (on_torus(problem) or bool(problem.conserved))


def on_torus(problem: Problem) -> bool:
    return problem.domain.is_box and all(axis.periodic for axis in problem.domain.axes)


def check_conservation(name: str) -> None:
    """Integrals by quadrature of the stored values stay what they are."""
    family = small(name)
    for problem in family.sample(2):
        equation, torus = problem.equation, on_torus(problem)
        assert isinstance(equation, Conserving)
        data = family.simulator.simulate(problem)
        x = Coordinates(data.grid()).at_instant(problem.evaluation.times[0])
        totals: dict[str, list[torch.Tensor]] = {}
        for i in range(data.sizes["t"]):
            found = equation.conserved(problem.state(scalars_at(data, problem, i), x), problem.bind(x), x)
            for quantity in found if torus else problem.conserved:
                density = x.expand(found[quantity])
                totals.setdefault(quantity, []).append(
                    torch.stack([integrate(f).values for f in (density, absolute(density))])
                )
        for quantity, each in totals.items():
            whole, size = torch.stack(each).unbind(1)
            drift = ((whole - whole[0]).abs() / size.amax(0)).max()
            assert drift <= DRIFT.get(name, 1e-12), f"{quantity} of {name} drifts by {drift}"


def scalars_at(data: Dataset, problem: Problem, frame: int) -> dict[str, torch.Tensor]:
    """The scalars (sample, *grid) of a frame."""
    found = {}
    for unknown in problem.equation.unknowns:
        values = torch.as_tensor(data.read(unknown.name, {"t": frame}), dtype=torch.float64)
        parts = values.unbind(1) if unknown.components else [values]
        found |= dict(zip(unknown.scalars, parts, strict=True))
    return found


def test_the_ends_of_axes_are_classified() -> None:
    (tube,) = make_family("shock_tube").sample(1)
    told = [json.loads(described(p)["boundary_conditions"]) for p in (make_problem("burgers_sine"), tube)]
    assert [{side: about["type"] for side, about in ends.items()} for ends in told] == [
        {},
        dict.fromkeys(("x_min", "x_max"), "OPEN"),
    ]
    walls = json.loads(described(make_problem("darcy_2d"))["boundary_conditions"])
    assert walls["y_max"] == {"type": "WALL", "axes": ["y"], "fields": ["u"]} and len(walls) == 4
