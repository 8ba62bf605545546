"""Our own layout: what is written is read back, is netCDF-4, and keeps the rules of the Well."""

from __future__ import annotations

import math
import os
import platform
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import h5netcdf
import h5py
import numpy as np
import pytest
import torch
import xarray as xr
from well_rules import well_faults

from pdesolve.data.arrays import Array, Memory
from pdesolve.data.dataset import Coordinate, Dataset, Variable
from pdesolve.datasets.chunking import aligned, chunks_for
from pdesolve.datasets.merging import packed, virtual
from pdesolve.datasets.opening import open_dataset
from pdesolve.datasets.writing import copy, write
from pdesolve.errors import InputError
from pdesolve.geometry import Axes, Axis, Mesh, PointCloud

SAMPLES, FRAMES, X, Y = 3, 11, 8, 6


def numbers(*shape: int) -> Memory:
    return Memory(np.random.default_rng(sum(shape)).standard_normal(shape))


def gridded() -> Dataset:
    """Everything that a data set on a grid may hold: scalars, vectors, tensors, other components, constant fields."""
    lead = (SAMPLES, FRAMES)
    single = Memory(numbers(*lead, 2, X, Y).values.astype(np.float32))
    variables = (
        Variable("u", numbers(*lead, X, Y), ("sample", "t", "x", "y"), "m"),
        Variable("velocity", single, ("sample", "t", "component", "x", "y"), "m s-1", ("x", "y"), "the wind"),
        Variable("stress", numbers(*lead, 4, X, Y), ("sample", "t", "component", "x", "y"), "Pa",
                 ("xx", "xy", "yx", "yy")),
        Variable("wave", numbers(SAMPLES, 2, X, Y), ("sample", "component", "x", "y"), None, ("re", "im")),
        Variable("wet", Memory(numbers(X, Y).values > 0), ("x", "y")),
    )  # fmt: skip
    parameters = (
        Variable("nu", Memory(np.arange(3.0)), ("sample",), "m2 s-1", (), "viscosity"),
        Variable("gravity", Memory(np.array(9.81)), (), "m s-2"),
        Variable("forcing", numbers(*lead), ("sample", "t")),
        Variable("current", numbers(SAMPLES, 2), ("sample", "component"), None, ("x", "y")),
    )
    coordinates = {
        "t": Coordinate(Axis("t", 0.0, 1.0, "s"), np.linspace(0, 1, FRAMES), "s"),
        "x": Coordinate(Axis("x", 0.0, 2.0, periodic=True), 2 * np.arange(X) / X),
        "y": Coordinate(Axis("y", 0.0, 1.0, "m"), (np.arange(Y) + 0.5) / Y, "m"),
    }
    return Dataset(
        {v.name: v for v in variables}, coordinates, {p.name: p for p in parameters},
        splits={"train": np.array([2, 0]), "test": np.array([1])},
        attributes={"problem": "drift", "seed": 3, "boundary_conditions": '{"y": {"type": "WALL", "axes": ["y"]}}'},
    )  # fmt: skip


def square(n: int, m: int) -> Mesh:
    """Triangles on the unit square, with a named left side."""
    x, y = np.meshgrid(np.linspace(0, 1, n), np.linspace(0, 1, m), indexing="ij")
    number = np.arange(n * m).reshape(n, m)
    a, b, c, d = number[:-1, :-1], number[1:, :-1], number[1:, 1:], number[:-1, 1:]
    cells = np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)])
    left = np.stack([number[0, :-1], number[0, 1:]], 1)
    return Mesh.of(np.stack([x.ravel(), y.ravel()], 1), cells, {"left": left})


def meshed() -> Dataset:
    """A mesh for each sample, fields on its nodes and cells."""
    meshes = [square(3, 4), square(5, 3), square(2, 2)]
    offsets = {
        "node": np.append(0, np.cumsum([len(mesh.points) for mesh in meshes])),
        "cell": np.append(0, np.cumsum([len(mesh.cells) for mesh in meshes])),
    }
    shift = Variable("shift", numbers(2, offsets["node"][-1]), ("component", "node"), "m", ("x", "y"))
    stress = Variable("stress", numbers(offsets["cell"][-1]), ("cell",), "Pa")
    young = Variable("young", Memory(np.arange(3.0)), ("sample",))
    return Dataset({"shift": shift, "stress": stress}, {}, {"young": young}, meshes=meshes, offsets=offsets)


