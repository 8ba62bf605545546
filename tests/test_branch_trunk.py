"""Parts of operator networks that read at sensors and speak at any places: against definitions and differences."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from pdesolve.errors import InputError
from pdesolve.geometry import Axes, Axis, Grid, GridAxis
from pdesolve.nn.branch import BranchShape, Halving, branch
from pdesolve.nn.branch_trunk import BranchTrunk, Reads
from pdesolve.nn.interpolation import Interpolation
from pdesolve.nn.places import GridPlaces, PointPlaces
from pdesolve.nn.sensors import Sensors
from pdesolve.nn.trunk import Trunk, TrunkShape, held

X, RING = Axis("x", 1.0, 3.0), Axis("y", 0.0, 2.0, periodic=True)
ALL = Reads(slice(None), slice(None))


def grid(*sizes: int) -> Grid:
    return Grid((GridAxis(X, "nodes", sizes[0]), GridAxis(RING, "periodic", sizes[1])))


def places(found: Grid) -> GridPlaces:
    return GridPlaces.of(found, dtype=torch.float64)


def points(count: int, *, samples: int = 1) -> PointPlaces:
    drawn = torch.rand(samples, count, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    return PointPlaces.of(Axes((X, RING)), drawn * 2 + torch.tensor([1.0, 0.0], dtype=torch.float64))


def smooth(columns: Tensor) -> Tensor:
    """Two channels (set, channel, place) of a function that is periodic along the second axis."""
    x, y = columns.unbind(-1)
    return torch.stack([torch.sin(2 * x) * torch.cos(2 * math.pi * y), x**2 + torch.sin(2 * math.pi * y + 1)], 1)


def network(kind: str = "convolutional", *, outputs: int = 3, channels: int = 2, numbers: int = 1) -> BranchTrunk:
    generator = torch.Generator().manual_seed(0)
    sensors = Sensors(grid(9, 8).members, limit=16)
    shape = BranchShape(kind=kind, width=16, depth=1)  # type: ignore[arg-type]
    reading = branch(channels, numbers, 5 * outputs, shape=shape, sensors=sensors, generator=generator)
    trunk = Trunk(sensors.axes, 5, shape=TrunkShape(width=16, depth=2), generator=generator)
    return BranchTrunk([(reading, ALL)], trunk, count=5, outputs=outputs, sensors=sensors).double()


@pytest.mark.parametrize("degree", [1, 3])
def test_interpolation_has_the_order_of_its_degree(degree: int) -> None:
    errors = []
    for size in (16, 32):
        given = places(grid(size + 1, size))
        values = smooth(given.columns()).unflatten(2, given.shape)
        at = points(200)
        found = Interpolation(given, degree=degree).to(values, at)
        errors.append(float((found - smooth(at.columns())).abs().max()))
        finer = places(grid(3 * size + 1, 2 * size + 1))
        both = Interpolation(given, degree=degree)
        torch.testing.assert_close(both.to(values, finer).flatten(2), both.at(values, finer.columns()))
    assert math.log2(errors[0] / errors[1]) > degree + 1 - 0.35


def test_interpolation_is_exact_on_the_points_themselves() -> None:
    given = places(grid(9, 8))
    values = torch.randn(4, 2, 9, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    interpolation = Interpolation(given, degree=3)
    assert interpolation.same(places(grid(9, 8))) and not interpolation.same(places(grid(9, 9)))
    assert interpolation.to(values, places(grid(9, 8))) is values
    found = interpolation.at(values, given.columns())
    assert torch.equal(found, values.flatten(2))
    some = places(grid(5, 4))  # every other point
    assert torch.equal(interpolation.to(values, some), values[:, :, ::2, ::2])


def test_interpolation_goes_round_and_beyond_the_outermost_cell() -> None:
    ring = GridPlaces.of(Grid((GridAxis(RING, "periodic", 4),)), dtype=torch.float64)
    values = torch.tensor([[[0.0, 1.0, 2.0, 4.0]]], dtype=torch.float64)
    at = torch.tensor([[[0.875], [1.0], [-0.125], [0.125]]], dtype=torch.float64)
    assert Interpolation(ring).at(values, at).tolist() == [[[2.0, 0.0, 2.0, 0.5]]]
    assert Interpolation(ring).at(values, at + 3).tolist() == Interpolation(ring).at(values, at - 5).tolist()
    assert Interpolation(ring).at(values, at + 3).tolist() == [[[2.0, 0.0, 2.0, 0.5]]], "further round"
    closed = GridPlaces.of(Grid((GridAxis.at(RING, [0.0, 0.5, 1.0, 1.5, 2.0]),)), dtype=torch.float64)
    again = torch.cat([values, values[..., :1]], -1)
    assert Interpolation(closed).at(again, at).tolist() == [[[2.0, 0.0, 2.0, 0.5]]]
    cubic, same = Interpolation(ring, degree=3).at(values, at), Interpolation(closed, degree=3).at(again, at)
    torch.testing.assert_close(same, cubic)
    cells = GridPlaces.of(Grid((GridAxis(X, "cells", 4),)), dtype=torch.float64)
    line = 3 * cells.columns()[..., 0][:, None] + 1
    found = Interpolation(cells).at(line, torch.tensor([[[0.0], [1.0]]], dtype=torch.float64))
    torch.testing.assert_close(found, torch.tensor([[[1.0, 4.0]]], dtype=torch.float64))


def test_interpolation_at_places_of_each_sample() -> None:
    given, at = places(grid(9, 8)), points(7, samples=3)
    values = torch.randn(3, 2, 9, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    interpolation = Interpolation(given)
    whole, shared = interpolation.to(values, at), interpolation.to(values[:1], at)
    for i in range(3):
        torch.testing.assert_close(whole[i], interpolation.at(values[i : i + 1], at.points[i : i + 1])[0])
        torch.testing.assert_close(shared[i], interpolation.at(values[:1], at.points[i : i + 1])[0])


def test_sensors_read_other_grids_by_multilinear_interpolation() -> None:
    sensors = Sensors(grid(9, 8).members, limit=16)
    same = places(grid(9, 8))
    x = smooth(same.columns()).unflatten(2, same.shape)
    assert sensors.read(x, same) is x
    finer = places(grid(33, 32))
    values = smooth(finer.columns()).unflatten(2, finer.shape)
    torch.testing.assert_close(sensors.read(values, finer), x)  # whose points are among these
    few = Sensors(grid(9, 8).members, limit=4)
    assert few.shape == (3, 4) and torch.equal(few.read(x, same), x[:, :, 1::3, ::2])
    with pytest.raises(InputError, match="sensors lie on a grid"):
        sensors.check(points(5))
    with pytest.raises(InputError, match="these data lie at points"):
        Sensors((), limit=8)


def test_convolutions_go_round_on_periodic_axes() -> None:
    sensors = Sensors(grid(9, 8).members, limit=16)
    layers = Halving(1, sensors, width=4, activation="tanh", generator=torch.Generator().manual_seed(0))
    assert layers.shape == (3, 4) and layers.channels == 8
    x = torch.randn(2, 1, 9, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    shifted = layers(x.roll(2, 3))  # one place after the only layer of stride 2 along the second axis
    torch.testing.assert_close(shifted, layers(x).roll(1, 3))
    assert not torch.allclose(layers(x.roll(2, 2)), layers(x).roll(1, 2))


@pytest.mark.parametrize("kind", ["convolutional", "perceptron"])
def test_outputs_are_sums_of_branch_times_trunk(kind: str) -> None:
    module = network(kind)
    torch.nn.init.normal_(module.offset)
    given = places(grid(9, 8))
    x = torch.randn(4, 2, 9, 8, dtype=torch.float64)
    p = torch.randn(4, 1, dtype=torch.float64)
    found = module(x, p, given, given)
    b = module.branches[0](x, p).reshape(4, 3, 5)
    t = module.trunk(given.columns())[0]
    expected = [[(t * b[s, c]).sum(1) / math.sqrt(5) + module.offset[c] for c in range(3)] for s in range(4)]
    torch.testing.assert_close(found.flatten(2), torch.stack([torch.stack(row) for row in expected]))
    assert module.elsewhere and found.shape == (4, 3, 9, 8)
    assert not torch.allclose(module(x, p + 1, given, given), found)


def test_points_agree_with_fields_in_any_order() -> None:
    module = network()
    given = places(grid(9, 8))
    x, p = torch.randn(3, 2, 9, 8, dtype=torch.float64), torch.randn(3, 1, dtype=torch.float64)
    field = module(x, p, given, given).flatten(2)
    order = torch.stack([torch.randperm(72) for _ in range(3)])
    own = PointPlaces(given.axes, given.columns()[0][order], torch.full((3, 72), 1 / 72))
    for i, found in enumerate(module(x, p, given, own)):
        torch.testing.assert_close(found, field[i][:, order[i]])
    shared = PointPlaces(given.axes, given.columns()[:, order[0]], torch.full((1, 72), 1 / 72))
    torch.testing.assert_close(module(x, p, given, shared), field[:, :, order[0]])


def test_the_trunk_is_evaluated_once_for_all_samples_and_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    module = network()
    seen: list[int] = []
    module.trunk.layers.register_forward_hook(lambda _, inputs, __: seen.append(len(inputs[0])))
    given = places(grid(9, 8))
    x, p = torch.randn(6, 2, 9, 8, dtype=torch.float64), torch.randn(6, 1, dtype=torch.float64)
    whole = module(x, p, given, given)
    assert seen == [72]
    monkeypatch.setattr("pdesolve.nn.trunk._PIECE", 30)
    with torch.no_grad():
        torch.testing.assert_close(module(x, p, given, given), whole)
    assert seen[1:] == [30, 30, 12]


def test_derivatives_in_coordinates_are_those_of_central_differences() -> None:
    module = network()
    given = places(grid(9, 8))
    x, p = torch.randn(2, 2, 9, 8, dtype=torch.float64), torch.randn(2, 1, dtype=torch.float64)
    at = points(6, samples=2)
    columns = at.points.clone().requires_grad_()

    def values(columns: Tensor) -> Tensor:
        return module(x, p, given, PointPlaces(at.axes, columns, at.parts))

    (first,) = torch.autograd.grad(values(columns)[:, 1].sum(), columns, create_graph=True)
    (second,) = torch.autograd.grad(first[..., 0].sum(), columns)
    h = 1e-5
    for axis in range(2):
        step = h * torch.eye(2, dtype=torch.float64)[axis]
        ahead, behind = (values(columns.detach() + sign * step)[:, 1] for sign in (1, -1))
        torch.testing.assert_close(first[..., axis], (ahead - behind) / (2 * h), rtol=1e-5, atol=1e-6)
        if axis == 0:
            curvature = (ahead - 2 * values(columns)[:, 1] + behind) / h**2
            torch.testing.assert_close(second[..., 0], curvature, rtol=1e-4, atol=1e-4)


def test_outputs_are_periodic_where_axes_are() -> None:
    module = network()
    given, at = places(grid(9, 8)), points(9)
    x, p = torch.randn(2, 2, 9, 8, dtype=torch.float64), torch.randn(2, 1, dtype=torch.float64)
    turned = PointPlaces(at.axes, at.points + torch.tensor([0.0, 1.0]), at.parts)
    torch.testing.assert_close(module(x, p, given, turned), module(x, p, given, at))


def test_walls_are_held_exactly() -> None:
    axes = Axes((X, RING))
    columns = torch.tensor([[[0.0, 0.3], [1.0, 0.7], [0.5, 0.0]]], dtype=torch.float64)
    values = torch.randn(2, 2, 3, dtype=torch.float64)
    wall = torch.tensor([0.25, -1.0], dtype=torch.float64)
    found = held(values, columns, axes, wall)
    assert torch.equal(found[..., :2], wall[:, None].expand(2, 2, 2))
    torch.testing.assert_close(found[..., 2], values[..., 2])


def test_branches_that_read_nothing_are_refused() -> None:
    sensors = Sensors(grid(9, 8).members, limit=16)
    with pytest.raises(InputError, match="the task gives none: name inputs"):
        branch(0, 0, 4, shape=BranchShape(), sensors=sensors, generator=torch.Generator())
    numbers = network(channels=0)
    p = torch.randn(4, 1, dtype=torch.float64)
    given = places(grid(9, 8))
    assert numbers(torch.zeros(4, 0, 9, 8, dtype=torch.float64), p, given, given).shape == (4, 3, 9, 8)
    with pytest.raises(InputError, match="got 1, 128 and 2"):
        BranchShape(sensors=1)
