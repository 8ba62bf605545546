"""Points to points through a latent grid: permutations, padding, refinement, seams, neighbours."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from pdesolve.errors import InputError
from pdesolve.geometry import Axes, Axis, Grid, GridAxis
from pdesolve.nn.places import GridPlaces, PointPlaces
from pdesolve.operators.gino.model import GeometryNetwork
from pdesolve.operators.gino.neighbours import neighbours

AXES = Axes((Axis("x", 0.0, 1.0), Axis("y", 0.0, 1.0, periodic=True)))
NONE = torch.zeros(2, 0).double()


def network() -> GeometryNetwork:
    torch.manual_seed(0)
    return GeometryNetwork(2, 3, (False, True), latent=12, radius=0.2, modes=6, width=8, depth=2).double()


def cloud(count: int, seed: int = 0, samples: int = 1) -> Tensor:
    return torch.rand(samples, count, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def values(points: Tensor) -> Tensor:
    """Two functions (sample, channel, point), periodic in y."""
    x, y = points[..., 0], 2 * math.pi * points[..., 1]
    return torch.stack([x * torch.cos(y), torch.sin(3 * x) + torch.sin(y)], 1)


def test_permuted_points_give_permuted_values() -> None:
    model, points = network(), cloud(60)
    order = torch.randperm(60, generator=torch.Generator().manual_seed(1))
    here, there = PointPlaces.of(AXES, points), PointPlaces.of(AXES, points[:, order])
    found = model(values(points), NONE[:1], here, here)
    assert found.shape == (1, 3, 60)
    assert torch.allclose(model(values(points[:, order]), NONE[:1], there, there), found[..., order], atol=1e-12)
    assert torch.allclose(model(values(points), NONE[:1], here, there), found[..., order], atol=1e-12)


def test_padding_and_the_company_of_other_samples_change_nothing() -> None:
    model = network()
    points = cloud(60, samples=2)
    mask = torch.arange(60) < torch.tensor([[60], [41]])
    padded = PointPlaces.of(AXES, points, mask=mask)
    both = model(values(points), NONE, padded, padded)
    for i, count in ((0, 60), (1, 41)):
        alone = PointPlaces.of(AXES, points[i : i + 1, :count])
        expected = model(values(points[i : i + 1, :count]), NONE[:1], alone, alone)
        assert torch.allclose(both[i : i + 1, :, :count], expected, atol=1e-12)
    assert float(both[1, :, 41:].detach().abs().max()) == 0.0
    # what stands in the padding is not read
    other = torch.where(mask[:, None], values(points), 7.0)
    assert torch.allclose(model(other, NONE, padded, padded), both, atol=1e-12)


def test_refined_points_converge_and_a_batch_is_its_samples() -> None:
    model, wanted = network(), PointPlaces.of(AXES, cloud(30, 7))

    def found(n: int) -> Tensor:
        members = (GridAxis(AXES["x"], "nodes", n + 1), GridAxis(AXES["y"], "periodic", n))
        grid = GridPlaces.of(Grid(members), dtype=torch.float64)
        x = values(grid.columns()).unflatten(2, grid.shape)
        pair = model(torch.cat([x, 2 * x]), NONE, grid, wanted)
        assert torch.allclose(pair[1:], model(2 * x, NONE[:1], grid, wanted), atol=1e-12)
        return pair.detach()

    finest = found(96)
    errors = [float((found(n) - finest).norm() / finest.norm()) for n in (12, 24, 48)]
    assert errors[0] < 0.02 and errors[1] < errors[0] / 3 and errors[2] < errors[1] / 3, "order two"


def test_there_is_no_seam_and_gradients_are_finite() -> None:
    model, points = network(), cloud(80)
    places = PointPlaces.of(AXES, points)
    line = torch.tensor([[[0.4, 1e-9], [0.4, 1 - 1e-9]]], dtype=torch.float64)
    ends = model(values(points), NONE[:1], places, PointPlaces.of(AXES, line))
    assert torch.allclose(ends[..., 0], ends[..., 1], atol=1e-6)
    ends.square().mean().backward()
    assert all(p.grad is None or bool(p.grad.isfinite().all()) for p in model.parameters())
    assert sum(p.grad is not None for p in model.parameters()) > 20


def test_neighbours_are_those_within_the_radius() -> None:
    points, queries = cloud(50)[0], cloud(20, 3)[0]
    near = neighbours(points, queries, 0.25, (False, True))
    apart = points[None] - queries[:, None]
    apart[..., 1] -= apart[..., 1].round()
    expected = {(i, j) for i, j in (apart.norm(dim=-1) < 0.25).nonzero().tolist()}
    assert set(zip(near.queries.tolist(), near.points.tolist(), strict=True)) == expected
    assert torch.allclose(near.offsets, apart[near.queries, near.points])


def test_points_are_looked_for_block_by_block(monkeypatch: pytest.MonkeyPatch) -> None:
    points, queries = cloud(50)[0], cloud(20, 3)[0]
    whole = neighbours(points, queries, 0.25, (False, True))
    monkeypatch.setattr("pdesolve.operators.gino.neighbours._AT_ONCE", 700)  # seven queries at once
    parts = neighbours(points, queries, 0.25, (False, True))
    assert torch.equal(parts.queries, whole.queries) and torch.equal(parts.points, whole.points)


def test_integrals_are_means_by_a_smooth_window_and_quadrature_weights() -> None:
    """Of a kernel of one: sum w m f / sum w m with m = (1 - |y - z|^2 / r^2)^2 within r."""
    model, points, queries = network(), cloud(50)[0], cloud(9, 3)[0]
    block = model.model.gno_in
    block.integral_transform.channel_mlp = torch.nn.Module()
    block.integral_transform.channel_mlp.forward = lambda pairs: torch.ones(len(pairs), 1, dtype=pairs.dtype)
    f, w = values(points[None]).transpose(1, 2), torch.rand(50, dtype=torch.float64)
    found = model._integral(block, f, points, w, queries)
    apart = points[None] - queries[:, None]
    apart[..., 1] -= apart[..., 1].round()
    m = w * (1 - apart.square().sum(-1) / 0.2**2).clamp(min=0).square()
    assert torch.allclose(found[0], m @ f[0] / m.sum(1, keepdim=True))


def test_radii_that_hold_nothing_are_refused() -> None:
    with pytest.raises(InputError, match=r"radius 0.02 and points of its latent grid of 12 are up to 0.0686 away"):
        GeometryNetwork(2, 3, (False, True), latent=12, radius=0.02, modes=6, width=8, depth=2)
    with pytest.raises(InputError, match="16 modes on a latent grid of 12"):
        GeometryNetwork(2, 3, (False, True), latent=12, radius=0.2, modes=16, width=8, depth=2)
    with pytest.raises(InputError, match=r"where 5 points have 0\.63 on average: train with"):
        network().check(PointPlaces.of(AXES, cloud(5)))