def assert_same(found: Dataset, expected: Dataset) -> None:
    assert list(found.variables) == list(expected.variables) and set(found.parameters) == set(expected.parameters)
    for name in (*expected.variables, *expected.parameters):
        a, b = found.variable(name), expected.variable(name)
        assert (a.dims, a.unit, a.components, a.long_name) == (b.dims, b.unit, b.components, b.long_name), name
        assert a.array.dtype == b.array.dtype and np.array_equal(a.array.all(), b.array.all()), name
    for name, coordinate in expected.coordinates.items():
        there = found.coordinates[name]
        assert there.axis == coordinate.axis and there.label == coordinate.label
        assert np.array_equal(there.points, coordinate.points)
    assert set(found.coordinates) == set(expected.coordinates)
    assert {n: list(v) for n, v in found.splits.items()} == {n: list(v) for n, v in expected.splits.items()}
    assert {n: list(v) for n, v in found.offsets.items()} == {n: list(v) for n, v in expected.offsets.items()}
    assert expected.attributes.items() <= found.attributes.items()


def test_a_data_set_on_a_grid_comes_back(tmp_path: Path) -> None:
    data = gridded()
    found = open_dataset(write(data, tmp_path / "a.h5"))
    assert found.layout == "native" and found.samples == SAMPLES
    assert_same(found, data)
    part = {"sample": 1, "t": slice(2, 9, 3), "x": slice(1, 7, 2)}
    for name in data.variables:
        places = {dim: place for dim, place in part.items() if dim in data.variable(name).dims}
        assert np.array_equal(found.read(name, places), data.read(name, places)), name


@pytest.mark.parametrize("engine", ["h5netcdf", "netcdf4"])
def test_it_is_netcdf(tmp_path: Path, engine: str) -> None:
    if engine == "netcdf4":
        pytest.importorskip("netCDF4")
    data = gridded()
    path = write(data, tmp_path / "a.h5", compression="gzip")
    with xr.open_datatree(path, engine=engine) as tree:
        u = tree["t0_fields"]["u"]
        assert u.dims == ("sample", "t", "x", "y") and u.attrs["units"] == "m"
        assert np.array_equal(u.values, data.read("u"))
        assert np.array_equal(tree["t1_fields"]["velocity"].values, np.moveaxis(data.read("velocity"), 2, -1))
        near = u.sel(x=0.5, y=0.75, method="nearest").isel(t=0)  # the coordinates of the root reach its groups
        assert np.array_equal(near.values, data.read("u")[:, 0, 2, 4])
        assert [tree[axis].attrs["placement"] for axis in ("t", "x", "y")] == ["nodes", "periodic", "cells"]
        assert tree.attrs["problem"] == "drift" and tree["scalars"]["gravity"].item() == 9.81
    with xr.open_dataset(path, group="t0_fields", engine=engine) as one:
        assert one["u"].sizes == {"sample": SAMPLES, "t": FRAMES, "x": X, "y": Y}


def test_every_axis_has_a_dimension(tmp_path: Path) -> None:
    for data in (gridded(), meshed()):
        with h5netcdf.File(write(data, tmp_path / "a.h5"), "r") as file:
            groups, seen = [file], 0
            while groups:
                group = groups.pop()
                groups += group.groups.values()
                for variable in group.variables.values():
                    assert not any(dim.startswith("phony") for dim in variable.dimensions), variable
                    seen += 1
            assert seen > 8


def stationary() -> Dataset:
    u = Variable("u", numbers(SAMPLES, X, Y), ("sample", "x", "y"))
    a = Variable("a", numbers(X, Y), ("x", "y"))
    return Dataset({"u": u, "a": a})


@pytest.mark.parametrize("make", [gridded, stationary])
def test_it_keeps_the_rules_of_the_well(tmp_path: Path, make) -> None:
    path = write(make(), tmp_path / "a.h5")
    assert list(well_faults(path)) == []
    with h5py.File(path, "a") as file:  # the rules see what is wrong
        file["t0_fields/u"].attrs["sample_varying"] = 1
        file.attrs["n_trajectories"] = 5
    assert len(list(well_faults(path))) >= 2


