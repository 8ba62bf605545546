"""The residual of an equation as a loss, against the equation written out by transforms and differences."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from pdesolve.condition import InitialValue
from pdesolve.data.arrays import Memory
from pdesolve.data.dataset import Coordinate, Dataset, Variable
from pdesolve.data.moments import moments
from pdesolve.data.signature import signature_of
from pdesolve.data.task import Frames, Steps, Task, Trajectory
from pdesolve.data.windows import Windows
from pdesolve.geometry import Axis, Interval
from pdesolve.physics.equations.burgers import Burgers
from pdesolve.physics.equations.two_species_reaction import TwoSpeciesReaction
from pdesolve.problem import Evaluation, Problem
from pdesolve.surrogates.placing import Placing
from pdesolve.training.equation_residual import EquationResidual

FRAMES, POINTS, GAP = 6, 16, 0.125
SPACE, TIME = Axis("x", 0.0, 2 * math.pi, periodic=True), Axis("t", 0.0, GAP * (FRAMES - 1))
VISCOSITY = np.array([0.1, 0.5, 2.0])


def fields(seed: int) -> np.ndarray:
    """Sums of three waves of random sizes in each frame, (sample, t, x)."""
    draw, x = np.random.default_rng(seed), 2 * math.pi * np.arange(POINTS) / POINTS
    return sum(
        (draw.normal(size=(3, FRAMES, 1)) * f(k * x) for k in (1, 2, 3) for f in (np.sin, np.cos)), np.zeros(())
    )  # fmt: skip


def data() -> Dataset:
    places = {
        "t": Coordinate(TIME, GAP * np.arange(FRAMES)),
        "x": Coordinate(SPACE, 2 * math.pi * np.arange(POINTS) / POINTS),
    }
    numbers = {"viscosity": Variable("viscosity", Memory(VISCOSITY), ("sample",))}
    return Dataset({"u": Variable("u", Memory(fields(0)), ("sample", "t", "x"))}, places, numbers)


def slope(u: np.ndarray, order: int) -> np.ndarray:
    k = 1j * np.fft.rfftfreq(POINTS, 1 / POINTS)
    return np.fft.irfft(k**order * np.fft.rfft(u), POINTS)


@pytest.mark.parametrize(
    ("frames", "given"), [(Steps(past=1, ahead=5), 1), (Steps(past=2, ahead=4), 2), (Trajectory(), 0)]
)
def test_it_is_the_mean_square_of_the_residual_over_that_of_the_rate_of_the_truth(frames: Frames, given: int) -> None:
    """u_t + u u_x - nu u_xx with each sample's nu, differences of order two over frames, given ones in front."""
    domain = Interval("x", 0.0, 2 * math.pi, periodic=True)
    wanted = Evaluation.uniform(POINTS, TIME, FRAMES - 1)
    problem = Problem("ring", Burgers(), domain, (InitialValue("u", 0.0),), TIME, evaluation=wanted)
    task = Task(("u",), ("u",), frames)
    signature = signature_of(data(), task, moments(data(), split=""))
    batch = Windows(data(), task, dtype=torch.float64).batch(range(3))
    predicted = fields(1)[:, given:]
    u = np.concatenate([fields(0)[:, :given], predicted], 1)
    rate = np.gradient(u, GAP, axis=1, edge_order=2)
    residual = rate + u * slope(u, 1) - VISCOSITY[:, None, None] * slope(u, 2)
    scale = np.diff(fields(0), axis=1) / GAP
    loss = EquationResidual(problem, signature)(
        {"u": torch.from_numpy(predicted)[:, :, None]}, batch.targets,
        Placing(signature).of(batch, dtype=torch.float64), batch,
    )  # fmt: skip
    assert float(loss) == pytest.approx((residual**2).mean() / (scale**2).mean(), rel=1e-9)


def test_a_system_counts_each_of_its_equations_alike() -> None:
    """a_t = D a_xx - k a b^2 and b_t = D b_xx - 2 k a b^2: the mean of two scaled residuals."""
    domain = Interval("x", 0.0, 2 * math.pi, periodic=True)
    wanted = Evaluation.uniform(POINTS, TIME, FRAMES - 1)
    start = (InitialValue("a", 0.0), InitialValue("b", 0.0))
    problem = Problem("vessel", TwoSpeciesReaction(), domain, start, TIME, evaluation=wanted)
    whole = data()
    truth = {"a": fields(0), "b": 10 * fields(2)}
    whole = replace(
        whole, variables={k: Variable(k, Memory(u), ("sample", "t", "x")) for k, u in truth.items()}, parameters={}
    )
    signature = signature_of(whole, Task(("a", "b"), ("a", "b"), Trajectory()), moments(whole, split=""))
    batch = Windows(whole, signature.task, dtype=torch.float64).batch(range(3))
    a, b = fields(1), fields(3)
    terms = []
    for u, true, share in ((a, truth["a"], 1.0), (b, truth["b"], 2.0)):
        residual = np.gradient(u, GAP, axis=1, edge_order=2) - 2e-3 * slope(u, 2) + share * 0.1 * a * b**2
        terms.append((residual**2).mean() / ((np.diff(true, axis=1) / GAP) ** 2).mean())
    loss = EquationResidual(problem, signature)(
        {"a": torch.from_numpy(a)[:, :, None], "b": torch.from_numpy(b)[:, :, None]}, batch.targets,
        Placing(signature).of(batch, dtype=torch.float64), batch,
    )  # fmt: skip
    assert float(loss) == pytest.approx(np.mean(terms), rel=1e-9)
