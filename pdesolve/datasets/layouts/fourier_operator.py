"""Pairs of inputs and outputs by sample: the files of the Fourier neural operator and of the library neuraloperator."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pdesolve.data.arrays import Array
from pdesolve.data.dataset import SAMPLE, Coordinate, Dataset, Variable
from pdesolve.datasets.bundle import Bundle, bundle
from pdesolve.datasets.dimensions import arranged, given_dims, parameter, unused_dims
from pdesolve.datasets.layout import Layout, Opening
from pdesolve.geometry import Axis

_SPACE = ("x", "y", "z")
_CLOSED = "the unit interval with both ends"
_OPEN = "the unit interval without its right end, periodic"


class FourierOperator(Layout):
    """The .mat files of Li et al. (2020, arXiv 2010.08895) and Li et al. (2021, arXiv 2111.03794).

    Burgers and Navier-Stokes: `a` (sample, space), `u` (sample, space[, t]), `t`. Darcy: `coeff`, `sol` (sample, x, y)
    and more of their kind. Burgers of PINO: `input` (sample, x), `output` (sample, t, x), `visc`. No file holds its
    space coordinates: those that the papers state are taken (a note says so).
    """

    name = "fno"
    containers = ("mat5", "mat73", "npz")

    def refusal(self, path: Path) -> str | None:
        found = bundle(path)
        pair = _pair(found)
        if pair is None:
            return "no pair a and u, coeff and sol, or input and output"
        first, second = (found.arrays[name].shape for name in pair)
        if len(first) < 2 or first[0] != second[0] or len(second) - len(first) not in (0, 1):
            return f"{pair[0]} {first} and {pair[1]} {second} do not have the same samples in front"
        x = found.vector("x")
        if x is not None and len(x) in first[1:]:
            return "it holds coordinates x"
        return None

    def open(self, path: Path, opening: Opening) -> Dataset:
        found = bundle(path)
        pair = _pair(found)
        assert pair is not None
        space = _SPACE[: len(found.arrays[pair[0]].shape) - 1]
        grid = found.arrays[pair[0]].shape[1:]
        times = found.vector("t")
        names = [k for k, a in found.numbers.items() if k != "t" and np.prod(a.shape, dtype=object) > 1]
        unused_dims(opening, names)
        variables, notes = {}, list(found.notes)
        for name in names:
            array = found.arrays[name]
            dims = given_dims(name, array, opening, {}) or _dims(name, array, grid, space, times)
            if dims is None:
                notes.append(f"{name} {array.shape} is left out: it is over neither samples nor the grid {grid}")
                continue
            variables[name] = arranged(name, array, dims)
        coordinates: dict[str, Coordinate] = {}
        if times is not None and any("t" in v.dims for v in variables.values()):
            coordinates["t"] = Coordinate(Axis("t", float(times[0]), float(times[-1])), times)
        elif pair == ("input", "output"):
            frames = variables["output"].sizes.get("t", 0)
            if frames > 1:
                coordinates["t"] = Coordinate(Axis("t", 0.0, 1.0), np.linspace(0, 1, frames))
        closed = pair[0] == "coeff"
        for axis, n in zip(space, grid, strict=True):
            points = np.linspace(0, 1, n) if closed else np.arange(n) / n
            coordinates[axis] = Coordinate(Axis(axis, 0.0, 1.0, periodic=not closed), points)
        where = _CLOSED if closed else _OPEN
        notes.append(f"the file holds no coordinates of {', '.join(space)}: {where}, as in the papers of these files")
        scalars = {
            k: parameter(k, float(a.all().reshape(-1)[0]))
            for k, a in found.numbers.items()
            if a.dtype.kind in "biuf" and np.prod(a.shape, dtype=object) == 1
        }
        return Dataset(variables, coordinates, scalars, layout=self.name, paths=(found.path,), notes=tuple(notes))


class NeuralOperator(Layout):
    """`x` and `y` (sample[, t], space) of the library neuraloperator (Kossaifi et al. 2024, arXiv 2412.10354): .pt,
    .npz, HDF5 or zarr.

    They are the variables `input` and `output` here, for x and y name axes. No coordinates are known. `visc` and other
    single numbers are parameters.
    """

    name = "neuraloperator"
    containers = ("torch", "npz", "hdf5", "zarr")

    def refusal(self, path: Path) -> str | None:
        found = bundle(path)
        if not {"x", "y"} <= set(found.numbers):
            return "no x and y"
        rest = [k for k, a in found.numbers.items() if k not in "xy" and np.prod(a.shape, dtype=object) != 1]
        if rest:
            return f"{rest[0]} beside x and y"
        first, second = (found.arrays[name].shape for name in "xy")
        if min(len(first), len(second)) < 2 or first[0] != second[0]:
            return f"x {first} and y {second} do not have the same samples in front"
        return None

    def open(self, path: Path, opening: Opening) -> Dataset:
        found = bundle(path)
        unused_dims(opening, ("x", "y"))
        variables: dict[str, Variable] = {}
        grid = found.arrays["x"].shape[1:]
        for old, new in (("x", "input"), ("y", "output")):
            shape = found.arrays[old].shape
            dims = given_dims(old, found.arrays[old], opening, {})
            if dims is None:
                time = ("t",) if shape[-len(grid) :] == grid and len(shape) == len(grid) + 2 else ()
                dims = (SAMPLE, *time, *_space(len(shape) - 1 - len(time)))
            variables[new] = arranged(new, found.arrays[old], dims)
        scalars = {k: parameter(k, float(found.arrays[k].all().reshape(-1)[0])) for k in found.numbers if k not in "xy"}
        notes = (*found.notes, "x and y of the file are `input` and `output` here; their grids are not stored")
        return Dataset(variables, {}, scalars, layout=self.name, paths=(found.path,), notes=notes)


def _space(n: int) -> tuple[str, ...]:
    """Names of n dimensions, of which the first of four is a channel."""
    return ("component", *_SPACE) if n > len(_SPACE) else _SPACE[:n]


def _pair(found: Bundle) -> tuple[str, str] | None:
    for pair in (("a", "u"), ("coeff", "sol"), ("input", "output")):
        if set(pair) <= set(found.numbers):
            return pair
    return None


def _dims(
    name: str, array: Array, grid: tuple[int, ...], space: tuple[str, ...], times: np.ndarray | None
) -> tuple[str, ...] | None:
    """Samples first; time last but for files of PINO, where it comes before space."""
    shape = array.shape[1:]
    if shape == grid:
        return (SAMPLE, *space)
    if len(shape) == len(grid) + 1 and shape[:-1] == grid and (times is None or shape[-1] == len(times)):
        return (SAMPLE, *space, "t")
    if len(shape) == len(grid) + 1 and shape[1:] == grid:
        return (SAMPLE, "t", *space)
    return None
