"""Every setting of the physics-informed neural network trains, goes on bit for bit, and does what it says."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any, get_args

import pytest
import torch

import pdesolve as ps
from pdesolve import Dirichlet, InitialValue, Problem, make_problem
from pdesolve.geometry import Adaptivity, PointCloud
from pdesolve.least_squares import Form, LeastSquares
from pdesolve.least_squares.footprint import measured
from pdesolve.least_squares.form import predicted_bytes
from pdesolve.metrics import relative_l2
from pdesolve.nn import Activation, Architecture, Features, Weights
from pdesolve.physics.collocation.jumps import Jumps
from pdesolve.physics.collocation.task import Task
from pdesolve.physics.collocation.weighting import INTERIOR, Emphasis
from pdesolve.physics.constraints import jumps
from pdesolve.physics.equations.heat import Heat
from pdesolve.physics.solvers.pinn.method import Pinn
from pdesolve.proof import residual, violations
from pdesolve.training.balance import Balancing
from pdesolve.training.budget import Budget
from pdesolve.training.checkpoint import Checkpoint, read_checkpoint
from pdesolve.training.run import Run

TINY = Pinn(width=8, depth=1, collocation=48, condition_points=12, feature_count=4, redraw=4, adam_share=0.5)
CHOICES: dict[str, Any] = {
    "architecture": Architecture, "activation": Activation, "weights": Weights, "features": Features,
    "balancing": Balancing, "emphasis": Emphasis, "adaptivity": Adaptivity,
}  # fmt: skip
VALUES = [("adaptivity", "rad")] + [  # the defaults once
    (name, value) for name, words in CHOICES.items() for value in get_args(words) if value != getattr(TINY, name)
]


def run_of(**settings: Any) -> Run:
    return Run(**{"budget": Budget.from_now(600), "steps": 12, "every": 0.0, **settings})


def state_of(solution: Any) -> list[torch.Tensor]:
    parts = getattr(solution, "parts", [solution])
    return [tensor for part in parts for tensor in part.module.state_dict().values()]


def same(first: Any, second: Any) -> bool:
    one, two = state_of(first), state_of(second)
    return len(one) == len(two) and all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


@pytest.fixture(scope="module")
def driven(tmp_path_factory: pytest.TempPathFactory) -> Problem:
    """Heat that is driven hard: nothing like zero solves the equation, and nothing constant the conditions."""
    path = tmp_path_factory.mktemp("driven") / "driven.yaml"
    path.write_text(
        "domain: {x: [0, 1]}\ntime: [0, 1]\nunknowns: u\nequation: dt(u) = 0.1*laplacian(u) - u*dx(u) + 4*cos(2*t)*x\n"
        "initial: {u: sin(pi*x)}\nboundary: {all: u = 0}\n"
    )
    return make_problem(str(path))


@pytest.mark.parametrize(("name", "value"), VALUES)
def test_every_value_lowers_what_is_left_of_equation_and_conditions(name: str, value: str, driven: Problem) -> None:
    """Both by measures that no weight of the method has a say in."""
    method = dataclasses.replace(TINY, conditions="soft", optimiser="lbfgs", learning_rate=1e-3, condition_weight=2.0)
    method = dataclasses.replace(method, **{name: value})
    run = run_of(steps=40)
    before, after = (left_over(method.solve(driven, each)) for each in (run_of(steps=1), run))
    assert all(math.isfinite(row["loss"]) for row in run.history)
    equation, conditions = (late / early for early, late in zip(before, after, strict=True))
    assert equation < 0.85 or value == "gate"  # which has only begun to let time pass
    assert conditions < 0.75 or (name, value) == ("features", "sine")  # whose frequencies still move


def test_rows_weigh_less_where_boundary_values_jump_and_nowhere_else() -> None:
    cavity, smooth = make_problem("lid_cavity"), make_problem("poisson_2d")
    places = tuple(jumps(cavity))
    assert places == ({"x": 0.0, "y": 1.0}, {"x": 1.0, "y": 1.0}) and jumps(smooth) == []
    weights = Jumps(cavity.axes, places, 0.2)
    x = torch.tensor([[0.0, 0.9], [1.0, 0.98], [0.97, 0.96], [0.5, 1.0]], dtype=torch.float64)
    torch.testing.assert_close(weights.weights(x, inside=True), x.new_tensor([0.25, 0.01, 0.0625, 1.0]))
    torch.testing.assert_close(weights.weights(x, inside=False), x.new_tensor([0.5, 0.1, 0.25, 1.0]))
    sizes = []
    for radius in (0.2, 0.0):
        method = Pinn(width=4, depth=1, jump_radius=radius)
        objective = Task.of(method, cavity, run=run_of()).objective(None, torch.Generator().manual_seed(0))
        sizes.append(objective.residual_size(PointCloud(cavity.axes, x)))
    torch.testing.assert_close(sizes[0], sizes[1] * weights.weights(x, inside=True))


def left_over(solution: Any) -> tuple[float, float]:
    """The residual and the violations of the conditions."""
    left = residual(solution)
    assert left is not None
    return left, math.hypot(*violations(solution).values())


@pytest.mark.parametrize(
    "changes",
    [
        {"balancing": "gradient_norm", "emphasis": "attention", "adaptivity": "rar_d"},
        {"balancing": "tangent_kernel", "emphasis": "causal", "adaptivity": "r3"},
        {"balancing": "gradient_statistics", "emphasis": "gate", "architecture": "piratenet", "weights": "factorised"},
    ],
    ids=["attention", "causal", "gate"],
)
def test_weights_are_part_of_the_checkpoint(changes: dict[str, Any], stopping_after, tmp_path: Path) -> None:
    problem = make_problem("burgers_shock")
    method = dataclasses.replace(TINY, conditions="soft", optimiser="self_scaled_broyden", **changes)
    whole = run_of()
    expected = method.solve(problem, whole)
    with stopping_after(5):
        method.solve(problem, run_of(folder=tmp_path))
    content = read_checkpoint(tmp_path, "")
    state = content["parts"]["objective"]["_extra_state"]
    assert state["adapted"] > 0 and state["weighting"]
    again = run_of(checkpoint=Checkpoint(tmp_path, content))
    assert same(method.solve(problem, again), expected)
    assert [row["loss"] for row in again.history] == [row["loss"] for row in whole.history]
    # that it is the state which matters here
    emptied = {"weighting": {}, "adapted": 0}
    content["parts"]["objective"]["_extra_state"] = emptied
    lost = run_of(checkpoint=Checkpoint(tmp_path, read_checkpoint(tmp_path, "") | {"parts": content["parts"]}))
    assert not same(method.solve(problem, lost), expected)


def test_attention_has_a_weight_for_each_point_that_is_added() -> None:
    method = dataclasses.replace(TINY, optimiser="adam", adaptivity="rar_d", emphasis="attention")
    seen: list[tuple[int, int]] = []

    class Looked(Run):
        def watch(self, *args: Any, **settings: Any) -> bool:
            points = parts[0]
            weights = points.objective.weighting.state["attention"][INTERIOR]
            seen.append((len(points.clouds[INTERIOR].x), weights.shape[-1]))
            return super().watch(*args, **settings)

    from pdesolve.physics.collocation import solver as home

    parts: list[Any] = []
    made = home.CollocationPoints

    def kept(*args: Any, **settings: Any) -> Any:
        parts.append(made(*args, **settings))
        return parts[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(home, "CollocationPoints", kept)
        method.solve(make_problem("burgers_shock"), Looked(budget=Budget.from_now(600), steps=12, every=0.0))
    assert all(points == weights for points, weights in seen)
    assert seen[-1][0] > seen[0][0] >= 48


def test_exact_conditions_hold_in_a_trained_network_and_soft_ones_are_named() -> None:
    said: list[str] = []
    exact = TINY.solve(make_problem("burgers_shock"), run_of(say=said.append))
    assert max(violations(exact).values()) < 1e-13
    soft = dataclasses.replace(TINY, conditions="soft").solve(make_problem("burgers_shock"), run_of())
    assert min(violations(soft).values()) > 1e-4
    problem = make_problem("burgers_shock")
    (initial,) = (c for c in problem.conditions if isinstance(c, InitialValue))
    jump = dataclasses.replace(initial, value=lambda p, x: ps.cos(3 * x["x"]))  # not zero at the walls
    with pytest.warns(UserWarning):
        meets_not = dataclasses.replace(
            problem, conditions=[jump if c is initial else c for c in problem.conditions], exact=None
        )
    run = run_of(say=said.append)
    left = TINY.solve(meets_not, run)
    (line,) = (line for line in said if "is left to the loss" in line)
    name = line.split(" is left")[0]
    assert violations(left)[name] > 1e-4 and f"loss {name}" in run.history[-1]


@pytest.mark.parametrize("size", [pytest.param((8, 2, 300), marks=pytest.mark.slow), (24, 1, 1200)])
def test_the_memory_of_least_squares_is_foreseen(size: tuple[int, int, int], monkeypatch) -> None:
    """The rows' tape and graph included. The most that tensors take in a step, and the copy of J that QR makes."""
    seen: list[int] = []
    step = LeastSquares.step

    def counted(self: LeastSquares, rows: Any) -> Any:
        loss, footprint = measured(lambda: step(self, rows))
        seen.append(footprint.peak)
        return loss

    monkeypatch.setattr(LeastSquares, "step", counted)
    width, depth, points = size
    method = dataclasses.replace(TINY, width=width, depth=depth, collocation=points, optimiser="levenberg_marquardt")
    run = run_of(steps=40)
    method.solve(make_problem("burgers_shock"), run)
    form = Form(**next(choice for name, choice in run.choices.items() if name.startswith("form")))
    assert form.kind == "dense" and form.rows == points
    matrix = 8 * form.rows * form.parameters
    assert max(seen) <= 1.1 * form.bytes and form.bytes <= 1.3 * (max(seen) + matrix)
    assert form.bytes > 1.1 * predicted_bytes("dense", form.rows, form.parameters)  # of a matrix that is there