_READ = """
import sys, numpy as np, h5py
from the_well.data.datasets import WellDataset
data = WellDataset(path=sys.argv[1], well_split_name="train", n_steps_input=2, n_steps_output=3)
sample = data[len(data) - 1]
np.savez(sys.argv[2], length=len(data), types=data.metadata.boundary_condition_types,
         names=sum(data.metadata.field_names.values(), []), **{k: v.numpy() for k, v in sample.items()})
"""


def test_the_reader_of_the_well_opens_it(tmp_path: Path) -> None:
    pytest.importorskip("the_well", reason="the_well is not installed: pip install the-well==1.2.0 beside")
    data, folder = gridded(), tmp_path / "drift" / "data" / "train"
    folder.mkdir(parents=True)
    write(data, folder / "a.h5")
    command = [sys.executable, "-c", _READ, str(tmp_path / "drift"), str(tmp_path / "read.npz")]
    subprocess.run(command, check=True, timeout=300)
    found = np.load(tmp_path / "read.npz")
    assert found["length"] == SAMPLES * (FRAMES - 4) and sorted(found["types"]) == ["PERIODIC", "WALL"]
    channels = [data.read("u")[..., None], np.moveaxis(data.read("velocity"), 2, -1),
                np.moveaxis(data.read("stress"), 2, -1)]  # fmt: skip
    expected = np.concatenate(channels, -1)[-1, -5:]
    assert np.array_equal(found["input_fields"], expected[:2])
    assert np.array_equal(found["output_fields"], expected[2:])
    assert np.array_equal(found["boundary_conditions"], [[2, 2], [0, 0]])
    assert list(found["constant_scalars"]) == [2.0, 9.81, *data.read("current")[-1]]
    assert np.array_equal(found["space_grid"][1, 2], [0.25, 2.5 / Y])


def test_meshes_come_back(tmp_path: Path) -> None:
    data = meshed()
    found = open_dataset(write(data, tmp_path / "a.h5"))
    assert_same(found, data)
    some = open_dataset(write(found.isel({"sample": [2, 0]}), tmp_path / "b.h5"))
    for dataset, numbers_ in ((found, (0, 1, 2)), (some, (2, 0))):
        assert len(dataset.meshes) == len(numbers_)
        for i, n in enumerate(numbers_):
            mesh, expected = dataset.meshes[i], data.meshes[n]
            assert isinstance(mesh, Mesh) and isinstance(expected, Mesh)
            assert torch.equal(mesh.points, expected.points) and torch.equal(mesh.cells, expected.cells)
            assert mesh.boundaries.keys() == expected.boundaries.keys() == {"left", "boundary"}
            assert all(torch.equal(mesh.boundaries[k], expected.boundaries[k]) for k in mesh.boundaries)
            for name in data.variables:
                assert np.array_equal(dataset.read(name, {"sample": i}), data.read(name, {"sample": n}))


def test_one_mesh_for_all_samples(tmp_path: Path) -> None:
    mesh = square(3, 4)
    u = Variable("u", numbers(4, 6, 12), ("sample", "t", "node"))
    found = open_dataset(write(Dataset({"u": u}, meshes=[mesh]), tmp_path / "a.h5"))
    assert found.samples == 4 and not found.offsets and len(found.meshes) == 1
    assert torch.equal(found.meshes[0].cells, mesh.cells)  # type: ignore[attr-defined]


def test_clouds_of_points_come_back(tmp_path: Path) -> None:
    axes = Axes((Axis("t", 0.0, 2.0, "s"), Axis("x", 0.0, 1.0, "m")))
    clouds = [PointCloud(axes, torch.rand(n, 2, dtype=torch.float64), torch.rand(n)) for n in (4, 0, 7)]
    u = Variable("u", numbers(11), ("point",))
    data = Dataset({"u": u}, meshes=clouds, offsets={"point": np.array([0, 4, 4, 11])})
    found = open_dataset(write(data, tmp_path / "a.h5"))
    for i, cloud in enumerate(clouds):
        there = found.meshes[i]
        assert isinstance(there, PointCloud) and there.weights is not None and cloud.weights is not None
        assert torch.equal(there.x, cloud.x) and torch.equal(there.weights, cloud.weights) and there.axes == axes
        assert np.array_equal(found.read("u", {"sample": i}), data.read("u", {"sample": i}))


