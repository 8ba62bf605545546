"""Least squares: known answers."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, replace

import pytest
import torch
from torch import Tensor

from pdesolve.errors import Diverged, InputError
from pdesolve.least_squares import (
    AdaptiveEnergy,
    Energy,
    Form,
    Functional,
    GaussNewton,
    LeastSquares,
    LevenbergMarquardt,
    Method,
    Pointwise,
    Spring,
    Thermodynamic,
    choose,
    implicit,
    minimise,
)
from pdesolve.least_squares.factor import factorise
from pdesolve.least_squares.functional import FunctionJacobian
from pdesolve.least_squares.jacobian import Dense, mean_square_column
from pdesolve.least_squares.modular import Modular
from pdesolve.least_squares.sketch import mixed_rows, nystrom
from pdesolve.least_squares.spectrum import spectrum

METHODS = (LevenbergMarquardt(), GaussNewton(), Spring(norm=math.inf), Thermodynamic(), AdaptiveEnergy())


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def form(kind: str, rows: int, parameters: int) -> Form:
    return Form(kind, rows, parameters, 0)  # type: ignore[arg-type]


def rosenbrock(theta: Tensor) -> dict[str, Tensor]:
    x, y = theta[..., :-1], theta[..., 1:]
    return {"wall": 10 * (y - x.square()), "floor": 1 - x}


def linear(theta: Tensor, matrix: Tensor, b: Tensor) -> dict[str, Tensor]:
    return {"fit": (matrix @ theta[..., None])[..., 0] - b}


def test_linear_least_squares_takes_one_step() -> None:
    matrix, b = draw(12, 5), draw(12, seed=1)
    exact = torch.linalg.lstsq(matrix, b[:, None]).solution[:, 0]
    objective = Functional(linear, (matrix, b))
    found = minimise(objective, torch.zeros(5, dtype=torch.float64), GaussNewton(), steps=1)
    assert torch.allclose(found.theta, exact, atol=1e-13)
    tiny = LevenbergMarquardt(damping=1e-14)
    assert torch.allclose(minimise(objective, 0 * exact, tiny, steps=1).theta, exact, atol=1e-12)


@pytest.mark.parametrize(
    "method", [LevenbergMarquardt(), LevenbergMarquardt(update="marquardt"), GaussNewton()], ids=str
)
@pytest.mark.parametrize("dimension", [2, 10])
def test_rosenbrock(method: Method, dimension: int) -> None:
    start = torch.tensor([-1.2, 1.0] * (dimension // 2), dtype=torch.float64)
    found = minimise(Functional(rosenbrock), start, method, steps=100)
    if dimension == 2 or isinstance(method, LevenbergMarquardt):
        assert torch.allclose(found.theta, torch.ones_like(start), atol=1e-9)
        assert bool(found.converged) and int(found.steps) < 60
    assert float(found.loss) < 1e-15


def test_forms_agree_on_a_damped_step() -> None:
    for rows, parameters in ((30, 12), (12, 30)):
        jacobian, r, g = Dense(draw(rows, parameters)), draw(rows, seed=1), draw(parameters, seed=2)
        damping = torch.tensor(1e-2, dtype=torch.float64)
        normal = jacobian.matrix.mT @ jacobian.matrix + damping * torch.eye(parameters, dtype=torch.float64)
        steps = torch.linalg.solve(normal, jacobian.matrix.mT @ r), torch.linalg.solve(normal, g)
        for kind in ("dense", "kernel", "normal", "matrix_free"):
            factor = factorise(jacobian, r, form(kind, rows, parameters))
            assert torch.allclose(factor.solve(damping), steps[0], rtol=0, atol=1e-10), kind
            assert torch.allclose(factor.normal(g, damping), steps[1], rtol=0, atol=1e-10), kind


def ill_conditioned(rows: int, parameters: int, decades: float) -> tuple[Tensor, Tensor]:
    u, v = torch.linalg.qr(draw(rows, parameters))[0], torch.linalg.qr(draw(parameters, parameters, seed=1))[0]
    return u * torch.logspace(0, -decades, parameters, dtype=torch.float64) @ v.mT, u


def test_orthogonal_factors_go_on_where_normal_equations_stop() -> None:
    matrix, _ = ill_conditioned(60, 20, 10)
    truth = draw(20, seed=2)
    b = matrix @ truth
    zero = torch.zeros(20, dtype=torch.float64)

    def left_over(theta: Tensor) -> float:
        return float((matrix @ theta - b).norm() / b.norm())

    objective = Functional(linear, (matrix, b))
    assert left_over(minimise(objective, zero, GaussNewton(cut=1e-13), steps=1).theta) < 1e-9
    normal = torch.linalg.lstsq(matrix.mT @ matrix, (matrix.mT @ b)[:, None], driver="gelsd").solution[:, 0]
    kernel = minimise(objective, zero, GaussNewton(cut=1e-13), steps=1, form=form("kernel", 60, 20)).theta
    assert left_over(normal) > 1e-9 and left_over(kernel) > 1e-9
    # what is lost are the directions of small singular values: the solution itself tells more
    best = minimise(objective, zero, GaussNewton(cut=1e-13), steps=1).theta
    assert float((best - truth).norm()) < 1e-4 < 1e-1 < float((normal - truth).norm())


def test_damped_solves_keep_the_condition_number() -> None:
    matrix, _ = ill_conditioned(60, 20, 6)
    b = matrix @ draw(20, seed=2)
    damping = torch.tensor(1e-14, dtype=torch.float64)
    u, s, vh = torch.linalg.svd(matrix, full_matrices=False)
    exact = vh.mT @ (s / (s.square() + damping) * (u.mT @ b))
    found = factorise(Dense(matrix), b, form("dense", 60, 20)).solve(damping)
    assert float((found - exact).norm() / exact.norm()) < 1e-9
    normal = torch.linalg.solve(matrix.mT @ matrix + damping * torch.eye(20, dtype=torch.float64), matrix.mT @ b)
    assert float((normal - exact).norm() / exact.norm()) > 1e-8


@pytest.mark.parametrize("kind", ["dense", "kernel", "matrix_free"])
def test_deficient_short_and_unweighted_systems_are_solved_in_the_damped_sense(kind: str) -> None:
    deficient = draw(8, 3) @ draw(3, 6, seed=1)
    short = draw(4, 6, seed=2)
    for matrix in (deficient, short):
        b = matrix @ draw(6, seed=3)
        objective = Functional(linear, (matrix, b))
        zero = torch.zeros(6, dtype=torch.float64)
        found = minimise(objective, zero, LevenbergMarquardt(), form=form(kind, *matrix.shape))
        assert float(found.loss) < 1e-18
        assert torch.allclose(found.theta, torch.linalg.pinv(matrix) @ b, atol=1e-7)  # the nearest solution
    unweighted = Functional(lambda t: {"a": t - 2, "b": 5 * t - 1}, weights={"b": 0.0})
    found = minimise(unweighted, torch.zeros(2, dtype=torch.float64), LevenbergMarquardt(), form=form(kind, 4, 2))
    assert torch.allclose(found.theta, torch.full((2,), 2.0, dtype=torch.float64), atol=1e-9)
    nothing = Functional(lambda t: {"a": 0 * t + 1})  # J = 0
    found = minimise(nothing, torch.ones(2, dtype=torch.float64), LevenbergMarquardt(), form=form(kind, 2, 2))
    assert float(found.loss) == 1.0 and bool(found.converged)


def test_a_short_system_is_said_in_the_line_of_its_form() -> None:
    assert "nearest solution" in str(choose(10, 100, memory=2**30))
    assert "nearest solution" not in str(choose(100, 10, memory=2**30))


@pytest.mark.parametrize("method", METHODS, ids=lambda m: type(m).__name__)
def test_a_batch_equals_its_problems(method: Method) -> None:
    start = torch.cat([draw(4, 3), torch.ones(1, 3, dtype=torch.float64)])  # the last has converged before it starts
    together = minimise(Functional(rosenbrock), start, method, steps=15)
    for k, theta in enumerate(start):
        alone = minimise(Functional(rosenbrock), theta, method, steps=15)
        assert torch.allclose(together.theta[k], alone.theta, rtol=1e-8, atol=1e-8)
        assert int(together.steps[k]) == int(alone.steps)
        assert bool(together.converged[k]) == bool(alone.converged)
    assert int(together.steps[-1]) == 0 and torch.equal(together.theta[-1], start[-1])
    assert torch.isfinite(together.theta).all()


def test_a_problem_that_has_converged_stays_while_others_go_on() -> None:
    start = torch.tensor([[1.1, 1.2], [-1.2, 1.0]], dtype=torch.float64)
    together = minimise(Functional(rosenbrock), start, LevenbergMarquardt(), steps=60, tolerance=1e-1)
    alone = minimise(Functional(rosenbrock), start[0], LevenbergMarquardt(), steps=60, tolerance=1e-1)
    assert int(together.steps[0]) < int(together.steps[1])
    assert torch.allclose(together.theta[0], alone.theta, atol=1e-12)
    assert float((alone.theta - 1).abs().max()) > 1e-9  # the first stopped early


def test_newton_of_a_quadratic_energy_is_one_natural_gradient_step() -> None:
    m, f = draw(9, 4), draw(4, seed=1)
    exact = torch.linalg.solve(m.mT @ m, f)
    energy = Energy(lambda t: (t @ m.mT).square().sum(-1) / 2 - t @ f, lambda t: {"metric": t @ m.mT})
    for start in (torch.zeros(4, dtype=torch.float64), draw(3, 4, seed=2)):
        found = minimise(energy, start, GaussNewton(), steps=1)
        assert torch.allclose(found.theta, exact.expand_as(start), atol=1e-12)


def test_ritz_values_of_a_square_by_the_energy_natural_gradient() -> None:
    # E(u) = ∫ u'²/2 − u on (0, 1), u = x (1 − x) (a + b x): the minimum is u = x (1 − x)/2, E = −1/24
    x = (torch.arange(40, dtype=torch.float64) + 0.5) / 40

    def slope(t: Tensor) -> Tensor:
        return t[..., :1] * (1 - 2 * x) + t[..., 1:] * (2 * x - 3 * x.square())

    def energy(t: Tensor) -> Tensor:
        u = x * (1 - x) * (t[..., :1] + t[..., 1:] * x)
        return (slope(t).square() / 2 - u).mean(-1)

    metric = Energy(energy, lambda t: {"slope": slope(t) / 40**0.5})
    found = minimise(metric, torch.tensor([3.0, -2.0], dtype=torch.float64), GaussNewton(), steps=1)
    assert torch.allclose(found.theta, torch.tensor([0.5, 0.0], dtype=torch.float64), atol=2e-3)
    assert float(found.loss) == pytest.approx(-1 / 24, abs=1e-3)
    with pytest.raises(InputError, match="use GaussNewton"):
        minimise(metric, found.theta + 1, LevenbergMarquardt())


def test_spring_is_its_formula() -> None:
    matrix, b, start = draw(6, 9), draw(6, seed=1), draw(9, seed=2)
    method = Spring(damping=0.1, momentum=0.9, rate=0.5, norm=math.inf)
    theta, phi = start, torch.zeros_like(start)
    for _ in range(3):
        zeta = -(matrix @ theta - b) - 0.9 * matrix @ phi
        kernel = matrix @ matrix.mT + 0.1 * torch.eye(6, dtype=torch.float64)
        phi = 0.9 * phi + matrix.mT @ torch.linalg.solve(kernel, zeta)
        theta = theta + min(0.5, math.inf) * phi
    found = minimise(Functional(linear, (matrix, b)), start, method, steps=3, tolerance=0)
    assert torch.allclose(found.theta, theta, atol=1e-12)
    capped = minimise(Functional(linear, (matrix, b)), start, replace(method, norm=1e-4), steps=1)
    assert float((capped.theta - start).norm()) == pytest.approx(1e-2)
    assert float(minimise(Functional(linear, (matrix, b)), start, method, steps=200).loss) < 1e-12


@pytest.mark.parametrize("rows", [12, 5])
def test_thermodynamic_steps_lie_between_gradient_and_natural_gradient(rows: int) -> None:
    matrix, b, start = draw(rows, 7), draw(rows, seed=1), draw(7, seed=2)
    objective = Functional(linear, (matrix, b))
    g = matrix.mT @ (matrix @ start - b)
    natural = torch.linalg.pinv(matrix) @ (matrix @ start - b)

    def direction(time: float, kind: str = "dense") -> Tensor:
        method = Thermodynamic(time=time, damping=1e-12)
        planned = replace(form(kind, rows, 7), iterations=5000)
        return start - minimise(objective, start, method, steps=1, form=planned).theta

    short = direction(1e-6)
    assert torch.allclose(short / short.norm(), g / g.norm(), atol=1e-5)
    assert torch.allclose(direction(1e9), natural, atol=1e-6)
    x0, a = draw(7, seed=3), matrix.mT @ matrix
    for time in (0.1, 3.0):
        # from an x that it remembers, also where no row looks
        method = Thermodynamic(time=time, damping=0.3)
        unit = mean_square_column(Dense(matrix), b)
        flow = torch.linalg.matrix_exp(-(a / unit + 0.3 * torch.eye(7, dtype=torch.float64)) * time)
        damped = torch.linalg.solve(a + 0.3 * unit * torch.eye(7, dtype=torch.float64), g)
        step = method.step(objective, start, {"direction": x0}, form=form("dense", rows, 7))
        assert torch.allclose(step.state["direction"], flow @ (x0 - damped) + damped, atol=1e-10)
        assert torch.allclose(direction(time, "kernel"), direction(time), atol=1e-9)
        # Richardson steps are explicit Euler steps of the same flow
        assert torch.allclose(direction(time, "matrix_free"), direction(time), atol=0.2 * float(direction(time).norm()))


@pytest.mark.parametrize("metric", ["identity", "gauss_newton"])
def test_adaptive_energy_obeys_its_law_for_any_rate(metric: str) -> None:
    matrix, b, start = draw(9, 4), draw(9, seed=1), draw(4, seed=2)
    objective = Functional(linear, (matrix, b))
    for rate in (0.05, 5.0, 500.0):
        method = AdaptiveEnergy(rate=rate, metric=metric, damping=1e-3)  # type: ignore[arg-type]
        theta, state = start, {"energy": (objective.loss(start) + 1).sqrt()}
        here = objective.linearise(theta)
        step = method.step(objective, theta, state, form=form("dense", 9, 4))
        shift, before, after = step.theta - theta, state["energy"], step.state["energy"]
        unit = mean_square_column(here.jacobian, here.rows("test"))
        squared = shift.square().sum()
        if metric == "gauss_newton":
            squared = (matrix @ shift).square().sum() + 1e-3 * unit * squared
        assert float(after) ** 2 == pytest.approx(
            float(before) ** 2 - float(after - before) ** 2 - float(squared) / rate, abs=1e-9
        )
        assert float(after) < float(before)
    with pytest.raises(InputError, match="raise offset"):
        minimise(objective, start, AdaptiveEnergy(offset=-1e6))


def test_subsets_and_sketches() -> None:
    matrix, b = draw(80, 12), draw(80, seed=1)
    exact = torch.linalg.lstsq(matrix, b[:, None]).solution[:, 0]
    objective, zero = Functional(linear, (matrix, b)), torch.zeros(12, dtype=torch.float64)
    one = minimise(objective, zero, GaussNewton(subset=5), steps=1).theta
    assert int((one != 0).sum()) == 5  # the others stay
    moved = one.nonzero()[:, 0]
    assert torch.allclose(one[moved], torch.linalg.lstsq(matrix[:, moved], b[:, None]).solution[:, 0], atol=1e-12)
    assert torch.allclose(minimise(objective, zero, GaussNewton(subset=5), steps=200).theta, exact, atol=1e-5)
    mixed, c = mixed_rows(matrix, b, 48, seed=3)
    near = torch.linalg.lstsq(mixed, c[:, None]).solution[:, 0]
    assert mixed.shape == (48, 12)
    least, sketched = float((matrix @ exact - b).norm()), float((matrix @ near - b).norm())
    assert least < sketched < 1.5 * least
    found = minimise(objective, zero, GaussNewton(mixed=48), steps=1)
    assert float(found.loss) < 0.5 * (1.5 * least) ** 2


def test_a_nystrom_sketch_saves_iterations() -> None:
    matrix, _ = ill_conditioned(200, 100, 3)
    matrix = matrix + 0.03 * draw(200, 100, seed=5) / 14
    r, damping = draw(200, seed=2), torch.tensor(1e-4, dtype=torch.float64)
    normal = matrix.mT @ matrix + damping * torch.eye(100, dtype=torch.float64)
    exact = torch.linalg.solve(normal, matrix.mT @ r)

    def error(sketch: int) -> float:
        planned = replace(form("matrix_free", 200, 100), iterations=25, sketch=sketch)
        return float((factorise(Dense(matrix), r, planned).solve(damping) - exact).norm() / exact.norm())

    assert error(50) < 1e-5 < 1e-2 < error(0)
    sketch = nystrom(Dense(matrix), 100, r)  # of full rank it is the inverse, up to its factor
    v = sketch.inverse(matrix.mT @ r, damping)
    assert torch.allclose(v / v.norm(), exact / exact.norm(), atol=1e-8)


def test_singular_values_of_the_kernel_are_those_of_j() -> None:
    matrix, r, v = draw(5, 9), draw(5, seed=1), draw(9, seed=2)
    a, b = (spectrum(Dense(matrix), r, form(kind, 5, 9), cut=1e-6) for kind in ("dense", "kernel"))
    assert torch.allclose(a.values, b.values, atol=1e-12)
    assert torch.allclose(a.solve(), b.solve(), atol=1e-12)
    assert torch.allclose(a.normal(v), b.normal(v), atol=1e-11)
    with pytest.raises(InputError, match="LevenbergMarquardt"):
        spectrum(Dense(matrix), r, form("matrix_free", 5, 9), cut=0.1)


@pytest.mark.parametrize(
    ("rows", "parameters", "memory", "kind"),
    [(2000, 500, 2**33, "dense"), (2000, 10_000, 2**33, "kernel"), (200_000, 20_000, 2**33, "matrix_free"),
     (2000, 500, 2**20, "matrix_free"), (300, 100, 2**33, "dense"), (2000, 10_000, 2**26, "matrix_free")],
)  # fmt: skip
def test_the_form_follows_from_the_size(rows: int, parameters: int, memory: int, kind: str) -> None:
    chosen = choose(rows, parameters, memory=memory, largest=2**12)
    assert chosen.kind == kind
    assert kind == "matrix_free" or chosen.bytes <= memory
    assert str(rows) in str(chosen) and "MB" in str(chosen) and "\n" not in str(chosen)
    assert Form(**json.loads(json.dumps(asdict(chosen)))) == chosen


def test_wrong_settings_are_refused_in_one_line() -> None:
    for make in (
        lambda: LevenbergMarquardt(damping=0.0),
        lambda: LevenbergMarquardt(update="nilsen"),  # type: ignore[arg-type]
        lambda: GaussNewton(cut=2.0),
        lambda: Spring(momentum=1.0),
        lambda: Thermodynamic(time=-1.0),
        lambda: AdaptiveEnergy(metric="hessian"),  # type: ignore[arg-type]
        lambda: Form("sparse", 1, 1, 0),  # type: ignore[arg-type]
        lambda: minimise(Functional(lambda t: {}), torch.zeros(2), GaussNewton()),
        lambda: minimise(Functional(lambda t: {"a": t}, weights={"b": 1.0}), torch.zeros(2), GaussNewton()),
        lambda: minimise(Functional(lambda t: {"a": t}, weights={"a": -1.0}), torch.zeros(2), GaussNewton()),
    ):
        with pytest.raises(InputError) as refused:
            make()
        assert "\n" not in str(refused.value)


def test_values_that_are_not_finite_name_their_term_and_row_and_walls_are_kept_out_of() -> None:
    def residual(theta: Tensor) -> dict[str, Tensor]:
        return {"fit": theta - 3, "wall": torch.log(theta)}

    with pytest.raises(Diverged, match="the term wall is nan at row 1"):
        minimise(Functional(residual), torch.tensor([1.0, -1.0], dtype=torch.float64), LevenbergMarquardt())
    # steps over the wall are rejected, and what was best stays
    wall = Functional(lambda t: {"log": torch.log(t) + 4})
    for method in (LevenbergMarquardt(), GaussNewton(), GaussNewton(search="backtracking")):
        found = minimise(wall, torch.tensor([2.9], dtype=torch.float64), method)
        assert float(found.theta) == pytest.approx(math.exp(-4), rel=1e-9)
    start = torch.tensor([2.9], dtype=torch.float64)
    assert torch.equal(minimise(wall, start, Spring(norm=math.inf), steps=1).theta, start)


def test_residuals_without_names_are_told_how_they_are_written() -> None:
    start, module = torch.ones(2, dtype=torch.float64), torch.nn.Linear(1, 1)
    tries = (
        lambda: minimise(Functional(lambda t: t - 3), start, LevenbergMarquardt()),  # type: ignore[arg-type]
        lambda: LeastSquares(module, LevenbergMarquardt()).step(lambda: module(torch.ones(4, 1))),  # type: ignore[arg-type]
    )
    for bare in tries:
        with pytest.raises(InputError, match=r"terms by name, got a Tensor: return \{'equation': rows\}"):
            bare()


def test_a_residual_is_evaluated_once_for_its_jacobian() -> None:
    calls = 0

    def residual(theta: Tensor) -> dict[str, Tensor]:
        nonlocal calls
        calls += 1
        return {"fit": theta.square() - 3}

    Functional(residual).linearise(torch.ones(2, dtype=torch.float64))
    assert calls == 1


def test_rows_are_counted_without_a_jacobian(monkeypatch: pytest.MonkeyPatch) -> None:
    module, linearised = torch.nn.Linear(1, 1, dtype=torch.float64), []
    linearise = Modular.linearise
    monkeypatch.setattr(Modular, "linearise", lambda *a: linearised.append(1) or linearise(*a))
    optimiser = LeastSquares(module, LevenbergMarquardt())
    optimiser.step(lambda: {"fit": module(torch.linspace(0, 1, 9, dtype=torch.float64)[:, None])[:, 0] - 1})
    assert optimiser.form is not None and optimiser.form.rows == 9
    assert len(linearised) == 1


def solved(residual, theta: Tensor, *context: Tensor) -> Tensor:
    return minimise(Functional(residual, context), theta, LevenbergMarquardt(), tolerance=1e-9).theta


def curved(theta: Tensor, a: Tensor, b: Tensor) -> dict[str, Tensor]:
    """Residuals that do not vanish at the solution, so that second derivatives count."""
    x, y = theta[..., 0], theta[..., 1]
    rows = [x.square() * a[..., 0] - y - 1, torch.sin(y) + x - b, a[..., 1] * y, x * y - 0.3]
    return {"curved": torch.stack(torch.broadcast_tensors(*rows), -1)}


@pytest.mark.parametrize("batch", [(), pytest.param((2,), marks=pytest.mark.slow)])
def test_gradients_of_a_solution_are_those_of_differences(batch: tuple[int, ...]) -> None:
    solve = implicit(solved)
    start = torch.ones(*batch, 2, dtype=torch.float64)
    a = (1 + 0.2 * draw(*batch, 2)).requires_grad_()
    b = (0.5 + 0.1 * draw(*batch, 1, seed=1)[..., 0]).requires_grad_()
    # a loss tells theta to 1e-9 only, where it does not vanish: differences over 1e-3
    assert torch.autograd.gradcheck(lambda *c: solve(curved, start, *c), (a, b), eps=1e-3, atol=1e-5, rtol=1e-4)
    # of a sum that mixes both parts; the second derivatives are no small correction
    weights = draw(2, seed=2)
    (found,) = torch.autograd.grad((solve(curved, start, a, b) @ weights).sum(), b)
    h = 1e-3
    ends = [(solve(curved, start, a, (b + s * h).detach()) @ weights) for s in (1, -1)]
    assert torch.allclose(found, (ends[0] - ends[1]) / (2 * h), atol=1e-5)


def test_context_shared_by_a_batch_gets_the_sum() -> None:
    solve = implicit(solved)
    shift = torch.tensor([0.3, -0.2], dtype=torch.float64, requires_grad=True)
    theta = solve(lambda t, c: {"fit": 2 * t - c}, torch.zeros(5, 2, dtype=torch.float64), shift)
    theta.sum().backward()
    assert torch.allclose(shift.grad, torch.full((2,), 2.5, dtype=torch.float64))


def sine_row(theta: Tensor, point: Tensor) -> Tensor:
    """A network 1-12-1 against sin(x)."""
    w, b, v = theta.reshape(3, 12)
    return v @ torch.tanh(w * point[0] + b) - torch.sin(point[0])


def test_per_sample_jacobians_by_blocks() -> None:
    fit = Pointwise({"fit": (sine_row, draw(50, 1))}, sizes=[12, 12, 12], chunk_bytes=2000)
    start = draw(36, seed=1)
    here, exact = fit.linearise(start), torch.func.jacrev(fit.rows)(start)
    assert torch.allclose(here.jacobian.dense(), exact, atol=1e-13)
    assert torch.allclose(here.jacobian.gram(), exact @ exact.mT, atol=1e-11)
    v, w = draw(36, seed=2), draw(50, seed=3)
    assert torch.allclose(here.jacobian.times(v), exact @ v, atol=1e-13)
    assert torch.allclose(here.jacobian.transposed(w), exact.mT @ w, atol=1e-13)


@pytest.mark.slow
def test_levenberg_marquardt_fits_a_sine_to_1e_8() -> None:
    x = torch.linspace(-2, 2, 30, dtype=torch.float64)[:, None]
    fit = Pointwise({"fit": (sine_row, x)})
    bent = minimise(fit, draw(36), LevenbergMarquardt(), steps=400)
    straight = minimise(fit, draw(36), LevenbergMarquardt(acceleration=0.0), steps=400)
    assert math.sqrt(2 * float(bent.loss) / 30) < 1e-8
    assert float(straight.loss) > 100 * float(bent.loss)  # what acceleration is for


@pytest.mark.parametrize("shape", [(7,), (3, 7)])
def test_jacobians_of_functions_by_chunks(shape: tuple[int, ...]) -> None:
    theta = draw(*shape)
    for rows in (4, 9):  # reverse and forward mode
        matrix = draw(rows, 7, seed=1)
        objective = Functional(lambda t, m=matrix: {"a": torch.tanh(t @ m.mT)})
        jacobian = FunctionJacobian(objective.rows, theta, chunk_bytes=200)
        exact = (1 - torch.tanh(theta @ matrix.mT).square())[..., None] * matrix
        assert torch.allclose(jacobian.dense(), exact, atol=1e-14)
        assert torch.allclose(jacobian.gram(), exact @ exact.mT, atol=1e-13)
        index = torch.tensor([5, 0, 3])
        assert torch.allclose(jacobian.columns(index), exact[..., index], atol=1e-14)
        v, w = draw(*shape, seed=2), draw(*shape[:-1], rows, seed=3)
        assert torch.allclose(jacobian.times(v), (exact @ v[..., None])[..., 0], atol=1e-13)
        assert torch.allclose(jacobian.transposed(w), (exact.mT @ w[..., None])[..., 0], atol=1e-13)


def test_single_precision_() -> None:
    found = minimise(Functional(rosenbrock), torch.tensor([-1.2, 1.0]), LevenbergMarquardt())
    assert found.theta.dtype == torch.float32 and torch.allclose(found.theta, torch.ones(2), atol=1e-3)


def test_a_damping_that_let_nothing_move_is_forgotten() -> None:
    """At a minimum no trial is better; on other data the next step goes all the way."""
    method, theta = LevenbergMarquardt(), torch.zeros(1, dtype=torch.float64)
    form = choose(2, 1, memory=10**9)
    balanced, elsewhere = (Functional(lambda t, b=b: {"fit": torch.cat([t - 3, t - b])}) for b in (-3.0, 3.0))
    stuck = method.step(balanced, theta, method.start(theta), form=form)
    assert not bool(stuck.moved)
    free = method.step(elsewhere, stuck.theta, stuck.state, form=form)
    assert float(free.theta) == pytest.approx(3.0, rel=1e-2)
