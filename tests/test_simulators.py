"""Layouts of other codes in HDF5: PDEArena and its kin, pyro2, py-pde; written here as the formats say, and real."""

from __future__ import annotations

import json
import os
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr

import pdesolve as ps
from pdesolve.datasets.handles import close_files
from pdesolve.errors import InputError

N, T, X, Y = 3, 5, 8, 6
GENERATOR = np.random.default_rng(0)


def mp_pde(path: Path) -> dict[str, np.ndarray]:
    """Trajectories of two resolutions, places in attributes, coefficients for each sample."""
    fields = {f"pde_{T}-{nx}": GENERATOR.standard_normal((N, T, nx)) for nx in (X // 2, X)}
    with h5py.File(path, "w") as file:
        group = file.create_group("train")
        for name, values in fields.items():
            nx = values.shape[-1]
            node = group.create_dataset(name, data=values)
            node.attrs.update({"dt": 1.0, "dx": 16 / nx, "nt": T, "nx": nx, "tmin": 0.0, "tmax": 4.0})
            node.attrs["x"] = 16 * np.arange(nx) / nx
        for i, name in enumerate(("alpha", "beta", "gamma")):
            group[name] = np.arange(N) + 10.0 * i
    return fields


def test_the_finest_of_several_resolutions(tmp_path: Path) -> None:
    fields = mp_pde(tmp_path / "CE_train_E1.h5")
    data = ps.open_dataset(tmp_path / "CE_train_E1.h5")
    assert data.layout == "pdearena" and data.sizes == {"sample": N, "t": T, "x": X}
    assert np.array_equal(data.read("u"), fields[f"pde_{T}-{X}"]) and data.splits["train"].tolist() == [0, 1, 2]
    assert data.read("gamma").tolist() == [20, 21, 22] and data.coordinates["t"].points.tolist() == [0, 1, 2, 3, 4]
    axis = data.coordinates["x"].axis
    assert (axis.lower, axis.upper, axis.periodic) == (0.0, 16.0, True)
    assert "side by side" in data.notes[0]
    coarse = ps.open_dataset(tmp_path / "CE_train_E1.h5", names={f"pde_{T}-{X // 2}": "v"})
    assert np.array_equal(coarse.read("v"), fields[f"pde_{T}-{X // 2}"]) and coarse.sizes["x"] == X // 2


def test_waves_have_walls(tmp_path: Path) -> None:
    mp_pde(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "a") as file:
        file["train/bc_left"] = np.array([0, 1, 0])
    data = ps.open_dataset(tmp_path / "a.h5")
    assert not data.coordinates["x"].axis.periodic and data.read("bc_left").tolist() == [0, 1, 0]


def test_domains_of_each_sample(tmp_path: Path) -> None:
    values, lengths = GENERATOR.standard_normal((N, T, X)), np.array([60.0, 64.0, 70.0])
    with h5py.File(tmp_path / "KS_valid.h5", "w") as file:
        group = file.create_group("valid")
        group[f"pde_{T}-{X}"], group["v"], group["dt"] = values, np.arange(N) + 1.0, np.full(N, 0.2)
        group["x"], group["dx"] = lengths[:, None] * np.arange(X) / X, lengths / X
        group["t"] = 0.2 * np.tile(np.arange(T), (N, 1))
    data = ps.open_dataset(tmp_path / "KS_valid.h5")
    assert data.coordinates["x"].points.shape == (N, X) and data.coordinates["t"].points.shape == (T,)
    assert list(data.parameters) == ["v"] and data.splits["valid"].size == N
    one = data.isel({"sample": [1]})
    assert one.coordinates["x"].points[0, -1] == 64 * 7 / 8 and np.array_equal(one.read("u"), values[1:2])


def smoke(path: Path, split: str) -> dict[str, np.ndarray]:
    fields = {name: GENERATOR.standard_normal((N, T, X, Y)) for name in ("u", "vx", "vy")}
    with h5py.File(path, "w") as file:
        group = file.create_group(split)
        for name, values in fields.items():
            group[name] = values
        for axis, n, end in (("t", T, 6.0), ("x", X, 32.0), ("y", Y, 32.0)):
            group[axis] = np.tile(np.linspace(0, end, n), (N, 1))
            group[f"d{axis}"] = np.full(N, end / (n - 1))
        group["buo_y"] = np.full(N, 0.5) if split == "train" else np.arange(N) * 0.1
    return fields


def test_smoke_lies_at_centres(tmp_path: Path) -> None:
    train, test = (smoke(tmp_path / f"NavierStokes2D_{split}_1_0.5_3.h5", split) for split in ("train", "test"))
    data = ps.open_dataset(tmp_path)
    assert data.samples == 2 * N and set(data.splits) == {"train", "test"}
    assert np.array_equal(data.split("train").read("u"), train["u"])
    assert np.array_equal(data.split("test").read("velocity", {"component": 1}), test["vy"])
    assert data.split("train").read("buo_y").tolist() == [0.5] * N
    x = data.coordinates["x"]
    assert (x.axis.lower, x.axis.upper) == (0.0, 32.0) and x.points[0] == 2.0
    assert any("half a cell off" in note for note in data.notes)


def pyro(path: Path) -> dict[str, np.ndarray]:
    names = ("density", "x-momentum", "y-momentum", "phi-MAC")
    fields = {name: GENERATOR.standard_normal((X, Y)) for name in names}
    with h5py.File(path, "w") as file:
        file.attrs.update({"solver": "compressible", "problem": "sod", "time": 0.2, "nsteps": 7})
        bounds = {"nx": X, "ny": Y, "ng": 4, "xmin": 0.0, "xmax": 2.0, "ymin": -1.0, "ymax": 1.0}
        file.create_group("grid").attrs.update(bounds)
        file.create_group("aux").attrs["gamma"] = 1.4
        file.create_group("runtime parameters").attrs["driver.cfl"] = 0.8
        for name, values in fields.items():
            file[f"state/{name}/data"] = values
            file[f"state/{name}"].attrs.update(
                {"xlb": "periodic", "xrb": "periodic", "ylb": "outflow", "yrb": "outflow"}
            )
    return fields


def test_pyro(tmp_path: Path) -> None:
    fields = pyro(tmp_path / "a.h5")
    data = ps.open_dataset(tmp_path / "a.h5")
    assert {name: v.dims for name, v in data.variables.items()} == {
        "density": ("x", "y"), "phi-MAC": ("x", "y"), "momentum": ("component", "x", "y"),
    }  # fmt: skip
    assert np.array_equal(data.read("momentum"), np.stack([fields["x-momentum"], fields["y-momentum"]]))
    assert {name: float(data.read(name)) for name in data.parameters} == {"gamma": 1.4, "time": 0.2}
    x, y = data.coordinates["x"], data.coordinates["y"]
    assert x.axis.periodic and not y.axis.periodic and (y.axis.lower, y.points[0]) == (-1.0, -1 + 1 / Y)
    assert json.loads(data.attributes["boundary_conditions"])["density"]["yrb"] == "outflow"
    fields = [fields, pyro(tmp_path / "b.h5")]
    both = ps.open_dataset(tmp_path)
    assert both.samples == 2 and np.array_equal(both.read("density", {"sample": 1}), fields[1]["density"])
    close_files()
    with h5py.File(tmp_path / "a.h5", "a") as file:
        del file["grid"].attrs["xmax"]
    with pytest.raises(InputError, match="pyro: the group grid has no attributes xmax"):
        ps.open_dataset(tmp_path / "a.h5")


GRID = {"bounds": [[0.0, 2.0], [-1.0, 1.0]], "shape": [X, Y], "periodic": [True, False], "class": "CartesianGrid"}


def py_pde(path: Path, values: np.ndarray, fields: list[dict[str, object]]) -> None:
    """Attributes as py-pde 0.59 writes them: JSON in JSON."""

    def packed(field: dict[str, object]) -> dict[str, str]:
        return {name: json.dumps(json.dumps(v) if isinstance(v, dict) else v) for name, v in field.items()}

    about: object = packed(fields[0]) if len(fields) == 1 else {
        "class": json.dumps("FieldCollection"), "fields": json.dumps([packed(field) for field in fields]),
    }  # fmt: skip
    with h5py.File(path, "w") as file:
        file.create_dataset("data", data=values, chunks=(1, *values.shape[1:]), compression="gzip")
        file["times"] = np.array([0.0, 0.1, 0.5, 2.0, 3.0])[: len(values)]
        file.attrs["field_attributes"], file.attrs["t_start"] = json.dumps(about), "null"


def test_py_pde(tmp_path: Path) -> None:
    path, values = tmp_path / "a.hdf5", GENERATOR.standard_normal((T, X, Y))
    py_pde(path, values, [{"class": "ScalarField", "grid": GRID, "label": None}])
    data = ps.open_dataset(path)
    assert data.layout == "py_pde" and data.variables["u"].dims == ("t", "x", "y") and data.samples == 1
    assert np.array_equal(data.read("u"), values) and data.coordinates["t"].points.tolist() == [0, 0.1, 0.5, 2, 3]
    x, y = data.coordinates["x"], data.coordinates["y"]
    assert x.axis.periodic and x.points[0] == 1 / X and (y.axis.lower, y.axis.upper) == (-1.0, 1.0)
    close_files()
    values = GENERATOR.standard_normal((T, 1 + 2 + 4, X, Y))
    kinds = {"c": "ScalarField", "b": "VectorField", "a": "Tensor2Field"}
    py_pde(path, values, [{"class": kind, "grid": GRID, "label": name} for name, kind in kinds.items()])
    data = ps.open_dataset(path)
    assert np.array_equal(data.read("c"), values[:, 0]) and np.array_equal(data.read("b"), values[:, 1:3])
    assert np.array_equal(data.read("a"), values[:, 3:])
    assert data.variables["a"].components == ("x_x", "x_y", "y_x", "y_y")
    close_files()
    py_pde(path, values, [{"class": "ScalarField", "grid": {**GRID, "class": "BipolarGrid"}}])
    with pytest.raises(InputError, match=r"expected a grid of py-pde .* found BipolarGrid"):
        ps.open_dataset(path)


def test_cno_has_a_group_for_each_sample(tmp_path: Path) -> None:
    fields = GENERATOR.standard_normal((12, 2, X, Y)).astype(np.float32)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for i, (first, second) in enumerate(fields):
            group = file.create_group(f"Sample_{i}")
            group["input"], group["output"], group["bc"], group["name"] = first, second, float(i), "x"
    data = ps.open_dataset(tmp_path / "a.h5")
    assert data.layout == "cno" and list(data.variables) == ["input", "output"] and data.samples == 12
    # in the order of numbers, Sample_2 before Sample_10
    assert np.array_equal(data.read("output", {"sample": slice(1, 12, 5), "x": 3}), fields[1:12:5, 1, 3])
    assert data.read("bc").tolist() == list(range(12)) and any("name is left out" in note for note in data.notes)
    close_files()
    with h5py.File(tmp_path / "a.h5", "a") as file:
        del file["Sample_7/input"]
        file["Sample_7/input"] = np.zeros((X, Y + 1))
    with pytest.raises(InputError, match=r"expected /Sample_7/input of the shape \(8, 6\), found \(8, 7\)"):
        ps.open_dataset(tmp_path / "a.h5").read("input")


@pytest.mark.parametrize(("name", "channels"), [("velocity", 2), ("velocity", 3), ("data", 4), ("data", 5)])
def test_poseidon_has_its_channels_first(tmp_path: Path, name: str, channels: int) -> None:
    values = GENERATOR.standard_normal((N, T, channels, X, Y))
    dims = ("member", "time", "channel", "x", "y")
    xr.Dataset({name: (dims, values)}).to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    data = ps.open_dataset(tmp_path / "a.nc")
    assert data.layout == "poseidon" and data.variables["velocity"].dims == ("sample", "t", "component", "x", "y")
    first = 0 if name == "velocity" else 1
    assert np.array_equal(data.read("velocity"), values[:, :, first : first + 2])
    last = list(data.variables)[-1]
    assert channels == 2 or np.array_equal(data.read(last), values[:, :, -1])


REAL: dict[str, tuple[str, dict[str, tuple[int, ...]]]] = {
    "pyro2/pyro/advection_fv4/tests/smooth_0081.h5": ("pyro", {"density": (32, 32)}),
    "pyro2/pyro/incompressible/tests/shear_128_0216.h5": (
        "pyro",
        {"phi": (128, 128), "phi-MAC": (128, 128), "gradp": (2, 128, 128), "velocity": (2, 128, 128)},
    ),
    "pyro2/pyro/mesh/mesh_test.h5": ("pyro", {"a": (8, 16)}),
    "pyro2/pyro/diffusion/tests/gaussian_0164.h5": ("pyro", {"phi": (128, 128)}),
    "pyro2/pyro/swe/tests/dam_x_0081.h5": (
        "pyro",
        {"fuel": (128, 10), "height": (128, 10), "momentum": (2, 128, 10)},
    ),
    "pyro2/pyro/compressible/tests/sod_x_0076.h5": (
        "pyro",
        {"density": (128, 10), "energy": (128, 10), "momentum": (2, 128, 10)},
    ),
    "pyro2/pyro/compressible/tests/rt_0945.h5": (
        "pyro",
        {"density": (64, 192), "energy": (64, 192), "momentum": (2, 64, 192)},
    ),
    "pyro2/pyro/advection/tests/smooth_0040.h5": ("pyro", {"density": (32, 32)}),
    "pyro2/pyro/multigrid/tests/mg_poisson_dirichlet.h5": (
        "pyro",
        {"f": (256, 256), "r": (256, 256), "v": (256, 256)},
    ),
    "pyro2/pyro/incompressible_viscous/tests/cavity_n64_Re400_0025.h5": (
        "pyro",
        {"phi": (64, 64), "phi-MAC": (64, 64), "gradp": (2, 64, 64), "velocity": (2, 64, 64)},
    ),
    "pyro2/pyro/advection_nonuniform/tests/slotted_0248.h5": (
        "pyro",
        {"density": (64, 64), "shift": (2, 64, 64), "velocity": (2, 64, 64)},
    ),
    "pyro2/pyro/burgers/tests/test_0051.h5": ("pyro", {"velocity": (2, 128, 128)}),
    "py-pde/tests/storage/resources/storage_1.hdf5": ("py_pde", {"u": (2, 2, 2)}),
    "py-pde/tests/storage/resources/storage_2.hdf5": ("py_pde", {"u": (3, 2, 2)}),
}


@pytest.mark.skipif("PDESOLVE_DATA" not in os.environ, reason="PDESOLVE_DATA names no folder of real data files")
@pytest.mark.parametrize("name", REAL)
def test_real_files(name: str) -> None:
    layout, shapes = REAL[name]
    data = ps.open_dataset(Path(os.environ["PDESOLVE_DATA"]) / name)
    assert data.layout == layout and {name: v.array.shape for name, v in data.variables.items()} == shapes
    if layout == "pyro":
        first = next(iter(shapes))
        with h5py.File(Path(os.environ["PDESOLVE_DATA"]) / name) as file:
            raw = file["state"][first if first in file["state"] else f"x-{first}"]["data"][()]
        found = data.read(first)
        assert np.array_equal(found if found.ndim == 2 else found[0], raw)
        assert {member.placement for member in data.grid().members} <= {"cells", "periodic"}
