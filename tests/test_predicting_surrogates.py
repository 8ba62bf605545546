"""Predictions of stored surrogates on data: what is read, at which times and places, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import draw_nothing
from waves import FRAMES, POINTS, waves, waves_file

from pdesolve.catalogue import make_learner
from pdesolve.cli import main
from pdesolve.data.arrays import Memory
from pdesolve.data.dataset import Dataset, Variable
from pdesolve.data.task_choice import TaskChoice
from pdesolve.data.windows import Windows
from pdesolve.datasets.evaluation import evaluate
from pdesolve.datasets.prediction import predict
from pdesolve.datasets.training import train
from pdesolve.datasets.writing import write
from pdesolve.errors import InputError
from pdesolve.geometry import Axes, Axis, PointCloud
from pdesolve.labelled import read_dataset
from pdesolve.learning import load_surrogate
from pdesolve.plotting import solution_figure

WORDS = ["--method.modes", "4", "--method.width", "6", "--method.depth", "1", "--steps", "6", "--threads", "1"]

pytestmark = pytest.mark.usefixtures("own_folder")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    data = waves_file(folder)
    words = ["train", "fno", "--data", str(data), "--past", "2", "--device", "cpu", *WORDS]
    with pytest.MonkeyPatch.context() as patch:
        draw_nothing(patch)
        assert main([*words, "--out", str(folder / "fno")]) == 0
    return folder / "fno"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return waves_file(tmp_path)


@pytest.mark.draws
def test_a_prediction_is_that_of_the_surrogate_with_names_times_and_units(run: Path, data: Path) -> None:
    assert main(["predict", str(run), "--data", str(data), "--split", "test", "--out", "p.nc"]) == 0
    found = read_dataset(Path("p.nc"))
    surrogate, part = load_surrogate(run, device="cpu"), waves().split("test")
    windows = Windows(part, surrogate.signature.task)
    first = range(0, len(windows), len(windows.starts))
    expected = surrogate.predict(windows.batch(list(first)))["u"]
    assert found["u"].dims == ("sample", "t", "x") and found["u"].shape == (4, 1, POINTS)
    np.testing.assert_allclose(found["u"].values, expected[:, :, 0].numpy(), rtol=1e-5, atol=1e-6)
    assert found["t"].values == pytest.approx([0.4]) and found["x"].attrs["periodic"] == 1
    assert found.attrs["method"] == "fno" and json.loads(found.attrs["task"])["targets"] == ["u"]
    assert main(["plot", "p.nc"]) == 0 and Path("p.png").exists()


def test_the_samples_it_was_judged_by_are_the_default(run: Path, data: Path) -> None:
    own, told = predict(run).dataset, predict(run, str(data), split="test").dataset
    np.testing.assert_array_equal(own["u"].values, told["u"].values)
    assert own.attrs["split"] == "test"


def test_targets_need_not_be_there(run: Path, tmp_path: Path, data: Path) -> None:
    short = waves().isel({"t": slice(0, 2)})
    path = write(replace(short, splits={}), tmp_path / "short.h5")
    whole, some = predict(run, str(data), steps=9), predict(run, str(path), steps=9)
    np.testing.assert_array_equal(whole.dataset["u"].values, some.dataset["u"].values)
    expected = 0.4 + 0.2 * np.arange(9)  # the data end at 1, the rollout does not
    np.testing.assert_allclose(whole.dataset["t"].values, expected)
    np.testing.assert_allclose(some.dataset["t"].values, expected)


def test_samples_are_chosen_and_rolled_out(run: Path, data: Path) -> None:
    words = ["predict", str(run), "--data", str(data), "--samples", "3,1", "--steps", "3", "--out", "p.nc"]
    assert main(words) == 0
    found, whole = read_dataset(Path("p.nc")), predict(run, str(data), steps=3).dataset
    np.testing.assert_allclose(found["u"].values, whole["u"].values[[3, 1]], rtol=1e-5, atol=1e-6)
    assert found["u"].sizes["t"] == 3


def test_other_grids_and_points_agree_with_the_own_grid(run: Path, data: Path) -> None:
    coarse = predict(run, str(data), steps=2).dataset["u"].values
    fine = predict(run, str(data), steps=2, grid=(2 * POINTS,)).dataset
    assert fine.sizes["x"] == 2 * POINTS
    far = np.abs(fine["u"].values[..., ::2] - coarse).max() / np.abs(coarse).max()
    assert far < 0.05, far  # what a pointwise network makes of waves above its modes differs between grids
    points = np.array([[0.25], [0.5], [0.0625]])
    at = predict(run, str(data), steps=2, points=points).dataset["u"]
    np.testing.assert_allclose(at.values, coarse[..., [4, 8, 1]], rtol=1e-5, atol=1e-5)


def test_a_variable_that_is_the_same_along_an_axis_counts_there(tmp_path: Path) -> None:
    """What lies over x alone is what lies over x and y with the same values for all y."""
    rng = np.random.default_rng(0)
    profile, field = rng.normal(size=(20, 8)), rng.normal(size=(20, 8, 6))
    whole = np.repeat(profile[:, :, None], 6, 2)
    variables = {
        "force": Variable("force", Memory(field), ("sample", "x", "y")),
        "u": Variable("u", Memory(whole * field), ("sample", "x", "y")),
    }
    thin = {"profile": Variable("profile", Memory(profile), ("sample", "x"))}
    thick = {"profile": Variable("profile", Memory(whole), ("sample", "x", "y"))}
    settings = {"modes": 4, "width": 4, "depth": 1}
    for inputs in (("profile", "force"), ("profile",)):
        runs = []
        for name, one in (("thin", thin), ("thick", thick)):
            data, out = Dataset({**one, **variables}), tmp_path / f"{name}{len(inputs)}"
            train(
                make_learner("fno", settings),
                data,
                TaskChoice(inputs=inputs, targets=("u",)),
                steps=4,
                threads=1,
                device="cpu",
                out=out,
            )
            grids = [None, (16, 12)]
            runs.append([predict(out, data, grid=grid).dataset["u"].values for grid in grids])
        for found, expected in zip(*runs, strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    with pytest.raises(InputError, match="the target profile has no axis y, and surrogates give fields over all axes"):
        train(
            "fno", Dataset({**thin, **variables}), TaskChoice(inputs=("u",), targets=("profile",)), out=tmp_path / "no"
        )


def test_a_network_that_reads_elsewhere_is_read_there(data: Path) -> None:
    words = ["train", "deeponet", "--data", str(data), "--steps", "4", "--threads", "1", "--device", "cpu"]
    assert main([*words, "--method.functions", "8", "--out", "d"]) == 0
    coarse, fine = (predict("d", str(data), steps=2, grid=g).dataset["u"].values for g in (None, (2 * POINTS,)))
    np.testing.assert_allclose(fine[..., ::2], coarse, rtol=1e-4, atol=1e-5)
    at = predict("d", str(data), steps=2, points=np.array([[0.25], [0.3]])).dataset
    assert at["u"].dims == ("sample", "t", "point") and at["x"].values == pytest.approx([0.25, 0.3])
    np.testing.assert_allclose(at["u"].values[..., 0], coarse[..., 4], rtol=1e-4, atol=1e-5)


def test_samples_that_diverge_are_told_in_a_line(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from pdesolve.surrogates.operator import OperatorSurrogate

    plain = OperatorSurrogate.read

    def grown(self: OperatorSurrogate, carry: object, at: object = None) -> dict[str, torch.Tensor]:
        found = plain(self, carry, at)  # type: ignore[arg-type]
        return {name: torch.cat([u[:1] * 1e9, u[1:]]) for name, u in found.items()}

    monkeypatch.setattr(OperatorSurrogate, "read", grown)
    words = ["predict", str(run), "--data", str(data), "--samples", "0,1", "--steps", "2", "--out", "p.nc"]
    assert main(words) == 0
    assert "1 of 2 samples diverged, sample 0 at step 1 of 2" in capsys.readouterr().err
    assert np.isnan(read_dataset(Path("p.nc"))["u"].values[0]).all()
    assert main([*words, "--on-divergence", "raise"]) == 3
    assert main([*words, "--on-divergence", "keep"]) == 0
    assert np.isfinite(read_dataset(Path("p.nc"))["u"].values).all()


def test_predictions_at_points_of_each_sample_have_their_coordinates(tmp_path: Path) -> None:
    """40 clouds, the last the largest: batches are padded to different sizes, and files to the largest."""
    rng = np.random.default_rng(0)
    axes = Axes((Axis("x", 0.0, 1.0, "m"), Axis("y", 0.0, 1.0, "m")))
    clouds = [PointCloud(axes, torch.from_numpy(rng.random((20 + i, 2)))) for i in range(40)]
    bounds = np.append(0, np.cumsum([len(cloud.x) for cloud in clouds]))
    a = np.concatenate([cloud.x[:, 0] for cloud in clouds])
    names = {name: Variable(name, Memory(values), ("point",)) for name, values in (("a", a), ("u", 2 * a))}
    data = Dataset(names, meshes=clouds, offsets={"point": bounds})
    learner = make_learner("gino", {"latent": 4, "radius": 0.4, "modes": 2, "width": 4, "depth": 1})
    choice = TaskChoice(inputs=("a",), targets=("u",))
    train(learner, data, choice, steps=1, threads=1, device="cpu", out="g")
    found = predict("g", data).dataset
    assert found["u"].dims == found["x"].dims == ("sample", "point") and found["u"].shape == (40, 59)
    assert found["x"].attrs["units"] == "m"
    for i in (0, 31, 32, 39):
        own = found.isel(sample=i)
        for column, name in enumerate(("x", "y")):
            np.testing.assert_array_equal(own[name][: 20 + i], clouds[i].x[:, column])
        assert np.isfinite(own["u"][: 20 + i]).all()
        assert np.isnan(own["u"][20 + i :]).all() and np.isnan(own["x"][20 + i :]).all()
    alone = predict("g", data, samples=[3]).dataset
    assert alone["x"].dims == ("point",) and alone["u"].shape == (1, 23)
    np.testing.assert_allclose(alone["u"][0], found["u"][3, :23], rtol=1e-5, atol=1e-6)
    figure = solution_figure(found)
    drawn = figure.axes[0].collections[0].get_array()
    assert drawn is not None
    np.testing.assert_allclose(drawn, found["u"][0, :20])


def test_a_table_has_the_sample_and_no_places_that_are_not_there(run: Path, data: Path) -> None:
    words = ["predict", str(run), "--data", str(data), "--samples", "0,1", "--steps", "2", "--out", "p.csv"]
    assert main(words) == 0
    head, *rows = Path("p.csv").read_text().splitlines()
    assert head == "sample,t,x,u" and len(rows) == 2 * 2 * POINTS and rows[-1].startswith("1,")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--samples", "0,20"], "there are 20 samples, from 0 on"),
        (["--split", "tets"], "unknown split 'tets'"),
        (["--grid", "3"], "modes"),
        (["--grid", "16,16"], "--grid needs 1 numbers"),
        (["--times", "0,1"], "--steps N"),
        (["--on-divergence", "raise"], "write --steps N too"),
        (["--steps", "0"], "at least one step"),
    ],
)
def test_bad_words_are_refused_in_a_line(
    run: Path, data: Path, words: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", str(run), "--data", str(data), *words, "--out", "p.nc"]) == 2
    said = capsys.readouterr().err
    assert line in said and said.count("\n") == 1, said
    assert not Path("p.nc").exists()


def test_predictions_need_the_frames_that_are_given(run: Path) -> None:
    with pytest.raises(InputError, match=r"2 frames, 1 apart, are given .* have 1"):
        predict(run, waves().isel({"t": slice(0, 1)}))


@pytest.mark.parametrize("act", [predict, evaluate])
def test_data_that_do_not_fit_are_refused(run: Path, act: Callable[[Path, Dataset], object]) -> None:
    whole = waves()
    other = replace(whole, variables={"v": replace(whole.variables["u"], name="v")})
    with pytest.raises(InputError, match="the data have v and no u: the surrogate was trained on u"):
        act(run, other)
    with pytest.raises(InputError, match=r"0\.4 apart, 1 to a step, .* trained on 0\.2"):
        act(run, whole.isel({"t": slice(0, FRAMES, 2)}))
    x = whole.coordinates["x"]
    metres = replace(x, axis=replace(x.axis, upper=100.0), points=x.points * 100)
    with pytest.raises(InputError, match=r"x of the data runs from 0 to 93\.75, .* trained on 0 to 1"):
        act(run, replace(whole, coordinates={**whole.coordinates, "x": metres}))
