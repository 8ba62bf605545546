"""Layers at points that stand for operators: against sums, over refinement, order and doubled points."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from pdesolve.errors import InputError
from pdesolve.geometry import Axes, Axis, Grid
from pdesolve.nn.kernel_integral import (
    KernelIntegral,
    LowRankIntegral,
    Pairs,
    around_lattice,
    gathered,
    scattered,
    within,
)
from pdesolve.nn.places import GridPlaces, axis_lengths
from pdesolve.nn.weighted_attention import Attention, Rotary, linear_attention, softmax_attention, turned

DOUBLE = torch.float64
RADII = (0.3, 0.25)
Layer = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]  # values, at, weights, wanted -> values


def values(at: Tensor, channels: int = 8) -> Tensor:
    """Smooth functions (sample, place, channel) of coordinates (sample, place, axis)."""
    k = torch.arange(1, channels + 1, dtype=DOUBLE)
    return torch.sin(2 * at[..., :1] * k.sqrt() + 0.4 * k) * torch.cos(3 * at[..., 1:] - 0.2 * k)


def attention(kernel: str) -> Layer:
    torch.manual_seed(1)
    layer = Attention(8, heads=2, kernel=kernel).double()  # type: ignore[arg-type]
    rotary = Rotary(4, (False, False)).double()
    return lambda v, at, w, wanted: layer(values(wanted).expand(len(v), -1, -1), v, w, (rotary(wanted), rotary(at)))


def ball(total: bool) -> Layer:
    torch.manual_seed(1)
    layer = KernelIntegral(8, 2, hidden=16, total=total).double()
    return lambda v, at, w, wanted: layer(v, within(wanted, at, RADII, (False, False)), w)


def low_rank() -> Layer:
    torch.manual_seed(1)
    return LowRankIntegral(8, 2, rank=3, hidden=16).double()  # type: ignore[return-value]


def cells() -> Layer:
    """From points to tokens, and from these to other points."""
    torch.manual_seed(1)
    first, second = (KernelIntegral(8, 2, hidden=16, total=total).double() for total in (False, True))

    def layer(v: Tensor, at: Tensor, w: Tensor, wanted: Tensor) -> Tensor:
        tokens = first(v, around_lattice(at, (4, 5), (True, False)).turned(20), w)
        return second(tokens, around_lattice(wanted, (4, 5), (True, False)), torch.ones(1, 20, dtype=DOUBLE))

    return layer


def low(v: Tensor, at: Tensor, w: Tensor, wanted: Tensor) -> Tensor:
    return low_rank()(v, at, wanted, w)


LAYERS: dict[str, Layer] = {
    "softmax attention": attention("softmax"), "linear attention": attention("linear"),
    "integral in a ball": ball(True), "mean in a ball": ball(False), "low rank": low, "tokens": cells(),
}  # fmt: skip
WANTED = torch.rand(1, 9, 2, dtype=DOUBLE, generator=torch.Generator().manual_seed(3))


def cloud(n: int, samples: int = 2) -> tuple[Tensor, Tensor]:
    """Points (sample, n, 2) and weights that sum to one."""
    draw = torch.Generator().manual_seed(2)
    w = torch.rand(samples, n, dtype=DOUBLE, generator=draw) + 0.1
    return torch.rand(samples, n, 2, dtype=DOUBLE, generator=draw), w / w.sum(1, keepdim=True)


@pytest.mark.parametrize("name", LAYERS)
@torch.no_grad()
def test_order_and_doubled_points_change_nothing(name: str) -> None:
    at, w = cloud(40)
    expected = LAYERS[name](values(at), at, w, WANTED)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(4))
    assert torch.allclose(LAYERS[name](values(at[:, order]), at[:, order], w[:, order], WANTED), expected, atol=1e-12)
    turned_back = LAYERS[name](values(at), at, w, WANTED.flip(1)).flip(1)
    assert torch.allclose(turned_back, expected, atol=1e-12)
    # the first ten points twice, each time with half of their weight
    twice, halves = torch.cat([at, at[:, :10]], 1), torch.cat([w, w[:, :10] / 2], 1)
    halves[:, :10] /= 2
    assert torch.allclose(LAYERS[name](values(twice), twice, halves, WANTED), expected, atol=1e-12)
    whole = torch.cat([w, w[:, :10]], 1)
    assert not torch.allclose(LAYERS[name](values(twice), twice, whole, WANTED), expected, atol=1e-4)


@pytest.mark.parametrize("name", LAYERS)
@torch.no_grad()
def test_points_without_weight_change_nothing(name: str) -> None:
    at, w = cloud(40)
    expected = LAYERS[name](values(at), at, w, WANTED)
    more, none = (
        torch.cat([at, torch.rand(2, 5, 2, dtype=DOUBLE)], 1),
        torch.cat([w, torch.zeros(2, 5, dtype=DOUBLE)], 1),
    )
    v = values(more)
    v[:, 40:] = 1e3
    assert torch.allclose(LAYERS[name](v, more, none, WANTED), expected, atol=1e-10)


@pytest.mark.parametrize("name", LAYERS)
@torch.no_grad()
def test_layers_converge_as_the_grid_is_refined(name: str) -> None:
    axes = Axes((Axis("x", 0, 1), Axis("y", 0, 1)))

    def outcome(n: int) -> Tensor:
        places = GridPlaces.of(Grid.regular(axes, n, bounded="nodes"), dtype=DOUBLE)
        at = places.columns()
        # windows that end between points: the sum over a ball is of first order in the mean, hats of about the second
        return LAYERS[name](values(at), at, places.weights(), WANTED)

    finest = outcome(161)
    errors = [float((outcome(n) - finest).square().mean().sqrt()) for n in (11, 41)]
    order = math.log2(errors[0] / errors[1]) / 2
    assert order > (0.8 if "ball" in name else 1.4), (order, errors)


def test_attention_is_the_quotient_of_two_integrals() -> None:
    draw = torch.Generator().manual_seed(5)
    q, k, v = (torch.randn(2, 3, n, 4, dtype=DOUBLE, generator=draw) for n in (6, 10, 10))
    _, w = cloud(10)
    e = torch.exp(torch.einsum("bhic,bhjc->bhij", q, k) / 2) * w[:, None, None]
    expected = torch.einsum("bhij,bhjc->bhic", e / e.sum(-1, keepdim=True), v)
    assert torch.allclose(softmax_attention(q, k, v, w), expected)
    expected = torch.einsum("bhic,bhjc,bhjd,bj->bhid", q, k, v, w)
    assert torch.allclose(linear_attention(q, k, v, w), expected)


def test_a_kernel_integral_is_the_sum_over_its_ball() -> None:
    torch.manual_seed(0)
    at, w = cloud(30)
    layer = KernelIntegral(8, 2, hidden=16, total=True).double()
    pairs = within(WANTED, at, RADII, (True, False))
    found = layer(values(at), pairs, w)
    v = values(at)
    for s, i in ((0, 0), (1, 4), (1, 8)):
        apart = at[s] - WANTED[0, i]
        apart[:, 0] -= apart[:, 0].round()
        apart = apart / torch.tensor(RADII, dtype=DOUBLE)
        near = apart.norm(dim=1) < 1
        one = Pairs(torch.zeros(1, 30).long(), torch.arange(30)[None], apart[None], near[None].to(DOUBLE), 1)
        assert near.any() and torch.allclose(layer(v[s : s + 1], one, w[s : s + 1])[0, 0], found[s, i])
    mean, far = KernelIntegral(8, 2, hidden=16).double(), WANTED + torch.tensor([0.0, 9.0], dtype=DOUBLE)
    mean.load_state_dict(layer.state_dict())
    mass = scattered((pairs.window * w.gather(1, pairs.sources))[..., None], pairs.targets, 9)
    assert torch.allclose(mean(v, pairs, w) * mass, found) and float(mass.min()) > 0
    assert not mean(v, within(far, at, RADII, (True, False)), w).any(), "nothing where a window is empty"
    mask = torch.rand(2, 30, generator=torch.Generator().manual_seed(6)) > 0.4
    masked = layer(v, within(WANTED, at, RADII, (True, False), mask=mask), w)
    assert torch.allclose(masked, layer(v, pairs, w * mask), atol=1e-12)


def test_windows_of_a_lattice_interpolate_linearly() -> None:
    at, _ = cloud(50)
    pairs = around_lattice(at, (4, 6), (True, False))
    ones = scattered(pairs.window[..., None], pairs.targets, 50)
    assert torch.allclose(ones, torch.ones_like(ones))
    corners = torch.cartesian_prod(torch.arange(4).to(DOUBLE) / 4, torch.arange(6).to(DOUBLE) / 5)[None]
    linear = gathered(corners[..., 1:].expand(2, -1, -1), pairs.sources) * pairs.window[..., None]
    assert torch.allclose(scattered(linear, pairs.targets, 50), at[..., 1:])
    # offsets point from a place to a corner, in cells, around the period too
    places = gathered(at, pairs.targets)
    there = places + pairs.offsets * torch.tensor([1 / 4, 1 / 5], dtype=DOUBLE)
    apart = there - gathered(corners.expand(2, -1, -1), pairs.sources)
    apart[..., 0] -= apart[..., 0].round()
    assert pairs.sources.shape == (2, 4 * 50) and apart.abs().max() < 1e-12
    back = pairs.turned(24)
    there = gathered(corners, back.targets) + back.offsets * torch.tensor([1 / 4, 1 / 5], dtype=DOUBLE)
    apart = there - gathered(at, back.sources)
    apart[..., 0] -= apart[..., 0].round()
    assert back.count == 24 and apart.abs().max() < 1e-12


def test_linear_attention_does_not_grow_with_keys_and_values() -> None:
    torch.manual_seed(0)
    at, w = cloud(30)
    layer = Attention(8, heads=2, kernel="linear").double()
    before = layer(values(at), values(at), w)
    with torch.no_grad():
        layer.both.weight.mul_(9.0)
        layer.both.bias.mul_(-4.0)  # a constant has no part in it
    assert torch.allclose(layer(values(at), values(at), w), before, rtol=1e-2, atol=1e-3)


def test_rotary_products_depend_on_differences_alone() -> None:
    rotary = Rotary(16, (True, False)).double()
    assert rotary.turns[:, 0].unique().tolist() == [0.0, 1.0, 3.0, 6.0, 16.0], "whole turns of a period"
    assert rotary.turns[1::2, 1].tolist() == pytest.approx([0.5 * 32 ** (i / 3) for i in range(4)])
    draw = torch.Generator().manual_seed(7)
    q, k = torch.randn(2, 1, 1, 1, 16, dtype=DOUBLE, generator=draw)
    x, y = torch.rand(2, 1, 1, 2, dtype=DOUBLE, generator=draw)
    shift = torch.tensor([0.7, 0.1], dtype=DOUBLE)

    def product(a: Tensor, b: Tensor) -> Tensor:
        return (turned(q, rotary(a)) * turned(k, rotary(b))).sum()

    assert torch.allclose(product(x, y), product(x + shift, y + shift))
    assert torch.allclose(product(x, y), product(x + torch.tensor([1.0, 0.0]), y))
    assert not torch.allclose(product(x, y), product(x, y + shift))


def test_lengths_are_physical_where_axes_share_a_unit() -> None:
    x, y = Axis("x", 0, 4, unit="m"), Axis("y", 0, 1, unit="m")
    assert axis_lengths((x, y)) == (1.0, 0.25)
    assert axis_lengths((x, Axis("z", 0, 1, unit="kg"))) == (1.0, 1.0)


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(InputError, match="wider than a period"):
        within(WANTED, WANTED, (0.6, 0.1), (True, False))
    with pytest.raises(InputError, match="does not make 3 heads"):
        Attention(8, heads=3)
    with pytest.raises(InputError, match="2 channels of a head are no 2 pairs"):
        Rotary(2, (False, False))