def heat(size: float, length: float, duration: float) -> Problem:
    """A rod of that length for that long, with temperatures of that size; its diffusivity is 0.1 length²/duration."""
    import warnings

    domain = ps.Box(ps.Axis("x", 0.0, length))

    def start(p: Any, x: Any) -> Any:
        return size * ps.sin(math.pi * x["x"] / length) * (1 + 0.5 * x["x"] / length)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Problem(
            name="rod", equation=Heat(), domain=domain, time=ps.Axis("t", 0.0, duration),
            conditions=(InitialValue("u", start), Dirichlet("u")), values={"diffusivity": 0.1 * length**2 / duration},
            evaluation=ps.Evaluation(21, times=(0.5 * duration, duration)),
        )  # fmt: skip


@pytest.mark.parametrize("conditions", ["exact", "soft"])
def test_units_make_no_difference(conditions: Any) -> None:
    """Values a million times larger, a rod of a thousandth, ten thousand times as fast: equal but for rounding."""
    method = dataclasses.replace(TINY, conditions=conditions, optimiser="levenberg_marquardt", adam_share=0.5)
    small, large = (method.solve(heat(*units), run_of(steps=8)) for units in ((1.0, 1.0, 1.0), (1e6, 1e-3, 1e-4)))
    assert relative_l2(large.on()["u"] / 1e6, small.on()["u"]) < 1e-5


