"""Files that name their dimensions, and meshes: NetCDF, UGRID, zarr, XDMF and others, which the tests write."""

from __future__ import annotations

import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5netcdf
import h5py
import numpy as np
import pytest
import scipy.io

from pdesolve.data.dataset import Dataset
from pdesolve.datasets.opening import open_dataset
from pdesolve.errors import InputError
from pdesolve.geometry import Axis, Box, Mesh, PointCloud, triangulate, write_mesh

meshio = pytest.importorskip("meshio")
RANDOM = np.random.default_rng(0)


def shapes(data: Dataset) -> dict[str, str]:
    return {name: " ".join(f"{d} {n}" for d, n in v.sizes.items()) for name, v in data.variables.items()}


def refusal(act: Callable[[], Any]) -> str:
    with pytest.raises(InputError) as caught:
        act()
    message = str(caught.value)
    assert "\n" not in message
    return message


# name: (dimensions, numbers, attributes)
Variables = dict[str, tuple[tuple[str, ...], np.ndarray, dict[str, Any]]]
LATITUDES = np.array([60.0, 20.0, -20.0, -60.0])
PACKED = RANDOM.integers(0, 200, (3, 4, 6)).astype("i2")
PACKED[1, 2, 3] = -999
CLIMATE: Variables = {
    "time": (("time",), np.array([0.5, 1.5, 2.5]), {"units": "days since 2000-01-01", "bounds": "time_bnds"}),
    "time_bnds": (("time", "nv"), np.array([[0.0, 1.0], [1.0, 2.0], [2.0, 3.0]]), {}),
    "lat": (("lat",), LATITUDES, {"units": "degrees_north"}),
    "lon": (("lon",), np.arange(0, 360, 60.0), {"units": "degrees_east"}),
    "height": ((), np.array(2.0), {"units": "m"}),
    "tas": (("time", "lat", "lon"), PACKED, {"units": "K", "long_name": "temperature", "scale_factor": 0.5,
                                             "add_offset": 200.0, "_FillValue": np.int16(-999)}),
    "speed": (("lon", "lat"), RANDOM.random((6, 4)), {"units": "m/s"}),
}  # fmt: skip


def save_netcdf4(path: Path, variables: Variables) -> None:
    with h5netcdf.File(path, "w") as file:
        for dims, values, _ in variables.values():
            for dim, size in zip(dims, values.shape, strict=True):
                if dim not in file.dimensions:
                    file.dimensions[dim] = size
        for name, (dims, values, about) in variables.items():
            about = dict(about)
            made = file.create_variable(name, dims, values.dtype, fillvalue=about.pop("_FillValue", None))
            made[...] = values
            for key, value in about.items():
                made.attrs[key] = value


def save_classic(path: Path, variables: Variables) -> None:
    with scipy.io.netcdf_file(path, "w") as file:
        for dims, values, _ in variables.values():
            for dim, size in zip(dims, values.shape, strict=True):
                if dim not in file.dimensions:
                    file.createDimension(dim, size)
        for name, (dims, values, about) in variables.items():
            made = file.createVariable(name, values.dtype, dims)
            if dims:
                made[...] = values
            else:
                made.data = np.array(values)
            for key, value in about.items():
                setattr(made, key, value)


def save_zarr(version: int, zipped: bool) -> Callable[[Path, Variables], None]:
    def save(path: Path, variables: Variables) -> None:
        zarr = pytest.importorskip("zarr")
        store = zarr.storage.ZipStore(path, mode="w") if zipped else str(path)
        root = zarr.open_group(store, mode="w", zarr_format=version)
        for name, (dims, values, about) in variables.items():
            about = {k: v.item() if isinstance(v, np.generic) else v for k, v in about.items()}
            names = {"dimension_names": dims} if version == 3 and dims else {}
            about |= {"_ARRAY_DIMENSIONS": list(dims)} if version == 2 else {}
            made = root.create_array(name, shape=values.shape, dtype=values.dtype, attributes=about, **names)
            made[...] = values
        if zipped:
            store.close()

    return save


