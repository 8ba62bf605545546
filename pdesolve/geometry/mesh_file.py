"""Mesh files, read and written by meshio."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from pdesolve.errors import InputError
from pdesolve.geometry.axis import Axes
from pdesolve.geometry.mesh import Mesh
from pdesolve.geometry.mesh_parts import named_facets, parts
from pdesolve.geometry.mesh_simplices import file_blocks, simplices

WRITTEN = {".msh": "gmsh22", ".vtu": "vtu", ".vtk": "vtk42", ".xdmf": "xdmf"}
MARK = "boundary:"  # what precedes a part's name in cell data of VTU, VTK and XDMF: 1 for its facets
_CELLS = {1: "line", 2: "triangle", 3: "tetra"}
_FACETS = {1: "vertex", 2: "line", 3: "triangle"}


def read_mesh(
    path: str | Path,
    *,
    axes: Axes | Sequence[str] | None = None,
    boundaries: Sequence[str] | Mapping[str, str] | None = None,
) -> Mesh:
    """The mesh of a file that meshio reads: Gmsh .msh, VTU, legacy VTK, XDMF, Exodus, SU2, Abaqus, MED and more.

    axes: names, or axes whose names and units are taken; x, y, z unless given. Cells of the highest dimension make the
    mesh. Planar meshes become two-dimensional where z is constant, lines one-dimensional where y and z are.
    Quadrilaterals are cut in two along the diagonal that leaves the larger angles; cells of second and higher order
    are taken by their corners, so that curved sides become straight. Points of no cell are left out.

    Parts of the boundary are the physical groups of Gmsh (their numbers where they have no names), markers of SU2, node
    sets of Exodus and Abaqus (facets all of whose points are in the set), boundaries that scikit-fem stored, and those
    that `write_mesh` did. Facets inside the domain are left out, with them groups of nothing else. A facet in several
    groups belongs to the first. boundaries: the groups to take, in that order, the first having precedence, or {name in
    the file: name here}; the rest of the boundary is the part `boundary`. meshio gives no side sets of Exodus.

    Orientation: all cells of one entity (surface, volume) of a file may go clockwise, they are turned. So are single
    ones where a file keeps no order (FEniCS and scikit-fem list points by number, and half of the cells go either way
    round); where few go the other way they are inverted.

    Needs the extra `mesh`.

    Raises:
        InputError: no such file, one that meshio cannot read, cells that are no simplices or quadrilaterals (hexahedra,
            wedges), a surface in space, a group that the file has not, and whatever a Mesh refuses.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"there is no mesh file {path}")
    with _explained(path):
        return mesh_of(meshio_mesh(path), path, axes=axes, boundaries=boundaries)[0]


def mesh_of(
    found: Any,
    path: Path,
    *,
    axes: Axes | Sequence[str] | None = None,
    boundaries: Sequence[str] | Mapping[str, str] | None = None,
) -> tuple[Mesh, np.ndarray]:
    """The mesh of what meshio has read, as `read_mesh` gives it, and the new number of each point, -1 where it is in
    no cell of the mesh."""
    blocks = file_blocks(found)
    points, cells, numbers = simplices(np.asarray(found.points, dtype=float), blocks)
    groups = named_facets(found, blocks, cells.shape[1] - 1, MARK)
    if path.suffix == ".su2":
        groups = {_markers(path).get(name, name): facets for name, facets in groups.items()}
    mesh = Mesh.of(points, cells, axes=axes or ("x", "y", "z"))
    return Mesh(mesh.axes, mesh.points, mesh.cells, parts(mesh, groups, numbers, boundaries)), numbers


