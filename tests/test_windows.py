"""Time windows: problems that begin where the one before ended, and solutions that are one."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pdesolve import make_problem
from pdesolve.condition import Dirichlet, InitialRate, InitialValue, Observed
from pdesolve.equation import flatten
from pdesolve.errors import InputError
from pdesolve.fields import Coordinates, d, dxx, sin
from pdesolve.geometry import Axis, Interval, PointCloud
from pdesolve.nn import NetworkSolution, read_network
from pdesolve.physics.equations.heat import Heat
from pdesolve.physics.equations.wave import Wave
from pdesolve.problem import Evaluation, Problem
from pdesolve.proof import residual, violations
from pdesolve.training.windows import Final, Windows, march, read_windows, window, windows

TIME = Axis("t", 0.0, 1.0)
ROD = Interval("x", 0.0, 1.0)
HEAT = Problem(
    "rod", Heat(), ROD, (InitialValue("u", lambda p, x: sin(math.pi * x["x"])), Dirichlet("u")), TIME,
    values={"diffusivity": 0.3}, evaluation=Evaluation.uniform(11, TIME, 8),
)  # fmt: skip
STRING = Problem(
    "string", Wave(),
    ROD, (InitialValue("u", lambda p, x: sin(math.pi * x["x"])), InitialRate("u", 0.0), Dirichlet("u")), TIME,
    values={"speed": 2.0}, evaluation=Evaluation.uniform(11, TIME, 8),
)  # fmt: skip


class Mode(nn.Module):
    """size * f(t) sin(pi x), f = exp(-0.3 pi^2 t) or cos(2 pi t)."""

    def __init__(self, kind: str, size: float = 1.0) -> None:
        super().__init__()
        self.kind, self.size = kind, nn.Parameter(torch.tensor(size, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        t, place = x[:, :1], x[:, 1:]
        f = torch.exp(-0.3 * math.pi**2 * t) if self.kind == "heat" else torch.cos(2 * math.pi * t)
        return self.size * f * torch.sin(math.pi * place)


def exact(problem: Problem) -> NetworkSolution:
    return NetworkSolution(problem, Mode("heat" if problem.name == "rod" else "wave"))


def points(*rows: tuple[float, float]) -> PointCloud:
    return PointCloud(HEAT.axes, torch.tensor(rows, dtype=torch.float64))


def test_windows_are_equal_and_end_at_the_end() -> None:
    axis = dataclasses.replace(TIME, upper=0.7, unit="s")
    found = windows(axis, 3)
    assert [a.lower for a in found[1:]] == [a.upper for a in found[:-1]]
    assert (found[0].lower, found[-1].upper) == (0.0, 0.7) and all(a.unit == "s" for a in found)
    with pytest.raises(InputError, match="one window or more, got 0"):
        windows(axis, 0)


@pytest.mark.parametrize("problem", [HEAT, STRING], ids=["heat", "wave"])
def test_exact_networks_are_one_exact_solution(problem: Problem) -> None:
    joined = march(problem, windows(TIME, 2), lambda part, before: exact(part))
    assert len(joined.parts) == 2 and joined.parameters == 2
    whole = exact(problem)
    assert torch.allclose(joined.on()["u"], whole.on()["u"], rtol=1e-14)
    assert residual(joined) < 1e-12
    assert all(value < 1e-13 for value in violations(joined).values())
    # the second window's own problem, whose start is the first one's end
    second = joined.parts[1].problem
    assert second.time == Axis("t", 0.5, 1.0) and min(second.evaluation.times) == 0.5
    assert residual(joined.parts[1]) < 1e-12
    assert all(value < 1e-13 for value in violations(joined.parts[1]).values())


def test_times_choose_their_window() -> None:
    joined = march(HEAT, windows(TIME, 2), lambda part, before: exact(part))
    with torch.no_grad():
        joined.parts[1].module.size.mul_(3.0)  # type: ignore[attr-defined]
    x = Coordinates(points((0.2, 0.5), (0.9, 0.5), (0.5, 0.5), (0.5 + 1e-9, 0.5)))
    u = joined.state(x)["u"]
    f = [math.exp(-0.3 * math.pi**2 * t) for t in (0.2, 0.9, 0.5, 0.5)]
    expected = torch.tensor([f[0], 3 * f[1], f[2], 3 * f[3]], dtype=torch.float64)
    assert torch.allclose(u.values, expected, rtol=1e-7)
    assert torch.allclose(d(u, "t").values, -0.3 * math.pi**2 * expected, rtol=1e-7)
    assert torch.allclose(dxx(u).values, -(math.pi**2) * expected, rtol=1e-7)
    functions = Coordinates.of_functions(points((0.9, 0.5), (0.2, 0.5)))
    rates = d(joined.state(functions)["u"], "t").values
    assert torch.allclose(rates, -0.3 * math.pi**2 * expected[[1, 0]], rtol=1e-7)
    unfinished = Windows(HEAT, joined.parts[:1])
    assert float(unfinished.state(x)["u"].values[1].detach()) == pytest.approx(f[1])


def test_the_end_of_a_window_is_a_function_of_space() -> None:
    first = exact(window(HEAT, windows(TIME, 2)[0], None))
    final = Final(first, "u", 0.5)
    f = math.exp(-0.15 * math.pi**2)
    cloud = points((0.9, 0.25), (0.5, 0.25))  # at whatever time it is asked
    for x in (Coordinates(cloud), Coordinates.of_functions(cloud)):
        u = final({}, x)
        assert torch.allclose(u.values, torch.full((2,), f * math.sin(math.pi / 4), dtype=torch.float64))
        assert torch.allclose(dxx(u).values, -(math.pi**2) * u.values, rtol=1e-12)
        assert not d(u, "t").values.any()
    grid = Coordinates(HEAT.grid(5)).at_instant(0.5)
    assert torch.allclose(final({}, grid).values, f * torch.sin(math.pi * torch.linspace(0, 1, 5).double()))
    rate = Final(exact(window(STRING, windows(TIME, 8)[0], None)), "u", 0.125, order=1)
    v = rate({}, Coordinates(cloud))
    size = -2 * math.pi * math.sin(2 * math.pi * 0.125) * math.sin(math.pi / 4)
    assert torch.allclose(v.values, torch.full((2,), size, dtype=torch.float64))
    assert torch.allclose(dxx(v).values, -(math.pi**2) * v.values, rtol=1e-12)


def test_vectors_go_from_window_to_window() -> None:
    flow = make_problem("taylor_green_2d")
    assert flow.time is not None

    class Exact(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            y = Coordinates.of_functions(PointCloud(flow.axes, x))
            assert flow.exact is not None
            return torch.stack([f.values for f in flatten(flow.exact.formula(flow.bind(y), y)).values()], 1)

    joined = march(flow, windows(flow.time, 3), lambda part, before: NetworkSolution(part, Exact()))
    found = violations(joined.parts[2])
    assert found["initial velocity"] < 1e-12 and residual(joined) < 1e-8


def test_observations_are_where_their_times_are() -> None:
    seen = Observed("u", np.array([[0.0, 0.5], [0.5, 0.5], [0.6, 0.5]]), np.array([1.0, 2.0, 3.0]))
    problem = dataclasses.replace(HEAT, conditions=(*HEAT.conditions, seen))
    parts = [window(problem, time, None) for time in windows(TIME, 4)]
    kept = [[float(v) for c in p.conditions if isinstance(c, Observed) for v in c.values] for p in parts]
    assert kept == [[1.0], [2.0], [3.0], []]


def test_they_are_stored_and_read(tmp_path: Path) -> None:
    joined = march(HEAT, windows(TIME, 2), lambda part, before: exact(part))
    with torch.no_grad():
        joined.parts[1].module.size.mul_(1.5)  # type: ignore[attr-defined]
    joined.write(tmp_path)

    def read(part: Problem, folder: Path) -> NetworkSolution:
        solution = exact(part)
        solution.take(read_network(folder, "cpu"))
        return solution

    again = read_windows(HEAT, tmp_path, read)
    assert torch.equal(again.on()["u"], joined.on()["u"])
    assert again.parts[1].problem.time == joined.parts[1].problem.time
    with pytest.raises(InputError, match=r"cannot read the windows in .*windows\.json"):
        read_windows(HEAT, tmp_path / "nowhere", read)


def test_what_has_no_time_or_no_window_is_refused() -> None:
    with pytest.raises(InputError, match="poisson_2d is stationary"):
        window(make_problem("poisson_2d"), TIME, None)
    with pytest.raises(InputError, match="one window at least"):
        Windows(HEAT, [])


def test_each_window_is_solved_with_those_before_it_at_hand() -> None:
    seen: list[tuple[float, int]] = []

    def solve(part: Problem, before: Sequence[NetworkSolution]) -> NetworkSolution:
        assert part.time is not None
        seen.append((part.time.lower, len(before)))
        return exact(part)

    assert len(march(HEAT, windows(TIME, 4), solve).parts) == 4
    assert seen == [(0.0, 0), (0.25, 1), (0.5, 2), (0.75, 3)]
