"""What problem files take from other files, what runs keep of both, and the command."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
import yaml

import pdesolve as ps
from pdesolve import proof
from pdesolve.cli import main
from pdesolve.errors import InputError
from pdesolve.fields import Coordinates, GridField
from pdesolve.geometry import PointCloud
from pdesolve.problem_file import read_problem
from pdesolve.training.budget import Budget
from pdesolve.training.run import Run

ROOT = Path(__file__).resolve().parent.parent
SMALL = ("--method.width", "6", "--method.depth", "1", "--method.collocation", "32", "--method.condition_points", "8")

TEXT = """
domain: {x: [0, 2], y: [0, 1]}
unknowns: u
parameters:
  k: VALUE
equation: -laplacian(u) = k
boundary: {all: u = 0}
"""


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PDESOLVE_CACHE", str(tmp_path / "cache"))


def read(value: str, text: str = TEXT) -> ps.Problem:
    Path("given.yaml").write_text(text.replace("VALUE", value))
    return read_problem("given.yaml")


def smooth(x: Any, y: Any) -> Any:
    return 1.0 + 0.3 * np.sin(1.3 * x) * np.cos(2.0 * y)


def values_of(problem: ps.Problem) -> tuple[torch.Tensor, torch.Tensor]:
    x = Coordinates(problem.sample(50, "uniform", torch.Generator().manual_seed(0)))
    expected = smooth(x["x"].values.detach().numpy(), x["y"].values.detach().numpy())
    return x.expand(problem.bind(x)["k"]).values.detach(), torch.from_numpy(expected)


X, Y = np.linspace(0, 2, 41), np.linspace(0, 1, 21)
GRID = smooth(X[:, None], Y[None])


def write_netcdf(path: str, dims: tuple[str, ...] = ("x", "y"), **attributes: Any) -> None:
    array = xr.DataArray(GRID, {"x": X, "y": Y}, ("x", "y"), attrs=attributes).transpose(*dims)
    array.to_dataset(name="k").to_netcdf(path, engine="h5netcdf")


def test_fields_come_from_every_kind_of_file() -> None:
    write_netcdf("k.nc")
    write_netcdf("turned.nc", ("y", "x"))
    np.save("k.npy", GRID)
    np.save("turned.npy", GRID.T)
    np.save("cells.npy", smooth((np.arange(80)[:, None] + 0.5) / 40, (np.arange(40)[None] + 0.5) / 40))
    np.savez("k.npz", other=GRID * 0, k=GRID[:, ::-1], x=X, y=Y[::-1])
    rows = [f"{b},{a},{smooth(a, b)!r}" for a in X for b in Y]
    Path("k.csv").write_text("\n".join(["y,x,k", *rows[::-1]]).replace("np.float64(", "").replace(")", ""))
    for value in (
        "{file: k.nc}", "{file: turned.nc, variable: k}", "{file: k.npy}", "{file: 'turned.npy', axes: [y, x]}",
        "{file: cells.npy, points: cells}", "{file: k.npz}", "{file: k.csv}",
    ):  # fmt: skip
        found, expected = values_of(read(value))
        assert float((found - expected).abs().max()) < 1e-7, value
    found, expected = values_of(read("{file: k.npy, interpolation: nearest}"))
    assert 1e-3 < float((found - expected).abs().max()) < 0.05, "half a cell away"


def test_masks_stay_zeros_and_ones_and_wrap_around() -> None:
    np.save("mask.npy", np.array([1, 1, 0, 0, 0, 0, 0, 1], dtype=bool))
    text = "domain: {x: [0, 8], periodic: x}\nunknowns: u\nparameters: {k: VALUE}\nequation: u - dxx(u) = k"
    problem = read("{file: mask.npy, interpolation: nearest}", text)
    points = torch.tensor([[0.2], [1.4], [1.6], [6.4], [6.6], [7.4], [7.9]], dtype=torch.float64)
    x = Coordinates(PointCloud(problem.axes, points))
    assert problem.bind(x)["k"].values.tolist() == [1, 1, 0, 0, 1, 1, 1]
    assert problem.bind(Coordinates(problem.grid(8)))["k"].values.tolist() == [1, 1, 0, 0, 0, 0, 0, 1]


def test_coordinates_of_files_become_the_grid_they_are() -> None:
    text = "domain: {x: [0, 2], periodic: x}\nunknowns: u\nparameters: {k: VALUE}\nequation: u - dxx(u) = k"
    for points, placement in ((np.arange(16) / 8, "periodic"), (np.linspace(0, 2, 17), "listed")):
        values = np.sin(np.pi * points)
        np.savez("k.npz", k=values, x=points.astype(np.float32))
        found: Any = read("{file: k.npz, variable: k}", text).values["k"]
        assert isinstance(found, GridField) and found.grid["x"].placement == placement
        x = Coordinates(PointCloud(found.axes, torch.rand(20, 1, dtype=torch.float64) * 2))
        expected = torch.sin(math.pi * x["x"].values)
        difference = read("{file: k.npz}", text).bind(x)["k"].values - expected
        assert float(difference.detach().abs().max()) < 1e-5


REFUSED = {
    "{file: no.nc}": "line 5, parameters.k.file: there is no file no.nc",
    "{file: k.mat}": "no known kind",
    "{file: k.nc, variable: q}": "unknown variable 'q'",
    "{file: two.npz}": "two.npz holds a, b: name one, as in variable: a",
    "{file: k.nc, points: cell}": "unknown placement 'cell': did you mean 'cells'",
    "{file: k.nc, interpolation: linear}": "unknown interpolation 'linear'",
    "{file: k.nc, axes: [x, y]}": "names its axes itself",
    "{fiel: k.nc}": "did you mean 'file'",
    "{variable: k}": "values are a number, a formula or a file",
    "{file: pickled.npy}": "Python objects, which are never loaded",
    "{file: broken.npy}": "cannot read broken.npy as NumPy",
    "{file: broken.nc}": "as netCDF-4",
    "{file: nan.npy}": "2 values that are no numbers, the first at x = 0.1",
    "{file: small.nc}": "is known for x from 0 to 1.9, the domain needs 0 to 2",
    "{file: renamed.nc}": "has the axes lon, y, the problem x, y: rename 'lon'",
    "{file: flat.npy}": "expected one dimension for each of x, y",
    "{file: k.npy, axes: [x, z]}": "unknown axis 'z'",
    "{file: words.npy}": "expected real numbers",
    "{file: scattered.csv}": "do not form a grid",
    "{file: columns.csv}": "needs a column for each axis",
    "{file: bare.nc}": "has no coordinate",
}


@pytest.mark.parametrize("value", REFUSED)
def test_files_that_do_not_fit_are_one_line_and_exit_2(value: str, capsys: pytest.CaptureFixture[str]) -> None:
    write_netcdf("k.nc")
    np.save("k.npy", GRID)
    np.savez("two.npz", a=GRID, b=GRID)
    np.save("pickled.npy", np.array([{}], dtype=object), allow_pickle=True)
    Path("broken.npy").write_bytes(b"\x93NUMPY nothing")
    Path("broken.nc").write_bytes(b"CDF\x01 nothing")
    Path("k.mat").write_bytes(b"0")
    hole = GRID.copy()
    hole[2, 3:5] = np.nan
    np.save("nan.npy", hole)
    np.save("flat.npy", GRID.reshape(-1))
    np.save("words.npy", np.array([["a"]]))
    dataset = xr.open_dataset("k.nc", engine="h5netcdf").load()
    dataset.isel(x=slice(0, -2)).to_netcdf("small.nc", engine="h5netcdf")
    dataset.rename(x="lon").to_netcdf("renamed.nc", engine="h5netcdf")
    dataset.drop_vars("x").to_netcdf("bare.nc", engine="h5netcdf")
    Path("scattered.csv").write_text("x,y,k\n0,0,1\n1,0.3,2\n2,1,3\n")
    Path("columns.csv").write_text("lon,lat,k\n0,0,1\n")
    Path("given.yaml").write_text(TEXT.replace("VALUE", value))
    assert main(["show", "given.yaml"]) == 2
    out, err = capsys.readouterr()
    assert not out and REFUSED[value] in err and err.count("\n") == 1


def test_units_of_files_must_agree() -> None:
    text = TEXT.replace("y: [0, 1]}", "y: [0, 1], unit: m}").replace("VALUE", "{value: {file: k.nc}, unit: K m-2}")
    text = text.replace("unknowns: u", "unknowns: {u: {unit: K}}")
    write_netcdf("k.nc", units="K m-2")
    assert str(read("", text).values["k"].unit) == "m-2 K"
    write_netcdf("k.nc", units="K m-1")
    with pytest.raises(InputError, match="k is in 'K m-1', the problem has 'K m-2'"):
        read("", text)


HEAT = """
name: warm
domain: {x: [0, 1]}
time: [0, 0.1]
unknowns: u
parameters: {k: 0.5}
equation: dt(u) = k*dxx(u)
initial:
  u: {file: data/start.npy}   # measured