SAVE: dict[str, Callable[[Path, Variables], None]] = {
    "netCDF-4": save_netcdf4,
    "classic": save_classic,
    "zarr 2": save_zarr(2, zipped=False),
    "zarr 3": save_zarr(3, zipped=False),
    "zarr 3 in a zip": save_zarr(3, zipped=True),
}


@pytest.mark.parametrize("container", SAVE)
def test_climate_by_its_conventions(container: str, tmp_path: Path) -> None:
    path = tmp_path / "a"
    SAVE[container](path, CLIMATE)
    data = pickle.loads(pickle.dumps(open_dataset(path)))
    assert data.layout == "cf" and shapes(data) == {"tas": "t 3 lat 4 lon 6", "speed": "lat 4 lon 6"}
    expected = np.where(PACKED == -999, np.nan, PACKED * 0.5 + 200)[:, ::-1]  # from south to north
    assert np.array_equal(data.read("tas"), expected, equal_nan=True)
    assert np.array_equal(data.read("tas", {"lat": slice(1, 4, 2), "t": 2}), expected[2, 1:4:2], equal_nan=True)
    assert np.array_equal(data.read("speed"), CLIMATE["speed"][1].T[::-1])
    t, lat, lon = (data.coordinates[name] for name in ("t", "lat", "lon"))
    assert (t.label, t.axis.unit, t.axis.lower, t.axis.upper) == ("days since 2000-01-01", None, 0.0, 3.0)
    assert np.array_equal(lat.points, LATITUDES[::-1]) and (lon.axis.periodic, lon.axis.length) == (True, 360.0)
    assert float(data.read("height")) == 2.0 and data.variable("speed").unit == "m s-1"
    assert data.variable("tas").long_name == "temperature"
    assert [m.placement for m in data.grid().members] == ["nodes", "periodic"]


def test_solutions_of_ours_are_opened_with_their_axes(tmp_path: Path) -> None:
    path = tmp_path / "a.nc"
    about = {"bounds_lower": 0.0, "bounds_upper": 1.0, "periodic": 1, "units": "m"}
    save_netcdf4(path, {"x": (("x",), np.arange(8) / 8, about), "u": (("sample", "x"), RANDOM.random((3, 8)), {})})
    data = open_dataset(path)
    (member,) = data.grid().members
    assert shapes(data) == {"u": "sample 3 x 8"} and member.placement == "periodic" and member.axis.unit == "m"


def test_damaged_netcdf_and_wrong_versions(tmp_path: Path) -> None:
    path = tmp_path / "a.nc"
    save_classic(path, CLIMATE)
    whole = path.read_bytes()
    for part in (0.1, 0.3, 0.6):
        path.write_bytes(whole[: int(len(whole) * part)])
        assert "no whole NetCDF" in refusal(lambda: open_dataset(path).read("tas"))
    path.write_bytes(b"CDF\x05" + whole[4:])
    assert "nccopy -k nc4" in refusal(lambda: open_dataset(path))
    for _ in range(30):
        made = bytearray(whole)
        for place in RANDOM.integers(4, 600, 3):
            made[place] = int(RANDOM.integers(0, 256))
        path.write_bytes(made)
        try:
            data = open_dataset(path)
            for name in data.variables:
                data.read(name)
        except InputError as error:
            assert "\n" not in str(error)