def write_mesh(mesh: Mesh, path: str | Path) -> Path:
    """Write a mesh with the names of its boundary parts, as the ending of the path says: .msh (Gmsh 2.2, physical
    groups), .vtu, .vtk or .xdmf (facets as cells, marked by cell data `boundary:NAME`).

    `read_mesh` gives the same mesh back, to the last bit. Needs the extra `mesh`.

    Raises:
        InputError: another ending, intervals as XDMF, a folder that cannot be written.
    """
    path = Path(path)
    if path.suffix not in WRITTEN:
        raise InputError(f"a mesh is written as {', '.join(WRITTEN)}, got {path.name!r}: give one of these endings")
    d = mesh.dimension
    if d == 1 and path.suffix == ".xdmf":
        raise InputError("end points cannot be marked in XDMF: write a mesh of intervals as .vtu, .vtk or .msh")
    if path.suffix == ".msh" and any(mark in name for name in mesh.boundaries for mark in '"\n'):
        raise InputError("names of Gmsh's groups hold no quotation marks: call the boundary parts otherwise")
    meshio = _meshio()
    points = np.zeros((len(mesh.points), 3))
    points[:, :d] = mesh.points.numpy()
    cells = [(_CELLS[d], mesh.cells.numpy()), *((_FACETS[d], f.numpy()) for f in mesh.boundaries.values())]
    sizes = [len(rows) for _, rows in cells]
    data: dict[str, list[np.ndarray]]
    field_data: dict[str, np.ndarray] = {}
    if path.suffix == ".msh":
        # a tag of zero is none, so that the cells have the last
        tags = [np.full(n, i or len(sizes), dtype=np.int32) for i, n in enumerate(sizes)]
        data = {"gmsh:physical": tags, "gmsh:geometrical": tags}
        field_data = {name: np.array([i + 1, d - 1]) for i, name in enumerate(mesh.boundaries)}
    else:
        data = {
            MARK + quote(name, safe=""): [np.full(n, int(i == j + 1), dtype=np.int32) for i, n in enumerate(sizes)]
            for j, name in enumerate(mesh.boundaries)
        }
    made = meshio.Mesh(points, cells, cell_data=data, field_data=field_data)
    aside = path.with_name(f".{os.getpid()}.{path.name}")
    options: dict[str, Any] = {"xdmf": {"data_format": "XML"}, "gmsh22": {"binary": False}}.get(
        WRITTEN[path.suffix], {}
    )
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            meshio.write(aside, made, file_format=WRITTEN[path.suffix], **options)
        aside.replace(path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise InputError(f"cannot write {path}: {error}") from error
    return path


def _meshio() -> Any:
    try:
        import meshio
    except ImportError as error:
        raise InputError('meshes are read and written by meshio: pip install "pdesolve-suite[mesh]"') from error
    return meshio


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Errors that say which file they are of."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def meshio_mesh(path: Path, file_format: str | None = None) -> Any:
    """What meshio reads, without its prints; of a time series of XDMF the mesh of its first time.

    Raises:
        InputError: the extra `mesh` is not installed, meshio cannot read the file.
    """
    meshio = _meshio()

    def read() -> Any:
        try:
            return meshio.read(path, file_format)
        except SystemExit:  # its way to say that no reader succeeded
            if file_format not in ("xdmf", None) or (file_format is None and path.suffix != ".xdmf"):
                raise
            with meshio.xdmf.TimeSeriesReader(path) as series:
                return meshio.Mesh(*series.read_points_cells())

    return quietly(path, read)


def quietly(path: Path, read: Callable[[], Any]) -> Any:
    """What a reader of meshio gives; what it prints and raises becomes one error.

    Raises:
        InputError: that it cannot read the file.
    """
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            return read()
    except (Exception, SystemExit) as error:
        words = str(error) if isinstance(error, Exception) and str(error) else said.getvalue()
        words = words.replace(str(path), path.name)
        reason = f"{type(error).__name__}: {' '.join(words.split())[:160]}".removeprefix("SystemExit: ")
        raise InputError(f"meshio cannot read this file ({reason}): is it whole, and a format of meshio?") from error


def _markers(path: Path) -> dict[str, str]:
    """The names of the markers of SU2 by the numbers that meshio gives them, in their order."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    names = [line.partition("=")[2].strip() for line in lines if line.strip().startswith("MARKER_TAG")]
    return {str(i + 1): name for i, name in enumerate(dict.fromkeys(names)) if not name.isdigit()}
