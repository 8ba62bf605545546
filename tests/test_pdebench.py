"""PDEBench's layouts: written here as the formats say, and real ones."""

from __future__ import annotations

import os
from pathlib import Path

import h5py
import numpy as np
import pytest

import pdesolve as ps
from pdesolve.datasets.handles import close_files
from pdesolve.errors import InputError

N, T, X, Y = 3, 5, 8, 6
GENERATOR = np.random.default_rng(0)


def numbers(*shape: int) -> np.ndarray:
    return GENERATOR.standard_normal(shape).astype(np.float32)


def centres(n: int, lower: float, upper: float) -> np.ndarray:
    return (lower + (upper - lower) * (np.arange(n) + 0.5) / n).astype(np.float32)


def flat(path: Path, attributes: dict[str, float], **arrays: np.ndarray) -> Path:
    """Arrays for all samples, with coordinates named with hyphens, and one time too many."""
    with h5py.File(path, "w") as file:
        for name, values in arrays.items():
            file[name.replace("_", "-") if name.endswith("coordinate") else name] = values
        file.attrs.update(attributes)
    return path


def test_scalars_have_one_time_too_many(tmp_path: Path) -> None:
    u = numbers(N, T, X)
    times = np.linspace(0, 2, T + 1, dtype=np.float32)
    path = flat(tmp_path / "a.hdf5", {"Nu": 0.1}, tensor=u, x_coordinate=centres(X, 0, 1), t_coordinate=times)
    data = ps.open_dataset(path)
    assert data.layout == "pdebench" and data.variables["u"].dims == ("sample", "t", "x")
    assert np.array_equal(data.read("u", {"sample": 1}), u[1])
    assert np.array_equal(data.coordinates["t"].points, times[:T])
    x = data.coordinates["x"].axis
    assert (x.lower, x.upper, x.periodic) == (0.0, 1.0, True)
    assert data.read("Nu") == 0.1 and any("Nu / pi" in note for note in data.notes)
    assert data.grid().members[0].placement == "periodic"


@pytest.mark.parametrize(
    ("name", "attributes", "found"),
    [
        ("1D_Advection_Sols_beta0.4.hdf5", {}, {"beta": 0.4}),
        ("ReacDiff_Nu1.0_Rho2.0.hdf5", {}, {"Nu": 1.0, "rho": 2.0}),
        ("1D_Advection_Sols_beta0.4.hdf5", {"beta": 0.7}, {"beta": 0.7}),
        ("any.hdf5", {}, {}),
    ],
)
def test_parameters_are_attributes_or_in_the_name(
    tmp_path: Path, name: str, attributes: dict[str, float], found: dict[str, float]
) -> None:
    path = flat(
        tmp_path / name, attributes, tensor=numbers(N, T, X), x_coordinate=centres(X, 0, 1), t_coordinate=np.arange(T)
    )
    data = ps.open_dataset(path)
    assert {name: float(data.read(name)) for name in data.parameters} == found
    assert (found != attributes) == any("read off the name" in note for note in data.notes)


def test_darcy(tmp_path: Path) -> None:
    u, nu = numbers(N, 1, X, Y), numbers(N, X, Y)
    sides = {"x_coordinate": centres(X, 0, 1), "y_coordinate": centres(Y, 0, 1), "t_coordinate": np.zeros(1)}
    data = ps.open_dataset(flat(tmp_path / "a.hdf5", {"beta": 1.0}, tensor=u, nu=nu, **sides))
    assert {name: v.dims for name, v in data.variables.items()} == dict.fromkeys(("u", "nu"), ("sample", "x", "y"))
    assert np.array_equal(data.read("u", {"sample": 2, "x": slice(1, 4)}), u[2, 0, 1:4])
    assert np.array_equal(data.read("nu"), nu) and not data.coordinates["y"].axis.periodic
    assert [member.placement for member in data.grid().members] == ["cells", "cells"]


def flow(path: Path, dimensions: int, **more: np.ndarray) -> dict[str, np.ndarray]:
    sizes = (X, Y, 4)[:dimensions]
    names = ["density", "pressure", *("Vx", "Vy", "Vz")[:dimensions]]
    arrays = {name: numbers(N, T, *sizes) for name in names}
    sides = {f"{axis}_coordinate": centres(n, 0, 1) for axis, n in zip("xyz", sizes, strict=False)}
    flat(path, {"eta": 0.01, "zeta": 0.01}, **arrays, **sides, t_coordinate=np.linspace(0, 1, T + 1), **more)
    return arrays