def test_plain_zarr_and_codecs_that_may_run_programs(tmp_path: Path) -> None:
    zarr = pytest.importorskip("zarr")
    root = zarr.open_group(str(tmp_path / "a.zarr"), mode="w", zarr_format=2)
    x, y = RANDOM.random((5, 8, 8)), RANDOM.random((5, 8, 8))
    for name, values in (("x", x), ("y", y)):
        root.create_array(name, shape=values.shape, dtype="f8", chunks=(1, 8, 8))[...] = values
    data = open_dataset(tmp_path / "a.zarr")
    assert data.layout == "neuraloperator" and shapes(data) == {
        "input": "sample 5 x 8 y 8",
        "output": "sample 5 x 8 y 8",
    }
    assert data.variable("input").array.chunks == (1, 8, 8)
    assert np.array_equal(data.read("output", {"sample": 3}), y[3])
    about = json.loads((tmp_path / "a.zarr" / "x" / ".zarray").read_text())
    (tmp_path / "a.zarr" / "x" / ".zarray").write_text(json.dumps(about | {"filters": [{"id": "pickle"}]}))
    assert "pickle" in refusal(lambda: open_dataset(tmp_path / "a.zarr"))
    (tmp_path / "a.zarr" / "x" / ".zarray").write_text(json.dumps(about | {"filters": [{"id": "base64"}]}))
    assert "packed by base64" in refusal(lambda: open_dataset(tmp_path / "a.zarr"))


def ugrid(faces: np.ndarray, *, start: int = 0, fill: int = -1, transposed: bool = False) -> Variables:
    """Four triangles about (0.5, 0.5), or what `faces` says."""
    x, y = np.array([0.0, 1.0, 1.0, 0.0, 0.5]), np.array([0.0, 0.0, 1.0, 1.0, 0.5])
    rows = np.where(faces < 0, fill, faces + start).astype("i4")
    dims = ("face", "corner")
    mesh = {"cf_role": "mesh_topology", "topology_dimension": np.int32(2), "node_coordinates": "node_y node_x",
            "face_node_connectivity": "faces", "face_dimension": "face"}  # fmt: skip
    return {
        "mesh": ((), np.array(0, "i4"), mesh),
        "node_x": (("node",), x, {"units": "degrees_east"}),
        "node_y": (("node",), y, {"units": "degrees_north"}),
        "faces": (dims[::-1] if transposed else dims, rows.T if transposed else rows,
                  {"start_index": np.int32(start), "_FillValue": np.int32(fill)}),
        "depth": (("node",), np.arange(5.0), {"mesh": "mesh", "location": "node", "units": "m"}),
        "rain": (("time", "face"), RANDOM.random((3, len(faces))), {"mesh": "mesh", "location": "face"}),
        "time": (("time",), np.array([1.0, 2.0, 4.0]), {"units": "seconds since 2000-01-01"}),
    }  # fmt: skip


TRIANGLES = np.array([[0, 1, 4], [1, 2, 4], [2, 3, 4], [0, 4, 3]])  # all counterclockwise


@pytest.mark.parametrize("said", [{}, {"start": 1, "fill": 999999}, {"transposed": True, "start": 1}], ids=str)
@pytest.mark.parametrize("container", ["netCDF-4", "classic", "zarr 3"])
def test_triangles_of_ugrid_are_a_mesh(container: str, said: dict[str, Any], tmp_path: Path) -> None:
    made = ugrid(TRIANGLES, **said)
    SAVE[container](tmp_path / "a", made)
    data = open_dataset(tmp_path / "a")
    assert data.layout == "ugrid" and shapes(data) == {"depth": "node 5", "rain": "t 3 cell 4"}
    mesh = data.meshes[0]
    assert isinstance(mesh, Mesh) and mesh.measure == pytest.approx(1.0) and np.array_equal(mesh.cells, TRIANGLES)
    assert np.array_equal(data.read("rain", {"t": 1}), made["rain"][1][1])
    assert np.allclose(mesh.points.numpy()[1], [1.0, 0.0]) and list(data.coordinates["t"].points) == [1.0, 2.0, 4.0]


def test_polygons_of_ugrid_are_points(tmp_path: Path) -> None:
    mixed = np.array([[0, 1, 4, -1], [1, 2, 3, 4], [0, 4, 3, -1]])
    made = ugrid(mixed, start=1, fill=999999)
    save_netcdf4(tmp_path / "a.nc", made)
    data = open_dataset(tmp_path / "a.nc")
    assert shapes(data) == {"depth": "point 5", "rain": "t 3 cell 3"} and isinstance(data.meshes[0], PointCloud)
    del made["depth"]
    save_netcdf4(tmp_path / "b.nc", made)
    data = open_dataset(tmp_path / "b.nc")
    cloud = data.meshes[0]
    assert shapes(data) == {"rain": "t 3 point 3"} and isinstance(cloud, PointCloud)
    assert np.allclose(cloud.x.numpy(), [[0.5, 0.5 / 3], [0.625, 0.625], [0.5 / 3, 0.5]])