def test_coordinates_of_each_sample_and_unknown_ones(tmp_path: Path) -> None:
    points = np.sort(np.random.default_rng(0).random((SAMPLES, X)), 1)
    u = Variable("u", numbers(SAMPLES, FRAMES, X), ("sample", "t", "x"))
    data = Dataset({"u": u}, {"x": Coordinate(Axis("x", 0.0, 1.0), points)})
    found = open_dataset(write(data, tmp_path / "a.h5"))
    assert_same(found, data)
    assert list(well_faults(tmp_path / "a.h5")) == []


def test_samples_that_are_not_complete_are_not_shown(tmp_path: Path) -> None:
    data = gridded()
    path = write(data, tmp_path / "a.h5", complete=np.array([True, False, True]))
    found = open_dataset(path)
    assert found.samples == 2 and found.notes == ("1 of 3 samples are not complete and are left out",)
    assert np.array_equal(found.read("u"), data.read("u")[[0, 2]])
    assert {n: list(v) for n, v in found.splits.items()} == {"train": [1, 0], "test": []}


def test_fields_in_single_precision_and_compressed(tmp_path: Path) -> None:
    smooth = np.outer(np.linspace(0, 1, 400), np.linspace(1, 2, 256))[None].repeat(4, 0)
    data = Dataset({"u": Variable("u", Memory(smooth), ("sample", "t", "x"))})
    plain, packed = (write(data, tmp_path / f"{c}.h5", dtype="float32", compression=c) for c in (None, "gzip"))
    assert packed.stat().st_size < 0.6 * plain.stat().st_size
    for path in (plain, packed):
        values = open_dataset(path).read("u")
        assert values.dtype == np.float32 and np.array_equal(values, smooth.astype(np.float32))
    with h5py.File(packed) as file:
        u = file["t0_fields/u"]
        assert (u.compression, u.compression_opts, u.shuffle, u.chunks) == ("gzip", 4, True, (1, 58, 256))


@pytest.mark.parametrize(
    ("shape", "outer", "expected"),
    [
        ((100, 201, 1024), 2, (1, 16, 1024)),  # 4 kB a frame: 16 of them
        ((100, 21, 128, 128), 2, (1, 1, 128, 128)),  # 64 kB
        ((10, 4, 512, 512, 2), 2, (1, 1, 256, 512, 2)),  # 2 MB: halves
        ((1000, 32, 32), 1, (16, 32, 32)),  # stationary: samples together
        ((7, 5, 3), 2, None),  # smaller than a chunk
        ((10**7,), 0, (250000,)),
    ],
)
def test_chunks_have_64_kilobytes_to_a_megabyte(shape: tuple, outer: int, expected: tuple | None) -> None:
    chunks = chunks_for(shape, 4, outer)
    assert chunks is None or 2**15 <= 4 * np.prod(chunks) <= 2**20
    assert chunks == expected


def test_parts_are_whole_chunks_of_both_sides() -> None:
    assert aligned((1, 16), (4, 6), None) == (4, 16) and aligned((3, 2), (4, 5)) == (6, 6) and aligned(None) is None


class Counted(Array):
    """Zeros without memory, which remember the most bytes that a part spans."""

    shape = (16, 40, 256, 256)  # type: ignore[assignment]
    dtype = np.dtype(np.float32)  # type: ignore[assignment]
    chunks = None  # type: ignore[assignment]
    largest = 0

    def read(self, index: tuple[slice, ...]) -> np.ndarray:
        values = np.zeros([len(range(part.start, part.stop, part.step or 1)) for part in index], np.float32)
        self.largest = max(self.largest, 4 * math.prod(part.stop - part.start for part in index))
        return values


