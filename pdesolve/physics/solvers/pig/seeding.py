"""Where Gaussians are: placed by what is known of the field, and moved where they do nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from pdesolve.errors import InputError
from pdesolve.geometry import Axes, PointCloud
from pdesolve.method import Solution
from pdesolve.nn import RadialBasis
from pdesolve.predicting import read_points

_DEAD = 1e-4  # of the largest contribution in a group
_RISE = 1.01  # factor of the mean of r² that may be missed without dead functions
_TRIES = 3  # with ever fewer of them
_NARROWER = 0.5  # of the group's typical width, where something was missed
_ROUNDS = 10  # of k-means
_OVERLAP = 2.5  # width over the deviation of a cluster: about what neighbours are apart
_RANGE = 3.0  # the most by which a cluster makes a width smaller or larger than the group's typical one
_STEP = 1e-4  # of an axis, for differences
_DAMPING = 1e-10  # of a refit, over the mean square of its columns


def bases(module: nn.Sequential, axes: int) -> list[RadialBasis]:
    """The layers whose functions are of all inputs together; those of single coordinates are left out."""
    found = [m for m in module.modules() if isinstance(m, RadialBasis)]
    return [layer for layer in found if layer.centres.shape[-1] >= axes]


@torch.no_grad()
def contributions(layer: RadialBasis, inputs: Tensor) -> Tensor:
    """The root mean square of what each function adds to its features at inputs (point, axis): (group, function)."""
    total = torch.zeros_like(layer.sizes[..., 0])
    for x in inputs.split(256):
        total += layer.values(x).square().sum(1)
    return (total / len(inputs)).sqrt() * layer.weights.abs().amax(-1)


@torch.no_grad()
def reseed(
    module: nn.Sequential, x: Tensor, residual: Callable[[], Tensor], *, part: float, generator: torch.Generator
) -> int:
    """Move dead functions to points x (point, axis) drawn in proportion to |r|; how many were moved.

    Dead are those that add less than 1e-4 of what the largest of their group adds, `part` of a group at most, and
    without which the mean of r² stays what it is to a hundredth: what is small may be curved, and the smaller r gets
    the less may be missed. Fewer are tried where it does not. They start at half of the group's typical width with
    weights of zero. residual() is |r| at x (point,) of the module as it is then.
    """
    there, layers = residual(), bases(module, x.shape[1])
    enough = _RISE * there.square().mean()
    if not (layers and float(enough) > 0):
        return 0
    given = module[0](x.to(layers[0].centres))
    for _ in range(_TRIES):
        before = [layer.weights.clone() for layer in layers]
        dead = [(layer, group, some) for layer in layers for group, some in enumerate(_dead(layer, given, part))]
        for layer, group, some in dead:
            layer.weights[group, some] = 0.0
        if residual().square().mean() <= enough:
            break
        for layer, weights in zip(layers, before, strict=True):
            layer.weights.copy_(weights)
        part /= 4
    else:
        return 0
    for layer, group, some in dead:
        if len(some):
            drawn = torch.multinomial(there.cpu(), len(some), replacement=True, generator=generator)
            layer.centres[group, some] = given[drawn.to(given.device)]
            layer.sizes[group, some] = layer.sized(_NARROWER * typical(layer, group))
    return sum(len(some) for _, _, some in dead)


def _dead(layer: RadialBasis, given: Tensor, part: float) -> list[Tensor]:
    """The functions of each group that add least, `part` of it at most."""
    found = []
    for mine in contributions(layer, given):
        least = mine.argsort()[: int(part * len(mine))]
        found.append(least[mine[least] < _DEAD * mine.max()])
    return found


@torch.no_grad()
def place(module: nn.Sequential, x: Tensor, weight: Tensor, *, generator: torch.Generator) -> float:
    """Place all functions by weighted k-means of points x (point, axis), widths by the spread of each cluster.

    Weights of the features are fitted again, so that these stay as they are as far as the functions reach; what is
    missed of them in the root mean square, relative to their size. weight (point,). Chen et al., 2023, arXiv
    2309.15426, with every function in reach of every point.
    """
    missed, size = 0.0, 0.0
    for layer in bases(module, x.shape[1]):
        given = module[0](x.to(layer.centres))
        before = layer(given).unflatten(1, (layer.centres.shape[0], -1))
        for group in range(layer.centres.shape[0]):
            middle = typical(layer, group)
            centres, spread = clusters(given, weight.to(given), layer.centres.shape[1], generator)
            layer.centres[group] = centres
            layer.sizes[group] = layer.sized((_OVERLAP * spread).clamp(middle / _RANGE, middle * _RANGE))
        matrices = layer.values(given)
        for group, matrix in enumerate(matrices):
            gram = matrix.mT @ matrix
            gram.diagonal().add_(_DAMPING * gram.diagonal().mean())
            layer.weights[group] = torch.linalg.solve(gram, matrix.mT @ before[:, group])
        layer.placed += 1
        missed += float((layer(given) - before.flatten(1)).square().sum())
        size += float(before.square().sum())
    return (missed / size) ** 0.5 if size else 0.0


@torch.no_grad()
def put(module: nn.Sequential, x: Tensor) -> None:
    """Put the functions of every channel at the points x (function, axis)."""
    for layer in bases(module, x.shape[1]):
        layer.centres.copy_(module[0](x.to(layer.centres)).expand_as(layer.centres))
        layer.placed += 1


def clusters(x: Tensor, weight: Tensor, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Centres (cluster, axis) of weighted k-means and the deviation (cluster, axis) of each; empty ones stay."""
    drawn = torch.multinomial(weight.cpu(), count, replacement=len(x) < count, generator=generator).to(x.device)
    centres, spread = x[drawn].clone(), torch.zeros_like(x[drawn])
    for _ in range(_ROUNDS):
        nearest = torch.cdist(x, centres).argmin(1)
        mass = torch.zeros_like(centres[:, 0]).index_add_(0, nearest, weight)
        full = (mass > 0)[:, None]
        mass = mass.clamp_min(torch.finfo(mass.dtype).tiny)[:, None]
        means = torch.zeros_like(centres).index_add_(0, nearest, x * weight[:, None]) / mass
        centres = torch.where(full, means, centres)
        away = (x - centres[nearest]).square() * weight[:, None]
        spread = (torch.zeros_like(centres).index_add_(0, nearest, away) / mass).sqrt()
    return centres, spread