def test_contradictions_of_ugrid(tmp_path: Path) -> None:
    made = ugrid(TRIANGLES)
    made["faces"] = (*made["faces"][:2], {"start_index": np.int32(1)})
    save_netcdf4(tmp_path / "a.nc", made)
    data = open_dataset(tmp_path / "a.nc")
    assert isinstance(data.meshes[0], Mesh) and any("begin at 0" in note for note in data.notes)
    made["faces"] = (made["faces"][0], made["faces"][1] + 3, {"start_index": np.int32(1)})
    save_netcdf4(tmp_path / "b.nc", made)
    assert "holds the nodes 2 to 6 of 5: is its start_index (1) right?" in refusal(
        lambda: open_dataset(tmp_path / "b.nc")
    )
    made["mesh"] = (*made["mesh"][:2], made["mesh"][2] | {"cf_role": "mesh_topolgy"})
    save_netcdf4(tmp_path / "c.nc", made)
    assert "expected 'mesh_topology'" in refusal(lambda: open_dataset(tmp_path / "c.nc"))
    assert open_dataset(tmp_path / "c.nc", layout="cf").layout == "cf"
    made["mesh"] = (*made["mesh"][:2], made["mesh"][2] | {"cf_role": "mesh_topology", "node_coordinates": "lon lat"})
    save_netcdf4(tmp_path / "d.nc", made)
    assert "node_coordinates is 'lon', which is not there" in refusal(lambda: open_dataset(tmp_path / "d.nc"))


@pytest.mark.parametrize("ending", [".msh", ".vtu", ".vtk", ".xdmf"])
def test_meshes_of_ours_come_back(ending: str, tmp_path: Path) -> None:
    mesh = triangulate(Box(Axis("x", 0, 1), Axis("y", 0, 2)), 0.5)
    write_mesh(mesh, tmp_path / f"a{ending}")
    (tmp_path / f"a{ending}").rename(tmp_path / "a")  # known by its contents
    data = open_dataset(tmp_path / "a")
    found = data.meshes[0]
    assert data.layout == "mesh" and isinstance(found, Mesh) and not data.variables
    assert np.array_equal(found.points, mesh.points) and np.array_equal(found.cells, mesh.cells)
    assert set(found.boundaries) == set(mesh.boundaries)


def test_fields_follow_the_points_and_cells_that_are_kept(tmp_path: Path) -> None:
    """Two quadrilaterals (cut in two) and a triangle of second order, and a point of no cell."""
    points = np.array([[0, 0], [9, 9], [1, 0], [2, 0], [0, 1], [1, 1], [2, 1], [3, 0], [2.5, 0], [2.5, 0.5], [2, 0.5]])
    points = np.pad(points.astype(float), ((0, 0), (0, 1)))
    cells = [("quad", np.array([[0, 2, 5, 4], [2, 3, 6, 5]])), ("triangle6", np.array([[3, 7, 6, 8, 9, 10]]))]
    values = {"p": points[:, 0] + 10 * points[:, 1], "w": points}
    file = meshio.Mesh(points, cells, values, {"k": [np.array([5.0, 6.0]), np.array([7.0])]})
    file.write(tmp_path / "a.vtu")
    data = open_dataset(tmp_path / "a.vtu")
    mesh = data.meshes[0]
    assert isinstance(mesh, Mesh) and shapes(data) == {"p": "node 7", "w": "component 3 node 7", "k": "cell 5"}
    assert np.allclose(data.read("p"), mesh.points[:, 0] + 10 * mesh.points[:, 1])
    centres = mesh.points[mesh.cells].mean(1)[:, 0].numpy()
    assert np.array_equal(data.read("k"), np.select([centres < 1, centres < 2], [5.0, 6.0], 7.0))
    assert any("4 of 11 nodes" in note for note in data.notes)


