"""Data sets from one layout to another and back: the same numbers at the same places, or a line that says why not."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import yaml
from well_rules import well_faults

from pdesolve.catalogue import make_family
from pdesolve.cli import main
from pdesolve.data.arrays import Memory
from pdesolve.data.dataset import Coordinate, Dataset, Variable
from pdesolve.datasets.conversion import convert
from pdesolve.datasets.opening import open_dataset
from pdesolve.datasets.the_well_writing import Changes, statistics_of
from pdesolve.datasets.writing import write
from pdesolve.errors import InputError
from pdesolve.geometry import Axis

N, T, X, Y = 3, 5, 8, 6
HALF_OPEN = Coordinate(Axis("x", 0.0, 2.0, periodic=True), 2 * np.arange(X) / X)
CELLS = {
    "x": Coordinate(Axis("x", -1.0, 1.0), -1 + 2 * (np.arange(X) + 0.5) / X),
    "y": Coordinate(Axis("y", 0.0, 3.0), 3 * (np.arange(Y) + 0.5) / Y),
}
NODES = {
    "x": Coordinate(Axis("x", 0.0, 1.0), np.linspace(0, 1, X)),
    "y": Coordinate(Axis("y", 0.0, 1.0), np.linspace(0, 1, Y)),
}
TIME = Coordinate(Axis("t", 0.0, 0.4, "s"), np.linspace(0, 0.4, T), "s")


def random(*shape: int) -> Memory:
    return Memory(np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32))


def scalar(name: str = "u", *dims: str) -> Variable:
    dims = dims or ("sample", "t", "x")
    sizes = {"sample": N, "t": T, "x": X, "y": Y}
    return Variable(name, random(*(sizes[dim] for dim in dims)), dims)


def number(name: str, *values: float) -> Variable:
    array = Memory(np.array(values if len(values) > 1 else values[0], float))
    return Variable(name, array, ("sample",) if len(values) > 1 else ())


def dataset(variables: list[Variable], coordinates: dict, *parameters: Variable) -> Dataset:
    return Dataset({v.name: v for v in variables}, coordinates, {p.name: p for p in parameters})


VELOCITY = Variable("velocity", random(N, T, 2, X, Y), ("sample", "t", "component", "x", "y"), None, ("x", "y"))
FLAT = ("sample", "t", "x", "y")
SAME = {
    "periodic scalar": dataset([scalar()], {"t": TIME, "x": HALF_OPEN}, number("viscosity", 0.1)),
    "two scalars": dataset([scalar("a"), scalar("b")], {"t": TIME, "x": CELLS["x"]}, number("D", 0.5)),
    "parameters of samples": dataset(
        [scalar("c")], {"t": TIME, "x": NODES["x"]}, number("D", 0.5, 0.25, 4.0), number("k", 2.0)
    ),
    "rows along y first": dataset(
        [scalar("u", *FLAT), scalar("v", *FLAT)], {"t": TIME, **CELLS}, number("Du", 1e-3), number("Dv", 5e-3)
    ),
    "two axes": dataset([scalar("h", *FLAT)], {"t": TIME, **CELLS}, number("g", 1.0, 2.0, 3.0)),
    "flow": dataset(
        [scalar("density", *FLAT), scalar("pressure", *FLAT), VELOCITY], {"t": TIME, **CELLS}, number("M", 0.1)
    ),
    "flow on a line": dataset(
        [scalar("density"), scalar("velocity")], {"t": TIME, "x": CELLS["x"]}, number("eta", 1e-8), number("zeta", 0.0)
    ),
    "rock": dataset([scalar("u", "sample", "x", "y"), scalar("nu", "sample", "x", "y")], NODES, number("beta", 1.0)),
}  # fmt: skip


@pytest.mark.parametrize("name", SAME)
def test_pdebench_and_back(tmp_path: Path, name: str) -> None:
    data = SAME[name]
    native = write(data, tmp_path / "a.h5")
    convert(open_dataset(native), tmp_path / "b.h5", "pdebench")
    found = open_dataset(tmp_path / "b.h5")
    assert found.layout.startswith("pdebench")
    assert set(found.variables) == set(data.variables) and set(found.parameters) == set(data.parameters)
    for key in data.variables:
        assert found.variable(key).dims == data.variable(key).dims
        assert found.variable(key).components == data.variable(key).components
        assert np.array_equal(found.read(key), data.read(key)), key
    for key in data.parameters:
        values = np.broadcast_to(found.read(key), np.shape(data.read(key)))
        assert np.array_equal(values, data.read(key)), key
    assert list(found.coordinates) == list(data.coordinates)
    for axis, expected in data.coordinates.items():
        there = found.coordinates[axis]
        assert np.allclose(there.points, expected.points, rtol=0, atol=1e-15)
        assert (there.axis.lower, there.axis.upper) == pytest.approx(
            (expected.axis.lower, expected.axis.upper), abs=1e-12
        )
        assert there.axis.periodic == expected.axis.periodic
    assert [m.placement for m in found.grid().members] == [m.placement for m in data.grid().members]


def test_what_pdebench_files_hold(tmp_path: Path) -> None:
    """Names, shapes and types as the loaders of PDEBench ask for them."""
    convert(SAME["periodic scalar"], tmp_path / "1.hdf5", "pdebench")
    with h5py.File(tmp_path / "1.hdf5") as file:
        assert file["tensor"].shape == (N, T, X) and file["tensor"].dtype == np.float32
        assert file["t-coordinate"].shape == (T + 1,) and file["x-coordinate"].shape == (X,)
        assert dict(file.attrs) == {"viscosity": 0.1}
    convert(SAME["flow"], tmp_path / "2.hdf5", "pdebench", compression="gzip")
    with h5py.File(tmp_path / "2.hdf5") as file:
        assert set(file) == {"density", "pressure", "Vx", "Vy", "x-coordinate", "y-coordinate", "t-coordinate"}
        assert np.array_equal(file["Vy"], VELOCITY.array.all()[:, :, 1])
    convert(SAME["rock"], tmp_path / "3.hdf5", "pdebench")
    with h5py.File(tmp_path / "3.hdf5") as file:
        assert file["tensor"].shape == (N, 1, X, Y) and file["nu"].shape == (N, X, Y)
    convert(SAME["parameters of samples"], tmp_path / "4.h5", "pdebench")
    with h5py.File(tmp_path / "4.h5") as file:
        assert list(file) == ["0000", "0001", "0002"] and file["0001/data"].shape == (T, X, 1)
        config = yaml.safe_load(file["0001"].attrs["config"])
        assert config["sim"] == {"D": 0.25, "k": 2.0, "x_left": 0.0, "x_right": 1.0}
    convert(SAME["rows along y first"], tmp_path / "5.h5", "pdebench")
    with h5py.File(tmp_path / "5.h5") as file:
        assert file["0002/data"].shape == (T, Y, X, 2)


def test_a_single_solution_is_one_sample(tmp_path: Path) -> None:
    alone = dataset([scalar("u", "t", "x")], {"t": TIME, "x": HALF_OPEN})
    convert(alone, tmp_path / "a.hdf5", "pdebench")
    found = open_dataset(tmp_path / "a.hdf5")
    assert found.samples == 1 and np.array_equal(found.read("u", {"sample": 0}), alone.read("u"))


def test_what_pdebench_leaves_out_is_told(tmp_path: Path) -> None:
    u = replace(scalar("wind"), unit="m s-1")
    data = replace(dataset([u], {"t": TIME, "x": HALF_OPEN}), splits={"train": np.array([0])})
    told = convert(data, tmp_path / "a.hdf5", "pdebench")
    assert told == ("the name wind of u", "the units m s-1, s", "the splits train")
    two = dataset([scalar("a"), scalar("b")], {"t": TIME, "x": HALF_OPEN})
    assert convert(two, tmp_path / "b.h5", "pdebench") == ("whether x is periodic", "the units s")


def test_a_coefficient_of_another_name_is_told(tmp_path: Path) -> None:
    rock = dataset([scalar("u", "sample", "x", "y"), scalar("permeability", "x", "y")], NODES)
    assert convert(rock, tmp_path / "a.hdf5", "pdebench") == ("the name permeability of nu",)
    found = open_dataset(tmp_path / "a.hdf5")  # one coefficient for all samples stands beside each of them
    assert np.array_equal(found.read("nu"), np.repeat(rock.read("permeability")[None], N, 0))


PLACE = {"t": TIME, "x": HALF_OPEN}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (Dataset({"u": Variable("u", random(9), ("node",))}), "has grids only, these data lie on points or meshes"),
        (dataset([scalar()], {"t": TIME}), "x has no coordinates: PDEBench has one grid"),
        (dataset([scalar("u", "sample", "x")], {"x": HALF_OPEN}), r"stationary data .* these have u \(sample, x\)"),
        (dataset([scalar(), scalar("f", "sample", "x")], PLACE), r"f \(sample, x\) is not: choose others"),
        (dataset([scalar("density"), scalar("velocity")], PLACE, number("eta", 1, 2, 3)), "eta differs between"),
        (dataset([scalar()], PLACE, Variable("wave", random(N, T), ("sample", "t"))), "wave is more than a number"),
        (dataset([Variable("u", random(N, T, X), ("sample", "t", "lon"))],
                 {"t": TIME, "lon": Coordinate(Axis("lon", 0, 7), np.arange(8.0))}), "axes of PDEBench are x, y, z"),
    ],
)  # fmt: skip
def test_what_pdebench_cannot_hold_is_refused(tmp_path: Path, data: Dataset, message: str) -> None:
    with pytest.raises(InputError, match=message):
        convert(data, tmp_path / "a.h5", "pdebench")
    assert list(tmp_path.iterdir()) == []


def everything() -> Dataset:
    stress = Variable("stress", random(N, T, 4, X, Y), ("sample", "t", "component", "x", "y"), "Pa",
                      ("xx", "xy", "yx", "yy"))  # fmt: skip
    data = dataset(
        [replace(scalar("u", *FLAT), unit="m"), VELOCITY, stress, scalar("a", "sample", "x", "y")],
        {"t": TIME, "x": HALF_OPEN, "y": CELLS["y"]}, number("nu", 1, 2, 3), number("g", 9.81),
    )  # fmt: skip
    return replace(data, splits={"train": np.array([2, 0]), "validation": np.array([1])}, attributes={"problem": "p"})


def test_the_well_and_back(tmp_path: Path) -> None:
    data = everything()
    native = open_dataset(write(data, tmp_path / "a.h5"))
    assert convert(native, tmp_path / "b.hdf5", "the_well") == ("the splits train, validation: give a folder as --out",)
    assert list(well_faults(tmp_path / "b.hdf5")) == []
    found = open_dataset(tmp_path / "b.hdf5")
    assert found.layout == "the_well" and list(found.variables) == ["u", "a", "velocity", "stress"]
    for name in (*data.variables, *data.parameters):
        assert found.variable(name).dims == data.variable(name).dims
        assert np.allclose(found.read(name), data.read(name), rtol=1e-7), name
    assert found.variable("u").unit == "m" and found.coordinates["x"].axis == data.coordinates["x"].axis
    with h5py.File(tmp_path / "b.hdf5") as file:
        kinds = {file[name].dtype for name in ("t0_fields/u", "scalars/nu", "dimensions/x", "dimensions/time")}
        assert kinds == {np.dtype(np.float32)} and "pdesolve_format" not in file.attrs
    convert(found, tmp_path / "c.h5", "native")
    again = open_dataset(tmp_path / "c.h5")
    assert again.layout == "native" and np.array_equal(again.read("stress"), data.read("stress"))


def test_folders_of_the_well(tmp_path: Path) -> None:
    data = everything()
    assert convert(data, tmp_path / "drift", "the_well") == ()
    files = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert files == ["drift/data/train/drift.hdf5", "drift/data/valid/drift.hdf5", "drift/stats.yaml"]
    train = open_dataset(tmp_path / "drift" / "data" / "train" / "drift.hdf5")
    assert np.array_equal(train.read("u"), data.read("u")[[2, 0]])
    told = yaml.safe_load((tmp_path / "drift" / "stats.yaml").read_text())
    u, velocity = (data.read(name)[[2, 0]].astype(float) for name in ("u", "velocity"))
    assert told["mean"]["u"] == pytest.approx(u.mean()) and told["std_delta"]["u"] == pytest.approx(
        np.diff(u, axis=1).std()
    )
    assert told["std"]["velocity"] == pytest.approx(velocity.std((0, 1, 3, 4)))
    assert told["rms_delta"]["velocity"][1] == pytest.approx(np.sqrt((np.diff(velocity[:, :, 1], axis=1) ** 2).mean()))
    assert np.shape(told["mean"]["stress"]) == (2, 2) and "a" in told["rms"] and "a" not in told["rms_delta"]
    with pytest.raises(InputError, match="is there already: give another --out"):
        convert(data, tmp_path / "drift", "the_well")


def test_changes_are_differences_whatever_part_is_read() -> None:
    values = np.random.default_rng(0).standard_normal((3, 9, 4))
    array = Changes(Memory(values), 1)
    expected = np.diff(values, axis=1)
    assert array.shape == expected.shape and np.array_equal(array.all(), expected)
    index = (slice(0, 2), slice(1, 7, 3), slice(2, 4))
    assert np.array_equal(array.read(index), expected[index])
    assert statistics_of(everything(), "p")["mean_delta"]["u"] == pytest.approx(
        float(np.diff(everything().read("u"), axis=1).mean())
    )


_NORMALISED = """
import sys, numpy as np
from the_well.data.datasets import WellDataset
from the_well.data.normalization import ZScoreNormalization
data = WellDataset(path=sys.argv[1], well_split_name="train", use_normalization=True,
                   normalization_type=ZScoreNormalization)
