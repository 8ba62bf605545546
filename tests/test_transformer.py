"""The operator transformer: points in any order and number, values wanted anywhere, refinement, shifts, masks."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from pdesolve.data.arrays import Memory
from pdesolve.data.dataset import Dataset, Variable
from pdesolve.data.task import Task
from pdesolve.data.windows import Windows
from pdesolve.datasets.training_data import FromDataset
from pdesolve.errors import InputError
from pdesolve.geometry import Axes, Axis, Grid, PointCloud
from pdesolve.nn.places import GridPlaces, PointPlaces
from pdesolve.operators.transformer.method import Transformer
from pdesolve.operators.transformer.model import TransformerNetwork, _harmonics, lattice, token_counts
from pdesolve.training.run import Run

DOUBLE = torch.float64
PERIODIC = Axes((Axis("x", 0.0, 1.0, periodic=True), Axis("y", 0.0, 1.0, periodic=True)))
MIXED = Axes((Axis("x", 0.0, 3.0, periodic=True), Axis("y", -1.0, 1.0)))
KERNELS = pytest.mark.parametrize("kernel", ["softmax", "linear"])


def network(axes: Axes, tokens: tuple[int, ...], parameters: int = 0, **settings: Any) -> TransformerNetwork:
    torch.manual_seed(0)
    made = TransformerNetwork(
        1, 2, parameters, tokens=tokens, periodic=[a.periodic for a in axes], width=16, depth=2, heads=2, moments=8,
        **settings,
    )  # fmt: skip
    return made.double().requires_grad_(False)


def field(x: Tensor) -> Tensor:
    """Values (sample, 1, place) at places (sample, place, axis) of the unit box, periodic there."""
    turn = 2 * math.pi * x
    return (torch.sin(turn[..., 0] + 0.3) * torch.cos(turn[..., 1]) + 0.5 * torch.cos(2 * turn[..., 1]))[:, None]


def points(n: int, samples: int = 1) -> Tensor:
    return torch.rand(samples, n, 2, dtype=DOUBLE, generator=torch.Generator().manual_seed(1))


def at_points(x: Tensor, weights: Tensor | None = None, axes: Axes = MIXED) -> PointPlaces:
    w = torch.ones_like(x[..., 0]) if weights is None else weights
    return PointPlaces(axes, x, w / w.sum(-1, keepdim=True))


@KERNELS
def test_order_doubles_and_padding_of_points_change_nothing(kernel: Any) -> None:
    made, none = network(MIXED, (4, 4), kernel=kernel), torch.zeros(2, 0, dtype=DOUBLE)
    x, wanted = points(60, 2), at_points(points(7)[:, :7])
    expected = made(field(x), none, at_points(x), wanted)
    assert expected.shape == (2, 2, 7)
    order = torch.randperm(60, generator=torch.Generator().manual_seed(2))
    assert torch.allclose(made(field(x[:, order]), none, at_points(x[:, order]), wanted), expected, atol=1e-10)
    moved = made(field(x), none, at_points(x), at_points(wanted.points.flip(1)))
    assert torch.allclose(moved.flip(2), expected, atol=1e-10)
    twice, weights = torch.cat([x, x[:, :20]], 1), torch.ones(2, 80, dtype=DOUBLE)
    weights[:, :20] = weights[:, 60:] = 0.5
    assert torch.allclose(made(field(twice), none, at_points(twice, weights), wanted), expected, atol=1e-10)

    padded = torch.cat([x, torch.zeros(2, 5, 2, dtype=DOUBLE)], 1)
    mask = torch.arange(65).expand(2, -1) < 60
    lower, length = torch.tensor([0.0, -1.0], dtype=DOUBLE), torch.tensor([3.0, 2.0], dtype=DOUBLE)
    places = PointPlaces.of(MIXED, lower + length * padded, mask=mask)
    values = torch.where(mask[:, None], field(padded), 1e3)
    assert torch.allclose(made(values, none, places, wanted), expected, atol=1e-10)


@KERNELS
def test_outcomes_converge_as_the_grid_is_refined(kernel: Any) -> None:
    made, none = network(MIXED, (4, 4), kernel=kernel), torch.zeros(1, 0, dtype=DOUBLE)
    wanted = at_points(points(9))

    def outcome(n: int) -> Tensor:
        at = GridPlaces.of(Grid.regular(MIXED, {"x": n, "y": n + 1}), dtype=DOUBLE)
        return made(field(at.columns()).view(1, 1, *at.shape), none, at, wanted)

    finest = outcome(192)
    apart = [float((outcome(n) - finest).norm() / finest.norm()) for n in (12, 24, 48)]
    assert apart[0] < 0.2 and math.log2(apart[0] / apart[2]) / 2 > 1.7, apart


def test_values_anywhere_are_those_of_the_grid() -> None:
    made, none = network(MIXED, (4, 4)), torch.zeros(1, 0, dtype=DOUBLE)
    at = GridPlaces.of(Grid.regular(MIXED, {"x": 12, "y": 9}), dtype=DOUBLE)
    v = field(at.columns()).view(1, 1, *at.shape)
    here = made(v, none, at, at)
    some = [0, 5, 50, 107]
    there = made(v, none, at, at_points(at.columns()[:, some]))
    assert made.elsewhere and here.shape == (1, 2, 12, 9)
    assert torch.allclose(here.flatten(2)[..., some], there, atol=1e-12)
    # continuous: across the faces of cells of tokens and around the period
    for place in ([0.25, 0.5], [0.0, 0.3]):
        near = torch.tensor([[place]], dtype=DOUBLE)
        sides = [(near + torch.tensor([e, 0.0])).remainder(1.0) for e in (-1e-7, 1e-7)]
        left, right = (made(v, none, at, at_points(side)) for side in sides)
        assert torch.allclose(left, right, atol=1e-4)


@KERNELS
def test_without_positions_it_commutes_with_shifts_by_tokens(kernel: Any) -> None:
    at = GridPlaces.of(Grid.regular(PERIODIC, 12), dtype=DOUBLE)
    x, none = torch.randn(2, 1, 12, 12, dtype=DOUBLE), torch.zeros(2, 0, dtype=DOUBLE)
    for positions, same in (("none", True), ("coordinates", False)):
        made = network(PERIODIC, (4, 4), kernel=kernel, positions=positions)
        y = made(x, none, at, at)
        shifted = made(x.roll((3, 6), (2, 3)), none, at, at).roll((-3, -6), (2, 3))
        assert torch.allclose(shifted, y, atol=1e-10) == same


def test_tokens_where_no_points_are_stay_out() -> None:
    """Points of an L: whatever is given where there is no domain, nothing of it comes in."""
    made, none = network(MIXED, (5, 5)), torch.zeros(1, 0, dtype=DOUBLE)
    x = points(400)
    inside = (x[0, :, 0] < 0.4) | (x[0, :, 1] < 0.4)
    within, weights = x[:, inside], inside.to(DOUBLE)[None]
    wanted = at_points(within[:, :5])
    expected = made(field(within), none, at_points(within), wanted)
    v = torch.where(inside, field(x), 7.0)
    assert torch.allclose(made(v, none, at_points(x, weights), wanted), expected, atol=1e-10)
    assert bool(expected.isfinite().all())


def test_parameters_count_and_gradients_are_finite() -> None:
    made = network(MIXED, (4, 4), parameters=2).requires_grad_()
    x, p = points(30, 2), torch.randn(2, 2, dtype=DOUBLE)
    y = made(field(x), p, at_points(x), at_points(x))
    assert not torch.allclose(y, made(field(x), 0 * p, at_points(x), at_points(x)), atol=1e-3)
    y.square().sum().backward()
    assert all(q.grad is not None and bool(q.grad.isfinite().all()) for q in made.parameters())


def test_tokens_follow_lengths_and_the_grid() -> None:
    assert token_counts(16, (1.0, 0.5), (True, False), ()) == [16, 9]
    assert token_counts(16, (1.0, 1.0), (True, False), (32, 8)) == [8, 3]
    assert lattice((2, 3), (True, False))[0].tolist() == [[0, 0], [0, 0.5], [0, 1], [0.5, 0], [0.5, 0.5], [0.5, 1]]
    with pytest.raises(InputError, match="made for 2 axes of space, got 1"):
        one = Axes((Axis("x", 0.0, 1.0),))
        network(MIXED, (4, 4)).check(PointPlaces.of(one, torch.rand(1, 3, 1)))


def scattered_samples(counts: list[int], seed: int) -> Dataset:
    """Samples on points of their own, as many as `counts` says: a = h + sin 2πy / 3 of a height h, and u = h cos πx."""
    draw = np.random.default_rng(seed)
    axes = Axes((Axis("x", 0.0, 1.0), Axis("y", 0.0, 1.0)))
    clouds = [draw.uniform(size=(n, 2)) for n in counts]
    height = draw.normal(size=len(counts))
    a = [h + np.sin(2 * np.pi * x[:, 1]) / 3 for h, x in zip(height, clouds, strict=True)]
    u = [h * np.cos(np.pi * x[:, 0]) for h, x in zip(height, clouds, strict=True)]
    named = {"a": Variable("a", Memory(np.concatenate(a)), ("point",))}
    named["u"] = Variable("u", Memory(np.concatenate(u)), ("point",))
    return Dataset(
        named,
        meshes=[PointCloud(axes, torch.from_numpy(x)) for x in clouds],
        offsets={"point": np.cumsum([0, *counts])},
        splits={"train": np.arange(len(counts))},
    )


def test_samples_of_different_points_are_learnt_and_predicted_at_others(tmp_path: Path) -> None:
    task = Task(("a",), ("u",))
    learner = Transformer(tokens=4, width=32, depth=1, moments=16)
    run = Run(seed=0, steps=120, dtype=torch.float32, measure=lambda candidate: candidate.validate())
    surrogate = learner.learn(FromDataset(scattered_samples([60, 90, 70, 80] * 4, 0), task), run)
    others = Windows(scattered_samples([150, 80, 100, 120], 1), task).batch(range(4))
    found, mask = surrogate.predict(others)["u"], others.mask["point"]
    truth = others.targets["u"]
    error = ((found - truth)[:, 0, 0][mask].norm() / truth[:, 0, 0][mask].norm()).item()
    assert found.shape == truth.shape and error < 0.35, error
    surrogate.write(tmp_path)
    grid = GridPlaces.of(Grid.regular(Axes((Axis("x", 0.0, 1.0), Axis("y", 0.0, 1.0))), 9))
    elsewhere = learner.restore(tmp_path).predict(others, grid)["u"]
    assert elsewhere.shape == (4, 1, 1, 9, 9) and bool(elsewhere.isfinite().all())
    left, right = elsewhere[:, 0, 0, 0].mean(-1), elsewhere[:, 0, 0, -1].mean(-1)
    assert bool((left * right < 0).all()) and torch.allclose(left, -right, atol=0.5)


def test_tokens_are_told_their_place_by_whole_turns_of_a_period_and_half_turns_of_an_axis() -> None:
    x = torch.tensor([[[0.1, 0.1]]], dtype=DOUBLE)
    angles = [[turn * math.pi * 0.1 * k for k in range(1, 5)] for turn in (2, 1)]
    expected = [f(angle) for row in angles for f in (math.cos, math.sin) for angle in row]
    assert _harmonics(x, (True, False)).flatten().tolist() == pytest.approx(expected)
