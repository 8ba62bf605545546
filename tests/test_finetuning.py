"""Fine-tuning at test time: known solutions, orders of convergence, gradients, what stays and what is refused."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from torch import Tensor
from waves import waves

import pdesolve as ps
from pdesolve.cli import main
from pdesolve.data.arrays import Memory
from pdesolve.data.dataset import Coordinate, Dataset, Variable
from pdesolve.data.moments import moments
from pdesolve.data.signature import signature_of
from pdesolve.data.task import InitialToFinal, Steps, Task
from pdesolve.datasets.generation import generate
from pdesolve.errors import InputError
from pdesolve.fields import GridField, Quantity
from pdesolve.fields import cos as cosine
from pdesolve.fields import sin as sine
from pdesolve.finetuning.collocation import PeriodicCollocation
from pdesolve.finetuning.descent import Outcome, solved, solved_in_time
from pdesolve.finetuning.discrete import DiscreteEquations
from pdesolve.finetuning.flow import FlowBalance
from pdesolve.finetuning.posing import known_start, truth_at
from pdesolve.finetuning.sparse import SparseEquations
from pdesolve.finetuning.window import Window, along
from pdesolve.geometry import Axis, Box, Grid, Interval
from pdesolve.labelled import read_dataset
from pdesolve.least_squares import Functional
from pdesolve.method import Surrogate
from pdesolve.nn.places import Places
from pdesolve.physics.equations.burgers import Burgers
from pdesolve.physics.equations.darcy import Darcy
from pdesolve.physics.equations.heat import Heat
from pdesolve.physics.equations.nonlinear_poisson import NonlinearPoisson
from pdesolve.physics.equations.wave import Wave
from pdesolve.problem import Problem

SQUARE = Box(Axis("x", 0.0, 1.0), Axis("y", 0.0, 1.0))


class Guess(Surrogate):
    """Answers with the data themselves, changed by a function: a surrogate whose error is known."""

    def __init__(self, data: Dataset, task: Task, change: Callable[[Tensor], Tensor]) -> None:
        found = moments(data, split="")
        self.signature = signature_of(data, task, found)
        self.device, self.notes, self.data, self.change = torch.device("cpu"), {}, data, change

    def start(self, batch: Any) -> Any:
        return batch.numbers.tolist()

    def step(self, carry: Any) -> Any:
        return carry

    def read(self, carry: Any, at: Places | None = None) -> dict[str, Tensor]:
        frames, found = self.signature.frames, {}
        for slot in self.signature.targets:
            values = torch.as_tensor(np.asarray(self.data.read(slot.name)))[carry]
            values = values[:, list(frames.wanted(values.shape[1]))] if frames else values[:, None]
            found[slot.name] = self.change(values[:, :, None]).float()
        return found

    def write(self, folder: Path) -> None:
        raise NotImplementedError


def rough(values: Tensor) -> Tensor:
    """5 % of the size of the values off, at all scales."""
    noise = torch.randn(values.shape, generator=torch.Generator().manual_seed(0), dtype=values.dtype)
    return values + 0.05 * values.square().mean().sqrt() * noise


def nothing(values: Tensor) -> Tensor:
    return torch.zeros_like(values)


def coordinates(grid: Grid) -> dict[str, Coordinate]:
    return {m.axis.name: Coordinate(m.axis, m.points) for m in grid.members}


def field(name: str, values: np.ndarray, dims: tuple[str, ...]) -> Variable:
    return Variable(name, Memory(values), dims)


def flows(n: int, samples: int = 3) -> tuple[Dataset, Problem]:
    """u = k sin(pi x) sin(2 pi y) for a = 1 + x y / 2 + k cos(pi x), given as numbers on nodes, k by sample."""
    grid = Grid.regular(SQUARE.axes, n)
    x, y = np.meshgrid(*(m.points for m in grid.members), indexing="ij")
    k = 1.0 + 0.1 * np.arange(samples)[:, None, None]
    pi, c, s = math.pi, np.cos, np.sin
    a = 2 + x * y / 2 + 0.3 * k * c(pi * x)
    u = k * s(pi * x) * s(2 * pi * y)
    ux, uy = k * pi * c(pi * x) * s(2 * pi * y), 2 * k * pi * s(pi * x) * c(2 * pi * y)
    f = 5 * pi**2 * a * u - (y / 2 - 0.3 * k * pi * s(pi * x)) * ux - (x / 2) * uy
    dims = ("sample", "x", "y")
    variables = {n: field(n, v, dims) for n, v in (("u", u), ("permeability", a), ("source", f))}
    problem = Problem("manufactured", Darcy(), SQUARE, (ps.Dirichlet("u", "all", 0.0),))
    return Dataset(variables, coordinates(grid)), problem


FLOW = Task(("permeability", "source"), ("u",))


def test_a_flow_converges_with_order_two_from_any_guess() -> None:
    errors = []
    for n in (17, 33):
        data, problem = flows(n)
        found = ps.finetune(Guess(data, FLOW, nothing), data, problem=problem, tolerance=1e-9)
        assert found.error is not None and found.discretisation.startswith("finite volumes")
        assert (found.error[:, 0] == 1.0).all() and (found.defect[:, 1] < 1e-9).all()
        errors.append(found.error[:, 1])
    assert (np.abs(np.log2(errors[0] / errors[1]) - 2) < 0.15).all(), errors


def test_fine_tuned_fields_do_not_depend_on_the_guess_and_are_in_double_precision() -> None:
    data, problem = flows(13)
    one, other = (ps.finetune(Guess(data, FLOW, g), data, problem=problem, tolerance=1e-12) for g in (rough, nothing))
    assert one.dataset["u"].dtype == np.float64
    np.testing.assert_allclose(one.dataset["u"].values, other.dataset["u"].values, atol=1e-11)
    assert one.dataset["u"].dims == ("sample", "x", "y") and "permeability" in one.dataset


def test_each_sample_is_the_same_alone() -> None:
    data, problem = flows(9)
    guess = Guess(data, FLOW, nothing)
    whole = ps.finetune(guess, data, problem=problem, tolerance=1e-12).dataset["u"].values
    part = data.isel({"sample": [2]})
    alone = ps.finetune(Guess(part, FLOW, nothing), part, problem=problem, tolerance=1e-12).dataset["u"].values
    np.testing.assert_allclose(alone[0], whole[2], atol=1e-12)


def test_a_guess_that_is_the_solution_stays() -> None:
    family = ps.make_family("darcy_smooth", {"points": 17})
    (problem,) = family.sample(3)
    data = family.simulator.simulate(problem)
    grid = problem.evaluation_set
    assert isinstance(grid, Grid)
    u = torch.as_tensor(data.read("u"))[:, None]
    found = solved(FlowBalance(problem, grid, values={}), u, iterations=9, tolerance=1e-9)
    assert (found.steps == 0).all() and found.products <= 1 and (found.after < 1e-10).all()
    np.testing.assert_allclose(found.u.numpy(), u.numpy(), atol=1e-15)


def test_a_single_step_does_not_raise_the_residual() -> None:
    data, problem = flows(13)
    found = ps.finetune(Guess(data, FLOW, rough), data, problem=problem, iterations=1, tolerance=1e-14)
    assert (found.steps == 1).all() and (found.defect[:, 1] < 0.01 * found.defect[:, 0]).all()
    assert found.error is not None and (found.error[:, 1] < found.error[:, 0]).all()


def walls() -> Problem:
    """-lap u + u^3 = f of u = sin(pi x) cos(y), values on two walls, slopes on the others."""

    def exact(p: Any, x: Any) -> Any:
        return sine(math.pi * x["x"]) * cosine(x["y"])

    def source(p: Any, x: Any) -> Any:
        return (math.pi**2 + 1) * exact(p, x) + exact(p, x) ** 3

    conditions = (
        ps.Dirichlet("u", ("x_min", "x_max"), 0.0),
        ps.Neumann("u", "y_min", 0.0),
        ps.Neumann("u", "y_max", lambda p, x: -math.sin(1.0) * sine(math.pi * x["x"])),
    )
    return Problem("cubic", NonlinearPoisson(), SQUARE, conditions, values={"source": source})


def test_other_equations_converge_with_the_order_of_their_differences() -> None:
    errors = []
    for n in (17, 33):
        problem = walls()
        grid = Grid.regular(SQUARE.axes, n)
        x, y = np.meshgrid(*(m.points for m in grid.members), indexing="ij")
        u = np.stack([np.sin(math.pi * x) * np.cos(y)] * 2)
        noise = np.random.default_rng(0).standard_normal((2, n, n))
        dims = ("sample", "x", "y")
        data = Dataset({"u": field("u", u, dims), "g": field("g", noise, dims)}, coordinates(grid))
        found = ps.finetune(Guess(data, Task(("g",), ("u",)), rough), data, problem=problem, tolerance=1e-10)
        assert found.error is not None and found.discretisation.startswith("differences")
        assert (found.defect[:, 1] < 1e-10).all() and (found.steps >= 2).all()  # it is not linear
        errors.append(found.error[:, 1].max())
    assert 3.5 < math.log2(errors[0] / errors[1]) < 6, errors


def ring(points: int = 32) -> tuple[Dataset, Problem]:
    """Burgers flows of three viscosities on a ring, by exponential time differencing, with eight frames."""
    from pdesolve.integration.spectral_simulator import SpectralSimulator

    time, domain = Axis("t", 0.0, 1.0), Interval("x", 0.0, 2 * math.pi, periodic=True)
    nu = torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64)
    start = ps.InitialValue("u", lambda p, x: sine(x["x"]) + 0.5 * cosine(2 * x["x"]))
    made = Problem(
        "ring", Burgers(), domain, (start,), time, {"viscosity": nu},
        evaluation=ps.Evaluation.uniform(points, time, 8),
    )  # fmt: skip
    data = SpectralSimulator(1e-3).simulate(made)
    return data, replace(made, values={})


FINAL = Task(("u",), ("u",), InitialToFinal(), ("viscosity",))
AHEAD = Task(("u",), ("u",), Steps(past=2, ahead=4), ("viscosity",))


@pytest.mark.parametrize(("task", "steps", "times"), [(FINAL, 0, [1.0]), (AHEAD, 0, [0.25, 0.375, 0.5, 0.625])])
def test_frames_become_those_of_a_classical_solver(task: Task, steps: int, times: list[float]) -> None:
    data, problem = ring()
    found = ps.finetune(Guess(data, task, rough), data, problem=problem, steps=steps, tolerance=1e-9)
    assert found.dataset["t"].values == pytest.approx(times)
    assert found.error is not None and (found.error[:, 0] > 0.01).all()
    assert (found.error[:, 1] < 2e-8).all() and found.unresolved < 1e-9, (found.error, found.unresolved)
    assert "points in time" in found.discretisation


def test_data_of_the_same_discretisation_are_met_where_it_resolves_little() -> None:
    family = ps.make_family("navier_stokes", {"points": 12, "frames": 2})
    (problem,) = family.sample(2)
    data = family.simulator.simulate(problem)
    task = Task(("vorticity",), ("vorticity",), Steps(past=1, ahead=2))
    found = ps.finetune(Guess(data, task, rough), data, problem=problem, tolerance=1e-8)
    assert found.error is not None and (found.error[:, 1] < 1e-5).all() and (found.error[:, 0] > 0.04).all()


def test_points_in_time_converge_exponentially() -> None:
    data, problem = ring(16)
    space = data.grid()
    u = torch.as_tensor(data.read("u"))[:, :, None]
    values = {"viscosity": torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64)}
    found = []
    for m in (4, 8, 12, 32):
        window = Window((0.0, 1.0), m)
        equations = PeriodicCollocation(problem, space, window, u[:, 0], values=values)
        guess = u[:, :1].expand(-1, m + 1, -1, -1)
        last = solved(equations, guess, iterations=20, tolerance=1e-13).u[:, -1]
        found.append(last)
    far = [float((last - found[-1]).norm() / found[-1].norm()) for last in found[:-1]]
    assert far[1] < 0.05 * far[0] and far[2] < 0.05 * far[1], far


def test_growing_modes_are_left_to_polynomials(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same trajectories without e^(t L): slower to converge, since short waves have layers, and no other ones."""
    data, problem = ring(16)
    u = torch.as_tensor(data.read("u"))[:, :, None]
    values = {"viscosity": torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64)}
    found = []
    for growth, exact in ((2.0, True), (-math.inf, False)):
        monkeypatch.setattr("pdesolve.finetuning.collocation._GROWTH", growth)
        equations = PeriodicCollocation(problem, data.grid(), Window((0.0, 1.0), 24), u[:, 0], values=values)
        assert equations.exact == exact
        # products obey the 2/3 rule: of 16 points the waves up to 5
        assert not equations.first[..., 6:].any() and bool(equations.first[..., 1:3].abs().min() > 0)
        guess = u[:, :1].expand(-1, 25, -1, -1)
        found.append(solved(equations, guess, iterations=20, tolerance=1e-12).u[:, -1])
    torch.testing.assert_close(found[0], found[1], rtol=1e-8, atol=1e-9)


