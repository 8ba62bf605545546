"""The contract of file layouts: a module of `layouts/` each, found by reading that folder."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

from pdesolve.data.dataset import Dataset

Container = Literal[
    "hdf5", "mat73", "netcdf3", "mat5", "npy", "npz", "torch", "zarr", "xml", "gmsh", "vtk", "text", "zip", "tar",
    "folder", "unknown",
]  # fmt: skip


@dataclass(frozen=True)
class Opening:
    """What a user may say of files whose layout does not: names for what has none, and the order of dimensions.

    names: new names for variables, parameters and axes, by the old ones. dims: for a variable (by its old name) its
    dimensions as they lie in the file, such as ("x", "t"). parameters: values that stand nowhere in the file.
    """

    names: Mapping[str, str] = field(default_factory=dict)
    dims: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    parameters: Mapping[str, float] = field(default_factory=dict)


class Layout(ABC):
    """One layout of files. Recognised by what is in the file, never by its name.

    `containers` are the kinds of file it may lie in; `fallback` layouts are asked only where no other fits.
    """

    name: ClassVar[str]
    containers: ClassVar[tuple[Container, ...]]
    fallback: ClassVar[bool] = False

    @abstractmethod
    def refusal(self, path: Path) -> str | None:
        """Why the file is not laid out like this: what was looked for and is not there; None where it is."""

    @abstractmethod
    def open(self, path: Path, opening: Opening) -> Dataset:
        """The file as a data set, of which no field is read yet.

        Raises:
            InputError: what is missing or contradictory in it, and what to write.
        """
