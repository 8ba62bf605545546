"""Proper orthogonal decomposition in batches: against singular values of all rows at once."""

from __future__ import annotations

import pytest
import torch

from pdesolve.errors import InputError
from pdesolve.geometry import Axis, Grid, GridAxis
from pdesolve.nn.branch import BranchShape, branch
from pdesolve.nn.places import GridPlaces, PointPlaces
from pdesolve.nn.sensors import Sensors
from pdesolve.operators.pod_deeponet.decomposition import Decomposing, Decomposition
from pdesolve.operators.pod_deeponet.model import PODDeepONet

WEIGHTS = torch.linspace(0.5, 2.0, 40, dtype=torch.float64) / 50


def rows(count: int, rank: int, *, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    scale = 0.5 ** torch.arange(rank, dtype=torch.float64)
    shapes = torch.randn(rank, 40, dtype=torch.float64, generator=generator)
    return torch.randn(count, rank, dtype=torch.float64, generator=generator) * scale @ shapes + 3.0


def streamed(data: torch.Tensor, modes: int, batch: int) -> Decomposition:
    merging = Decomposing(modes, WEIGHTS)
    for part in data.split(batch):
        merging.add(part)
    return merging.found()


@pytest.mark.parametrize("batch", [1, 7, 200])
def test_low_rank_data_come_back_to_rounding(batch: int) -> None:
    data = rows(200, 6)
    found = streamed(data, 8, batch)
    assert len(found.modes) == 6 and found.count == 200
    gram = (found.modes * WEIGHTS) @ found.modes.T
    torch.testing.assert_close(gram, torch.eye(6, dtype=torch.float64), rtol=0, atol=1e-11)
    coefficients = (data - found.mean) * WEIGHTS @ found.modes.T
    torch.testing.assert_close(found.mean + coefficients @ found.modes, data, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(found.variances, coefficients.var(0, correction=0), rtol=1e-10, atol=0)
    torch.testing.assert_close(found.mean, data.mean(0), rtol=1e-12, atol=0)
    assert found.left_out < 1e-12


def test_the_leading_modes_of_data_of_full_rank_are_nearly_those_of_all_at_once() -> None:
    data = rows(300, 30)
    found = streamed(data, 5, 16)
    away = (data - data.mean(0)) * WEIGHTS.sqrt()
    exact = torch.linalg.svdvals(away) ** 2 / 300
    torch.testing.assert_close(found.variances, exact[:5], rtol=1e-4, atol=0)
    assert found.total == pytest.approx(float(exact.sum()), rel=1e-12)
    assert found.left_out == pytest.approx(float(exact[5:].sum() / exact.sum()), rel=0.02)


def test_decompositions_of_two_processes_are_joined() -> None:
    data = rows(120, 6)
    whole, other = Decomposing(8, WEIGHTS), Decomposing(8, WEIGHTS)
    whole.add(data[:70])
    other.add(data[70:])
    whole.flush()
    other.flush()
    whole.join(other.scaled, other.mean, other.squares, other.count)
    found, expected = whole.found(), streamed(data, 8, 120)
    torch.testing.assert_close(found.variances, expected.variances)
    torch.testing.assert_close(found.mean, expected.mean)
    assert found.total == pytest.approx(expected.total) and found.count == 120


def test_modes_have_the_same_signs_in_whatever_order_fields_come() -> None:
    data = rows(40, 4)
    expected = streamed(data, 4, 40).modes
    for seed in range(6):
        order = torch.randperm(40, generator=torch.Generator().manual_seed(seed))
        torch.testing.assert_close(streamed(data[order], 4, 7 + seed).modes, expected, rtol=1e-8, atol=1e-8)


def test_constant_data_have_no_modes_and_broken_ones_are_refused() -> None:
    found = streamed(torch.full((9, 40), 2.0), 4, 3)
    assert found.modes.shape == (0, 40) and found.left_out == 0
    torch.testing.assert_close(found.mean, torch.full((40,), 2.0, dtype=torch.float64))
    with pytest.raises(InputError, match="no fields to decompose"):
        Decomposing(4, WEIGHTS).found()
    with pytest.raises(InputError, match="not finite"):
        streamed(torch.full((9, 40), torch.nan), 4, 3)
    with pytest.raises(InputError, match="one mode or more, got 0"):
        Decomposing(0, WEIGHTS)


def network() -> PODDeepONet:
    """Two channels on 5 x 8 points, four modes, of which the data have three."""
    grid = Grid(
        (GridAxis(Axis("x", 0.0, 1.0), "nodes", 5), GridAxis(Axis("y", 0.0, 1.0, periodic=True), "periodic", 8))
    )
    generator = torch.Generator().manual_seed(0)
    sensors = Sensors(grid.members, limit=8)
    reading = branch(
        1, 0, 4, shape=BranchShape(kind="perceptron", width=8, depth=1), sensors=sensors, generator=generator
    )
    module = PODDeepONet(reading, grid, modes=4, outputs=2, sensors=sensors).double()
    merging = Decomposing(4, GridPlaces.of(grid, dtype=torch.float64).weights()[0].repeat(2))
    shapes = torch.randn(3, 80, dtype=torch.float64, generator=generator)
    merging.add(torch.randn(20, 3, dtype=torch.float64, generator=generator) @ shapes)
    module.take(merging.found())
    return module


def test_outputs_are_the_mean_and_scaled_modes_everywhere() -> None:
    module = network()
    given = GridPlaces.of(module.grid, dtype=torch.float64)
    x = torch.randn(3, 1, 5, 8, dtype=torch.float64)
    none = torch.zeros(3, 0, dtype=torch.float64)
    field = module(x, none, given, given)
    b = module.branch(x, none)
    expected = module.mean + sum(
        (b[:, k] * module.deviations[k]).reshape(3, 1, 1, 1) * module.modes[k] for k in range(4)
    )
    torch.testing.assert_close(field, expected)
    assert module.modes[3].count_nonzero() == 0 and int((module.deviations > 0).sum()) == 3
    order = torch.stack([torch.randperm(40) for _ in range(3)])
    own = PointPlaces(given.axes, given.columns()[0][order], torch.full((3, 40), 1 / 40))
    for i, found in enumerate(module(x, none, given, own)):
        torch.testing.assert_close(found, field.flatten(2)[i][:, order[i]])
    finer = GridPlaces.of(Grid((GridAxis(given.axes["x"], "nodes", 9), module.grid["y"])), dtype=torch.float64)
    torch.testing.assert_close(module(x, none, given, finer)[:, :, ::2], field)
    module.deviations.zero_()
    module.mean.copy_((given.points[0] ** 3)[:, None].expand(2, 5, 8))
    cubic = (finer.points[0] ** 3)[:, None].expand(3, 2, 9, 8)
    torch.testing.assert_close(module(x, none, given, finer), cubic)


def test_derivatives_in_coordinates_are_those_of_central_differences() -> None:
    module = network()
    given = GridPlaces.of(module.grid, dtype=torch.float64)
    x, none = torch.randn(1, 1, 5, 8, dtype=torch.float64), torch.zeros(1, 0, dtype=torch.float64)
    columns = torch.tensor([[[0.31, 0.4], [0.9, 0.96], [0.55, 0.02]]], dtype=torch.float64, requires_grad=True)
    part = torch.full((1, 3), 1 / 3)

    def values(columns: torch.Tensor) -> torch.Tensor:
        return module(x, none, given, PointPlaces(given.axes, columns, part))[:, 1]

    (slope,) = torch.autograd.grad(values(columns).sum(), columns)
    for axis in range(2):
        step = 1e-6 * torch.eye(2, dtype=torch.float64)[axis]
        difference = (values(columns.detach() + step) - values(columns.detach() - step)) / 2e-6
        torch.testing.assert_close(slope[..., axis], difference, rtol=1e-6, atol=1e-7)
