"""Data of convolutional neural operators and of Poseidon: a group for each sample, or arrays with the channels first.

Raonic, Molinaro, De Ryck, Rohner, Bartolucci, Alaifari, Mishra, de Bezenac (2023), arXiv:2302.01178; Herde, Raonic,
Rohner, Kaeppeli, Molinaro, de Bezenac, Mishra (2024), arXiv:2405.19101. The files hold neither times nor coordinates.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar

import h5py

from pdesolve.data.arrays import Part
from pdesolve.data.dataset import Dataset, Variable
from pdesolve.datasets.groups import Grouped
from pdesolve.datasets.hdf5 import H5Array, described, look
from pdesolve.datasets.layout import Container, Layout, Opening
from pdesolve.errors import InputError

_SAMPLE = re.compile(r"Sample_(\d+)")
_NO_AXES = "the file has no coordinates: fields lie on a grid of equal steps, whose last points may be left out"
# the channels of `data`, in order
_FLOW = {4: ("density", "velocity", "pressure"), 5: ("density", "velocity", "pressure", "energy_or_tracer")}


class CNO(Layout):
    """`Sample_0/input`, `Sample_0/output` (x, y), ..., and numbers for each sample."""

    name: ClassVar[str] = "cno"
    containers: ClassVar[tuple[Container, ...]] = ("hdf5",)

    def refusal(self, path: Path) -> str | None:
        with look(path) as root:
            return None if any(map(_SAMPLE.fullmatch, root)) else "no groups Sample_0, Sample_1, ..."

    def open(self, path: Path, opening: Opening) -> Dataset:
        variables, parameters, notes = {}, {}, [_NO_AXES]
        with look(path) as root:
            names = sorted(filter(_SAMPLE.fullmatch, root), key=lambda name: int(name.removeprefix("Sample_")))
            for member, node in root[names[0]].items():
                if not isinstance(node, h5py.Dataset) or len(node.shape or ()) > 3 or node.dtype.kind not in "biuf":
                    notes.append(f"{member} is left out: it is {described(node)}")
                    continue
                array = Grouped(tuple(names), member, H5Array.of(node))
                dims = ("sample", "x", "y", "z")[: len(array.shape)]
                into = variables if len(dims) > 1 else parameters
                into[member] = Variable(member, array, dims)
        if not variables:
            raise InputError(f"{path}: the group {names[0]} has no field (x, y)")
        return Dataset(variables, {}, parameters, layout=self.name, paths=(path,), notes=tuple(notes))


class Poseidon(Layout):
    """`velocity` (sample, t, channel, x, y) of u, v and a tracer, or `data` of density, u, v, pressure and one more."""

    name: ClassVar[str] = "poseidon"
    containers: ClassVar[tuple[Container, ...]] = ("hdf5",)

    def refusal(self, path: Path) -> str | None:
        with look(path) as root:
            return None if _channels(root) else "no velocity or data (sample, t, channel, x, y) with 2 to 5 channels"

    def open(self, path: Path, opening: Opening) -> Dataset:
        with look(path) as root:
            array, names = H5Array.of(root["velocity" if "velocity" in root else "data"]), _channels(root)
        variables, begin = {}, 0
        for name in names:
            count = 2 if name == "velocity" else 1
            index = [slice(0, n) for n in array.shape]
            index[2] = slice(begin, begin + count)
            begin += count
            part = Part(array, tuple(index), frozenset() if count > 1 else frozenset({2}))
            component = ("component",) if count > 1 else ()
            dims = ("sample", "t", *component, "x", "y")
            variables[name] = Variable(name, part, dims, None, ("x", "y") if component else ())
        return Dataset(variables, layout=self.name, paths=(path,), notes=(_NO_AXES,))


def _channels(root: h5py.Group) -> tuple[str, ...]:
    """The variables by their channels; none where it is another file."""
    for name in ("velocity", "data"):
        node = root.get(name)
        if isinstance(node, h5py.Dataset) and len(node.shape or ()) == 5 and "particles" not in root:
            channels = node.shape[2]
            if name == "velocity":
                return {2: ("velocity",), 3: ("velocity", "tracer")}.get(channels, ())
            return _FLOW.get(channels, ()) if "times" not in root else ()
    return ()