def typical(layer: RadialBasis, group: int) -> Tensor:
    """The geometric mean of a group's widths (axis,)."""
    return layer.deviations()[group].log().mean(0).exp()


@torch.no_grad()
def steepness(solution: Solution, cloud: PointCloud) -> Tensor:
    """|grad u| at points (point,), axes and unknowns of the size of one, by differences."""
    before = solution.on(cloud)
    total = torch.zeros(len(cloud.x), dtype=torch.float64)
    for i, axis in enumerate(cloud.axes):
        x = cloud.x.clone()
        x[:, i] += torch.where(x[:, i] < (axis.lower + axis.upper) / 2, 1.0, -1.0) * _STEP * axis.length
        for name, values in solution.on(PointCloud(cloud.axes, x)).items():
            size = before[name].square().mean().clamp_min(torch.finfo(values.dtype).tiny)
            total += ((values - before[name]).square() / size).double().cpu()
    return total.sqrt() / _STEP


def given_centres(path: Path, axes: Axes, count: int) -> Tensor:
    """Centres (function, axis) of a CSV file in the units of the problem.

    Raises:
        InputError: a file that cannot be read, another number of rows, a centre outside the domain's box.
    """
    points = torch.as_tensor(read_points(path, axes), dtype=torch.float64)
    if len(points) != count:
        raise InputError(
            f"{path} has {len(points)} centres, a channel has {count}: take --method.gaussians {len(points)}"
        )
    for i, axis in enumerate(axes):
        outside = ((points[:, i] < axis.lower) | (points[:, i] > axis.upper)).nonzero()[:, 0]
        if len(outside):
            row, others = int(outside[0]), len(outside) - 1
            raise InputError(
                f"{path}, row {row + 2}: the centre {axis.name} = {float(points[row, i]):.6g} is outside of "
                f"[{axis.lower:.6g}, {axis.upper:.6g}]{f', as are {others} more' if others else ''}: move it inside"
            )
    return points