def letters(*names: str) -> np.ndarray:
    return np.array([list(name.ljust(8, "\0")) for name in names], "S1")


@pytest.mark.parametrize("container", ["netCDF-4", "classic"])
def test_results_of_exodus_at_several_times(container: str, tmp_path: Path) -> None:
    """A quadrilateral beside two triangles, with sides and a node set, and a point of no cell."""
    x, y = np.array([0.0, 1, 1, 0, 9, 2, 2]), np.array([0.0, 0, 1, 1, 9, 0, 1])
    p, q = RANDOM.random((3, 7)), [RANDOM.random((3, 1)), RANDOM.random((3, 2))]
    made: Variables = {
        "coordx": (("node",), x, {}),
        "coordy": (("node",), y, {}),
        "connect1": (("one", "four"), np.array([[1, 2, 3, 4]], "i4"), {"elem_type": "QUAD4"}),
        "connect2": (("two", "three"), np.array([[2, 6, 7], [2, 7, 3]], "i4"), {"elem_type": "TRI3"}),
        "elem_ss1": (("two",), np.array([1, 1], "i4"), {}),
        "side_ss1": (("two",), np.array([4, 3], "i4"), {}),
        "node_ns1": (("two",), np.array([6, 7], "i4"), {}),
        "ss_names": (("one", "len"), letters("hull"), {}),
        "ns_names": (("one", "len"), letters("outlet"), {}),
        "name_nod_var": (("one", "len"), letters("p"), {}),
        "name_elem_var": (("one", "len"), letters("q"), {}),
        "vals_nod_var1": (("time", "node"), p, {}),
        "vals_elem_var1eb1": (("time", "one"), q[0], {}),
        "vals_elem_var1eb2": (("time", "two"), q[1], {}),
        "time_whole": (("time",), np.array([0.0, 0.5, 2.0]), {}),
    }
    SAVE[container](tmp_path / "a", made)
    data = open_dataset(tmp_path / "a")
    mesh = data.meshes[0]
    assert data.layout == "exodus" and isinstance(mesh, Mesh) and mesh.measure == pytest.approx(2.0)
    assert shapes(data) == {"p": "t 3 node 6", "q": "t 3 cell 4"} and list(data.coordinates["t"].points) == [0, 0.5, 2]
    kept = [int(np.flatnonzero((x == a) & (y == b))[0]) for a, b in mesh.points.tolist()]
    assert np.array_equal(data.read("p", {"t": 1}), p[1, kept])
    centres = mesh.points[mesh.cells].mean(1).numpy()
    inside = np.where(centres[:, 0] < 1, 0, np.where(centres[:, 1] < 0.5, 1, 2))
    assert np.array_equal(data.read("q", {"t": 2}), np.concatenate([q[0][2], q[1][2]])[inside])
    assert {name: len(mesh.part(name)) for name in ("hull", "outlet")} == {"hull": 2, "outlet": 1}


def test_other_cells_become_points(tmp_path: Path) -> None:
    corners = np.array([[x, y, z] for z in (0, 1) for x, y in ((0, 0), (1, 0), (1, 1), (0, 1))], float)
    meshio.Mesh(corners, [("hexahedron", np.arange(8)[None])], {"p": corners[:, 2]}).write(tmp_path / "a.vtu")
    data = open_dataset(tmp_path / "a.vtu")
    assert isinstance(data.meshes[0], PointCloud) and shapes(data) == {"p": "point 8"}
    assert any("hexahedron" in note for note in data.notes)