@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_flows_have_velocities(tmp_path: Path, dimensions: int) -> None:
    path = tmp_path / "2D_CFD_Rand_M0.1_Eta0.01_Zeta0.01_periodic_128_Train.hdf5"
    arrays = flow(path, dimensions, unknown=np.zeros(3))
    data = ps.open_dataset(path)
    assert list(data.variables) == ["density", "pressure", "velocity"]
    velocity = data.variables["velocity"]
    assert velocity.components == (() if dimensions == 1 else ("x", "y", "z")[:dimensions])
    expected = np.stack([arrays[name] for name in ("Vx", "Vy", "Vz")[:dimensions]], 2)
    assert np.array_equal(data.read("velocity"), expected if dimensions > 1 else expected[:, :, 0])
    assert all(data.coordinates[axis].axis.periodic for axis in data.space)
    assert {name: float(data.read(name)) for name in data.parameters} == {"eta": 0.01, "zeta": 0.01}


def test_flows_that_leave_are_not_periodic(tmp_path: Path) -> None:
    for name in ("1D_CFD_Shock_Eta1.e-8_Zeta1.e-8_trans_Train.hdf5", "Sod1.hdf5"):
        flow(tmp_path / name, 1)
        data = ps.open_dataset(tmp_path / name)
        assert not data.coordinates["x"].axis.periodic
        assert any("how it ends in space" in note for note in data.notes) == (name == "Sod1.hdf5")


def test_incompressible_flow(tmp_path: Path) -> None:
    path, velocity = tmp_path / "ns.h5", numbers(N, T, X, Y, 2)
    particles, force = numbers(N, T, X, Y, 1), numbers(N, X, Y, 2)
    times = np.tile(np.linspace(0, 1, T), (N, 1))
    with h5py.File(path, "w") as file:
        file.create_dataset("velocity", data=velocity, chunks=(1, 1, X, Y, 2), compression="lzf", shuffle=True)
        file["particles"], file["force"], file["t"] = particles, force, times
        file.attrs["config"], file.attrs["latestIndex"] = "NU: 0.01", T - 1
    data = ps.open_dataset(path)
    assert data.variables["velocity"].dims == ("sample", "t", "component", "x", "y")
    assert np.array_equal(data.read("velocity"), velocity.transpose(0, 1, 4, 2, 3))
    assert np.array_equal(data.read("particles"), particles[..., 0])
    assert np.array_equal(data.read("force"), force.transpose(0, 3, 1, 2))
    assert data.read("NU") == 0.01
    assert data.coordinates["t"].points.shape == (T,)  # the same for all samples
    close_files()
    with h5py.File(path, "a") as file:
        file.attrs["latestIndex"] = 2
    data = ps.open_dataset(path)
    assert data.sizes["t"] == 3 and any("2 of 5 frames were never written" in note for note in data.notes)


CONFIG = "sim:\n  {}\n  xdim: 8\n  x_left: -1.0\n  x_right: 1.0\n  y_bottom: -1.0\n  y_top: 1.0\n  seed: {}\n"


def groups(path: Path, data: np.ndarray, entry: str, *, names: list[str], stored: str = "xy") -> Path:
    sizes = dict(zip(stored, data.shape[2:-1], strict=False))
    with h5py.File(path, "w") as file:
        for i, name in enumerate(names):
            group = file.create_group(name)
            group.create_dataset("data", data=data[i], compression="lzf")
            for axis, n in sizes.items():
                group[f"grid/{axis}"] = centres(n, -1, 1)
            group["grid/t"] = np.linspace(0, 5, data.shape[1])
            group.attrs["config"] = CONFIG.format(entry.format(i), i)
    return path


def test_groups_are_samples(tmp_path: Path) -> None:
    values = numbers(N, T, X, Y, 1)
    names = ["0000", "0001", "0023"]
    data = ps.open_dataset(groups(tmp_path / "a.h5", values, "dam_radius: 0.{}5", names=names))
    assert data.layout == "pdebench_groups" and data.variables["depth"].dims == ("sample", "t", "x", "y")
    assert np.array_equal(data.read("depth"), values[..., 0])
    assert data.read("dam_radius").tolist() == [0.05, 0.15, 0.25]
    assert data.isel({"sample": [2, 0]}).read("dam_radius").tolist() == [0.25, 0.05]
    assert (data.coordinates["y"].axis.lower, data.coordinates["y"].axis.upper) == (-1.0, 1.0)


def test_diffusion_reaction_has_rows_along_y(tmp_path: Path) -> None:
    values = numbers(N, T, Y, X, 2)
    path = groups(tmp_path / "a.h5", values, "Du: 1e-3", names=["0000", "0001", "0002"], stored="yx")
    data = ps.open_dataset(path)
    assert list(data.variables) == ["u", "v"] and data.sizes["x"] == X and data.sizes["y"] == Y
    assert np.array_equal(data.read("v"), values[..., 1].swapaxes(2, 3))
    assert data.read("Du") == 1e-3 and any("(t, y, x)" in note for note in data.notes)


