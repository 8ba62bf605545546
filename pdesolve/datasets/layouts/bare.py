"""Arrays of which nothing is known but their shapes: the user says what their dimensions are."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pdesolve.data.dataset import Dataset
from pdesolve.datasets.bundle import bundle
from pdesolve.datasets.dimensions import arranged, given_dims, parameter, unused_dims
from pdesolve.datasets.layout import Layout, Opening
from pdesolve.errors import InputError


class Bare(Layout):
    """Any arrays, with dims={"values": ("sample", "x")} for each; the array of a .npy or of a .pt tensor is `values`.

    Arrays without dims are left out, with a note. Single numbers are parameters. No coordinates are known.
    """

    name = "bare"
    containers = ("mat5", "mat73", "npz", "npy", "torch")
    fallback = True

    def refusal(self, path: Path) -> str | None:
        return None if bundle(path).numbers else "no arrays of numbers"

    def open(self, path: Path, opening: Opening) -> Dataset:
        found = bundle(path)
        arrays = found.numbers
        if not opening.dims:
            first = next(iter(arrays))
            size = sum(n != 1 for n in arrays[first].shape)
            dims = ", ".join(f'"{dim}"' for dim in ("sample", "x", "y", "z")[: max(size, 1)])
            left = "".join(f" {note}." for note in found.notes[:3])
            example = f"{dims}{',' if size < 2 else ''}"
            raise InputError(
                f"{path} holds bare arrays, whose dimensions it does not tell: {found.described()}.{left} "
                f'Say what they are, such as dims={{"{first}": ({example})}} '
                "(of sample, t, component, x, y, z, node, cell, point)"
            )
        unused_dims(opening, arrays)
        variables, scalars, notes = {}, {}, list(found.notes)
        for name, array in arrays.items():
            dims = given_dims(name, array, opening, {})
            if dims is not None:
                variables[name] = arranged(name, array, dims)
            elif np.prod(array.shape, dtype=object) == 1 and array.dtype.kind in "biuf":
                scalars[name] = parameter(name, float(array.all().reshape(-1)[0]))
            else:
                notes.append(f"{name} {array.shape} is left out: dims says nothing of it")
        return Dataset(variables, {}, scalars, layout=self.name, paths=(found.path,), notes=tuple(notes))
