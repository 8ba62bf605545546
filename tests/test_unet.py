"""The U-Net between functions: scales, refinement of an untrained network, parameters, refusals."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import gelu

from pdesolve.errors import InputError
from pdesolve.geometry import Axes, Axis, Grid, GridAxis
from pdesolve.nn.places import GridPlaces, PointPlaces
from pdesolve.nn.resampling import Layout
from pdesolve.nn.unet_network import UNetNetwork, scales

DOUBLE = torch.float64
NONE = torch.zeros(1, 0, dtype=DOUBLE)


def axes_of(kind: Layout, count: int) -> Axes:
    return Axes(tuple(Axis(name, 0.0, 2.0, periodic=kind == "periodic") for name in "xyz"[:count]))


def places(kind: Layout, n: int, count: int) -> GridPlaces:
    grid = Grid.regular(axes_of(kind, count), n, bounded="cells" if kind == "cells" else "nodes")
    return GridPlaces.of(grid, dtype=DOUBLE)


def field(at: GridPlaces) -> Tensor:
    """A smooth function (1, 1, *space), periodic where the axes are."""
    turn = 2 * math.pi if at.axes.members[0].periodic else 2.0
    phase = sum((i + 1) * x for i, x in enumerate(at.columns()[0].unbind(-1)))
    return torch.sin(turn * phase + 0.4).view(1, 1, *at.shape)  # type: ignore[operator]


def network(kind: Layout, base: int, count: int, **settings: Any) -> UNetNetwork:
    torch.manual_seed(0)
    made = UNetNetwork(1, 1, 0, base=(base,) * count, kinds=(kind,) * count, width=4, depth=3, **settings)
    return made.double().requires_grad_(False)


def test_scales_halve_intervals_down_to_a_few_points() -> None:
    assert scales((64, 32), ("periodic", "cells"), 5) == ((64, 32), (32, 16), (16, 8), (8, 4), (4, 4))
    assert scales((33,), ("nodes",), 9) == ((33,), (17,), (9,), (5,), (4,))
    assert scales((3,), ("cells",), 4) == ((3,),)


@pytest.mark.parametrize("extension", ["zero", "even", "odd"])
@pytest.mark.parametrize(("kind", "count"), [("periodic", 1), ("nodes", 1), ("cells", 1), ("nodes", 2)])
def test_outcomes_converge_as_the_grid_is_refined(kind: Layout, count: int, extension: Any) -> None:
    ends = int(kind == "nodes")
    base = (16 if count == 1 else 8) + ends
    made = network(kind, base, count, extension=extension)
    ratios = (1, 3, 9, 27) if count == 1 else (1, 3, 9)
    found = []
    for ratio in ratios:
        at = places(kind, (base - ends) * ratio + ends, count)
        first = ratio // 2 if kind == "cells" else 0  # the middle one of the cells of a coarser one
        found.append(made(field(at), NONE, at, at)[(..., *[slice(first, None, ratio)] * count)])
    apart = [float((y - found[-1]).square().mean().sqrt() / found[-1].std()) for y in found[:-1]]
    # what was trained for is not far from the limit, and refinement goes there at the order of the quadrature
    assert apart[0] < 0.5, apart
    order = math.log(apart[0] / apart[-1]) / math.log(ratios[-2])
    assert order > 1.2, (order, apart)


def test_a_grid_coarser_than_the_base_is_refined_first() -> None:
    made = network("periodic", 32, 2)
    fine, coarse = places("periodic", 32, 2), places("periodic", 16, 2)
    here, there = (made(field(at), NONE, at, at) for at in (fine, coarse))
    assert float((here[..., ::2, ::2] - there).norm() / there.norm()) < 0.02


@pytest.mark.parametrize("count", [1, 2, 3])
def test_without_positions_it_commutes_with_shifts_by_the_coarsest_scale(count: int) -> None:
    made = network("periodic", 16, count, placed=False)
    at = places("periodic", 16, count)
    x = torch.randn(2, 1, *at.shape, dtype=DOUBLE)
    dims, by = tuple(range(2, 2 + count)), (4,) * count
    y = made(x, NONE, at, at)
    assert torch.allclose(made(x.roll(by, dims), NONE, at, at), y.roll(by, dims), atol=1e-10)
    assert not torch.allclose(made(x.roll((1,) * count, dims), NONE, at, at), y.roll((1,) * count, dims), atol=1e-4)


def test_parameters_scale_and_shift_each_block() -> None:
    torch.manual_seed(0)
    made = UNetNetwork(1, 1, 2, base=(16,), kinds=("cells",), width=4, depth=2).double()
    at = places("cells", 16, 1)
    x, p = torch.randn(2, 1, 16, dtype=DOUBLE), torch.randn(2, 2, dtype=DOUBLE)
    assert torch.equal(made(x, p, at, at), made(x, 0 * p, at, at))  # at the start they have no say
    block, v = made.down[0][0], torch.randn(2, 4, 16, dtype=DOUBLE)  # type: ignore[index]
    scale, shift = torch.arange(1.0, 5.0, dtype=DOUBLE), torch.arange(-2.0, 2.0, dtype=DOUBLE)
    assert torch.equal(block(v, None, torch.ones(2, 64, dtype=DOUBLE)), block(v, None, None))
    inner = block.norms[1](block.first(gelu(block.norms[0](v))))
    block.modulation.bias.data = torch.cat([scale, shift])
    expected = v + block.second(gelu((1 + scale[:, None]) * inner + shift[:, None]))
    assert torch.allclose(block(v, None, torch.ones(2, 64, dtype=DOUBLE)), expected)
    with torch.no_grad():
        for module in made.modules():
            if getattr(module, "modulation", None) is not None:
                module.modulation.weight.normal_()  # type: ignore[union-attr, operator]
    y = made(x, p, at, at)
    assert not torch.allclose(y, made(x, 0 * p, at, at), atol=1e-3)
    other = torch.stack([p[0], -p[1]])
    changed = (made(x, other, at, at) - y).abs().amax((1, 2))
    assert changed[0] == 0 and changed[1] > 1e-3
    y.sum().backward()
    assert all(q.grad is not None and bool(q.grad.isfinite().all()) for q in made.parameters())


def test_what_is_no_even_grid_of_the_same_kind_is_refused() -> None:
    made = network("nodes", 16, 1)
    axis = Axis("x", 0.0, 2.0)
    refused = {
        "got points": PointPlaces.of(Axes((axis,)), torch.rand(1, 5, 1)),
        "evenly spaced": GridPlaces.of(Grid((GridAxis(axis, "chebyshev", 16),))),
        "got cell centres": places("cells", 16, 1),
        "at least 4 points along x, got 3": places("nodes", 3, 1),
    }
    for text, at in refused.items():
        with pytest.raises(InputError, match=text):
            made.check(at)
    made.check(places("nodes", 40, 1))


def test_bfloat16_keeps_two_digits() -> None:
    made = network("nodes", 9, 2).float().requires_grad_()
    for n in (9, 17):
        at = GridPlaces.of(Grid.regular(axes_of("nodes", 2), n))
        x, none = torch.randn(2, 1, n, n), torch.zeros(2, 0)
        with torch.autocast("cpu", torch.bfloat16):
            rough = made(x, none, at, at)
        exact = made(x, none, at, at)
        assert rough.dtype == torch.bfloat16 and float((rough - exact).detach().norm() / exact.detach().norm()) < 0.06
        rough.float().square().mean().backward()
        assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in made.parameters())