@pytest.mark.slow
@pytest.mark.usefixtures("own_folder")
def test_windows_train_store_load_and_go_on_bit_for_bit(stopping_after, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pdesolve.training.stages._AT_ONCE", 2)
    method = dataclasses.replace(TINY, windows=2, optimiser="self_scaled_broyden")
    settings: dict[str, Any] = {"steps": 16, "threads": 1}
    whole = ps.solve("burgers_shock", method, out="whole", **settings)
    assert len(whole.parts) == 2  # type: ignore[attr-defined]
    assert {c.stem for c in Path("whole").glob("window_*")} == {"window_1", "window_2"}
    loaded = ps.load("whole")
    assert same(loaded, whole) and torch.equal(loaded.on()["u"], whole.on()["u"])
    # the second starts where the first ends
    middle = torch.stack([torch.full((9,), 0.5), torch.linspace(-1, 1, 9)], 1).double()
    cloud = ps.PointCloud(whole.problem.axes, middle)
    first, second = (part.on(cloud)["u"] for part in whole.parts)  # type: ignore[attr-defined]
    assert torch.allclose(first, second, atol=1e-12) and float(first.abs().max()) > 0.1
    for after, call in ((10, 2), (15, 3)):  # in Adam of the second window, and in what follows it
        folder = f"run{after}"
        with stopping_after(after):
            ps.solve("burgers_shock", method, out=folder, **settings)
        place = read_checkpoint(Path(folder), _owner(folder))["position"]
        assert place["call"] == call and place["step"] > 0
        assert same(ps.resume(folder), whole)


def _owner(folder: str) -> str:
    from pdesolve.run_folder import CONFIG, owner
    from pdesolve.settings import read_config

    return owner(read_config(Path(folder) / CONFIG))