boundary: {all: u = 0}
observations: {file: 'seen.csv', noise: 0.1}
exact: {u: exp(-pi**2*k*t)*sin(pi*x)}
evaluation: {points: 17, times: 4}
"""


def heat() -> None:
    Path("data").mkdir()
    np.save("data/start.npy", np.sin(np.pi * np.linspace(0, 1, 33)))
    Path("seen.csv").write_text("t,x,u\n0.05,0.5,0.8\n0.1,0.5,0.6\n")
    Path("warm.yaml").write_text(HEAT)


@pytest.mark.slow
def test_a_run_needs_nothing_but_its_folder(capsys: pytest.CaptureFixture[str]) -> None:
    heat()
    arguments = ["--method", "pinn", "--steps", "6", "--budget", "100h", *SMALL]
    assert (
        main(["solve", "warm.yaml", *arguments, "--problem.k", "0.25", "--learn", "k", "--json", "--out", "run"]) == 0
    )
    first = json.loads(capsys.readouterr().out)
    assert first["problem"] == "warm" and first["learned"]["k"]["value"] != 0.25 and first["errors"]["u"]["relative_l2"]
    for path in ("warm.yaml", "data/start.npy", "seen.csv"):
        Path(path).unlink()
    Path("run").rename("moved")
    kept = Path("moved/problem.yaml").read_text()
    assert kept == HEAT.replace("data/start.npy", "'inputs/start.npy'").replace("'seen.csv'", "'inputs/seen.csv'")
    config = yaml.safe_load(Path("moved/config.yaml").read_text())
    assert config["problem"] == {"name": "problem.yaml", "k": 0.25}
    solution = ps.load("moved")
    assert solution.problem.name == "warm" and solution.problem.settings == {"k": 0.25}
    assert main(["predict", "moved", "--grid", "5", "--times", "0,0.1"]) == 0
    assert main(["plot", "moved"]) == 0
    capsys.readouterr()
    assert main(["solve", "--config", "moved/config.yaml", "--json", "--out", "again"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["errors"] == first["errors"] and again["learned"] == first["learned"]
    assert Path("again/inputs/start.npy").read_bytes() == Path("moved/inputs/start.npy").read_bytes()


@pytest.mark.slow
def test_compare_and_show_take_files(capsys: pytest.CaptureFixture[str]) -> None:
    heat()
    sweep = ["--sweep", "problem.k=0.5,0.25", "--steps", "4", "--out", "both"]
    assert main(["compare", "warm.yaml", "--methods", "reference", *sweep, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert len(shown) == 2 and all(entry["problem"] == "warm" for entry in shown)
    assert main(["show", "warm.yaml", "--json"]) == 0
    described = json.loads(capsys.readouterr().out)
    assert described["equation"] == "dt(u) = k*dxx(u)" and described["boundary"] == ["x_min", "x_max"]
    assert described["settings"] == [{"name": "k", "type": "float", "default": 0.5, "doc": ""}]
    assert main(["show", "warm.yaml", "--yaml"]) == 0
    assert capsys.readouterr().out == HEAT
    assert main(["solve", "warm.yaml", "--help"]) == 0
    assert "--problem.k (float, default 0.5)" in capsys.readouterr().out
    assert main(["solve", "warm.yaml", "--method", "reference", "--problem.kk", "1"]) == 2
    assert "unknown problem setting 'kk': did you mean 'k'" in capsys.readouterr().err
    assert main(["solve", "cold.yaml", "--method", "reference"]) == 2
    assert "cannot read the problem cold.yaml" in capsys.readouterr().err
    assert not Path("runs").exists()


def test_the_catalogue_gives_a_file_to_start_from(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "heat_1d", "--yaml"]) == 0
    Path("mine.yaml").write_text(capsys.readouterr().out.replace("sin(pi*x)", "sin(2*pi*x)").replace("exact:", "#"))
    start = Path("mine.yaml").read_text()
    Path("mine.yaml").write_text(re.sub(r"\n#\n(  .*\n)+", "\n", start))
    assert main(["show", "mine.yaml"]) == 0
    assert "equation: Heat, unknown u" in capsys.readouterr().out


EXAMPLES = dict(
    re.findall(r"```yaml\n(# (?:\w+)\.yaml)(.*?)```", (ROOT / "docs/problem_files.md").read_text(), re.DOTALL)
)


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_examples_of_the_documentation_are_solved(name: str) -> None:
    assert len(EXAMPLES) == 3
    np.save("conductivity.npy", np.where(np.arange(20)[:, None] < 10, 1.0, 5.0) * np.ones((20, 20)))
    path = name.removeprefix("# ")
    Path(path).write_text(name + EXAMPLES[name])
    problem = read_problem(path)
    small = {"width": 6, "depth": 1, "collocation": 32, "condition_points": 8}
    solution = ps.make_method("pinn", small).solve(problem, Run(budget=Budget.from_now(1000.0), steps=2))
    assert problem.name == path.removesuffix(".yaml") and math.isfinite(proof.residual(solution))
    assert all(math.isfinite(left_over) for left_over in proof.violations(solution).values())
