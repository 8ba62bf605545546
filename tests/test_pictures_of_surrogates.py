"""What is drawn of surrogates: which samples, what of them, and how errors grow along rollouts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from waves import FRAMES, waves, waves_file

import pdesolve as ps
from pdesolve.cli import main
from pdesolve.data.arrays import Memory
from pdesolve.data.batch import Batch
from pdesolve.data.dataset import Coordinate, Dataset, Variable
from pdesolve.data.moments import moments
from pdesolve.data.signature import signature_of
from pdesolve.data.task import Steps, Task
from pdesolve.data.windows import Windows
from pdesolve.datasets.writing import write
from pdesolve.errors import InputError
from pdesolve.geometry import Axes, Axis, PointCloud
from pdesolve.method import Surrogate
from pdesolve.nn.places import Places
from pdesolve.plotting import prediction_figure, rollout_figure, training_figure
from pdesolve.surrogates.examples import Example, examples
from pdesolve.surrogates.judging import scored
from pdesolve.surrogates.rollout import longest, rollout_errors, rollout_windows

WORDS = ["--method.modes", "4", "--method.width", "6", "--method.depth", "1", "--threads", "1", "--device", "cpu"]

pytestmark = pytest.mark.usefixtures("own_folder")


class Shrinking(Surrogate):
    """All that is given times a number of each sample, named `factor` among the parameters."""

    def __init__(self, dataset: Dataset, task: Task) -> None:
        self.signature = signature_of(dataset, task, moments(dataset, split=""))
        self.device, self.notes = torch.device("cpu"), {}

    def start(self, batch: Batch) -> tuple[dict[str, Tensor], Tensor]:
        return dict(batch.inputs), batch.parameters["factor"]

    def step(self, carry: tuple[dict[str, Tensor], Tensor]) -> tuple[dict[str, Tensor], Tensor]:
        values, factor = carry
        return {n: v * factor.view(-1, *[1] * (v.ndim - 1)) for n, v in values.items()}, factor

    def read(self, carry: tuple[dict[str, Tensor], Tensor], at: Places | None = None) -> dict[str, Tensor]:
        return carry[0]

    def write(self, folder: Path) -> None:
        raise NotImplementedError


FACTORS = np.array([0.9, 0.5, 0.8, 0.99, 0.7])  # relative L2 errors of one step: 0.1, 0.5, 0.2, 0.01, 0.3


def boxes(dims: int, names: tuple[str, ...] = ("u",), frames: int = 1, factors: np.ndarray = FACTORS) -> Dataset:
    """Sines of each axis in metres that stay as they are: what `Shrinking` makes of them is wrong by 1 - factor."""
    space = ("x", "y", "z")[:dims]
    shape, rng = (8, 6, 5)[:dims], np.random.default_rng(0)
    u = {name: np.repeat(rng.normal(size=(len(factors), 1, *shape)), frames, 1) for name in names}
    axes = {a: Coordinate(Axis(a, 0.0, 2.0, "m"), np.linspace(0, 2, n)) for a, n in zip(space, shape, strict=True)}
    times = Coordinate(Axis("t", 0.0, frames - 1.0, "s"), np.arange(float(frames)))
    return Dataset(
        {name: Variable(name, Memory(values), ("sample", "t", *space), "Pa") for name, values in u.items()},
        {"t": times, **axes},
        {"factor": Variable("factor", Memory(factors), ("sample",))},
    )


def shown(dataset: Dataset, *, errors: Sequence[float] = ()) -> tuple[Example, ...]:
    task = Task(tuple(dataset.variables), tuple(dataset.variables), Steps())
    surrogate, windows = Shrinking(dataset, task), Windows(dataset, task, dtype=torch.float64)
    own = scored(surrogate, windows, batch=2).each()
    return examples(surrogate, windows, {"u": torch.tensor(errors)} if errors else own)


def test_the_median_and_the_worst_sample_are_shown_with_their_errors() -> None:
    median, worst = shown(boxes(1, frames=2))
    assert median.title == "median of 5 samples: sample 2, t = 1 s, relative L2 2.00e-01"
    assert worst.title == "worst of 5 samples: sample 1, t = 1 s, relative L2 5.00e-01"
    np.testing.assert_allclose(worst.prediction["u"], 0.5 * worst.truth["u"])
    np.testing.assert_allclose(median.truth["u"], boxes(1, frames=2).read("u", {"sample": 2, "t": 1}))
    assert median.truth["u"].attrs["units"] == "Pa" and median.truth["x"].attrs["units"] == "m"


def test_what_is_not_finite_is_the_worst_and_one_sample_is_the_only_one() -> None:
    _, worst = shown(boxes(1, frames=2), errors=(0.1, np.nan, 0.2, 0.3, 0.4))
    assert worst.title.startswith("worst of 5 samples: sample 1") and worst.title.endswith("not finite")
    nothing = replace(worst, prediction=worst.prediction * np.nan)
    for part in (nothing, *(replace(e, prediction=e.prediction * np.nan) for e in shown(boxes(2, frames=2)))):
        prediction_figure([part]).canvas.draw()  # all the same
    (only,) = shown(boxes(1, frames=2, factors=FACTORS[:1]))
    assert only.title.startswith("the only one of 1 samples: sample 0")
    of_four, _ = shown(boxes(1, frames=2, factors=FACTORS[:4]))
    assert "sample 0," in of_four.title, "of 0.01, 0.1, 0.2, 0.5 the better one of the middle"


def _panels(figure: Any) -> list[Any]:
    return [axis for part in figure.subfigs for axis in part.axes if axis.get_title()]


def test_lines_over_one_axis_are_truth_prediction_and_their_difference() -> None:
    figure = prediction_figure(shown(boxes(1, ("u", "v"), frames=2)), "a run")
    assert figure.get_suptitle() == "a run" and len(figure.subfigs) == 2
    values, error = _panels(figure)[:2]
    truth, prediction = (np.asarray(line.get_ydata()) for line in values.lines)
    np.testing.assert_allclose(np.asarray(error.lines[-1].get_ydata()), prediction - truth)
    np.testing.assert_allclose(prediction, 0.8 * truth)
    assert (values.get_xlabel(), values.get_ylabel(), values.get_title()) == ("x [m]", "u [Pa]", "u")
    assert len(_panels(figure)) == 2 * 2 * 2, "two samples, two variables, two panels"


def test_maps_of_truth_and_prediction_have_one_scale_and_errors_their_own() -> None:
    figure = prediction_figure(shown(boxes(2, frames=2)))
    truth, prediction, error = (panel.collections[0] for panel in _panels(figure)[:3])
    assert truth.get_clim() == prediction.get_clim()
    low, high = error.get_clim()
    largest = np.abs(error.get_array()).max()
    assert -low == high == pytest.approx(largest) and largest < truth.get_clim()[1]
    median = shown(boxes(2, frames=2))[0]
    np.testing.assert_allclose(truth.get_array(), median.truth["u"].transpose("y", "x"))
    np.testing.assert_allclose(error.get_array(), -0.2 * median.truth["u"].transpose("y", "x"))


def test_a_wild_prediction_does_not_take_the_scale_of_the_truth() -> None:
    figure = prediction_figure(shown(boxes(2, frames=2, factors=np.array([1000.0]))))
    truth, prediction, _ = (panel.collections[0] for panel in _panels(figure))
    assert truth.get_clim() == prediction.get_clim() and truth.get_clim()[1] == truth.get_array().max()
    assert truth.colorbar is None and prediction.colorbar.extend == "both"


def test_of_three_axes_the_central_slice_is_drawn_and_said() -> None:
    figure = prediction_figure(shown(boxes(3, frames=2)))
    truth = _panels(figure)[0]
    assert truth.get_title() == "truth at z = 1"
    expected = shown(boxes(3, frames=2))[0].truth["u"].isel(z=2).transpose("y", "x")
    np.testing.assert_allclose(truth.collections[0].get_array(), expected)


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_points_are_drawn_where_they_lie(dims: int) -> None:
    rng = np.random.default_rng(1)
    axes = Axes(tuple(Axis(name, 0.0, 1.0, "m") for name in "xyz"[:dims]))
    clouds = [PointCloud(axes, torch.from_numpy(rng.random((60 + i, dims)))) for i in range(len(FACTORS))]
    bounds = np.append(0, np.cumsum([len(cloud.x) for cloud in clouds]))
    u = rng.normal(size=(int(bounds[-1]), 2))
    dataset = Dataset(
        {
            "a": Variable("a", Memory(u[:, 0]), ("point",)),
            "u": Variable("u", Memory(u[:, 0]), ("point",)),
        },
        {}, {"factor": Variable("factor", Memory(FACTORS), ("sample",))}, clouds, {"point": bounds},
    )  # fmt: skip
    task = Task(("a",), ("u",))

    class Renamed(Shrinking):
        def read(self, carry: tuple[dict[str, Tensor], Tensor], at: Places | None = None) -> dict[str, Tensor]:
            return {"u": carry[0]["a"]}

    surrogate, windows = Renamed(dataset, task), Windows(dataset, task, dtype=torch.float64)
    found = examples(surrogate, windows, scored(surrogate, windows).each())
    assert found[1].title == "worst of 5 samples: sample 1, relative L2 5.00e-01"
    assert found[1].truth.sizes == {"point": 61}, "the padding of a batch is not there"
    np.testing.assert_array_equal(found[1].truth["x"], clouds[1].x[:, 0])
    figure = prediction_figure(found)
    figure.canvas.draw()
    title = _panels(figure)[0].get_title()
    assert title.startswith("truth within") if dims == 3 else title in ("truth", "u")


def test_rollouts_have_windows_without_common_targets() -> None:
    data = waves()
    task = Task(("u",), ("u",), Steps(past=2))
    signature = signature_of(data, task, moments(data, split=""))
    windows = rollout_windows(signature, data, 2)
    assert [windows.place(i)[1] for i in range(len(windows.starts))] == [0, 2] and len(windows.wanted) == 2
    assert longest(Steps(past=2), FRAMES) == 4 == FRAMES - 2
    assert longest(Steps(past=1, ahead=2, stride=2), 9) == 2, "frames 0 to 8: of 0, 2, 4, 6, 8 one is given"
    with pytest.raises(InputError, match=r"needs 5 frames behind the 2 .*, 7 in all, .* have 6: write --steps 4,"):
        rollout_windows(signature, data, 5)
    with pytest.raises(InputError, match=r"have 2: give longer trajectories"):
        rollout_windows(signature, data.isel({"t": slice(0, 2)}), 1)
    still = replace(signature, frames=None)
    with pytest.raises(InputError, match="feeds targets back"):
        rollout_windows(still, data, 1)


def test_errors_of_rollouts_grow_as_powers_and_those_that_diverge_are_counted() -> None:
    data = boxes(1, frames=7, factors=np.array([0.5, 0.5]))
    surrogate = Shrinking(data, Task(("u",), ("u",), Steps()))
    windows = rollout_windows(surrogate.signature, data, 3, dtype=torch.float64)
    found = rollout_errors(scored(surrogate, windows, steps=3))
    curve = found["rollout"]["u"]
    assert (found["rollouts"], found["diverged"]) == (4, 0) and curve["lead_times"] == [1.0, 2.0, 3.0]
    assert curve["nrmse"] == pytest.approx([0.5, 0.75, 0.875]) and curve["correlation"] == pytest.approx([1.0] * 3)
    assert curve["correlation_time"] == 3.0, "as long as there is a truth"
    wild = boxes(1, frames=4, factors=np.array([0.5, 300.0]))
    surrogate = Shrinking(wild, Task(("u",), ("u",), Steps()))
    found = rollout_errors(scored(surrogate, rollout_windows(surrogate.signature, wild, 3), steps=3))
    assert (found["rollouts"], found["diverged"]) == (2, 1)
    assert found["rollout"]["u"]["nrmse"][1:] == [None, None] and found["rollout"]["u"]["nrmse"][0] > 1
    assert found["rollout"]["u"]["correlation_time"] == 2.0, "a mean over what is no number is none"
    figure = rollout_figure(found["rollout"], 0.8, "s")
    assert [axis.get_xlabel() for axis in figure.axes] == ["lead time [s]"] * 2


def test_a_training_is_drawn_with_its_loss_validation_and_learning_rate() -> None:
    common = {"stage": "train", "loss": 0.5, "relative_l2 u": 0.1, "learning_rate": 1e-3}
    history = [{**common, "cpu_seconds": float(i)} for i in range(3)] + [{"stage": "fine", "cpu_seconds": 3.0}]
    above, below = training_figure(history).axes
    assert [line.get_label() for line in above.lines[:2]] == ["loss of a batch", "relative L2 of u, validation"]
    np.testing.assert_allclose(np.asarray(below.lines[0].get_xydata()), [[0, 1e-3], [1, 1e-3], [2, 1e-3]])
    assert len(below.lines) == 2, "and where the next stage begins"


@pytest.mark.draws
def test_train_and_eval_draw_and_say_where(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = waves_file(tmp_path)
    assert main(["train", "fno", "--data", str(data), *WORDS, "--steps", "6", "--out", "run"]) == 0
    picture = Path("run/figures/prediction.png")
    assert f"picture: {picture}" in capsys.readouterr().out
    assert picture.stat().st_size > 10_000 and Path("run/figures/history.png").exists()
    picture.unlink()
    assert main(["eval", "run", "--steps", "5", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["same"] and found["picture"] == str(picture) and picture.exists()
    assert found["rollout_picture"] == "run/figures/rollout.png" and Path(found["rollout_picture"]).exists()
    curve = found["rollout"]["u"]
    assert curve["lead_times"] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0]) and found["rollouts"] == 4
    one = found["metrics"]["u"]["nrmse"]  # of all windows, the first lead time of the first of each sample
    assert curve["nrmse"][0] == pytest.approx(one, rel=0.5) and curve["nrmse"][-1] > curve["nrmse"][0]
    assert main(["eval", "run", "--data", str(data), "--split", "train"]) == 0
    assert Path("run/figures/prediction-waves-train.png").exists()
    assert "run/figures/prediction-waves-train.png" in capsys.readouterr().out


def test_eval_prints_rollouts_and_refuses_short_trajectories(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = waves_file(tmp_path)
    assert main(["train", "fno", "--data", str(data), *WORDS, "--steps", "2", "--out", "run"]) == 0
    capsys.readouterr()
    assert main(["eval", "run", "--steps", "4"]) == 0
    said = capsys.readouterr().out
    assert "4 rollouts of 4 steps, 0 diverged\nlead time  u nrmse  u correlation\n0.2 " in said
    assert main(["eval", "run", "--steps", "6"]) == 2
    assert "6 frames behind the 1 that are given, 7 in all, and the data have 6: write --steps 5" in (
        capsys.readouterr().err
    )
    assert main(["eval", "run", "--steps", "0"]) == 2
    assert main(["plot", "run"]) == 2 and "pdesolve eval run draws" in capsys.readouterr().err
    for verb in (ps.load, ps.resume):
        with pytest.raises(InputError, match=r"holds a surrogate, no solution: .* ps.resume_training"):
            verb("run")
    short = write(replace(waves().isel({"t": slice(0, 2)}), splits={}), tmp_path / "short.h5")
    assert set(ps.evaluate("run", short, steps=1)["rollout"]) == {"u"}
    assert ps.evaluate("run", waves(), split="test")["metrics"] == ps.evaluate("run", data)["metrics"]
    Path("run/figures").rename("figures")
    Path("run/figures").write_text("in the way")
    assert main(["eval", "run"]) == 0, "what was measured is not lost for a picture's sake"
    said = capsys.readouterr()
    assert "no picture: cannot write run/figures/prediction.png" in said.err and "picture" not in said.out
