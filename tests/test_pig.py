"""Physics-informed Gaussians: the layer and its closed forms, the method, its bad inputs."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from torch import Tensor, nn

import pdesolve as ps
from pdesolve import make_problem
from pdesolve.cli import main
from pdesolve.errors import InputError
from pdesolve.fields.jets import Jet
from pdesolve.fields.propagation import differentiated, propagate
from pdesolve.geometry import Axis, Box
from pdesolve.least_squares.footprint import measured
from pdesolve.least_squares.modular import Modular
from pdesolve.metrics import relative_l2
from pdesolve.nn import Basis, Covariance, NetworkSolution, PeriodicEmbedding, RadialBasis, Widths
from pdesolve.nn.radial import drawn, radial_units
from pdesolve.nn.rotations import rotation
from pdesolve.physics.collocation.task import unequal
from pdesolve.physics.solvers.pig.method import Pig
from pdesolve.physics.solvers.pig.seeding import bases, clusters, contributions, place, reseed
from pdesolve.plotting import ellipses, recorded_motion
from pdesolve.training.budget import Budget
from pdesolve.training.run import Run

SMALL = Pig(gaussians=10, channels=2, centres="own", hidden=6, collocation=200, condition_points=40)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def layer(axes: int, covariance: Covariance = "diagonal", basis: Basis = "gaussian", *, shared: bool) -> RadialBasis:
    """A layer of two outputs whose functions have all widths and turns."""
    some = drawn(axes, 2, count=9, width=0.4, shared=shared, covariance=covariance, basis=basis, generator=generator())
    with torch.no_grad():
        for p in some.parameters():
            p.add_(0.3 * torch.randn(p.shape, dtype=p.dtype, generator=generator(1)))
    return some


def points(axes: int, count: int = 12) -> Tensor:
    return 2 * torch.rand(count, axes, dtype=torch.float64, generator=generator(2)) - 1


def wanted(axes: int) -> list[tuple[int, ...]]:
    """Second derivatives along each axis, and one mixed."""
    along = [tuple(2 if i == k else 0 for k in range(axes)) for i in range(axes)]
    return along + ([tuple(1 if k < 2 else 0 for k in range(axes))] if axes > 1 else [])


def same(found: Jet, expected: Jet, tolerance: float = 1e-12) -> None:
    for index in expected.indices:
        a, b = found.partial(index), expected.partial(index)
        assert a is not None and b is not None
        assert float((a - b).detach().abs().max()) <= tolerance * float(b.detach().abs().max()), index


@pytest.mark.parametrize("axes", [1, 2, 3, 4])
@pytest.mark.parametrize("covariance", get_args(Covariance))
@pytest.mark.parametrize("shared", [True, False])
def test_partials_in_closed_form_are_those_of_autograd(axes: int, covariance: Covariance, shared: bool) -> None:
    some, jet = layer(axes, covariance, shared=shared), Jet.of_points(points(axes), wanted(axes))
    same(propagate(some, jet), differentiated(some, jet))


@pytest.mark.parametrize("basis", get_args(Basis))
def test_every_basis_has_its_partials_up_to_the_fourth_order(basis: Basis) -> None:
    jet = Jet.of_points(points(2), [(0, 4), (2, 2), (3, 0)])
    for some in (layer(2, "full", basis, shared=False), radial_units((3.0, 2.0), 7, basis, generator())):
        same(propagate(some, jet), differentiated(some, jet), 1e-10)


def test_partials_behind_a_periodic_embedding_follow_the_chain_rule(circle: PeriodicEmbedding) -> None:
    module = nn.Sequential(circle, layer(3, shared=False))
    jet = Jet.of_points(points(2), [(1, 0), (0, 2)])
    same(propagate(module, jet), differentiated(module, jet))


@pytest.fixture
def circle() -> PeriodicEmbedding:
    return PeriodicEmbedding(make_problem("allen_cahn").axes, 1)


def test_partials_are_those_of_central_differences() -> None:
    some, x, h = layer(2, "full", shared=False), points(2), 1e-4
    jet = propagate(some, Jet.of_points(x, [(2, 0), (0, 1)]))
    with torch.no_grad():
        right, left = some(x + torch.tensor([h, 0.0])), some(x - torch.tensor([h, 0.0]))
        up, down = some(x + torch.tensor([0.0, h])), some(x - torch.tensor([0.0, h]))
        second = (right - 2 * some(x) + left) / h**2
    bend, slope = jet.partial((2, 0)), jet.partial((0, 1))
    assert bend is not None and slope is not None
    torch.testing.assert_close(bend.detach(), second, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(slope.detach(), (up - down) / (2 * h), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("covariance", get_args(Covariance))
@pytest.mark.parametrize(("shared", "basis"), [(True, "gaussian"), (False, "inverse_multiquadric")])
def test_gradients_and_the_jacobian_of_the_tape_are_those_of_autograd(
    covariance: Covariance, shared: bool, basis: Basis
) -> None:
    some = nn.Sequential(layer(2, covariance, basis, shared=shared), nn.Linear(2, 1, dtype=torch.float64))
    jet = Jet.of_points(points(2), wanted(2))

    def rows(found: Jet) -> Tensor:
        return (sum((k + 1) * c for k, c in enumerate(found.channels)) * found.channels[0]).mT  # type: ignore[union-attr]

    objective = Modular(some, lambda: {"r": rows(propagate(some, jet))})
    jacobian = objective.linearise(objective.theta()).jacobian
    assert objective.pointwise, "the tape's Jacobian was not taken"
    w = torch.randn(12, dtype=torch.float64, generator=generator())
    parameters = list(some.parameters())
    gradients = [
        torch.cat([g.flatten() for g in torch.autograd.grad(rows(how(some, jet))[0] @ w, parameters)])
        for how in (propagate, differentiated)
    ]
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-11, atol=1e-11)
    torch.testing.assert_close(jacobian.transposed(w), gradients[1], rtol=1e-11, atol=1e-11)


def test_an_evaluation_holds_no_more_than_a_chunk() -> None:
    some, x = drawn(2, 4, count=200, width=0.2, shared=False, generator=generator()), points(2, 4000)
    jet = Jet.of_points(x, wanted(2))

    def gradient() -> Any:
        return torch.autograd.grad(propagate(some, jet).values.square().sum(), list(some.parameters()))

    _, footprint = measured(gradient)
    assert footprint.peak < 4000 * 800 * 8, "one tensor of points times functions would be more"


@pytest.mark.parametrize("axes", [2, 3, 4])
def test_rotations_are_rotations(axes: int) -> None:
    numbers = {2: 2, 3: 4, 4: 8}[axes]
    turn = rotation(torch.randn(5, numbers, dtype=torch.float64, generator=generator()), axes)
    torch.testing.assert_close(turn @ turn.mT, torch.eye(axes, dtype=torch.float64).expand(5, -1, -1))
    assert bool((torch.linalg.det(turn) > 0.999).all())


def test_widths_stay_above_zero_whatever_a_step_does_and_raw_ones_may_not() -> None:
    size: dict[str, Any] = {"count": 3, "width": 0.3, "shared": True}
    safe, raw = (drawn(1, 1, widths=w, generator=generator(), **size) for w in get_args(Widths))
    torch.testing.assert_close(safe(points(1)), raw(points(1)))
    for some in (safe, raw):
        with torch.no_grad():
            some.sizes.sub_(5.0)
    assert bool((safe.deviations() > 0).all()) and bool((raw.sizes < 0).all())


def test_functions_that_do_nothing_go_where_the_residual_is() -> None:
    some = layer(2, shared=False)
    with torch.no_grad():
        some.weights[0, 3] = 0.0
    module, x = nn.Sequential(nn.Identity(), some), points(2, 200)
    before = module(x).detach()
    r = torch.zeros(200, dtype=torch.float64)
    r[17] = 1.0
    assert reseed(module, x, lambda: r, part=0.2, generator=generator()) == 1
    torch.testing.assert_close(some.centres[0, 3].detach(), x[17])
    torch.testing.assert_close(module(x).detach(), before)
    assert float(contributions(some, x)[0, 3]) == 0.0


def test_functions_that_the_residual_misses_stay_though_they_add_little() -> None:
    some = layer(2, shared=False)
    with torch.no_grad():
        some.weights[0, 3] = 1e-9
    module, x, before = nn.Sequential(nn.Identity(), some), points(2, 200), some.weights[0, 3].clone()

    def missed() -> torch.Tensor:
        return torch.full((200,), 1.0 if bool(some.weights[0, 3].any()) else 2.0)

    assert reseed(module, x, missed, part=0.2, generator=generator()) == 0
    torch.testing.assert_close(some.weights[0, 3], before)


def solved(method: Pig, name: str, steps: int) -> tuple[float, Run]:
    problem = make_problem(name)
    run = Run(budget=Budget.from_now(60), steps=steps, every=0.0)
    solution = method.solve(problem, run)
    x = solution.coordinates(problem.evaluation_set)
    assert problem.exact is not None
    exact = x.expand(problem.exact.formula(problem.bind(x), x)["u"]).values
    return relative_l2(solution.on()["u"], exact), run


def test_it_solves_a_linear_problem_by_fixed_gaussians() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pdesolve.physics.collocation.linear._FIRST", 100)
        patch.setattr("pdesolve.physics.collocation.linear._LARGEST", 200)
        error, _ = solved(Pig(collocation=300), "poisson_2d_sister", 1)
    assert error < 1e-4


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"perceptron": "none", "covariance": "full"},
        {"perceptron": "sine", "centres": "shared", "basis": "sinusoidal"},
        {"basis": "inverse_multiquadric", "placement": "fixed"},
        {"basis": "separable"},
    ],
    ids=str,
)
def test_training_all_of_it_lowers_the_error(changed: dict[str, Any]) -> None:
    method = dataclasses.replace(SMALL, optimiser="levenberg_marquardt", adam_share=0.0, redraw=3, **changed)
    error, run = solved(method, "poisson_2d_sister", 5)
    assert error < 0.9
    assert run.history[-1]["loss"] < 0.7 * run.history[0]["loss"]


def test_gaussians_of_a_run_are_drawn_as_ellipses_and_their_motion_as_an_animation(tmp_path: Path) -> None:
    method = dataclasses.replace(SMALL, redraw=2)
    solution = ps.solve("poisson_2d_sister", method, steps=5, out=tmp_path / "run", threads=1)
    assert (tmp_path / "run" / "figures" / "gaussians.png").exists()
    assert isinstance(solution, NetworkSolution)
    content = ellipses(solution)
    assert content is not None and len(content.centres) == 20, "two channels of ten"
    assert main(["plot", str(tmp_path / "run"), "--gaussians", "--animate"]) == 0
    assert (tmp_path / "run" / "figures" / "gaussians.gif").exists()
    frames = sorted((tmp_path / "run" / "motion").glob("*.pt"))
    assert len(frames) == 3, "points are drawn at the steps 0, 2 and 4"
    first, last = (torch.load(path, weights_only=True)["layer"]["centres"] for path in (frames[0], frames[-1]))
    assert float((first - last).abs().max()) > 0.01


def test_a_nonlinear_periodic_problem_is_trained_and_a_run_without_motion_says_so(tmp_path: Path) -> None:
    run = Run(budget=Budget.from_now(60), steps=5, every=0.0)
    solution = SMALL.solve(make_problem("burgers_sine"), run)
    assert isinstance(solution, NetworkSolution) and run.history[-1]["loss"] < 0.9 * run.history[0]["loss"]
    content = ellipses(solution)
    assert content is not None
    inside = [(axis.lower - axis.length, axis.upper + axis.length) for axis in content.axes]
    assert all(low < c < high for centre in content.centres for c, (low, high) in zip(centre, inside, strict=True))
    with pytest.raises(InputError, match="no motion of Gaussians"):
        recorded_motion(solution, tmp_path)


@pytest.mark.parametrize("seeding", ["residual", "gradient"])
def test_gaussians_are_placed_where_weights_are_and_keep_their_features(seeding: str) -> None:
    method = dataclasses.replace(SMALL, gaussians=60, seeding=seeding)
    said: list[str] = []
    run = Run(budget=Budget.from_now(60), steps=1, say=said.append)
    solution = method.solve(make_problem("burgers_shock"), run)
    assert isinstance(solution, NetworkSolution)
    (layer,) = bases(solution.module, 2)  # type: ignore[arg-type]
    assert int(layer.placed) == 1 and any(f"placed by the {seeding}" in line for line in said)
    near = (layer.centres[..., 1].abs() < 0.3).double().mean()
    assert float(near) > 0.35, "0.3 of them would be there if they were even: the shock is at x = 0"


def test_a_resumed_run_goes_on_bit_for_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("solution_figure", "history_figure", "ellipses_figure", "save_figure"):  # most of so short a time
        monkeypatch.setattr(f"pdesolve.plotting.{name}", lambda *_: None)
    method = dataclasses.replace(SMALL, redraw=2, seeding="gradient", seedings=2)
    whole = ps.solve("poisson_2d_sister", method, steps=5, out=tmp_path / "whole", threads=1)
    ps.solve("poisson_2d_sister", method, steps=3, out=tmp_path / "parts", threads=1)
    again = ps.resume(tmp_path / "parts", steps=5)
    cloud = make_problem("poisson_2d_sister").sample(50, "sobol", generator())
    assert torch.equal(again.on(cloud)["u"], whole.on(cloud)["u"])


def test_weighted_clusters_are_where_the_weight_is() -> None:
    x = points(2, 2000)
    weight = torch.where(x[:, 0] > 0.5, 1.0, 1e-6).double()
    centres, spread = clusters(x, weight, 20, generator())
    assert bool((centres[:, 0] > 0.5).all())
    assert bool((spread[:, 0] < 0.2).all()) and bool((spread > 0).all())


def test_placing_keeps_the_features_as_far_as_functions_reach() -> None:
    some, x = drawn(2, 2, count=60, width=0.4, shared=False, generator=generator()), points(2, 1000)
    module = nn.Sequential(nn.Identity(), some)
    before = module(x).detach()
    missed = place(module, x, torch.ones(1000, dtype=torch.float64), generator=generator())
    found = float((module(x) - before).detach().norm() / before.norm())
    assert found == pytest.approx(missed) and missed < 0.05


def test_centres_may_come_from_a_file_that_lies_inside_the_domain(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.csv", tmp_path / "bad.csv"
    rows = torch.rand(10, 2, generator=generator()).tolist()
    good.write_text("y,x\n" + "\n".join(f"{y},{x}" for y, x in rows))
    method = dataclasses.replace(SMALL, seeding=str(good), optimiser="adam", learning_rate=1e-9)
    problem = make_problem("poisson_2d")
    solution = method.solve(problem, Run(budget=Budget.from_now(60), steps=1))
    assert isinstance(solution, NetworkSolution)
    (layer,) = bases(solution.module, 2)  # type: ignore[arg-type]
    expected = 2 * torch.tensor(rows, dtype=torch.float64).flip(1) - 1  # of the unit square
    torch.testing.assert_close(layer.centres.detach(), expected.expand(2, 10, 2), rtol=0, atol=1e-6)
    bad.write_text(good.read_text() + "\n0.5,3.0")
    with pytest.raises(InputError, match="row 12: the centre x = 3 is outside of"):
        dataclasses.replace(method, seeding=str(bad), gaussians=11).solve(problem, Run())
    with pytest.raises(InputError, match="has 10 centres, a channel has 12"):
        dataclasses.replace(method, gaussians=12).solve(problem, Run())


def test_axes_of_very_unequal_length_are_told() -> None:
    problem = make_problem("poisson_2d")
    assert unequal(problem) is None
    wide = dataclasses.replace(problem, domain=Box(Axis("x", 0.0, 2000.0), Axis("y", 0.0, 1.0)))
    assert "x is 2e+03 times as long as y" in (unequal(wide) or "")


@pytest.mark.parametrize(
    ("method", "word"),
    [
        (Pig(gaussians=0), "count"),
        (Pig(gaussian_width=0.0), "width"),
        (Pig(channels=0), "channels"),
        (Pig(reseeding=2.0), "reseeding"),
        (Pig(seeding="middle"), "seeding"),
        (Pig(seedings=0), "seedings"),
        (Pig(chunk_bytes=1000), "--method.chunk_bytes 7680"),
        (Pig(covariance="full"), "diagonal"),
    ],
)
def test_settings_that_cannot_be_are_refused_in_a_line(method: Pig, word: str) -> None:
    problem = make_problem("poisson_nd") if method.covariance == "full" else make_problem("poisson_2d")
    with pytest.raises(InputError, match=word) as caught:
        method.solve(problem, Run())
    assert "\n" not in str(caught.value)