def test_ten_thousand_groups_are_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, count = tmp_path / "a.h5", 10_000
    with h5py.File(path, "w", libver="latest") as file:
        proto = file.create_group("proto")
        proto["data"], proto["grid/x"], proto["grid/t"] = numbers(T, X, 1), centres(X, 0, 1), np.arange(T)
        for i in range(count):
            file[f"{i:04}"] = proto  # hard links: as many groups as names
    found: list[object] = []
    get = h5py.Group.__getitem__
    monkeypatch.setattr(h5py.Group, "__getitem__", lambda group, name: found.append(name) or get(group, name))
    data = ps.open_dataset(path)
    assert data.samples == count and len(found) < 100
    found.clear()
    assert data.read("u", {"sample": slice(5000, 5003), "t": 0}).shape == (3, X) and len(found) <= 6


def replaced(file: h5py.File, name: str, values: object) -> None:
    del file[name]
    file[name] = values


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.__delitem__("x-coordinate"), "pdebench: there is no data set x-coordinate"),
        (lambda f: f.move("t-coordinate", "u-coordinate"), None),
        (lambda f: replaced(f, "t-coordinate", np.arange(3)), "expected 5 times, or one"),
        (lambda f: replaced(f, "tensor", np.zeros((3, 5))), r"\(sample, t, x\[, y\[, z\]\]\)"),
        (lambda f: replaced(f, "tensor", np.zeros((3, 5, 7))), "expected 7 points in x-coordinate"),
        (lambda f: replaced(f, "tensor", ["a"]), "expected numbers in /tensor, found"),
        (lambda f: f["x-coordinate"].__setitem__(3, np.nan), "coordinates x must be finite and ascend"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_told(tmp_path: Path, change, message: str | None) -> None:
    sides = {"x_coordinate": centres(X, 0, 1), "t_coordinate": np.arange(T + 1.0)}
    path = flat(tmp_path / "a.hdf5", {}, tensor=numbers(N, T, X), **sides)
    with h5py.File(path, "a") as file:
        change(file)
    if message is None:
        data = ps.open_dataset(path)
        assert "t" not in data.coordinates and any("no times" in note for note in data.notes)
        return
    with pytest.raises(InputError, match=message) as found:
        ps.open_dataset(path)
    assert str(path) in str(found.value) or "coordinates x" in str(found.value)


def test_groups_that_do_not_fit_are_told(tmp_path: Path) -> None:
    names = ["0000", "0001", "0002"]
    path = groups(tmp_path / "a.h5", numbers(N, T, X, 1), "D: 5e-4", names=names)
    with h5py.File(path, "a") as file:
        del file["0001/data"]
        file["0001/data"] = numbers(T, X + 1, 1)
    with pytest.raises(InputError, match=r"one shape .* found \(5, 8, 1\) in 0002 and \(5, 9, 1\) in 0001"):
        ps.open_dataset(path)
    with h5py.File(path, "a") as file:
        del file["0001"], file["0000"].attrs["config"], file["0002"].attrs["config"]
    data = ps.open_dataset(path)
    assert not data.parameters and any("no attribute config" in note for note in data.notes)


REAL = {
    "1D_diff-sorp_NA_NA_128.h5": ({"u": (4, 101, 128)}, {"por": 0.29}, (0.0, 1.0)),
    "2D_diff-react_NA_NA_32x32.h5": ({"u": (4, 26, 32, 32), "v": (4, 26, 32, 32)}, {"Dv": 5e-3}, (-1.0, 1.0)),
    "2D_rdb_NA_NA_48x48.h5": ({"depth": (4, 26, 48, 48)}, {"inner_height": 2.0}, (-2.5, 2.5)),
}


@pytest.mark.skipif("PDESOLVE_DATA" not in os.environ, reason="PDESOLVE_DATA names no folder of real data files")
@pytest.mark.parametrize("name", REAL)
def test_real_files(name: str) -> None:
    shapes, parameters, bounds = REAL[name]
    path = Path(os.environ["PDESOLVE_DATA"]) / "pdebench-generated" / name
    data = ps.open_dataset(path)
    assert {name: v.array.shape for name, v in data.variables.items()} == shapes
    assert {name: float(data.read(name)) for name in parameters} == parameters
    assert (data.coordinates["x"].axis.lower, data.coordinates["x"].axis.upper) == bounds
    with h5py.File(path) as file:
        raw = file["0023/data"][-1, ..., 0]
    last = data.read(next(iter(shapes)), {"sample": 3, "t": -1})
    assert np.array_equal(last, raw.T if name.startswith("2D_diff") else raw)