def test_steps_are_counted_in_what_is_read_at_once(tmp_path: Path) -> None:
    array = Counted()
    data = Dataset({"u": Variable("u", array, ("sample", "t", "x", "y"))})
    write(data.isel({"x": slice(0, 256, 4), "y": slice(0, 256, 4)}), tmp_path / "a.h5")
    assert 2**24 < array.largest <= 2**25


def test_writing_needs_little_memory(tmp_path: Path) -> None:
    array = Counted()
    write(Dataset({"u": Variable("u", array, ("sample", "t", "x", "y"))}), tmp_path / "a.h5", compression="gzip")
    assert array.nbytes > 160e6 and array.largest <= 2**25


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pdesolve_format": 7}, "has format 7, this version reads 1: .*pip install --upgrade pdesolve-suite"),
        ({"pdesolve_format": 0}, "has format 0, this version reads 1: .*pdesolve data convert"),
    ],
)
def test_other_formats_are_refused(tmp_path: Path, change: dict, message: str) -> None:
    path = write(gridded(), tmp_path / "a.h5")
    with h5py.File(path, "a") as file:
        file.attrs.update(change)
    with pytest.raises(InputError, match=message):
        open_dataset(path)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Dataset({"h": Variable("h", Memory(np.zeros(4, complex)), ("x",))}), "h holds complex128"),
        (lambda: Dataset({"x": Variable("x", numbers(3), ("x",))}), "x is the name of a variable and of a dimension"),
        (lambda: replace(meshed(), meshes=[square(2, 2)] * 2), "3 samples and 2 meshes"),
        (lambda: replace(gridded(), attributes={"settings": "a" * 70000}), "the attribute settings has 70000 bytes"),
        (lambda: Dataset({"h_re": Variable("h_re", numbers(2, 4), ("sample", "x")),
                          "h": Variable("h", numbers(2, 1, 4), ("sample", "component", "x"), None, ("re",))}),
         "two things would be t0_fields/h_re"),
    ],
)  # fmt: skip
def test_what_has_no_place_is_refused(tmp_path: Path, make, message: str) -> None:
    with pytest.raises(InputError, match=message):
        write(make(), tmp_path / "a.h5")
    assert list(tmp_path.iterdir()) == []


def numbered(n: int, first: int, frames: int = 20) -> Dataset:
    """Samples whose numbers say which they are."""
    which = np.arange(first, first + n)
    u = (which[:, None, None] + np.linspace(0, 0.5, frames * 1024).reshape(frames, 1024)).astype(np.float32)
    variables = {
        "u": Variable("u", Memory(u), ("sample", "t", "x"), "m"),
        "a": Variable("a", numbers(1024), ("x",)),
    }
    parameters = {
        "number": Variable("number", Memory(which.astype(float)), ("sample",)),
        "gravity": Variable("gravity", Memory(np.array(9.81)), (), "m s-2"),
    }
    x = Coordinate(Axis("x", 0.0, 1.0, periodic=True), np.arange(1024) / 1024)
    return Dataset(variables, {"x": x}, parameters, attributes={"problem": "drift", "seed": 1})


@pytest.mark.parametrize("merge", [virtual, packed])
@pytest.mark.parametrize("compression", [None, "gzip"])
def test_parts_become_one_file(tmp_path: Path, merge, compression) -> None:
    folder = tmp_path / "all.h5.parts"
    folder.mkdir()
    counts = (4, 4, 3)
    parts = [write(numbered(n, 4 * i), folder / f"{i}.h5", compression=compression) for i, n in enumerate(counts)]
    splits = {"train": np.arange(9), "test": np.array([9, 10])}
    path = merge(parts, tmp_path / "all.h5", splits=splits, attributes={"generation": "done"})
    whole = numbered(11, 0)
    expected = replace(whole, splits=splits, attributes={**whole.attributes, "generation": "done"})
    assert_same(open_dataset(path), expected)
    assert list(well_faults(path)) == []
    with xr.open_datatree(path, engine="h5netcdf") as tree:
        assert np.array_equal(tree["t0_fields"]["u"].isel(sample=5), whole.read("u", {"sample": 5}))
    with h5py.File(path) as file:
        assert file["t0_fields/u"].is_virtual == (merge is virtual)
        if merge is packed:
            assert file["t0_fields/u"].chunks == (1, 10, 1024) and file["t0_fields/u"].compression == compression
    assert merge is virtual or path.stat().st_size < 1.1 * sum(part.stat().st_size for part in parts)
    moved = tmp_path / "moved"
    moved.mkdir()
    path.rename(moved / path.name)
    folder.rename(moved / folder.name)
    assert np.array_equal(open_dataset(moved / path.name).read("u"), whole.read("u"))