fields = np.concatenate([data[i]["input_fields"] for i in range(len(data))]
                        + [data[len(data) - 1]["output_fields"], data[len(data) // 2 - 1]["output_fields"]])
np.save(sys.argv[2], fields)
"""


def test_the_reader_of_the_well_normalises_it(tmp_path: Path) -> None:
    pytest.importorskip("the_well", reason="the_well is not installed: pip install the-well==1.2.0 beside")
    convert(everything(), tmp_path / "drift", "the_well")
    command = [sys.executable, "-c", _NORMALISED, str(tmp_path / "drift"), str(tmp_path / "a.npy")]
    subprocess.run(command, check=True, timeout=300)
    fields = np.load(tmp_path / "a.npy")  # all frames of both samples, in some order
    assert fields.shape == (2 * T, X, Y, 7)
    assert np.allclose(fields.mean((0, 1, 2)), 0, atol=1e-5) and np.allclose(fields.std((0, 1, 2)), 1, atol=1e-4)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b, c = (str(tmp_path / name) for name in ("a.h5", "b.h5", "c.h5"))
    write(everything(), a)
    assert main(["data", "convert", a, "--to", "pdebench", "--variables", "u", "--out", b]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "left out: whether x is periodic", "left out: the units m, s", "left out: the splits train, validation",
        f"written: {b} (3 samples of u, pdebench)", f"next: pdesolve data info {b}",
    ]  # fmt: skip
    assert main(["data", "convert", b, "--json", "--split", "train", "-o", c]) == 2
    assert "unknown split 'train'" in capsys.readouterr().err
    assert main(["data", "convert", b, "--json", "--rename", "u=height,nu=viscosity", "-o", c]) == 0
    assert {"height", "viscosity"} <= {*open_dataset(c).variables, *open_dataset(c).parameters}
    told = json.loads(capsys.readouterr().out)
    assert (told["layout"], told["to"], told["samples"], told["left_out"]) == ("pdebench_groups", "native", N, [])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a.h5", "-o", "b.h5", "--rename", "u"], "--rename takes pairs OLD=NEW with commas between them, got 'u'"),
        ([], "data convert needs a file and where to"),
        (["a.h5", "-o", "a.h5"], "a.h5 is there already: give another --out"),
        (["a.h5", "-o", "nowhere/b.h5"], "there is no folder nowhere"),
        (["a.h5", "-o", "b.h5", "--to", "the_wall"], "did you mean 'the_well'?"),
        (["a.h5", "-o", "b.h5", "--dtype", "int8"], "'float32' or 'float64', got 'int8'"),
        (["a.h5", "-o", "b.h5", "--compression", "zip"], "the compression is 'gzip' or None, got 'zip'"),
        (["a.h5", "-o", "b.h5", "--variables", "w"], "unknown variable 'w'"),
    ],
)
def test_commands_that_cannot_be_are_refused_in_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    write(everything(), tmp_path / "a.h5")
    monkeypatch.chdir(tmp_path)
    assert main(["data", "convert", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a.h5"]


@pytest.mark.parametrize("name", ["1D_diff-sorp_NA_NA_128", "2D_diff-react_NA_NA_32x32", "2D_rdb_NA_NA_48x48"])
def test_files_of_pdebench_come_back(tmp_path: Path, name: str) -> None:
    if "PDESOLVE_DATA" not in os.environ:
        pytest.skip("PDESOLVE_DATA is not set")
    source = Path(os.environ["PDESOLVE_DATA"]) / "pdebench-generated" / f"{name}.h5"
    convert(open_dataset(source), tmp_path / "a.h5", "native")
    convert(open_dataset(tmp_path / "a.h5"), tmp_path / "b.h5", "pdebench")
    with h5py.File(source) as before, h5py.File(tmp_path / "b.h5") as after:
        assert len(before) == len(after)
        for one, other in zip(sorted(before), sorted(after), strict=True):
            assert np.array_equal(before[one]["data"], after[other]["data"])
            for axis in before[one]["grid"]:
                assert np.allclose(before[one]["grid"][axis], after[other]["grid"][axis], rtol=1e-6)


def test_the_page_on_our_layout_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    text = (Path(__file__).parent.parent / "docs/native.md").read_text()
    names: dict[str, object] = {}
    for code in re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        exec(compile(code, "native.md", "exec"), names)
    assert capsys.readouterr().out.splitlines() == ["(1, 64) [2.]", "('t',) m"]
    for command in re.findall(r"`(pdesolve data convert [^`]*)`", text):
        assert main([word.replace("NAME", "folder") for word in command.split()[1:]]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "waves.h5", "waves.hdf5"]


@pytest.mark.parametrize(
    ("family", "settings", "parameter"),
    [
        ("poisson", {"points": 65}, "source"),
        ("allen_cahn", {"points": 512}, "diffusivity"),
    ],
)
def test_the_equation_of_generated_data_is_made_from_their_attributes(
    tmp_path: Path, family: str, settings: dict, parameter: str
) -> None:
    """Parameters, fields and numbers, come from the file: with those of other samples the residual is large."""
    made = make_family(family, settings)
    (problem,) = made.sample(3, seed=1)
    simulated = made.simulator.simulate(problem)
    about = {"family": family, "family_settings": json.dumps(settings)}
    path = write(replace(simulated, attributes={**simulated.attributes, **about}), tmp_path / "a.h5")
    data = open_dataset(path).to_xarray()
    wrong = data.assign({parameter: data[parameter].roll(sample=1)})
    sizes = []
    for labelled in (data, wrong):
        residual = labelled.pde.residual()["u"]
        assert residual.sizes["sample"] == 3
        inner = {dim: slice(3, -3) for dim in residual.dims if dim != "sample"}
        sizes.append(float(np.sqrt((residual.isel(inner) ** 2).mean())))
    assert sizes[0] < 0.02 * sizes[1]