def test_of_a_constant_coefficient_the_defect_is_the_distance_to_the_solution() -> None:
    """Unknowns and rows are in the norm of the energy and divided by the coefficient: the Jacobian is the identity."""
    data, problem = flows(9, 2)
    held = {name: GridField(torch.as_tensor(data.read(name)), data.grid(), Quantity(name)) for name in ("source",)}
    values = held | {"permeability": GridField(torch.full((2, 9, 9), 5.0).double(), data.grid(), Quantity("a"))}
    equations = FlowBalance(problem, data.grid(), values=values)
    generator = torch.Generator().manual_seed(0)
    theta, other = torch.randn(2, 2, 49, dtype=torch.float64, generator=generator)
    torch.testing.assert_close(equations.error(theta) - equations.error(other), theta - other)
    solution = theta - equations.error(theta)
    assert float(equations.residual(solution).norm() / equations.residual(0 * theta).norm()) < 1e-12


def test_figures_of_refined_time_are_those_of_the_first_guess(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps and products add up, the distance before is that of the guess, and frames come from the finest points."""
    outcomes = [
        Outcome(torch.zeros(1, 3, 1, 2), *(torch.tensor([0.5**i * 10**j]) for j in range(4)), torch.tensor([i]), i, "")
        for i in (4, 3)
    ]
    left = [0.1, 1e-9]  # what more points would change

    class Stub:
        def at(self, u: Tensor, times: Any) -> Tensor:
            return torch.full((1, len(times), 1, 2), 7.0)

        def unknowns(self, u: Tensor) -> Tensor:
            return torch.ones(1, 1)

        def error(self, theta: Tensor) -> Tensor:
            return torch.full((1, 1), left.pop(0))

    given = iter(outcomes)
    monkeypatch.setattr("pdesolve.finetuning.descent.solved", lambda *_, **__: next(given))
    frames = torch.zeros(1, 2, 1, 2, dtype=torch.float64)
    found = solved_in_time(lambda window, u: Stub(), (0.0, 1.0), frames, iterations=9, tolerance=1e-6)  # type: ignore[arg-type, return-value]
    first, second = outcomes
    assert found.before == first.before and found.rows_before == first.rows_before
    assert found.after == second.after and found.rows_after == second.rows_after
    assert found.steps == 7 and found.products == 7 and found.unresolved == pytest.approx(1e-9)
    assert found.u.shape == (1, 2, 1, 2) and bool((found.u == 7.0).all())


def test_what_is_known_is_the_last_given_frame() -> None:
    data, problem = ring(16)
    guess = Guess(data, Task(("u",), ("u",), Steps(past=2, ahead=2, stride=2)), rough)
    labelled = xr.Dataset(coords={"t": np.array([0.0, 0.25, 0.5, 0.75])})
    first, times, kept = known_start(guess, data, labelled, problem)
    np.testing.assert_array_equal(first[:, 0].numpy(), data.read("u")[:, 2])
    assert times == pytest.approx((0.25, 0.5, 0.75)) and kept == 2, "two frames are no later than that"
    truth = truth_at(data, "u", (0.5, 0.75), False)
    assert truth is not None
    np.testing.assert_array_equal(truth[:, :, 0].numpy(), data.read("u")[:, [4, 6]])
    assert truth_at(data, "u", (0.5, 0.7), False) is None, "no truth where the data have no frame"


def test_a_window_is_exact_for_polynomials() -> None:
    window = Window((1.0, 1.7, 2.1, 3.0), 6)
    points = torch.from_numpy(window.axis.points)
    cubic, slope = points**3 - points, 3 * points**2 - 1
    torch.testing.assert_close(window.derivative @ cubic, slope[1:])
    frames = torch.tensor([t**3 - t for t in window.times], dtype=torch.float64)
    torch.testing.assert_close(window.at(window.times) @ cubic, frames)
    torch.testing.assert_close(window.of_frames(frames, 0), cubic)  # a cubic spline through four frames
    finer = Window(window.times, 9)
    again = along(window.at(finer.axis.points.tolist()), cubic[None, :, None], 1)[0, :, 0]
    torch.testing.assert_close(again, torch.from_numpy(finer.axis.points) ** 3 - torch.from_numpy(finer.axis.points))


def test_evolutions_between_walls() -> None:
    """u = exp(-k pi^2 t) sin(pi x) + x, whose walls hold 0 and 1."""
    problem = Problem(
        "rod", Heat(), Interval("x", 0.0, 1.0),
        (ps.InitialValue("u", lambda p, x: x["x"]), ps.Dirichlet("u", "x_min", 0.0), ps.Dirichlet("u", "x_max", 1.0)),
        Axis("t", 0.0, 0.5), evaluation=ps.Evaluation(9, (0.0, 0.5)),
    )  # fmt: skip
    k, errors = np.array([0.1, 0.3]), []
    for n in (9, 17):
        x, t = np.linspace(0, 1, n), np.linspace(0, 0.5, 3)
        u = np.exp(-k[:, None, None] * math.pi**2 * t[:, None]) * np.sin(math.pi * x) + x
        data = Dataset(
            {"u": field("u", u, ("sample", "t", "x"))},
            {"t": Coordinate(Axis("t", 0.0, 0.5), t), "x": Coordinate(Axis("x", 0.0, 1.0), x)},
            {"diffusivity": field("diffusivity", k, ("sample",))},
        )
        task = Task(("u",), ("u",), InitialToFinal(), ("diffusivity",))
        found = ps.finetune(Guess(data, task, nothing), data, problem=problem, tolerance=1e-9)
        assert found.error is not None and (found.defect[:, 1] < 1e-9).all()
        errors.append(found.error[:, 1].max())
    assert 3.5 < math.log2(errors[0] / errors[1]) < 6, errors


def discrete() -> dict[str, DiscreteEquations]:
    data, problem = flows(7)
    grid = data.grid()
    values: Any = {n: GridField(torch.as_tensor(data.read(n)), grid, Quantity(n)) for n in ("permeability", "source")}
    moving, periodic = ring(8)
    u = torch.as_tensor(moving.read("u"))[:, :, None]
    nu: Any = {"viscosity": torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64)}
    return {
        "flow": FlowBalance(problem, grid, values=values),
        "periodic": PeriodicCollocation(periodic, moving.grid(), Window((0.0, 1.0), 5), u[:, 0], values=nu),
        "sparse": SparseEquations(walls(), grid, torch.ones(1, 1, *grid.shape, dtype=torch.float64), values={}),
    }


@pytest.mark.parametrize("kind", ["flow", "periodic", "sparse"])
def test_gradients_agree_with_central_differences(kind: str) -> None:
    equations = discrete()[kind]
    shape = {"flow": (3, 1, 7, 7), "periodic": (3, 6, 1, 8), "sparse": (1, 1, 7, 7)}[kind]
    generator = torch.Generator().manual_seed(1)
    theta = equations.unknowns(torch.randn(shape, generator=generator, dtype=torch.float64))
    direction = torch.randn(theta.shape, generator=generator, dtype=torch.float64)
    objective = Functional(lambda theta: {"equation": equations.error(theta)})
    here, h = objective.linearise(theta), 1e-6
    rows = (objective.values(theta + h * direction) - objective.values(theta - h * direction)) / (2 * h)
    torch.testing.assert_close(here.jacobian.times(direction), rows, rtol=1e-6, atol=1e-6)
    slope = (objective.loss(theta + h * direction) - objective.loss(theta - h * direction)) / (2 * h)
    torch.testing.assert_close((here.gradient * direction).sum(-1), slope, rtol=1e-6, atol=1e-6)
    # M^-1 r = 0 where r = 0, and only there
    root = solved(equations, equations.fields(theta), iterations=20, tolerance=1e-12)
    assert (root.rows_after < 1e-9).all() and (root.after < 1e-11).all()


def test_data_that_name_no_equation_are_given_one_by_name() -> None:
    family = ps.make_family("darcy", {"points": 9, "modes": 4})
    (problem,) = family.sample(3)
    made = family.simulator.simulate(problem)
    data = replace(made, attributes={}, parameters={})
    guess = Guess(data, Task(("permeability",), ("u",)), nothing)
    own = ps.finetune(guess, replace(made, attributes={**made.attributes, "family": "darcy"}), tolerance=1e-11)
    named = ps.finetune(guess, data, problem="darcy_2d", tolerance=1e-11)
    np.testing.assert_allclose(named.dataset["u"].values, own.dataset["u"].values, atol=1e-11)
    with pytest.raises(InputError, match="permeability of darcy differs between samples and is not in the data"):
        bare = replace(
            data, attributes={"family": "darcy"}, variables={"u": data.variables["u"], "v": data.variables["u"]}
        )
        ps.finetune(Guess(bare, Task(("v",), ("u",)), nothing), bare)


def test_bad_input_is_refused_in_a_line() -> None:
    data, problem = flows(9)
    guess = Guess(data, FLOW, rough)
    with pytest.raises(InputError, match=r"name no equation .*--problem NAME"):
        ps.finetune(guess, data)
    with pytest.raises(InputError, match="iterations are one or more"):
        ps.finetune(guess, data, problem=problem, iterations=0)
    with pytest.raises(InputError, match="predicts of sample 1 is not finite"):
        ps.finetune(Guess(data, FLOW, lambda v: v / torch.tensor([1.0, 0, 1])[:, None, None, None, None]), data,
                    problem=problem)  # fmt: skip
    with pytest.raises(InputError, match="runs from 0 to 1, in far from 0 to 2"):
        far = Box(Axis("x", 0.0, 2.0), Axis("y", 0.0, 1.0))
        ps.finetune(guess, data, problem=Problem("far", Darcy(), far, (ps.Dirichlet("u", "all", 0.0),)))
    with pytest.raises(InputError, match="is an evolution and the surrogate predicts no frames"):
        ps.finetune(guess, data, problem=ring(8)[1])
    moving = waves()
    with pytest.raises(InputError, match="Wave is of second order in time"):
        rope = Problem("rope", Wave(), Interval("x", 0.0, 1.0, periodic=True),
                       (ps.InitialValue("u", 0.0), ps.InitialRate("u", 0.0)), Axis("t", 0.0, 1.0),
                       evaluation=ps.Evaluation(9, (0.0, 1.0)))  # fmt: skip
        ps.finetune(Guess(moving, Task(("u",), ("u",), Steps(past=1, ahead=1)), rough), moving, problem=rope)
    other = replace(data, variables={**data.variables, "v": replace(data.variables["u"], name="v")})
    with pytest.raises(InputError, match="has the unknown u of 1 components, the surrogate predicts v of 1"):
        ps.finetune(Guess(other, Task(("permeability",), ("v",)), rough), other, problem=problem)
    scattered = Guess(data, FLOW, rough)
    scattered.signature = replace(scattered.signature, members=())
    with pytest.raises(InputError, match="scattered points"):
        ps.finetune(scattered, data, problem=problem)


def test_walls_of_which_nothing_is_known_are_refused() -> None:
    data, _ = flows(9)
    waves_only = waves()
    problem = ring(16)[1]
    on_unit = replace(problem, domain=Interval("x", 0.0, 1.0, periodic=False),
                      conditions=(*problem.conditions, ps.Dirichlet("u", "x_min", 0.0)))  # fmt: skip
    with pytest.raises(InputError, match="runs from 0 to 1 around, in ring from 0 to 1"):
        task = Task(("u",), ("u",), Steps(past=1, ahead=1))
        ps.finetune(Guess(waves_only, task, rough), waves_only, problem=on_unit)
    part = Problem("open", Darcy(), SQUARE, (ps.Dirichlet("u", ("x_min", "x_max", "y_min"), 0.0),))
    with pytest.raises(InputError, match="says nothing of u at y_max: the wall is not known"):
        ps.finetune(Guess(data, FLOW, rough), data, problem=part)


def test_a_residual_that_is_not_finite_is_told() -> None:
    data, problem = flows(9)
    broken = replace(
        data, variables={**data.variables, "source": field("source", np.full((3, 9, 9), np.inf), ("sample", "x", "y"))}
    )
    task = Task(("permeability",), ("u",))
    with pytest.raises(InputError, match="residual of sample 0 of 1 is not finite"):
        ps.finetune(Guess(data, task, rough), broken, problem=problem)


@pytest.mark.usefixtures("own_folder")
def test_the_command_says_how_far_predictions_were(capsys: pytest.CaptureFixture[str]) -> None:
    generate(ps.make_family("darcy_smooth", {"points": 17, "modes": 8}), 12, "flow.h5")
    small = ["--method.modes", "4", "--method.width", "6", "--method.depth", "1", "--steps", "6", "--threads", "1"]
    assert main(["train", "fno", "--data", "flow.h5", *small, "--device", "cpu", "--out", "run"]) == 0
    capsys.readouterr()
    words = ["predict", "run", "--data", "flow.h5", "--samples", "1,4"]
    assert main([*words, "--finetune", "20", "--tolerance", "1e-8", "--json", "--out", "p.nc"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["error"]["after"]["worst"] < 1e-2 < told["error"]["before"]["median"]
    assert told["defect"]["after"]["worst"] < 1e-8 and len(told["steps"]) == 2
    found = read_dataset(Path("p.nc"))
    assert found["u"].dtype == np.float64 and json.loads(found.attrs["finetuned"])["steps"] == told["steps"]
    assert main([*words, "--finetune", "20", "--out", "p.nc"]) == 0
    assert "error against the data" in capsys.readouterr().out
    for more, line in (
        (["--grid", "9,9", "--finetune", "2"], "leave out --grid"),
        (["--tolerance", "1e-3"], "write --finetune N too"),
        (["--finetune", "20", "--problem", "heat_1d"], "heat_1d is an evolution and the surrogate predicts no frames"),
    ):
        assert main([*words, *more, "--out", "q.nc"]) == 2
        said = capsys.readouterr().err
        assert line in said and said.count("\n") == 1, said
    assert not Path("q.nc").exists()
