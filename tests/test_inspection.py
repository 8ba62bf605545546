"""Data sets looked at and looked through: statistics of any size, and each thing that can be wrong."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pdesolve.data.arrays import Memory
from pdesolve.data.blocks import blocks, spread
from pdesolve.data.dataset import Coordinate, Dataset, Variable
from pdesolve.datasets.checking import check
from pdesolve.datasets.inspection import first_sample, information, statistics, text, thumbnail
from pdesolve.datasets.opening import open_dataset
from pdesolve.geometry import Axis, Disk, triangulate


def example(values: np.ndarray | None = None) -> Dataset:
    values = np.random.default_rng(0).standard_normal((6, 9, 16)) + 3 if values is None else values
    u = Variable("u", Memory(values), ("sample", "t", "x"), "m s-1")
    nu = Variable("viscosity", Memory(np.linspace(0.1, 0.6, 6)), ("sample",))
    t = Coordinate(Axis("t", 0.0, 1.0), np.linspace(0, 1, 9))
    x = Coordinate(Axis("x", 0.0, 2.0, periodic=True), 2 * np.arange(16) / 16)
    return Dataset(
        {"u": u}, {"t": t, "x": x}, {"viscosity": nu}, splits={"train": np.arange(4), "test": np.arange(4, 6)}
    )


@pytest.mark.parametrize("limit", [8, 100, 1000, 10**9])
def test_blocks_cover_a_variable_once(limit: int) -> None:
    variable = example().variables["u"]
    seen = np.zeros(variable.array.shape, int)
    for piece in blocks(variable, limit=limit):
        seen[piece] += 1
        assert seen[piece].size * 8 <= max(limit, 8)
    assert (seen == 1).all()


@pytest.mark.parametrize("block", [8, 100, 10**9])
def test_statistics_do_not_depend_on_the_blocks(block: int) -> None:
    values = np.random.default_rng(1).standard_normal((6, 9, 16)) + 1e6
    values[2, 3, 4] = np.nan
    found = statistics(example(values).variables["u"], block=block)
    assert found.minimum == np.nanmin(values) and found.maximum == np.nanmax(values) and found.missing == 1
    assert found.mean == pytest.approx(np.nanmean(values), rel=1e-14)
    assert found.standard_deviation == pytest.approx(np.nanstd(values), rel=1e-9)


def test_of_large_variables_a_part_is_read_and_said() -> None:
    variable = example().variables["u"]
    pieces = spread(blocks(variable, limit=9 * 16 * 8), variable, 3 * 9 * 16 * 8)
    assert [piece[0].start for piece in pieces] == [0, 2, 5]
    found = statistics(variable, budget=3 * 9 * 16 * 8, block=9 * 16 * 8)
    assert found.read == 0.5 and found.mean == pytest.approx(variable.array.all()[[0, 2, 5]].mean())


def test_information_is_json_and_text() -> None:
    import json

    about = json.loads(json.dumps(information(example()), allow_nan=False))
    assert about["variables"]["u"]["shape"] == [6, 9, 16] and about["axes"]["x"]["placement"] == "periodic"
    said = text(about)
    for part in ("u  (sample 6, t 9, x 16)  float64  [m s-1]", "x  16 points from 0 to 2, periodic", "train 4, test 2"):
        assert part in said
    assert "u, the first sample:" in thumbnail(example())


def test_nothing_is_found_in_good_data() -> None:
    assert check(example()) == []


def put(index: object, value: object) -> Callable[[Dataset], Dataset]:
    def change(data: Dataset) -> Dataset:
        values = data.read("u").copy()
        values[index] = value  # type: ignore[index]
        return example(values)

    return change


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        (put((2, 3, 4), np.nan), "error", "1 numbers that are not finite in sample 2, the first at sample 2, t 3, x 4"),
        (put((slice(1, 3), 8), np.inf), "error", "32 numbers that are not finite in samples 1, 2, the first"),
        (put((4, slice(5, None)), 0.0), "error", "u is zero from frame 5 on in sample 4: did its run crash?"),
        (put(..., 2.0), "warning", "u is 2 everywhere"),
        (lambda d: replace(d, attributes={"n_trajectories": 7}), "error", "n_trajectories says 7, the data have 6"),
        (lambda d: replace(d, attributes={"n_spatial_dims": 2}), "error", "n_spatial_dims says 2, the data have 1"),
        (lambda d: replace(d, attributes={"simulation_parameters": ["Re"]}), "error", "'Re', which stands nowhere"),
        (lambda d: replace(d, splits={"train": np.arange(4), "test": np.arange(3, 6)}), "error",
         "splits train and test share sample 3"),
        (lambda d: replace(d, splits={"test": np.arange(0)}), "error", "split test is empty"),
        (lambda d: replace(d, splits={"test": np.arange(9)}), "error", "names samples 6, 7, 8, there are 6"),
        (lambda d: replace(d, notes=("t had one entry too many",)), "warning", "t had one entry too many"),
        (lambda d: replace(d, coordinates={"t": Coordinate(Axis("t", 0, 1), np.linspace(0, 1, 9) ** 2)}),
         "warning", "coordinate t is not uniform, steps from 0.01562 to 0.2344"),
        (lambda d: replace(d, coordinates={"t": d.coordinates["t"]}), "warning", "x has no coordinates"),
    ],
)  # fmt: skip
def test_each_finding(change: Callable[[Dataset], Dataset], kind: str, message: str) -> None:
    found = check(change(example()))
    assert any(f.kind == kind and message in f.message for f in found), found


@pytest.mark.parametrize("limit", [64, 10**9])
def test_samples_that_are_there_twice(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pdesolve.datasets.checking.BLOCK_BYTES", limit)
    data = example()
    values, nu = data.read("u").copy(), data.read("viscosity").copy()
    values[[3, 5]] = values[1]
    again = replace(example(values), parameters={"viscosity": replace(data.parameters["viscosity"], array=Memory(nu))})
    assert check(again) == [], "other parameters make other samples"
    nu[[3, 5]] = nu[1]
    assert [f.message for f in check(again)] == ["samples 3, 5 are the same as sample 1"]


def test_ragged_data_are_looked_through() -> None:
    values = np.arange(12.0)
    values[7] = np.nan
    data = Dataset({"u": Variable("u", Memory(values), ("node",))}, offsets={"node": np.array([0, 3, 9, 12])})
    (found,) = [f for f in check(data) if f.kind == "error"]
    assert "in sample 1, the first at node 7" in found.message
    assert information(data)["samples"] == 3


def test_the_first_sample_can_be_drawn() -> None:
    from pdesolve.plotting.drawable import drawable

    velocity = np.arange(2 * 3 * 2 * 16.0).reshape(2, 3, 2, 16)
    x = Coordinate(Axis("x", 0.0, 2.0, periodic=True), 2 * np.arange(16) / 16)
    flow = Variable("velocity", Memory(velocity), ("sample", "t", "component", "x"), "m s-1", ("x", "y"))
    shown = drawable(first_sample(Dataset({"velocity": flow}, {"x": x})))
    assert list(shown.data_vars) == ["velocity_x", "velocity_y"]
    assert np.array_equal(shown["velocity_y"].values, velocity[0, :, 1])
    mesh = triangulate(Disk((0.0, 0.0), 1.0), 0.5)
    n = len(mesh.points)
    on_nodes = Variable("u", Memory(np.arange(2.0 * n)), ("node",))
    ragged = Dataset({"u": on_nodes}, meshes=[mesh, mesh], offsets={"node": np.array([0, n, 2 * n])})
    shown = first_sample(ragged)
    assert shown["u"].dims == ("point",) and np.array_equal(shown["y"].values, mesh.points[:, 1].numpy())


@pytest.mark.parametrize(
    ("file", "layout", "errors"),
    [
        ("pdebench-generated/1D_diff-sorp_NA_NA_128.h5", "pdebench_groups", []),
        ("pdebench-generated/2D_diff-react_NA_NA_32x32.h5", "pdebench_groups", []),
        ("the-well-generated/the_well_dummy.hdf5", "the_well", []),
    ],
)
def test_files_of_others(file: str, layout: str, errors: list[str]) -> None:
    folder = os.environ.get("PDESOLVE_DATA")
    if folder is None:
        pytest.skip("PDESOLVE_DATA names no folder of real data files")
    data = open_dataset(Path(folder) / file)
    assert data.layout == layout and information(data)["samples"] == data.samples > 0
    assert [finding.message for finding in check(data) if finding.kind == "error"] == errors
