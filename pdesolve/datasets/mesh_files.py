"""What lies in a mesh file, by meshio: points, cells and fields, also of several times. Read whole, and kept."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from pdesolve.data.arrays import Array, Slices
from pdesolve.datasets.containers import container_of
from pdesolve.datasets.hdf5 import look
from pdesolve.datasets.stored import kept
from pdesolve.errors import InputError
from pdesolve.geometry.mesh_file import meshio_mesh, quietly

_HEAD = 2**14


def format_of(path: Path) -> str | None:
    """meshio's name for the format of a file, by its contents; None where it is no mesh.

    Raises:
        InputError: a format of VTK that meshio does not read, XML that names files elsewhere.
    """
    match container_of(path):
        case "gmsh":
            return "gmsh"
        case "vtk":
            return "vtk"
        case "xml":
            return _of_xml(path)
        case "text":
            with path.open("rb") as file:
                head = file.read(_HEAD).decode("utf-8", errors="replace")
            if re.search(r"^\s*NDIME\s*=", head, re.MULTILINE):
                return "su2"
            return "abaqus" if re.search(r"^\*NODE\b", head, re.MULTILINE | re.IGNORECASE) else None
        case _:
            return None


def _of_xml(path: Path) -> str | None:
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if b"<!ENTITY" in head:
        raise InputError(f"{path} defines entities of XML, which data have no use for: it is refused")
    found = re.search(rb"<VTKFile\b[^>]*?\btype\s*=\s*[\"'](\w+)", head)
    if found:
        kind = found[1].decode()
        if kind != "UnstructuredGrid":
            raise InputError(
                f"{path} is VTK XML of the type {kind}, and only UnstructuredGrid (.vtu) is read: convert it, as "
                "pyvista.read(path).cast_to_unstructured_grid().save('OUT.vtu') does"
            )
        return "vtu"
    return "xdmf" if re.search(rb"<Xdmf\b", head, re.IGNORECASE) else None


def mesh_at(path: Path, kind: str) -> Any:
    """The points, cells and fields that meshio reads; of a time series those of its mesh, without fields.

    Raises:
        InputError: a file that meshio cannot read, or that leads out of its folder.
    """
    size = 8 * path.stat().st_size
    return kept(str(path), "meshio", size, lambda: _read(path, kind))


def _read(path: Path, kind: str) -> Any:
    if kind == "xdmf":
        _check_references(path)
    try:
        return meshio_mesh(path, kind)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _check_references(path: Path) -> None:
    """Refuse data in files elsewhere than in the folder of the XDMF file or below it."""
    try:
        root = ElementTree.parse(path).getroot()
    except ElementTree.ParseError as error:
        raise InputError(f"{path} is no whole XML ({error}): copy or download it again") from None
    folder = path.resolve().parent
    for item in root.iter("DataItem"):
        text, form = (item.text or "").strip(), (item.get("Format") or "XML").upper()
        if form == "XML":
            continue
        name, _, inside = text.partition(":") if form == "HDF" else (text, "", "")
        target = (folder / name).resolve()
        if not target.is_relative_to(folder):
            raise InputError(f"{path} reads {name!r}, which is not in its folder: it is refused")
        if not target.is_file():
            raise InputError(f"{path} needs the file {name!r} beside it, which is not there: copy both")
        if form == "HDF":
            with look(target) as file:  # refuses links out of the folder
                file[inside.strip()]


@dataclass(frozen=True)
class Steps:
    """The times of a series and the fields that it has at the first, by place (`point`, `cell`) and name: their
    shapes and types."""

    times: tuple[float, ...]
    fields: dict[tuple[str, str], tuple[tuple[int, ...], np.dtype]]


def steps(path: Path) -> Steps | None:
    """The series in an XDMF file; None where it is a single grid."""
    import meshio

    _check_references(path)
    root = ElementTree.parse(path).getroot()
    if not any(grid.get("GridType") == "Collection" for grid in root.iter("Grid")):
        return None

    def read() -> Steps:
        with meshio.xdmf.TimeSeriesReader(path) as series:
            series.read_points_cells()
            grids = series.collection
            times = tuple(float(time.attrib["Value"]) for grid in grids for time in grid.iter("Time"))
            _, points, cells = series.read_data(0)
            fields = {("point", k): (np.shape(v), np.asarray(v).dtype) for k, v in points.items()}
            fields |= {("cell", k): (np.shape(v[0]), np.asarray(v[0]).dtype) for k, v in cells.items() if len(v) == 1}
        return Steps(times, fields)

    return quietly(path, read)


@dataclass(frozen=True, eq=False)
class Series(Array):
    """A field of a time series (t, point, ...), of which the steps that are asked for are read."""

    path: str
    place: str
    name: str
    sizes: tuple[int, ...]
    kind: np.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        return self.sizes

    @property
    def dtype(self) -> np.dtype:
        return self.kind

    @property
    def chunks(self) -> tuple[int, ...]:
        return (1, *self.sizes[1:])

    def read(self, index: Slices) -> np.ndarray:
        import meshio

        numbers = range(*index[0].indices(self.sizes[0]))
        made = np.empty((len(numbers), *self.sizes[1:]), self.kind)

        def read() -> np.ndarray:
            with meshio.xdmf.TimeSeriesReader(self.path) as series:
                series.read_points_cells()
                for i, number in enumerate(numbers):
                    _, points, cells = series.read_data(number)
                    made[i] = points[self.name] if self.place == "point" else cells[self.name][0]
            return made

        return quietly(Path(self.path), read)[(slice(None), *index[1:])]
