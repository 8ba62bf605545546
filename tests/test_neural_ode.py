"""Adaptive integration with estimates: orders, tolerances, gradients, penalties, refusals, the page on it."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torchdiffeq import odeint
from torchdiffeq._impl.bosh3 import Bosh3Solver
from torchdiffeq._impl.dopri5 import Dopri5Solver

from pdesolve import make_problem
from pdesolve.errors import Diverged, InputError
from pdesolve.integration.lines import Lines, explicit
from pdesolve.integration.neural_ode import OdeSolution, solve_adjoint, solve_ivp
from pdesolve.integration.runge_kutta import (
    BOGACKI_SHAMPINE,
    DORMAND_PRINCE,
    TSITOURAS,
    RungeKutta,
    instant,
    runge_kutta_step,
)
from pdesolve.integration.solver_penalties import (
    ExponentialAnnealing,
    biased_local_error,
    error_penalty,
    local_error_penalty,
    squared_error_penalty,
    stiffness_penalty,
    unbiased_local_error,
)
from pdesolve.integration.step_control import StepControl
from pdesolve.nn.mlp import mlp

METHODS = pytest.mark.parametrize("method", [DORMAND_PRINCE, TSITOURAS, BOGACKI_SHAMPINE], ids=lambda m: m.name)
RATES = torch.tensor([[-0.1, 2.0], [-2.0, -0.1]], dtype=torch.float64)
START = torch.tensor([[2.0, 0.0], [0.5, 1.0]], dtype=torch.float64)


def number(value: Any) -> Tensor:
    return torch.tensor(value, dtype=torch.float64)


def spiral(t: Tensor, z: Tensor) -> Tensor:
    """z' = A^T z^3."""
    return z**3 @ RATES.to(z.dtype)


def wave(t: Tensor, y: Tensor) -> Tensor:
    """y' = y cos t, whose solution is exp(sin t) y(0)."""
    return y * torch.cos(t)


