"""The Well's layout: every flag, tensors of order 0 to 2, boundary conditions, scalars, and what files leave out."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

import pdesolve as ps
from pdesolve.errors import InputError

N, T, SIZES = 2, 4, {"x": 6, "y": 5}
GENERATOR = np.random.default_rng(0)
WRITTEN: dict[str, np.ndarray] = {}


def field(file: h5py.File, name: str, order: int, *, sample: bool, time: bool, varying: tuple[bool, bool]) -> None:
    sizes = [n for n, varies in zip(SIZES.values(), varying, strict=True) if varies]
    shape = (*([N] if sample else []), *([T] if time else []), *sizes, *([2] * order))
    WRITTEN[name] = GENERATOR.standard_normal(shape).astype(np.float32)
    node = file.create_dataset(f"t{order}_fields/{name}", data=WRITTEN[name])
    node.attrs["dim_varying"], node.attrs["sample_varying"], node.attrs["time_varying"] = varying, sample, time


def scalar(file: h5py.File, name: str, *, sample: bool, time: bool) -> None:
    WRITTEN[name] = GENERATOR.standard_normal((*([N] if sample else []), *([T] if time else [])))
    node = file.create_dataset(f"scalars/{name}", data=WRITTEN[name])
    node.attrs["sample_varying"], node.attrs["time_varying"] = sample, time


def boundary(file: h5py.File, name: str, kind: str, dims: object, fields: list[str]) -> None:
    group = file.create_group(f"boundary_conditions/{name}")
    group.attrs["associated_dims"], group.attrs["bc_type"] = dims, kind
    group.attrs["associated_fields"] = fields
    group.attrs["sample_varying"] = group.attrs["time_varying"] = False
    group["mask"] = np.ones(SIZES[name[0]], bool)


def well(path: Path, *, start: float = 0.0) -> Path:
    """A file with all that the specification has."""
    with h5py.File(path, "w") as file:
        about = {"dataset_name": "made", "grid_type": "cartesian", "n_spatial_dims": 2, "n_trajectories": N}
        file.attrs.update(about)
        file.attrs["simulation_parameters"], file.attrs["viscosity"] = ["viscosity"], 0.5 + start
        dimensions = file.create_group("dimensions")
        dimensions.attrs["spatial_dims"] = list(SIZES)
        dimensions["time"] = np.linspace(0, 3, T, dtype=np.float32)
        dimensions["x"] = (np.arange(6) / 6).astype(np.float32)
        dimensions["y"] = np.linspace(-1, 1, 5, dtype=np.float32)
        for name in ("time", "x", "y"):
            dimensions[name].attrs["sample_varying"] = dimensions[name].attrs["time_varying"] = False
        boundary(file, "x_periodic", "periodic", ["x"], [])
        boundary(file, "y_wall", "wall", "y", ["u"])
        field(file, "u", 0, sample=True, time=True, varying=(True, True))
        field(file, "mask", 0, sample=False, time=False, varying=(True, True))
        field(file, "profile", 0, sample=False, time=True, varying=(False, True))
        field(file, "velocity", 1, sample=True, time=True, varying=(True, True))
        field(file, "gravity", 1, sample=False, time=False, varying=(False, False))
        field(file, "stress", 2, sample=True, time=True, varying=(True, True))
        for order in range(3):
            file[f"t{order}_fields"].attrs["field_names"] = list(file[f"t{order}_fields"])
        for name, sample, time in (("a", 0, 0), ("b", 0, 1), ("c", 1, 0), ("d", 1, 1)):
            scalar(file, name, sample=bool(sample), time=bool(time))
        file["scalars"].attrs["field_names"] = ["a", "b", "c", "d"]
    return path


def test_all_that_the_specification_has(tmp_path: Path) -> None:
    data = ps.open_dataset(well(tmp_path / "a.hdf5"))
    assert data.layout == "the_well" and data.samples == N and not data.notes
    dims = {name: variable.dims for name, variable in (*data.variables.items(), *data.parameters.items())}
    assert dims == {
        "u": ("sample", "t", "x", "y"), "mask": ("x", "y"), "profile": ("t", "y"),
        "velocity": ("sample", "t", "component", "x", "y"), "gravity": ("component",),
        "stress": ("sample", "t", "component", "x", "y"),
        "a": (), "b": ("t",), "c": ("sample",), "d": ("sample", "t"), "viscosity": (),
    }  # fmt: skip
    for name in ("u", "mask", "profile", "gravity", "a", "b", "c", "d"):
        assert np.array_equal(data.read(name), WRITTEN[name]), name
    assert np.array_equal(data.read("velocity"), np.moveaxis(WRITTEN["velocity"], -1, 2))
    stress = data.variables["stress"]
    assert stress.components == ("x_x", "x_y", "y_x", "y_y")
    part = data.read("stress", {"sample": 1, "t": slice(1, 3), "component": 2, "x": slice(0, 6, 2)})
    assert np.array_equal(part, WRITTEN["stress"][1, 1:3, ::2, :, 1, 0])
    x, y = (data.coordinates[name].axis for name in ("x", "y"))
    assert (x.lower, x.upper, x.periodic) == (0.0, 1.0, True) and (y.lower, y.upper, y.periodic) == (-1.0, 1.0, False)
    edges = json.loads(data.attributes["boundary_conditions"])
    assert edges["y_wall"] == {"type": "WALL", "axes": ["y"], "fields": ["u"]}
    assert data.read("viscosity") == 0.5 and "viscosity" not in data.attributes
    assert data.to_xarray()["velocity"].shape == (N, T, 2, 6, 5)


def test_opening_reads_no_field(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, read = well(tmp_path / "a.hdf5"), []
    get = h5py.Dataset.__getitem__
    monkeypatch.setattr(h5py.Dataset, "__getitem__", lambda node, *a: read.append(node.name) or get(node, *a))
    data = ps.open_dataset(path)
    assert {name.split("/")[1] for name in read} == {"dimensions", "scalars"}
    data.read("velocity", {"sample": 0, "t": 0})
    assert read[-1] == "/t1_fields/velocity"


def change(path: Path, act: Callable[[h5py.File], object]) -> None:
    with h5py.File(path, "a") as file:
        act(file)


def test_what_files_leave_out_is_borne(tmp_path: Path) -> None:
    path = well(tmp_path / "a.hdf5")

    def leave_out(file: h5py.File) -> None:
        about = dict(file["t0_fields/profile"].attrs)
        del file["t0_fields/profile"]
        file["t0_fields/profile"] = WRITTEN["profile"][:, None]  # an axis of size one, as the reader has it
        file["t0_fields/profile"].attrs.update(about)
        for name in ("time", "x"):
            del file["dimensions"][name].attrs["time_varying"]
        del file["t2_fields"], file["boundary_conditions"], file["scalars"].attrs["field_names"]
        file.create_group("t2_fields").attrs["field_names"] = []  # which h5py stores as numbers
        file["t0_fields"].attrs["field_names"] = np.array([b"u", b"mask", b"profile"])
        del file["t0_fields/u"].attrs["dim_varying"], file["t0_fields/mask"].attrs["time_varying"]
        file.attrs["n_trajectories"] = 7

    change(path, leave_out)
    data = ps.open_dataset(path)
    assert set(data.variables) == {"u", "mask", "profile", "velocity", "gravity"}
    assert data.variables["profile"].dims == ("t", "y") and np.array_equal(data.read("profile"), WRITTEN["profile"])
    assert set(data.parameters) == {"a", "b", "c", "d", "viscosity"} and not data.coordinates["x"].axis.periodic
    assert data.notes == ("n_trajectories says 7, the file holds 2",)


def test_times_of_each_trajectory(tmp_path: Path) -> None:
    path = well(tmp_path / "a.hdf5")
    times = np.arange(T) * np.array([[1.0], [2.0]])

    def vary(file: h5py.File) -> None:
        del file["dimensions/time"]
        file["dimensions/time"] = times
        file["dimensions/time"].attrs["sample_varying"] = True

    change(path, vary)
    data = ps.open_dataset(path)
    assert np.array_equal(data.coordinates["t"].points, times)
    assert np.array_equal(data.isel({"sample": [1]}).coordinates["t"].points, times[1:])


def test_statistics_and_splits_of_a_folder(tmp_path: Path) -> None:
    for split, count in (("train", 3), ("valid", 1)):
        (tmp_path / "made/data" / split).mkdir(parents=True)
        for i in range(count):
            well(tmp_path / f"made/data/{split}/part_{i}.hdf5", start=float(i))
    (tmp_path / "made/stats.yaml").write_text("mean:\n  u: 0.5\n  velocity: [1, 2e-3]\n")
    data = ps.open_dataset(tmp_path / "made")
    assert data.samples == 4 * N and {name: len(numbers) for name, numbers in data.splits.items()} == {
        "train": 3 * N, "valid": N,
    }  # fmt: skip
    assert json.loads(data.attributes["statistics"])["mean"]["u"] == 0.5
    train = ps.open_dataset(tmp_path / "made", split="train")
    assert train.samples == 3 * N and len(train.paths) == 3
    assert train.read("viscosity").tolist() == [0.5, 0.5, 1.5, 1.5, 2.5, 2.5]
    assert train.variables["mask"].dims == ("sample", "x", "y") and train.variables["profile"].dims[:2] == (
        "sample",
        "t",
    )
    assert np.array_equal(data.split("valid").read("u"), WRITTEN["u"])


def shorter(file: h5py.File) -> None:
    del file["t0_fields/u"]
    file["t0_fields/u"] = np.zeros((N, T, 6))


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda f: f["dimensions"].attrs.__delitem__("spatial_dims"), "dimensions lacks its attribute spatial_dims"),
        (lambda f: f.__delitem__("dimensions/y"), r"lacks its data set y \(the axes, in order\), found time"),
        (lambda f: f["t0_fields"].attrs.__setitem__("field_names", ["v"]), "t0_fields names the field v, which is not"),
        (lambda f: f["scalars"].attrs.__setitem__("field_names", ["v"]), "scalars names v, which is not in it"),
        (lambda f: f["t1_fields/velocity"].attrs.__setitem__("time_varying", False), "by its flags, found"),
        (lambda f: f["scalars/c"].attrs.__setitem__("sample_varying", False), r"by its flags, found \(2,\)"),
        (shorter, r"should have the dimensions \('x', 'y'\) by its flags, found \(2, 4, 6\)"),
        (
            lambda f: [f.__delitem__(f"t{i}_fields") for i in range(3)],
            "none of the groups t0_fields, t1_fields and t2_",
        ),
        (lambda f: f.attrs.__setitem__("n_trajectories", N), None),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, act: Callable[[h5py.File], object], message: str | None) -> None:
    path = well(tmp_path / "a.hdf5")
    change(path, act)
    if message is None:
        assert not ps.open_dataset(path).notes
        return
    with pytest.raises(InputError, match=message) as found:
        ps.open_dataset(path)
    assert str(path) in str(found.value) and "\n" not in str(found.value)


@pytest.mark.skipif("PDESOLVE_DATA" not in os.environ, reason="PDESOLVE_DATA names no folder of real data files")
def test_the_official_dummy_opens() -> None:
    path = Path(os.environ["PDESOLVE_DATA"]) / "the-well-generated" / "the_well_dummy.hdf5"
    data = ps.open_dataset(path)
    assert data.sizes == {"sample": 2, "t": 10, "x": 32, "y": 32}
    assert data.variables["field"].components == ("x", "y")
    with h5py.File(path) as file:
        raw = file["t1_fields/field"][1, 4, ..., 0]
    assert np.array_equal(data.read("field", {"sample": 1, "t": 4, "component": 0}), raw)
    assert {name: float(data.read(name)) for name in ("a", "b")} == {"a": 0.25, "b": 0.75}
    assert data.coordinates["x"].axis.periodic and data.parameters["time_varying_scalar"].dims == ("t",)