@pytest.mark.parametrize("merge", [virtual, packed])
def test_parts_with_meshes_become_one_file(tmp_path: Path, merge) -> None:
    data = meshed()
    parts = [write(data.isel({"sample": some}), tmp_path / f"{some[0]}.h5") for some in ([0], [1, 2])]
    found = open_dataset(merge(parts, tmp_path / "all.h5"))
    assert_same(found, data)
    for i, mesh in enumerate(data.meshes):
        there = found.meshes[i]
        assert isinstance(there, Mesh) and isinstance(mesh, Mesh)
        assert torch.equal(there.cells, mesh.cells) and there.boundaries.keys() == mesh.boundaries.keys()


def test_chunks_go_over_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No number of a field is unpacked while parts whose chunks fit are packed into one."""
    parts = [write(numbered(2, 2 * i), tmp_path / f"{i}.h5", compression="gzip") for i in range(2)]
    copied: list[str] = []
    monkeypatch.setattr(
        "pdesolve.datasets.merging.copy", lambda file, item, **about: copied.append(item.path) or copy(file, item)
    )
    packed(parts, tmp_path / "all.h5")
    assert "scalars/number" in copied and "t0_fields/u" not in copied


@pytest.mark.parametrize("merge", [virtual, packed])
def test_parts_that_do_not_go_together_are_refused(tmp_path: Path, merge) -> None:
    one = write(numbered(2, 0), tmp_path / "1.h5")
    other = numbered(2, 2)
    changed = {**other.variables, "a": replace(other.variables["a"], array=Memory(np.zeros(1024)))}
    two = write(replace(other, variables=changed), tmp_path / "2.h5")
    with pytest.raises(InputError, match=r"a is not the same in .*1\.h5 and .*2\.h5"):
        merge([one, two], tmp_path / "all.h5")
    with pytest.raises(InputError, match="there are no parts"):
        merge([], tmp_path / "all.h5")
    assert not (tmp_path / "all.h5").exists()


def test_parts_elsewhere_are_refused(tmp_path: Path) -> None:
    below = tmp_path / "below"
    below.mkdir()
    part = write(numbered(2, 0), tmp_path / "1.h5")
    with pytest.raises(InputError, match=r"1\.h5 is not below the folder of .*all\.h5"):
        virtual([part], below / "all.h5")


def test_a_part_with_samples_left_out_is_copied(tmp_path: Path) -> None:
    first = write(numbered(4, 0), tmp_path / "1.h5", complete=np.array([True, False, True, True]))
    path = virtual([first, write(numbered(2, 4), tmp_path / "2.h5")], tmp_path / "all.h5")
    found = open_dataset(path)
    assert list(found.read("number")) == [0, 2, 3, 4, 5]
    assert np.array_equal(found.read("u"), numbered(6, 0).read("u")[[0, 2, 3, 4, 5]])


_FILL = """
import resource, signal, sys
import numpy as np
from pdesolve.data.arrays import Memory
from pdesolve.data.dataset import Dataset, Variable
from pdesolve.datasets.writing import write
from pdesolve.errors import InputError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
values = np.random.default_rng(0).random((10, 20, 64, 64))
data = Dataset({"u": Variable("u", Memory(values), ("sample", "t", "x", "y"))})
for limit in map(int, sys.argv[2:]):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    for compression in (None, "gzip"):
        try:
            write(data, sys.argv[1], compression=compression)
        except InputError as error:
            print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits of file sizes are those of POSIX")
