"""Elastic bodies: tractions, patch tests, a hole in a plate, scikit-fem, samples on meshes of their own."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from pdesolve.catalogue import make_family
from pdesolve.condition import Dirichlet, Traction
from pdesolve.data.arrays import Memory
from pdesolve.data.dataset import Dataset
from pdesolve.datasets.joining import joined
from pdesolve.errors import InputError
from pdesolve.evaluating import residual_rows
from pdesolve.family import Draws
from pdesolve.fields import Coordinates, Vector
from pdesolve.geometry import Axis, Box, Mesh, MeshDomain, PiercedBox, PointCloud, Star, triangulate
from pdesolve.integration.elastic import ElasticSimulator
from pdesolve.integration.elements import Elements
from pdesolve.integration.galerkin import newton
from pdesolve.integration.weak import WeakForm
from pdesolve.physics.equations.linear_elasticity import LinearElasticity
from pdesolve.physics.equations.poisson import Poisson
from pdesolve.physics.families.elasticity import Elasticity
from pdesolve.physics.problems import elastic_plate
from pdesolve.physics.solvers.reference.method import Reference
from pdesolve.problem import Evaluation, Exact, Problem
from pdesolve.proof import violations
from pdesolve.training.budget import Budget
from pdesolve.training.run import Run

SQUARE = Box(Axis("x", 0.0, 1.0), Axis("y", 0.0, 1.0))
NU, MU = 0.3, 1.0 / 2.6
LAME = {"first_lame": 2 * MU * NU / (1 - 2 * NU), "shear_modulus": MU}


def body(domain: Any, *conditions: Any, points: int = 9) -> Problem:
    return Problem("body", LinearElasticity(), domain, conditions, values=LAME, evaluation=Evaluation(points))


def bent(k: float) -> tuple[Any, Any]:
    """sigma_xx = 1 + k (y - 1/2) and no other stress in the plane: stretched, and bent for k > 0.

    With the modulus E' = E / (1 - n^2) and ratio n' = n / (1 - n) of plane strain, u_x = (x + k x (y - 1/2)) / E' and
    u_y = -(n' (y + k (y - 1/2)^2 / 2) + k x^2 / 2) / E'.
    """
    modulus, ratio = 1 / (1 - NU**2), NU / (1 - NU)

    def displacement(p: Any, x: Any) -> Vector:
        h = x["y"] - 0.5
        down = ratio * (x["y"] + 0.5 * k * h**2) + 0.5 * k * x["x"] ** 2
        return Vector({"x": (x["x"] + k * x["x"] * h) / modulus, "y": -1.0 * down / modulus})

    def pull(p: Any, x: Any) -> Vector:
        return Vector({"x": 1.0 + k * (x["y"] - 0.5), "y": 0.0 * x["y"]})

    return displacement, pull


@pytest.mark.parametrize("k", [0.0, 3.0])
def test_a_stretched_and_bent_square_is_exact(k: float) -> None:
    displacement, pull = bent(k)
    problem = body(
        SQUARE, Dirichlet("displacement", "x_min", displacement), Traction("displacement", "x_max", pull),
        Traction("displacement", ("y_min", "y_max"), 0.0),
    )  # fmt: skip
    simulator = ElasticSimulator(0.3)
    data = simulator.simulate(problem)
    (mesh,) = data.meshes
    assert isinstance(mesh, Mesh)
    x = Coordinates(PointCloud(SQUARE.axes, mesh.points))
    truth = displacement({}, x)
    found = data.read("displacement")
    for i, name in enumerate(("x", "y")):
        assert np.abs(found[i] - truth[name].values.detach().numpy()).max() < 1e-12
    along = 1 + k * (mesh.points[:, 1] - 0.5).numpy()
    assert np.abs(data.read("von_mises") - np.abs(along) * math.sqrt(1 - NU + NU**2)).max() < 1e-10
    middle = 1 + k * (mesh.points[mesh.cells].mean(1)[:, 1] - 0.5).numpy()
    assert data.variables["stress"].components == ("xx", "xy", "yy")
    assert np.abs(data.read("stress") - np.stack([middle, 0 * middle, 0 * middle])).max() < 1e-10
    assert simulator.defect(problem, data)[0] < 1e-11


def kirsch_stress(x: Any) -> dict[tuple[str, str], Any]:
    """The stresses of an infinite plate under the tension 1 along x with a free hole of radius 1/2."""
    a, b = x["x"], x["y"]
    square = a**2 + b**2
    s, c2, s2 = 0.25 / square, (a**2 - b**2) / square, 2.0 * a * b / square
    rr = 0.5 * (1.0 - s) + 0.5 * (1.0 - 4.0 * s + 3.0 * s**2) * c2
    tt = 0.5 * (1.0 + s) - 0.5 * (1.0 + 3.0 * s**2) * c2
    rt = -0.5 * (1.0 + 2.0 * s - 3.0 * s**2) * s2
    cc, ss = a**2 / square, b**2 / square
    return {
        ("x", "x"): rr * cc + tt * ss - rt * s2,
        ("y", "y"): rr * ss + tt * cc + rt * s2,
        ("x", "y"): 0.5 * (rr - tt) * s2 + rt * c2,
    }


def test_stress_concentrates_at_a_hole_as_kirsch_found() -> None:
    box = Box(Axis("x", -2.0, 2.0), Axis("y", -2.0, 2.0))
    domain = PiercedBox(box, Star("hole", (0.0, 0.0), (0.5,) * 8, -1))
    plate = elastic_plate.problem()
    exact = plate.conditions[0].value  # type: ignore[attr-defined]

    def side(axis: str) -> Any:
        def pull(p: Any, x: Any) -> Vector:
            stress = kirsch_stress(x)
            return Vector({i: stress[min(i, axis), max(i, axis)] for i in ("x", "y")})

        return pull

    def below(p: Any, x: Any) -> Vector:
        return side("y")(p, x).map(lambda part: -1.0 * part)

    problem = replace(
        body(domain, Dirichlet("displacement")), values=plate.values,
        conditions=(
            Dirichlet("displacement", "x_min", exact), Traction("displacement", "x_max", side("x")),
            Traction("displacement", "y_max", side("y")), Traction("displacement", "y_min", below),
            Traction("displacement", "hole", 0.0),
        ),
    )  # fmt: skip
    errors, peaks = [], []
    for spacing in (0.4, 0.1):
        data = ElasticSimulator(spacing).simulate(problem)
        points = data.meshes[0].points  # type: ignore[attr-defined]
        x = Coordinates(PointCloud(box.axes, points))
        truth = exact(problem.bind(x), x)
        rows = np.stack([truth[i].values.detach().numpy() for i in ("x", "y")])
        errors.append(np.linalg.norm(data.read("displacement") - rows) / np.linalg.norm(rows))
        top = torch.linalg.vector_norm(points - torch.tensor([0.0, 0.5]), dim=1).argmin()
        # uniaxial there: sigma_xx = 3, sigma_zz = n sigma_xx with n = lambda / (2 (lambda + mu)) = 1/4
        peaks.append(abs(data.read("von_mises")[top] / (3 * math.sqrt(1 - 0.25 + 0.25**2)) - 1))
    assert math.log2(errors[0] / errors[1]) / 2 > 2.5 and errors[1] < 5e-5
    assert peaks[1] < 0.01 and peaks[1] < peaks[0] / 5


def test_the_assembly_of_scikit_fem_says_the_same() -> None:
    skfem = pytest.importorskip("skfem", reason="scikit-fem (extra dev) is not installed")
    from skfem.models.elasticity import lame_parameters, linear_elasticity

    family = make_family("elasticity", {"spacing": 0.15})
    (problem,) = family.sample(1, seed=2)
    mesh = triangulate(problem.domain, 0.15)
    ours = newton(WeakForm(replace(problem, domain=MeshDomain(mesh)), Elements.on(mesh)))
    theirs = skfem.MeshTri(mesh.points.numpy().T.copy(), mesh.cells.numpy().T.copy())
    element = skfem.ElementVector(skfem.ElementTriP2())
    basis = skfem.Basis(theirs, element, intorder=5)
    right = skfem.FacetBasis(theirs, element, facets=theirs.facets_satisfying(lambda x: np.isclose(x[0], 1.0)))

    @skfem.LinearForm
    def load(v: Any, w: Any) -> Any:
        return v[0]

    stiffness = linear_elasticity(*lame_parameters(1.0, 0.3)).assemble(basis)
    held = basis.get_dofs(lambda x: np.isclose(x[0], 0.0))
    truth = skfem.solve(*skfem.condense(stiffness, load.assemble(right), D=held))[basis.nodal_dofs]
    n = ours.numel() // 2
    found = torch.stack([ours[: len(mesh.points)], ours[n : n + len(mesh.points)]]).numpy()
    assert np.abs(truth).max() > 0.5 and np.abs(found - truth).max() < 1e-10 * np.abs(truth).max()


def evaluated(elements: Elements, y: Tensor, x: Tensor) -> Tensor:
    cells, at = elements.locate(x)
    return (y[..., elements.cell_nodes(2)[cells]] * elements.shapes(at, 2)).sum(-1)


def test_random_shapes_converge() -> None:
    (problem,) = make_family("elasticity").sample(1)
    fine = ElasticSimulator(0.04)
    elements = fine.form(problem).elements
    truth = fine.simulate(problem)
    errors: dict[str, list[float]] = {"displacement": [], "von_mises": []}
    for spacing in (0.12, 0.06):
        data = ElasticSimulator(spacing).simulate(problem)
        mesh = data.meshes[0]
        assert isinstance(mesh, Mesh)
        for name, found in errors.items():
            expected = evaluated(elements, torch.as_tensor(truth.read(name)), mesh.points)
            square = (torch.as_tensor(data.read(name)) - expected).square() * mesh.weights
            found.append(math.sqrt(float(square.sum() / (expected.square() * mesh.weights).sum())))
    assert errors["displacement"][1] < 1.5e-3 and errors["displacement"][1] < errors["displacement"][0] / 3
    assert errors["von_mises"][1] < 0.03 and errors["von_mises"][1] < errors["von_mises"][0] / 1.8


def test_samples_have_meshes_of_their_own() -> None:
    family = make_family("elasticity", {"spacing": 0.2})
    problems = family.sample(4, seed=3)
    parts = [family.simulator.simulate(problem) for problem in problems]
    data = joined(parts)
    assert data.samples == 4 and len(data.meshes) == 4 and set(data.offsets) == {"node", "cell"}
    for i, part in enumerate(parts):
        mesh = data.meshes[i]
        assert isinstance(mesh, Mesh) and len(mesh.points) == np.diff(data.offsets["node"])[i]
        assert data.read("displacement", {"sample": i}).shape == (2, len(mesh.points))
        assert data.read("stress", {"sample": i}).shape == (3, len(mesh.cells))
        assert np.array_equal(data.read("von_mises", {"sample": i}), part.read("von_mises"))
    assert len({len(mesh.points) for mesh in data.meshes}) > 1  # type: ignore[attr-defined]
    few = data.isel({"sample": [2, 0]})
    assert few.meshes[0] is data.meshes[2]
    assert np.array_equal(few.read("stress", {"sample": 1}), parts[0].read("stress"))
    assert float(data.read("shear_modulus").reshape(-1)[0]) == pytest.approx(MU)


def test_a_body_that_is_not_at_rest_is_seen() -> None:
    family = make_family("elasticity", {"spacing": 0.2})
    (problem,) = family.sample(1)
    data = family.simulator.simulate(problem)
    assert isinstance(data, Dataset) and family.simulator.defect(problem, data)[0] < 1e-11
    wrong = data.read("displacement").copy()
    wrong[0, 40] *= 1.001
    variable = replace(data.variables["displacement"], array=Memory(wrong))
    assert family.simulator.defect(problem, replace(data, variables={"displacement": variable}))[0] > family.tolerance
    coarser = make_family("elasticity", {"spacing": 0.3}).simulator
    with pytest.raises(InputError, match="nodes, not"):
        coarser.defect(problem, data)


def test_shapes_are_those_of_their_settings() -> None:
    (round_,) = make_family("elasticity", {"modes": 0}).sample(1)
    hole = round_.domain.hole  # type: ignore[attr-defined]
    assert max(hole.radii) - min(hole.radii) < 1e-14 and 0.2 < hole.radii[0] < 0.4
    (few,) = make_family("elasticity", {"modes": 2}).sample(1)
    (many,) = make_family("elasticity", {"modes": 4}).sample(1)
    logit = [np.log(0.2 / (np.array(p.domain.hole.radii) - 0.2) - 1) for p in (few, many)]  # type: ignore[attr-defined]
    waves = [np.fft.rfft(g)[:5] for g in logit]
    assert np.allclose(waves[0][:3], waves[1][:3]) and np.abs(waves[0][3:]).max() < 1e-10 < np.abs(waves[1][3:]).min()
    family = make_family("elasticity")
    assert isinstance(family, Elasticity)
    g = np.log(0.2 / (family.radii(Draws(1, range(3000))) - 0.2) - 1)
    k = np.arange(1, 7)
    expected = 16 / 9 / (2 * math.pi) + (16 / (k**2 + 9)).sum() / math.pi
    assert np.abs(g.var(0) / expected - 1).max() < 0.12 and np.abs(g.mean(0)).max() < 4 * (expected / 3000) ** 0.5


# tractions ------------------------------------------------------------------------------------------------------------


def test_a_traction_is_what_the_stress_pulls_with() -> None:
    displacement, pull = bent(2.0)
    problem = body(SQUARE, Dirichlet("displacement", "x_min", displacement), Traction("displacement", "x_max", pull),
                   Traction("displacement", ("y_min", "y_max"), 0.0))  # fmt: skip
    generator = torch.Generator().manual_seed(0)
    for condition in problem.conditions[1:]:
        assert isinstance(condition, Traction)
        x = Coordinates(condition.sample(problem, 12, "sobol", generator))
        rows = condition.residual(problem, lambda x: {"displacement": displacement({}, x)}, x, problem.bind(x))
        assert max(float(rows[i].values.detach().abs().max()) for i in ("x", "y")) < 1e-12
        rows = condition.residual(problem, lambda x: {"displacement": bent(1.0)[0]({}, x)}, x, problem.bind(x))
        assert condition.boundary != "x_max" or float(rows["x"].values.detach().abs().max()) > 0.1


def test_the_reference_holds_tractions_by_elements() -> None:
    displacement, pull = bent(1.0)
    problem = body(SQUARE, Dirichlet("displacement", "x_min", displacement), Traction("displacement", "x_max", pull),
                   Traction("displacement", ("y_min", "y_max"), 0.0))  # fmt: skip
    solution = Reference(cache="none").solve(problem, Run(budget=Budget.from_now(600.0)))
    x = Coordinates(problem.evaluation_set)
    assert solution.notes["scheme"] == "elements"
    truth = x.expand(displacement({}, x)["x"]).values
    assert float((solution.on()["displacement_x"] - truth).abs().max()) < 1e-9
    with pytest.raises(InputError, match="tractions pull at its boundary"):
        Reference(cache="none", scheme="sparse").solve(problem, Run(budget=Budget.from_now(600.0)))


def test_the_residual_of_a_linear_formula_is_known_at_every_point() -> None:
    """Its slopes, and so its tractions and its residual, are numbers without places."""
    displacement, pull = bent(0.0)
    problem = body(SQUARE, Dirichlet("displacement", "x_min", displacement), Traction("displacement", "x_max", pull),
                   Traction("displacement", ("y_min", "y_max"), 0.0))  # fmt: skip
    problem = replace(problem, exact=Exact(lambda p, x: {"displacement": displacement(p, x)}))
    solution = Reference(cache="none").solve(problem, Run(budget=Budget.from_now(600.0)))
    cloud = problem.sample(40, "sobol", torch.Generator().manual_seed(0))
    rows = residual_rows(solution, cloud)
    assert all(row.shape == (40,) and float(row.abs().max()) < 1e-14 for row in rows.values())
    assert max(violations(solution).values()) < 1e-14


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Problem("p", Poisson(), SQUARE, (Traction("u", "x_min"),)), "Poisson has no stress"),
        (lambda: body(SQUARE, Traction("displacement", "side")), "unknown boundary 'side'"),
        (lambda: body(SQUARE, Dirichlet("displacement"), Traction("displacement", "x_max")), "condition at x_max, exp"),
        (lambda: body(SQUARE, Traction("displacement", "all", math.nan)), "not finite"),
        (lambda: make_family("elasticity", {"poisson": 0.5}), "a ratio between -1 and 0.5"),
        (lambda: make_family("elasticity", {"modes": 40}), "0 to 15 waves"),
        (lambda: Star("s", (0.0, 0.0), (1.0, -0.5, 1.0)), "meets its centre"),
        (lambda: PiercedBox(SQUARE, Star("s", (0.5, 0.5), (0.6,) * 4, -1)), "must lie inside of the box"),
        (lambda: PiercedBox(SQUARE, Star("s", (0.5, 0.5), (0.2,) * 4)), "needs side=-1"),
        (lambda: ElasticSimulator(0.2).simulate(Problem("p", Poisson(), SQUARE, (Dirichlet("u"),))), "no elastic body"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(make: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()
