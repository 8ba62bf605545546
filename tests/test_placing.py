"""Where the values of a batch lie: on the grid of the data, whatever that of the training was, and at points."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from pdesolve.data.batch import Batch
from pdesolve.data.signature import Signature, Slot
from pdesolve.errors import InputError
from pdesolve.geometry import Axes, Axis, GridAxis, PointCloud
from pdesolve.nn.places import GridPlaces, PointPlaces
from pdesolve.surrogates.placing import Placing

X = Axis("x", 1.0, 3.0)
SLOT = Slot("u", 1, 1, False, (0.0,), (1.0,))
LISTED = GridAxis.at(X, [1.0, 1.2, 2.0, 3.0])


def signature(*members: GridAxis) -> Signature:
    return Signature((SLOT,), (SLOT,), (), None, (X,), members)


def batch(values: Tensor, points: list[float] | None = None) -> Batch:
    numbers, none = torch.arange(len(values)), torch.zeros(len(values), 0)
    coordinates = {} if points is None else {"x": torch.tensor(points)}
    return Batch({"u": values}, {"u": values}, {}, coordinates, none, none, {}, numbers, numbers)


@pytest.mark.parametrize("member", [LISTED, GridAxis(X, "nodes", 4)], ids=["listed", "nodes"])
def test_data_of_another_resolution_lie_where_their_coordinates_say(member: GridAxis) -> None:
    placing = Placing(signature(member))
    same = placing.of(batch(torch.zeros(2, 1, 1, 4), member.points.tolist()))
    assert isinstance(same, GridPlaces) and same.grid is not None and same.grid.members == (member,)
    uneven = [1.0, 1.1, 1.5, 2.0, 3.0]
    found = placing.of(batch(torch.zeros(2, 1, 1, 5), uneven))
    assert found.columns().flatten().tolist() == pytest.approx([(x - 1) / 2 for x in uneven])
    assert placing.of(batch(torch.zeros(1, 1, 1, 4))) is same, "grids are read once"
    if member is LISTED:
        with pytest.raises(InputError, match="4 listed coordinates and these data have 6 without"):
            placing.of(batch(torch.zeros(2, 1, 1, 6)))
    else:
        finer = placing.of(batch(torch.zeros(2, 1, 1, 6)))
        assert finer.columns().flatten().tolist() == pytest.approx(np.linspace(0, 1, 6).tolist())


def test_padded_points_lie_in_the_box_and_weigh_nothing() -> None:
    clouds = [torch.tensor([[1.0], [2.0], [2.5]]), torch.tensor([[3.0]])]
    axes = Axes((X,))
    given = replace(
        batch(torch.zeros(2, 1, 1, 3)), discretisations=tuple(PointCloud(axes, points) for points in clouds)
    )
    found = Placing(signature()).of(given)
    assert isinstance(found, PointPlaces) and found.mask is not None
    assert found.columns()[..., 0].tolist() == [[0.0, 0.5, 0.75], [1.0, 0.0, 0.0]]
    assert found.mask.tolist() == [[True, True, True], [True, False, False]]
    torch.testing.assert_close(found.weights(), torch.tensor([[1 / 3, 1 / 3, 1 / 3], [1.0, 0.0, 0.0]]))
