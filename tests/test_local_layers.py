"""Layers on grids that stand for operators: against sums, over resolutions, at boundaries, under shifts."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from pdesolve.errors import InputError
from pdesolve.geometry import Axes, Axis, Grid
from pdesolve.nn.convolution import Derivative, Extension, LocalConvolution, spacings
from pdesolve.nn.filters import Filters, Lattice, Rings
from pdesolve.nn.integral_norm import IntegralNorm
from pdesolve.nn.places import GridPlaces
from pdesolve.nn.resampling import Layout, interpolated, resampled
from pdesolve.nn.spectral import SpectralConvolution

DOUBLE = torch.float64


def points(kind: Layout, n: int) -> Tensor:
    i = torch.arange(n, dtype=DOUBLE)
    return {"periodic": i / n, "nodes": i / max(n - 1, 1), "cells": (i + 0.5) / n}[kind]


def field(kind: Layout, n: int, axes: int, channels: int = 2) -> Tensor:
    """Smooth functions (2, channel, *space), the same at every resolution, periodic only where the axis is."""
    grid = torch.meshgrid(*[points(kind, n)] * axes, indexing="ij")
    turn = 2 * math.pi if kind == "periodic" else 2.5
    rows = [
        torch.sin(turn * sum((1 + (c + s + a) % 2) * x for a, x in enumerate(grid)) + c + 0.3 * s)  # type: ignore[operator]
        for s in range(2)
        for c in range(channels)
    ]
    return torch.stack(rows).reshape(2, channels, *[n] * axes)


def orders(error: Callable[[int], float], sizes: tuple[int, ...]) -> list[float]:
    found = [error(n) for n in sizes]
    return [math.log2(a / b) for a, b in pairwise(found)]


def common(fine: Tensor, coarse: Tensor, kind: Layout) -> Tensor:
    """Values of a finer grid at the points of a coarser one, which are among them."""
    skip = (fine.shape[-1] - (kind == "nodes")) // (coarse.shape[-1] - (kind == "nodes"))
    return fine[(..., *[slice(None, None, skip)] * (coarse.ndim - 2))]


def size(kind: Layout, n: int) -> int:
    return n + (kind == "nodes")


FILTERS = {
    1: (Lattice((1 / 16,)), Rings((0.13,), rings=3)),
    2: (Lattice((1 / 16, 1 / 20)), Rings((0.13, 0.1), rings=2, angles=5)),
    3: (Lattice((1 / 8,) * 3), Rings((0.26,) * 3)),
}


@pytest.mark.parametrize("filters", [f for kinds in FILTERS.values() for f in kinds], ids=str)
def test_filters_have_integral_one_and_lie_where_they_say(filters: Filters) -> None:
    axes = len(getattr(filters, "spacing", getattr(filters, "radii", ())))
    sampled = filters.sampled([1 / 40] * axes)
    assert sampled.shape[0] == filters.count and all(side % 2 for side in sampled.shape[1:]) and (sampled >= 0).all()
    assert torch.allclose(sampled.flatten(1).sum(1), torch.ones(filters.count, dtype=DOUBLE))
    j = [(torch.arange(side) - side // 2).to(DOUBLE) / 40 for side in sampled.shape[1:]]
    means = torch.stack([(sampled * x).flatten(1).sum(1) for x in torch.meshgrid(*j, indexing="ij")], 1)
    assert torch.allclose(means[filters.middle], torch.zeros(axes, dtype=DOUBLE), atol=1e-12)
    if isinstance(filters, Lattice):
        shifts = torch.cartesian_prod(*[torch.arange(-filters.reach, filters.reach + 1.0)] * axes).reshape(-1, axes)
        assert torch.allclose(means, shifts.to(DOUBLE) * torch.tensor(filters.spacing, dtype=DOUBLE), atol=0.002)
    else:
        # every direction is taken, and rings lie on both sides of the centre alike
        assert means.abs().max() > 0.02 and torch.allclose(means.sum(0), torch.zeros(axes, dtype=DOUBLE), atol=4e-3)


def test_rings_sum_to_the_hat_functions_of_the_radius() -> None:
    rings = Rings((0.2, 0.2), rings=3, angles=7)
    j = torch.arange(-200, 201, dtype=DOUBLE) / 1000
    parts = rings.sampled((1e-3, 1e-3))
    radius = torch.hypot(*torch.meshgrid(j, j, indexing="ij"))
    hat = (1 - (3 * radius / 0.2 - 1).abs()).clamp_min(0)[1:-1, 1:-1]
    # the integral of the ring k = 1 is 2π R²/n² k; over an angle it is the seventh part
    whole = parts[1:8].sum(0) / 7 * (2 * math.pi * 0.2**2 / 9)
    assert torch.allclose(whole / 1e-6, hat, atol=0.02)


def test_at_its_own_spacing_a_lattice_is_an_ordinary_convolution() -> None:
    torch.manual_seed(0)
    ours = LocalConvolution(2, 3, Lattice((1 / 16, 1 / 20)), kinds=("periodic",) * 2)
    theirs = nn.Conv2d(2, 3, 3, padding=1, padding_mode="circular")
    x = torch.randn(2, 2, 16, 20)
    with torch.no_grad():
        theirs.weight.copy_(ours.weight.unflatten(2, (3, 3)))
        assert theirs.bias is not None and ours.bias is not None
        theirs.bias.copy_(ours.bias)
    assert torch.allclose(ours(x), theirs(x), atol=1e-6)


def test_a_finer_grid_gets_the_kernel_interpolated_linearly() -> None:
    torch.manual_seed(0)
    layer = LocalConvolution(1, 1, Lattice((1 / 8,)), kinds=("periodic",), bias=None).double()
    a, b, c = layer.weight.detach().flatten().tolist()
    expected = torch.tensor([a / 2, a, (a + b) / 2, b, (b + c) / 2, c, c / 2], dtype=DOUBLE) / 2
    assert torch.allclose(layer.kernel((16,)).flatten(), expected)


@pytest.mark.parametrize("kind", ["periodic", "nodes", "cells"])
@pytest.mark.parametrize("ratios", [(1, 1), (2, 1), (3, 2)])
def test_on_grids_whole_times_finer_the_sum_is_taken_apart(kind: Layout, ratios: tuple[int, int]) -> None:
    torch.manual_seed(0)
    shape = tuple(8 * r + (kind == "nodes") for r in ratios)
    layer = LocalConvolution(2, 3, Lattice((1 / 8, 1 / 8)), kinds=(kind, kind), extension="zero", bias=0.3).double()
    x = torch.randn(2, 2, *shape, dtype=DOUBLE)
    kernel = layer.kernel(shape)
    around = [side // 2 for side in kernel.shape[2:]]
    x_at_ends = x.clone()
    for i in range(2):
        if kind == "nodes":
            x_at_ends.narrow(i + 2, 0, 1).div_(2)
            x_at_ends.narrow(i + 2, shape[i] - 1, 1).div_(2)
    padding = [around[1]] * 2 + [around[0]] * 2
    wide = functional.pad(x_at_ends, padding, mode="circular" if kind == "periodic" else "constant")
    assert torch.allclose(layer(x), functional.conv2d(wide, kernel, layer.bias), atol=1e-12)


@pytest.mark.parametrize(
    ("kind", "extension"), [("periodic", "odd"), ("nodes", "odd"), ("nodes", "even"), ("nodes", "zero")]
)
@pytest.mark.parametrize("axes", [1, 2])
@pytest.mark.parametrize("which", [0, 1], ids=["lattice", "rings"])
def test_convolutions_converge_as_the_grid_is_refined(
    kind: Layout, extension: Extension, axes: int, which: int
) -> None:
    torch.manual_seed(0)
    layer = LocalConvolution(1, 1, FILTERS[axes][which], kinds=(kind,) * axes, extension=extension).double()

    def outcome(n: int) -> Tensor:
        with torch.no_grad():
            return layer(field(kind, size(kind, n), axes, channels=1)[:1])

    finest = outcome(512 if axes == 1 else 128)

    def error(n: int) -> float:
        found = outcome(n)
        return float((found - common(finest, found, kind)).square().mean().sqrt())

    found = orders(error, (64, 256) if axes == 1 else (32, 64))
    assert found[0] > (2 if axes == 1 else 1) * 1.6, found  # order 2


def test_a_kernel_of_fixed_grid_points_does_not_converge() -> None:
    torch.manual_seed(0)
    plain = nn.Conv1d(2, 2, 3, padding=1, padding_mode="circular").double()
    layer = LocalConvolution(2, 2, Lattice((1 / 16,)), kinds=("periodic",)).double()
    layer.load_state_dict(plain.state_dict())
    trained, fine = plain(field("periodic", 16, 1)), field("periodic", 512, 1)

    def apart(found: Tensor) -> float:
        return float((found[..., ::32] - trained).norm().detach() / trained.norm().detach())

    assert apart(plain(fine)) > 5 * apart(layer(fine))


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("kind", ["nodes", "cells"])
def test_linear_functions_are_kept_at_boundaries(axes: int, kind: Layout) -> None:
    torch.manual_seed(0)
    n = 10
    grid = torch.meshgrid(*[points(kind, n)] * axes, indexing="ij")
    slopes = torch.arange(1.0, axes + 1).to(DOUBLE)
    u = sum(s * x for s, x in zip(slopes, grid, strict=True))
    assert isinstance(u, Tensor)
    filters = Lattice((1 / 10,) * axes)
    layer = LocalConvolution(1, 1, filters, kinds=(kind,) * axes, bias=None).double()
    kernel = layer.kernel(u.shape)[0, 0]
    h = spacings((kind,), (n,))[0]
    reach = kernel.shape[0] // 2
    offsets = torch.meshgrid(*[torch.arange(-reach, reach + 1).to(DOUBLE) * h] * axes, indexing="ij")
    moment = sum(s * (kernel * x).sum() for s, x in zip(slopes, offsets, strict=True))
    assert torch.allclose(layer(u[None, None])[0, 0], kernel.sum() * u + moment, atol=1e-12)

    derivative = Derivative(1, 1, kinds=(kind,) * axes, bias=None).double()
    weight = (derivative.weight - derivative.weight.mean())[0, 0].detach()
    j = torch.meshgrid(*[torch.arange(-1, 2).to(DOUBLE)] * axes, indexing="ij")
    slope = sum(s * (weight * i).sum() for s, i in zip(slopes, j, strict=True))
    assert isinstance(slope, Tensor)
    assert torch.allclose(derivative(u[None, None]), slope.expand(1, 1, *u.shape), atol=1e-10)


def test_the_largest_spacing_is_the_unit_of_differences() -> None:
    layer = Derivative(2, 3, kinds=("periodic", "nodes"))
    differences = layer.weight - layer.weight.mean((2, 3), keepdim=True)
    assert torch.allclose(layer.kernel((10, 41)), 10 * differences), "1/10 and 1/40"


@pytest.mark.parametrize(("kind", "order"), [("periodic", 1), ("nodes", 1)])
def test_differences_converge_to_derivatives(kind: Layout, order: int) -> None:
    torch.manual_seed(0)
    layer = Derivative(1, 1, kinds=(kind, kind), bias=None).double()
    weight = (layer.weight - layer.weight.mean())[0, 0].detach()
    slopes = [
        float(weight.sum(1) @ weight.new_tensor([-1, 0, 1])),
        float(weight.sum(0) @ weight.new_tensor([-1, 0, 1])),
    ]

    def error(n: int) -> float:
        x, y = torch.meshgrid(*[points(kind, size(kind, n))] * 2, indexing="ij")
        phase = 2 * math.pi * (x + 2 * y) + 0.3
        truth = 2 * math.pi * torch.cos(phase) * (slopes[0] + 2 * slopes[1])
        return float((layer(torch.sin(phase)[None, None])[0, 0] - truth).detach().abs().mean())

    found = orders(error, (32, 64, 128))
    assert min(found) > order - 0.15, found


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_shifts_of_periodic_functions_shift_the_outcome(axes: int) -> None:
    torch.manual_seed(0)
    kinds: tuple[Layout, ...] = ("periodic",) * axes
    layers = [
        *(LocalConvolution(2, 2, f, kinds=kinds) for f in FILTERS[axes]),
        Derivative(2, 2, kinds=kinds), SpectralConvolution(2, 2, (4,) * axes), IntegralNorm(2),
    ]  # fmt: skip
    x = torch.randn(2, 2, *[16] * axes, dtype=DOUBLE)
    dims = tuple(range(2, 2 + axes))
    for layer in layers:
        shifted = layer.double()(x.roll((3,) * axes, dims))
        assert torch.allclose(shifted, layer(x).roll((3,) * axes, dims), atol=1e-10), layer


@pytest.mark.parametrize("kind", ["periodic", "nodes", "cells"])
def test_normalisation_is_by_integrals(kind: Layout) -> None:
    norm = IntegralNorm(4, groups=2).double()
    axes = Axes((Axis("x", 0, 1, periodic=kind == "periodic"), Axis("y", 0, 3, periodic=kind == "periodic")))

    def normed(n: int) -> Tensor:
        places = GridPlaces.of(Grid.regular(axes, n, bounded=kind), dtype=DOUBLE)
        return norm(field(kind, n, 2, channels=4), places.weights())

    finest = normed(size(kind, 3 * 64))

    def error(n: int) -> float:
        found = normed(size(kind, n))
        if kind == "cells":  # the middle of three cells is that of the coarse one
            return (
                float((found - finest[..., 1::3, 1::3][..., :: 64 // n, :: 64 // n]).detach().abs().mean())
                if n == 64
                else 0.0
            )
        return float((found - common(finest, found, kind)).detach().abs().mean())

    if kind == "nodes":
        assert orders(error, (16, 64))[0] > 2 * 1.8
    assert error(64) < 1e-3
    x = field(kind, size(kind, 16), 2, channels=4)
    w = torch.full((1, x[0, 0].numel()), 1 / x[0, 0].numel(), dtype=DOUBLE)
    assert torch.allclose(norm(x, w), norm(x), atol=1e-12)


@pytest.mark.parametrize("kind", ["periodic", "nodes", "cells"])
def test_interpolation_is_exact_on_shared_points_and_of_order_four(kind: Layout) -> None:
    def error(n: int) -> float:
        found = interpolated(field(kind, n, 2), (61, 53), (kind, kind))
        x, y = torch.meshgrid(points(kind, 61), points(kind, 53), indexing="ij")
        turn = 2 * math.pi if kind == "periodic" else 2.5
        return float((found[0, 0] - torch.sin(turn * (x + 2 * y))).abs().max())

    found = orders(error, (20, 40, 80))
    assert min(found) > 3.4, found
    fine = field(kind, 3 * 16 + (kind == "nodes"), 1)
    skip = fine[..., 1::3] if kind == "cells" else fine[..., ::3]
    assert torch.allclose(interpolated(fine, (size(kind, 16),), (kind,)), skip, atol=1e-13)
    cubic = points("nodes", 9) ** 3
    assert torch.allclose(interpolated(cubic[None, None], (20,), ("nodes",))[0, 0], points("nodes", 20) ** 3)


@pytest.mark.parametrize("kind", ["periodic", "nodes", "cells"])
def test_resampling_down_converges(kind: Layout) -> None:
    finest = resampled(field(kind, size(kind, 256), 1), (size(kind, 16),), (kind,))
    found = orders(
        lambda n: float((resampled(field(kind, size(kind, n), 1), (size(kind, 16),), (kind,)) - finest).norm() + 1e-15),
        (32, 64),
    )
    assert kind == "periodic" or found[0] > 1.8


def test_what_does_not_fit_a_grid_is_refused() -> None:
    layer = LocalConvolution(1, 1, Rings((0.4, 0.4)), kinds=("nodes", "nodes"))
    with pytest.raises(InputError, match=r"miss the points of a grid of spacing 0\.5, 0\.5"):
        layer(torch.zeros(1, 1, 3, 3))
    with pytest.raises(InputError, match="rings >= 2"):
        Rings((0.4,), rings=1)
    with pytest.raises(InputError, match="6 channels do not make 4 groups"):
        IntegralNorm(6, groups=4)
    wide = LocalConvolution(1, 1, Rings((1.4,)), kinds=("periodic",))
    with pytest.raises(InputError, match="reaches over 11 points and an axis has 8"):
        wide(torch.zeros(1, 1, 8))