class Learned(nn.Module):
    """An autonomous network of two components."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self.network = mlp(2, 2, width=6, depth=1, generator=torch.Generator().manual_seed(seed))
        self.evaluations = 0

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        self.evaluations += 1
        return 3.0 * self.network(y) * torch.cos(t)


def replayed(
    f: Any, y: Tensor, solution: OdeSolution, *, relative: float, absolute: float
) -> tuple[Tensor, Tensor, Tensor]:
    """The end, the errors and the stiffness by the steps of a solution, whose lengths are given."""
    t, slope, errors, stiffness = float(solution.times[0]), f(instant(float(solution.times[0]), y), y), [], []
    for length in solution.lengths.tolist():
        step = runge_kutta_step(f, DORMAND_PRINCE, t=t, y=y, slope=slope, length=length)
        t, y, slope = t + length, step.end, step.slopes[-1]
        errors.append(step.scaled_error(relative=relative, absolute=absolute))
        s = step.stiffness()
        assert s is not None
        stiffness.append(s)
    return y, torch.stack(errors), torch.stack(stiffness)


@pytest.mark.parametrize(("ours", "theirs"), [(DORMAND_PRINCE, Dopri5Solver), (BOGACKI_SHAMPINE, Bosh3Solver)])
def test_coefficients_are_those_of_torchdiffeq(ours: RungeKutta, theirs: Any) -> None:
    assert torch.equal(number(ours.nodes), theirs.tableau.alpha)
    for row, other in zip(ours.stages, theirs.tableau.beta, strict=True):
        torch.testing.assert_close(number(row), other, rtol=0, atol=1e-15)
    torch.testing.assert_close(number(ours.error), theirs.tableau.c_error, rtol=0, atol=1e-15)
    if ours is DORMAND_PRINCE:  # their pair of order three interpolates to order two alone
        torch.testing.assert_close(number(ours.middle), theirs.mid, rtol=0, atol=1e-15)


@METHODS
def test_coefficients_are_consistent(method: RungeKutta) -> None:
    """Conditions that a wrong digit anywhere would break."""
    nodes, weights = (0.0, *method.nodes), (*method.stages[-1], 0.0)
    for node, row in zip(method.nodes, method.stages, strict=True):
        assert sum(row) == pytest.approx(node, abs=1e-14)
    for k in range(method.order):
        assert sum(b * c**k for b, c in zip(weights, nodes, strict=True)) == pytest.approx(1 / (k + 1), abs=1e-14)
    for k in range(method.order - 1):
        assert sum(e * c**k for e, c in zip(method.error, nodes, strict=True)) == pytest.approx(0.0, abs=1e-14)
    for fraction in (0.5, 0.3):
        for k in range(min(method.order, 4)):
            reached = sum(b * c**k for b, c in zip(method.weights(fraction), nodes, strict=True))
            assert reached == pytest.approx(fraction ** (k + 1) / (k + 1), abs=1e-13)


@METHODS
def test_orders_of_solution_error_estimate_and_interpolant(method: RungeKutta) -> None:
    def errors(count: int) -> Tensor:
        h, y, between, estimate = 2.0 / count, number([1.0]), 0.0, 0.0
        for i in range(count):
            t = i * h
            step = runge_kutta_step(wave, method, t=t, y=y, slope=wave(instant(t, y), y), length=h)
            here = runge_kutta_step(
                wave,
                method,
                t=t,
                y=number([math.exp(math.sin(t))]),
                slope=wave(number(t), number([math.exp(math.sin(t))])),
                length=h,
            )
            estimate = max(estimate, float(here.scaled_error(relative=0.0, absolute=1.0)))
            gaps = (abs(float(here.at(x)) - math.exp(math.sin(t + x * h))) for x in (0.23, 0.5, 0.81))
            between, y = max(between, *gaps), step.end
        return number([abs(float(y) - math.exp(math.sin(2.0))), estimate, between])

    solution, estimate, between = torch.log2(errors(20) / errors(40)).tolist()
    assert solution > method.order - 0.25
    assert method.order - 0.25 < estimate < method.order + 0.5
    assert between > min(method.order + 1, 5) - 0.25


@METHODS
def test_stability_ends_at_the_radius(method: RungeKutta) -> None:
    def growth(z: float) -> float:
        y = number([1.0])
        step = runge_kutta_step(lambda t, y: -z * y, method, t=0.0, y=y, slope=-z * y, length=1.0)
        return abs(float(step.end))

    assert growth(method.radius - 1e-3) < 1.0 < growth(method.radius + 1e-3)


@METHODS
def test_error_follows_the_tolerance_at_all_times(method: RungeKutta) -> None:
    times = [0.0, 0.1, 0.15, 1.3, 2.0, 3.9, 4.0]
    exact = torch.exp(torch.sin(number(times)))[:, None]
    worst = []
    for relative in (1e-3, 1e-5, 1e-7):
        found = solve_ivp(wave, number([1.0]), times, method=method, relative=relative, absolute=relative)
        worst.append(float((found.states - exact).abs().max()))
        assert 1e-2 * relative < worst[-1] < 30 * relative
        assert found.accepted == len(found.lengths) and bool((found.errors <= 1).all())
        assert found.evaluations == 2 + method.evaluations * (found.accepted + found.rejected)
        assert float(found.lengths.sum()) == pytest.approx(4.0)
    assert worst[0] > 20 * worst[1] > 400 * worst[2]


@pytest.mark.parametrize("relative", [1e-4, 1e-6, 1e-8])
def test_agrees_with_torchdiffeq_at_no_more_evaluations(relative: float) -> None:
    count = 0

    def counted(t: Tensor, y: Tensor) -> Tensor:
        nonlocal count
        count += 1
        return spiral(t, y)

    times = torch.linspace(0.0, 1.5, 12, dtype=torch.float64)
    theirs = odeint(counted, START, times, rtol=relative, atol=relative, method="dopri5")
    expected = count
    ours = solve_ivp(counted, START, times, relative=relative, absolute=relative)
    assert ours.evaluations == count - expected <= 1.1 * expected
    close = solve_ivp(
        spiral, START, times, relative=relative, absolute=relative, control=StepControl(present=1, before=0)
    )
    assert close.evaluations == pytest.approx(expected, rel=0.1)
    assert isinstance(theirs, Tensor)
    assert float((ours.states - theirs).abs().max()) < 300 * relative  # speeds near 16, growing errors of phase


def test_stiffness_is_the_eigenvalue() -> None:
    for method in (DORMAND_PRINCE, TSITOURAS):
        found = solve_ivp(lambda t, y: -7.0 * y, number([1.0, -2.0]), [0.0, 1.0], method=method)
        torch.testing.assert_close(found.stiffness, torch.full_like(found.errors, 7.0), rtol=1e-8, atol=0)
        # y runs after cos t, and steps are at the bound of stability
        stiff = solve_ivp(
            lambda t, y: 200.0 * (torch.cos(t) - y), number([0.0]), [0.0, 2.0], method=method, relative=1e-4
        )
        late = stiff.starts > 0.5
        assert float(stiff.stiffness[late].median()) == pytest.approx(200.0, rel=0.1)
        assert float((stiff.lengths * stiff.stiffness)[late].mean()) == pytest.approx(method.radius, rel=0.1)


def test_backward_in_time_returns_to_the_start() -> None:
    there = solve_ivp(spiral, START, [0.0, 0.4, 1.0], relative=1e-10, absolute=1e-12)
    back = solve_ivp(spiral, there.states[-1], [1.0, 0.4, 0.0], relative=1e-10, absolute=1e-12)
    torch.testing.assert_close(back.states.flip(0), there.states, rtol=0, atol=1e-8)
    assert bool((back.lengths < 0).all()) and float(back.starts[0]) == 1.0


def test_the_host_waits_once_a_step() -> None:
    class Waits(TorchDispatchMode):
        count = 0

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            self.count += func is torch.ops.aten._local_scalar_dense.default
            return func(*args, **(kwargs or {}))

    with Waits() as waits:
        found = solve_ivp(spiral, START, [0.0, 0.3, 0.5, 1.0])
    assert waits.count == 1 + found.accepted + found.rejected  # one for the length of the first step


def test_lines_complex_and_single_precision() -> None:
    problem = make_problem("burgers_shock")
    lines = Lines(problem, problem.grid(33))
    times = [0.0, 0.1, 0.25]
    found = solve_ivp(lines, lines.start(), times, relative=1e-8, absolute=1e-10)
    torch.testing.assert_close(found.states, explicit(lines, times, tolerance=1e-9), rtol=0, atol=1e-6)

    turning = solve_ivp(lambda t, y: 2j * y, torch.tensor([1.0 + 0j], dtype=torch.complex128), [0.0, 1.0])
    assert complex(turning.states[-1]) == pytest.approx(complex(math.cos(2), math.sin(2)), abs=1e-5)

    single = solve_ivp(spiral, START.float(), [0.0, 1.0], relative=1e-5, absolute=1e-6)
    exact = solve_ivp(spiral, START, [0.0, 1.0], relative=1e-10, absolute=1e-10).states
    assert single.states.dtype == single.errors.dtype == torch.float32
    torch.testing.assert_close(single.states.double(), exact, rtol=0, atol=1e-3)


def test_gradients_are_those_of_the_accepted_steps() -> None:
    f, tolerances = Learned(), {"relative": 1e-6, "absolute": 1e-8}
    y = START.clone().requires_grad_()
    found = solve_ivp(f, y, [0.0, 2.0], first=1.0, **tolerances)
    assert found.rejected > 0
    theta = nn.utils.parameters_to_vector(f.parameters()).detach()
    direction = torch.randn(theta.shape, generator=torch.Generator().manual_seed(3), dtype=theta.dtype)

    def values(theta: Tensor) -> Tensor:
        nn.utils.vector_to_parameters(theta, f.parameters())
        with torch.no_grad():
            end, errors, stiffness = replayed(f, START, found, **tolerances)
        h = found.lengths.abs()
        return torch.stack([end.square().sum(), (errors * h).sum(), errors.square().sum(), (stiffness * h).sum()])

    # sizes of rounding and of the third derivative: errors are differences of slopes
    step = 1e-5
    expected = (values(theta + step * direction) - values(theta - step * direction)) / (2 * step)
    nn.utils.vector_to_parameters(theta, f.parameters())
    terms = [
        found.states[-1].square().sum(),
        error_penalty(found),
        squared_error_penalty(found),
        stiffness_penalty(found),
    ]
    for term, slope, value in zip(terms, expected, values(theta), strict=True):
        assert float(term.detach()) == pytest.approx(float(value), rel=1e-9)
        gradient = torch.autograd.grad(term, [*f.parameters()], retain_graph=True)
        assert float(torch.cat([g.reshape(-1) for g in gradient]) @ direction) == pytest.approx(float(slope), rel=1e-5)
    (in_start,) = torch.autograd.grad(terms[0], y)
    (replay_start,) = torch.autograd.grad(replayed(f, y, found, **tolerances)[0].square().sum(), y)
    torch.testing.assert_close(in_start, replay_start, rtol=1e-10, atol=1e-12)


def test_gradients_at_rest_are_finite() -> None:
    f = Learned()
    nn.utils.vector_to_parameters(torch.zeros(32, dtype=torch.float64), f.parameters())
    found = solve_ivp(f, START, [0.0, 1.0])
    (error_penalty(found) + stiffness_penalty(found) + found.states.sum()).backward()
    assert all(bool(p.grad is not None and p.grad.isfinite().all()) for p in f.parameters())


def test_adjoint_and_backpropagation_agree() -> None:
    f, seen = Learned(), []
    tolerances = {"relative": 1e-8, "absolute": 1e-10}
    gradients, records = [], []
    for solve in (solve_ivp, solve_adjoint):
        f.evaluations = 0
        found = solve(f, START, [1.0, 0.6, 0.0], watch=lambda t, y, h: seen.append(y.requires_grad), **tolerances)
        assert found.evaluations == f.evaluations - (solve is solve_adjoint)  # one more looks at what f returns
        gradients.append(torch.autograd.grad(found.states.square().sum(), [*f.parameters()]))
        records.append(found)
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)
    assert records[1].accepted == len(records[1].starts) > 3 and float(records[1].starts[0]) == 1.0
    assert bool((records[1].lengths < 0).all()) and not any(seen)


def test_local_errors() -> None:
    """The unbiased one is on average the mean over time, the biased one that over the steps; both know theta alone."""
    f, times = Learned(1), [0.0, 0.7, 2.0]
    tolerances = {"relative": 1e-4, "absolute": 1e-4}
    generator = torch.Generator().manual_seed(0)
    fine = [(i + 0.5) / 50 * 2.0 for i in range(50)]
    with torch.no_grad():
        plain = solve_ivp(f, START, times, **tolerances)
        curve = solve_ivp(f, START, [0.0, *fine], **tolerances).states[1:]
        expected = {
            "unbiased": [
                local_error_penalty(f, y, t=t, end=2.0, **tolerances) for t, y in zip(fine, curve, strict=True)
            ]
        }
        begins: list[tuple[float, Tensor]] = []
        solve_ivp(f, START, times, watch=lambda t, y, h: begins.append((float(t), y)), **tolerances)
        expected["biased"] = [local_error_penalty(f, y, t=t, end=2.0, **tolerances) for t, y in begins]
        for name, draw in (("unbiased", unbiased_local_error), ("biased", biased_local_error)):
            pairs = [draw(f, START, times, generator=generator, **tolerances) for _ in range(80)]
            torch.testing.assert_close(pairs[0][0].states, plain.states, rtol=0, atol=0)
            assert pairs[0][0].times.tolist() == times
            drawn, mean = torch.stack([penalty for _, penalty in pairs]), torch.stack(expected[name]).mean()
            deviation = float(drawn.std()) / math.sqrt(len(drawn))
            assert deviation > 0 and abs(float(drawn.mean() - mean)) < 3 * deviation, name
    y = START.clone().requires_grad_()
    for solve in (solve_ivp, solve_adjoint):
        for draw in (unbiased_local_error, biased_local_error):
            _, penalty = draw(f, y, times, generator=generator, solve=solve, **tolerances)
            in_y, *in_theta = torch.autograd.grad(penalty, [y, *f.parameters()], allow_unused=True)
            assert in_y is None and all(float(g.abs().max()) > 0 for g in in_theta)


def test_penalties_without_a_gradient_are_refused() -> None:
    f = Learned()
    adjoint = solve_adjoint(f, START, [0.0, 1.0])
    with pytest.raises(InputError, match=r"a continuous adjoint never sees the stages.*unbiased_local_error"):
        error_penalty(adjoint)
    with pytest.raises(InputError, match="a continuous adjoint never sees the stages"):
        stiffness_penalty(adjoint)
    with pytest.raises(InputError, match="got Tensor, which knows no steps"):
        error_penalty(adjoint.states)  # type: ignore[arg-type]
    with torch.no_grad():
        found = solve_ivp(f, START, [0.0, 1.0])
        assert float(error_penalty(found)) > 0
    with pytest.raises(InputError, match="solved under no_grad or f has nothing to train"):
        squared_error_penalty(found)
    third = solve_ivp(f, START, [0.0, 1.0], method=BOGACKI_SHAMPINE, relative=1e-3)
    assert float(error_penalty(third).detach()) > 0
    with pytest.raises(InputError, match="no two stages at the end of a step"):
        stiffness_penalty(third)


def test_annealing() -> None:
    weight = ExponentialAnnealing(100.0, 1.0, 10)
    assert [weight.at(k) for k in (0, 5, 10, 20)] == pytest.approx([100.0, 10.0, 1.0, 1.0])
    with pytest.raises(InputError, match="weights above zero"):
        ExponentialAnnealing(1.0, 0.0, 10)


def test_what_cannot_be_integrated_is_told_with_the_time() -> None:
    y = number([1.0])
    with pytest.raises(Diverged, match=r"ends at t = 1 with steps of .* does the solution exist that long"):
        solve_ivp(lambda t, y: y**2, y, [0.0, 2.0])
    with pytest.raises(Diverged, match=r"not finite just after t = 0\.5:"):
        solve_ivp(lambda t, y: torch.where(t > 0.5, math.nan, y), y, [0.0, 2.0])
    with pytest.raises(Diverged, match=r"not finite at t = -1:"):
        solve_ivp(lambda t, y: torch.log(y - 2.0), y, [-1.0, 2.0])
    with pytest.raises(Diverged, match=r"h s = 3\.\d* is at the bound of stability: stiff"):
        solve_ivp(lambda t, y: -1e6 * (y - torch.cos(t)), y, [0.0, 1.0], attempts=300)
    bad = Learned()
    bad.network[0].bias.data.fill_(math.nan)
    with pytest.raises(Diverged, match="cannot go on from t = 0: ") as caught:
        solve_adjoint(bad, START, [0.0, 1.0])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("f", "y", "times", "settings", "words"),
    [
        (wave, [1.0], [0.0, 1.0, 0.5], {}, r"all ascend or all descend, got \[0, 1, 0.5\]"),
        (wave, [1.0], [0.0], {}, "at least two times"),
        (wave, [1.0], [0.0, 1.0], {"relative": -1.0}, "tolerances above zero, got relative -1, absolute"),
        (wave, [1], [0.0, 1.0], {}, "real or complex numbers, got torch.int64"),
        (wave, [1.0], [0.0, 1.0], {"first": 0.0}, "a first step above zero"),
        (lambda t, y: y[:1], [1.0, 2.0], [0.0, 1.0], {}, r"must be like y, \[2\] float32 on cpu, and is \[1\] float32"),
        (lambda t, y: y.double(), [1.0], [0.0, 1.0], {}, r"and is \[1\] float64 on cpu"),
    ],
)
def test_bad_input(f: Any, y: Any, times: list[float], settings: dict[str, float], words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        solve_ivp(f, torch.tensor(y), times, **settings)
    assert "\n" not in str(caught.value)


def test_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    text = (Path(__file__).parent.parent / "docs/neural_ode.md").read_text()
    names: dict[str, Any] = {}
    for code in re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        exec(compile(code, "neural_ode.md", "exec"), names)
    assert "evaluations" in capsys.readouterr().out