def test_a_disk_that_fills_leaves_the_old_file(tmp_path: Path) -> None:
    """At any place of the file: in its header, among small arrays, in the fields, when it is closed."""
    path = write(gridded(), tmp_path / "a.h5")
    before = path.read_bytes()
    limits = ["100", "5000", "30000", "1000000", "5000000"]
    found = subprocess.run(
        [sys.executable, "-c", _FILL, str(path), *limits], capture_output=True, text=True, timeout=120, check=True
    )
    lines = found.stdout.splitlines()
    assert len(lines) == 2 * len(limits) and not found.stderr
    assert set(lines) == {f"cannot write {path}: files may not be so large; free some space, or give another place"}
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    class Full(Array):
        shape, dtype, chunks = (4, 4), np.dtype(float), None  # type: ignore[assignment]

        def read(self, index: tuple[slice, ...]) -> np.ndarray:
            raise OSError(28, "No space left on device")

    with pytest.raises(InputError, match=r"cannot write .*a.h5: the disk is full; free some space"):
        write(Dataset({"u": Variable("u", Full(), ("x", "y"))}), tmp_path / "a.h5")
    with pytest.raises(InputError, match=r"cannot write .*a.h5: No such file or directory"):
        write(gridded(), tmp_path / "nowhere" / "a.h5")
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_writer_leaves_nothing_half_written(tmp_path: Path) -> None:
    class Interrupted(Array):
        shape, dtype, chunks = (64, 512, 512), np.dtype(float), None  # type: ignore[assignment]
        reads = 0

        def read(self, index: tuple[slice, ...]) -> np.ndarray:
            self.reads += 1
            if self.reads > 1:
                raise KeyboardInterrupt
            return np.zeros([part.stop - part.start for part in index])

    path = write(gridded(), tmp_path / "a.h5")
    with pytest.raises(KeyboardInterrupt):
        write(Dataset({"u": Variable("u", Interrupted(), ("sample", "x", "y"))}), path)
    assert_same(open_dataset(path), gridded())
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(sys.platform == "win32", reason="processes are looked for as POSIX has it")
def test_what_killed_writers_left_goes(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    living, dead, foreign = (
        tmp_path / f".a.h5.{where}.{number}"
        for where, number in ((platform.node(), os.getppid()), (platform.node(), ended.pid), ("elsewhere", ended.pid))
    )
    for path in (living, dead, foreign):
        path.write_bytes(b"half")
    write(gridded(), tmp_path / "a.h5")
    assert sorted(tmp_path.iterdir()) == sorted([living, foreign, tmp_path / "a.h5"])


DAMAGE = {
    "a text for numbers": ("/dimensions/y", "bounds_lower", "text"),
    "numbers for text": ("/dimensions/y", "units", 3.5),
    "no bounds": ("/dimensions/x", "bounds_upper", None),
    "other components": ("/t1_fields/velocity", "components", ["x"]),
    "components without order": ("/t0_fields/wave_re", "number", "first"),
    "names of nothing": ("/t0_fields", "field_names", ["u", "w"]),
    "no names of fields": ("/t1_fields", "field_names", None),
    "no names of axes": ("/dimensions", "spatial_dims", None),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damaged_files_are_refused_in_one_line(tmp_path: Path, name: str) -> None:
    path = write(gridded(), tmp_path / "a.h5")
    node, attribute, value = DAMAGE[name]
    with h5py.File(path, "a") as file:
        del file[node].attrs[attribute]
        if value is not None:
            file[node].attrs[attribute] = value
    with pytest.raises(InputError, match=r"a\.h5") as refused:
        open_dataset(path)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("dim", ["node", "cell", "facet"])
def test_counts_that_do_not_add_up_are_refused(tmp_path: Path, dim: str) -> None:
    path = write(meshed(), tmp_path / "a.h5")
    with h5py.File(path, "a") as file:
        file[f"mesh/{dim}_count"][0] += 1
    with pytest.raises(InputError, match=f"{dim}s are not those that {dim}_count says"):
        open_dataset(path)


def test_truncated_files_are_refused(tmp_path: Path) -> None:
    whole = write(gridded(), tmp_path / "a.h5").read_bytes()
    for share in (0.1, 0.5, 0.9, 0.99):
        (tmp_path / "b.h5").write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(InputError, match=r"b\.h5 is truncated"):
            open_dataset(tmp_path / "b.h5")
