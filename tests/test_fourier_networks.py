"""Networks of Fourier modes: the same function at all resolutions, odd ones too, in one to three dimensions."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from pdesolve.errors import InputError
from pdesolve.geometry import Axis, Grid, GridAxis
from pdesolve.nn.fourier_network import FourierNetwork
from pdesolve.nn.operator_network import OperatorNetwork
from pdesolve.nn.places import GridPlaces
from pdesolve.nn.resampling import resampled
from pdesolve.nn.waves import Line
from pdesolve.operators.codano.model import Channels, CodomainNetwork, _harmonics
from pdesolve.operators.uno.model import UNetwork


def places(size: int, dims: int) -> GridPlaces:
    members = [GridAxis(Axis(name, 0.0, 1.0, periodic=True), "periodic", size) for name in "xyz"[:dims]]
    return GridPlaces.of(Grid(tuple(members)), dtype=torch.float64)


def values(at: GridPlaces) -> Tensor:
    x = 2 * math.pi * at.columns()[0]
    return torch.stack([torch.cos(x).sum(-1), torch.sin(x + 1).prod(-1)]).reshape(1, 2, *at.shape)


def network(kind: str, dims: int) -> OperatorNetwork:
    torch.manual_seed(0)
    lines = (Line(),) * dims
    if kind == "uno":
        return UNetwork(2, 2, lines, modes=8, width=6, levels=1).double()
    return FourierNetwork(2, 2, lines, modes=6, width=6, depth=2, rank=0.3 if kind == "tfno" else None).double()


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("kind", ["fno", "tfno", "uno"])
def test_values_are_the_same_at_all_resolutions(kind: str, dims: int) -> None:
    model, fine = network(kind, dims), places(24, dims)
    expected = model(values(fine), torch.zeros(1, 0), fine, fine)
    assert expected.shape == (1, 2, *fine.shape)
    for size in (15, 18):
        at = places(size, dims)
        found = model(values(at), torch.zeros(1, 0), at, at)
        again = resampled(found, fine.shape, ["periodic"] * dims)
        assert float((again - expected).detach().norm() / expected.detach().norm()) < 1e-4
    expected.square().mean().backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in model.parameters())
    with pytest.raises(InputError, match=r"modes and x has 5 points: .*method\.modes 5"):
        model.check(places(5, dims))


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_permuted_variables_give_permuted_values(dims: int) -> None:
    """Encodings of their own apart, tokens are alike: with those permuted too, values are."""
    torch.manual_seed(0)
    slots = [Channels("u", 2, 2), Channels("a", 1, 1)]
    model = CodomainNetwork(
        slots, [Channels("u", 1, 2), Channels("p", 1, 1)], 1, (Line(),) * dims, modes=4, width=4, depth=1, heads=2
    ).double()
    at = places(8, dims)
    x = torch.randn(2, 6, *at.shape, dtype=torch.float64)
    found = model(x, torch.zeros(2, 0), at, at)
    assert found.shape == (2, 3, *at.shape)
    with torch.no_grad():  # the two components of u change places: channels 0, 1 of the first frame, 2, 3 of the second
        model.encodings[[0, 1]] = model.encodings[[1, 0]]
    swapped = model(x[:, [1, 0, 3, 2, 4, 5]], torch.zeros(2, 0), at, at)
    assert torch.allclose(swapped, found[:, [1, 0, 2]], atol=1e-10)
    assert not torch.allclose(model(x, torch.zeros(2, 0), at, at), found, atol=1e-3)


def test_each_level_halves_the_grid_and_comes_back_to_its_size() -> None:
    torch.manual_seed(0)
    model, at = UNetwork(2, 2, (Line(),), modes=8, width=4, levels=2).double(), places(26, 1)
    seen: list[int] = []
    for block in model.model.fno_blocks:
        block.register_forward_hook(lambda _, given, found: seen.append(found.shape[-1]))
    model(values(at), torch.zeros(1, 0), at, at)
    assert seen == [26, 13, 6, 6, 13, 26, 26]


def test_tokens_of_functions_are_the_same_at_all_resolutions() -> None:
    """Attention is by integrals, whatever the number of points."""
    torch.manual_seed(0)
    slots = [Channels("u", 1, 1), Channels("a", 1, 1)]
    model = CodomainNetwork(slots, slots, 0, (Line(),), modes=4, width=4, depth=2, heads=2).double()
    fine = places(96, 1)
    expected = model(values(fine), torch.zeros(1, 0), fine, fine)
    for size, bound in ((32, 1e-2), (48, 1e-3)):
        at = places(size, 1)
        found = resampled(model(values(at), torch.zeros(1, 0), at, at), fine.shape, ["periodic"])
        assert float((found - expected).detach().norm() / expected.detach().norm()) < bound


def test_tokens_of_fewer_frames_begin_with_their_first_and_what_is_not_given_reads_zero() -> None:
    model = CodomainNetwork(
        [Channels("u", 3, 2), Channels("a", 1, 1)], [Channels("u", 1, 2), Channels("p", 1, 1)], 0, (Line(),), modes=4,
        width=4, depth=1, heads=2,
    )  # fmt: skip
    # frames of u, each of two components; a; the channel behind all, which is zero, for p
    assert model.reads.tolist() == [[0, 2, 4], [1, 3, 5], [6, 6, 6], [7, 7, 7]]


def test_encodings_go_round_where_axes_do() -> None:
    axes = (Axis("x", 0.0, 1.0, periodic=True), Axis("y", 0.0, 1.0))
    at = GridPlaces.of(Grid((GridAxis(axes[0], "periodic", 5), GridAxis(axes[1], "nodes", 4))), dtype=torch.float64)
    x, y = at.columns()[0].T.reshape(2, 5, 4)
    waves = [torch.ones_like(x), *(f(2 * math.pi * x) for f in (torch.cos, torch.sin))]
    waves += [f(math.pi * y) for f in (torch.cos, torch.sin)]
    assert torch.allclose(_harmonics(at), torch.stack(waves))
