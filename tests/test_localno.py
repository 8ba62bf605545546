"""The localised neural operator: one layer is the package's, outcomes converge, short waves are learnt, refusals."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from pdesolve.data.arrays import Memory
from pdesolve.data.dataset import Coordinate, Dataset, Variable
from pdesolve.data.task import Task
from pdesolve.data.windows import Windows
from pdesolve.datasets.training_data import FromDataset
from pdesolve.errors import InputError
from pdesolve.geometry import Axis, Grid, GridAxis
from pdesolve.metrics import relative_l2
from pdesolve.nn.convolution import Derivative, LocalConvolution
from pdesolve.nn.fourier_network import FourierNetwork
from pdesolve.nn.neuraloperator import quiet
from pdesolve.nn.places import GridPlaces
from pdesolve.nn.spectral import SpectralConvolution
from pdesolve.nn.waves import Line
from pdesolve.operators.fno.method import FNO
from pdesolve.operators.localno.method import LocalNO
from pdesolve.operators.localno.model import LocalNetwork
from pdesolve.training.operator_training import Training
from pdesolve.training.run import Run

DOUBLE = torch.float64
NONE = torch.zeros(1, 0, dtype=DOUBLE)


def places(*sizes: int, nodes: bool = False, length: float = 2.0) -> GridPlaces:
    """Points on a box of some length in x and of one else, periodic but, with `nodes`, in the last axis."""
    members = []
    for i, (name, size) in enumerate(zip("xyz", sizes, strict=False)):
        bounded = nodes and i == len(sizes) - 1
        axis = Axis(name, 0.0, length if i == 0 else 1.0, periodic=not bounded)
        members.append(GridAxis(axis, "nodes" if bounded else "periodic", size))
    return GridPlaces.of(Grid(tuple(members)), dtype=DOUBLE)


def network(at: GridPlaces, **settings: Any) -> LocalNetwork:
    torch.manual_seed(0)
    lines = tuple(Line() if axis.periodic else Line("nodes") for axis in at.axes)
    fourier = FourierNetwork(1, 1, lines, modes=6, width=6, depth=2, placed=False, method="localno")
    chosen: dict[str, Any] = {"kernels": "both", "reach": 3.0, "rings": 2, "angles": 4, "extension": "zero"} | settings
    return LocalNetwork(fourier, at, **chosen).double().requires_grad_(False)


def field(at: GridPlaces) -> Tensor:
    """A smooth function (1, 1, *space), periodic along periodic axes."""
    columns = at.columns()[0]
    return torch.sin(2 * math.pi * columns).prod(-1).add(torch.cos(2 * math.pi * columns[:, 0])).view(1, 1, *at.shape)


def test_a_layer_is_that_of_neuraloperator_at_the_resolution_of_its_kernels() -> None:
    try:
        with quiet():
            from neuralop.layers.local_no_block import LocalNOBlocks
    except (ImportError, NameError):  # the latter where there is no torch-harmonics at all
        pytest.skip("neuraloperator's LocalNO needs torch-harmonics 0.7")
    reach, rings, angles, at = 3, 2, 4, places(16, 16, length=1.0)
    layer = network(at, reach=float(reach)).fourier.model.fno_blocks.convs[0]
    integral, derivative = layer.beside
    blocks: Any = LocalNOBlocks
    theirs = blocks(
        6, 6, (6, 6), default_in_shape=(16, 16), local_no_skip=None, disco_kernel_shape=[2 * rings - 1, angles],
        radius_cutoff=reach * 2 / 16, disco_bias=False, conv_module=partial(SpectralConvolution, lines=(Line(),) * 2),
    ).requires_grad_(False)  # fmt: skip
    theirs.convs[0].load_state_dict(layer.waves.state_dict())
    disco = theirs.local_convs[0]
    # the package acts on points x - y with the axes of y exchanged: its angle of four is another one
    disco.weight.zero_()  # of which more are stored than it has filters
    disco.weight[..., : integral.filters.count] = integral.weight[..., [0, 4, 3, 2, 1]]
    theirs.differential[0].weight.copy_(derivative.weight - derivative.weight.mean((2, 3), keepdim=True))
    theirs.double()
    # it ends periodic functions with zeros here
    bare = disco.forward
    disco.forward = lambda x: bare(functional.pad(x, (4,) * 4, "circular"))[..., 4:-4, 4:-4]
    x = torch.randn(2, 6, 16, 16, dtype=DOUBLE)
    torch.testing.assert_close(layer(x), theirs(x), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(integral(x), disco(x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kernels", ["both", "integral", "differential"])
@pytest.mark.parametrize(("dims", "nodes"), [(1, False), (2, True)])
def test_outcomes_converge_as_the_grid_is_refined(kernels: str, dims: int, nodes: bool) -> None:
    base, finest = (12, 16) if dims == 1 else (8, 4)

    def at(*ratios: int) -> GridPlaces:
        found = [base * ratio for ratio in ratios]
        found[-1] += nodes
        return places(*found, nodes=nodes)

    made = network(at(*[1] * dims), kernels=kernels)

    def values(*ratios: int) -> Tensor:
        where = at(*ratios)
        return made(field(where), NONE, where, where)[(..., *(slice(None, None, ratio) for ratio in ratios))]

    limit = values(*[finest] * dims)
    apart = [float((values(*[ratio] * dims) - limit).norm() / (limit - limit.mean()).norm()) for ratio in (1, 2)]
    assert apart[0] < 0.3 and apart[1] < 0.6 * apart[0], apart
    if dims == 2:  # a grid of other proportions too
        other = float((values(4, 2) - limit).norm() / (limit - limit.mean()).norm())
        assert other < 1.5 * apart[1], (other, apart)


def test_kernels_are_beside_the_waves() -> None:
    def kinds(**settings: Any) -> list[type]:
        return [type(part) for part in network(places(16, 16), **settings).fourier.model.fno_blocks.convs[1].beside]

    layer: Any = network(places(16, 16)).fourier.model.fno_blocks.convs[0]
    x = torch.randn(1, 6, 16, 16, dtype=DOUBLE)
    assert torch.allclose(layer(x), layer.waves(x) + layer.beside[0](x) + layer.beside[1](x))
    assert kinds() == [LocalConvolution, Derivative]
    assert kinds(kernels="integral") == [LocalConvolution] and kinds(kernels="differential") == [Derivative]


@pytest.mark.parametrize("steps", [(1 / 16, 1 / 16), (1 / 16, 1 / 8)])
@pytest.mark.parametrize("shape", [(16, 16), (32, 16), (16, 64)])
def test_derivatives_are_the_same_on_grids_of_other_proportions(
    steps: tuple[float, float], shape: tuple[int, int]
) -> None:
    torch.manual_seed(0)
    layer = Derivative(1, 1, kinds=("cells", "cells"), steps=steps, bias=None).double().requires_grad_(False)
    weight = (layer.weight - layer.weight.mean())[0, 0]
    x, y = torch.meshgrid(*[(torch.arange(n, dtype=DOUBLE) + 0.5) / n for n in shape], indexing="ij")
    j = torch.arange(-1.0, 2.0, dtype=DOUBLE)
    wanted = 2 * steps[0] * float(weight.sum(1) @ j) - 3 * steps[1] * float(weight.sum(0) @ j)
    found = layer((2 * x - 3 * y + 0.7)[None, None])
    assert torch.allclose(found, torch.full_like(found, wanted), atol=1e-10)


def slopes(size: int) -> Dataset:
    """Sums of waves of lengths 1/6 to 1/8 and their derivatives over 40: (sample, x)."""
    c = np.random.default_rng(3).normal(size=(2, 3, 24, 1))
    k, x = 2 * np.pi * np.arange(6, 9)[:, None, None], np.arange(size) / size
    a = (c[0] * np.cos(k * x) + c[1] * np.sin(k * x)).sum(0)
    u = (k * (c[1] * np.cos(k * x) - c[0] * np.sin(k * x))).sum(0) / 40
    return Dataset(
        {name: Variable(name, Memory(values), ("sample", "x")) for name, values in (("a", a), ("u", u))},
        {"x": Coordinate(Axis("x", 0.0, 1.0, periodic=True), x)},
        splits={"train": np.arange(16), "valid": np.arange(16, 24)},
    )


def test_it_learns_of_waves_that_its_modes_leave_out() -> None:
    task, found = Task(("a",), ("u",), None), {}
    for learner in (LocalNO, FNO):
        small = learner(modes=4, width=12, depth=2, training=Training(batch=16))
        run = Run(seed=0, steps=150, measure=lambda candidate: candidate.validate())
        surrogate = small.learn(FromDataset(slopes(48), task), run)
        for size in (48, 96):
            batch = Windows(slopes(size), task).batch(range(16, 24))
            found[learner, size] = relative_l2(surrogate.predict(batch)["u"], batch.targets["u"])
    assert found[LocalNO, 48] < 0.1 and found[LocalNO, 96] < 0.2, found
    assert found[FNO, 48] > 0.5, found


def test_what_it_cannot_work_on_is_refused_in_one_line() -> None:
    made = network(places(32, 32), reach=3.0)
    made.check(places(16, 16))
    with pytest.raises(InputError, match=r"reach over 0.0938 of x, 0.188 of y, and some lie between the 8 x 8 points"):
        made.check(places(8, 8))
    with pytest.raises(InputError, match=r"localno has 6 modes and x has 4 points"):
        made.check(places(4, 4))
    with pytest.raises(InputError, match="localno was made for points around a period along y"):
        made.check(places(32, 32, nodes=True))
    uneven = places(32, 32)
    uneven.points[1][3] += 0.01
    with pytest.raises(InputError, match="localno needs evenly spaced points, those of y"):
        made.check(uneven)
