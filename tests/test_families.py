"""Families of problems: draws that do not depend on one another, batches as labelled data."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from pdesolve.catalogue import make_problem
from pdesolve.errors import InputError
from pdesolve.family import Draws
from pdesolve.simulation import simulated


def test_a_sample_is_the_same_whatever_is_drawn_beside_it() -> None:
    together, alone = Draws(3, range(10)), Draws(3, [7])
    for draw in (lambda d: d.uniform(1, 2, 3), lambda d: d.normal(5, 3), lambda d: d.integers(0, 9, 4)):
        assert np.array_equal(draw(together)[7], draw(alone)[0])
    assert not np.array_equal(Draws(3, [7]).normal(4), Draws(4, [7]).normal(4))
    with pytest.raises(InputError, match="not negative"):
        Draws(-1, [0])


def test_draws_have_the_distribution_that_they_name() -> None:
    draws = Draws(0, range(50))
    normal, uniform = draws.normal(2000), draws.uniform(-1, 3, 2000)
    assert abs(normal.mean()) < 4 / math.sqrt(normal.size) and abs(normal.std() - 1) < 0.01
    assert uniform.min() > -1 and uniform.max() < 3 and abs(uniform.mean() - 1) < 0.02
    assert set(draws.integers(2, 5, 500).reshape(-1).tolist()) == {2, 3, 4}


def test_a_batch_is_labelled() -> None:
    nu = torch.tensor([0.01, 0.1, 0.2], dtype=torch.float64)
    problem = replace(make_problem("burgers_sine"), values={"viscosity": nu})
    grid = problem.evaluation_set
    data = simulated(problem, {"u": torch.ones(3, *grid.shape)})
    assert data.variables["u"].dims == ("sample", "t", "x") and data.samples == 3
    assert np.array_equal(data.read("viscosity"), nu.numpy())
    assert data.coordinates["x"].axis.periodic and data.attributes["equation"] == "Burgers"
    darcy = make_problem("darcy_2d")
    data = simulated(darcy, {"u": torch.zeros(2, *darcy.evaluation_set.shape)})
    assert data.variables["permeability"].dims == ("x", "y") and data.parameters["source"].dims == ()
    assert set(np.unique(data.read("permeability"))) == {3.0, 12.0}