def series(path: Path, monkeypatch: pytest.MonkeyPatch, count: int = 4) -> np.ndarray:
    monkeypatch.chdir(path.parent)  # where meshio puts the HDF5 file
    points, cells = np.array([[0.0, 0], [1, 0], [1, 1], [0, 1]]), [("triangle", np.array([[0, 1, 2], [0, 2, 3]]))]
    values = RANDOM.random((count, 4))
    with meshio.xdmf.TimeSeriesWriter(path) as writer:
        writer.write_points_cells(points, cells)
        for k in range(count):
            writer.write_data(0.5 * k, point_data={"u": values[k]}, cell_data={"c": [values[k, :2]]})
    return values


def test_time_series_are_read_step_by_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = series(tmp_path / "a.xdmf", monkeypatch)
    data = open_dataset(tmp_path / "a.xdmf")
    assert shapes(data) == {"u": "t 4 node 4", "c": "t 4 cell 2"} and data.coordinates["t"].axis.upper == 1.5
    assert np.array_equal(data.read("u", {"t": slice(1, 4, 2), "node": slice(0, 3)}), values[1:4:2, :3])
    assert np.array_equal(data.read("c", {"t": 3}), values[3, :2])
    (tmp_path / "a.h5").unlink()
    assert "needs the file 'a.h5'" in refusal(lambda: open_dataset(tmp_path / "a.xdmf"))


def test_xdmf_reads_nothing_outside_of_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    series(inside / "a.xdmf", monkeypatch)
    text = (inside / "a.xdmf").read_text()
    (inside / "a.h5").rename(tmp_path / "a.h5")
    for name in ("../a.h5", str(tmp_path / "a.h5")):
        (inside / "a.xdmf").write_text(text.replace("a.h5:", f"{name}:"))
        assert "not in its folder" in refusal(lambda: open_dataset(inside / "a.xdmf"))
    (inside / "a.xdmf").write_text(text)
    with h5py.File(inside / "a.h5", "w") as file:
        for k in range(12):
            file[f"data{k}"] = h5py.ExternalLink(str(tmp_path / "a.h5"), f"data{k}")
    message = refusal(lambda: open_dataset(inside / "a.xdmf"))
    assert "a.h5" in message and "link" in message
    (inside / "a.xdmf").write_text(f'<?xml version="1.0"?><!DOCTYPE Xdmf [<!ENTITY a "aaaa">]>{text}')
    assert "entities" in refusal(lambda: open_dataset(inside / "a.xdmf"))


def test_what_meshio_cannot_read_is_told_in_a_line(tmp_path: Path) -> None:
    for name, text in {
        "a.msh": "$MeshFormat\n4.1 0 8\n$EndMeshFormat\n$Nodes\n1 2\n",
        "b.vtk": "# vtk DataFile Version 3.0\nx\nASCII\nDATASET POLYDATA\nPOINTS 1 float\n0 0 0\n",
        "c.vtu": '<?xml version="1.0"?><VTKFile type="UnstructuredGrid"><UnstructuredGrid>',
        "d.vtp": '<?xml version="1.0"?><VTKFile type="PolyData"></VTKFile>',
        "e.su2": "NDIME= 2\nNELEM= 5\n",
    }.items():
        (tmp_path / name).write_text(text)
        assert refusal(lambda: open_dataset(tmp_path / name)).startswith(str(tmp_path / name))  # noqa: B023


def test_a_zip_that_holds_a_store_is_one(tmp_path: Path) -> None:
    SAVE["zarr 3 in a zip"](tmp_path / "a.zip", CLIMATE)
    assert zipfile.is_zipfile(tmp_path / "a.zip") and open_dataset(tmp_path / "a.zip").layout == "cf"


def test_physical_groups_are_regions(tmp_path: Path) -> None:
    points = np.array([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
    tags = [np.array([7, 9], "i4")]
    file = meshio.Mesh(points, [("triangle", np.array([[0, 1, 2], [0, 2, 3]]))],
                       cell_data={"gmsh:physical": tags, "gmsh:geometrical": tags})  # fmt: skip
    meshio.write(tmp_path / "a.msh", file, file_format="gmsh22", binary=False)
    data = open_dataset(tmp_path / "a.msh")
    assert shapes(data) == {"region": "cell 2"} and list(data.read("region")) == [7, 9]
