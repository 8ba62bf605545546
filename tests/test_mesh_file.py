"""Mesh files: what meshio reads, what we make of it, and meshes written and read back."""

from __future__ import annotations

import math
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import pdesolve as ps
from pdesolve.errors import InputError
from pdesolve.geometry import Box, Disk, Interval, Mesh

meshio = pytest.importorskip("meshio", reason="meshes are read by meshio: install the extra mesh")

PLANAR = np.array([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
HALVES = [[0, 1, 2], [0, 2, 3]]
ODD_NAMES = {"no slip / é": "circle", "100%": "hole"}


def stored(path: Path, points: np.ndarray, cells: list, form: str | None = None, **data) -> Path:
    """A file that meshio writes."""
    meshio.write(path, meshio.Mesh(np.asarray(points, dtype=float), cells, **data), file_format=form)
    return path


def tagged(path: Path, cells: list, tags: list, names: dict, points: np.ndarray = PLANAR, **data) -> Path:
    """A file of Gmsh 2.2 with physical groups."""
    values = [np.full(len(rows), tag, dtype=np.int32) for (_, rows), tag in zip(cells, tags, strict=True)]
    cell_data = {"gmsh:physical": values, "gmsh:geometrical": values, **data}
    field_data = {name: np.array(pair) for name, pair in names.items()}
    return stored(path, points, cells, "gmsh22", cell_data=cell_data, field_data=field_data)


def annulus() -> Mesh:
    mesh = ps.triangulate(Disk() - Disk((0, 0), 0.4, boundary="hole"), 0.3)
    return Mesh.of(mesh.points, mesh.cells, {new: mesh.part(old) for new, old in ODD_NAMES.items()})


def two_tetrahedra() -> Mesh:
    points = [[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, -1 / 3]]
    return Mesh.of(points, [[0, 1, 2, 3], [0, 2, 1, 4]], {"top": [[1, 2, 3], [0, 1, 3]]})


MADE = {"interval": lambda: ps.triangulate(Interval("x", 0.0, 1 / 3), 0.1), "plane": annulus, "space": two_tetrahedra}


@pytest.mark.parametrize("ending", [".msh", ".vtu", ".vtk", ".xdmf"])
@pytest.mark.parametrize("kind", MADE)
def test_meshes_are_read_back_to_the_last_bit_with_their_names(tmp_path, kind, ending, capfd):
    mesh = MADE[kind]()
    if (kind, ending) == ("interval", ".xdmf"):
        with pytest.raises(InputError, match=r"write a mesh of intervals as .vtu"):
            ps.write_mesh(mesh, tmp_path / "mesh.xdmf")
        return
    path = ps.write_mesh(mesh, tmp_path / f"mesh{ending}")
    back = ps.read_mesh(path)
    assert torch.equal(back.points, mesh.points) and torch.equal(back.cells, mesh.cells)
    assert list(back.boundaries) == list(mesh.boundaries)
    assert all(torch.equal(back.part(name), mesh.part(name)) for name in mesh.boundaries)
    assert [p.name for p in tmp_path.iterdir()] == [path.name], "nothing is left beside it"
    assert capfd.readouterr() == ("", ""), "what meshio prints is no result"


def test_what_cannot_be_written_is_refused(tmp_path):
    mesh = annulus()
    with pytest.raises(InputError, match=r"written as .msh, .vtu, .vtk, .xdmf, got 'mesh.stl'"):
        ps.write_mesh(mesh, tmp_path / "mesh.stl")
    with pytest.raises(InputError, match="cannot write"):
        ps.write_mesh(mesh, tmp_path / "nowhere" / "mesh.msh")
    quoted = Mesh.of(PLANAR[:, :2], HALVES, {'"left"': [[3, 0]]})
    with pytest.raises(InputError, match="hold no quotation marks"):
        ps.write_mesh(quoted, tmp_path / "mesh.msh")
    assert list(ps.read_mesh(ps.write_mesh(quoted, tmp_path / "mesh.vtu")).boundaries) == ['"left"', "boundary"]


def test_quadrilaterals_are_cut_along_the_better_diagonal(tmp_path):
    points = np.array([[0.0, 0, 0], [2, 0, 0], [0.5, 0.5, 0], [0, 2, 0]])  # concave at the third corner
    for quad in ([0, 1, 2, 3], [3, 2, 1, 0]):
        mesh = ps.read_mesh(stored(tmp_path / "quad.vtu", points, [("quad", [quad])]))
        assert mesh.dimension == 2 and len(mesh.cells) == 2 and mesh.measure == pytest.approx(1.0)
        assert all({0, 2} <= set(cell) for cell in mesh.cells.tolist())


def test_cells_of_second_order_are_taken_by_their_corners(tmp_path):
    middles = [[0.5, 0, 0], [1, 0.5, 0], [0.5, 0.5, 0]]
    path = stored(tmp_path / "second.vtu", np.concatenate([PLANAR[:3], middles]), [("triangle6", [[0, 1, 2, 3, 4, 5]])])
    mesh = ps.read_mesh(path)
    assert mesh.points.tolist() == PLANAR[:3, :2].tolist() and mesh.cells.tolist() == [[0, 1, 2]]


def test_orientation_of_files(tmp_path):
    """An entity all of whose cells go clockwise is turned, and cells whose points are sorted; single ones are not."""
    clockwise = [[0, 2, 1], [0, 3, 2]]
    mesh = ps.read_mesh(stored(tmp_path / "a.vtu", PLANAR, [("triangle", clockwise)]))
    assert mesh.cells.tolist() == [[0, 1, 2], [0, 2, 3]]
    mixed = tagged(tmp_path / "b.msh", [("triangle", [[0, 1, 2]]), ("triangle", [[0, 3, 2]])], [1, 2], {})
    assert ps.read_mesh(mixed).measure == pytest.approx(1.0)
    with pytest.raises(InputError, match=r"c\.vtu: 1 of 2 cells are inverted"):
        ps.read_mesh(stored(tmp_path / "c.vtu", PLANAR, [("triangle", [[0, 1, 2], [0, 3, 2]])]))
    points = np.array([[0.0, 0, 0], [1, 0, 0], [0.5, 1, 0], [0.5, -1, 0]])
    by_number = ps.read_mesh(stored(tmp_path / "d.vtu", points, [("triangle", [[0, 1, 2], [0, 1, 3]])]))
    assert by_number.measure == pytest.approx(1.0) and by_number.cells.tolist() == [[0, 1, 2], [0, 3, 1]]
    square = ps.triangulate(Box(ps.Axis("x", 0, 1), ps.Axis("y", 0, 1)), 0.2)
    cells = square.cells.numpy().copy()
    cells[::2] = cells[::2, [0, 2, 1]]
    flat = np.concatenate([square.points.numpy(), np.zeros((len(square.points), 1))], 1)
    half = ps.read_mesh(stored(tmp_path / "e.vtu", flat, [("triangle", cells)]))
    assert half.measure == pytest.approx(1.0)


def test_physical_groups_are_the_parts_of_the_boundary(tmp_path):
    cells = [("line", [[0, 1]]), ("line", [[1, 2]]), ("line", [[0, 2]]), ("line", [[1, 2]]), ("triangle", HALVES)]
    names = {"floor": (1, 1), "right": (2, 1), "inside": (3, 1), "again": (4, 1), "all": (5, 2)}
    path = tagged(tmp_path / "groups.msh", cells, [1, 2, 3, 4, 5], names)
    mesh = ps.read_mesh(path)
    assert {n: f.tolist() for n, f in mesh.boundaries.items()} == {
        "floor": [[0, 1]],
        "right": [[1, 2]],
        "boundary": [[2, 3], [3, 0]],
    }
    chosen = ps.read_mesh(path, boundaries=("again",), axes=("r", "z"))
    assert list(chosen.boundaries) == ["again", "boundary"] and chosen.axes.names == ("r", "z")
    assert list(ps.read_mesh(path, boundaries={"right": "wall", "floor": "wall"}).boundaries) == ["wall", "boundary"]
    with pytest.raises(InputError, match="unknown boundary of the mesh 'flor': did you mean 'floor'") as error:
        ps.read_mesh(path, boundaries=("flor",))
    assert "known: again, floor, right" in str(error.value)
    with pytest.raises(InputError, match="the group 'inside' lies inside the mesh"):
        ps.read_mesh(path, boundaries=("inside",))
    unnamed = tagged(tmp_path / "unnamed.msh", [("line", [[0, 1]]), ("triangle", HALVES)], [7, 1], {})
    assert list(ps.read_mesh(unnamed).boundaries) == ["7", "boundary"]


def test_boundaries_of_scikit_fem_and_node_sets(tmp_path):
    # bits 1, 2 and 4 are the edges (0, 1), (1, 2) and (0, 2) of a triangle
    data = {"skfem:b:low right": [np.array([3.0, 0.0])], "skfem:b:left": [np.array([0.0, 4.0])]}
    mesh = ps.read_mesh(stored(tmp_path / "skfem.vtu", PLANAR, [("triangle", HALVES)], cell_data=data))
    assert mesh.part("low right").tolist() == [[1, 2], [0, 1]] and mesh.part("left").tolist() == [[3, 0]]
    sets = {"corner": np.array([0, 1, 3])}
    nodes = ps.read_mesh(stored(tmp_path / "sets.inp", PLANAR, [("triangle", HALVES)], point_sets=sets))
    assert sorted(nodes.part("corner").tolist()) == [[0, 1], [3, 0]]


def test_sets_of_cells_are_parts_of_the_boundary(tmp_path):
    cells = [("line", [[0, 1], [1, 2]]), ("triangle", HALVES)]
    sets = {"right": [np.array([1]), np.zeros(0, dtype=int)]}
    mesh = ps.read_mesh(stored(tmp_path / "sets.inp", PLANAR, cells, cell_sets=sets))
    assert mesh.part("right").tolist() == [[1, 2]] and len(mesh.part("boundary")) == 3


def test_markers_of_su2_keep_their_names(tmp_path):
    text = "NDIME= 2\nNELEM= 2\n5 0 1 2 0\n5 0 2 3 1\nNPOIN= 4\n0 0 0\n1 0 1\n1 1 2\n0 1 3\nNMARK= 2\n"
    text += "MARKER_TAG= inlet\nMARKER_ELEMS= 1\n3 3 0\nMARKER_TAG= wall\nMARKER_ELEMS= 2\n3 0 1\n3 2 3\n"
    (tmp_path / "mesh.su2").write_text(text)
    mesh = ps.read_mesh(tmp_path / "mesh.su2")
    assert {n: len(f) for n, f in mesh.boundaries.items()} == {"inlet": 1, "wall": 2, "boundary": 1}


@pytest.mark.parametrize(
    ("cells", "points", "message"),
    [
        ([("hexahedron", [list(range(8))])], np.random.rand(8, 3), "cells of the kind 'hexahedron'"),
        ([("triangle", HALVES)], [*PLANAR[:3], [0.0, 1.0, 0.5]], "surface in space"),
        ([("line", [[0, 1], [1, 2]])], PLANAR, "line in space"),
        ([("vertex", [[0]])], PLANAR, "holds no cells"),
        ([("triangle", [[0, 1, 2], [0, 2, 2]])], PLANAR, "1 of 2 cells are inverted or flat"),
        (
            [("triangle", [[0, 1, 2], [3, 4, 5]])],
            np.concatenate([PLANAR[:3], PLANAR[:3] + 5]) * [1, 1, 0],
            "in 2 pieces",
        ),
    ],
)
def test_files_that_hold_no_mesh_of_ours_are_refused_in_one_line(tmp_path, cells, points, message):
    path = stored(tmp_path / "bad.vtu", points, cells)
    with pytest.raises(InputError, match=message) as error:
        ps.read_mesh(path)
    assert "\n" not in str(error.value) and "bad.vtu" in str(error.value)


@pytest.mark.parametrize("name", ["a.msh", "a.vtu", "a.vtk", "a.xdmf", "a.su2", "a.inp", "a.exo", "a.npz", "a"])
@pytest.mark.parametrize(
    "content", [b"", b"hello\n", b"<VTKFile><a></VTKFile>", b"$MeshFormat\n9 9 9\n", b"\x80\x04\x95"]
)
def test_files_that_are_none_end_in_one_line(tmp_path, name, content, capfd):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as error:
        ps.read_mesh(tmp_path / name)
    assert "\n" not in str(error.value) and len(str(error.value)) < 500
    assert capfd.readouterr() == ("", "")


def test_a_missing_file_and_a_missing_meshio_are_said(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="there is no mesh file"):
        ps.read_mesh(tmp_path / "none.msh")
    path = ps.write_mesh(annulus(), tmp_path / "mesh.msh")
    monkeypatch.setitem(sys.modules, "meshio", None)
    with pytest.raises(InputError, match=r'pip install "pdesolve-suite\[mesh\]"'):
        ps.read_mesh(path)


# real files; the twins of what they hold are above

SKFEM = "scikit-fem/docs/examples/meshes"
REAL = {
    # Gmsh 2.2 and 4 with physical groups; clockwise; triangles and quadrilaterals of first and second order
    f"{SKFEM}/square.msh": (109, 184, 1.0, dict.fromkeys(("left", "right", "top", "boundary"), 1.0)),
    f"{SKFEM}/annulus.msh": (60, 98, 0.735, {"exter": 3.119, "inter": 0.607}),
    f"{SKFEM}/mixedtriquad.msh": (56, 88, 0.38644, {"boundary": 2.409}),
    f"{SKFEM}/quadratic_tri.msh": (72, 119, 0.776, {"boundary": 3.132}),
    f"{SKFEM}/tagged_gmsh4.msh": (55, 80, 0.55, {"tagged": 1.6, "boundary": 3.568}),
    f"{SKFEM}/box.msh": (358, 1105, 1.0, {"front": 1.0, "back": 1.0, "top": 1.0, "boundary": 3.0}),
    f"{SKFEM}/beams.msh": (289, 851, 0.12, {"fixed": 0.04, "boundary": 3.56}),
    # half of the cells either way round, boundaries as bits: [0, 5] x [0, 10] less a half disk of radius 1 on the left
    f"{SKFEM}/cylinder_stokes.msh": (
        171, 293, 50 - 1.5495, {"left": 8.0, "bottom": 5.0, "right": 10.0, "top": 5.0, "ball": 3.131},
    ),
    "pyfr-test-cases/2d-couette-flow/couette-flow.msh": (
        55, 84, 2.0, {"periodic_0_r": 1.0, "periodic_0_l": 1.0, "bcwalllower": 2.0, "bcwallupper": 2.0},
    ),
    "pyfr-test-cases/2d-inc-cylinder/inc-cylinder.msh": (
        1861, 3623, 687.22, {"wall": 3.135, "inlet": 102.0, "outlet": 16.0},
    ),
    "pysindy/examples/data/vonKarman_pod/pod_modes/cyl.msh": (
        2726, 5244, 199.216, {"Inlet": 10.0, "Outlet": 10.0, "Wall": math.pi, "Top": 20.0, "Bottom": 20.0},
    ),
    # groups with numbers and no names
    "phiflow/examples/mesh/cylinder.msh": (
        5432, 10566, 41.215, {"100": 7, "200": 6, "300": 7, "400": 6, "500": math.pi},
    ),
    "phiflow/docs/mesh_wedge_inv.su2": (336, 600, 1.4, {"upper": 1.5, "outlet": 0.8, "lower": 1.52, "inlet": 1.0}),
    # a group of edges inside, and one of two surfaces
    "gridap-tutorials/models/elasticFlag.msh": (
        1199, 2231, 1.0173, {"fixed": 0.0201, "inlet": 0.41, "outlet": 0.41, "noSlip": 5.0, "cylinder": 0.2929},
    ),
    "gridap-tutorials/models/pentagon_mesh.msh": (899, 1694, 6.884, {f"l{i}": 2.0 for i in range(1, 6)}),
    "jaxpi/examples/euler_tori/data/checkpoint_T_0.101000.vtk": (10201, 20000, 1.0, {"boundary": 4.0}),
    "ezyrb/tests/test_datasets/matlab_00.vtk": (2500, 4802, 0.8002, {"boundary": 4.267}),
    "vtk-data/Data/Disc_BiQuadraticQuads_0_0.vtu": (409, 752, 0.00784, {"boundary": 0.314}),
    "vtk-data/Data/QuadraticTetra.vtu": (35, 96, 8.0, {"boundary": 24.0}),
    # time series
    "vtk-data/Data/meshio/out.xdmf": (4, 2, 1.0, {"boundary": 4.0}),
    "vtk-data/Data/dolfinx/no_checkpoint.xdmf": (729, 3072, 1.0, {"boundary": 6.0}),
}  # fmt: skip
REFUSED = {
    "vtk-data/Data/Hexahedron.vtu": "7 cells of the kind 'hexahedron'",
    "vtk-data/Data/StructuredGrid.vts": "meshio cannot read",
    "vtk-data/Data/disk_out_ref.ex2": "meshio cannot read",
    "uxarray/test/meshfiles/ugrid/outCSne30/outCSne30.ug": "meshio cannot read",
}


def real(name: str) -> Path:
    folder = os.environ.get("PDESOLVE_DATA")
    if not folder:
        pytest.skip("PDESOLVE_DATA is not set: the mesh files of others are not there to read")
    return Path(folder) / name


@pytest.mark.parametrize("name", REAL)
def test_meshes_of_others_are_read(name, tmp_path):
    points, cells, measure, parts = REAL[name]
    mesh = ps.read_mesh(real(name))
    assert (len(mesh.points), len(mesh.cells)) == (points, cells)
    assert mesh.measure == pytest.approx(measure, rel=1e-3)
    lengths = {part: float(mesh.facet_measures(part).sum()) for part in mesh.boundaries}
    assert lengths == {part: pytest.approx(value, rel=2e-3) for part, value in parts.items()}
    back = ps.read_mesh(ps.write_mesh(mesh, tmp_path / "back.vtu"))
    assert torch.equal(back.points, mesh.points) and torch.equal(back.cells, mesh.cells)
    assert list(back.boundaries) == list(mesh.boundaries)


@pytest.mark.parametrize("name", REFUSED)
def test_files_of_others_that_hold_no_simplices_are_refused(name):
    with pytest.raises(InputError, match=REFUSED[name]) as error:
        ps.read_mesh(real(name))
    assert "\n" not in str(error.value)
